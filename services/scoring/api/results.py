"""What assessments of units and of the district came to, as the office records them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from fastapi import Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from services.scoring.api.access import may, resources_of
from services.scoring.commands import results
from services.scoring.domain.acts import Act
from services.scoring.domain.results import DISTRICT, SOURCE_LIMIT, Mark, Result
from services.scoring.repo import RESULTS
from shared.auth import Principal
from shared.errors import Invalid
from shared.http import IDEMPOTENT, Router, answer
from shared.http.body import Body
from shared.service import runtime_of
from shared.store import UnitOfWork

RESULTS_LIMIT = 500
router = Router(tags=["periods"])


class RecordResult(Body):
    """What a unit (or the whole `district`) got in a part of an assessment: a score rate from 0 to 1.

    Of the part `negative-list` of the district, points. `source` says where it is stated.
    """

    scheme: str = Field(max_length=100, examples=["annual"])
    period: str = Field(max_length=10, examples=["2026"])
    unit: str = Field(max_length=100, examples=["huaxing"])
    part: str = Field(max_length=100, examples=["field"])
    value: Decimal = Field(ge=0, le=100, decimal_places=6, examples=["0.701"])
    source: str = Field(min_length=1, max_length=SOURCE_LIMIT, examples=["市文明办2026年测评结果通报"])


class MarkView(BaseModel):
    """One recorded value and where it is stated."""

    part: str
    value: Decimal
    source: str
    at: datetime
    by: str


class ResultView(BaseModel):
    """What was recorded of a unit in an assessment, in order: of a part the last one counts."""

    scheme: str
    period: str
    unit: str
    marks: list[MarkView]


class ResultList(BaseModel):
    """What was recorded, by unit."""

    results: list[ResultView]


@router.post("/results", response_model=ResultView, openapi_extra=IDEMPOTENT)
async def record(
    request: Request, body: RecordResult, caller: Annotated[Principal, may(Act.RECORD_RESULT)]
) -> Response:
    """记录测评结果 · What a unit got in a part of an assessment; what was recorded before stays to be seen."""
    district = resources_of(request).district
    if body.unit != DISTRICT and body.unit not in district.units:
        raise Invalid("units-not-found", field="unit", id=body.unit)

    async def command(uow: UnitOfWork) -> ResultView:
        mark = Mark(body.part, body.value, body.source, uow.now, caller.subject)
        assessment = (body.scheme, body.period, body.unit)
        return _result(await results.record(uow, district.formula, *assessment, mark, caller))

    return await answer(request, command, 200)


@router.get("/results", response_model=ResultList)
async def recorded(
    request: Request,
    caller: Annotated[Principal, may(Act.READ_RESULTS)],
    scheme: Annotated[str, Query(max_length=100)],
    period: Annotated[str, Query(max_length=10)],
) -> ResultList:
    """测评结果 · What was recorded of an assessment, by unit."""
    filter = {"scheme": scheme, "period": period}
    found = await runtime_of(request).store.find(RESULTS, filter, [("unit", 1)], RESULTS_LIMIT)
    return ResultList(results=[_result(each) for each in found])


def _result(result: Result) -> ResultView:
    marks = [MarkView.model_validate(mark, from_attributes=True) for mark in result.marks]
    return ResultView(scheme=result.scheme, period=result.period, unit=result.unit, marks=marks)
