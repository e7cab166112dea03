"""Appeals as units and those who decide see them, and what they came to."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from services.scoring.domain.appeals import Appeal, AppealState
from services.scoring.repo import APPEALS
from shared.paging import Key, Order
from shared.store import Store
from shared.store.collection import Filter

PAGE_LIMIT = 100
_NEWEST = Order("appeals", Key("submitted_at", datetime, descending=True), Key("_id", str, descending=True))


class AppealView(BaseModel):
    """An appeal against row `number` of the unit's ledger, to be decided until `due_at`."""

    id: str
    unit: str
    number: int
    rule: str
    period: str
    state: AppealState
    reason: str
    evidence: str
    references: list[str]
    submitted_at: datetime
    due_at: datetime | None
    overdue: bool
    decided_at: datetime | None
    decision: str
    submitted_by: str | None = Field(description="仅本单位与工作人员可见 · for the unit and staff")
    decided_by: str | None = Field(description="仅工作人员可见 · for staff")


class AppealPage(BaseModel):
    """Newest first; `next` is the cursor of the following page, if there is one."""

    appeals: list[AppealView]
    next: str | None = None


class RuleFigures(BaseModel):
    """Appeals against rows of a rule."""

    rule: str
    appealed: int
    submitted: int = 0
    upheld: int = 0
    rejected: int = 0
    withdrawn: int = 0


class AppealFigures(BaseModel):
    """By rule; `period` is the month in which the rows count."""

    period: str | None
    overdue: int
    rules: list[RuleFigures]


def appeal_view(appeal: Appeal, now: datetime, *, staff: bool) -> AppealView:
    """The appeal; who decided is for staff."""
    values = {name: getattr(appeal, name) for name in AppealView.model_fields if name not in {"overdue", "decided_by"}}
    values["references"] = list(appeal.references)
    return AppealView(**values, overdue=appeal.is_overdue(now), decided_by=appeal.decided_by if staff else None)


async def appeals(
    store: Store,
    unit: str | None,
    state: AppealState | None,
    overdue: bool,
    after: str | None,
    limit: int,
    *,
    staff: bool,
) -> AppealPage:
    """Raises Invalid (cursor-malformed)."""
    now = store.clock.now()
    filter: Filter = {**({"state": state.value} if state else {}), **({"unit": unit} if unit else {})}
    if overdue:
        filter |= {"state": AppealState.SUBMITTED.value, "due_at": {"$lt": now}}
    page = await _NEWEST.walk(store, APPEALS, filter, after, limit)
    return AppealPage(appeals=[appeal_view(each, now, staff=staff) for each in page.items], next=page.next)


async def figures(store: Store, period: str | None) -> AppealFigures:
    """How many rows of each rule were appealed against, and what came of it."""
    counted = await store.aggregate(
        APPEALS,
        [
            {"$match": {"period": period} if period else {}},
            {"$group": {"_id": {"rule": "$rule", "state": "$state"}, "appeals": {"$sum": 1}}},
        ],
    )
    by_rule: dict[str, dict[str, int]] = {}
    for each in counted:
        by_rule.setdefault(each["_id"]["rule"], {})[each["_id"]["state"]] = each["appeals"]
    late: Filter = {"state": AppealState.SUBMITTED.value, "due_at": {"$lt": store.clock.now()}}
    return AppealFigures(
        period=period,
        overdue=await store.count(APPEALS, late | ({"period": period} if period else {})),
        rules=[
            RuleFigures(rule=rule, appealed=sum(states.values()), **states) for rule, states in sorted(by_rule.items())
        ],
    )
