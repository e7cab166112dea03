"""Lists of cases: those the caller may see, narrowed by what is asked for, page behind page."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel

from services.reports.domain import ExtensionRequest, Place
from services.reports.repo import BY_DEADLINE, CASES, NEWEST
from services.reports.views.filters import EPOCH, CaseFilter, Order
from shared.auth import Principal
from shared.contracts.reports import CaseState, Channel, Kind, Level, ReporterKind, Stage
from shared.errors import Invalid
from shared.store import Document, Store
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


class Page(BaseModel):
    """Some cases in order; `next` is the cursor of the following page, if there is one."""

    cases: list[Row]
    next: str | None = None


async def case_page(
    store: Store, caller: Principal, wanted: CaseFilter, order: Order, after: str | None, limit: int
) -> Page:
    """Cases the caller is responsible for: a unit's officers see those their unit leads or helps with, staff sees all.

    Newest first, no page has a gap or a repeat, whatever is filed or done meanwhile. By deadline that holds for cases
    whose deadline stays; one that is moved stands where it belongs now. Raises Invalid (cursor-malformed).
    """
    return await page_of(store, wanted.filter(caller, order), order, after, limit)


async def page_of(store: Store, filter: Filter, order: Order, after: str | None, limit: int) -> Page:
    """A page of what the filter finds. Raises Invalid (cursor-malformed)."""
    behind = Position.read(after, order).behind() if after else []
    sort = NEWEST if order is Order.NEWEST else BY_DEADLINE
    found = await store.driver.find(CASES.name, {"$and": [filter, *behind]}, sort, limit + 1, fields=_SHOWN)
    more = str(Position.of(found[limit - 1], order)) if len(found) > limit else None
    return Page(cases=[Row.model_validate({"case": each["_id"], **each}) for each in found[:limit]], next=more)


@dataclass(frozen=True)
class Position:
    """A place in an order: behind the case `id` at a time, None being before all times."""

    order: Order
    at: datetime | None
    id: str

    @classmethod
    def of(cls, document: Document, order: Order) -> Position:
        """Where a document stands."""
        return cls(order, document[_FIELDS[order]], document["_id"])

    @classmethod
    def read(cls, cursor: str, order: Order) -> Position:
        """The place that a cursor means. Raises Invalid (cursor-malformed), also for one of another order."""
        try:
            named, at, id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
            moment = None if at is None else EPOCH + timedelta(milliseconds=int(at))
            if named != order.value or not isinstance(id, str):
                raise ValueError(named)
        except (ValueError, TypeError, OverflowError):
            raise Invalid("cursor-malformed", field="after") from None
        return cls(order, moment, id)

    def __str__(self) -> str:
        at = None if self.at is None else (self.at - EPOCH) // timedelta(milliseconds=1)
        return base64.urlsafe_b64encode(json.dumps([self.order.value, at, self.id]).encode()).decode()

    def behind(self) -> list[Filter]:
        """What is behind it. The second condition is of a form that no index is tried for."""
        field, newest = _FIELDS[self.order], self.order is Order.NEWEST
        passed: Filter = {field: self.at, "_id": {"$gte" if newest else "$lte": self.id}}
        bound: list[Filter] = [] if self.at is None else [{field: {"$lte" if newest else "$gte": self.at}}]
        return [*bound, {"$nor": [passed]}]


_FIELDS = {Order.NEWEST: "registered_at", Order.DEADLINE: "stage_due_at"}
