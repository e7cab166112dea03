"""Records set aside: kept raw with the reason, copied to `<group>.dlq`, and resolved one by one, in order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.consumer.marks import MARKS, Mark
from shared.event import Event, Undecodable
from shared.kafka import Partition, Record
from shared.store import Collection, Index, Store, UnitOfWork
from shared.store.collection import Filter
from shared.store.unit import EVENT_LIMIT

UNREADABLE = "chuangwen.unreadable"
TEXT_KEPT = 2000
"""Characters of an error's text."""
Reason = Literal["poison", "behind", "skipped", "early"]


@dataclass
class Parked:
    """A record set aside, raw, with the reason.

    `behind` means that an earlier event is parked; `skipped`, that later ones were let pass; `early`, that its
    predecessor has not come: it is handled by itself as soon as that has. An unreadable record belongs to no
    aggregate: its `mark` is empty. For a group ordered by key, `subject` is the key, and `sequence` counts what was
    parked of it.
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
    reason: Reason
    error: str
    text: str
    at: datetime

    def record(self) -> Record:
        return Record(Partition(self.topic, self.partition), self.offset, 0.0, self.key, self.value, self.headers)


PARKED = Collection(
    "parked",
    Parked,
    [
        Index((("group", 1), ("subject", 1), ("sequence", 1))),
        Index((("group", 1), ("mark", 1), ("sequence", 1))),
        Index((("reason", 1),)),
    ],
)


class Parking:
    """What one group has set aside. Its methods change a unit of work, or commit one of their own where they say so."""

    def __init__(self, store: Store, group: str) -> None:
        self._store = store
        self._group = group

    def id_of(self, event: Event, number: int | None = None) -> str:
        """The identity of the event's row, or of that of another number of its aggregate."""
        return f"{self._group}|{event.topic}/{event.subject}/{number or event.sequence}"

    def add(
        self, uow: UnitOfWork, record: Record, event: Event, mark: Mark, subject: str, sequence: int, reason: Reason,
        error: Exception | None = None,
    ) -> None:  # fmt: skip
        """Set the event aside under this mark, and tell the dead letters unless it merely came early."""
        uow.insert(PARKED, self._row(record, event.id, mark.id, subject, sequence, reason, error, uow.now))
        uow.save(MARKS, mark)
        if reason != "early":
            uow.events.append(self._dead_letter(event))

    async def add_unreadable(self, uow: UnitOfWork, record: Record, error: Exception) -> bool:
        """False when it is parked already: it has no mark that would tell a second delivery."""
        subject = f"{record.partition.topic}-{record.partition.number}-{record.offset}"
        row = self._row(record, subject, "", subject, 1, "poison", error, uow.now)
        if await uow.find(PARKED, row.id) is not None:
            return False
        uow.insert(PARKED, row)
        key = (record.key or b"").decode(errors="replace")
        content = (record.value or b"")[:EVENT_LIMIT]  # a dead letter that Kafka refuses would hold up the outbox
        letter = Event(record.partition.topic, UNREADABLE, subject, 1, uow.now, key, content)
        uow.events.append(self._dead_letter(letter))
        return True

    async def is_poisoned(self, mark: Mark) -> bool:
        """Whether something parked under the mark cannot be handled, so that the rest waits for people."""
        if not mark.parked_to:
            return False
        poison: Filter = {"group": self._group, "mark": mark.id, "reason": {"$in": ["poison", "behind"]}}
        return bool(await self._store.driver.find(PARKED.name, poison, limit=1, fields=()))

    async def resolve(self, uow: UnitOfWork, row: Parked, mark: Mark) -> None:
        """Handled or given up. The key is free once nothing of it is left; the mark's guard holds whoever parks."""
        uow.delete(PARKED, row)
        if row.reason != "skipped":
            mark.done(row.sequence)
        others = {"group": row.group, "mark": row.mark, "reason": {"$ne": "skipped"}, "_id": {"$ne": row.id}}
        if mark.parked_to and not await self._store.find(PARKED, others, limit=1):
            mark.free()
        uow.save(MARKS, mark)

    async def drop(self, parked: Parked) -> None:
        """Give a record up, at once: its number counts as handled. Raises NotFound (`parked-not-found`)."""

        async def forget(uow: UnitOfWork) -> None:
            row = await uow.get(PARKED, parked.id)
            mark = await uow.find(MARKS, row.mark)
            if mark is None:
                uow.delete(PARKED, row)
            else:
                await self.resolve(uow, row, mark)

        await self._store.run(forget)

    def _row(
        self, record: Record, id: str, mark: str, subject: str, sequence: int, reason: Reason,
        error: Exception | None, at: datetime,
    ) -> Parked:  # fmt: skip
        return Parked(
            id=f"{self._group}|{id}",
            group=self._group,
            mark=mark,
            topic=record.partition.topic,
            partition=record.partition.number,
            offset=record.offset,
            key=record.key or b"",
            value=record.value or b"",
            headers=list(record.headers),
            subject=subject,
            sequence=sequence,
            reason=reason,
            error=type(error).__name__ if error is not None else "",
            text=str(error)[:TEXT_KEPT] if error is not None else "",
            at=at,
        )

    def _dead_letter(self, event: Event) -> Event:
        return Event(
            f"{self._group}.dlq",
            event.type,
            f"{event.topic}/{event.subject}",
            event.sequence,
            event.time,
            event.key,
            event.value,
            event.traceparent,
        )


def event_in(record: Record) -> Event | None:
    """The event in the record, or None of an unreadable one."""
    try:
        return record.event()
    except Undecodable:
        return None


async def unresolved(store: Store) -> int:
    """How many records of the whole service wait for people."""
    return await store.count(PARKED, {"reason": {"$ne": "early"}})


async def early(store: Store) -> int:
    """How many records of the whole service wait for a predecessor that has not come."""
    return await store.count(PARKED, {"reason": "early"})
