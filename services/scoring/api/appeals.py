"""Appeals (申诉) of units against entries of their own ledger."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import Field

from services.scoring.api.access import may, resources_of
from services.scoring.api.bodies import After, Trimmed
from services.scoring.api.entries import Number, UnitCode, require_own
from services.scoring.api.proposals import CODE_LIMIT, GroundsIn, Reason
from services.scoring.api.rules import PERIOD
from services.scoring.commands import appeals as commands
from services.scoring.domain.acts import Act
from services.scoring.domain.appeals import AppealState
from services.scoring.repo import APPEALS
from services.scoring.views.appeals import (
    PAGE_LIMIT,
    AppealFigures,
    AppealPage,
    AppealView,
    appeal_view,
    appeals,
    figures,
)
from shared.auth import Principal
from shared.errors import Forbidden, NotFound
from shared.http import IDEMPOTENT, Router, answer
from shared.roles import OVERSIGHT
from shared.service import runtime_of
from shared.store import UnitOfWork

router = Router(tags=["appeals"])


class Verdict(Trimmed):
    """Why it is decided so; the unit reads it."""

    reason: Reason = Field(examples=["经复核，超期系道路封闭所致，予以撤销"])


@router.post("/units/{unit}/rows/{number}/appeal", status_code=201, response_model=AppealView, openapi_extra=IDEMPOTENT)
async def submit(
    request: Request,
    unit: UnitCode,
    number: Number,
    body: GroundsIn,
    caller: Annotated[Principal, may(Act.SUBMIT_APPEAL)],
) -> Response:
    """提出申诉 · Once per row, in time, by the unit itself."""
    require_own(request, unit, caller)
    terms = resources_of(request).district.appeals

    async def command(uow: UnitOfWork) -> AppealView:
        made = await commands.submit(uow, terms, unit, number, body.grounds(), caller)
        return appeal_view(made, uow.now, staff=False)

    return await answer(request, command, 201, "/appeals/{id}")


@router.get("/appeals", response_model=AppealPage)
async def page(
    request: Request,
    caller: Annotated[Principal, may(Act.READ_APPEALS)],
    unit: Annotated[str | None, Query(max_length=CODE_LIMIT)] = None,
    state: AppealState | None = None,
    overdue: bool = False,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 50,
) -> AppealPage:
    """申诉列表 · Appeals, newest first; with `overdue` those that should have been decided. Units see their own."""
    staff = caller.has(*OVERSIGHT)
    if not staff:
        if caller.unit is None or unit not in {None, caller.unit}:
            raise Forbidden("appeal-of-another-unit")
        unit = caller.unit
    return await appeals(runtime_of(request).store, unit, state, overdue, after, limit, staff=staff)


@router.get("/appeals/{id}", response_model=AppealView)
async def one(request: Request, id: str, caller: Annotated[Principal, may(Act.READ_APPEALS)]) -> AppealView:
    """单件申诉 · An appeal."""
    runtime, staff = runtime_of(request), caller.has(*OVERSIGHT)
    found = await runtime.store.get(APPEALS, id)
    if found is None or not (staff or caller.unit == found.unit):
        raise NotFound("appeals-not-found", id=id[: 2 * CODE_LIMIT])
    return appeal_view(found, runtime.clock.now(), staff=staff)


@router.get("/appeal-figures", response_model=AppealFigures)
async def counted(
    request: Request,
    caller: Annotated[Principal, may(Act.COUNT_APPEALS)],
    period: Annotated[str | None, Query(pattern=PERIOD)] = None,
) -> AppealFigures:
    """申诉统计 · By rule: how many rows were appealed against, how many appeals were upheld."""
    return await figures(runtime_of(request).store, period)


@router.post("/appeals/{id}/uphold", response_model=AppealView, openapi_extra=IDEMPOTENT)
async def uphold(
    request: Request, id: str, body: Verdict, caller: Annotated[Principal, may(Act.UPHOLD_APPEAL)]
) -> Response:
    """申诉成立 · The row is taken back."""

    async def command(uow: UnitOfWork) -> AppealView:
        return appeal_view(await commands.uphold(uow, id, caller, body.reason), uow.now, staff=True)

    return await answer(request, command, 200)


@router.post("/appeals/{id}/reject", response_model=AppealView, openapi_extra=IDEMPOTENT)
async def reject(
    request: Request, id: str, body: Verdict, caller: Annotated[Principal, may(Act.REJECT_APPEAL)]
) -> Response:
    """申诉不成立 · The row stays."""

    async def command(uow: UnitOfWork) -> AppealView:
        return appeal_view(await commands.reject(uow, id, caller, body.reason), uow.now, staff=True)

    return await answer(request, command, 200)


@router.post("/appeals/{id}/withdraw", response_model=AppealView, openapi_extra=IDEMPOTENT)
async def withdraw(request: Request, id: str, caller: Annotated[Principal, may(Act.WITHDRAW_APPEAL)]) -> Response:
    """撤回申诉 · By the unit, before it is decided."""

    async def command(uow: UnitOfWork) -> AppealView:
        return appeal_view(await commands.withdraw(uow, id, caller), uow.now, staff=False)

    return await answer(request, command, 200)
