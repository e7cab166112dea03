"""The store's driver in memory: atomic, versioned, and able to fail on command."""

from __future__ import annotations

import copy
import re
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from shared.clock import Clock, to_milliseconds
from shared.errors import Conflict, Duplicate, NotFound
from shared.store.collection import Document, Filter, Index
from shared.store.driver import Sort
from shared.store.unit import Change, Write

Fault = Callable[[str], None]
"""Called at `before-commit` and `after-commit`; what it raises is what the caller sees."""


class MemoryDriver:
    """What MongoDB does for the store, for tests without a server. Aggregations are left to the real one."""

    def __init__(self, clock: Clock, fault: Fault = lambda point: None) -> None:
        self._clock = clock
        self.fault = fault
        self.ahead = timedelta()
        self._documents: dict[str, dict[str, Document]] = defaultdict(dict)
        self._indexes: dict[str, dict[str, Index]] = defaultdict(dict)
        self._leases: dict[str, tuple[str, Any]] = {}
        self._files: dict[str, bytes] = {}

    async def transact(self, writes: Sequence[Write]) -> None:
        self.fault("before-commit")
        touched = {write.collection for write in writes}
        before = {name: dict(self._documents[name]) for name in touched}
        try:
            for write in writes:
                self._apply(write)
            for name in touched:
                self._check_unique(name)
        except Conflict:
            self._documents.update(before)
            raise
        self.fault("after-commit")

    def _apply(self, write: Write) -> None:
        documents = self._documents[write.collection]
        present = documents.get(write.id)
        if write.change is Change.INSERT and present is not None:
            raise Duplicate(f"{write.collection} {write.id} exists")
        if write.change in {Change.REPLACE, Change.DELETE} and (present is None or present["v"] != write.expected):
            raise Conflict(f"a document in {write.collection} is not the one that was read")
        if write.document is None:
            del documents[write.id]
        else:
            documents[write.id] = _stored(write.document)

    def _check_unique(self, name: str) -> None:
        for index in self._indexes[name].values():
            if not index.unique:
                continue
            seen = set()
            for document in self._documents[name].values():
                if not matches(document, index.partial or {}):
                    continue
                values = tuple(_value(document, field) for field, _ in index.keys)
                if values in seen:
                    raise Duplicate(f"{name}: {index.name} {values}")
                seen.add(values)

    async def find(
        self,
        collection: str,
        filter: Filter,
        sort: Sort = (),
        limit: int = 0,
        skip: int = 0,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        found = [d for d in self._documents[collection].values() if matches(d, filter)]
        for field, direction in reversed(list(sort)):
            found.sort(key=lambda document: _ordered(_value(document, field)), reverse=direction < 0)
        found = found[skip : skip + limit] if limit else found[skip:]
        if fields is not None:
            found = [{name: d[name] for name in ("_id", *fields) if name in d} for d in found]
        return copy.deepcopy(found)

    async def stream(
        self, collection: str, filter: Filter, sort: Sort = (), fields: Sequence[str] | None = None
    ) -> AsyncGenerator[Document, None]:
        for document in await self.find(collection, filter, sort, fields=fields):
            yield document

    async def count(self, collection: str, filter: Filter) -> int:
        return len(await self.find(collection, filter))

    async def size(self, collection: str) -> int:
        return len(self._documents[collection])

    async def aggregate(self, collection: str, pipeline: Sequence[Document]) -> list[Document]:
        raise LookupError("aggregations are tested on the real server")

    async def delete(self, collection: str, filter: Filter) -> int:
        gone = await self.find(collection, filter)
        for document in gone:
            del self._documents[collection][document["_id"]]
        return len(gone)

    async def lease(self, name: str, holder: str, seconds: float) -> bool:
        now = self._clock.now()
        owner, until = self._leases.get(name, (holder, now))
        if owner != holder and until >= now:
            return False
        self._leases[name] = (holder, now + timedelta(seconds=seconds))
        return True

    async def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    async def release(self, name: str, holder: str) -> None:
        if self._leases.get(name, ("", None))[0] == holder:
            del self._leases[name]

    async def ensure_indexes(self, collection: str, indexes: Sequence[Index]) -> None:
        for index in indexes:
            self._indexes[collection].setdefault(index.name, index)

    async def indexes(self, collection: str) -> dict[str, Index]:
        return dict(self._indexes[collection])

    async def drop_index(self, collection: str, name: str) -> None:
        del self._indexes[collection][name]

    async def drop(self, collection: str) -> None:
        self._documents.pop(collection, None)

    async def upload(self, id: str, content: bytes, metadata: Document) -> None:
        self._files.setdefault(id, content)

    async def download(self, id: str) -> AsyncIterator[bytes]:
        if id not in self._files:
            raise NotFound("file-not-found", id=id)
        yield self._files[id]

    async def discard(self, id: str) -> None:
        self._files.pop(id, None)

    async def server_info(self) -> dict[str, Any]:
        return {"version": "memory"}

    async def close(self) -> None:
        return


def matches(document: Document, filter: Filter) -> bool:
    """Whether the document fits the filter: the operators that our queries use, others raise KeyError."""
    return all(_matches(document, field, wanted) for field, wanted in filter.items())


def _matches(document: Document, field: str, wanted: Any) -> bool:
    if field == "$or":
        return any(matches(document, choice) for choice in wanted)
    if field == "$and":
        return all(matches(document, part) for part in wanted)
    if field == "$nor":
        return not any(matches(document, choice) for choice in wanted)
    value = _value(document, field)
    if isinstance(wanted, dict) and any(name.startswith("$") for name in wanted):
        return all(_OPERATORS[name](value, operand) for name, operand in wanted.items())
    return bool(value == wanted or (isinstance(value, list) and wanted in value))


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$in": lambda value, wanted: any(v in wanted for v in value) if isinstance(value, list) else value in wanted,
    "$all": lambda value, wanted: isinstance(value, list) and all(each in value for each in wanted),
    "$nin": lambda value, wanted: value not in wanted,
    "$ne": lambda value, wanted: value != wanted,
    "$eq": lambda value, wanted: value == wanted,
    "$lt": lambda value, wanted: value is not None and value < wanted,
    "$lte": lambda value, wanted: value is not None and value <= wanted,
    "$gt": lambda value, wanted: value is not None and value > wanted,
    "$gte": lambda value, wanted: value is not None and value >= wanted,
    "$exists": lambda value, wanted: (value is not None) == wanted,
    "$regex": lambda value, wanted: value is not None and re.search(wanted, value) is not None,
}


def _value(document: Document, field: str) -> Any:
    value: Any = document
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _ordered(value: Any) -> tuple[bool, Any]:
    return (value is not None, value)


def _stored(value: Any) -> Any:
    """The value as it would come back from BSON: lists for tuples, plain strings for enums, whole milliseconds."""
    if isinstance(value, dict):
        return {name: _stored(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_stored(part) for part in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return to_milliseconds(value)
    return value
