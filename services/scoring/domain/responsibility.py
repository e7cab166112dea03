"""The responsibility matrix (责任分解表): who answers for an indicator, and who did on any day.

「一个指标、一个方案、一个专班」 (Hengshan county, 2023): an indicator has a lead unit, a plan and a task force. A
standard may have a row of its own, which goes before that of its indicator. A row is only ever added to: each change is
a term that begins on a day in Asia/Shanghai, also one that has passed, so that what happened is laid to who answered
then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from services.scoring.domain.facts import Fact
from services.scoring.domain.writing import code, day, day_of
from shared.attachments.kinds import Kind
from shared.contracts.scoring import FactKind
from shared.errors import Invalid, Refused
from shared.writing import plain_text

NAME_LIMIT = 50
POST_LIMIT = 50
REASON_LIMIT = 500
SUPPORTING_LIMIT = 50
MEMBERS_LIMIT = 60
TERMS_LIMIT = 500
PLANS_LIMIT = 100


class Scope(StrEnum):
    """What a row is about."""

    INDICATOR = "indicator"
    STANDARD = "standard"


class State(StrEnum):
    """How far the unit is with an indicator, by its own word: 未启动, 推进中, 已完成."""

    PENDING = "pending"
    UNDER_WAY = "under-way"
    DONE = "done"


class Gap(StrEnum):
    """What a row lacks."""

    ROW = "row"
    PLAN = "plan"
    TASK_FORCE = "task-force"
    LEADER = "leader"
    LIAISON = "liaison"
    PAST_DUE = "past-due"


@dataclass(frozen=True)
class Person:
    """Somebody of a unit, by name and post. Shown to staff, and never in an event, a log line or an address."""

    name: str
    post: str = ""


@dataclass(frozen=True)
class Member:
    """Somebody of a task force, and what for."""

    name: str
    role: str


@dataclass(frozen=True)
class TaskForce:
    """A task force (专班)."""

    name: str = ""
    members: tuple[Member, ...] = ()


@dataclass(frozen=True)
class Duty:
    """Who answers for it: the `lead` unit (None: nobody by this row) with its `leader` (一把手) and `liaison`.

    `due` is the day (`YYYY-MM-DD`, Asia/Shanghai) by which the work is to be done.
    """

    lead: str | None
    supporting: tuple[str, ...] = ()
    leader: Person | None = None
    liaison: Person | None = None
    task_force: TaskForce = TaskForce()
    due: str | None = None


@dataclass(frozen=True)
class FileRow:
    """A row as the district's file has it: with its first term."""

    scope: Scope
    code: str
    effective_from: str
    duty: Duty
    state: State = State.PENDING


@dataclass(frozen=True)
class Term:
    """A duty from a day on; `made_by` is the subject of a token, or the district's file."""

    number: int
    effective_from: str
    duty: Duty
    made_at: datetime
    made_by: str
    reason: str = ""


@dataclass(frozen=True)
class Plan:
    """A plan document (方案) that the lead unit of that day handed in, or the office for it."""

    number: int
    unit: str
    attachment: str
    kind: Kind
    byte_count: int
    sha256: str
    at: datetime
    by: str


@dataclass
class Row:
    """All terms and plans of an indicator or a standard; `changes` counts the rows of its audit chain."""

    id: str
    scope: Scope
    code: str
    terms: list[Term] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    state: State = State.PENDING
    changes: int = 0

    @property
    def newest(self) -> int:
        """Number of the term that was written last."""
        return len(self.terms)

    def in_force(self, day: str) -> Term | None:
        """The term of a day: the one that began last, and of those of one day the one that was written last."""
        begun = [term for term in self.terms if term.effective_from <= day]
        return max(begun, key=lambda term: (term.effective_from, term.number), default=None)

    def duty_on(self, day: str) -> Duty | None:
        """The duty of a day, where somebody has it."""
        term = self.in_force(day)
        return term.duty if term is not None and term.duty.lead is not None else None

    def plan_of(self, unit: str | None) -> Plan | None:
        """The newest plan that this unit handed in: who takes over makes a plan of its own."""
        return next((plan for plan in reversed(self.plans) if plan.unit == unit), None)

    def change(
        self, duty: Duty, effective_from: str, based_on: int, now: datetime, by: str, reason: str = ""
    ) -> Term | None:
        """Another term, None where that day's says the same; `based_on` is the newest that was read.

        A day that has passed takes a reason. Raises Refused (matrix-stale, matrix-terms-many), Invalid (day-unfit,
        matrix-reason-required).
        """
        self.require(based_on)
        day(effective_from, "effective_from")
        if effective_from < day_of(now) and not reason:
            raise Invalid("matrix-reason-required", field="reason", today=day_of(now))
        current = self.in_force(effective_from)
        if current is not None and current.effective_from == effective_from and current.duty == duty:
            return None
        if len(self.terms) >= TERMS_LIMIT:
            raise Refused("matrix-terms-many", limit=TERMS_LIMIT)
        term = Term(self.newest + 1, effective_from, duty, now, by, reason)
        self.terms.append(term)
        return term

    def require(self, based_on: int) -> None:
        """Raises Refused (matrix-stale)."""
        if based_on != self.newest:
            raise Refused("matrix-stale", field="based_on", current=self.newest)

    def hand_in(self, plan: Plan) -> None:
        """Raises Refused (matrix-plans-many)."""
        if len(self.plans) >= PLANS_LIMIT:
            raise Refused("matrix-plans-many", limit=PLANS_LIMIT)
        self.plans.append(plan)

    def gaps(self, day: str) -> tuple[Gap, ...]:
        """What is missing on a day. Plan and task force are asked for by indicator."""
        duty = self.duty_on(day)
        return () if duty is None and self.scope is Scope.STANDARD else tuple(_gaps(self, duty, day))


def _gaps(row: Row, duty: Duty | None, day: str) -> Iterator[Gap]:
    if duty is None:
        yield Gap.ROW
        return
    if row.scope is Scope.INDICATOR and row.plan_of(duty.lead) is None:
        yield Gap.PLAN
    if row.scope is Scope.INDICATOR and not duty.task_force.members:
        yield Gap.TASK_FORCE
    if duty.leader is None:
        yield Gap.LEADER
    if duty.liaison is None:
        yield Gap.LIAISON
    if duty.due is not None and duty.due < day and row.state is not State.DONE:
        yield Gap.PAST_DUE


def row_id(scope: Scope, code: str) -> str:
    """Identity of a row: codes of indicators and of standards are two sets."""
    return f"{scope.value}:{code}"


def rows_for(fact: Fact) -> list[str]:
    """The rows that may say who answers for a fact, in the order in which they are asked."""
    codes = ((Scope.STANDARD, fact.standard), (Scope.INDICATOR, fact.indicator))
    return [row_id(scope, code) for scope, code in codes if code]


def responsible_at(rows: Mapping[str, Row], codes: Iterable[str], moment: datetime) -> Duty | None:
    """Who answered at that moment: by the first of the rows named by `codes` by which anybody did."""
    day = day_of(moment)
    duties = (rows[id].duty_on(day) for id in codes if id in rows)
    return next((duty for duty in duties if duty is not None), None)


def laid(fact: Fact, rows: Mapping[str, Row]) -> Fact:
    """The fact, laid to who answered when it happened.

    What has happened to a case stays with the unit that had it. A finding goes by the matrix, and where that names
    nobody to the unit that its inspector took to be responsible; perhaps to nobody.
    """
    if fact.unit and fact.kind is not FactKind.FINDING:
        return fact
    duty = responsible_at(rows, rows_for(fact), fact.happened_at)
    return fact if duty is None or duty.lead is None else replace(fact, unit=duty.lead)


def checked(duty: Duty, units: Collection[str]) -> Duty:
    """The duty with its texts as they are kept. Raises Invalid, naming the field."""
    if duty.lead is not None and duty.lead not in units:
        raise Invalid("unit-unknown", field="lead", given=duty.lead)
    if duty.lead is None and (duty.supporting or duty.leader or duty.liaison or duty.task_force.members or duty.due):
        raise Invalid("matrix-without-lead", field="lead")
    if len(duty.supporting) > SUPPORTING_LIMIT:
        raise Invalid("list-too-long", field="supporting", limit=SUPPORTING_LIMIT)
    for place, unit in enumerate(duty.supporting):
        if unit not in units:
            raise Invalid("unit-unknown", field=f"supporting.{place}", given=unit)
        if unit in duty.supporting[:place] or unit == duty.lead:
            raise Invalid("listed-twice", field=f"supporting.{place}", given=unit)
    if duty.due is not None:
        day(duty.due, "due")
    return replace(
        duty,
        leader=_person(duty.leader, "leader"),
        liaison=_person(duty.liaison, "liaison"),
        task_force=checked_force(duty.task_force, "task_force."),
    )


def checked_file(rows: Sequence[FileRow], units: Collection[str]) -> list[FileRow]:
    """The rows of the district's file. Raises Invalid: see `checked`; listed-twice, code-malformed, day-unfit."""
    ids = [row_id(row.scope, row.code) for row in rows]
    for place, row in enumerate(rows):
        code(row.code, f"rows.{place}.code")
        day(row.effective_from, f"rows.{place}.effective_from")
        if ids[place] in ids[:place]:
            raise Invalid("listed-twice", field=f"rows.{place}.code", given=row.code)
    return [replace(row, duty=checked(row.duty, units)) for row in rows]


def checked_force(force: TaskForce, where: str = "") -> TaskForce:
    """The task force with its texts as they are kept. Raises Invalid, naming the field."""
    if len(force.members) > MEMBERS_LIMIT:
        raise Invalid("list-too-long", field=f"{where}members", limit=MEMBERS_LIMIT)
    members = tuple(
        Member(
            plain_text(member.name, f"{where}members.{place}.name", NAME_LIMIT, required=True),
            plain_text(member.role, f"{where}members.{place}.role", POST_LIMIT, required=True),
        )
        for place, member in enumerate(force.members)
    )
    for place, member in enumerate(members):
        if member in members[:place]:
            raise Invalid("member-twice", field=f"{where}members.{place}")
    return TaskForce(plain_text(force.name, f"{where}name", NAME_LIMIT), members)


def checked_code(text: str) -> str:
    """A code that a row may have. Raises Invalid (code-malformed)."""
    return code(text, "code")


def _person(person: Person | None, field: str) -> Person | None:
    if person is None:
        return None
    name = plain_text(person.name, f"{field}.name", NAME_LIMIT, required=True)
    return Person(name, plain_text(person.post, f"{field}.post", POST_LIMIT))
