"""Group commit: the units of concurrent callers become one transaction.

One transaction per request costs a round trip per collection and a journal flush each; merged, they share both. A
commit that comes while others are on their way waits a moment for more; alone in an idle process it waits for nobody.
A unit that spoils its group is found by halving the group, and only its caller hears of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from shared import telemetry
from shared.errors import Conflict, Unavailable
from shared.store.driver import Driver
from shared.store.unit import Write

Place = tuple[str, str]

BUSY = 0.05
"""Seconds after a group of several in which more are taken to follow."""


@dataclass(eq=False)
class _Waiting:
    writes: Sequence[Write]
    done: asyncio.Future[None]

    def places(self) -> set[Place]:
        return {(write.collection, write.id) for write in self.writes}


class GroupCommit:
    """Merges up to `group` units per transaction, with `in_flight` transactions at a time.

    Units that write the same document never share a transaction nor overtake each other: inside one process
    they are simply queued. More than `queue` waiting units raise Unavailable.
    """

    def __init__(
        self,
        driver: Driver,
        group: int = 200,
        in_flight: int = 2,
        queue: int = 10_000,
        patience: float = 12.0,
        gather: float = 0.0025,
    ) -> None:
        """`patience`: seconds a caller waits before it hears Unavailable, the outcome being unknown.

        `gather`: seconds a commit waits for others while transactions are on their way.
        """
        self._driver = driver
        self._patience = patience
        self._group = group
        self._in_flight = in_flight
        self._queue_limit = queue
        self._queue: deque[_Waiting] = deque()
        self._busy: set[Place] = set()
        self._flushes: set[asyncio.Task[None]] = set()
        self._gather = gather
        self._gathering: asyncio.TimerHandle | None = None
        self._last_size = 0
        self._last_begun = 0.0

    async def commit(self, writes: Sequence[Write]) -> None:
        """Returns when the writes are durable. Raises Conflict, Duplicate or Unavailable.

        A caller that is cancelled, or loses patience, does not cancel a write that has begun: it may still land.
        """
        if len(self._queue) >= self._queue_limit:
            raise Unavailable("too many commits are waiting")
        waiting = _Waiting(writes, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._pump_soon()
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.shield(waiting.done)
        except TimeoutError:
            if waiting in self._queue:
                self._queue.remove(waiting)
            raise Unavailable("the commit took too long; its outcome is unknown") from None

    async def drain(self) -> None:
        """Returns when nothing is waiting or in flight."""
        while self._queue or self._flushes:
            self._pump()
            await asyncio.wait(self._flushes)

    def _pump_soon(self) -> None:
        """At once in an idle process or for a full group; else when others had a moment to come."""
        loop = asyncio.get_running_loop()
        follows = self._last_size > 1 and loop.time() - self._last_begun < BUSY
        if not (self._flushes or follows) or len(self._queue) >= self._group or not self._gather:
            self._pump()
        elif self._gathering is None:
            self._gathering = loop.call_later(self._gather, self._gathered)

    def _gathered(self) -> None:
        self._gathering = None
        self._pump()

    def _pump(self) -> None:
        while self._queue and len(self._flushes) < self._in_flight:
            group = self._next_group()
            if not group:
                return
            places = set().union(*(waiting.places() for waiting in group))
            self._busy |= places
            self._last_size, self._last_begun = len(group), asyncio.get_running_loop().time()
            task = asyncio.create_task(self._write(group))
            self._flushes.add(task)
            task.add_done_callback(partial(self._flushed, places))

    def _flushed(self, places: set[Place], task: asyncio.Task[None]) -> None:
        self._busy -= places
        self._flushes.discard(task)
        if self._queue:
            self._pump_soon()

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        passed_over: deque[_Waiting] = deque()
        taken = set(self._busy)
        while self._queue and len(group) < self._group:
            waiting = self._queue.popleft()
            places = waiting.places()
            if taken.isdisjoint(places):
                group.append(waiting)
            else:
                passed_over.append(waiting)
            taken |= places
        self._queue.extendleft(reversed(passed_over))
        return group

    async def _write(self, group: list[_Waiting]) -> None:
        started = time.perf_counter()
        try:
            await self._driver.transact([write for waiting in group for write in waiting.writes])
        except Unavailable as error:
            _refuse(group, error)
        except Exception as error:  # a lost race, or a unit that cannot be written: the others shall not suffer
            if isinstance(error, Conflict):
                telemetry.STORE_CONFLICTS.inc()
            if len(group) == 1:
                _refuse(group, error)
            else:
                await self._write(group[: len(group) // 2])
                await self._write(group[len(group) // 2 :])
        except BaseException:
            _refuse(group, Unavailable("the store is closing"))
            raise
        else:
            telemetry.STORE_COMMIT_UNITS.observe(len(group))
            telemetry.STORE_COMMIT_SECONDS.observe(time.perf_counter() - started)
            for waiting in group:
                if not waiting.done.done():
                    waiting.done.set_result(None)


def _refuse(group: Iterable[_Waiting], error: Exception) -> None:
    for waiting in group:
        if not waiting.done.done():
            waiting.done.set_exception(error)
            waiting.done.exception()
