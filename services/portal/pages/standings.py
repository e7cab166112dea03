"""How the units stand and why."""

from __future__ import annotations

import re

from fastapi import Request, Response
from starlette.responses import HTMLResponse

from services.portal.api.access import Anyone
from services.portal.pages.page import PAGES, page, render
from services.portal.resources import resources_of
from services.portal.views.live import MONTHS, followed
from shared.errors import NotFound
from shared.http import Router
from shared.months import month_of, months_until
from shared.service import runtime_of

router = Router(tags=["pages"], responses=PAGES)

PERIOD = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")


@router.get("/ranking", response_class=HTMLResponse)
@page
async def ranking(request: Request, caller: Anyone) -> Response:
    """排行榜 · The units of a month, best first, kept up to date."""
    resources, now = resources_of(request), runtime_of(request).clock.now()
    asked, current = request.query_params, month_of(now)
    period = _period(request, current)
    group = asked.get("group", "")
    return await render(
        request,
        "ranking",
        ranking=await resources.board.standings.ranking(period),
        period=period,
        periods=_offered(period, current),
        live=period in followed(current),
        group=group if group in resources.district.unit_groups else "",
        now=now,
    )


@router.get("/units/{code}", response_class=HTMLResponse)
@page
async def unit(request: Request, code: str, caller: Anyone) -> Response:
    """责任单位 · A unit's month: its standing, what cost it points, and each entry of its ledger with reason and hash.

    `?row=` is for links: the month of that entry, from it on.
    """
    resources, now = resources_of(request), runtime_of(request).clock.now()
    board, current = resources.board, month_of(now)
    wanted = _number(request, "row")
    entry = None if wanted is None else await board.entries.one(code, wanted)
    period = _period(request, current) if entry is None else entry.period
    before = _number(request, "before") if entry is None else entry.number + 1
    standings = await board.standings.of(code)
    if code not in resources.district.units and not standings:
        raise NotFound("unit-not-shown", id=code[:40])
    ranks = (await board.standings.ranking(period)).standings
    return await render(
        request,
        "unit",
        code=code,
        rank=next((rank for rank in ranks if rank.unit == code), None),
        period=period,
        periods=_offered(period, current),
        standings=standings,
        shares=await board.entries.shares(code, period),
        measures=await board.measures.open(code),
        ledger=await board.entries.page(code, period, before),
        before=before,
        now=now,
    )


def _number(request: Request, name: str) -> int | None:
    asked = request.query_params.get(name, "")
    return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 12 else None


def _period(request: Request, current: str) -> str:
    asked = request.query_params.get("period", "")
    return asked if PERIOD.fullmatch(asked) else current


def _offered(period: str, current: str) -> list[str]:
    offered = months_until(current, MONTHS)
    return offered if period in offered else sorted([*offered, period], reverse=True)
