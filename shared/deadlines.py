"""Time as an input: a document whose `deadline_at` has passed gets an ordinary command, once.

The command moves or clears `deadline_at` in the transaction of its other effects; its guard on the version is what
makes it fire once. The lease only spares several processes the same work.

A document whose command fails is deferred: it stays due and is tried again after a pause that grows, so that it keeps
nobody else from being seen to. `python -m shared.dlq list` tells of those. While this machine's clock runs ahead of
the database's, nothing is taken for due.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic

from typing_extensions import TypeVar

from shared import telemetry
from shared.errors import Conflict, Duplicate, Unavailable
from shared.store import Collection, Driver, Index, Store, UnitOfWork
from shared.store.collection import Filter

log = logging.getLogger(__name__)

R_contra = TypeVar("R_contra", contravariant=True, default=object)
Command = Callable[[UnitOfWork, str, R_contra], Awaitable[None]]

BATCH = 100
GATHER = 0.005
"""Seconds after something has become due in which more is taken to follow."""
AHEAD = 2.0
"""Seconds by which this machine's clock may be ahead of the database's."""
PAUSES = 2.0, 3600.0
"""Seconds before a failed document is tried again: at first, and at most."""


@dataclass
class Deferred:
    """A due document whose command failed `failures` times, and when it is tried again."""

    id: str
    collection: str
    document: str
    failures: int
    error: str
    text: str
    since: datetime
    again_at: datetime


DEFERRED = Collection("deferred", Deferred, [Index((("collection", 1), ("again_at", 1)))])


@dataclass(frozen=True)
class Deadline(Generic[R_contra]):
    """Documents of `collection`, indexed by `deadline_at`, and the command for one that is due.

    The command gets the identity and the service's resources. `at_once` batches run side by side: one, where all of
    them change the same document (a roll of numbers), as they would only be in each other's way.
    """

    collection: Collection[Any]
    command: Command[R_contra]
    at_once: int = 4


class Timekeeper(Generic[R_contra]):
    """Runs one deadline: looks every `every` seconds, and at once when this process commits something due."""

    def __init__(self, store: Store, deadline: Deadline[R_contra], resources: R_contra, every: float = 1.0) -> None:
        self._store = store
        self._deadline = deadline
        self._resources = resources
        self._name = deadline.collection.name
        self._every = every
        self._at_once = deadline.at_once
        self._holder = uuid.uuid4().hex
        self._sure_until = 0.0
        self._bell = asyncio.Event()
        self._stopping = False
        self._deferred: dict[str, Deferred] = {}
        self._stack_shown = False
        store.on_commit(self._listen)

    async def run(self) -> None:
        """Until `stop`."""
        while not self._stopping:
            try:
                if await self._holds_lease():
                    while not self._stopping and await self.look():
                        pass
            except (Conflict, Unavailable) as error:
                log.warning("deadlines of %s wait: %r", self._name, error)
            await self._rest()
        await self._hand_over()

    async def _holds_lease(self) -> bool:
        """Whether this process is the one that looks; asked of the server only when half of the lease is over."""
        now = time.monotonic()
        if now >= self._sure_until:
            lease = 5 * self._every + 5
            if await self._is_ahead():
                return False
            held = await self._store.driver.lease(f"deadline-{self._name}", self._holder, lease)
            self._sure_until = now + lease / 2 if held else now
            if held:
                await self._take_stock()
            else:
                telemetry.DEADLINE_OLDEST_DUE_SECONDS.labels(self._name).set(0)  # told by who holds the lease
                telemetry.DEADLINES_FAILING.labels(self._name).set(0)
            return held
        return True

    async def _is_ahead(self) -> bool:
        """Whether this machine would take for due what is not: then another one has to look, or nobody."""
        ahead = await clock_ahead(self._store.driver)
        if ahead > AHEAD:
            log.critical("this clock is %.1f s ahead of the database's: deadlines of %s wait", ahead, self._name)
            await self._hand_over()
            return True
        return False

    async def _take_stock(self) -> None:
        """What is deferred, and how long the oldest has been due."""
        deferred = await self._store.find(DEFERRED, {"collection": self._name})
        self._deferred = {each.document: each for each in deferred}
        telemetry.DEADLINES_FAILING.labels(self._name).set(len(deferred))
        now = self._store.clock.now()
        due: Filter = {"deadline_at": {"$lte": now}}
        oldest = await self._store.driver.find(self._name, due, [("deadline_at", 1)], 1, fields=("deadline_at",))
        age = (now - oldest[0]["deadline_at"]).total_seconds() if oldest else 0.0
        telemetry.DEADLINE_OLDEST_DUE_SECONDS.labels(self._name).set(age)

    def stop(self) -> None:
        """Let `run` end after what it has begun."""
        self._stopping = True
        self._bell.set()

    async def look(self) -> int:
        """Give everything due its command; how many took effect. Those that lost a race are due again next time."""
        self._stack_shown = False  # one a look says enough of hundreds
        wanted: Filter = {"deadline_at": {"$lte": self._store.clock.now()}}
        now = datetime.now(UTC)
        if resting := [id for id, each in self._deferred.items() if each.again_at > now]:
            wanted["_id"] = {"$nin": resting}
        due = await self._store.driver.find(
            self._name,
            wanted,
            [("deadline_at", 1)],
            BATCH * self._at_once,
            fields=(),
        )
        ids = [document["_id"] for document in due]
        batches = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
        fired = sum(await asyncio.gather(*map(self._fire, batches)))
        telemetry.DEADLINES_FIRED.labels(self._name).inc(fired)
        return fired

    async def _fire(self, ids: list[str]) -> int:
        """One unit of work for all; when one of them spoils it, each on its own."""
        uow = self._store.unit()
        try:
            await uow.load(self._deadline.collection, ids)
            for id in ids:
                await self._deadline.command(uow, id, self._resources)
            await self._store.commit(uow)
        except Unavailable:
            raise
        except Exception as error:  # one document must not keep the others from their deadline
            log.warning("deadlines of %s are taken one by one: %r", self._name, error)
            return sum([await self._fire_alone(id) for id in ids])
        await self._met(ids)
        return 0 if uow.is_empty() else len(ids)

    async def _fire_alone(self, id: str) -> int:
        async def command(uow: UnitOfWork) -> bool:
            await self._deadline.command(uow, id, self._resources)
            return not uow.is_empty()

        try:
            fired = int(await self._store.run(command))
        except (Conflict, Unavailable) as error:
            if isinstance(error, Duplicate):
                await self._defer(id, error)
                return 0
            if isinstance(error, Unavailable):
                raise
            return 0  # somebody else is at it
        except Exception as error:  # as above; it stays due and visible
            await self._defer(id, error)
            return 0
        await self._met([id])
        return fired

    async def _met(self, ids: Iterable[str]) -> None:
        """Their commands went well: they are deferred no more."""
        before = [self._deferred.pop(id).id for id in ids if id in self._deferred]
        if before:
            await self._store.driver.delete(DEFERRED.name, {"_id": {"$in": before}})

    async def _defer(self, id: str, error: Exception) -> None:
        before, now = self._deferred.get(id), datetime.now(UTC)
        failures = before.failures + 1 if before else 1
        first, most = PAUSES
        pause = timedelta(seconds=min(most, first * 2.0**failures) * random.uniform(0.5, 1))  # noqa: S311  (jitter)
        row = Deferred(
            id=f"{self._name}|{id}",
            collection=self._name,
            document=id,
            failures=failures,
            error=type(error).__name__,
            text=str(error)[:2000],
            since=before.since if before else now,
            again_at=now + pause,
        )
        self._deferred[id] = row
        uow = self._store.unit()
        uow.put(DEFERRED, row)
        await self._store.commit(uow)
        stack, self._stack_shown = (None if self._stack_shown else error), True
        log.error("the deadline of %s %s cannot be met: %r", self._name, id, error, exc_info=stack)

    def _listen(self, uow: UnitOfWork) -> None:
        soon = self._store.clock.now() + timedelta(seconds=self._every)
        if any(
            getattr(entity, "deadline_at", None) is not None and entity.deadline_at <= soon
            for entity in uow.changed(self._deadline.collection)
        ):
            self._bell.set()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._every):
                await self._bell.wait()
            if not self._stopping:
                await asyncio.sleep(GATHER)
        except TimeoutError:
            return
        finally:
            self._bell.clear()

    async def _hand_over(self) -> None:
        try:
            await self._store.driver.release(f"deadline-{self._name}", self._holder)
        except Unavailable:
            return


async def clock_ahead(driver: Driver) -> float:
    """Seconds by which this machine's clock is ahead of the database's; below 0: behind. Raises Unavailable."""
    before = datetime.now(UTC)
    server = await driver.now()
    after = datetime.now(UTC)
    if server < before:
        return (before - server).total_seconds()
    return min(0.0, (after - server).total_seconds())
