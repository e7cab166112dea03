"""The routes of reports; a handler says who may call it and hands over."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.reports import commands, photos, views
from services.reports.commands import Submission
from services.reports.district import District
from services.reports.domain import PHOTO_LIMIT, TEXT_LIMIT, Case, Reporter
from services.reports.repo import CASES
from services.reports.settings import Settings
from services.reports.views import STAFF, CaseView, CategoryView, Page
from shared.auth import Principal, anyone, require
from shared.contracts.reports import CaseState, Channel
from shared.errors import Forbidden
from shared.geo import Crs
from shared.http import IDEMPOTENT, RateLimit, Router, answer, client_address
from shared.service import Runtime, runtime_of
from shared.store import UnitOfWork

router = Router(tags=["cases"])

Anyone = Annotated[Principal, Depends(anyone())]
Officer = Annotated[Principal, Depends(require("officer", "office"))]
Verifier = Annotated[Principal, Depends(require("verifier", "office", "dispatcher"))]
Office = Annotated[Principal, Depends(require("office", "dispatcher"))]
Known = Annotated[Principal, Depends(require("officer", "liaison", *STAFF))]
INTAKE = ("dispatcher", "office", "service", "verifier")
"""Who may file a case that came by another channel, and without the limit on strangers."""
OFFICE_SIDE = "office"


class Command(BaseModel):
    """Input is taken literally: a misspelt field is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


class ReporterIn(Command):
    """Who reports, if they want to say so; seen by nobody outside this service."""

    name: str | None = Field(default=None, max_length=50, examples=["王女士"])
    phone: str | None = Field(default=None, max_length=24, examples=["0734-8888888"])


class SubmitCase(Command):
    """A problem somebody saw."""

    category: str = Field(max_length=100, examples=["water-pipe"])
    longitude: float = Field(ge=-180, le=180, examples=[112.6012])
    latitude: float = Field(ge=-90, le=90, examples=[26.8901])
    crs: Crs = Crs.WGS84
    address: str = Field(default="", max_length=200, examples=["华兴街道 祥光社区 北门"])
    text: str = Field(default="", max_length=TEXT_LIMIT, examples=["垃圾桶满了没人清"])
    channel: Channel = Channel.CITIZEN
    photos: list[str] = Field(default=[], max_length=PHOTO_LIMIT)
    reporter: ReporterIn | None = None


class Dispatch(Command):
    """The unit that is to handle the case."""

    unit: str = Field(max_length=100, examples=["chengguan"])


class Reply(Command):
    """What the unit did."""

    text: str = Field(max_length=TEXT_LIMIT, examples=["已清运，并增加夜间巡查"])


class Verify(Command):
    """What somebody outside the unit found."""

    passed: bool
    note: str = Field(default="", max_length=TEXT_LIMIT)


class Receipt(BaseModel):
    """Where the case stands now; `sequence` is the number of its last event."""

    case: str
    state: CaseState
    unit: str | None
    due_at: datetime | None
    sequence: int


class Intake:
    """The limit on cases that strangers file, per address and per process."""

    def __init__(self, settings: Settings) -> None:
        self._limit = RateLimit(settings.reports_per_minute / 60, max(1, int(settings.reports_per_minute)))

    def admit(self, request: Request, caller: Principal, channel: Channel) -> None:
        """Raises TooMany; Forbidden (`channel-reserved`) for a stranger who claims another channel."""
        if caller.has(*INTAKE):
            return
        if channel is not Channel.CITIZEN:
            raise Forbidden("channel-reserved", field="channel", channel=channel.value)
        self._limit.take(client_address(request))


class Own:
    """What the service holds besides its store."""

    def __init__(self, district: District, settings: Settings, desk: photos.Desk) -> None:
        self.district = district
        self.intake = Intake(settings)
        self.photos = desk


async def prepare(runtime: Runtime) -> Own:
    """Read the district's data. Raises DistrictUnusable."""
    settings = runtime.settings
    assert isinstance(settings, Settings)  # noqa: S101  (narrows what app.py has put together)
    desk = photos.Desk(runtime.store, PHOTO_LIMIT * settings.reports_per_minute)
    return Own(District.load(settings.district), settings, desk)


def own_of(request: Request) -> Own:
    """What `prepare` made. Raises Unavailable until then."""
    own: Own = runtime_of(request).own
    return own


@router.post("/cases", status_code=201, response_model=Receipt, openapi_extra=IDEMPOTENT)
async def submit(request: Request, body: SubmitCase, caller: Anyone) -> Response:
    """上报问题 · Report a problem."""
    own = own_of(request)
    own.intake.admit(request, caller, body.channel)
    submission = _submission(body)

    async def command(uow: UnitOfWork) -> Receipt:
        return _receipt(uow, await commands.submit(uow, own.district, submission, caller.unit))

    return await answer(request, command, location="/cases/{case}")


@router.get("/cases", response_model=Page)
async def page(
    request: Request,
    caller: Known,
    unit: Annotated[str | None, Query(max_length=100)] = None,
    state: CaseState | None = None,
    after: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=views.PAGE_LIMIT)] = 50,
) -> Page:
    """案件列表 · Cases the caller is responsible for, newest first."""
    return await views.case_page(runtime_of(request).store, caller, unit, state, after, limit)


@router.get("/cases/{id}", response_model=CaseView)
async def show(request: Request, id: str, caller: Anyone) -> CaseView:
    """案件详情 · One case, as much of it as the caller may see."""
    return await views.case_view(runtime_of(request).store, id, caller)


@router.post("/cases/{id}/dispatch", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def dispatch(request: Request, id: str, body: Dispatch, caller: Office) -> Response:
    """派遣 · Give the case to a unit."""
    district = own_of(request).district

    async def command(uow: UnitOfWork) -> Receipt:
        return _receipt(uow, await commands.dispatch(uow, district, id, body.unit, _side(caller)))

    return await answer(request, command, 200)


@router.post("/cases/{id}/acknowledge", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def acknowledge(request: Request, id: str, caller: Officer) -> Response:
    """签收 · The unit takes the case on."""

    async def command(uow: UnitOfWork) -> Receipt:
        return _receipt(uow, await commands.acknowledge(uow, id, _side(caller)))

    return await answer(request, command, 200)


@router.post("/cases/{id}/reply", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def reply(request: Request, id: str, body: Reply, caller: Officer) -> Response:
    """整改回执 · The unit says what it did."""

    async def command(uow: UnitOfWork) -> Receipt:
        return _receipt(uow, await commands.reply(uow, id, body.text, _side(caller)))

    return await answer(request, command, 200)


@router.post("/cases/{id}/verify", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def verify(request: Request, id: str, body: Verify, caller: Verifier) -> Response:
    """核查 · Somebody outside the unit found the work done, or not."""
    district = own_of(request).district

    async def command(uow: UnitOfWork) -> Receipt:
        case = await commands.verify(uow, district, id, body.passed, body.note, _side(caller))
        return _receipt(uow, case)

    return await answer(request, command, 200)


@router.post("/cases/{id}/close", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def close(request: Request, id: str, caller: Office) -> Response:
    """销号 · Sign the case off."""

    async def command(uow: UnitOfWork) -> Receipt:
        return _receipt(uow, await commands.close(uow, id, _side(caller)))

    return await answer(request, command, 200)


@router.get("/categories", response_model=list[CategoryView])
async def categories(request: Request, caller: Anyone) -> list[CategoryView]:
    """问题类别 · What can be reported."""
    return views.categories(own_of(request).district)


def _submission(body: SubmitCase) -> Submission:
    reporter = Reporter(body.reporter.name, body.reporter.phone) if body.reporter else None
    return Submission(
        category=body.category,
        longitude=body.longitude,
        latitude=body.latitude,
        crs=body.crs,
        address=body.address,
        text=body.text,
        channel=body.channel,
        photos=tuple(body.photos),
        reporter=reporter,
    )


def _side(caller: Principal) -> str:
    return caller.unit or OFFICE_SIDE


def _receipt(uow: UnitOfWork, case: Case) -> Receipt:
    return Receipt(
        case=case.id, state=case.state, unit=case.unit, due_at=case.due_at, sequence=uow.sequence(CASES, case.id)
    )
