"""The routes of lists of cases: page by page, on the map, as a table."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.responses import Response

from services.reports.api.access import Anyone, Reader, resources
from services.reports.resources import Resources
from services.reports.views.export import table
from services.reports.views.filters import CaseFilter, Sorting
from services.reports.views.lists import PAGE_LIMIT, Page, case_page
from services.reports.views.map import Box, Map, case_map
from services.reports.views.names import Names
from shared import telemetry
from shared.clock import CHINA
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


class PageQuery(CaseFilter):
    """Which cases, in which order, and which page of them."""

    sort: Sorting = Sorting.NEWEST
    after: Cursor = ""
    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = 50


class ExportQuery(CaseFilter):
    """Which cases, in which form."""

    format: TableFormat = TableFormat.CSV


@router.get("/cases", response_model=Page)
async def page(request: Request, caller: Reader, wanted: Annotated[PageQuery, Query()]) -> Page:
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
async def export(request: Request, caller: Reader, wanted: Annotated[ExportQuery, Query()]) -> Response:
    """导出台账 · The same cases as a table, newest first: CSV, or Excel up to 1,048,575 cases."""
    runtime, held = runtime_of(request), resources(request)
    filter, format = wanted.filter(caller, Sorting.NEWEST), wanted.format
    log.info("cases are exported", format=format.value, to=caller.subject)
    name = f"案件台账-{runtime.clock.now().astimezone(CHINA):%Y%m%d-%H%M}.{format.value}"
    names = await names_of(held)
    return Download(held.exports, lambda: table(runtime.store, names, filter, format), format.media_type, name)


async def names_of(held: Resources) -> Names:
    """The Chinese names of the district's codes, categories as they are now."""
    return Names.of(held.district, await held.catalogue.current())
