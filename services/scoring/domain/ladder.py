"""The ladder of consequences: what calls for a rung, and how a matter climbs.

提醒函 → 督办单 → 约谈 → 通报批评 → 问责移交, as the office's file has them.

A matter is a cause together with a unit. What happens calls for a rung; one that is not higher than what was called
for before changes nothing. The clock alone issues papers: for a rung that was called for, and for the next one when a
paper was not answered in time. So whoever tells what how often, no rung is taken twice in one matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from services.scoring.domain.facts import Fact
from shared.contracts.reports import Level, Stage
from shared.contracts.scoring import FactKind
from shared.district.names import Name
from shared.errors import Invalid, Refused
from shared.months import shifted
from shared.workdays import Limit


class Trigger(StrEnum):
    """What may call for a rung."""

    OVERDUE = "overdue"
    REWORK = "rework"
    POINTS = "points"
    REPEATED = "repeated"
    LAST = "last"


@dataclass(frozen=True)
class Condition:
    """When a rung is called for.

    `overdue`: a limit of the `stage` has run out by the `level` (None: any), in a case with points `at_stake` or more,
    so that matters of importance may start higher (三色督查单, Sanming). The others are about a number that is
    `at_least` so much: `rework`, failed checks of a case; `points`, those lost in a month; `repeated`, overdue cases
    of one category within `within_days`; `last`, months running in the last place of the unit's group.
    """

    when: Trigger
    at_least: Decimal = Decimal(1)
    stage: Stage | None = None
    level: Level | None = None
    at_stake: Decimal = Decimal(0)
    within_days: int = 0

    def fits(self, fact: Fact) -> bool:
        """Whether a fact about one case is what it is about."""
        if self.when is Trigger.OVERDUE:
            in_stage = self.stage is None or fact.stage == self.stage.value
            by_level = self.level is None or fact.level == self.level.value
            weighs = fact.at_stake >= self.at_stake
            return fact.kind is FactKind.OVERDUE and in_stage and by_level and weighs
        return self.when is Trigger.REWORK and fact.kind is FactKind.REWORK and fact.times >= self.at_least


@dataclass(frozen=True)
class Rung:
    """A rung: what its paper is called and asks for, until when a unit has to reply, and what calls for it.

    `public`: everybody may know how many of a unit's matters stand on it.
    """

    code: str
    name: Name
    text: str
    reply_within: str
    triggers: tuple[Condition, ...] = ()
    public: bool = False


@dataclass(frozen=True)
class Ladder:
    """The rungs from the lowest to the highest, in one version of the office's file.

    `hold_days` is how many days ahead the office may put a matter off.
    """

    version: int
    source: str
    hold_days: int
    rungs: tuple[Rung, ...]

    def place(self, code: str) -> int:
        """How high a rung is, from 0; -1 for one that this version does not have."""
        return next((place for place, rung in enumerate(self.rungs) if rung.code == code), -1)

    def rung(self, code: str) -> Rung | None:
        """The rung of this code, if this version has it."""
        return next((rung for rung in self.rungs if rung.code == code), None)

    def above(self, code: str) -> Rung | None:
        """The next higher rung; None above the highest and above one that this version does not have."""
        place = self.place(code)
        return self.rungs[place + 1] if 0 <= place < len(self.rungs) - 1 else None

    def for_fact(self, fact: Fact) -> Rung | None:
        """The highest rung that a fact about a case calls for."""
        return self._highest(lambda condition: condition.fits(fact))

    def for_points(self, lost: Decimal) -> Rung | None:
        """The highest rung that so many points lost in a month call for."""
        return self._highest(lambda condition: condition.when is Trigger.POINTS and lost >= condition.at_least)

    def for_last(self, months: int) -> Rung | None:
        """The highest rung that so many months running in the last place call for."""
        return self._highest(lambda condition: condition.when is Trigger.LAST and months >= condition.at_least)

    def for_overdue(self, overdue: OverdueCases, case: str) -> Rung | None:
        """The highest rung that a unit's overdue cases of one category call for, among those within days of `case`.

        Cases are heard of in any order: whichever comes last finds the others, before it and after.
        """

        def repeated(condition: Condition) -> bool:
            return (
                condition.when is Trigger.REPEATED
                and overdue.most_beside(case, timedelta(days=condition.within_days)) >= condition.at_least
            )

        return self._highest(repeated)

    def most(self, trigger: Trigger) -> int:
        """The highest number that any rung asks for; 0 when none is about it."""
        numbers = [each.at_least for rung in self.rungs for each in rung.triggers if each.when is trigger]
        return int(max(numbers, default=Decimal(0)))

    def faults(self) -> Iterator[str]:
        """What is wrong with the office's file."""
        codes = [rung.code for rung in self.rungs]
        if not codes or len(set(codes)) < len(codes):
            yield "rungs have to be there, each once"
        if self.hold_days < 1:
            yield "hold_days has to be 1 or more"
        for rung in self.rungs:
            yield from (f"{rung.code}: {fault}" for fault in _faults(rung))

    def _highest(self, fits: Callable[[Condition], bool]) -> Rung | None:
        return next((rung for rung in reversed(self.rungs) if any(map(fits, rung.triggers))), None)


def checked(ladder: Ladder) -> Ladder:
    """The ladder, when it makes sense. Raises Invalid (`ladder-unfit`) with the first of its faults."""
    for fault in ladder.faults():
        raise Invalid("ladder-unfit", field="rungs", fault=fault)
    return ladder


def _faults(rung: Rung) -> Iterator[str]:
    try:
        Limit.parse(rung.reply_within)
    except Invalid as error:
        yield str(error)
    for condition in rung.triggers:
        if not (condition.at_least.is_finite() and condition.at_least > 0):
            yield "at_least has to be above 0"
        if (condition.when is Trigger.REPEATED) is not (condition.within_days > 0):
            yield "within_days belongs to `repeated`, and has to be 1 or more there"
        if condition.when is not Trigger.OVERDUE and (condition.stage or condition.level or condition.at_stake):
            yield "stage, level and at_stake belong to `overdue`"


@dataclass
class OverdueCases:
    """A unit's newest overdue cases of one category, and when each became so; the identity is `<category>:<unit>`."""

    id: str
    cases: dict[str, datetime] = field(default_factory=dict)

    def add(self, case: str, at: datetime, keep: int) -> None:
        """Count a case, from when it was first overdue. Only the `keep` newest can ever be asked about."""
        self.cases[case] = min(at, self.cases.get(case, at))
        newest = sorted(self.cases, key=lambda each: (self.cases[each], each))[-keep:]
        self.cases = {each: self.cases[each] for each in newest}

    def most_beside(self, case: str, span: timedelta) -> int:
        """The most cases that became overdue in any such span of time that the case lies in, itself included."""
        at = self.cases.get(case)
        if at is None:
            return 0
        ends = [end for end in self.cases.values() if at <= end < at + span]
        return max(sum(end - span < each <= end for each in self.cases.values()) for end in ends)


@dataclass
class CaseMatters:
    """Which matters a case has brought about and that are its own still; the identity is the case.

    A unit that gets the case again, or has it again after it was signed off, starts at the bottom of the ladder:
    `rounds` counts how often that was.
    """

    id: str
    open: dict[str, str] = field(default_factory=dict)
    rounds: dict[str, int] = field(default_factory=dict)

    def named(self, unit: str) -> str:
        """Identity of the unit's matter, or of the one that it would have next."""
        turn = self.rounds.get(unit, 0) + 1
        return self.open.get(unit) or case_matter(self.id, unit) + (f":{turn}" if turn > 1 else "")

    def matter(self, unit: str) -> str:
        """Identity of the unit's matter, a new one if it has none."""
        if unit not in self.open:
            self.open[unit] = self.named(unit)
            self.rounds[unit] = self.rounds.get(unit, 0) + 1
        return self.open[unit]

    def leave(self, units: set[str]) -> list[str]:
        """The matters of these units are over; which they were."""
        return [self.open.pop(unit) for unit in sorted(units & self.open.keys())]


@dataclass(frozen=True)
class Cause:
    """What a matter is about: a case, a month's standing, or repeated offences; `id` names it for others."""

    id: str
    case: str | None = None
    category: str | None = None
    period: str | None = None


@dataclass(frozen=True)
class Call:
    """A rung is to be taken; `basis` is why, as the paper says it."""

    rung: str
    basis: str


@dataclass
class Step:
    """A rung that was taken: by which measure, and until when (UTC) it is to be answered."""

    rung: str
    measure: str
    number: str
    due_at: datetime
    replied: bool = False


@dataclass
class Matter:
    """What one unit has to answer for in one cause, and how far it has climbed.

    `deadline_at` (UTC) is when the clock has to look: to issue what was called for, to climb, or to go on after it
    was held back. None when nothing is ahead.
    """

    id: str
    unit: str
    cause: Cause
    steps: list[Step] = field(default_factory=list)
    called: Call | None = None
    held_until: datetime | None = None
    ended_at: datetime | None = None
    deadline_at: datetime | None = None

    @property
    def newest(self) -> Step | None:
        """The rung it stands on."""
        return self.steps[-1] if self.steps else None

    def call(self, rung: Rung, basis: str, ladder: Ladder, now: datetime) -> bool:
        """Have a rung taken; whether that changes anything: not when as much has been called for, or it is over."""
        if self.ended_at is not None or ladder.place(rung.code) <= self._reached(ladder):
            return False
        self.called = Call(rung.code, basis)
        self._plan(ladder, now)
        return True

    def next_rung(self, ladder: Ladder, now: datetime) -> Call | None:
        """What the clock has to issue now, if anything. Changes nothing, so that it may be asked again."""
        if self.ended_at is not None or self.held_until is not None or not self.is_due(now):
            return None
        if self.called is not None:
            return self.called
        newest = self.newest
        rung = ladder.above(newest.rung) if newest else None
        if newest is None or newest.replied or newest.due_at > now or rung is None:
            return None
        return Call(rung.code, f"{newest.number}逾期未回复")

    def take(self, step: Step, ladder: Ladder, now: datetime) -> None:
        """The rung was taken."""
        self.steps.append(step)
        self.called = None
        self._plan(ladder, now)

    def replied(self, measure: str, ladder: Ladder, now: datetime) -> None:
        """A measure was answered: from the newest one it does not climb by itself any more."""
        for step in self.steps:
            step.replied = step.replied or step.measure == measure
        self._plan(ladder, now)

    def hold(self, until: datetime, now: datetime, ladder: Ladder) -> None:
        """缓办: nothing is issued until then. Raises Refused (matter-ended, matter-held) and Invalid (hold-unfit)."""
        self._require_open()
        if self.held_until is not None:
            raise Refused("matter-held")
        if not now < until <= now + timedelta(days=ladder.hold_days):
            raise Invalid("hold-unfit", field="until", limit=ladder.hold_days)
        self.held_until = until
        self._plan(ladder, now)

    def release(self, due_at: datetime, ladder: Ladder, now: datetime) -> None:
        """Go on; the newest rung is to be answered by `due_at` instead.

        Raises Refused (matter-ended, matter-not-held).
        """
        self._require_open()
        if self.held_until is None:
            raise Refused("matter-not-held")
        self.held_until = None
        if self.newest and not self.newest.replied:
            self.newest.due_at = due_at
        self._plan(ladder, now)

    def end(self, now: datetime) -> bool:
        """It is over for good, and says whether it was not before."""
        if self.ended_at is not None:
            return False
        self.ended_at, self.called, self.held_until, self.deadline_at = now, None, None, None
        return True

    def is_due(self, now: datetime) -> bool:
        """Whether the clock has something to do."""
        return self.deadline_at is not None and self.deadline_at <= now

    def settle(self, ladder: Ladder, now: datetime) -> None:
        """Nothing was to be done: look again when the next thing is due.

        A rung that the office has meanwhile taken out of its file is called for no more.
        """
        if self.called is not None and ladder.rung(self.called.rung) is None:
            self.called = None
        self._plan(ladder, now)

    def _plan(self, ladder: Ladder, now: datetime) -> None:
        newest = self.newest
        if self.ended_at is not None:
            self.deadline_at = None
        elif self.held_until is not None:
            self.deadline_at = self.held_until
        elif self.called is not None:
            self.deadline_at = now
        elif newest is None or newest.replied or ladder.above(newest.rung) is None:
            self.deadline_at = None
        else:
            self.deadline_at = newest.due_at

    def _reached(self, ladder: Ladder) -> int:
        taken = [step.rung for step in self.steps] + ([self.called.rung] if self.called else [])
        return max(map(ladder.place, taken), default=-1)

    def _require_open(self) -> None:
        if self.ended_at is not None:
            raise Refused("matter-ended")


def case_matter(case: str, unit: str) -> str:
    """Identity of a unit's first matter of a case."""
    return f"case:{case}:{unit}"


def standing_matter(period: str, unit: str) -> str:
    """Identity of a unit's matter of a month."""
    return f"standing:{period}:{unit}"


def repeat_matter(category: str, unit: str, period: str) -> str:
    """Identity of a unit's matter of repeated offences."""
    return f"repeat:{category}:{unit}:{period}"


def last_running(scores: Mapping[str, Mapping[str, Decimal]], period: str) -> dict[str, int]:
    """The units that are last of their group in the month, and how many months running they have been by then.

    `scores` has the months that are frozen for the whole group. Where all are equal, nobody is last.
    """
    running: dict[str, int] = {}
    for unit in _last(scores.get(period, {})):
        months = 1
        while unit in _last(scores.get(shifted(period, -months), {})):
            months += 1
        running[unit] = months
    return running


def _last(scores: Mapping[str, Decimal]) -> set[str]:
    lowest = min(scores.values(), default=Decimal(0))
    last = {unit for unit, score in scores.items() if score == lowest}
    return last if len(last) < len(scores) else set()
