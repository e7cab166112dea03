"""The routes of reports; a handler says who may call it and hands over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Literal

from fastapi import Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.reports import views
from services.reports.api.context import (
    FORBIDDEN,
    Anyone,
    Centre,
    Checker,
    Decider,
    Handler,
    Insider,
    Leader,
    Resumer,
    Unit,
    actor_of,
    own_of,
)
from services.reports.commands import handling, reporting
from services.reports.commands.intake import Submission
from services.reports.district import District
from services.reports.domain import PHOTO_LIMIT, TEXT_LIMIT, Actor, Case, Person
from services.reports.domain.channels import reporter_of
from services.reports.repo import CASES
from services.reports.reporters import Sender
from services.reports.resources import INTAKE
from services.reports.views import CaseView
from shared.auth import Principal
from shared.contracts.reports import CaseState, Channel, Kind, ReporterKind
from shared.geo import Crs
from shared.http import IDEMPOTENT, Router, answer, client_address
from shared.roles import Role
from shared.service import runtime_of
from shared.store import UnitOfWork

router = Router(tags=["cases"])
OWN_CHANNELS = ("citizen", "staff", "patrol")
"""Channels whose caller reports what they saw themselves."""


class Command(BaseModel):
    """Input is taken literally: a misspelt field is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


class ReporterIn(Command):
    """Who reports, if they want to say so; seen by nobody outside this service."""

    name: str | None = Field(default=None, max_length=50, examples=["王女士"], repr=False)
    phone: str | None = Field(default=None, max_length=24, examples=["0734-8888888"], repr=False)
    may_call: bool = True
    may_publish: bool = True


class SubmitCase(Command):
    """A problem somebody saw."""

    category: str = Field(max_length=100, examples=["water-pipe"])
    longitude: float = Field(ge=-180, le=180, examples=[112.6012])
    latitude: float = Field(ge=-90, le=90, examples=[26.8901])
    crs: Crs = Crs.WGS84
    address: str = Field(default="", max_length=200, examples=["华兴街道 祥光社区 北门"])
    text: str = Field(default="", max_length=TEXT_LIMIT, examples=["垃圾桶满了没人清"])
    exact: bool = Field(default=True, description="false: 只知道所在社区 · only the community is known")
    channel: Literal["citizen", "staff", "hotline", "patrol", "media"] = "citizen"
    kind: Literal["problem", "praise"] = "problem"
    reporter_kind: Literal["citizen", "volunteer", "staff", "journalist"] | None = None
    answers: dict[str, str | tuple[str, ...]] = Field(default={}, max_length=30)
    photos: list[str] = Field(default=[], max_length=PHOTO_LIMIT)
    reporter: ReporterIn | None = None


class Dispatch(Command):
    """The unit that is to lead, and those that are to help."""

    unit: str = Field(max_length=100, examples=["chengguan"])
    supporting: list[str] = Field(default=[], max_length=10)


class Split(Command):
    """The units that get a part each."""

    units: list[str] = Field(min_length=2, max_length=10, examples=[["chengguan", "huanwei"]])


class Note(Command):
    """Something to be kept with what was done."""

    note: str = Field(default="", max_length=TEXT_LIMIT)


class Reason(Command):
    """Why."""

    reason: str = Field(min_length=1, max_length=TEXT_LIMIT, examples=["不属于本单位职责"])


class AskExtension(Reason):
    """How much more time; without it, as much as the category gives once more."""

    limit: str | None = Field(default=None, max_length=40, examples=["5 working days"])


class Decision(Command):
    """Granted or not, and why."""

    granted: bool
    reason: str = Field(default="", max_length=TEXT_LIMIT)


class Suspension(Reason):
    """Until when the case may rest before somebody looks again."""

    review_at: AwareDatetime


class Question(Command):
    """What is asked of the reporter."""

    question: str = Field(min_length=1, max_length=TEXT_LIMIT, examples=["具体在几号楼？"])


class Reply(Command):
    """What the unit did, with photos of it."""

    text: str = Field(max_length=TEXT_LIMIT, examples=["已清运，并增加夜间巡查"])
    photos: list[str] = Field(default=[], max_length=PHOTO_LIMIT)


class Verify(Command):
    """What somebody outside the unit found."""

    passed: bool
    note: str = Field(default="", max_length=TEXT_LIMIT)


class Comment(Command):
    """A note among those inside the case, or an update that everybody may read."""

    text: str = Field(min_length=1, max_length=TEXT_LIMIT)
    public: bool = False
    photos: list[str] = Field(default=[], max_length=PHOTO_LIMIT)


class Merge(Command):
    """The case that tells of the same problem and goes on."""

    into: str = Field(max_length=100, examples=["20260302-7Q3KX0M4TZ"])


class Receipt(BaseModel):
    """Where the case stands now; `sequence` is the number of its last event."""

    case: str
    state: CaseState
    unit: str | None
    due_at: datetime | None
    sequence: int


class Filed(Receipt):
    """A case on file, and the code by which its reporter follows it and has their say; it is told only here."""

    tracking: str = Field(examples=["7Q3-KX0-M4T-ZA9-2RC-5NE"])


@router.post("/cases", status_code=201, response_model=Filed, openapi_extra=IDEMPOTENT, responses=FORBIDDEN)
async def submit(request: Request, body: SubmitCase, caller: Anyone) -> Response:
    """上报问题 · Report a problem."""
    own = own_of(request)
    submission, sender = _submission(body, caller), _sender(request, body, caller)
    own.intake.admit(request, caller)

    async def command(uow: UnitOfWork) -> Filed:
        case, code = await reporting.submit(uow, own.reporters, own.reference, submission, sender, actor_of(caller))
        return Filed(**dict(receipt(uow, case)), tracking=code)

    return await answer(request, command, location="/cases/{case}", vault=own.reporters.vault)


@router.get("/cases/{id}", response_model=CaseView)
async def show(request: Request, id: str, caller: Anyone) -> CaseView:
    """案件详情 · One case, as much of it as the caller may see."""
    return await views.case_view(runtime_of(request).store, id, caller, own_of(request).reporters)


@router.post("/cases/{id}/confirm", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def confirm(request: Request, id: str, body: Note, caller: Checker) -> Response:
    """核实属实 · Somebody looked on the spot and found it."""
    return await _handled(request, id, caller, lambda case, act: case.confirm(act, note=body.note))


@router.post("/cases/{id}/file", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def file(request: Request, id: str, caller: Centre) -> Response:
    """立案 · The centre takes it on."""
    return await _handled(request, id, caller, lambda case, act: case.file(act))


@router.post("/cases/{id}/reject", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def reject(request: Request, id: str, body: Reason, caller: Centre) -> Response:
    """不予立案 · The centre does not take it on."""
    return await _handled(request, id, caller, lambda case, act: case.reject(act, body.reason))


@router.post("/cases/{id}/dispatch", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def dispatch(request: Request, id: str, body: Dispatch, caller: Centre) -> Response:
    """派遣 · Give the case to a unit."""
    return await _done(
        request, caller, lambda uow, district, by: handling.dispatch(uow, district, id, by, body.unit, body.supporting)
    )


@router.post("/cases/{id}/split", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def split(request: Request, id: str, body: Split, caller: Centre) -> Response:
    """分派多个单位 · A part of the case for each of several units."""
    return await _done(request, caller, lambda uow, district, by: handling.split(uow, district, id, by, body.units))


@router.post("/cases/{id}/acknowledge", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def acknowledge(request: Request, id: str, caller: Unit) -> Response:
    """签收 · The unit takes the case on."""
    return await _handled(request, id, caller, lambda case, act: case.acknowledge(act))


@router.post("/cases/{id}/start", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def start(request: Request, id: str, caller: Unit) -> Response:
    """开始整改 · The unit is at it."""
    return await _handled(request, id, caller, lambda case, act: case.start(act))


@router.post("/cases/{id}/return", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def give_back(request: Request, id: str, body: Reason, caller: Unit) -> Response:
    """退单 · The unit says that it is not its own."""
    return await _handled(request, id, caller, lambda case, act: case.give_back(act, body.reason))


@router.post("/cases/{id}/extension", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def ask_extension(request: Request, id: str, body: AskExtension, caller: Unit) -> Response:
    """申请延期 · The unit asks for more time."""
    return await _handled(request, id, caller, lambda case, act: case.ask_extension(act, body.reason, limit=body.limit))


@router.post("/cases/{id}/extension/decision", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def decide_extension(request: Request, id: str, body: Decision, caller: Decider) -> Response:
    """审批延期 · More time, or not."""
    return await _handled(
        request, id, caller, lambda case, act: case.decide_extension(act, body.granted, reason=body.reason)
    )


@router.post("/cases/{id}/suspend", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def suspend(request: Request, id: str, body: Suspension, caller: Leader) -> Response:
    """挂账 · A leader lets the case rest."""
    return await _handled(request, id, caller, lambda case, act: case.suspend(act, body.reason, body.review_at))


@router.post("/cases/{id}/ask-reporter", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def ask_reporter(request: Request, id: str, body: Question, caller: Handler) -> Response:
    """向上报人核实 · Ask the reporter; limits stand still meanwhile."""
    return await _handled(request, id, caller, lambda case, act: case.ask_reporter(act, body.question))


@router.post("/cases/{id}/resume", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def resume(request: Request, id: str, body: Note, caller: Resumer) -> Response:
    """恢复办理 · A resting case goes on."""
    return await _handled(request, id, caller, lambda case, act: case.resume(act, note=body.note))


@router.post("/cases/{id}/reply", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def reply(request: Request, id: str, body: Reply, caller: Unit) -> Response:
    """整改回执 · The unit says what it did."""
    return await _done(
        request, caller, lambda uow, district, by: handling.reply(uow, district, id, by, body.text, body.photos)
    )


@router.post("/cases/{id}/verify", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def verify(request: Request, id: str, body: Verify, caller: Checker) -> Response:
    """核查 · Somebody outside the unit found the work done, or not."""
    return await _handled(request, id, caller, lambda case, act: case.verify(act, body.passed, note=body.note))


@router.post("/cases/{id}/close", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def close(request: Request, id: str, caller: Centre) -> Response:
    """销号 · Sign the case off."""
    return await _handled(request, id, caller, lambda case, act: case.close(act))


@router.post("/cases/{id}/reopen", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def reopen(request: Request, id: str, body: Reason, caller: Centre) -> Response:
    """重新办理 · What was signed off is not in order."""
    return await _handled(request, id, caller, lambda case, act: case.reopen(act, reason=body.reason))


@router.post("/cases/{id}/comment", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def comment(request: Request, id: str, body: Comment, caller: Insider) -> Response:
    """备注与进展 · A note inside, or an update for everybody."""
    return await _done(
        request,
        caller,
        lambda uow, district, by: handling.comment(uow, district, id, by, body.text, body.public, body.photos),
    )


@router.post("/cases/{id}/merge", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def merge(request: Request, id: str, body: Merge, caller: Centre) -> Response:
    """合并 · Two cases tell of one problem."""
    return await _done(request, caller, lambda uow, district, by: handling.merge(uow, district, id, by, body.into))


@router.post("/cases/{id}/unmerge", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def unmerge(request: Request, id: str, caller: Centre) -> Response:
    """撤销合并 · The merge was a mistake."""
    return await _done(request, caller, lambda uow, district, by: handling.unmerge(uow, district, id, by))


def _submission(body: SubmitCase, caller: Principal) -> Submission:
    channel = Channel(body.channel)
    claimed = ReporterKind(body.reporter_kind) if body.reporter_kind else None
    return Submission(
        category=body.category,
        longitude=body.longitude,
        latitude=body.latitude,
        crs=body.crs,
        exact=body.exact,
        address=body.address,
        text=body.text,
        channel=channel,
        kind=Kind(body.kind),
        reporter_kind=reporter_of(channel, claimed, caller.roles),
        answers=body.answers,
        photos=tuple(body.photos),
    )


def _sender(request: Request, body: SubmitCase, caller: Principal) -> Sender:
    """Who reports: of people the account counts too, but not where they file what others told."""
    told = body.reporter or ReporterIn()
    theirs = body.channel in OWN_CHANNELS and not caller.has(Role.SERVICE)
    return Sender(
        person=Person.checked(told.name, told.phone),
        account=(caller.subject or None) if theirs else None,
        address=client_address(request),
        may_call=told.may_call,
        may_publish=told.may_publish,
        stranger=not caller.has(*INTAKE),
    )


async def _handled(request: Request, id: str, caller: Principal, deed: handling.Deed) -> Response:
    return await _done(request, caller, lambda uow, district, by: handling.handle(uow, district, id, by, deed))


async def _done(
    request: Request, caller: Principal, act: Callable[[UnitOfWork, District, Actor], Awaitable[Case]]
) -> Response:
    district, by = own_of(request).district, actor_of(caller)

    async def command(uow: UnitOfWork) -> Receipt:
        return receipt(uow, await act(uow, district, by))

    return await answer(request, command, 200)


def receipt(uow: UnitOfWork, case: Case) -> Receipt:
    """Where the case stands once the unit is committed."""
    return Receipt(
        case=case.id, state=case.state, unit=case.unit, due_at=case.due_at, sequence=uow.sequence(CASES, case.id)
    )
