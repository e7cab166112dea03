"""Where documents of one kind live, and how an entity becomes a document and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import TypeAdapter

Document = dict[str, Any]
Filter = dict[str, Any]

RESERVED = {"_id", "v", "s"}


class Identified(Protocol):
    """Anything kept in a collection: a dataclass with an identity."""

    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=Identified)


@dataclass(frozen=True)
class Index:
    """An index, declared beside the repository that needs it. `1` ascends, `-1` descends, `"2dsphere"` is geo."""

    keys: tuple[tuple[str, int | str], ...]
    unique: bool = False
    expire_after_seconds: int | None = None
    partial: Filter | None = None

    @property
    def name(self) -> str:
        return "_".join(f"{field}_{direction}" for field, direction in self.keys)


class Collection(Generic[T]):
    """A typed collection. Documents carry `_id`, `v` (version) and `s` (last event sequence) beside the entity."""

    def __init__(self, name: str, kind: type[T], indexes: Sequence[Index] = ()) -> None:
        if is_dataclass(kind) and (taken := RESERVED & {field.name for field in fields(kind)}):
            raise TypeError(f"{kind.__name__}: fields named {', '.join(sorted(taken))} are the store's")
        self.name = name
        self.kind = kind
        self.indexes = tuple(indexes)
        self._adapter = TypeAdapter(kind)

    def __repr__(self) -> str:
        return f"Collection({self.name!r})"

    def renamed(self, name: str) -> Collection[T]:
        """The same kind of documents under another name: the next generation of a read model."""
        return Collection(name, self.kind, self.indexes)

    def to_document(self, entity: T, version: int, sequence: int) -> Document:
        told: Document = self._adapter.serializer.to_python(entity)
        return {"_id": told.pop("id"), "v": version, "s": sequence, **told}

    def to_entity(self, document: Document) -> T:
        told = {name: value for name, value in document.items() if name not in RESERVED}
        return self._adapter.validate_python({"id": document["_id"], **told})
