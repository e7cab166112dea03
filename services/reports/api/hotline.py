"""Routes by which other systems hand over what was reported to them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from fastapi import Request
from pydantic import BaseModel, Field, JsonValue

from services.reports.api.access import Importer, actor_of, resources
from services.reports.commands.hotline import ROWS_LIMIT, Outcome, import_orders, rows_of
from shared import telemetry
from shared.auth import Principal
from shared.errors import Unsupported
from shared.http import BODY_LIMIT, Body, Router
from shared.messages import Language, Messages, language
from shared.service import runtime_of

MOST_BYTES = 4 * 1024 * 1024
CSV = "text/csv"

log = telemetry.logger(__name__)
router = Router(prefix="/imports", tags=["imports"])

_AS_CSV: dict[str, Any] = {
    BODY_LIMIT: MOST_BYTES,
    "requestBody": {"required": True, "content": {CSV: {"schema": {"type": "string", "format": "binary"}}}},
}
_REFUSED: dict[int | str, dict[str, Any]] = {
    413: {"$ref": "#/components/responses/TooLarge"},
    415: {"$ref": "#/components/responses/UnsupportedType"},
}


class Orders(Body):
    """Work orders of the 12345 hotline: cells by heading, as the district's table of them (hotline.json) has it."""

    rows: list[JsonValue] = Field(
        min_length=1,
        max_length=ROWS_LIMIT,
        examples=[
            [
                {
                    "工单号": "HY20261123000017",
                    "时间": "2026-11-23 08:40",
                    "类别": "市容环卫/垃圾清运",
                    "社区": "祥光社区",
                    "地址": "祥光社区北门",
                    "内容": "垃圾桶满了没人清",
                    "来电人": "王女士",
                    "电话": "0734-8888888",
                    "是否同意回访": "是",
                }
            ]
        ],
    )


class Fate(StrEnum):
    """What became of a row."""

    FILED = "filed"
    ALREADY_FILED = "already-filed"
    REFUSED = "refused"


class RowDone(BaseModel):
    """What became of a row, the first being number 1: its case, or why it was refused and the column at fault.

    Of a row that was filed `message` says what was left out of it.
    """

    row: int
    outcome: Fate
    order: str
    case: str | None = None
    unit: str | None = None
    code: str | None = None
    field: str | None = None
    message: str | None = None


class Imported(BaseModel):
    """What became of the rows; a refused one may be put right and sent again with all the others."""

    filed: int
    already_filed: int
    refused: int
    rows: list[RowDone]


@router.post("/hotline", response_model=Imported, openapi_extra={BODY_LIMIT: MOST_BYTES})
async def hotline(request: Request, body: Orders, caller: Importer) -> Imported:
    """导入 12345 工单 · File work orders of the hotline; the same order never becomes a second case."""
    rows = {number: row if isinstance(row, dict) else {} for number, row in enumerate(body.rows, 1)}
    return await _imported(request, caller, rows)


@router.post("/hotline.csv", response_model=Imported, openapi_extra=_AS_CSV, responses=_REFUSED)
async def hotline_csv(request: Request, caller: Importer) -> Imported:
    """导入 12345 工单表 · The same from a CSV file (UTF-8 or GB 18030) with the headings of hotline.json."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != CSV:
        raise Unsupported("content-type-unsupported", expected=CSV)
    return await _imported(request, caller, rows_of(resources(request).district, await request.body()))


async def _imported(request: Request, caller: Principal, rows: Mapping[int, Mapping[str, object]]) -> Imported:
    store, held = runtime_of(request).store, resources(request)
    outcomes = await import_orders(store, held.reporters, held.reference, rows.values(), actor_of(caller))
    messages: Messages = request.app.state.messages
    spoken = language(request.headers.get("accept-language", ""))
    done = [_done(row, outcome, messages, spoken) for row, outcome in zip(rows, outcomes, strict=True)]
    counts = {fate: sum(each.outcome is fate for each in done) for fate in Fate}
    log.info("work orders of the hotline came in", **{fate.name.lower(): count for fate, count in counts.items()})
    return Imported(
        filed=counts[Fate.FILED],
        already_filed=counts[Fate.ALREADY_FILED],
        refused=counts[Fate.REFUSED],
        rows=done,
    )


def _done(row: int, outcome: Outcome, messages: Messages, spoken: Language) -> RowDone:
    error = outcome.error
    if error is not None:
        message = messages.text(error.code, spoken, error.params)
        return RowDone(
            row=row, outcome=Fate.REFUSED, order=outcome.order, code=error.code, field=error.field, message=message
        )
    fate = Fate.FILED if outcome.is_new else Fate.ALREADY_FILED
    doubt = outcome.note or None
    return RowDone(row=row, outcome=fate, order=outcome.order, case=outcome.case, unit=outcome.unit, message=doubt)
