"""Months from open to published, their seals, and what assessments came to. Reading is public."""

from __future__ import annotations

from contextlib import aclosing
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.responses import Response

from services.scoring.api.access import Anyone, may, resources_of
from services.scoring.commands import periods as commands
from services.scoring.commands.schemes import scheme_of
from services.scoring.domain.acts import Act
from services.scoring.domain.periods import Period
from services.scoring.domain.standings import Span
from services.scoring.views.archive import archive, contents
from services.scoring.views.periods import (
    PeriodList,
    PeriodView,
    SealList,
    SealWithPlaces,
    period_view,
    periods,
    seal_of,
    seal_view,
    seals,
)
from shared.auth import Principal
from shared.errors import NotFound
from shared.http import IDEMPOTENT, Download, Router, answer
from shared.roles import OVERSIGHT
from shared.service import runtime_of
from shared.store import UnitOfWork

ARCHIVE = "application/x-ndjson"
router = Router(tags=["periods"])


class SealKey(BaseModel):
    """The public key that new seals fit: `key` is base64 of its 32 bytes, `pem` what openssl reads."""

    algorithm: str
    key: str
    pem: str


@router.get("/periods", response_model=PeriodList)
async def months(request: Request, caller: Anyone) -> PeriodList:
    """考核月份 · The months, the newest first, and how far each is."""
    return await periods(runtime_of(request).store, inside=caller.has(*OVERSIGHT))


@router.get("/periods/{period}", response_model=PeriodView)
async def month(request: Request, period: str, caller: Anyone) -> PeriodView:
    """月份状态 · How far a month is: open, freezing, frozen, published."""
    return await period_view(runtime_of(request).store, _month(period), inside=caller.has(*OVERSIGHT))


@router.get("/periods/{period}/seal", response_model=SealWithPlaces)
async def seal(request: Request, period: str, caller: Anyone) -> SealWithPlaces:
    """封存记录 · What a published month was sealed with, and where every unit stood."""
    return await seal_of(runtime_of(request).store, _month(period))


@router.get(
    "/periods/{period}/export",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {ARCHIVE: {"schema": {"type": "string", "format": "binary"}}},
            "description": "封存档案 · The archive",
        }
    },
)
async def archive_of(request: Request, period: str, caller: Anyone) -> Response:
    """导出封存档案 · A published month with everything it rests on, for `python -m services.scoring verify`."""
    store, resources = runtime_of(request).store, resources_of(request)
    exported = await contents(store, _month(period))
    content = lambda: aclosing(archive(store, exported, resources.district.ranked_among))  # noqa: E731  (made when sent)
    return Download(resources.exports, content, ARCHIVE, f"scoring-{period}.jsonl")


@router.get("/seals", response_model=SealList)
async def chain(request: Request, caller: Anyone, after: Annotated[str, Query(max_length=7)] = "") -> SealList:
    """封存链 · The seals of all published months, each bound to the one before."""
    return await seals(runtime_of(request).store, after)


@router.get("/seal-key", response_model=SealKey)
async def seal_key(request: Request, caller: Anyone) -> SealKey:
    """公钥 · The key that seals are checked with."""
    signer = resources_of(request).signer
    return SealKey(algorithm="Ed25519", key=signer.public, pem=signer.pem())


@router.post("/periods/{period}/freeze", response_model=PeriodView, openapi_extra=IDEMPOTENT)
async def freeze(request: Request, period: str, caller: Annotated[Principal, may(Act.FREEZE_MONTH)]) -> Response:
    """冻结月份 · Close a month that is over: what still happened in it counts in the next."""
    store, units = runtime_of(request).store, set(resources_of(request).district.units)
    _month(period)

    async def command(uow: UnitOfWork) -> PeriodView:
        return _begun(await commands.freeze(uow, store, period, units, caller.subject))

    return await answer(request, command, 200)


@router.post("/periods/{period}/proposal", response_model=PeriodView, openapi_extra=IDEMPOTENT)
async def propose(request: Request, period: str, caller: Annotated[Principal, may(Act.PROPOSE_MONTH)]) -> Response:
    """提请发布 · Have a frozen month published, when a second person agrees."""
    store = runtime_of(request).store
    _month(period)

    async def command(uow: UnitOfWork) -> PeriodView:
        return _begun(await commands.propose(uow, store, period, caller.subject))

    return await answer(request, command, 200)


@router.post("/periods/{period}/publication", response_model=SealWithPlaces, openapi_extra=IDEMPOTENT)
async def publish(request: Request, period: str, caller: Annotated[Principal, may(Act.PUBLISH_MONTH)]) -> Response:
    """确认发布 · Seal a month that somebody else proposed; of one that is sealed, the seal."""
    store, resources = runtime_of(request).store, resources_of(request)
    _month(period)

    async def command(uow: UnitOfWork) -> SealWithPlaces:
        groups, scheme = resources.district.ranked_among, await scheme_of(uow, period)
        return seal_view(await commands.publish(uow, store, period, groups, resources.signer, caller, scheme))

    return await answer(request, command, 200)


def _month(period: str) -> str:
    """The month of a path. Raises NotFound for what is none."""
    try:
        span = Span.of(period)
    except ValueError:
        span = None
    if span is None or span.kind != "month":
        raise NotFound("periods-not-found", id=period)
    return period


def _begun(period: Period) -> PeriodView:
    """How the month stands after a command; how many ledgers have confirmed shows when it is asked for."""
    return PeriodView(
        period=period.id,
        state=period.state,
        units=len(period.units),
        frozen_at=period.frozen_at,
        proposed_at=period.proposed_at,
        published_at=period.published_at,
        frozen_by=period.frozen_by,
        proposed_by=period.proposed_by,
        published_by=period.published_by,
    )
