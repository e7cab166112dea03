"""The JSON twins of the pages, and the ranking as a stream of server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from services.portal.domain import CaseView, period_of
from services.portal.live import Follower
from services.portal.portal import portal_of
from services.portal.views import Ranking
from shared.auth import Principal, anyone
from shared.errors import NotFound
from shared.http import Router
from shared.service import runtime_of

router = Router(tags=["portal"])

Anyone = Annotated[Principal, Depends(anyone())]
Period = Annotated[str | None, Query(pattern=r"^20\d\d-(0[1-9]|1[0-2])$", description="YYYY-MM; this month if absent")]
LastEventId = Annotated[str | None, Header(max_length=64)]

RECONNECT_MILLISECONDS = 3000


@router.get("/api/cases/{id}", response_model=CaseView)
async def case(request: Request, id: str, caller: Anyone) -> CaseView:
    """案件 · One case with its history."""
    portal = portal_of(request)
    view = await portal.views.case(id)
    if view is None:
        raise NotFound("case-not-shown", id=id[:40])
    if (await portal.catalogue.current()).hides_place(view.category):
        return replace(view, longitude=None, latitude=None)
    return view


@router.get("/api/ranking", response_model=Ranking)
async def ranking(request: Request, caller: Anyone, period: Period = None) -> Ranking:
    """排行榜 · The ranking of a month (YYYY-MM)."""
    return await portal_of(request).views.ranking(period or period_of(runtime_of(request).clock.now()))


async def _follower(request: Request, period: Period = None) -> AsyncIterator[Follower]:
    # A dependency, because a stream that has begun can refuse nobody, and this ends with the connection.
    wanted = period or period_of(runtime_of(request).clock.now())
    with portal_of(request).live.following(wanted) as follower:
        yield follower


@router.get("/ranking/events", response_class=EventSourceResponse)
async def events(
    caller: Anyone, follower: Annotated[Follower, Depends(_follower)], last_event_id: LastEventId = None
) -> AsyncIterator[ServerSentEvent]:
    """实时排行 · The whole ranking now and after each change; a comment every 15 s keeps the connection open."""
    async for message in follower.messages(last_event_id):
        yield ServerSentEvent(raw_data=message.json, id=message.id, retry=RECONNECT_MILLISECONDS)
