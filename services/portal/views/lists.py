"""Red and black lists as readers ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.portal.domain.lists import ListView
from services.portal.views.cursor import after, cursor_at
from shared.contracts.scoring import ListKind
from shared.store import Collection, Store
from shared.store.collection import Filter

PAGE = 10


@dataclass(frozen=True)
class ListPage:
    """Some red and black lists, the last published first; `next` is the cursor of the following page, if any."""

    lists: Sequence[ListView]
    next: str | None


class Lists:
    """The lists of a generation of the board."""

    def __init__(self, store: Store, lists: Collection[ListView]) -> None:
        self._store, self._lists = store, lists

    async def one(self, id: str) -> ListView | None:
        return await self._store.get(self._lists, id)

    async def page(self, kind: ListKind | None, cursor: str, limit: int = PAGE) -> ListPage:
        """Red and black lists, the last published first. A cursor that is none begins at the beginning."""
        filter: Filter = {} if kind is None else {"kind": kind.value}
        order = [("published_at", -1), ("_id", -1)]
        found = await self._store.find(self._lists, {**filter, **after(cursor, "published_at")}, order, limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        return ListPage(found[:limit], cursor_at(last.published_at, last.id) if last else None)
