"""The ranking as JSON, and as a stream of server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from services.portal.api.access import Anyone
from services.portal.resources import resources_of
from services.portal.views.live import Follower, followed
from services.portal.views.standings import Ranking
from shared.errors import NotFound
from shared.http import Router, client_address, subscriber
from shared.months import month_of
from shared.service import runtime_of

router = Router(tags=["portal"])

Period = Annotated[
    str | None, Query(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$", description="YYYY-MM; this month if absent")
]
LastEventId = Annotated[str | None, Header(max_length=64)]

RECONNECT_MILLISECONDS = 3000


@router.get("/api/ranking", response_model=Ranking)
async def ranking(request: Request, caller: Anyone, period: Period = None) -> Ranking:
    """排行榜 · The ranking of a month (YYYY-MM)."""
    return await resources_of(request).board.standings.ranking(period or _this_month(request))


async def _follower(request: Request, period: Period = None) -> AsyncIterator[Follower]:
    # A dependency, because a stream that has begun can refuse nobody, and this ends with the connection.
    current = _this_month(request)
    month = period or current
    if month not in followed(current):
        raise NotFound("ranking-not-live", period=month)
    with resources_of(request).live.following(month, subscriber(client_address(request))) as follower:
        yield follower


@router.get("/ranking/events", response_class=EventSourceResponse)
async def events(
    caller: Anyone, follower: Annotated[Follower, Depends(_follower)], last_event_id: LastEventId = None
) -> AsyncIterator[ServerSentEvent]:
    """实时排行 · The whole ranking now and after each change; a comment every 15 s keeps the connection open."""
    async for message in follower.messages(last_event_id):
        yield ServerSentEvent(raw_data=message.json, id=message.id, retry=RECONNECT_MILLISECONDS)


def _this_month(request: Request) -> str:
    return month_of(runtime_of(request).clock.now())
