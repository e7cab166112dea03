"""Proposals as those who work on them see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel

from services.scoring.domain.proposals import Proposal, ProposalState
from services.scoring.repo import PROPOSALS
from shared.contracts.scoring import ChargeMade, FactKind
from shared.paging import Key, Order
from shared.store import Store
from shared.store.collection import Filter

PAGE_LIMIT = 100
_NEWEST = Order("proposals", Key("proposed_at", datetime, descending=True), Key("_id", str, descending=True))


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


def proposal_view(proposal: Proposal, prices: Sequence[ChargeMade] = ()) -> ProposalView:
    """The proposal as staff see it."""
    view = ProposalView.model_validate(proposal, from_attributes=True)
    return view.model_copy(update={"prices": [PriceView.model_validate(e, from_attributes=True) for e in prices]})


async def proposals(
    store: Store, unit: str | None, state: ProposalState | None, after: str | None, limit: int
) -> ProposalPage:
    """Raises Invalid (cursor-malformed)."""
    filter: Filter = {**({"state": state.value} if state else {}), **({"unit": unit} if unit else {})}
    page = await _NEWEST.walk(store, PROPOSALS, filter, after, limit)
    return ProposalPage(proposals=[proposal_view(each) for each in page.items], next=page.next)
