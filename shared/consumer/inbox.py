"""One batch, one transaction: which events are new, what the handlers make of them, and what is set aside."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Generic, Literal

from shared import telemetry
from shared.consumer.breaker import Breaker, Broken
from shared.consumer.marks import MARKS, Mark, lane_id, mark_id
from shared.consumer.parking import PARKED, TEXT_KEPT, Parked, Parking, event_in
from shared.consumer.pauses import LONGEST_PAUSE, TRIES, patiently
from shared.consumer.subscription import R_contra, Subscription
from shared.event import Event, Undecodable
from shared.kafka import Record
from shared.store import Store, UnitOfWork

log = logging.getLogger(__name__)

Outcome = Literal["ok", "duplicate", "parked", "early"]


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
        self._parking = Parking(store, subscription.group)
        self._longest_pause = longest_pause
        self._breaker = Breaker()

    async def apply(self, batch: Sequence[Record]) -> None:
        """One transaction for the whole batch. Raises what a handler raises; nothing is written then."""
        started = time.perf_counter()
        uow = self._store.unit()
        events = [record.event() for record in batch]
        await self._load(uow, events)
        outcomes = [await self._apply_one(uow, *pair) for pair in zip(batch, events, strict=True)]
        await self._store.commit(uow)
        self._breaker.passed(outcomes.count("ok"))
        self._count(events, outcomes)
        for event in self._gapped(uow, events, outcomes):
            await self._heal(event)
        telemetry.CONSUMER_BATCH_SECONDS.labels(self._subscription.group).observe(time.perf_counter() - started)

    async def apply_singly(self, batch: Sequence[Record], tries: int = TRIES) -> None:
        """One transaction per record; those that cannot be handled are parked. Raises Broken.

        `tries`: of a fault that is neither known to pass nor known to stay.
        """
        group = self._subscription.group
        for record in batch:
            error = await self._try(record, tries)
            if error is not None:
                self._breaker.handled(poison=True)
                if self._subscription.on_poison == "stop":
                    raise Broken(f"{record.partition} {record.offset}: {error!r}")
                await patiently(partial(self._park_poison, record, error), group, self._longest_pause)

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
            await self._parking.resolve(uow, row, mark)

        await self._store.run(again)

    async def _load(self, uow: UnitOfWork, events: Sequence[Event]) -> None:
        """Marks, and side by side with them what the handlers will ask for."""
        subscription = self._subscription
        ids = {mark_id(subscription.group, event) for event in events}
        if subscription.order == "key":
            ids |= {lane_id(subscription.group, event) for event in events}
        wanted = [event for event in events if event.type in subscription.handlers]
        if subscription.prefetch is None or not wanted:
            await uow.load(MARKS, ids)
            return
        marks, fault = await asyncio.gather(
            uow.load(MARKS, ids), subscription.prefetch(uow, wanted, self._resources), return_exceptions=True
        )
        if isinstance(marks, BaseException):
            raise marks
        if isinstance(fault, Undecodable):  # of an event that nobody will handle, perhaps
            due = [event for event in wanted if self._is_due(event, marks)]
            if due:
                await subscription.prefetch(uow, due, self._resources)
        elif fault is not None:
            raise fault

    def _is_due(self, event: Event, marks: dict[str, Mark]) -> bool:
        """Whether the event is for the handler: new, and not behind a parked one."""
        mark = marks.get(mark_id(self._subscription.group, event))
        lane = marks.get(lane_id(self._subscription.group, event))
        held = any(each is not None and each.parked_to for each in (mark, lane))
        return not held and (mark is None or event.sequence > mark.sequence)

    async def _apply_one(self, uow: UnitOfWork, record: Record, event: Event) -> Outcome:
        mark = await self._mark(uow, mark_id(self._subscription.group, event))
        if mark.has(event.sequence):
            return "duplicate"
        holds = self._subscription.on_gap == "hold" and self._subscription.on_poison != "skip"
        if event.sequence <= mark.parked_to:  # parked before, or late
            if not holds or await uow.find(PARKED, self._parking.id_of(event)) is not None:
                return "duplicate"
            if event.sequence == mark.sequence + 1:
                return await self._take(uow, record, event, mark)
        elif event.sequence > mark.seen + 1:
            self._gap(event, mark)
            if not holds and not mark.parked_to:
                return await self._take(uow, record, event, mark)
        elif not mark.parked_to:
            return await self._take(uow, record, event, mark)
        return await self._wait(uow, record, event, mark)

    async def _take(self, uow: UnitOfWork, record: Record, event: Event, mark: Mark) -> Outcome:
        """It is the event's turn in its aggregate; if not in its key, it waits there."""
        lane = await self._held_lane(uow, event)
        if lane is None:
            await self._handle(uow, event)
        else:
            lane.parked_to += 1
            self._parking.add(uow, record, event, lane, event.key, lane.parked_to, "behind")
        mark.advance(event.sequence)
        uow.save(MARKS, mark)
        return "ok" if lane is None else "parked"

    async def _wait(self, uow: UnitOfWork, record: Record, event: Event, mark: Mark) -> Outcome:
        """Its predecessor is parked, or has not come."""
        poisoned = await self._parking.is_poisoned(mark)
        mark.parked_to = max(mark.parked_to, event.sequence)
        reason: Literal["behind", "early"] = "behind" if poisoned else "early"
        self._parking.add(uow, record, event, mark, event.subject, event.sequence, reason)
        return "parked" if poisoned else "early"

    async def _heal(self, event: Event) -> None:
        """Handle, each in a transaction of its own, what waits for nothing but predecessors that have come."""
        group = self._subscription.group
        while (row := await self._next_waiting(event)) is not None:
            again = partial(self._store.run, partial(self._heal_one, row))
            try:
                await patiently(again, group, self._longest_pause)
            except Broken:
                raise
            except Exception as error:
                self._breaker.handled(poison=True)
                log.exception("%s parked %s", group, row.id)
                await patiently(partial(self._store.run, partial(_poison, row, error)), group, self._longest_pause)

    async def _next_waiting(self, event: Event) -> Parked | None:
        uow = self._store.unit()
        mark = await uow.find(MARKS, mark_id(self._subscription.group, event))
        if mark is None or not mark.parked_to:
            return None
        row = await uow.find(PARKED, self._parking.id_of(event, mark.sequence + 1))
        return row if row is not None and row.mark == mark.id and row.reason == "early" else None

    async def _heal_one(self, row: Parked, uow: UnitOfWork) -> None:
        row, mark = await uow.get(PARKED, row.id), await uow.get(MARKS, row.mark)
        event = row.record().event()
        lane = await self._held_lane(uow, event)
        if lane is None:
            await self._handle(uow, event)
            uow.delete(PARKED, row)
        else:
            lane.parked_to += 1
            row.mark, row.subject, row.sequence, row.reason = lane.id, event.key, lane.parked_to, "behind"
            uow.save(PARKED, row)
            uow.save(MARKS, lane)
        mark.done(event.sequence)
        if mark.sequence >= mark.parked_to:
            mark.free()
        uow.save(MARKS, mark)

    async def _handle(self, uow: UnitOfWork, event: Event) -> None:
        """Run the handler; what it tells belongs to the trace of what it was told."""
        if event.traceparent is None:
            await self._subscription.handle(uow, event, self._resources)
            return
        name = self._subscription.group
        with telemetry.working_for(event.traceparent, name=name, kind="consumer") as span, uow.tracing(span):
            await self._subscription.handle(uow, event, self._resources)

    async def _mark(self, uow: UnitOfWork, id: str) -> Mark:
        mark = await uow.find(MARKS, id)
        if mark is None:
            mark = Mark(id)
            uow.insert(MARKS, mark)
        return mark

    async def _held_lane(self, uow: UnitOfWork, event: Event) -> Mark | None:
        if self._subscription.order != "key":
            return None
        lane = await uow.find(MARKS, lane_id(self._subscription.group, event))
        return lane if lane is not None and lane.parked_to else None

    async def _try(self, record: Record, tries: int) -> Exception | None:
        """Apply one record; the error that makes it poisonous, or None."""
        try:
            await patiently(partial(self.apply, [record]), self._subscription.group, self._longest_pause, tries)
        except Broken:
            raise
        except Exception as error:  # whatever it is, it is this record's
            return error
        return None

    async def _park_poison(self, record: Record, error: Exception) -> None:
        uow, event = self._store.unit(), event_in(record)
        if event is None:
            if not await self._parking.add_unreadable(uow, record, error):
                return
        else:
            mark = await self._mark(uow, mark_id(self._subscription.group, event))
            if mark.has(event.sequence) or await uow.find(PARKED, self._parking.id_of(event)) is not None:
                return
            await self._park(uow, record, event, mark, error)
        await self._store.commit(uow)
        group, topic = self._subscription.group, record.partition.topic
        outcome = "skipped" if self._subscription.on_poison == "skip" else "parked"
        telemetry.CONSUMER_RECORDS.labels(group, topic, outcome).inc()
        telemetry.DLQ_RECORDS.labels(group, topic, type(error).__name__).inc()
        log.error("%s parked %s@%d: %r", self._subscription.group, record.partition, record.offset, error)

    async def _park(self, uow: UnitOfWork, record: Record, event: Event, mark: Mark, error: Exception) -> None:
        add = partial(self._parking.add, uow, record, event, error=error)
        if self._subscription.on_poison == "skip":
            mark.sequence = event.sequence
            add(mark, event.subject, event.sequence, "skipped")
        elif self._subscription.order == "key":
            lane = await self._mark(uow, lane_id(self._subscription.group, event))
            lane.parked_to = lane.seen + 1
            mark.sequence = event.sequence
            uow.save(MARKS, mark)
            add(lane, event.key, lane.parked_to, "poison")
        else:
            mark.parked_to = max(mark.parked_to, event.sequence)
            add(mark, event.subject, event.sequence, "poison")

    def _gap(self, event: Event, mark: Mark) -> None:
        telemetry.EVENTS_SEQUENCE_GAP.labels(self._subscription.group, event.topic).inc()
        log.error("%s: %s comes after %d", self._subscription.group, event.id, mark.seen)
        if self._subscription.on_gap == "stop":
            raise Broken(f"gap: {event.id} comes after {mark.seen}")

    def _gapped(self, uow: UnitOfWork, events: Sequence[Event], outcomes: Sequence[Outcome]) -> list[Event]:
        """Of each aggregate that waits for a predecessor one event."""
        held = {mark.id for mark in uow.known(MARKS) if mark.parked_to and "|key=" not in mark.id}
        by_key = self._subscription.order == "key"
        found = zip(events, outcomes, strict=True) if held else ()
        group = self._subscription.group
        touched = {mark_id(group, event): event for event, outcome in found if by_key or outcome != "parked"}
        return [event for id, event in touched.items() if id in held]

    def _count(self, events: Sequence[Event], outcomes: Sequence[Outcome]) -> None:
        group, now = self._subscription.group, self._store.clock.now()
        seen = Counter((event.topic, outcome) for event, outcome in zip(events, outcomes, strict=True))
        for (topic, outcome), times in seen.items():
            telemetry.CONSUMER_RECORDS.labels(group, topic, outcome).inc(times)
            if outcome == "parked":
                telemetry.DLQ_RECORDS.labels(group, topic, "behind").inc(times)
        for event, outcome in zip(events, outcomes, strict=True):
            if outcome == "ok" and event.type in self._subscription.handlers:
                telemetry.observe_age(event.type, group, (now - event.time).total_seconds())


async def _poison(row: Parked, error: Exception, uow: UnitOfWork) -> None:
    """What waited for its predecessor cannot be handled, although that has come."""
    row = await uow.get(PARKED, row.id)
    row.reason, row.error, row.text = "poison", type(error).__name__, str(error)[:TEXT_KEPT]
    uow.save(PARKED, row)
