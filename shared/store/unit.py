"""A unit of work: what one command or one batch of events wants to change, as data.

Because it is data, the store can merge the units of concurrent requests into one transaction, and a test can
look at it. It doubles as an identity map: many changes of one document are one guarded write.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, cast

from shared.clock import Clock
from shared.contracts.event_model import EventModel
from shared.errors import Duplicate, NotFound
from shared.event import Event
from shared.store.collection import Collection, Document, T

EVENT_LIMIT = 512 * 1024
"""Bytes of one event's data. A larger one could never be published, and would hold up all that follow it."""

Read = Callable[[str, list[str]], Awaitable[list[Document]]]
"""Documents of the named collection by identity, as the majority of the replica set holds them."""


class Change(Enum):
    """What happens to a document."""

    NONE = "none"
    INSERT = "insert"
    REPLACE = "replace"
    PUT = "put"
    DELETE = "delete"


class Write(NamedTuple):
    """One write. `REPLACE` and `DELETE` hold only while the stored version is `expected`."""

    collection: str
    id: str
    change: Change
    document: Document | None
    expected: int


@dataclass
class _Tracked:
    entity: Any
    version: int
    sequence: int
    change: Change = Change.NONE


class UnitOfWork:
    """Loads documents, remembers what is to be written and which events follow from it. Nothing is written here."""

    def __init__(self, read: Read, clock: Clock, traceparent: str | None = None) -> None:
        self._read = read
        self._traceparent = traceparent
        self._tracked: dict[tuple[str, str], _Tracked | None] = {}
        self._collections: dict[str, Collection[Any]] = {}
        self.now = clock.now()
        """When the unit began: one moment for everything it writes."""
        self.events: list[Event] = []
        self._last_only: dict[tuple[str, str], int] = {}

    async def find(self, collection: Collection[T], id: str) -> T | None:
        """The entity, or None."""
        return (await self.load(collection, [id])).get(id)

    async def get(self, collection: Collection[T], id: str) -> T:
        """The entity. Raises NotFound (`<collection>-not-found`)."""
        entity = await self.find(collection, id)
        if entity is None:
            raise NotFound(f"{collection.name}-not-found", id=id)
        return entity

    async def load(self, collection: Collection[T], ids: Iterable[str]) -> dict[str, T]:
        """The entities that exist among `ids`, in one round trip; those seen before come from the unit itself."""
        wanted = list(dict.fromkeys(ids))
        unknown = [id for id in wanted if (collection.name, id) not in self._tracked]
        if unknown:
            documents = {document["_id"]: document for document in await self._read(collection.name, unknown)}
            self._collections[collection.name] = collection
            for id in unknown:
                self._tracked.setdefault((collection.name, id), _tracked(collection, documents.get(id)))
        found = ((id, self._tracked[collection.name, id]) for id in wanted)
        return {
            id: cast(T, tracked.entity)
            for id, tracked in found
            if tracked is not None and tracked.change is not Change.DELETE
        }

    def insert(self, collection: Collection[T], entity: T, *events: EventModel) -> None:
        """A new document. Raises Duplicate when its identity is taken: at once if the unit knows, else on commit."""
        if self._tracked.get((collection.name, entity.id)) is not None:
            raise Duplicate(f"{collection.name} {entity.id} exists")
        self._track(collection, entity, _Tracked(entity, 1, 0, Change.INSERT), events)

    def save(self, collection: Collection[T], entity: T, *events: EventModel) -> None:
        """A changed document that this unit has loaded or inserted. Committing raises Conflict when it is stale."""
        tracked = self._loaded(collection, entity)
        if tracked.change is Change.NONE:
            tracked.change = Change.REPLACE
            tracked.version += 1
        self._track(collection, entity, tracked, events)

    def put(self, collection: Collection[T], entity: T) -> None:
        """The document whatever was there before: for projections, which their consumer's marks guard."""
        self._track(collection, entity, _Tracked(entity, 1, 0, Change.PUT), ())

    def delete(self, collection: Collection[T], entity: T) -> None:
        """The document is to go. It must have been loaded; committing raises Conflict when it is stale."""
        tracked = self._loaded(collection, entity)
        if tracked.change is Change.INSERT:
            self._tracked[collection.name, entity.id] = None
            return
        if tracked.change is Change.REPLACE:
            tracked.version -= 1
        tracked.change = Change.DELETE

    def sequence(self, collection: Collection[T], id: str) -> int:
        """Number of the last event of the aggregate, those of this unit included."""
        tracked = self._tracked.get((collection.name, id))
        return tracked.sequence if tracked else 0

    @contextmanager
    def tracing(self, traceparent: str) -> Iterator[None]:
        """Events of this unit that are told inside belong to this span."""
        before, self._traceparent = self._traceparent, traceparent
        try:
            yield
        finally:
            self._traceparent = before

    def known(self, collection: Collection[T]) -> list[T]:
        """The entities of a collection that this unit has loaded or inserted, deletions left out."""
        return [
            cast(T, tracked.entity)
            for (name, _), tracked in self._tracked.items()
            if name == collection.name and tracked is not None and tracked.change is not Change.DELETE
        ]

    def changed(self, collection: Collection[T]) -> list[T]:
        """The entities of a collection that this unit writes, deletions left out."""
        return [
            cast(T, tracked.entity)
            for (name, _), tracked in self._tracked.items()
            if name == collection.name and tracked is not None and tracked.change not in {Change.NONE, Change.DELETE}
        ]

    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return all(tracked is None or tracked.change is Change.NONE for tracked in self._tracked.values())

    def writes(self) -> list[Write]:
        """What is to be written, each document once."""
        return [
            self._write(name, id, tracked)
            for (name, id), tracked in self._tracked.items()
            if tracked is not None and tracked.change is not Change.NONE
        ]

    def _loaded(self, collection: Collection[T], entity: T) -> _Tracked:
        tracked = self._tracked.get((collection.name, entity.id))
        if tracked is None or tracked.change is Change.DELETE:
            raise LookupError(f"{collection.name} {entity.id} was not loaded by this unit of work")
        return tracked

    def _write(self, name: str, id: str, tracked: _Tracked) -> Write:
        if tracked.change is Change.DELETE:
            return Write(name, id, Change.DELETE, None, tracked.version)
        document = self._collections[name].to_document(tracked.entity, tracked.version, tracked.sequence)
        return Write(name, id, tracked.change, document, tracked.version - 1)

    def _track(self, collection: Collection[T], entity: T, tracked: _Tracked, events: Iterable[EventModel]) -> None:
        self._collections[collection.name] = collection
        tracked.entity = entity
        self._tracked[collection.name, entity.id] = tracked
        for model in events:
            self._emit(entity.id, tracked, model)

    def _emit(self, subject: str, tracked: _Tracked, model: EventModel) -> None:
        place = self._last_only.get((model.TYPE, subject)) if model.ONLY_LAST else None
        if place is None:
            tracked.sequence += 1
            self._last_only[model.TYPE, subject] = len(self.events)
            self.events.append(Event.new(model, subject, tracked.sequence, self.now, self._traceparent))
        else:
            number = self.events[place].sequence
            self.events[place] = Event.new(model, subject, number, self.now, self._traceparent)
        if len(self.events[-1 if place is None else place].value) > EVENT_LIMIT:
            raise ValueError(f"the event {model.TYPE} of {subject} is larger than {EVENT_LIMIT} bytes")


def _tracked(collection: Collection[T], document: Document | None) -> _Tracked | None:
    if document is None:
        return None
    return _Tracked(collection.to_entity(document), document["v"], document["s"])
