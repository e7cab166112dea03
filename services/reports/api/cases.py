"""The routes of reports; a handler says who may call it and hands over."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import Request, Response
from pydantic import BaseModel, Field

from services.reports.api.access import FORBIDDEN, Anyone, actor_of, resources
from services.reports.commands import reporting
from services.reports.commands.intake import Submission
from services.reports.domain import PHOTO_LIMIT, TEXT_LIMIT, Case, Person
from services.reports.domain.channels import reporter_of
from services.reports.repo import CASES
from services.reports.repo.reporters import Sender
from services.reports.resources import INTAKE
from services.reports.views.cases import CaseView, case_view
from shared.auth import Principal
from shared.contracts.reports import CaseState, Channel, Kind, ReporterKind
from shared.geo import Crs
from shared.http import IDEMPOTENT, Body, Router, answer, client_address
from shared.roles import Role
from shared.service import runtime_of
from shared.store import UnitOfWork

router = Router(tags=["cases"])
OWN_CHANNELS = ("citizen", "staff", "patrol")
"""Channels whose caller reports what they saw themselves."""


class ReporterIn(Body):
    """Who reports, if they want to say so; seen by nobody outside this service."""

    name: str | None = Field(default=None, max_length=50, examples=["王女士"], repr=False)
    phone: str | None = Field(default=None, max_length=24, examples=["0734-8888888"], repr=False)
    may_call: bool = True
    may_publish: bool = True


class SubmitCase(Body):
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
    held = resources(request)
    submission, sender = _submission(body, caller), _sender(request, body, caller)
    held.limits.report(request, caller)

    async def command(uow: UnitOfWork) -> Filed:
        case, code = await reporting.submit(uow, held.reporters, held.reference, submission, sender, actor_of(caller))
        return Filed(**dict(receipt(uow, case)), tracking=code)

    return await answer(request, command, location="/cases/{case}", vault=held.reporters.vault)


@router.get("/cases/{id}", response_model=CaseView)
async def show(request: Request, id: str, caller: Anyone) -> CaseView:
    """案件详情 · One case, as much of it as the caller may see."""
    return await case_view(runtime_of(request).store, id, caller, resources(request).reporters)


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
    reporter = body.reporter or ReporterIn()
    theirs = body.channel in OWN_CHANNELS and not caller.has(Role.SERVICE)
    return Sender(
        person=Person.checked(reporter.name, reporter.phone),
        account=(caller.subject or None) if theirs else None,
        address=client_address(request),
        may_call=reporter.may_call,
        may_publish=reporter.may_publish,
        stranger=not caller.has(*INTAKE),
    )


def receipt(uow: UnitOfWork, case: Case) -> Receipt:
    """Where the case stands once the unit is committed."""
    return Receipt(
        case=case.id, state=case.state, unit=case.unit, due_at=case.due_at, sequence=uow.sequence(CASES, case.id)
    )
