"""Pages of a long list: one walk along one order, and an opaque cursor that says how far a reader has come.

    NEWEST = Order("newest", Key("registered_at", datetime, descending=True), Key("_id", str, descending=True))

    page = await NEWEST.walk(store, LISTS, filter, after, limit)          # page.items, page.next

or, for documents as they are stored:

    found = await store.driver.find(CASES.name, {"$and": [filter, *NEWEST.behind(after)]}, NEWEST.sort, limit + 1)
    page = NEWEST.page(found, limit)

A page never has a gap or a repeat, whatever is written meanwhile, as long as the last key is unique. What a cursor
holds is nobody's business: its form may change with any version.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from shared.errors import Invalid
from shared.store import Collection, Document, Store
from shared.store.collection import Filter, Identified

MOST_CURSOR = 600
"""Characters of a cursor; `Query(max_length=MOST_CURSOR)`."""
_MOST_NUMBER = 2**53
_EPOCH = datetime.fromtimestamp(0, UTC)
_STEP = timedelta(milliseconds=1)

Value = str | int | datetime | None
T = TypeVar("T")
E = TypeVar("E", bound=Identified)


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of a list in its order; `next` is the cursor of the following page, None at the end."""

    items: Sequence[T]
    next: str | None


@dataclass(frozen=True)
class Key:
    """A field that a list is ordered by, and what its values are: text, whole numbers or moments (in milliseconds).

    `nullable`: documents may be without it and stand before all others; only upwards.
    """

    field: str
    kind: type[str] | type[int] | type[datetime] = str
    descending: bool = False
    nullable: bool = False


class Order:
    """An order of one or two keys, the last of them unique. A cursor of one order is none of another."""

    def __init__(self, name: str, *keys: Key) -> None:
        if not 1 <= len(keys) <= 2:
            raise ValueError("an order has one key or two")
        if any(key.nullable and key.descending for key in keys):
            raise ValueError("what may be missing is walked upwards only")
        self.name = name
        self.keys = keys
        self.sort = [(key.field, -1 if key.descending else 1) for key in keys]

    def page(self, found: Sequence[Document], limit: int) -> Page[Document]:
        """The first `limit` documents of what was found when `limit + 1` were asked for."""
        return self.page_by(found, limit, lambda document: tuple(document.get(key.field) for key in self.keys))

    def page_by(self, found: Sequence[T], limit: int, place: Callable[[T], tuple[Value, ...]]) -> Page[T]:
        """The same for anything else; `place` gives an item's values of the keys."""
        if len(found) <= limit:
            return Page(found, None)
        items = found[:limit]
        return Page(items, self.cursor(*place(items[-1])))

    async def walk(
        self, store: Store, collection: Collection[E], filter: Filter, after: str | None, limit: int
    ) -> Page[E]:
        """A page of a collection; the keys are fields of its entities. Raises Invalid (`cursor-malformed`)."""
        found = await store.find(collection, {"$and": [filter, *self.behind(after)]}, self.sort, limit + 1)
        return self.page_by(
            found,
            limit,
            lambda each: tuple(getattr(each, "id" if key.field == "_id" else key.field) for key in self.keys),
        )

    def cursor(self, *values: Value) -> str:
        """The cursor of a place."""
        written = [self.name, *(_written(value) for value in values)]
        return base64.urlsafe_b64encode(json.dumps(written, separators=(",", ":")).encode()).decode().rstrip("=")

    def read(self, cursor: str, field: str = "after") -> tuple[Any, ...]:
        """The values of a place. Raises Invalid (`cursor-malformed`), also for a cursor of another order."""
        try:
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            name, *values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            if len(cursor) > MOST_CURSOR or name != self.name or len(values) != len(self.keys):
                raise ValueError(name)
            return tuple(_read(value, key) for value, key in zip(values, self.keys, strict=True))
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise Invalid("cursor-malformed", field=field) from None

    def behind(self, cursor: str | None, field: str = "after") -> list[Filter]:
        """Conditions for what comes after a cursor; none without one. Raises Invalid (`cursor-malformed`)."""
        if not cursor:
            return []
        values, last = self.read(cursor, field), self.keys[-1]
        if len(self.keys) == 1:
            return [{last.field: {_beyond(last): values[-1]}}]
        first = self.keys[0]
        # The second condition is of a form that no index is tried for: the walk stays on the first.
        passed: Filter = {first.field: values[0], last.field: {"$gte" if last.descending else "$lte": values[1]}}
        bound: list[Filter] = [] if values[0] is None else [{first.field: {f"{_beyond(first)}e": values[0]}}]
        return [*bound, {"$nor": [passed]}]


def _beyond(key: Key) -> str:
    return "$lt" if key.descending else "$gt"


def _written(value: Value) -> str | int | None:
    return (value - _EPOCH) // _STEP if isinstance(value, datetime) else value


def _read(value: object, key: Key) -> Value:
    """Raises ValueError, TypeError and OverflowError for what is no value of the key."""
    if value is None and key.nullable:
        return None
    if key.kind is str and isinstance(value, str):
        value.encode()
        return value
    if type(value) is not int or abs(value) > _MOST_NUMBER or key.kind is str:
        raise ValueError(key.field)
    return _EPOCH + value * _STEP if key.kind is datetime else value
