"""The first page."""

from __future__ import annotations

from fastapi import Request, Response
from starlette.responses import HTMLResponse

from services.portal.api.access import Anyone
from services.portal.pages.page import PAGES, page, render
from services.portal.resources import resources_of
from services.portal.views.cases import CaseFilter
from shared.http import Router
from shared.months import month_of
from shared.service import runtime_of

router = Router(tags=["pages"], responses=PAGES)

CASES = 8
UNITS = 5


@router.get("/", response_class=HTMLResponse)
@page
async def home(request: Request, caller: Anyone) -> Response:
    """首页 · What this is, how the units stand, what was reported last."""
    resources, now = resources_of(request), runtime_of(request).clock.now()
    board, catalogue = resources.board, await resources.catalogue.current()
    return await render(
        request,
        "home",
        figures=await resources.figures(),
        ranking=await board.standings.ranking(month_of(now)),
        excerpt=UNITS,
        cases=[catalogue.shown(case) for case in (await board.cases.page(CaseFilter(), now, CASES)).items],
        now=now,
    )
