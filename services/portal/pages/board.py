"""How the units stand and why, and the red and black lists."""

from __future__ import annotations

import re

from fastapi import Request, Response
from starlette.responses import HTMLResponse

from services.portal.domain import months_until, period_of
from services.portal.pages.page import Anyone, page
from services.portal.portal import portal_of
from shared.contracts.scoring import ListKind
from shared.errors import NotFound
from shared.http import Router
from shared.service import runtime_of

router = Router(tags=["pages"])

PERIOD = re.compile(r"20\d\d-(0[1-9]|1[0-2])")
MONTHS = 12
LIST_EXCERPT = 5
"""Items of a list that the page of all lists shows."""


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
    """责任单位 · A unit's month: its standing, what cost it points, and each row of its ledger with reason and hash.

    `?row=` is for links: the month of that row, from it on.
    """
    portal, now = portal_of(request), runtime_of(request).clock.now()
    views, current = portal.views, period_of(now)
    wanted = _number(request, "row")
    row = None if wanted is None else await views.row(code, wanted)
    period = _period(request, current) if row is None else row.period
    before = _number(request, "before") if row is None else row.number + 1
    standings = await views.standings(code)
    if code not in portal.district.units and not standings:
        raise NotFound("unit-not-shown", id=code[:40])
    places = (await views.ranking(period)).standings
    return await portal.page(
        request,
        "unit",
        code=code,
        place=next((place for place in places if place.unit == code), None),
        period=period,
        periods=_offered(period, current),
        standings=standings,
        shares=await views.shares(code, period),
        measures=await views.measures(code),
        ledger=await views.ledger(code, period, before),
        before=before,
        now=now,
    )


@router.get("/lists", response_class=HTMLResponse)
@page
async def lists(request: Request, caller: Anyone) -> Response:
    """红黑榜 · Red and black lists, the last published first."""
    asked = request.query_params
    kind = ListKind(asked["kind"]) if asked.get("kind") in {ListKind.RED, ListKind.BLACK} else None
    found = await portal_of(request).views.lists(kind, asked.get("after", ""))
    return await portal_of(request).page(
        request, "lists", found=found, kind=kind, after="after" in asked, excerpt=LIST_EXCERPT
    )


@router.get("/lists/{id}", response_class=HTMLResponse)
@page
async def one_list(request: Request, id: str, caller: Anyone) -> Response:
    """榜单 · One list, whole."""
    found = await portal_of(request).views.red_black_list(id)
    if found is None:
        raise NotFound("list-not-shown", id=id[:40])
    return await portal_of(request).page(request, "list", listed=found)


def _number(request: Request, name: str) -> int | None:
    asked = request.query_params.get(name, "")
    return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 12 else None


def _period(request: Request, current: str) -> str:
    asked = request.query_params.get("period", "")
    return asked if PERIOD.fullmatch(asked) else current


def _offered(period: str, current: str) -> list[str]:
    offered = months_until(current, MONTHS)
    return offered if period in offered else sorted([*offered, period], reverse=True)
