"""How the units stand, and why."""

from __future__ import annotations

import re

from fastapi import Request, Response
from starlette.responses import HTMLResponse

from services.portal.domain import months_until, period_of
from services.portal.pages.page import Anyone, page
from services.portal.portal import portal_of
from shared.errors import NotFound
from shared.http import Router
from shared.service import runtime_of

router = Router(tags=["pages"])

PERIOD = re.compile(r"20\d\d-(0[1-9]|1[0-2])")
MONTHS = 12


@router.get("/ranking", response_class=HTMLResponse)
@page
async def ranking(request: Request, caller: Anyone) -> Response:
    """排行榜 · The units of a month, best first, kept up to date."""
    portal, now = portal_of(request), runtime_of(request).clock.now()
    asked, current = request.query_params, period_of(now)
    period = _period(request, current)
    group = asked.get("group", "")
    return await portal.page(
        request,
        "ranking",
        ranking=await portal.views.ranking(period),
        period=period,
        periods=_offered(period, current),
        group=group if group in portal.district.unit_groups else "",
        now=now,
    )


@router.get("/units/{code}", response_class=HTMLResponse)
@page
async def unit(request: Request, code: str, caller: Anyone) -> Response:
    """责任单位 · A unit's standing and its ledger, each row with its reason and its hash."""
    portal, now = portal_of(request), runtime_of(request).clock.now()
    period = _period(request, period_of(now))
    standings = await portal.views.standings(code)
    before = request.query_params.get("before", "")
    ledger = await portal.views.ledger(code, int(before) if before.isdecimal() and len(before) < 12 else None)
    if code not in portal.district.units and not standings:
        raise NotFound("unit-not-shown", id=code[:40])
    places = (await portal.views.ranking(period)).standings
    return await portal.page(
        request,
        "unit",
        code=code,
        place=next((place for place in places if place.unit == code), None),
        period=period,
        standings=standings,
        ledger=ledger,
        now=now,
    )


def _period(request: Request, current: str) -> str:
    asked = request.query_params.get("period", "")
    return asked if PERIOD.fullmatch(asked) else current


def _offered(period: str, current: str) -> list[str]:
    offered = months_until(current, MONTHS)
    return offered if period in offered else sorted([*offered, period], reverse=True)
