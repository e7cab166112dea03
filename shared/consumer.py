"""Events in, effects out: exactly one effect per event, in order per aggregate, whatever is killed when.

One transaction per batch, across partitions while all is well: the handlers' writes, the marks and the service's
own outbox rows. A mark says how far a group has come with an aggregate. What is at or below it is a duplicate, what
follows it is applied, a number left out is a gap. Offsets are committed after the transaction and are a mere hint
of where to go on; marks decide.

When a batch fails, each partition goes on by itself, so that one in trouble holds up no other. A fault that passes
is retried for ever with growing pauses. An event that cannot be handled is found by running the batch one event at
a time, and parked: kept with its error, copied to `<group>.dlq`, and followed by every later event of its
aggregate, so that order holds when `python -m shared.dlq replay` runs the handler again. Others flow on. When
parking becomes the rule, the breaker stops the worker instead of emptying the topic.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from typing import Generic, Literal

from typing_extensions import TypeVar

from shared import telemetry
from shared.contracts import EventModel
from shared.errors import Conflict, DomainError, Duplicate, Unavailable
from shared.event import Event, Undecodable, carries
from shared.kafka import Broker, Partition, Record
from shared.store import Collection, Index, Store, UnitOfWork
from shared.store.unit import EVENT_LIMIT

log = logging.getLogger(__name__)

M = TypeVar("M", bound=EventModel)
R_contra = TypeVar("R_contra", contravariant=True, default=object)
"""What the service holds besides its store: whoever asks for less, or for nothing (`object`), fits, too."""

Handler = Callable[[UnitOfWork, Event[M], R_contra], Awaitable[None]]
Prefetch = Callable[[UnitOfWork, Sequence[Event], R_contra], Awaitable[None]]

Outcome = Literal["ok", "duplicate", "parked"]

UNREADABLE = "chuangwen.unreadable"
TRIES = 5
"""Of a fault that nobody knows to pass."""
LONGEST_PAUSE = 30.0
MEASURE_EVERY = 15.0
TOGETHER = 0.5
"""Seconds the poll loop waits for a batch before it looks after the other partitions."""


@dataclass
class Mark:
    """How far a group has come with an aggregate: `sequence` is handled, up to `parked_to` is parked."""

    id: str
    sequence: int = 0
    parked_to: int = 0

    @property
    def seen(self) -> int:
        return max(self.sequence, self.parked_to)


@dataclass
class Parked:
    """A record set aside, raw, with the reason.

    `behind` means that an earlier event of the aggregate is parked; `skipped`, that later ones were let pass. An
    unreadable record belongs to no aggregate: its `mark` is empty.
    """

    id: str
    group: str
    mark: str
    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    subject: str
    sequence: int
    reason: Literal["poison", "behind", "skipped"]
    error: str
    text: str
    at: datetime

    def record(self) -> Record:
        return Record(Partition(self.topic, self.partition), self.offset, 0.0, self.key, self.value, self.headers)


MARKS = Collection("marks", Mark)
PARKED = Collection(
    "parked",
    Parked,
    [Index((("group", 1), ("subject", 1), ("sequence", 1))), Index((("group", 1), ("mark", 1)))],
)


@dataclass(frozen=True)
class Reaction(Generic[R_contra]):
    """What a group does about events of one type; made by `on`."""

    model: type[EventModel]
    handle: Handler[EventModel, R_contra]


def on(model: type[M], handler: Handler[M, R_contra]) -> Reaction[R_contra]:
    """Events of this type go to the handler, with the service's resources."""

    async def handle(uow: UnitOfWork, event: Event, resources: R_contra) -> None:
        if carries(event, model):
            await handler(uow, event, resources)

    return Reaction(model, handle)


@dataclass(frozen=True)
class Subscription(Generic[R_contra]):
    """What a group listens to and what it does about it.

    Events without a reaction are marked as handled and nothing more. `prefetch` may load what the handlers of a batch
    will ask for in one round trip. `on_poison`: `park_key` (order matters), `skip` (every event carries the whole
    state) or `stop`. `on_gap`: `apply` and count, or `stop`.
    """

    group: str
    topics: tuple[str, ...]
    reactions: Sequence[Reaction[R_contra]]
    prefetch: Prefetch[R_contra] | None = None
    on_poison: Literal["park_key", "skip", "stop"] = "park_key"
    on_gap: Literal["apply", "stop"] = "apply"
    batch: int = 200

    @cached_property
    def handlers(self) -> Mapping[str, Handler[EventModel, R_contra]]:
        """What it does, by the type of the event."""
        return {reaction.model.TYPE: reaction.handle for reaction in self.reactions}

    async def handle(self, uow: UnitOfWork, event: Event, resources: R_contra) -> None:
        """React to the event, if the group does. Raises Undecodable and what a handler raises."""
        handler = self.handlers.get(event.type)
        if handler is not None:
            await handler(uow, event, resources)


class Broken(Exception):
    """The worker stopped itself; somebody has to look before it goes on."""


@dataclass
class Breaker:
    """Trips after `in_a_row` poisonous events, or when more than `share` of the last `window` were."""

    in_a_row: int = 20
    share: float = 0.05
    window: int = 1000
    _row: int = 0
    _recent: deque[bool] = field(default_factory=deque)

    def handled(self, poison: bool) -> None:
        """Count one event. Raises Broken when parking it would be one too many."""
        self._row = self._row + 1 if poison else 0
        self._recent.append(poison)
        if len(self._recent) > self.window:
            self._recent.popleft()
        if self._row > self.in_a_row:
            raise Broken(f"{self._row} poisonous events in a row")
        if len(self._recent) == self.window and sum(self._recent) > self.share * self.window:
            raise Broken(f"{sum(self._recent)} of the last {self.window} events were poisonous")

    def passed(self, count: int) -> None:
        """Count good events."""
        for _ in range(min(count, self.window)):
            self.handled(poison=False)


@dataclass
class _Place:
    """One assigned partition: the task at work on it, and how far it has come."""

    task: asyncio.Task[None] | None = None
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
        self._places: dict[Partition, _Place] = {}
        self._drain = drain
        self._commit_every = commit_every
        self._tries = tries
        self._longest_pause = longest_pause
        self._stopping = asyncio.Event()
        self._last_commit = 0.0
        self.broken: str | None = None
        self.joined = False
        self.progress = time.monotonic()

    async def run(self) -> None:
        """Read until `stop`. A broken worker stays in place without reading, so that its state can be seen."""
        measuring = asyncio.create_task(self._measure())
        try:
            await self._join()
            await self._read()
            while not self._stopping.is_set():
                self.progress = time.monotonic()
                await self._wait(1.0)
        finally:
            measuring.cancel()
            await asyncio.gather(measuring, return_exceptions=True)

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

    @property
    def assigned(self) -> bool:
        """Whether partitions have been handed to this member."""
        return bool(self._places)

    async def behind(self) -> int:
        """Records of this member's partitions that are not committed yet."""
        return await self._feed.behind()

    async def _join(self) -> None:
        pauses = _pauses(self._longest_pause)
        while not self._stopping.is_set():
            self.progress = time.monotonic()
            try:
                await self._feed.start(self._revoked, self._assigned)
            except Unavailable as error:
                log.warning("%s cannot join yet: %s", self.subscription.group, error)
                await self._wait(next(pauses))
            else:
                self.joined = True
                return

    async def _measure(self) -> None:
        while True:
            with contextlib.suppress(Unavailable):
                telemetry.DLQ_UNRESOLVED.set(await self.inbox.unresolved())
            await asyncio.sleep(MEASURE_EVERY)

    async def _turn(self) -> None:
        """Poll what is idle and start a task per partition that has something."""
        busy = {place: work.task for place, work in self._places.items() if work.task is not None}
        idle = [place for place, work in self._places.items() if work.task is None and not work.leaving]
        if busy and not idle:
            await asyncio.wait(
                [task for task in busy.values() if task], timeout=0.5, return_when=asyncio.FIRST_COMPLETED
            )
        else:
            await self._apply_together(await self._feed.poll(idle, 0.005 if busy else 0.5))
        await self._commit_some()

    async def _apply_together(self, polled: Mapping[Partition, Sequence[Record]]) -> None:
        """Apply what was polled in transactions across partitions.

        Records gather meanwhile, so that the busier the topic, the more of them share a transaction. A batch that
        takes long is left to itself: what its partitions do not hold goes on.
        """
        left = {place: records for place, records in polled.items() if records}
        if not left:
            return
        works = {place: self._places.setdefault(place, _Place()) for place in left}
        task = asyncio.create_task(self._work_together(works, left))
        for place, work in works.items():
            work.task = task
            telemetry.CONSUMER_TIME_LAG_SECONDS.labels(self.subscription.group, place.topic, place.number).set(
                max(0.0, time.time() - left[place][0].timestamp)
            )
        await asyncio.wait({task}, timeout=TOGETHER)

    async def _work_together(self, works: Mapping[Partition, _Place], left: dict[Partition, Sequence[Record]]) -> None:
        """Until nothing is left, or a batch fails: then each partition finds out by itself what it was."""
        try:
            while batch := self._next_batch(works, left):
                await self.inbox.apply([record for records in batch.values() for record in records])
                for place, records in batch.items():
                    works[place].next = records[-1].offset + 1
                    left[place] = left[place][len(records) :]
        except Exception as error:
            log.info("%s takes its partitions one by one: %r", self.subscription.group, error)
        finally:
            for place, work in works.items():
                work.task = None
                if left[place]:
                    self._start(place, left[place])

    def _next_batch(
        self, works: Mapping[Partition, _Place], left: Mapping[Partition, Sequence[Record]]
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

    async def _work(self, work: _Place, records: Sequence[Record]) -> None:
        size = self.subscription.batch
        try:
            for start in range(0, len(records), size):
                if work.leaving or self._stopping.is_set():
                    return
                batch = records[start : start + size]
                if not await self._apply(work, batch):
                    return
                work.next = batch[-1].offset + 1
        except Broken as error:
            self.broken = str(error)
            log.critical("%s stopped itself: %s", self.subscription.group, error)
        except Exception:
            self.broken = "a fault in the engine"
            log.exception("%s stopped itself", self.subscription.group)
        finally:
            work.task = None

    async def _apply(self, work: _Place, batch: Sequence[Record]) -> bool:
        """Until the batch is applied: True; False when the partition is to be given up first."""
        pauses = _pauses(self._longest_pause)
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
                failures += not _passes(error)
                telemetry.CONSUMER_RETRIES.labels(self.subscription.group).inc()
                log.warning("%s tries again: %r", self.subscription.group, error)
                if failures >= self._tries:
                    await self.inbox.apply_singly(batch, tries=1)
                    return True
            else:
                return True
            await self._wait(next(pauses))
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

    async def _commit(self, places: Mapping[Partition, _Place]) -> None:
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
            self._places.setdefault(place, _Place()).leaving = False
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
        telemetry.CONSUMER_ASSIGNED_PARTITIONS.labels(self.subscription.group).set(len(self._places))


class Inbox(Generic[R_contra]):
    """Applies records of one subscription to the store, without a broker: shared by the worker and by replay."""

    def __init__(
        self,
        store: Store,
        subscription: Subscription[R_contra],
        resources: R_contra,
        longest_pause: float = LONGEST_PAUSE,
    ) -> None:
        """`longest_pause`: seconds between two tries of a fault that passes."""
        self._store = store
        self._subscription = subscription
        self._resources = resources
        self._longest_pause = longest_pause
        self._breaker = Breaker()

    async def apply(self, batch: Sequence[Record]) -> None:
        """One transaction for the whole batch. Raises what a handler raises; nothing is written then."""
        started = time.perf_counter()
        uow = self._store.unit()
        events = [record.event() for record in batch]
        marks = await uow.load(MARKS, {self._mark_of(event) for event in events})
        due = [event for event in events if _is_due(event, marks.get(self._mark_of(event)))]
        if self._subscription.prefetch is not None and due:
            await self._subscription.prefetch(uow, due, self._resources)
        outcomes = [await self._apply_one(uow, *pair) for pair in zip(batch, events, strict=True)]
        await self._store.commit(uow)
        self._breaker.passed(outcomes.count("ok"))
        self._count(events, outcomes)
        telemetry.CONSUMER_BATCH_SECONDS.labels(self._subscription.group).observe(time.perf_counter() - started)

    async def apply_singly(self, batch: Sequence[Record], tries: int = TRIES) -> None:
        """One transaction per record; those that cannot be handled are parked. Raises Broken.

        `tries`: of a fault that is neither known to pass nor known to stay.
        """
        for record in batch:
            error = await self._try(record, tries)
            if error is not None:
                self._breaker.handled(poison=True)
                if self._subscription.on_poison == "stop":
                    raise Broken(f"{record.partition} {record.offset}: {error!r}")
                await self._patiently(partial(self._park_poison, record, error))

    async def replay(self, parked: Parked) -> None:
        """Run the handler on a parked record, which then is parked no more. The caller keeps the order per aggregate.

        A skipped record that a later event has superseded is not handled: it would undo what came after it. Raises
        what the handler raises, NotFound (`parked-not-found`) and Undecodable; nothing is written then.
        """

        async def again(uow: UnitOfWork) -> None:
            row = await uow.get(PARKED, parked.id)
            event = row.record().event()
            mark = await uow.get(MARKS, row.mark)
            if row.reason != "skipped" or row.sequence >= mark.sequence:
                await self._handle(uow, event)
            await _unpark(self._store, uow, row, mark)

        await self._store.run(again)

    async def unresolved(self) -> int:
        """How many records of the whole service are set aside."""
        return await self._store.count(PARKED, {})

    async def _try(self, record: Record, tries: int) -> Exception | None:
        """Apply one record; the error that makes it poisonous, or None."""
        try:
            await self._patiently(partial(self.apply, [record]), tries)
        except Broken:
            raise
        except Exception as error:  # whatever it is, it is this record's
            return error
        return None

    async def _patiently(self, step: Callable[[], Awaitable[None]], tries: int = TRIES) -> None:
        pauses = _pauses(self._longest_pause)
        failures = 0
        while True:
            try:
                return await step()
            except (Broken, DomainError, Undecodable):
                raise
            except Exception as error:
                failures += not _passes(error)
                if failures >= tries:
                    raise
                log.warning("%s tries again: %r", self._subscription.group, error)
                await asyncio.sleep(next(pauses))

    async def _apply_one(self, uow: UnitOfWork, record: Record, event: Event) -> Outcome:
        id = self._mark_of(event)
        mark = await uow.find(MARKS, id)
        if mark is None:
            mark = Mark(id)
            uow.insert(MARKS, mark)
        if event.sequence <= mark.seen:
            return "duplicate"
        if event.sequence > mark.seen + 1:
            self._gap(event, mark)
        if mark.parked_to:
            self._park(uow, record, event, mark, "behind", "")
            return "parked"
        await self._handle(uow, event)
        mark.sequence = event.sequence
        uow.save(MARKS, mark)
        return "ok"

    async def _handle(self, uow: UnitOfWork, event: Event) -> None:
        await self._subscription.handle(uow, event, self._resources)

    async def _park_poison(self, record: Record, error: Exception) -> None:
        uow = self._store.unit()
        try:
            event = record.event()
        except Undecodable:
            if not await self._park_unreadable(uow, record, error):
                return
        else:
            mark = await uow.find(MARKS, self._mark_of(event))
            if mark is None:
                mark = Mark(self._mark_of(event))
                uow.insert(MARKS, mark)
            if event.sequence <= mark.seen:
                return
            self._park(uow, record, event, mark, "poison", error)
        await self._store.commit(uow)
        group, topic = self._subscription.group, record.partition.topic
        outcome = "skipped" if self._subscription.on_poison == "skip" else "parked"
        telemetry.CONSUMER_RECORDS.labels(group, topic, outcome).inc()
        telemetry.DLQ_RECORDS.labels(group, topic, type(error).__name__).inc()
        log.error("%s parked %s@%d: %r", self._subscription.group, record.partition, record.offset, error)

    def _park(
        self,
        uow: UnitOfWork,
        record: Record,
        event: Event,
        mark: Mark,
        reason: Literal["poison", "behind"],
        error: Exception | str,
    ) -> None:
        skips = self._subscription.on_poison == "skip"
        row = self._row(record, event.id, mark.id, event.subject, event.sequence, error, uow.now)
        row.reason = "skipped" if skips else reason
        uow.insert(PARKED, row)
        if skips:
            mark.sequence = event.sequence
        else:
            mark.parked_to = event.sequence
        uow.save(MARKS, mark)
        uow.events.append(self._dead_letter(event))

    async def _park_unreadable(self, uow: UnitOfWork, record: Record, error: Exception) -> bool:
        """False when it is parked already: it has no mark that would tell a second delivery."""
        subject = f"{record.partition.topic}-{record.partition.number}-{record.offset}"
        row = self._row(record, subject, "", subject, 1, error, uow.now)
        if await uow.find(PARKED, row.id) is not None:
            return False
        uow.insert(PARKED, row)
        key = (record.key or b"").decode(errors="replace")
        told = (record.value or b"")[:EVENT_LIMIT]  # a dead letter that Kafka refuses would hold up the outbox
        uow.events.append(self._dead_letter(Event(record.partition.topic, UNREADABLE, subject, 1, uow.now, key, told)))
        return True

    def _row(
        self,
        record: Record,
        id: str,
        mark: str,
        subject: str,
        sequence: int,
        error: Exception | str,
        at: datetime,
    ) -> Parked:
        return Parked(
            id=f"{self._subscription.group}|{id}",
            group=self._subscription.group,
            mark=mark,
            topic=record.partition.topic,
            partition=record.partition.number,
            offset=record.offset,
            key=record.key or b"",
            value=record.value or b"",
            headers=list(record.headers),
            subject=subject,
            sequence=sequence,
            reason="poison",
            error=type(error).__name__ if isinstance(error, Exception) else "",
            text=str(error)[:2000],
            at=at,
        )

    def _dead_letter(self, event: Event) -> Event:
        return Event(
            f"{self._subscription.group}.dlq",
            event.type,
            f"{event.topic}/{event.subject}",
            event.sequence,
            event.time,
            event.key,
            event.value,
            event.traceparent,
        )

    def _gap(self, event: Event, mark: Mark) -> None:
        telemetry.EVENTS_SEQUENCE_GAP.labels(self._subscription.group, event.topic).inc()
        log.error("%s: %s comes after %d", self._subscription.group, event.id, mark.seen)
        if self._subscription.on_gap == "stop":
            raise Broken(f"gap: {event.id} comes after {mark.seen}")

    def _count(self, events: Sequence[Event], outcomes: Sequence[Outcome]) -> None:
        group = self._subscription.group
        seen = Counter((event.topic, outcome) for event, outcome in zip(events, outcomes, strict=True))
        for (topic, outcome), times in seen.items():
            telemetry.CONSUMER_RECORDS.labels(group, topic, outcome).inc(times)
            if outcome == "parked":
                telemetry.DLQ_RECORDS.labels(group, topic, "behind").inc(times)

    def _mark_of(self, event: Event) -> str:
        return f"{self._subscription.group}|{event.topic}|{event.subject}"


async def drop(store: Store, parked: Parked) -> None:
    """Give a parked record up: its number counts as handled. Raises NotFound (`parked-not-found`)."""

    async def forget(uow: UnitOfWork) -> None:
        row = await uow.get(PARKED, parked.id)
        mark = await uow.find(MARKS, row.mark)
        if mark is None:
            uow.delete(PARKED, row)
        else:
            await _unpark(store, uow, row, mark)

    await store.run(forget)


async def _unpark(store: Store, uow: UnitOfWork, row: Parked, mark: Mark) -> None:
    """The key is free again once nothing of it is left. The guard of the mark holds whoever parks meanwhile."""
    others = {"group": row.group, "mark": row.mark, "reason": {"$ne": "skipped"}, "_id": {"$ne": row.id}}
    if not await store.find(PARKED, others, limit=1):
        mark.sequence, mark.parked_to = max(mark.seen, row.sequence), 0
    uow.save(MARKS, mark)
    uow.delete(PARKED, row)


def _is_due(event: Event, mark: Mark | None) -> bool:
    """Whether the event is for the handler: new, and not behind a parked one."""
    return mark is None or (event.sequence > mark.sequence and not mark.parked_to)


def _passes(error: Exception) -> bool:
    """A server that is away, or a lost race. An identity that is taken stays taken, but for the race for a mark."""
    return isinstance(error, (Conflict, Unavailable)) and not isinstance(error, Duplicate)


def _pauses(longest: float) -> _Pauses:
    return _Pauses(longest)


class _Pauses:
    """Growing pauses with full jitter: up to 0.2 s, 0.4 s, … `longest` seconds."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._next = min(0.2, longest)

    def __next__(self) -> float:
        pause = random.uniform(0, self._next)  # noqa: S311  (jitter, no secret)
        self._next = min(self._longest, 2 * self._next)
        return pause

    def __iter__(self) -> _Pauses:
        return self
