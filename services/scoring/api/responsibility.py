"""The responsibility matrix: read by staff, written by the office and by the units' liaisons for their own rows."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, Field

from services.scoring.api.access import may, resources_of
from services.scoring.api.attachments import FILE, sent
from services.scoring.api.bodies import After
from services.scoring.commands import responsibility as commands
from services.scoring.domain.acts import Act
from services.scoring.domain.responsibility import (
    MEMBERS_LIMIT,
    NAME_LIMIT,
    POST_LIMIT,
    REASON_LIMIT,
    SUPPORTING_LIMIT,
    Duty,
    Member,
    Person,
    Row,
    Scope,
    State,
    TaskForce,
    row_id,
)
from services.scoring.domain.writing import CODE_LIMIT, day, day_of
from services.scoring.repo import MATRIX
from services.scoring.views.indicators import indicator_codes
from services.scoring.views.responsibility import (
    FACTS_LIMIT,
    GapsView,
    MatrixView,
    RowView,
    UnassignedFacts,
    gaps,
    matrix_on,
    row_view,
    unassigned,
    view,
)
from shared.auth import Principal
from shared.errors import NotFound
from shared.http import IDEMPOTENT, Router, answer
from shared.http.body import Body
from shared.roles import OVERSIGHT
from shared.service import runtime_of
from shared.store import UnitOfWork

FACT_LIMIT = 300
DAY = r"^\d{4}-\d{2}-\d{2}$"

router = Router(tags=["matrix"])

Code = Annotated[str, Path(max_length=CODE_LIMIT)]
OfUnit = Annotated[str | None, Query(max_length=CODE_LIMIT)]


class PersonIn(Body):
    """Somebody of a unit; kept inside and shown to staff only."""

    name: str = Field(max_length=2 * NAME_LIMIT, examples=["示例"])
    post: str = Field(default="", max_length=2 * POST_LIMIT, examples=["局长"])


class MemberIn(Body):
    """Somebody of a task force, and what for."""

    name: str = Field(max_length=2 * NAME_LIMIT, examples=["示例"])
    role: str = Field(max_length=2 * POST_LIMIT, examples=["组长"])


class TaskForceIn(Body):
    """A task force (专班)."""

    name: str = Field(default="", max_length=2 * NAME_LIMIT, examples=["环境卫生专班"])
    members: list[MemberIn] = Field(default=[], max_length=MEMBERS_LIMIT)


class BasedOn(Body):
    """The newest term that was read (0: none): what anybody else wrote meanwhile is not overwritten."""

    based_on: int = Field(ge=0, le=10**6, examples=[1])


class Change(BasedOn):
    """Who answers from a day on, in Asia/Shanghai; a day that has passed takes a reason. Without `lead` nobody does."""

    effective_from: str = Field(pattern=DAY, examples=["2026-12-01"])
    lead: str | None = Field(max_length=CODE_LIMIT, examples=["huanwei"])
    supporting: list[str] = Field(default=[], max_length=SUPPORTING_LIMIT, examples=[["chengguan"]])
    leader: PersonIn | None = None
    liaison: PersonIn | None = None
    task_force: TaskForceIn = TaskForceIn()
    due: str | None = Field(default=None, pattern=DAY, examples=["2027-03-31"])
    reason: str = Field(default="", max_length=2 * REASON_LIMIT, description="不写人名 · names no persons")


class ChangedTaskForce(TaskForceIn, BasedOn):
    """Who is in the task force from today on."""


class PlanIn(Body):
    """A file that the caller has handed in (POST /attachments)."""

    attachment: str = Field(max_length=100)


class StateIn(Body):
    """How far the unit is."""

    state: State


class Laid(Body):
    """Whom a fact is laid to, and why."""

    fact: str = Field(max_length=FACT_LIMIT, examples=["inspections.visit/20261123-V7/1"])
    unit: str = Field(max_length=CODE_LIMIT, examples=["huanwei"])
    reason: str = Field(max_length=2 * REASON_LIMIT, examples=["现场确认为该单位管护路段"])


class LaidFact(BaseModel):
    """A fact and the unit that answers for it now."""

    fact: str
    unit: str


@router.get("/matrix", response_model=MatrixView)
async def matrix(
    request: Request,
    caller: Annotated[Principal, may(Act.READ_RESPONSIBILITY)],
    on: Annotated[str | None, Query(pattern=DAY)] = None,
    unit: OfUnit = None,
    scope: Scope | None = None,
) -> MatrixView:
    """责任分解表 · Who answers for what on a day, today by default; of a unit what it leads or supports."""
    asked = day_of(runtime_of(request).store.clock.now()) if on is None else day(on, "on")
    return await matrix_on(runtime_of(request).store, asked, unit, scope, caller)


@router.get("/matrix/gaps", response_model=GapsView)
async def missing(
    request: Request, caller: Annotated[Principal, may(Act.READ_RESPONSIBILITY)], unit: OfUnit = None
) -> GapsView:
    """责任缺项 · Indicators without a row, plan, task force, leader or liaison, and those past due."""
    store = runtime_of(request).store
    now = store.clock.now()
    return await gaps(store, await indicator_codes(store, now), day_of(now), unit)


@router.get("/matrix/{scope}/{code}", response_model=RowView)
async def row(
    request: Request, scope: Scope, code: Code, caller: Annotated[Principal, may(Act.READ_RESPONSIBILITY)]
) -> RowView:
    """责任分解 · A row with everything it ever said."""
    store = runtime_of(request).store
    return await row_view(store, scope, code, store.clock.now(), caller)


@router.put("/matrix/{scope}/{code}", response_model=RowView, openapi_extra=IDEMPOTENT)
async def change(
    request: Request,
    scope: Scope,
    code: Code,
    body: Change,
    caller: Annotated[Principal, may(Act.CHANGE_RESPONSIBILITY)],
) -> Response:
    """调整责任 · Say who answers from a day on; what was said before stays."""
    units, duty = resources_of(request).district.units, _duty(body)

    async def command(uow: UnitOfWork) -> RowView:
        content = (duty, body.effective_from, body.based_on, body.reason)
        return view(await commands.change(uow, units, scope, code, *content, caller), uow.now, caller)

    return await answer(request, command, 200)


@router.put("/matrix/{scope}/{code}/task-force", response_model=RowView, openapi_extra=IDEMPOTENT)
async def task_force(
    request: Request,
    scope: Scope,
    code: Code,
    body: ChangedTaskForce,
    caller: Annotated[Principal, may(Act.NAME_TASK_FORCE)],
) -> Response:
    """调整专班 · Who is in the task force, from today on."""

    async def command(uow: UnitOfWork) -> RowView:
        return view(
            await commands.name_task_force(uow, scope, code, _force(body), body.based_on, caller), uow.now, caller
        )

    return await answer(request, command, 200)


@router.post("/matrix/{scope}/{code}/plans", response_model=RowView, openapi_extra=IDEMPOTENT)
async def hand_in(
    request: Request, scope: Scope, code: Code, body: PlanIn, caller: Annotated[Principal, may(Act.HAND_IN_PLAN)]
) -> Response:
    """提交方案 · Make a file that was handed in the plan; earlier ones stay to be seen."""

    async def command(uow: UnitOfWork) -> RowView:
        return view(await commands.hand_in_plan(uow, scope, code, body.attachment, caller), uow.now, caller)

    return await answer(request, command, 200)


@router.put("/matrix/{scope}/{code}/state", response_model=RowView, openapi_extra=IDEMPOTENT)
async def state(
    request: Request, scope: Scope, code: Code, body: StateIn, caller: Annotated[Principal, may(Act.SET_PROGRESS)]
) -> Response:
    """更新进度 · How far the unit is, by its own word."""

    async def command(uow: UnitOfWork) -> RowView:
        return view(await commands.set_state(uow, scope, code, body.state, caller), uow.now, caller)

    return await answer(request, command, 200)


@router.get("/matrix/{scope}/{code}/plans/{number}", response_class=Response, responses=FILE)
async def plan(
    request: Request,
    scope: Scope,
    code: Code,
    number: Annotated[int, Path(ge=1, le=10**6)],
    caller: Annotated[Principal, may(Act.READ_RESPONSIBILITY)],
) -> Response:
    """下载方案 · A plan, for the office, leaders, 纪检, and the units that lead or support the row."""
    store = runtime_of(request).store
    found = await store.get(MATRIX, row_id(scope, code))
    if found is None or number > len(found.plans) or not _may_read(found, day_of(store.clock.now()), caller):
        raise NotFound("plans-not-found", id=number)
    found_plan = found.plans[number - 1]
    return await sent(request, found_plan.attachment, found_plan.kind, f"plan-{number}", caller)


@router.get("/facts/unassigned", response_model=UnassignedFacts)
async def nobody(
    request: Request,
    caller: Annotated[Principal, may(Act.READ_UNASSIGNED)],
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=FACTS_LIMIT)] = 50,
) -> UnassignedFacts:
    """无人负责 · What happened and nobody answers for, those that were told first before others."""
    return await unassigned(runtime_of(request).store, after, limit)


@router.post("/facts/unassigned", response_model=LaidFact, openapi_extra=IDEMPOTENT)
async def lay(request: Request, body: Laid, caller: Annotated[Principal, may(Act.LAY_FACT)]) -> Response:
    """指定责任单位 · Lay it to a unit, which loses points by the rules in force when it happened."""
    units = resources_of(request).district.units

    async def command(uow: UnitOfWork) -> LaidFact:
        fact = await commands.lay(uow, units, body.fact, body.unit, body.reason, caller)
        return LaidFact(fact=fact.id, unit=fact.unit)

    return await answer(request, command, 200)


def _may_read(row: Row, day: str, caller: Principal) -> bool:
    duty = row.duty_on(day)
    return caller.has(*OVERSIGHT) or (duty is not None and caller.unit in {duty.lead, *duty.supporting})


def _duty(body: Change) -> Duty:
    return Duty(
        lead=body.lead,
        supporting=tuple(body.supporting),
        leader=Person(body.leader.name, body.leader.post) if body.leader else None,
        liaison=Person(body.liaison.name, body.liaison.post) if body.liaison else None,
        task_force=_force(body.task_force),
        due=body.due,
    )


def _force(body: TaskForceIn) -> TaskForce:
    return TaskForce(body.name, tuple(Member(each.name, each.role) for each in body.members))
