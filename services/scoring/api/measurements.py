"""What is measured of units at standards of the scheme."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import AwareDatetime, Field

from services.scoring.api.access import may, resources_of
from services.scoring.api.bodies import After
from services.scoring.api.schemes import GONE, Code
from services.scoring.commands.measurements import measure
from services.scoring.domain.acts import Act
from services.scoring.domain.marking import COUNT_LIMIT, Measured
from services.scoring.domain.measurements import PLACE_LIMIT
from services.scoring.domain.writing import CODE_LIMIT
from services.scoring.views.measurements import (
    PAGE_LIMIT,
    MeasurementPage,
    MeasurementView,
    measurement_page,
    measurement_view,
)
from shared.auth import Principal
from shared.errors import Forbidden
from shared.http import IDEMPOTENT, Router, answer
from shared.http.body import Body
from shared.roles import OVERSIGHT
from shared.service import runtime_of
from shared.store import UnitOfWork

router = Router(tags=["schemes"])


class MeasuredIn(Body):
    """测得 · One of: `count` findings; `found`, of `target` where the standard names none; a `ratio` of 0 to 1."""

    count: int | None = Field(default=None, ge=0, le=COUNT_LIMIT)
    found: int | None = Field(default=None, ge=0, le=COUNT_LIMIT)
    target: int | None = Field(default=None, ge=1, le=COUNT_LIMIT)
    ratio: str | None = Field(default=None, pattern=r"^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$", examples=["0.95"])


class NewMeasurement(Body):
    """What was measured of a unit at a standard; `place` tells measurements of one moment apart."""

    unit: Code = Field(examples=["gongjiao"])
    standard: Code = Field(examples=["示例-公益-01-1"])
    measured: MeasuredIn
    measured_at: AwareDatetime
    place: str = Field(default="", max_length=PLACE_LIMIT, pattern=r"^[\w.-]*$", examples=["stop-3"])


@router.get("/measurements", response_model=MeasurementPage, responses=GONE)
async def measurements(
    request: Request,
    caller: Annotated[Principal, may(Act.READ_MEASUREMENTS)],
    unit: Annotated[str | None, Query(max_length=CODE_LIMIT)] = None,
    standard: Annotated[str | None, Query(max_length=CODE_LIMIT)] = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 50,
) -> MeasurementPage:
    """测量记录 · What was measured, newest first; units see their own."""
    if not caller.has(*OVERSIGHT):
        if caller.unit is None or unit not in {None, caller.unit}:
            raise Forbidden("measurements-of-another-unit")
        unit = caller.unit
    return await measurement_page(runtime_of(request).store, unit, standard, after, limit)


@router.post("/measurements", status_code=201, response_model=MeasurementView, openapi_extra=IDEMPOTENT)
async def record(
    request: Request, body: NewMeasurement, caller: Annotated[Principal, may(Act.RECORD_MEASUREMENT)]
) -> Response:
    """登记测量 · What was measured of a unit at a standard, by the scheme in force at that moment."""
    units = resources_of(request).district.units
    given = body.measured
    ratio = None if given.ratio is None else Decimal(given.ratio)
    measured = Measured(given.count, given.found, given.target, ratio)

    async def command(uow: UnitOfWork) -> MeasurementView:
        made = await measure(uow, units, body.unit, body.standard, measured, body.measured_at, body.place, caller)
        return measurement_view(made)

    return await answer(request, command, 201)
