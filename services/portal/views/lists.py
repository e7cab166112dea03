"""Red and black lists as readers ask for them."""

from __future__ import annotations

from datetime import datetime

from services.portal.domain.lists import ListView
from services.portal.views.cases import behind
from shared.contracts.scoring import ListKind
from shared.paging import Key, Order, Page
from shared.store import Collection, Store

PAGE = 10
ORDER = Order("published", Key("published_at", datetime, descending=True), Key("_id", descending=True))


class Lists:
    """The lists of a generation of the board."""

    def __init__(self, store: Store, lists: Collection[ListView]) -> None:
        self._store, self._lists = store, lists

    async def one(self, id: str) -> ListView | None:
        return await self._store.get(self._lists, id)

    async def page(self, kind: ListKind | None, cursor: str, limit: int = PAGE) -> Page[ListView]:
        """Red and black lists, the last published first. A cursor that is none begins at the beginning."""
        conditions = [*([{"kind": kind.value}] if kind else []), *behind(ORDER, cursor)]
        filter = {"$and": conditions} if conditions else {}
        found = await self._store.find(self._lists, filter, ORDER.sort, limit + 1)
        return ORDER.page_by(found, limit, lambda each: (each.published_at, each.id))
