"""Cases as readers ask for them: one, a page, and how many."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from services.portal.domain.cases import NOT_OF_OFFICES, CaseView
from shared.clock import CHINA
from shared.contracts.reports import CaseState, Kind, Stage
from shared.errors import Invalid
from shared.paging import Key, Order, Page
from shared.store import Collection, Store
from shared.store.collection import Filter

PAGE = 30
ORDER = Order("newest", Key("registered_at", datetime, descending=True), Key("_id", descending=True))
PAUSES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5)
"""Seconds between looks for a case that is on its way: two in all. It is usually there at the second look."""


@dataclass(frozen=True)
class CaseFilter:
    """Which cases a reader asks for; `after` is the cursor of the page before."""

    state: CaseState | None = None
    kind: Kind | None = None
    unit: str = ""
    community: str = ""
    category: str = ""
    overdue: bool = False
    after: str = ""

    def filter(self, now: datetime) -> Filter:
        named = {"unit": self.unit, "community": self.community, "category": self.category}
        filter: Filter = {field: code for field, code in named.items() if code}
        if self.state is not None:
            filter["state"] = self.state.value
        if self.kind is not None:
            filter["kind"] = self.kind.value
        conditions = [filter, overdue(now) if self.overdue else {}, *behind(ORDER, self.after)]
        return {"$and": [each for each in conditions if each]} if any(conditions) else {}


def overdue(now: datetime) -> Filter:
    """What `CaseView.is_overdue` says of a case."""
    stages = [stage.value for stage in Stage if stage not in NOT_OF_OFFICES]
    return {"$or": [{"due_at": {"$lt": now}}, {"stage_due_at": {"$lt": now}, "stage": {"$in": stages}}]}


@dataclass(frozen=True)
class Figures:
    """The district in three numbers: reported today, overdue now, signed off this month (Asia/Shanghai)."""

    today: int
    overdue: int
    closed: int


def behind(order: Order, cursor: str) -> list[Filter]:
    """Conditions for what comes after the cursor; none for what is no cursor: a page begins at the beginning then."""
    try:
        return order.behind(cursor)
    except Invalid:
        return []


class Cases:
    """The cases of a generation of the board."""

    def __init__(self, store: Store, cases: Collection[CaseView]) -> None:
        self._store, self._cases = store, cases

    async def one(self, id: str) -> CaseView | None:
        return await self._store.get(self._cases, id)

    async def one_as_new_as(self, id: str, sequence: int) -> CaseView | None:
        """The case as soon as the view has come as far as the event of that number, or after two seconds as it is."""
        view = await self.one(id)
        for pause in PAUSES:
            if view is not None and view.sequence >= sequence:
                break
            await asyncio.sleep(pause)
            view = await self.one(id)
        return view

    async def page(self, wanted: CaseFilter, now: datetime, limit: int = PAGE) -> Page[CaseView]:
        """Cases that fit, newest first."""
        found = await self._store.find(self._cases, wanted.filter(now), ORDER.sort, limit + 1)
        return ORDER.page_by(found, limit, lambda case: (case.registered_at, case.id))

    async def figures(self, now: datetime) -> Figures:
        midnight = now.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
        return Figures(
            today=await self._store.count(self._cases, {"registered_at": {"$gte": midnight}}),
            overdue=await self._store.count(self._cases, overdue(now)),
            closed=await self._store.count(
                self._cases, {"closed_at": {"$gte": midnight.replace(day=1)}, "kind": {"$ne": Kind.PRAISE.value}}
            ),
        )
