"""The negative list and its events: reported inside, confirmed by a second person, cleared."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Request, Response
from pydantic import AwareDatetime, Field

from services.scoring.api.access import may, resources_of
from services.scoring.api.attachments import FILE, sent
from services.scoring.api.responsibility import DAY
from services.scoring.commands import negative as commands
from services.scoring.domain.acts import Act
from services.scoring.domain.negative import FILES_LIMIT, TEXT_LIMIT, EventState, NegativeEvent
from services.scoring.domain.writing import CODE_LIMIT, day, day_of
from services.scoring.views.negative import (
    PAGE_LIMIT,
    EventPage,
    EventView,
    NegativeListView,
    SanctionsView,
    event_of,
    event_page,
    event_view,
    may_read_evidence,
    negative_list,
    sanctions_now,
)
from shared.attachments import ATTACHMENTS
from shared.auth import Principal
from shared.errors import NotFound
from shared.http import IDEMPOTENT, Router, answer
from shared.http.body import Body
from shared.service import runtime_of
from shared.store import UnitOfWork

EVENTS = "/negative-list/events"
router = Router(prefix="/negative-list", tags=["negative list"])

EventId = Annotated[str, Path(max_length=40)]


class EvidenceIn(Body):
    """What is known, and files that the caller has handed in (POST /attachments); names no persons."""

    text: str = Field(max_length=2 * TEXT_LIMIT, examples=["事故调查报告认定为重大安全事故"])
    files: list[Annotated[str, Field(max_length=100)]] = Field(default=[], max_length=FILES_LIMIT)


class Report(EvidenceIn):
    """Something of the list that is said to have happened; without `unit` laid to the item's lead unit."""

    item: str = Field(max_length=CODE_LIMIT, examples=["G15"])
    occurred_at: AwareDatetime = Field(examples=["2026-11-03T10:00:00+08:00"])
    unit: str | None = Field(default=None, max_length=CODE_LIMIT)


class Reason(Body):
    """Why it is decided so; names no persons."""

    reason: str = Field(max_length=2 * TEXT_LIMIT, examples=["经调查组认定"])


@router.get("", response_model=NegativeListView)
async def items(
    request: Request,
    caller: Annotated[Principal, may(Act.READ_NEGATIVE_LIST)],
    on: Annotated[str | None, Query(pattern=DAY)] = None,
) -> NegativeListView:
    """负面清单 · The list as it is on a day, today by default, with the days on which what happens counts."""
    store = runtime_of(request).store
    return await negative_list(store, day_of(store.clock.now()) if on is None else day(on, "on"), caller)


@router.get("/sanctions", response_model=SanctionsView)
async def sanctions(request: Request, caller: Annotated[Principal, may(Act.READ_SANCTIONS)]) -> SanctionsView:
    """当前处罚与预警 · The sanctions that apply now, and what is about to change."""
    store = runtime_of(request).store
    return await sanctions_now(store, store.clock.now())


@router.get("/events", response_model=EventPage)
async def events(
    request: Request,
    caller: Annotated[Principal, may(Act.READ_NEGATIVE_LIST)],
    state: EventState | None = None,
    before: Annotated[str | None, Query(max_length=40)] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 20,
) -> EventPage:
    """负面事件 · Events of the list, the last reported first; for people of a unit those laid to it."""
    return await event_page(runtime_of(request).store, state, before, limit, caller)


@router.post("/events", status_code=201, response_model=EventView, openapi_extra=IDEMPOTENT)
async def report(request: Request, body: Report, caller: Annotated[Principal, may(Act.REPORT_EVENT)]) -> Response:
    """报告负面事件 · Say that something of the list has happened; it costs nothing until it is confirmed."""
    units = resources_of(request).district.units

    async def command(uow: UnitOfWork) -> EventView:
        report = (body.item, body.unit, body.occurred_at, body.text, body.files)
        return event_view(await commands.report(uow, units, *report, caller.subject), caller)

    return await answer(request, command, 201, f"{EVENTS}/{{id}}")


@router.get("/events/{id}", response_model=EventView)
async def event(request: Request, id: EventId, caller: Annotated[Principal, may(Act.READ_NEGATIVE_LIST)]) -> EventView:
    """负面事件详情 · One event with its evidence and decisions."""
    return event_view(await _found(request, id, caller), caller)


@router.post("/events/{id}/evidence", response_model=EventView, openapi_extra=IDEMPOTENT)
async def evidence(
    request: Request, id: EventId, body: EvidenceIn, caller: Annotated[Principal, may(Act.REPORT_EVENT)]
) -> Response:
    """补充证据 · Add evidence."""

    async def command(uow: UnitOfWork) -> EventView:
        return event_view(await commands.add_evidence(uow, id, body.text, body.files, caller.subject), caller)

    return await answer(request, command, 200)


@router.get("/events/{id}/files/{number}", response_class=Response, responses=FILE)
async def file(
    request: Request,
    id: EventId,
    number: Annotated[int, Path(ge=1, le=10**6)],
    caller: Annotated[Principal, may(Act.READ_NEGATIVE_LIST)],
) -> Response:
    """下载证据 · A file of the evidence, by its number."""
    found = await _found(request, id, caller)
    if number > len(found.files) or not may_read_evidence(found, caller):
        raise NotFound("attachments-not-found", id=number)
    attachment = found.files[number - 1]
    kept = await runtime_of(request).store.get(ATTACHMENTS, attachment)
    if kept is None:
        raise NotFound("attachments-not-found", id=number)
    return await sent(request, attachment, kept.kind, f"evidence-{number}", caller)


@router.post("/events/{id}/confirm", response_model=EventView, openapi_extra=IDEMPOTENT)
async def confirm(
    request: Request, id: EventId, body: Reason, caller: Annotated[Principal, may(Act.CONFIRM_EVENT)]
) -> Response:
    """认定 · It is so, says somebody who did not report it; what follows from it is charged."""

    async def command(uow: UnitOfWork) -> EventView:
        return event_view(await commands.confirm(uow, id, body.reason, caller), caller)

    return await answer(request, command, 200)


@router.post("/events/{id}/clear", response_model=EventView, openapi_extra=IDEMPOTENT)
async def clear(
    request: Request, id: EventId, body: Reason, caller: Annotated[Principal, may(Act.CLEAR_EVENT)]
) -> Response:
    """销号（清零）· It was not so, or an appeal was upheld; what it cost is taken back."""
    store = runtime_of(request).store

    async def command(uow: UnitOfWork) -> EventView:
        return event_view(await commands.clear(uow, store, id, body.reason, caller), caller)

    return await answer(request, command, 200)


async def _found(request: Request, id: str, caller: Principal) -> NegativeEvent:
    return await event_of(runtime_of(request).store, id, caller)
