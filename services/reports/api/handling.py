"""The routes by which units, verifiers, the centre and leaders act on cases, one at a time or many alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from services.reports.api.access import actor_of, may, resources
from services.reports.api.cases import Receipt, receipt
from services.reports.commands import handling
from services.reports.district import District
from services.reports.domain import PHOTO_LIMIT, TEXT_LIMIT, Actor, Case, Command
from shared.auth import Principal
from shared.http import IDEMPOTENT, Body, Router, answer, answer_each
from shared.store import UnitOfWork

CASES_LIMIT = 100

router = Router(tags=["cases"])
bulk_router = Router(tags=["bulk"])


class Dispatch(Body):
    """The unit that is to lead, and those that are to help."""

    unit: str = Field(max_length=100, examples=["chengguan"])
    supporting: list[str] = Field(default=[], max_length=10)


class Split(Body):
    """The units that get a part each."""

    units: list[str] = Field(min_length=2, max_length=10, examples=[["chengguan", "huanwei"]])


class Note(Body):
    """Something to be kept with what was done."""

    note: str = Field(default="", max_length=TEXT_LIMIT)


class Reason(Body):
    """Why."""

    reason: str = Field(min_length=1, max_length=TEXT_LIMIT, examples=["不属于本单位职责"])


class AskExtension(Reason):
    """How much more time; without it, as much as the category gives once more."""

    limit: str | None = Field(default=None, max_length=40, examples=["5 working days"])


class Decision(Body):
    """Granted or not, and why."""

    granted: bool
    reason: str = Field(default="", max_length=TEXT_LIMIT)


class Suspension(Reason):
    """Until when the case may rest before somebody looks again."""

    review_at: AwareDatetime


class Question(Body):
    """What is asked of the reporter."""

    question: str = Field(min_length=1, max_length=TEXT_LIMIT, examples=["具体在几号楼？"])


class Reply(Body):
    """What the unit did, with photos of it."""

    text: str = Field(max_length=TEXT_LIMIT, examples=["已清运，并增加夜间巡查"])
    photos: list[str] = Field(default=[], max_length=PHOTO_LIMIT)


class Verify(Body):
    """What somebody outside the unit found."""

    passed: bool
    note: str = Field(default="", max_length=TEXT_LIMIT)


class Comment(Body):
    """A note among those inside the case, or an update that everybody may read."""

    text: str = Field(min_length=1, max_length=TEXT_LIMIT)
    public: bool = False
    photos: list[str] = Field(default=[], max_length=PHOTO_LIMIT)


class Merge(Body):
    """The case that tells of the same problem and goes on."""

    into: str = Field(max_length=100, examples=["20260302-7Q3KX0M4TZ"])


class Several(Body):
    """The cases; one that is named twice is done once."""

    cases: list[Annotated[str, Field(max_length=100)]] = Field(min_length=1, max_length=CASES_LIMIT)


class SeveralDispatched(Several, Dispatch):
    """The cases, the unit that is to lead, and those that are to help."""


class Outcome(BaseModel):
    """What became of a case: the receipt, or why it was refused (RFC 9457). Nothing is ever half done to one."""

    id: str
    answer: Receipt | None = None
    problem: dict[str, Any] | None = None


@router.post("/cases/{id}/confirm", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def confirm(
    request: Request, id: str, body: Note, caller: Annotated[Principal, may(Command.CONFIRM)]
) -> Response:
    """核实属实 · Somebody looked on the spot and found it."""
    return await _handled(request, id, caller, lambda case, act: case.confirm(act, note=body.note))


@router.post("/cases/{id}/file", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def file(request: Request, id: str, caller: Annotated[Principal, may(Command.FILE)]) -> Response:
    """立案 · The centre takes it on."""
    return await _handled(request, id, caller, lambda case, act: case.file(act))


@router.post("/cases/{id}/reject", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def reject(
    request: Request, id: str, body: Reason, caller: Annotated[Principal, may(Command.REJECT)]
) -> Response:
    """不予立案 · The centre does not take it on."""
    return await _handled(request, id, caller, lambda case, act: case.reject(act, body.reason))


@router.post("/cases/{id}/dispatch", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def dispatch(
    request: Request, id: str, body: Dispatch, caller: Annotated[Principal, may(Command.DISPATCH)]
) -> Response:
    """派遣 · Give the case to a unit."""
    return await _done(
        request, caller, lambda uow, district, by: handling.dispatch(uow, district, id, by, body.unit, body.supporting)
    )


@router.post("/cases/{id}/split", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def split(request: Request, id: str, body: Split, caller: Annotated[Principal, may(Command.SPLIT)]) -> Response:
    """分派多个单位 · A part of the case for each of several units."""
    return await _done(request, caller, lambda uow, district, by: handling.split(uow, district, id, by, body.units))


@router.post("/cases/{id}/acknowledge", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def acknowledge(request: Request, id: str, caller: Annotated[Principal, may(Command.ACKNOWLEDGE)]) -> Response:
    """签收 · The unit takes the case on."""
    return await _handled(request, id, caller, lambda case, act: case.acknowledge(act))


@router.post("/cases/{id}/start", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def start(request: Request, id: str, caller: Annotated[Principal, may(Command.START)]) -> Response:
    """开始整改 · The unit is at it."""
    return await _handled(request, id, caller, lambda case, act: case.start(act))


@router.post("/cases/{id}/return", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def give_back(
    request: Request, id: str, body: Reason, caller: Annotated[Principal, may(Command.RETURN)]
) -> Response:
    """退单 · The unit says that it is not its own."""
    return await _handled(request, id, caller, lambda case, act: case.give_back(act, body.reason))


@router.post("/cases/{id}/extension", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def ask_extension(
    request: Request, id: str, body: AskExtension, caller: Annotated[Principal, may(Command.ASK_EXTENSION)]
) -> Response:
    """申请延期 · The unit asks for more time."""
    return await _handled(request, id, caller, lambda case, act: case.ask_extension(act, body.reason, limit=body.limit))


@router.post("/cases/{id}/extension/decision", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def decide_extension(
    request: Request,
    id: str,
    body: Decision,
    caller: Annotated[Principal, may(Command.GRANT_EXTENSION, Command.REFUSE_EXTENSION, act="decide-extension")],
) -> Response:
    """审批延期 · More time, or not."""
    return await _handled(
        request, id, caller, lambda case, act: case.decide_extension(act, body.granted, reason=body.reason)
    )


@router.post("/cases/{id}/suspend", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def suspend(
    request: Request, id: str, body: Suspension, caller: Annotated[Principal, may(Command.SUSPEND)]
) -> Response:
    """挂账 · A leader lets the case rest."""
    return await _handled(request, id, caller, lambda case, act: case.suspend(act, body.reason, body.review_at))


@router.post("/cases/{id}/ask-reporter", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def ask_reporter(
    request: Request, id: str, body: Question, caller: Annotated[Principal, may(Command.ASK_REPORTER)]
) -> Response:
    """向上报人核实 · Ask the reporter; limits stand still meanwhile."""
    return await _handled(request, id, caller, lambda case, act: case.ask_reporter(act, body.question))


@router.post("/cases/{id}/resume", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def resume(request: Request, id: str, body: Note, caller: Annotated[Principal, may(Command.RESUME)]) -> Response:
    """恢复办理 · A resting case goes on."""
    return await _handled(request, id, caller, lambda case, act: case.resume(act, note=body.note))


@router.post("/cases/{id}/reply", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def reply(request: Request, id: str, body: Reply, caller: Annotated[Principal, may(Command.REPLY)]) -> Response:
    """整改回执 · The unit says what it did."""
    return await _done(
        request, caller, lambda uow, district, by: handling.reply(uow, district, id, by, body.text, body.photos)
    )


@router.post("/cases/{id}/verify", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def verify(
    request: Request,
    id: str,
    body: Verify,
    caller: Annotated[Principal, may(Command.VERIFY_PASSED, Command.VERIFY_FAILED, act="verify")],
) -> Response:
    """核查 · Somebody outside the unit found the work done, or not."""
    return await _handled(request, id, caller, lambda case, act: case.verify(act, body.passed, note=body.note))


@router.post("/cases/{id}/close", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def close(request: Request, id: str, caller: Annotated[Principal, may(Command.CLOSE)]) -> Response:
    """销号 · Sign the case off."""
    return await _handled(request, id, caller, lambda case, act: case.close(act))


@router.post("/cases/{id}/reopen", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def reopen(
    request: Request, id: str, body: Reason, caller: Annotated[Principal, may(Command.REOPEN)]
) -> Response:
    """重新办理 · What was signed off is not in order."""
    return await _handled(request, id, caller, lambda case, act: case.reopen(act, reason=body.reason))


@router.post("/cases/{id}/comment", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def comment(
    request: Request, id: str, body: Comment, caller: Annotated[Principal, may(Command.COMMENT)]
) -> Response:
    """备注与进展 · A note inside, or an update for everybody."""
    return await _done(
        request,
        caller,
        lambda uow, district, by: handling.comment(uow, district, id, by, body.text, body.public, body.photos),
    )


@router.post("/cases/{id}/merge", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def merge(request: Request, id: str, body: Merge, caller: Annotated[Principal, may(Command.MERGE)]) -> Response:
    """合并 · Two cases tell of one problem."""
    return await _done(request, caller, lambda uow, district, by: handling.merge(uow, district, id, by, body.into))


@router.post("/cases/{id}/unmerge", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def unmerge(request: Request, id: str, caller: Annotated[Principal, may(Command.UNMERGE)]) -> Response:
    """撤销合并 · The merge was a mistake."""
    return await _done(request, caller, lambda uow, district, by: handling.unmerge(uow, district, id, by))


@bulk_router.post("/cases/acknowledge", response_model=list[Outcome], openapi_extra=IDEMPOTENT)
async def acknowledge_each(
    request: Request, body: Several, caller: Annotated[Principal, may(Command.ACKNOWLEDGE)]
) -> Response:
    """批量签收 · The unit takes on up to 100 cases."""
    return await _each(
        request,
        caller,
        body.cases,
        lambda uow, district, by, id: handling.handle(uow, district, id, by, lambda case, act: case.acknowledge(act)),
    )


@bulk_router.post("/cases/dispatch", response_model=list[Outcome], openapi_extra=IDEMPOTENT)
async def dispatch_each(
    request: Request, body: SeveralDispatched, caller: Annotated[Principal, may(Command.DISPATCH)]
) -> Response:
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
    district, by = resources(request).district, actor_of(caller)

    async def command(id: str, uow: UnitOfWork) -> Receipt:
        return receipt(uow, await act(uow, district, by, id))

    return await answer_each(request, {id: partial(command, id) for id in ids})


async def _handled(request: Request, id: str, caller: Principal, step: handling.Step) -> Response:
    return await _done(request, caller, lambda uow, district, by: handling.handle(uow, district, id, by, step))


async def _done(
    request: Request, caller: Principal, act: Callable[[UnitOfWork, District, Actor], Awaitable[Case]]
) -> Response:
    district, by = resources(request).district, actor_of(caller)

    async def command(uow: UnitOfWork) -> Receipt:
        return receipt(uow, await act(uow, district, by))

    return await answer(request, command, 200)
