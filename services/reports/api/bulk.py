"""The routes that do the same to many cases, each case by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import BaseModel, Field

from services.reports.api.cases import Command, Dispatch, Receipt, receipt
from services.reports.api.context import Centre, Unit, actor_of, own_of
from services.reports.commands import handling
from services.reports.district import District
from services.reports.domain import Actor, Case
from shared.auth import Principal
from shared.http import IDEMPOTENT, Router, answer_each
from shared.store import UnitOfWork

CASES_LIMIT = 100

router = Router(tags=["bulk"])


class Several(Command):
    """The cases; one that is named twice is done once."""

    cases: list[Annotated[str, Field(max_length=100)]] = Field(min_length=1, max_length=CASES_LIMIT)


class SeveralDispatched(Several, Dispatch):
    """The cases, the unit that is to lead, and those that are to help."""


class Outcome(BaseModel):
    """What became of a case: the receipt, or why it was refused (RFC 9457). Nothing is ever half done to one."""

    id: str
    answer: Receipt | None = None
    problem: dict[str, Any] | None = None


@router.post("/cases/acknowledge", response_model=list[Outcome], openapi_extra=IDEMPOTENT)
async def acknowledge(request: Request, body: Several, caller: Unit) -> Response:
    """批量签收 · The unit takes on up to 100 cases."""
    return await _each(
        request,
        caller,
        body.cases,
        lambda uow, district, by, id: handling.handle(uow, district, id, by, lambda case, act: case.acknowledge(act)),
    )


@router.post("/cases/dispatch", response_model=list[Outcome], openapi_extra=IDEMPOTENT)
async def dispatch(request: Request, body: SeveralDispatched, caller: Centre) -> Response:
    """批量派遣 · Give up to 100 cases to a unit."""
    return await _each(
        request,
        caller,
        body.cases,
        lambda uow, district, by, id: handling.dispatch(uow, district, id, by, body.unit, body.supporting),
    )


async def _each(
    request: Request,
    caller: Principal,
    ids: Iterable[str],
    act: Callable[[UnitOfWork, District, Actor, str], Awaitable[Case]],
) -> Response:
    district, by = own_of(request).district, actor_of(caller)

    async def command(id: str, uow: UnitOfWork) -> Receipt:
        return receipt(uow, await act(uow, district, by, id))

    return await answer_each(request, {id: partial(command, id) for id in ids})
