"""A member of a group: polls, works on its partitions, commits offsets, and gives partitions up in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

from shared import telemetry
from shared.consumer.breaker import Broken
from shared.consumer.inbox import Inbox
from shared.consumer.parking import early, unresolved
from shared.consumer.pauses import LONGEST_PAUSE, TRIES, passes, pauses
from shared.consumer.subscription import R_contra, Subscription
from shared.errors import DomainError, Unavailable
from shared.event import Undecodable
from shared.kafka import Broker, Partition, Position, Record
from shared.store import Store

log = logging.getLogger(__name__)

MEASURE_EVERY = 15.0
LAG_EVERY = 1.0
TOGETHER = 0.5
"""Seconds the poll loop waits for a batch before it looks after the other partitions."""
BUSY = 0.05
"""Seconds after a batch in which more is taken to follow, so that gathering pays."""
STUCK = 60.0
"""Seconds without a turn of the poll loop after which the process asks to be restarted."""


@dataclass
class _Held:
    """One assigned partition: the task at work on it, and how far it has come.

    `waiting_since`: Unix time of the oldest record that is polled and not done; None when there is none.
    """

    task: asyncio.Task[None] | None = None
    waiting_since: float | None = None
    next: int | None = None
    committed: int | None = None
    leaving: bool = False


class Worker(Generic[R_contra]):
    """Runs one subscription: `run` until `stop`."""

    def __init__(
        self,
        store: Store,
        broker: Broker,
        subscription: Subscription[R_contra],
        resources: R_contra,
        *,
        drain: float = 15.0,
        commit_every: float = 1.0,
        tries: int = TRIES,
        longest_pause: float = LONGEST_PAUSE,
    ) -> None:
        """`drain`: seconds to finish started batches before partitions are given up; `tries` of an unknown fault."""
        self.subscription = subscription
        self.inbox = Inbox(store, subscription, resources, longest_pause)
        self._feed = broker.feed(subscription.group, subscription.topics)
        self._places: dict[Partition, _Held] = {}
        self._drain = drain
        self._commit_every = commit_every
        self._tries = tries
        self._longest_pause = longest_pause
        self._stopping = asyncio.Event()
        self._last_commit = 0.0
        self.broken: str | None = None
        self.joined = False
        self.progress = time.monotonic()
        self._last_batch = 0.0
        self._ended = False
        self._store = store

    async def run(self) -> None:
        """Read until `stop`. A broken worker stays in place without reading, so that its state can be seen."""
        measuring = asyncio.create_task(self._measure())
        telemetry.CONSUMER_BROKEN.labels(self.subscription.group).set(0)
        try:
            await self._join()
            await self._read()
            while not self._stopping.is_set():
                self.progress = time.monotonic()
                await self._wait(1.0)
        finally:
            measuring.cancel()
            await asyncio.gather(measuring, return_exceptions=True)
            self._ended = True

    async def _read(self) -> None:
        try:
            while not self._stopping.is_set() and self.broken is None:
                self.progress = time.monotonic()
                telemetry.CONSUMER_LAST_PROGRESS_TIMESTAMP_SECONDS.labels(self.subscription.group).set_to_current_time()
                await self._turn()
        finally:
            await self._leave(frozenset(self._places))
            await self._feed.stop()

    def stop(self) -> None:
        """Let `run` finish started batches and leave the group."""
        self._stopping.set()

    def ready(self) -> bool:
        """A member of the group that has not stopped itself."""
        return self.joined and self.broken is None

    def alive(self) -> bool:
        """False when the poll loop has stood still for too long; waiting for servers before joining is no fault."""
        return not self.joined or self._ended or time.monotonic() - self.progress < STUCK

    @property
    def assigned(self) -> bool:
        """Whether partitions have been handed to this member."""
        return bool(self._places)

    async def positions(self) -> Mapping[Partition, Position]:
        """How far the group has come in this member's partitions. Raises Unavailable."""
        return await self._feed.positions()

    async def _join(self) -> None:
        rests = pauses(self._longest_pause)
        while not self._stopping.is_set():
            self.progress = time.monotonic()
            try:
                await self._feed.start(self._revoked, self._assigned)
            except Unavailable as error:
                log.warning("%s cannot join yet: %s", self.subscription.group, error)
                await self._wait(next(rests))
            else:
                self.joined = True
                return

    async def _measure(self) -> None:
        looked = float("-inf")
        while True:
            self._measure_lag()
            if time.monotonic() - looked >= MEASURE_EVERY:
                looked = time.monotonic()
                with contextlib.suppress(Unavailable):
                    telemetry.DLQ_UNRESOLVED.set(await unresolved(self._store))
                    telemetry.EVENTS_EARLY.set(await early(self._store))
            await asyncio.sleep(LAG_EVERY)

    def _measure_lag(self) -> None:
        for place, work in self._places.items():
            lag = 0.0 if work.waiting_since is None else time.time() - work.waiting_since
            telemetry.CONSUMER_TIME_LAG_SECONDS.labels(self.subscription.group, place.topic, place.number).set(
                max(0.0, lag)
            )

    def _forget_lag(self, places: Iterable[Partition]) -> None:
        for place in places:
            telemetry.forget(telemetry.CONSUMER_TIME_LAG_SECONDS, self.subscription.group, place.topic, place.number)

    async def _turn(self) -> None:
        """Poll what is idle and start a task per partition that has something."""
        busy = {place: work.task for place, work in self._places.items() if work.task is not None}
        idle = [place for place, work in self._places.items() if work.task is None and not work.leaving]
        if busy and not idle:
            await asyncio.wait(
                [task for task in busy.values() if task], timeout=0.5, return_when=asyncio.FIRST_COMPLETED
            )
        else:
            await self._apply_together(await self._gathered(idle, 0.005 if busy else 0.5))
        await self._commit_some()

    async def _gathered(self, idle: Sequence[Partition], patience: float) -> dict[Partition, Sequence[Record]]:
        """What was polled; while much comes, with what comes a moment later, so that it shares a transaction."""
        polled = dict(await self._feed.poll(idle, patience))
        count = sum(map(len, polled.values()))
        busy = count > 1 or time.monotonic() - self._last_batch < BUSY
        if 0 < count < self.subscription.batch and busy and self.subscription.gather:
            await self._wait(self.subscription.gather)
            ours = {place for place, work in self._places.items() if not work.leaving}
            polled = {place: records for place, records in polled.items() if place in ours}  # some may have been taken
            if polled:
                for place, records in (await self._feed.poll(list(polled), 0)).items():
                    polled[place] = [*polled[place], *records]
        return polled

    async def _apply_together(self, polled: Mapping[Partition, Sequence[Record]]) -> None:
        """Apply what was polled in transactions across partitions.

        Records gather meanwhile, so that the busier the topic, the more of them share a transaction. A batch that
        takes long is left to itself: what its partitions do not hold goes on.
        """
        left = {place: records for place, records in polled.items() if records}
        if not left:
            return
        works = {place: self._places.setdefault(place, _Held()) for place in left}
        task = asyncio.create_task(self._work_together(works, left))
        for place, work in works.items():
            work.task, work.waiting_since = task, left[place][0].timestamp
        await asyncio.wait({task}, timeout=TOGETHER)

    async def _work_together(self, works: Mapping[Partition, _Held], left: dict[Partition, Sequence[Record]]) -> None:
        """Until nothing is left, or a batch fails: then each partition finds out by itself what it was."""
        try:
            while batch := self._next_batch(works, left):
                await self.inbox.apply([record for records in batch.values() for record in records])
                self._last_batch = time.monotonic()
                for place, records in batch.items():
                    works[place].next = records[-1].offset + 1
                    left[place] = left[place][len(records) :]
                    works[place].waiting_since = left[place][0].timestamp if left[place] else None
        except Exception as error:
            log.info("%s takes its partitions one by one: %r", self.subscription.group, error)
        finally:
            for place, work in works.items():
                work.task = None
                if left[place]:
                    self._start(place, left[place])

    def _next_batch(
        self, works: Mapping[Partition, _Held], left: Mapping[Partition, Sequence[Record]]
    ) -> dict[Partition, Sequence[Record]]:
        """The first records of each partition that is to stay, as many in all as a batch may have."""
        batch: dict[Partition, Sequence[Record]] = {}
        most = 0 if self._stopping.is_set() else self.subscription.batch
        for place, records in left.items():
            if most > 0 and records and not works[place].leaving:
                batch[place] = records[:most]
                most -= len(batch[place])
        return batch

    def _start(self, place: Partition, records: Sequence[Record]) -> None:
        work = self._places.get(place)
        if work is not None and not work.leaving and not self._stopping.is_set():
            work.task = asyncio.create_task(self._work(work, records))

    async def _work(self, work: _Held, records: Sequence[Record]) -> None:
        size = self.subscription.batch
        try:
            for start in range(0, len(records), size):
                if work.leaving or self._stopping.is_set():
                    return
                batch = records[start : start + size]
                if not await self._apply(work, batch):
                    return
                work.next = batch[-1].offset + 1
            work.waiting_since = None
        except Broken as error:
            self._break(str(error))
            log.critical("%s stopped itself: %s", self.subscription.group, error)
        except Exception:
            self._break("a fault in the engine")
            log.exception("%s stopped itself", self.subscription.group)
        finally:
            work.task = None

    def _break(self, why: str) -> None:
        self.broken = why
        telemetry.CONSUMER_BROKEN.labels(self.subscription.group).set(1)

    async def _apply(self, work: _Held, batch: Sequence[Record]) -> bool:
        """Until the batch is applied: True; False when the partition is to be given up first."""
        rests = pauses(self._longest_pause)
        failures = 0
        while not (work.leaving or self._stopping.is_set()):
            try:
                await self.inbox.apply(batch)
            except Broken:
                raise
            except (DomainError, Undecodable):
                await self.inbox.apply_singly(batch, self._tries)
                return True
            except Exception as error:
                failures += not passes(error)
                telemetry.CONSUMER_RETRIES.labels(self.subscription.group).inc()
                log.warning("%s tries again: %r", self.subscription.group, error)
                if failures >= self._tries:
                    await self.inbox.apply_singly(batch, tries=1)
                    return True
            else:
                return True
            await self._wait(next(rests))
        return False

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _commit_some(self) -> None:
        if time.monotonic() - self._last_commit >= self._commit_every:
            self._last_commit = time.monotonic()
            await self._commit(self._places)

    async def _commit(self, places: Mapping[Partition, _Held]) -> None:
        fresh = {
            place: work.next for place, work in places.items() if work.next is not None and work.next != work.committed
        }
        works = dict(places)  # a rebalance may take places away while the commit is under way
        if fresh and await self._feed.commit(fresh):
            for place, offset in fresh.items():
                works[place].committed = offset

    async def _assigned(self, places: frozenset[Partition]) -> None:
        telemetry.CONSUMER_REBALANCES.labels(self.subscription.group).inc()
        for place in places:
            self._places.setdefault(place, _Held()).leaving = False
        telemetry.CONSUMER_ASSIGNED_PARTITIONS.labels(self.subscription.group).set(len(self._places))

    async def _revoked(self, places: frozenset[Partition]) -> None:
        await self._leave(places)

    async def _leave(self, places: frozenset[Partition]) -> None:
        """Finish what is started on these partitions, commit, forget them. Takes no lock of the poll loop."""
        leaving = {place: self._places[place] for place in places if place in self._places}
        for work in leaving.values():
            work.leaving = True
        tasks = [work.task for work in leaving.values() if work.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._drain)
            for task in late:
                task.cancel()
        await self._commit(leaving)
        for place in leaving:
            self._places.pop(place, None)
        self._forget_lag(leaving)
        telemetry.CONSUMER_ASSIGNED_PARTITIONS.labels(self.subscription.group).set(len(self._places))
