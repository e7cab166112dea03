"""Documents and the events that follow from them, written together or not at all.

    async def acknowledge(uow: UnitOfWork) -> None:
        case = await uow.get(CASES, id)
        event = case.acknowledge(by=officer, at=uow.now)
        uow.save(CASES, case, event)

    await store.run(acknowledge)

A unit of work is data; `commit` merges the units of concurrent callers into one transaction (group commit) and
hands their events to the relay. This package alone imports a MongoDB driver.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from shared import telemetry
from shared.clock import Clock
from shared.errors import Conflict, Duplicate, Unavailable
from shared.event import Event
from shared.store import migration
from shared.store.collection import Collection, Document, Filter, Identified, Index, T
from shared.store.commit import GroupCommit
from shared.store.driver import Driver, Sort
from shared.store.turns import Turns
from shared.store.unit import Change, UnitOfWork, Write

__all__ = [
    "OUTBOX",
    "Change",
    "Collection",
    "Conflict",
    "Document",
    "Driver",
    "Duplicate",
    "Identified",
    "Index",
    "OutboxRow",
    "Remembered",
    "Store",
    "Unavailable",
    "UnitOfWork",
    "Write",
    "remember",
]

log = logging.getLogger(__name__)

R = TypeVar("R")
Listener = Callable[[UnitOfWork], None]


@dataclass
class OutboxRow:
    """An event that is committed and not yet known to be in Kafka. The row goes once it is.

    `created_at` is the machine's time, whatever clock the district shows: it tells how long the row has waited.
    """

    id: str
    topic: str
    type: str
    subject: str
    sequence: int
    time: datetime
    key: str
    value: bytes
    traceparent: str | None
    created_at: datetime

    @staticmethod
    def document(event: Event) -> Document:
        """The row of an event as it is stored: every event of the platform takes this way, so without a detour."""
        return {
            "_id": event.id,
            "v": 1,
            "s": 0,
            "topic": event.topic,
            "type": event.type,
            "subject": event.subject,
            "sequence": event.sequence,
            "time": event.time,
            "key": event.key,
            "value": event.value,
            "traceparent": event.traceparent,
            "created_at": datetime.now(UTC),
        }

    @property
    def event(self) -> Event:
        return Event(
            self.topic,
            self.type,
            self.subject,
            self.sequence,
            self.time,
            self.key,
            self.value,
            self.traceparent,
        )


@dataclass
class Remembered:
    """The answer a command gave, kept with what the command wrote; `id` is the scoped Idempotency-Key."""

    id: str
    fingerprint: str
    status: int
    body: bytes
    at: datetime


OUTBOX = Collection(
    "outbox",
    OutboxRow,
    [
        Index((("topic", 1), ("subject", 1), ("sequence", 1))),
        Index((("created_at", 1),)),
    ],
)
IDEMPOTENCY = Collection("idempotency", Remembered, [Index((("at", 1),), expire_after_seconds=7 * 24 * 3600)])


def remember(uow: UnitOfWork, key: str, fingerprint: str, status: int, body: bytes) -> None:
    """Keep the answer in the same transaction, so that the same request can be answered the same again (7 days)."""
    uow.insert(IDEMPOTENCY, Remembered(key, fingerprint, status, body, uow.now))


class Store:
    """One service's database."""

    def __init__(self, driver: Driver, clock: Clock, collections: Sequence[Collection[Any]] = ()) -> None:
        self.driver = driver
        self.clock = clock
        self._collections: list[Collection[Any]] = [OUTBOX, IDEMPOTENCY, *collections]
        self._commits = GroupCommit(driver)
        self._turns = Turns()
        self._listeners: list[Listener] = []

    async def ensure_indexes(self) -> None:
        """Create what is missing of the declared collections and indexes; may be repeated.

        What is declared otherwise now, or not any more, stays as it is and is told of.
        """
        await asyncio.gather(*(self.driver.ensure_indexes(each.name, each.indexes) for each in self._collections))
        left = await migration.plan(self.driver, self._collections)
        telemetry.INDEXES_TO_MIGRATE.set(len(left))
        for change in left:
            log.warning("index %s of %s is not as declared: %s it", change.name, change.collection, change.step.value)

    @property
    def collections(self) -> Sequence[Collection[Any]]:
        """What is kept here, as far as it is declared."""
        return tuple(self._collections)

    def on_commit(self, listener: Listener) -> None:
        """Have `listener` called with every unit of work that this process has committed."""
        self._listeners.append(listener)

    def unit(self) -> UnitOfWork:
        """A fresh unit of work."""
        return UnitOfWork(self._read, self.clock, telemetry.current_traceparent())

    async def commit(self, uow: UnitOfWork) -> None:
        """Make the unit durable, its events included. Raises Conflict, Duplicate or Unavailable (outcome unknown)."""
        writes = uow.writes()
        writes.extend(Write(OUTBOX.name, event.id, Change.INSERT, OutboxRow.document(event), 0) for event in uow.events)
        if not writes:
            return
        await self._commits.commit(writes)
        for listener in self._listeners:
            listener(uow)

    async def run(self, command: Callable[[UnitOfWork], Awaitable[R]], tries: int = 8) -> R:
        """Decide, commit, and decide again on fresh data when somebody else was faster: then in turn with others.

        Raises what the command raises, Conflict after `tries` lost races, Unavailable when the outcome is unknown.
        """
        contested: set[tuple[str, str]] = set()
        for lost in range(tries):
            uow = self.unit()
            try:
                async with self._turns.taken(contested):
                    answer = await command(uow)
                    await self.commit(uow)
            except Duplicate:
                raise
            except Conflict:
                if lost == tries - 1:
                    raise
                contested = {(write.collection, write.id) for write in uow.writes()}
                await asyncio.sleep(random.uniform(0, 0.01 * 2**lost))  # noqa: S311  (jitter, no secret)
            else:
                return answer
        raise AssertionError("unreachable: the last try returns or raises")

    async def recall(self, key: str) -> Remembered | None:
        """The answer once given under this key."""
        return await self.get(IDEMPOTENCY, key)

    async def get(self, collection: Collection[T], id: str) -> T | None:
        """The entity, or None."""
        found = await self.driver.find(collection.name, {"_id": id}, limit=1)
        return collection.to_entity(found[0]) if found else None

    async def find(
        self, collection: Collection[T], filter: Filter, sort: Sort = (), limit: int = 0, skip: int = 0
    ) -> list[T]:
        """Entities that match, in order; `limit` 0 means all."""
        documents = await self.driver.find(collection.name, filter, sort, limit, skip)
        return [collection.to_entity(document) for document in documents]

    def stream(
        self, collection: Collection[T], filter: Filter, sort: Sort = (), fields: Sequence[str] | None = None
    ) -> AsyncGenerator[Document, None]:
        """All documents that match, in order and as they are stored, without holding more than a batch of them.

        With `fields` only those and `_id`. To be closed (`contextlib.aclosing`) by who may stop early.
        """
        return self.driver.stream(collection.name, filter, sort, fields)

    async def count(self, collection: Collection[T], filter: Filter) -> int:
        """How many match."""
        return await self.driver.count(collection.name, filter)

    async def aggregate(self, collection: Collection[T], pipeline: Sequence[Document]) -> list[Document]:
        """The raw answer of an aggregation."""
        return await self.driver.aggregate(collection.name, pipeline)

    async def upload(self, id: str, content: bytes, metadata: Document) -> None:
        """Keep a file under its identity."""
        await self.driver.upload(id, content, metadata)

    def download(self, id: str) -> AsyncIterator[bytes]:
        """The file in pieces. Raises NotFound(`file-not-found`)."""
        return self.driver.download(id)

    async def drain(self) -> None:
        """Returns when no commit is waiting."""
        await self._commits.drain()

    async def close(self) -> None:
        """Finish what is waiting, then leave the database."""
        await self.drain()
        await self.driver.close()

    async def _read(self, collection: str, ids: list[str]) -> list[Document]:
        return await self.driver.find(collection, {"_id": ids[0]} if len(ids) == 1 else {"_id": {"$in": ids}})
