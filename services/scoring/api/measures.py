"""Measures of the measures: what was issued to a unit, its receipt and reply, and what the office does about it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, time
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Path, Query, Request, Response
from pydantic import Field, StringConstraints

from services.scoring.api.access import may, resources_of
from services.scoring.api.bodies import After
from services.scoring.commands import measures
from services.scoring.domain.acts import Act
from services.scoring.domain.measures import TEXT_LIMIT, Measure
from services.scoring.repo import MEASURES
from services.scoring.views.measures import (
    PAGE_LIMIT,
    MeasureFigures,
    MeasureFilter,
    MeasurePage,
    MeasureView,
    measure_figures,
    measure_for,
    measure_page,
)
from shared.auth import Principal
from shared.clock import CHINA
from shared.contracts.scoring import MeasureState
from shared.documents import Format
from shared.errors import NotFound
from shared.http import IDEMPOTENT, Router, answer
from shared.http.body import Body
from shared.roles import OVERSIGHT
from shared.service import runtime_of
from shared.store import UnitOfWork
from shared.store.collection import Filter

router = Router(tags=["measures"])

Id = Annotated[str, Path(max_length=100)]
Code = Annotated[str | None, Query(max_length=100)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=TEXT_LIMIT)]
_FILE = {"schema": {"type": "string", "format": "binary"}}
_PRINTED: dict[int | str, dict[str, Any]] = {
    200: {"content": {format.media_type: _FILE for format in Format}, "description": "文书 · The paper"}
}


class Reply(Body):
    """What the unit answers."""

    text: Text


class Hold(Body):
    """Until which day (Asia/Shanghai) nothing is to happen, and why."""

    until: date = Field(ge=date(2000, 1, 1), le=date(2199, 12, 31))
    reason: Text


class End(Body):
    """Why the matter is over."""

    reason: Text


@router.get("/measures", response_model=MeasurePage)
async def page(
    request: Request,
    caller: Annotated[Principal, may(Act.READ_MEASURES)],
    unit: Code = None,
    rung: Code = None,
    state: Annotated[MeasureState | None, Query()] = None,
    case: Code = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 50,
) -> MeasurePage:
    """措施清单 · Measures, newest first: all of them for staff, its own for a unit."""
    return await measure_page(
        runtime_of(request).store, _scope(caller), MeasureFilter(unit, rung, state, case), after, limit
    )


@router.get("/measures/figures", response_model=MeasureFigures)
async def figures(
    request: Request,
    caller: Annotated[Principal, may(Act.READ_MEASURES)],
    unit: Code = None,
    year: Annotated[int | None, Query(ge=2000, le=9999)] = None,
) -> MeasureFigures:
    """措施统计 · How many were issued, answered, left unanswered and climbed, by rung: a unit's own for a unit."""
    runtime, asked = runtime_of(request), {"unit": unit, "year": year}
    scope: Filter = {"$and": [_scope(caller), {name: value for name, value in asked.items() if value is not None}]}
    return await measure_figures(runtime.store, resources_of(request).district.ladder, scope, runtime.clock.now())


@router.get("/measures/{id}", response_model=MeasureView)
async def one(request: Request, id: Id, caller: Annotated[Principal, may(Act.READ_MEASURES)]) -> MeasureView:
    """措施 · A measure as it stands."""
    return MeasureView.of(await measure_for(runtime_of(request).store, id, caller))


@router.get("/measures/{id}/paper.{format}", response_class=Response, responses=_PRINTED)
async def paper(
    request: Request, id: Id, format: Format, caller: Annotated[Principal, may(Act.READ_MEASURES)]
) -> Response:
    """下载文书 · The paper as it was issued, as PDF or DOCX."""
    measure = await measure_for(runtime_of(request).store, id, caller)
    content = await resources_of(request).press.print(measure.paper, format)
    return Response(
        content, headers={"content-disposition": _attachment(measure, format)}, media_type=format.media_type
    )


@router.post("/measures/{id}/receipt", response_model=MeasureView, openapi_extra=IDEMPOTENT)
async def receive(request: Request, id: Id, caller: Annotated[Principal, may(Act.RECEIVE_MEASURE)]) -> Response:
    """签收 · The unit has the paper."""
    return await _own(request, id, caller, lambda uow: measures.receive(uow, id, caller.subject))


@router.post("/measures/{id}/reply", response_model=MeasureView, openapi_extra=IDEMPOTENT)
async def reply(
    request: Request, id: Id, body: Reply, caller: Annotated[Principal, may(Act.REPLY_TO_MEASURE)]
) -> Response:
    """书面回复 · The unit answers; the matter does not end with that."""
    district = resources_of(request).district
    return await _own(request, id, caller, lambda uow: measures.reply(uow, district, id, body.text, caller.subject))


@router.post("/measures/{id}/hold", response_model=MeasureView, openapi_extra=IDEMPOTENT)
async def hold(request: Request, id: Id, body: Hold, caller: Annotated[Principal, may(Act.HOLD_MEASURE)]) -> Response:
    """缓办 · Nothing happens in the matter until the day begins."""
    until, district = datetime.combine(body.until, time(), CHINA).astimezone(UTC), resources_of(request).district
    return await _done(request, lambda uow: measures.hold(uow, district, id, until, body.reason, caller))


@router.post("/measures/{id}/release", response_model=MeasureView, openapi_extra=IDEMPOTENT)
async def release(request: Request, id: Id, caller: Annotated[Principal, may(Act.RELEASE_MEASURE)]) -> Response:
    """恢复 · The matter goes on before the day."""
    district = resources_of(request).district
    return await _done(request, lambda uow: measures.release(uow, district, id, caller))


@router.post("/measures/{id}/end", response_model=MeasureView, openapi_extra=IDEMPOTENT)
async def end(request: Request, id: Id, body: End, caller: Annotated[Principal, may(Act.END_MEASURE)]) -> Response:
    """终止 · The office ends the matter with all its measures, for good."""
    return await _done(request, lambda uow: measures.end(uow, id, body.reason, caller))


def _scope(caller: Principal) -> Filter:
    return {} if caller.has(*OVERSIGHT) else {"unit": caller.unit or ""}


async def _own(
    request: Request, id: str, caller: Principal, command: Callable[[UnitOfWork], Awaitable[Measure]]
) -> Response:
    async def owned(uow: UnitOfWork) -> Measure:
        measure = await uow.find(MEASURES, id)
        if measure is None or measure.unit != caller.unit:
            raise NotFound("measures-not-found", id=id)
        return await command(uow)

    return await _done(request, owned)


async def _done(request: Request, command: Callable[[UnitOfWork], Awaitable[Measure]]) -> Response:
    async def viewed(uow: UnitOfWork) -> MeasureView:
        return MeasureView.of(await command(uow))

    return await answer(request, viewed, status=200)


def _attachment(measure: Measure, format: Format) -> str:
    """A file name in Chinese, and one in ASCII for programs that know no other (RFC 6266, RFC 8187)."""
    ascii = re.sub(r"[^A-Za-z0-9-]", "_", measure.id)
    chinese = quote(f"{measure.name}{measure.number}", safe="")
    return f"attachment; filename=\"{ascii}.{format.value}\"; filename*=UTF-8''{chinese}.{format.value}"
