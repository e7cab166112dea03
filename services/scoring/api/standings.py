"""Standings and ledgers: public, so that anyone can recompute them."""

from __future__ import annotations

from contextlib import aclosing
from typing import Annotated

from fastapi import Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime
from starlette.responses import Response

from services.scoring.api.access import Anyone, resources_of
from services.scoring.domain.standings import MONTHS, PERIOD, Formula
from services.scoring.views.archive import ledgers
from services.scoring.views.changes import Changes, changes
from services.scoring.views.standings import PAGE_LIMIT, LedgerPage, Ranking, Standings, ledger_page
from services.scoring.views.tables import standings_table
from shared.errors import Invalid, NotFound
from shared.http import Download, Router
from shared.service import runtime_of
from shared.tables import TableFormat

JSON_LINES = "application/x-ndjson"
router = Router(tags=["scoring"])

PeriodName = Annotated[str, Query(pattern=PERIOD, examples=["2026-11", "2026-Q4", "2026", "cycle"])]
SchemeCode = Annotated[str, Query(max_length=100, pattern=r"^[a-z0-9-]+$")]
UnitCode = Annotated[str, Path(max_length=100)]
_FILE = {"schema": {"type": "string", "format": "binary"}}


@router.get("/standings", response_model=Ranking)
async def standings(request: Request, caller: Anyone, period: PeriodName, scheme: SchemeCode = MONTHS) -> Ranking:
    """排名 · The ranking of a month, a quarter, a year or the cycle; by months, or by an assessment of the district."""
    return await _standings(request).ranking(period, scheme)


@router.get("/standings/formula", response_model=Formula)
async def formula(request: Request, caller: Anyone) -> Formula:
    """计分办法 · How standings are made: weights, parts of assessments, rounding."""
    return resources_of(request).district.formula


@router.get("/standings/changes", response_model=Changes)
async def changes_since(
    request: Request,
    caller: Anyone,
    since: AwareDatetime | None = None,
    unit: Annotated[str | None, Query(max_length=100)] = None,
) -> Changes:
    """变动与原因 · What changed since a moment (by default since this time yesterday), and why; of one unit or all."""
    units = resources_of(request).district.units
    if unit is not None and unit not in units:
        raise Invalid("units-not-found", field="unit", id=unit)
    return await changes(runtime_of(request).store, [unit] if unit is not None else sorted(units), since)


@router.get(
    "/standings/export",
    response_class=StreamingResponse,
    responses={200: {"content": {each.media_type: _FILE for each in TableFormat}, "description": "排名表 · The table"}},
)
async def export(
    request: Request,
    caller: Anyone,
    period: PeriodName,
    scheme: SchemeCode = MONTHS,
    format: TableFormat = TableFormat.CSV,
) -> Response:
    """导出排名 · The same ranking as a table: CSV or Excel."""
    resources = resources_of(request)
    ranking = await _standings(request).ranking(period, scheme)
    names = {unit.code: unit.name.zh for unit in resources.district.units.values()}
    content = lambda: standings_table(ranking, names, resources.district.groups, format)  # noqa: E731  (made when sent)
    return Download(resources.exports, content, format.media_type, f"排名-{period}-{scheme}.{format.value}")


@router.get("/units/{unit}/ledger", response_model=LedgerPage)
async def ledger(
    request: Request,
    caller: Anyone,
    unit: UnitCode,
    after: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 100,
) -> LedgerPage:
    """扣分台账 · A unit's deductions, each with its basis and the hash that chains it to the one before."""
    _require_unit(request, unit)
    return await ledger_page(runtime_of(request).store, unit, after, limit)


@router.get(
    "/units/{unit}/ledger/export",
    response_class=StreamingResponse,
    responses={200: {"content": {JSON_LINES: _FILE}, "description": "台账 · One row a line"}},
)
async def ledger_export(request: Request, caller: Anyone, unit: UnitCode) -> Response:
    """导出台账 · All rows of a unit's ledger, a line of JSON each."""
    _require_unit(request, unit)
    return _ledgers(request, unit)


@router.get(
    "/ledgers/export",
    response_class=StreamingResponse,
    responses={200: {"content": {JSON_LINES: _FILE}, "description": "台账 · One row a line"}},
)
async def ledgers_export(request: Request, caller: Anyone) -> Response:
    """导出全部台账 · All rows of all ledgers, by unit and number, a line of JSON each."""
    return _ledgers(request, None)


def _ledgers(request: Request, unit: str | None) -> Response:
    store = runtime_of(request).store
    name = f"台账-{unit}.jsonl" if unit else "台账.jsonl"
    return Download(resources_of(request).exports, lambda: aclosing(ledgers(store, unit)), JSON_LINES, name)


def _standings(request: Request) -> Standings:
    district = resources_of(request).district
    return Standings(runtime_of(request).store, district.formula, district.ranked_among)


def _require_unit(request: Request, unit: str) -> None:
    if unit not in resources_of(request).district.units:
        raise NotFound("units-not-found", id=unit)
