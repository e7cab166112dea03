"""Lists of cases: those the caller may see, narrowed by what is asked for, page behind page."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from services.reports.domain import ExtensionRequest, Place
from services.reports.repo import CASES
from services.reports.views.filters import CaseFilter, Sorting
from shared.auth import Principal
from shared.contracts.reports import CaseState, Channel, Kind, Level, ReporterKind, Stage
from shared.paging import Key, Order
from shared.store import Store
from shared.store.collection import Filter

PAGE_LIMIT = 200


class Row(BaseModel):
    """A case in a list, for those who see its inside."""

    case: str
    state: CaseState
    kind: Kind
    channel: Channel
    reporter_kind: ReporterKind
    category: str
    place: Place
    text: str
    unit: str | None
    supporting: tuple[str, ...]
    registered_at: datetime
    dispatched_at: datetime | None
    due_at: datetime | None
    stage: Stage | None
    stage_due_at: datetime | None
    due_soon: bool
    level: Level | None
    overdue_at: datetime | None
    review_at: datetime | None
    closed_at: datetime | None
    extension: ExtensionRequest | None
    objected_at: datetime | None
    reworks: int
    returns: int
    extensions: int
    reopens: int
    objections: int
    repeat_of: str | None
    parent: str | None
    satisfied: bool | None


_SHOWN = tuple(name for name in Row.model_fields if name != "case")


ORDERS = {
    Sorting.NEWEST: Order("newest", Key("registered_at", datetime, descending=True), Key("_id", descending=True)),
    Sorting.DEADLINE: Order("deadline", Key("stage_due_at", datetime, nullable=True), Key("_id")),
}


class Page(BaseModel):
    """Some cases in order; `next` is the cursor of the following page, if there is one."""

    cases: list[Row]
    next: str | None = None


async def case_page(
    store: Store, caller: Principal, wanted: CaseFilter, sort: Sorting, after: str | None, limit: int
) -> Page:
    """Cases the caller is responsible for: a unit's officers see those their unit leads or helps with, staff sees all.

    Newest first, no page has a gap or a repeat, whatever is filed or done meanwhile. By deadline that holds for cases
    whose deadline stays; one that is moved stands where it belongs now. Raises Invalid (cursor-malformed).
    """
    return await page_of(store, wanted.filter(caller, sort), sort, after, limit)


async def page_of(store: Store, filter: Filter, sort: Sorting, after: str | None, limit: int) -> Page:
    """A page of what the filter finds. Raises Invalid (cursor-malformed)."""
    order = ORDERS[sort]
    search: Filter = {"$and": [filter, *order.behind(after)]}
    page = order.page(await store.driver.find(CASES.name, search, order.sort, limit + 1, fields=_SHOWN), limit)
    return Page(cases=[Row.model_validate({"case": each["_id"], **each}) for each in page.items], next=page.next)
