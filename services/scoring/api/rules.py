"""The rule book: read by everybody, drafted, asked about and put to use by the office."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field, TypeAdapter

from services.scoring.api.access import MISSING, Anyone, may, resources_of
from services.scoring.api.bodies import Trimmed
from services.scoring.commands import rules as commands
from services.scoring.domain.acts import Act
from services.scoring.domain.drafts import RULES_LIMIT, Draft, DraftState, Edition
from services.scoring.domain.rules import ALWAYS, POINTS_DECIMALS, POINTS_LIMIT, Rule, RuleBook
from services.scoring.domain.what_if import Outcome
from services.scoring.repo import CURRENT, RULE_BOOKS, RULE_DRAFTS, RULE_EDITIONS
from services.scoring.views.what_if import recomputed
from shared.audit.log import AUDIT
from shared.auth import Principal
from shared.errors import Invalid, NotFound, Unavailable
from shared.http import IDEMPOTENT, Router, answer
from shared.months import month_of, previous_month
from shared.service import runtime_of
from shared.store import Store, UnitOfWork

CODE = r"^[a-z0-9]+(-[a-z0-9]+)*$"
CODE_LIMIT = 64
TEXT_LIMIT = 500
VALUES_LIMIT = 200
FIELDS_LIMIT = 10
PAGE_LIMIT = 50
PERIOD = r"^20\d{2}-(0[1-9]|1[0-2])$"
router = Router(tags=["rules"])

Points = Annotated[Decimal, Field(ge=0, le=POINTS_LIMIT, decimal_places=POINTS_DECIMALS, examples=["0.5"])]
Value = Annotated[str, Field(max_length=CODE_LIMIT, pattern=r"^[^\x00-\x20\x7f]+$")]
Kind = Literal[
    "overdue",
    "rework",
    "reopened",
    "returned",
    "false-reply",
    "finding",
    "measurement",
    "negative",
    "manual",
    "bonus",
]


class NameIn(Trimmed):
    """What users read: Chinese first, English beside."""

    zh: str = Field(min_length=1, max_length=100, examples=["复查不合格"])
    en: str = Field(default="", max_length=200, examples=["Recheck failed"])


class TableIn(Trimmed):
    """How many points: those of the row whose value the fact has in the field `by`, else `otherwise`.

    With `of_stake` the numbers are shares of what the source says is at stake.
    """

    otherwise: Points = Decimal(0)
    by: str | None = Field(default=None, max_length=CODE_LIMIT, examples=["times"])
    rows: dict[Value, Points] = Field(default={}, max_length=VALUES_LIMIT, examples=[{"1": "0.5"}])
    of_stake: bool = False


class RuleIn(Trimmed):
    """What the next version of a rule says; a table of nothing ends the rule. To ask what-if no day is needed."""

    code: str = Field(pattern=CODE, max_length=CODE_LIMIT, examples=["rework"])
    name: NameIn
    when: Kind
    match: dict[Value, Annotated[list[Value], Field(max_length=VALUES_LIMIT)]] = Field(
        default={}, max_length=FIELDS_LIMIT, examples=[{"category": ["exposed-rubbish"]}]
    )
    table: TableIn
    cap: Points | None = None
    earns: bool = False
    source: str = Field(default="", max_length=TEXT_LIMIT, examples=["示例"])


class DatedRule(RuleIn):
    """The next version of a rule, in force from a day to come (Asia/Shanghai)."""

    effective_from: date = Field(examples=["2027-01-01"])


class UndatedRule(RuleIn):
    """A rule as if it had always been in force; a day is not looked at."""

    effective_from: date | None = None


class NewDraft(Trimmed):
    """Further versions of rules; `based_on` is the edition of the book that was read before they were written."""

    based_on: int = Field(ge=1, examples=[1])
    reason: str = Field(min_length=1, max_length=TEXT_LIMIT, examples=["经领导小组会议研究，调整复查不合格扣分"])
    rules: list[DatedRule] = Field(min_length=1, max_length=RULES_LIMIT)


class Revision(Trimmed):
    """The revision that was read: what anybody else wrote meanwhile is neither overwritten nor put to use unread."""

    revision: int = Field(ge=1, examples=[1])


class ChangedDraft(NewDraft, Revision):
    """The whole content of the draft."""


class Question(Trimmed):
    """A month (`YYYY-MM`; the last one that is over when nothing is said), and what to try on it: rules or a draft."""

    period: str | None = Field(default=None, pattern=PERIOD, examples=["2026-10"])
    rules: list[UndatedRule] | None = Field(default=None, min_length=1, max_length=RULES_LIMIT)
    draft: str | None = Field(default=None, max_length=CODE_LIMIT)


class BookView(BaseModel):
    """The rule book: `edition` counts the changes; all versions of all rules, or (`on`) those in force on a day."""

    edition: int
    on: str | None
    rules: list[Rule]


class EditionView(BaseModel):
    """What an edition added, why, and who put it to use when; `hash` is that of its row in the audit chain."""

    number: int
    rules: list[Rule]
    reason: str
    made_by: str
    made_at: datetime
    draft: str | None
    hash: str


class Editions(BaseModel):
    """The editions, newest first; `before` goes on to older ones, if there are any."""

    editions: list[EditionView]
    before: int | None


class DraftView(BaseModel):
    """Further versions of rules, their numbers given when they are put to use."""

    id: str
    revision: int
    based_on: int
    reason: str
    rules: list[Rule]
    state: DraftState
    edition: int | None
    made_by: str
    made_at: datetime
    changed_by: str
    changed_at: datetime


class Drafts(BaseModel):
    """The newest drafts, newest first."""

    drafts: list[DraftView]


class OutcomeView(BaseModel):
    """Who would move where in the month, which of its entries would differ (the first 200), what each rule came to.

    Facts are the basis: entries by hand and other decisions are priced by both books. Rows that were taken back count
    on both sides as if they had not been, and each fact in the month in which it happened, frozen or not.
    """

    period: str
    outcome: Outcome


@router.get("/rules", response_model=BookView)
async def rules(request: Request, caller: Anyone, on: date | None = None) -> BookView:
    """扣分规则 · The rules, every version, or those in force on a day: whoever recomputes a score needs them."""
    book = await _book(runtime_of(request).store)
    if on is None:
        return BookView(edition=book.version, on=None, rules=list(book.rules))
    return BookView(edition=book.version, on=on.isoformat(), rules=book.in_force_on(on.isoformat()))


@router.get("/rules/editions", response_model=Editions)
async def editions(
    request: Request,
    caller: Annotated[Principal, may(Act.READ_EDITIONS)],
    before: Annotated[int, Query(ge=1, le=10**9)] = 10**9,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 20,
) -> Editions:
    """修订历史 · The editions of the book."""
    store = runtime_of(request).store
    found = await store.find(RULE_EDITIONS, {"number": {"$lt": before}}, [("number", -1)], limit + 1)
    shown = found[:limit]
    rows = await store.find(AUDIT, {"_id": {"$in": [f"{commands.CHAIN}:{each.number}" for each in shown]}})
    hashes = {row.number: row.hash for row in rows}
    return Editions(
        editions=[_edition(each, hashes.get(each.number, "")) for each in shown],
        before=shown[-1].number if len(found) > limit else None,
    )


@router.get("/rule-drafts", response_model=Drafts)
async def drafts(request: Request, caller: Annotated[Principal, may(Act.READ_RULE_DRAFTS)]) -> Drafts:
    """修订草案 · The drafts."""
    found = await runtime_of(request).store.find(RULE_DRAFTS, {}, [("made_at", -1), ("_id", -1)], PAGE_LIMIT)
    return Drafts(drafts=[_draft(each) for each in found])


@router.get("/rule-drafts/{id}", response_model=DraftView)
async def one_draft(request: Request, id: str, caller: Annotated[Principal, may(Act.READ_RULE_DRAFTS)]) -> DraftView:
    """修订草案 · A draft."""
    return _draft(await _found(runtime_of(request).store, id))


@router.post("/rule-drafts", status_code=201, response_model=DraftView, openapi_extra=IDEMPOTENT)
async def draft(request: Request, body: NewDraft, caller: Annotated[Principal, may(Act.DRAFT_RULES)]) -> Response:
    """起草修订 · Write down further versions of rules; nothing is charged by them yet."""

    async def command(uow: UnitOfWork) -> DraftView:
        return _draft(await commands.draft(uow, body.based_on, body.reason, _rules(body.rules), caller.subject))

    return await answer(request, command, 201, "/rule-drafts/{id}")


@router.put("/rule-drafts/{id}", response_model=DraftView, openapi_extra=IDEMPOTENT)
async def redraft(
    request: Request, id: str, body: ChangedDraft, caller: Annotated[Principal, may(Act.DRAFT_RULES)]
) -> Response:
    """修改草案 · Write the draft anew."""
    wanted = _rules(body.rules)

    async def command(uow: UnitOfWork) -> DraftView:
        changed = (body.revision, body.based_on, body.reason, wanted)
        return _draft(await commands.redraft(uow, id, *changed, caller.subject))

    return await answer(request, command, 200)


@router.post("/rule-drafts/{id}/discard", response_model=DraftView, openapi_extra=IDEMPOTENT)
async def discard(
    request: Request, id: str, body: Revision, caller: Annotated[Principal, may(Act.DRAFT_RULES)]
) -> Response:
    """作废草案 · The draft comes to nothing."""

    async def command(uow: UnitOfWork) -> DraftView:
        return _draft(await commands.discard(uow, id, body.revision, caller.subject))

    return await answer(request, command, 200)


@router.post("/rule-drafts/{id}/use", response_model=DraftView, openapi_extra=IDEMPOTENT)
async def put_to_use(
    request: Request, id: str, body: Revision, caller: Annotated[Principal, may(Act.USE_RULES)]
) -> Response:
    """启用修订 · Add the draft to the book: an edition."""

    async def command(uow: UnitOfWork) -> DraftView:
        return _draft(await commands.put_to_use(uow, id, body.revision, caller))

    return await answer(request, command, 200)


@router.post("/what-if", response_model=OutcomeView, responses=MISSING)
async def what_if(request: Request, body: Question, caller: Annotated[Principal, may(Act.ASK_WHAT_IF)]) -> OutcomeView:
    """规则试算 · The same facts by other rules: who would stand where. Nothing is written."""
    runtime, resources = runtime_of(request), resources_of(request)
    if (body.rules is None) == (body.draft is None):
        raise Invalid("what-if-undecided", field="rules")
    wanted = _rules(body.rules) if body.rules else (await _found(runtime.store, body.draft or "")).rules
    period = body.period or previous_month(month_of(runtime.clock.now()))
    groups = {unit.code: unit.group for unit in resources.district.units.values()}
    with resources.what_ifs.take():
        return OutcomeView(period=period, outcome=await recomputed(runtime.store, groups, period, wanted))


_RULE = TypeAdapter(Rule)


def _rules(body: Sequence[DatedRule | UndatedRule]) -> list[Rule]:
    """Rules without a number yet."""
    return [_rule(each) for each in body]


def _rule(body: DatedRule | UndatedRule) -> Rule:
    content: dict[str, Any] = body.model_dump()
    day = body.effective_from
    return _RULE.validate_python({**content, "version": 0, "effective_from": day.isoformat() if day else ALWAYS})


async def _book(store: Store) -> RuleBook:
    book = await store.get(RULE_BOOKS, CURRENT)
    if book is None:
        raise Unavailable("the rule book is not there yet")
    return book


async def _found(store: Store, id: str) -> Draft:
    found = await store.get(RULE_DRAFTS, id)
    if found is None:
        raise NotFound("rule-drafts-not-found", id=id[:CODE_LIMIT])
    return found


def _draft(draft: Draft) -> DraftView:
    return DraftView.model_validate({**vars(draft), "rules": list(draft.rules)})


def _edition(edition: Edition, hash: str) -> EditionView:
    return EditionView.model_validate({**vars(edition), "rules": list(edition.rules), "hash": hash})
