"""The office's routes against abuse: what newcomers hand in, and who may not report for a while."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from services.reports.api.access import MISSING, Centre, resources
from services.reports.commands import moderation
from services.reports.commands.moderation import MODERATED_AT_ONCE, Whom
from services.reports.domain import TEXT_LIMIT, Case, Moderation
from services.reports.domain.abuse import Ban, BanKind
from services.reports.repo import BANS, CASES
from services.reports.repo.reporters import Reporters
from shared.auth import Principal
from shared.http import IDEMPOTENT, Body, Router, answer
from shared.service import runtime_of
from shared.store import UnitOfWork
from shared.store.collection import Filter

router = Router(tags=["moderation"])
PAGE_LIMIT = 100


class Verdict(StrEnum):
    """What the office decides."""

    APPROVE = "approve"
    WITHHOLD = "withhold"


_MEANT = {Verdict.APPROVE: Moderation.APPROVED, Verdict.WITHHOLD: Moderation.WITHHELD}


class Moderate(Body):
    """Whether the public may see address and photos; withholding needs a reason."""

    verdict: Verdict
    reason: str = Field(default="", max_length=TEXT_LIMIT, examples=["照片含他人面部"])


class ModerateMany(Moderate):
    """The same for several cases at once: all of them or none."""

    cases: list[str] = Field(min_length=1, max_length=MODERATED_AT_ONCE)


class Moderated(BaseModel):
    """How the case stands; `sequence` is the number of its last event."""

    case: str
    moderation: Moderation
    sequence: int


class ModeratedMany(BaseModel):
    """How the cases stand, as they were named."""

    cases: list[Moderated]


class Waiting(BaseModel):
    """What somebody new handed in, and the public does not see yet."""

    case: str
    category: str
    registered_at: datetime
    address: str
    text: str
    photos: tuple[str, ...]


class Queue(BaseModel):
    """The oldest first; `next` is the cursor of the following page, if there is one."""

    cases: list[Waiting]
    next: str | None = None


class MakeBan(Body):
    """Whom to shut out: by `value` a network (203.0.113.7, 2001:db8::/48), an account or a number, or whoever reported
    `case`, as far as it tells.
    """

    kind: BanKind
    value: str | None = Field(default=None, min_length=1, max_length=200, repr=False)
    case: str | None = Field(default=None, max_length=100)
    until: AwareDatetime
    reason: str = Field(min_length=1, max_length=TEXT_LIMIT, examples=["多次虚假上报"])


class LiftBan(Body):
    """Why it is over."""

    reason: str = Field(min_length=1, max_length=TEXT_LIMIT)


class BanView(BaseModel):
    """Who may not report until when; whom it meets is told of networks only."""

    ban: str
    kind: BanKind
    network: str | None
    reason: str
    who: str
    since: datetime
    until: datetime


class BanPage(BaseModel):
    """The bans that hold, and those that are over but a little while."""

    bans: list[BanView]


@router.get("/moderation", response_model=Queue)
async def queue(
    request: Request,
    caller: Centre,
    after: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 50,
) -> Queue:
    """待审核 · What waits to be published."""
    filter: Filter = {"moderation": Moderation.PENDING.value, "parent": None}
    if after:
        filter["_id"] = {"$gt": after}
    found = await runtime_of(request).store.find(CASES, filter, [("_id", 1)], limit + 1)
    more = found[limit - 1].id if len(found) > limit else None
    return Queue(cases=[_waiting(case) for case in found[:limit]], next=more)


@router.post("/cases/{id}/moderation", response_model=Moderated, openapi_extra=IDEMPOTENT)
async def moderate(request: Request, id: str, body: Moderate, caller: Centre) -> Response:
    """审核公开 · Publish what was handed in, or withhold it."""
    reporters = resources(request).reporters

    async def command(uow: UnitOfWork) -> Moderated:
        await uow.get(CASES, id)
        return (await _moderated(uow, reporters, [id], body, caller))[0]

    return await answer(request, command, 200)


@router.post("/moderation", response_model=ModeratedMany, openapi_extra=IDEMPOTENT)
async def moderate_many(request: Request, body: ModerateMany, caller: Centre) -> Response:
    """批量审核 · The same for up to 100 cases."""
    reporters, ids = resources(request).reporters, list(dict.fromkeys(body.cases))

    async def command(uow: UnitOfWork) -> ModeratedMany:
        return ModeratedMany(cases=await _moderated(uow, reporters, ids, body, caller))

    return await answer(request, command, 200)


@router.post("/bans", status_code=201, response_model=BanView, openapi_extra=IDEMPOTENT, responses=MISSING)
async def ban(request: Request, body: MakeBan, caller: Centre) -> Response:
    """限制上报 · Shut somebody out until a time."""
    held = resources(request)

    async def command(uow: UnitOfWork) -> BanView:
        whom = Whom(body.kind, body.value, body.case)
        terms = held.district.reporting
        made = await moderation.ban(uow, held.reporters, terms, whom, body.until, body.reason, caller.subject)
        return _ban(made)

    return await answer(request, command, vault=held.reporters.vault)


@router.get("/bans", response_model=BanPage)
async def bans(request: Request, caller: Centre) -> BanPage:
    """限制名单 · The bans, the latest to end first."""
    found = await runtime_of(request).store.find(BANS, {}, [("until", -1)], PAGE_LIMIT)
    return BanPage(bans=[_ban(ban) for ban in found])


@router.post("/bans/{id}/lift", response_model=BanView, openapi_extra=IDEMPOTENT)
async def lift(request: Request, id: str, body: LiftBan, caller: Centre) -> Response:
    """解除限制 · The ban is over now."""

    async def command(uow: UnitOfWork) -> BanView:
        return _ban(await moderation.lift(uow, id, caller.subject, body.reason))

    return await answer(request, command, 200)


async def _moderated(
    uow: UnitOfWork, reporters: Reporters, ids: list[str], body: Moderate, caller: Principal
) -> list[Moderated]:
    cases = await moderation.moderate(uow, reporters, ids, _MEANT[body.verdict], body.reason, caller.subject)
    return [
        Moderated(case=case.id, moderation=case.moderation, sequence=uow.sequence(CASES, case.id)) for case in cases
    ]


def _waiting(case: Case) -> Waiting:
    return Waiting(
        case=case.id,
        category=case.category,
        registered_at=case.registered_at,
        address=case.place.address,
        text=case.text,
        photos=case.photos,
    )


def _ban(ban: Ban) -> BanView:
    return BanView(
        ban=ban.id,
        kind=ban.kind,
        network=ban.network,
        reason=ban.reason,
        who=ban.who,
        since=ban.since,
        until=ban.until,
    )
