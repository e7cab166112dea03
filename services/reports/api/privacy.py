"""Routes that open, erase and prove: every one of them leaves its row in the audit log, or shows the rows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from services.reports.api.access import Auditor, Centre, Opener, Operator, RetentionReader, resources
from services.reports.api.cases import Receipt, receipt
from services.reports.api.handling import Reason
from services.reports.commands import audit, privacy, retention
from services.reports.commands.audit import CHAIN, Action
from services.reports.commands.privacy import REASON_LIMIT
from services.reports.domain.erasure import Erasure, Rule
from services.reports.repo import ERASURES
from shared.audit import AuditRow
from shared.audit.log import AUDIT
from shared.http import IDEMPOTENT, Router, answer
from shared.service import runtime_of
from shared.store import UnitOfWork
from shared.store.collection import Filter

router = Router(tags=["privacy"])
PAGE_LIMIT = 200
BATCHES_AT_ONCE = 20
"""Batches of one request; a request must end."""


class Opening(Reason):
    """Why the name and the number are needed."""

    reason: str = Field(min_length=1, max_length=REASON_LIMIT, examples=["电话核实具体位置"])


class Opened(BaseModel):
    """The reporter in plain, and the row of the audit log that says so."""

    case: str
    name: str | None
    phone: str | None
    may_call: bool
    audit: str


class AuditRowView(BaseModel):
    """Who did what to what, when and why."""

    number: int
    at: datetime
    who: str
    action: str
    subject: str
    reason: str
    detail: dict[str, str]
    hash: str


class AuditPage(BaseModel):
    """Some rows, newest first; `next` is the cursor of the following page, if there is one."""

    rows: list[AuditRowView]
    next: int | None = None


class Verified(BaseModel):
    """Whether the log is as it was written; if not, where it differs first (`removed`, `edited`, ...)."""

    rows: int
    head: str
    flaw: str | None
    flaw_at: int | None


class RetentionReport(BaseModel):
    """A batch that was erased; `audit` is the row that fixes it."""

    audit: str
    at: datetime
    rule: Rule
    days: int
    count: int
    cases: tuple[str, ...]
    tracking_codes: int


class RetentionPage(BaseModel):
    """Some of them, newest first; `next` is the cursor of the following page, if there is one."""

    reports: list[RetentionReport]
    next: int | None = None


class Run(BaseModel):
    """How many cases were erased now, and whether more are due."""

    erased: int
    more: bool


@router.post("/cases/{id}/reporter", response_model=Opened)
async def open_reporter(request: Request, id: str, body: Opening, caller: Opener) -> Opened:
    """查看上报人 · Who reported, in plain: each look is in the audit log before it is answered."""
    held = resources(request)

    async def command(uow: UnitOfWork) -> Opened:
        person, reporter, row = await privacy.open_reporter(uow, held.reporters, id, caller, body.reason)
        return Opened(case=id, name=person.name, phone=person.phone, may_call=reporter.may_call, audit=row.id)

    return await runtime_of(request).store.run(command)


@router.post("/cases/{id}/erase", response_model=Receipt, openapi_extra=IDEMPOTENT)
async def erase(request: Request, id: str, body: Reason, caller: Centre) -> Response:
    """删除个人信息 · Nobody can tell any more who reported."""
    held = resources(request)

    async def command(uow: UnitOfWork) -> Receipt:
        case = await retention.erase_reporter(uow, held.reporters, held.district, id, caller.subject, body.reason)
        return receipt(uow, case)

    return await answer(request, command, 200)


@router.post("/retention/runs", response_model=Run)
async def run(request: Request, caller: Operator) -> Run:
    """立即清理 · Erase what is due now; at most 1,000 cases and those merged into them."""
    held, store = resources(request), runtime_of(request).store
    erased = 0
    for _ in range(BATCHES_AT_ONCE):
        swept = await store.run(lambda uow: retention.erase_batch(uow, held.reporters, held.district, caller.subject))
        erased += swept.cases
        if not swept.more:
            return Run(erased=erased, more=False)
    return Run(erased=erased, more=True)


@router.get("/retention/reports", response_model=RetentionPage)
async def reports(
    request: Request,
    caller: RetentionReader,
    before: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 50,
) -> RetentionPage:
    """清理记录 · What was erased when, by which rule."""
    filter: Filter = {"number": {"$lt": before}} if before else {}
    found = await runtime_of(request).store.find(ERASURES, filter, [("number", -1)], limit + 1)
    more = found[limit - 1].number if len(found) > limit else None
    return RetentionPage(reports=[_report(erasure) for erasure in found[:limit]], next=more)


@router.get("/audit", response_model=AuditPage)
async def rows(
    request: Request,
    caller: Auditor,
    subject: Annotated[str | None, Query(max_length=100)] = None,
    who: Annotated[str | None, Query(max_length=200)] = None,
    action: Action | None = None,
    before: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 50,
) -> AuditPage:
    """审计日志 · Who saw, published, shut out or erased what, and why."""
    asked = {"chain": CHAIN, "subject": subject, "who": who, "action": action.value if action else None}
    filter: Filter = {name: value for name, value in asked.items() if value is not None}
    if before:
        filter["number"] = {"$lt": before}
    found = await runtime_of(request).store.find(AUDIT, filter, [("number", -1)], limit + 1)
    more = found[limit - 1].number if len(found) > limit else None
    return AuditPage(rows=[_row(row) for row in found[:limit]], next=more)


@router.get("/audit/verify", response_model=Verified)
async def verify(
    request: Request, caller: Auditor, head: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$")] = None
) -> Verified:
    """校验审计日志 · Whether the log is as it was written; `head` is a newest hash that somebody kept elsewhere."""
    verdict = await audit.verify_log(runtime_of(request).store, head)
    flaw = verdict.flaw
    return Verified(
        rows=verdict.rows,
        head=verdict.head,
        flaw=flaw.kind.value if flaw else None,
        flaw_at=flaw.number if flaw else None,
    )


def _row(row: AuditRow) -> AuditRowView:
    return AuditRowView(
        number=row.number,
        at=row.at,
        who=row.who,
        action=row.action,
        subject=row.subject,
        reason=row.reason,
        detail=row.detail,
        hash=row.hash,
    )


def _report(erasure: Erasure) -> RetentionReport:
    return RetentionReport(
        audit=erasure.id,
        at=erasure.at,
        rule=erasure.rule,
        days=erasure.days,
        count=len(erasure.cases),
        cases=erasure.cases,
        tracking_codes=erasure.tracking_codes,
    )
