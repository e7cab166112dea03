"""Entries by hand and corrections: proposed by one person, approved or refused by another."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from fastapi import Query, Request, Response
from pydantic import AwareDatetime, Field

from services.scoring.api.access import MISSING, may, resources_of
from services.scoring.api.bodies import After, Trimmed
from services.scoring.commands import proposals as commands
from services.scoring.domain.acts import Act
from services.scoring.domain.grounds import EVIDENCE_LIMIT, REASON_LIMIT, REFERENCES_LIMIT, Grounds
from services.scoring.domain.proposals import ByHand, ProposalState
from services.scoring.domain.rules import POINTS_LIMIT
from services.scoring.repo import PROPOSALS
from services.scoring.views.proposals import PAGE_LIMIT, ProposalPage, ProposalView, proposal_view, proposals
from shared.auth import Principal
from shared.clock import to_milliseconds
from shared.contracts.scoring import FactKind
from shared.errors import Invalid, NotFound
from shared.http import IDEMPOTENT, Router, answer
from shared.service import runtime_of
from shared.store import UnitOfWork

CODE_LIMIT = 64
router = Router(tags=["decisions"])

Reason = Annotated[str, Field(min_length=1, max_length=REASON_LIMIT, examples=["现场复核：整改照片为旧照片"])]
Reference = Annotated[str, Field(min_length=1, max_length=CODE_LIMIT)]


class GroundsIn(Trimmed):
    """Why, what shows it, and numbers or identities of papers, photos and files that prove it."""

    reason: Reason
    evidence: str = Field(default="", max_length=EVIDENCE_LIMIT, examples=["11月3日复查记录"])
    references: list[Reference] = Field(default=[], max_length=REFERENCES_LIMIT, examples=[["督〔2026〕12号"]])

    def grounds(self) -> Grounds:
        """As the domain has them."""
        return Grounds(self.reason, self.evidence, self.references)


class NewEntry(GroundsIn):
    """An entry by hand for a unit's ledger; `points` only where the rules leave them open (manual, bonus)."""

    unit: str = Field(max_length=CODE_LIMIT, examples=["huanwei"])
    kind: Literal["manual", "bonus", "false-reply"]
    points: Decimal = Field(default=Decimal(0), ge=0, le=POINTS_LIMIT, decimal_places=2, examples=["2"])
    happened_at: AwareDatetime = Field(examples=["2026-11-03T09:00:00+08:00"])
    case: str = Field(default="", max_length=CODE_LIMIT, pattern=r"^[0-9A-Za-z-]*$", examples=["20261103-ABCDEFGHJK"])
    category: str = Field(default="", max_length=CODE_LIMIT, pattern=r"^[a-z0-9-]*$", examples=["exposed-rubbish"])
    item: str | None = Field(default=None, min_length=1, max_length=CODE_LIMIT)


class NewCorrection(GroundsIn):
    """Row `number` of the unit's ledger was a mistake."""

    unit: str = Field(max_length=CODE_LIMIT, examples=["huanwei"])
    number: int = Field(ge=1, le=10**9, examples=[3])


class Approval(Trimmed):
    """What the second person has to say, if anything."""

    note: str = Field(default="", max_length=REASON_LIMIT)


class Refusal(Trimmed):
    """Why it is refused."""

    note: Reason


@router.get("/proposals", response_model=ProposalPage)
async def page(
    request: Request,
    caller: Annotated[Principal, may(Act.READ_PROPOSALS)],
    unit: Annotated[str | None, Query(max_length=CODE_LIMIT)] = None,
    state: ProposalState | None = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 50,
) -> ProposalPage:
    """待批与已批 · Proposals, newest first."""
    return await proposals(runtime_of(request).store, unit, state, after, limit)


@router.get("/proposals/{id}", response_model=ProposalView)
async def one(request: Request, id: str, caller: Annotated[Principal, may(Act.READ_PROPOSALS)]) -> ProposalView:
    """单件 · A proposal."""
    found = await runtime_of(request).store.get(PROPOSALS, id)
    if found is None:
        raise NotFound("proposals-not-found", id=id[:CODE_LIMIT])
    return proposal_view(found)


@router.post("/proposals/entries", status_code=201, response_model=ProposalView, openapi_extra=IDEMPOTENT)
async def propose_entry(request: Request, body: NewEntry, caller: Annotated[Principal, may(Act.PROPOSE)]) -> Response:
    """提请人工记分 · Propose a deduction, a bonus or a false reply (虚假整改) for a unit's ledger."""
    _require_unit(request, body.unit)
    happened_at = to_milliseconds(body.happened_at)
    entry = ByHand(FactKind(body.kind), happened_at, body.points, body.case, body.category, body.item)

    async def command(uow: UnitOfWork) -> ProposalView:
        return proposal_view(*await commands.propose_entry(uow, body.unit, entry, body.grounds(), caller))

    return await answer(request, command, 201, "/proposals/{id}")


@router.post(
    "/proposals/corrections",
    status_code=201,
    response_model=ProposalView,
    openapi_extra=IDEMPOTENT,
    responses=MISSING,
)
async def propose_correction(
    request: Request, body: NewCorrection, caller: Annotated[Principal, may(Act.PROPOSE)]
) -> Response:
    """提请更正 · Propose that a row of a unit's ledger is taken back."""
    _require_unit(request, body.unit)

    async def command(uow: UnitOfWork) -> ProposalView:
        return proposal_view(await commands.propose_correction(uow, body.unit, body.number, body.grounds(), caller))

    return await answer(request, command, 201, "/proposals/{id}")


@router.post("/proposals/{id}/approve", response_model=ProposalView, openapi_extra=IDEMPOTENT)
async def approve(
    request: Request, id: str, body: Approval, caller: Annotated[Principal, may(Act.APPROVE_PROPOSAL)]
) -> Response:
    """批准 · By somebody else than who proposed it: it takes effect."""

    async def command(uow: UnitOfWork) -> ProposalView:
        return proposal_view(await commands.approve(uow, id, caller, body.note))

    return await answer(request, command, 200)


@router.post("/proposals/{id}/refuse", response_model=ProposalView, openapi_extra=IDEMPOTENT)
async def refuse(
    request: Request, id: str, body: Refusal, caller: Annotated[Principal, may(Act.REFUSE_PROPOSAL)]
) -> Response:
    """不予批准 · By somebody else than who proposed it."""

    async def command(uow: UnitOfWork) -> ProposalView:
        return proposal_view(await commands.refuse(uow, id, caller, body.note))

    return await answer(request, command, 200)


@router.post("/proposals/{id}/withdraw", response_model=ProposalView, openapi_extra=IDEMPOTENT)
async def withdraw(request: Request, id: str, caller: Annotated[Principal, may(Act.WITHDRAW_PROPOSAL)]) -> Response:
    """撤回 · By who proposed it, before it is decided."""

    async def command(uow: UnitOfWork) -> ProposalView:
        return proposal_view(await commands.withdraw(uow, id, caller))

    return await answer(request, command, 200)


def _require_unit(request: Request, unit: str) -> None:
    if unit not in resources_of(request).district.units:
        raise Invalid("unit-unknown", field="unit", given=unit)
