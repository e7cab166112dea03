"""Where documents of one kind live, and how an entity becomes a document and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    """A typed collection. Documents carry `_id`, `v` (version) and `s` (last event sequence) beside the entity.

    `derive` names fields that only the database needs, for its indexes: computed from the entity whenever it is
    stored, and dropped when it is loaded. They are brought up to date by the next write, not by a new `derive`.
    """

    def __init__(
        self,
        name: str,
        kind: type[T],
        indexes: Sequence[Index] = (),
        derive: Callable[[T], Document] | None = None,
    ) -> None:
        self._fields: frozenset[str] = (
            frozenset(field.name for field in fields(kind)) if is_dataclass(kind) else frozenset()
        )
        if taken := RESERVED & self._fields:
            raise TypeError(f"{kind.__name__}: fields named {', '.join(sorted(taken))} are the store's")
        self.name = name
        self.kind = kind
        self.indexes = tuple(indexes)
        self.derive = derive
        self._adapter = TypeAdapter(kind)

    def __repr__(self) -> str:
        return f"Collection({self.name!r})"

    def renamed(self, name: str) -> Collection[T]:
        """The same kind of documents under another name: the next generation of a read model."""
        return Collection(name, self.kind, self.indexes, self.derive)

    def to_document(self, entity: T, version: int, sequence: int) -> Document:
        """The document. Raises TypeError when a derived field has the name of one of the entity's."""
        content: Document = self._adapter.serializer.to_python(entity)
        document = {"_id": content.pop("id"), "v": version, "s": sequence, **content}
        if self.derive is not None:
            derived = self.derive(entity)
            if taken := derived.keys() & (self._fields | RESERVED):
                raise TypeError(f"{self.name}: {', '.join(sorted(taken))} cannot be derived, they are fields already")
            document.update(derived)
        return document

    def to_entity(self, document: Document) -> T:
        """The entity; what it has no field for, derived ones above all, is left out."""
        content = {name: value for name, value in document.items() if name not in RESERVED}
        return self._adapter.validate_python({"id": document["_id"], **content})
