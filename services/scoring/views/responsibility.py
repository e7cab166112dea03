"""What staff sees of the responsibility matrix, and of what nobody answers for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel

from services.scoring.domain.facts import Fact
from services.scoring.domain.responsibility import (
    Duty,
    Gap,
    Person,
    Row,
    Scope,
    State,
    Term,
    laid,
    row_id,
    rows_for,
)
from services.scoring.domain.writing import day_of
from services.scoring.repo import FACTS, MATRIX
from shared.attachments.kinds import Kind
from shared.auth import Principal
from shared.contracts.scoring import FactKind
from shared.errors import NotFound
from shared.paging import Key, Order
from shared.roles import OVERSIGHT
from shared.store import Store
from shared.store.collection import Filter

FACTS_LIMIT = 200
_FIRST_HEARD = Order("unassigned", Key("told_at", datetime), Key("_id", str))


class MemberView(BaseModel):
    """Somebody of a task force."""

    name: str
    role: str


class PersonView(BaseModel):
    """Somebody of a unit."""

    name: str
    post: str


class RowInBrief(BaseModel):
    """Who answers for an indicator or a standard on a day. `plan` is the number of the lead unit's newest."""

    scope: Scope
    code: str
    term: int
    effective_from: str
    lead: str
    supporting: tuple[str, ...]
    leader: PersonView | None
    liaison: PersonView | None
    task_force: str
    members: int
    due: str | None
    state: State
    plan: int | None
    missing: tuple[Gap, ...]


class MatrixView(BaseModel):
    """The matrix as it is on a day (Asia/Shanghai), by code; without what has ended or is yet to begin."""

    day: str
    rows: list[RowInBrief]


class TermView(BaseModel):
    """Who answers from a day on; a `lead` of null ends the row."""

    number: int
    effective_from: str
    lead: str | None
    supporting: tuple[str, ...]
    leader: PersonView | None
    liaison: PersonView | None
    task_force: str
    members: list[MemberView]
    due: str | None
    reason: str
    made_at: datetime
    made_by: str


class PlanView(BaseModel):
    """A plan that was handed in."""

    number: int
    unit: str
    kind: Kind
    byte_count: int
    sha256: str
    at: datetime
    by: str


class RowView(BaseModel):
    """A row with all its terms and plans, the newest last. `in_force` is the number of today's term."""

    scope: Scope
    code: str
    newest: int
    in_force: int | None
    state: State
    missing: tuple[Gap, ...]
    terms: list[TermView]
    plans: list[PlanView]


class Missing(BaseModel):
    """What one indicator or standard lacks; `unit` leads it, or nobody does."""

    scope: Scope
    code: str
    unit: str | None
    missing: tuple[Gap, ...]


class UnitGaps(BaseModel):
    """How many rows a unit leads, how many of them lack nothing, and how often what is missing."""

    unit: str
    rows: int
    complete: int
    counts: dict[Gap, int]


class GapsView(BaseModel):
    """What is missing in the matrix today, in the district and by unit.

    `unknown` are codes of rows in force that no indicator has.
    """

    day: str
    indicators: int
    complete: int
    counts: dict[Gap, int]
    units: list[UnitGaps]
    missing: list[Missing]
    unknown: list[str]


class UnassignedFact(BaseModel):
    """Something for which nobody answers. `proposed` is the unit that the matrix, as it is now, names for that day."""

    fact: str
    kind: FactKind
    happened_at: datetime
    told_at: datetime
    category: str
    severity: str | None
    indicator: str | None
    standard: str | None
    visit: str | None
    finding: int | None
    proposed: str | None


class UnassignedFacts(BaseModel):
    """The first of them, those that were told first before others; `next` goes on."""

    total: int
    facts: list[UnassignedFact]
    next: str | None


async def matrix_on(store: Store, day: str, unit: str | None, scope: Scope | None, caller: Principal) -> MatrixView:
    """The rows in force on a day; of a unit those that it leads or supports. Names are for whom `sees_names` says."""
    rows = await store.find(MATRIX, {"scope": scope.value} if scope else {}, [("_id", 1)])
    found = [brief for row in rows if (brief := _brief(row, day, caller)) is not None]
    return MatrixView(day=day, rows=[each for each in found if unit in {None, each.lead, *each.supporting}])


async def row_view(store: Store, scope: Scope, code: str, now: datetime, caller: Principal) -> RowView:
    """Raises NotFound (matrix-not-found)."""
    row = await store.get(MATRIX, row_id(scope, code))
    if row is None:
        raise NotFound("matrix-not-found", id=code)
    return view(row, now, caller)


def sees_names(caller: Principal, units: Iterable[str | None]) -> bool:
    """Whether somebody may know who leads, and who speaks for, what these units answer for."""
    return caller.has(*OVERSIGHT) or (caller.unit is not None and caller.unit in set(units))


def view(row: Row, now: datetime, caller: Principal) -> RowView:
    """A row as the caller may see it: names of persons are for whom `sees_names` says."""
    term = row.in_force(day_of(now))
    return RowView(
        scope=row.scope,
        code=row.code,
        newest=row.newest,
        in_force=term.number if term else None,
        state=row.state,
        missing=row.gaps(day_of(now)),
        terms=[_term(each, caller) for each in row.terms],
        plans=[PlanView.model_validate(plan, from_attributes=True) for plan in row.plans],
    )


def _term(term: Term, caller: Principal) -> TermView:
    duty = term.duty
    named = sees_names(caller, [duty.lead, *duty.supporting])
    return TermView(
        number=term.number,
        effective_from=term.effective_from,
        lead=duty.lead,
        supporting=duty.supporting,
        leader=_person(duty.leader) if named else None,
        liaison=_person(duty.liaison) if named else None,
        task_force=duty.task_force.name,
        members=[MemberView(name=each.name, role=each.role) for each in duty.task_force.members] if named else [],
        due=duty.due,
        reason=term.reason,
        made_at=term.made_at,
        made_by=term.made_by,
    )


async def gaps(store: Store, indicators: frozenset[str], day: str, unit: str | None) -> GapsView:
    """What is missing on a day; with `unit` in the rows that it leads."""
    kept = {row.id: row for row in await store.find(MATRIX, {}, [("_id", 1)])}
    wanted = [kept.get(row_id(Scope.INDICATOR, code)) or _absent(code) for code in sorted(indicators)]
    standards = [row for row in kept.values() if row.scope is Scope.STANDARD and row.duty_on(day)]
    found = [each for row in (*wanted, *standards) if unit in {None, (each := _missing(row, day)).unit}]
    of_indicators = [each for each in found if each.scope is Scope.INDICATOR]
    others = (row for row in kept.values() if row.scope is Scope.INDICATOR and row.code not in indicators)
    return GapsView(
        day=day,
        indicators=len(of_indicators),
        complete=sum(not each.missing for each in of_indicators),
        counts=_counts(found),
        units=[_of_unit(lead, found) for lead in sorted({each.unit for each in found if each.unit})],
        missing=[each for each in found if each.missing],
        unknown=[row.code for row in others if row.duty_on(day)],
    )


async def unassigned(store: Store, after: str | None, limit: int) -> UnassignedFacts:
    """Facts without a unit, those first heard of before others. Raises Invalid (cursor-malformed)."""
    filter: Filter = {"unit": ""}
    total = await store.count(FACTS, filter)
    page = await _FIRST_HEARD.walk(store, FACTS, filter, after, limit)
    wanted = sorted({id for fact in page.items for id in rows_for(fact)})
    rows = {row.id: row for row in await store.find(MATRIX, {"_id": {"$in": wanted}})}
    return UnassignedFacts(
        total=total,
        facts=[_unassigned(fact, laid(fact, rows).unit or None) for fact in page.items],
        next=page.next,
    )


def _unassigned(fact: Fact, proposed: str | None) -> UnassignedFact:
    return UnassignedFact(
        fact=fact.id,
        kind=fact.kind,
        happened_at=fact.happened_at,
        told_at=fact.told_at,
        category=fact.category,
        severity=fact.severity,
        indicator=fact.indicator,
        standard=fact.standard,
        visit=fact.visit,
        finding=fact.finding,
        proposed=proposed,
    )


def _brief(row: Row, day: str, caller: Principal) -> RowInBrief | None:
    term = row.in_force(day)
    if term is None or term.duty.lead is None:
        return None
    duty: Duty = term.duty
    plan = row.plan_of(duty.lead)
    named = sees_names(caller, [duty.lead, *duty.supporting])
    return RowInBrief(
        scope=row.scope,
        code=row.code,
        term=term.number,
        effective_from=term.effective_from,
        lead=term.duty.lead,
        supporting=duty.supporting,
        leader=_person(duty.leader) if named else None,
        liaison=_person(duty.liaison) if named else None,
        task_force=duty.task_force.name,
        members=len(duty.task_force.members),
        due=duty.due,
        state=row.state,
        plan=plan.number if plan else None,
        missing=row.gaps(day),
    )


def _person(person: Person | None) -> PersonView | None:
    return PersonView(name=person.name, post=person.post) if person else None


def _absent(code: str) -> Row:
    return Row(row_id(Scope.INDICATOR, code), Scope.INDICATOR, code)


def _missing(row: Row, day: str) -> Missing:
    duty = row.duty_on(day)
    return Missing(scope=row.scope, code=row.code, unit=duty.lead if duty else None, missing=row.gaps(day))


def _of_unit(unit: str, found: Iterable[Missing]) -> UnitGaps:
    led = [each for each in found if each.unit == unit]
    return UnitGaps(unit=unit, rows=len(led), complete=sum(not each.missing for each in led), counts=_counts(led))


def _counts(found: Iterable[Missing]) -> dict[Gap, int]:
    counted = Counter(gap for each in found for gap in each.missing)
    return {gap: counted[gap] for gap in Gap}
