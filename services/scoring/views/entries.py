"""A unit's ledger as the unit reads it: which rule, on what evidence, until when to appeal, what comes next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel

from services.scoring.domain.appeals import Appeal, AppealState, AppealTerms, Contest, Next, if_upheld, next_of
from services.scoring.domain.facts import Fact
from services.scoring.domain.ledger import Entry, Ledger, Reversal, Standing, score_of, standing_id
from services.scoring.domain.proposals import Proposal, proposal_of
from services.scoring.domain.rules import Rule
from services.scoring.repo import (
    APPEALS,
    CONTESTS,
    CURRENT,
    ENTRIES,
    FACTS,
    LEDGERS,
    PROPOSALS,
    REVERSALS,
    RULE_BOOKS,
    STANDINGS,
)
from shared.contracts.scoring import FactKind
from shared.district.names import Name
from shared.store import Collection, Store
from shared.store.collection import Filter, T

PAGE_LIMIT = 200


class EvidenceView(BaseModel):
    """What a row rests on: what an event told, or what people wrote when they proposed it."""

    basis: str
    told_at: datetime | None = None
    matter: str | None = None
    stage: str | None = None
    level: str | None = None
    severity: str | None = None
    item: str | None = None
    times: int | None = None
    at_stake: Decimal | None = None
    reason: str | None = None
    text: str | None = None
    references: list[str] = []


class RowAppeal(BaseModel):
    """The appeal against a row; while it is submitted the row counts on."""

    id: str
    state: AppealState
    submitted_at: datetime
    due_at: datetime | None
    decided_at: datetime | None
    decision: str


class RowView(BaseModel):
    """A row of the unit's ledger. `claimed` is what the rule asked for, where a cap made less of it.

    `appeal_until`: until when the row may be appealed against by `POST /units/{unit}/rows/{number}/appeal`; None
    when it may not, or when the work calendar does not reach that far. `taken_back_by` is the row that took it back.
    """

    number: int
    period: str
    belongs_to: str | None
    rule: str
    rule_version: int
    rule_name: Name
    rule_source: str
    kind: FactKind | None
    points: Decimal
    claimed: Decimal | None
    cap: Decimal | None
    case: str
    category: str
    indicator: str | None
    standard: str | None
    visit: str | None
    finding: int | None
    happened_at: datetime
    posted_at: datetime
    reverses: int | None
    taken_back_by: int | None
    evidence: EvidenceView
    appeal: RowAppeal | None
    appeal_until: datetime | None
    next: Next
    next_in_words: Name


class RowPage(BaseModel):
    """Rows in order, those behind `after`; `next` is the cursor of the following page, if there is one."""

    unit: str
    rows: list[RowView]
    next: int | None = None


class Outlook(BaseModel):
    """A unit's month, and what it would be were all pending appeals upheld."""

    unit: str
    period: str
    pending: int
    points_lost: Decimal
    score: Decimal
    points_lost_if_upheld: Decimal
    score_if_upheld: Decimal


@dataclass(frozen=True)
class _Beside:
    """What there is beside some rows, by the rows' identities and bases."""

    facts: Mapping[str, Fact]
    proposals: Mapping[str, Proposal]
    contests: Mapping[str, Contest]
    appeals: Mapping[str, Appeal]
    reversals: Mapping[str, Reversal]
    rules: Mapping[tuple[str, int], Rule]


async def rows(store: Store, terms: AppealTerms, unit: str, period: str | None, after: int, limit: int) -> RowPage:
    """Rows of a unit's ledger, of one month or of all."""
    filter: Filter = {"unit": unit, "number": {"$gt": after}, **({"period": period} if period else {})}
    order = [("unit", 1), *([("period", 1)] if period else []), ("number", 1)]
    found = await store.find(ENTRIES, filter, order, limit + 1)
    shown, now = found[:limit], store.clock.now()
    beside = await _beside(store, shown)
    more = shown[-1].number if len(found) > limit else None
    return RowPage(unit=unit, rows=[_row(entry, beside, terms, now) for entry in shown], next=more)


async def outlook(store: Store, unit: str, period: str) -> Outlook:
    """Where the unit stands in the month (`YYYY-MM`), and where it would stand."""
    pending = await store.find(APPEALS, {"unit": unit, "state": AppealState.SUBMITTED.value})
    found = await _by_id(store, ENTRIES, [appeal.id for appeal in pending])
    ledger = await store.get(LEDGERS, unit) or Ledger(unit)
    months = {period, *(entry.origin for entry in found.values()), *(entry.period for entry in found.values())}
    there = await _by_id(store, STANDINGS, [standing_id(unit, month) for month in months])
    standings = {standing.period: standing for standing in there.values()}
    in_order = sorted(found.values(), key=lambda entry: entry.number)
    after = if_upheld(ledger, standings, in_order, store.clock.now())
    now, then = (each.get(period) or Standing.of(unit, period) for each in (standings, after))
    return Outlook(
        unit=unit,
        period=period,
        pending=len(pending),
        points_lost=now.points_lost,
        score=now.score,
        points_lost_if_upheld=then.points_lost,
        score_if_upheld=score_of(then.points_lost),
    )


async def _beside(store: Store, entries: Sequence[Entry]) -> _Beside:
    ids, bases = [entry.id for entry in entries], [entry.basis for entry in entries]
    facts, proposals, contests, appeals, reversals, book = await asyncio.gather(
        _by_id(store, FACTS, bases),
        _by_id(store, PROPOSALS, [id for basis in bases if (id := proposal_of(basis))]),
        _by_id(store, CONTESTS, ids),
        _by_id(store, APPEALS, ids),
        _by_id(store, REVERSALS, ids),
        store.get(RULE_BOOKS, CURRENT),
    )
    rules = {(rule.code, rule.version): rule for rule in (book.rules if book else ())}
    return _Beside(facts, proposals, contests, appeals, reversals, rules)


async def _by_id(store: Store, collection: Collection[T], ids: Sequence[str]) -> dict[str, T]:
    if not ids:
        return {}
    return {each.id: each for each in await store.find(collection, {"_id": {"$in": list(dict.fromkeys(ids))}})}


def _row(entry: Entry, beside: _Beside, terms: AppealTerms, now: datetime) -> RowView:
    appeal, taken_back = beside.appeals.get(entry.id), beside.reversals.get(entry.id)
    next = next_of(entry, beside.contests.get(entry.id), appeal, taken_back is not None, terms, now)
    rule = beside.rules.get((entry.rule, entry.rule_version))
    return RowView(
        **{name: getattr(entry, name) for name in _AS_THEY_ARE},
        rule_name=rule.name if rule else Name(entry.rule),
        rule_source=rule.source if rule else "",
        taken_back_by=taken_back.by if taken_back else None,
        evidence=_evidence(entry, beside),
        appeal=RowAppeal.model_validate(appeal, from_attributes=True) if appeal else None,
        appeal_until=terms.open_until(entry) if next is Next.MAY_APPEAL else None,
        next=next,
        next_in_words=next.words,
    )


def _evidence(entry: Entry, beside: _Beside) -> EvidenceView:
    found = EvidenceView(basis=entry.basis)
    if (fact := beside.facts.get(entry.basis)) is not None:
        found = found.model_copy(update={name: getattr(fact, name) for name in _OF_FACTS})
    if (proposal := beside.proposals.get(proposal_of(entry.basis) or "")) is not None:
        written = {"reason": proposal.reason, "text": proposal.evidence, "references": list(proposal.references)}
        found = found.model_copy(update=written)
    return found


_OF_FACTS = ("told_at", "matter", "stage", "level", "severity", "item", "times", "at_stake")
_AS_THEY_ARE = (
    *("number", "period", "belongs_to", "rule", "rule_version", "kind", "points", "claimed", "cap", "case"),
    *("category", "indicator", "standard", "visit", "finding", "happened_at", "posted_at", "reverses"),
)
