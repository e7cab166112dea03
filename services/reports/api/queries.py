"""The routes of work views and numbers: lists, queues, the map, exports, figures, templates."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.responses import Response

from services.reports.api.context import Anyone, Insider, Known, own_of
from services.reports.domain import Command, Name
from services.reports.repo import CASES
from services.reports.resources import Resources
from services.reports.templates import placeholders
from services.reports.views import sees_inside
from services.reports.views.export import table
from services.reports.views.figures import Dimension, Figures, Period, figures
from services.reports.views.lists import PAGE_LIMIT, Page, case_page
from services.reports.views.map import Box, Map, case_map
from services.reports.views.names import Names
from services.reports.views.queue import Queue, Task, queue, queue_of
from services.reports.views.wanted import Order, Wanted
from shared import telemetry
from shared.clock import CHINA
from shared.errors import Forbidden, NotFound
from shared.http import Download, Router
from shared.service import runtime_of
from shared.tables import TableFormat

QUEUE_LIMIT = 50

log = telemetry.logger(__name__)
router = Router(tags=["queries"])

_TABLES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {each.media_type: {"schema": {"type": "string", "format": "binary"}} for each in TableFormat},
        "description": "台账 · The table",
    },
    413: {"$ref": "#/components/responses/TooLarge"},
}

Cursor = Annotated[str, Field(max_length=300)]


class WantedPage(Wanted):
    """Which cases, in which order, and which page of them."""

    sort: Order = Order.NEWEST
    after: Cursor = ""
    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = 50


class WantedExport(Wanted):
    """Which cases, in which form."""

    format: TableFormat = TableFormat.CSV


class TemplateView(BaseModel):
    """A template; of a case, with everything filled in."""

    code: str
    step: Command
    name: Name
    text: str
    categories: tuple[str, ...]


@router.get("/cases", response_model=Page)
async def page(request: Request, caller: Known, wanted: Annotated[WantedPage, Query()]) -> Page:
    """案件列表 · Cases the caller is responsible for."""
    return await case_page(runtime_of(request).store, caller, wanted, wanted.sort, wanted.after or None, wanted.limit)


@router.get("/cases/map", response_model=Map)
async def map_of_cases(
    request: Request,
    caller: Anyone,
    bbox: Annotated[str, Query(max_length=100, examples=["112.57,26.86,112.62,26.91"])],
    category: Annotated[list[str], Query(max_length=20)] = [],  # noqa: B006  (FastAPI copies it)
    overdue: bool = False,
) -> Map:
    """案件地图 · The open cases in a box, `minlon,minlat,maxlon,maxlat` in WGS-84; many of them as counts."""
    return await case_map(runtime_of(request).store, caller, Box.parse(bbox), category, overdue)


@router.get("/cases/export", response_class=StreamingResponse, responses=_TABLES)
async def export(request: Request, caller: Known, wanted: Annotated[WantedExport, Query()]) -> Response:
    """导出台账 · The same cases as a table, newest first: CSV, or Excel up to 1,048,575 cases."""
    runtime, own = runtime_of(request), own_of(request)
    filter, format = wanted.filter(caller, Order.NEWEST), wanted.format
    log.info("cases are exported", format=format.value, to=caller.subject)
    name = f"案件台账-{runtime.clock.now().astimezone(CHINA):%Y%m%d-%H%M}.{format.value}"
    names = await _names(own)
    return Download(own.exports, lambda: table(runtime.store, names, filter, format), format.media_type, name)


@router.get("/queue", response_model=Queue)
async def my_queue(request: Request, caller: Insider, limit: Annotated[int, Query(ge=0, le=QUEUE_LIMIT)] = 10) -> Queue:
    """我的待办 · What the caller has to act on now, by kind, each with its count and its first cases by deadline."""
    return await queue(runtime_of(request).store, caller, limit)


@router.get("/queue/{kind}", response_model=Task)
async def my_queue_of(
    request: Request,
    kind: str,
    caller: Insider,
    after: Annotated[str, Query(max_length=300)] = "",
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 50,
) -> Task:
    """待办明细 · One kind of what the caller has to act on, page by page."""
    return await queue_of(runtime_of(request).store, caller, kind, after or None, limit)


@router.get("/figures", response_model=Figures)
async def figures_of(
    request: Request,
    caller: Known,
    first: Annotated[date, Query(alias="from", examples=["2026-01-01"])],
    last: Annotated[date, Query(alias="to", examples=["2026-01-31"])],
    by: Dimension = Dimension.UNIT,
) -> Figures:
    """办理指标 · The figures of a period; both days are part of it."""
    names = await _names(own_of(request))
    return await figures(runtime_of(request).store, names, caller, Period(first, last), by)


@router.get("/templates", response_model=list[TemplateView])
async def templates(
    request: Request,
    caller: Insider,
    step: Command | None = None,
    category: Annotated[str | None, Query(max_length=100)] = None,
) -> list[TemplateView]:
    """回复模板 · What the office has written for a step and a category."""
    found = own_of(request).templates.of(step, category)
    return [TemplateView.model_validate(template, from_attributes=True) for template in found]


@router.get("/cases/{id}/templates", response_model=list[TemplateView])
async def templates_for(request: Request, id: str, caller: Insider, step: Command | None = None) -> list[TemplateView]:
    """套用模板 · The templates for a case, filled in; whoever uses one may still change the text."""
    runtime, own = runtime_of(request), own_of(request)
    case = await runtime.store.get(CASES, id)
    if case is None:
        raise NotFound("cases-not-found", id=id)
    if not sees_inside(case, caller):
        raise Forbidden("case-of-another-unit", unit=caller.unit or "")
    told = placeholders(case, await _names(own), runtime.clock.now())
    return [
        TemplateView(code=each.code, step=each.step, name=each.name, text=each.fill(told), categories=each.categories)
        for each in own.templates.of(step, case.category)
    ]


async def _names(own: Resources) -> Names:
    return Names.of(own.district, await own.catalogue.current())
