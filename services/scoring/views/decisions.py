"""Proposals and appeals as those who work on them see them, and what appeals came to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, Field

from services.scoring.domain.appeals import Appeal, AppealState
from services.scoring.domain.proposals import Proposal, ProposalState
from services.scoring.repo import APPEALS, PROPOSALS
from shared.contracts.scoring import ChargeMade, FactKind
from shared.errors import Invalid
from shared.store import Collection, Store
from shared.store.collection import Filter, T

PAGE_LIMIT = 100


class PriceView(BaseModel):
    """What a rule makes of an entry by hand, before any cap."""

    rule: str
    rule_version: int
    points: Decimal
    cap: Decimal | None


class ByHandView(BaseModel):
    """An entry by hand."""

    kind: FactKind
    happened_at: datetime
    points: Decimal
    case: str
    category: str
    item: str | None


class ProposalView(BaseModel):
    """An entry by hand, or (`number`) a row of the unit's ledger to be taken back.

    `prices` is told in the answer to the proposal.
    """

    id: str
    unit: str
    state: ProposalState
    entry: ByHandView | None
    number: int | None
    reason: str
    evidence: str
    references: list[str]
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    decision: str
    prices: list[PriceView] = []


class ProposalPage(BaseModel):
    """Newest first; `next` is the cursor of the following page, if there is one."""

    proposals: list[ProposalView]
    next: str | None = None


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


def proposal_view(proposal: Proposal, prices: Sequence[ChargeMade] = ()) -> ProposalView:
    """The proposal as staff see it."""
    told = ProposalView.model_validate(proposal, from_attributes=True)
    return told.model_copy(update={"prices": [PriceView.model_validate(e, from_attributes=True) for e in prices]})


def appeal_view(appeal: Appeal, now: datetime, *, staff: bool) -> AppealView:
    """The appeal; who decided is for staff."""
    told = {name: getattr(appeal, name) for name in AppealView.model_fields if name not in {"overdue", "decided_by"}}
    told["references"] = list(appeal.references)
    return AppealView(**told, overdue=appeal.is_overdue(now), decided_by=appeal.decided_by if staff else None)


async def proposals(
    store: Store, unit: str | None, state: ProposalState | None, after: str | None, limit: int
) -> ProposalPage:
    """Raises Invalid (cursor-unknown)."""
    filter: Filter = {**({"state": state.value} if state else {}), **({"unit": unit} if unit else {})}
    found, more = await _page(store, PROPOSALS, "proposed_at", filter, after, limit)
    return ProposalPage(proposals=[proposal_view(each) for each in found], next=more)


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
    """Raises Invalid (cursor-unknown)."""
    now = store.clock.now()
    filter: Filter = {**({"state": state.value} if state else {}), **({"unit": unit} if unit else {})}
    if overdue:
        filter |= {"state": AppealState.SUBMITTED.value, "due_at": {"$lt": now}}
    found, more = await _page(store, APPEALS, "submitted_at", filter, after, limit)
    return AppealPage(appeals=[appeal_view(each, now, staff=staff) for each in found], next=more)


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


async def _page(
    store: Store, collection: Collection[T], time: str, filter: Filter, after: str | None, limit: int
) -> tuple[list[T], str | None]:
    """Newest first, one walk along an index; the cursor is the last one shown."""
    if after is not None:
        last = await store.get(collection, after)
        if last is None:
            raise Invalid("cursor-unknown", field="after")
        moment = getattr(last, time)
        filter = {**filter, "$or": [{time: {"$lt": moment}}, {time: moment, "_id": {"$lt": after}}]}
    found = await store.find(collection, filter, [(time, -1), ("_id", -1)], limit + 1)
    return found[:limit], found[limit - 1].id if len(found) > limit else None
