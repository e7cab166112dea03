"""The negative list (负面清单): what costs a city its title or its score, by its status and by when it happened.

One item has several sanctions: which of them applies depends on whether the city holds the title or is nominated, and
on how long before the annual test or the application it happened. Days are those of Asia/Shanghai.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from services.scoring.domain.responsibility import Person
from services.scoring.domain.writing import day_of
from shared.errors import Invalid, Refused
from shared.months import same_day

TEXT_LIMIT = 2_000
EVIDENCE_LIMIT = 50
FILES_LIMIT = 20
POINTS_LIMIT = Decimal(100)
MONTHS_LIMIT = 120
WARN_LIMIT = 366


class CityStatus(StrEnum):
    """What the city is in the campaign: holder of the title, nominated, suspended, or none of these."""

    TITLED = "titled"
    NOMINATED = "nominated"
    SUSPENDED = "suspended"
    NEITHER = "neither"


class Effect(StrEnum):
    """The four sanctions of the 2015 edition: 扣分, 停牌, 取消参评资格, 摘牌."""

    DEDUCT = "deduct"
    SUSPEND = "suspend"
    DISQUALIFY = "disqualify"
    REVOKE = "revoke"


class Date(StrEnum):
    """The dates of the district that windows look back from."""

    ANNUAL_TEST = "annual-test"
    APPLICATION = "application"


@dataclass(frozen=True)
class Sanction:
    """What follows for a city of this status, where it happened within `window_months` before a date.

    Without `before` it follows whenever it happened. `points` are deducted, for `months` the title is suspended.
    """

    city_status: CityStatus
    effect: Effect
    before: Date | None = None
    window_months: int | None = None
    points: Decimal = Decimal(0)
    months: int | None = None


@dataclass(frozen=True)
class Item:
    """An item in one version, in force from a day until a later version of the same code is."""

    code: str
    version: int
    effective_from: str
    text: str
    trigger: str
    sanctions: tuple[Sanction, ...]
    lead: str
    supporting: tuple[str, ...] = ()
    leader: Person | None = None
    liaison: Person | None = None
    source: str = ""


@dataclass(frozen=True)
class Situation:
    """What the city is from a day on, and the dates of its next test and application (`YYYY-MM-DD`).

    A higher version for the same day takes the place of a lower one.
    """

    version: int
    effective_from: str
    status: CityStatus
    annual_test: str | None = None
    application: str | None = None
    source: str = ""

    def date_of(self, which: Date) -> date | None:
        """The date that a window looks back from."""
        day = self.annual_test if which is Date.ANNUAL_TEST else self.application
        return date.fromisoformat(day) if day else None


@dataclass(frozen=True)
class Window:
    """Days from `opens` until the one before `closes`: of yearly windows, every day is in one."""

    opens: date
    closes: date

    def holds(self, day: date) -> bool:
        """Whether the day is one of them."""
        return self.opens <= day < self.closes


@dataclass(frozen=True)
class Applied:
    """A sanction that follows from what happened: in effect from `since` until the day before `until` (None: open)."""

    sanction: Sanction
    since: date
    until: date | None

    def in_effect(self, today: date) -> bool:
        """Whether it still counts."""
        return self.until is None or today < self.until


@dataclass
class NegativeList:
    """Every version of every item and situation; what is there is never changed, only added to.

    `warn_days`: how long beforehand it is told that a window opens or closes.
    """

    id: str
    version: int
    warn_days: int
    items: list[Item]
    situations: list[Situation]

    def items_on(self, day: str) -> list[Item]:
        """The items in force on a day, by code."""
        ordered = sorted(self.items, key=lambda item: (item.effective_from, item.version))
        newest = {item.code: item for item in ordered if item.effective_from <= day}
        return [newest[code] for code in sorted(newest)]

    def item_on(self, code: str, day: str) -> Item | None:
        """One of them."""
        return next((item for item in self.items_on(day) if item.code == code), None)

    def situation_on(self, day: str) -> Situation | None:
        """The city's situation on a day."""
        begun = [each for each in self.situations if each.effective_from <= day]
        return max(begun, key=lambda each: (each.effective_from, each.version), default=None)

    def extended(self, edition: NegativeList) -> NegativeList:
        """This list with what is new in a later edition; versions that are here already stay as they are."""
        items = {(item.code, item.version) for item in self.items}
        days = {(each.effective_from, each.version) for each in self.situations}
        return NegativeList(
            self.id,
            edition.version,
            edition.warn_days,
            [*self.items, *(item for item in edition.items if (item.code, item.version) not in items)],
            [*self.situations, *(s for s in edition.situations if (s.effective_from, s.version) not in days)],
        )


def applied(item: Item, situation: Situation, occurred: date, decided: date) -> list[Applied]:
    """The sanctions that follow for a city in this situation from what occurred and was confirmed on those days."""
    found = (_applied(sanction, situation, occurred, decided) for sanction in item.sanctions)
    return [each for each in found if each is not None]


def require_dates(item: Item, situation: Situation, occurred: date) -> None:
    """Nothing is decided by a date that was over when it happened: the next one has to be told first.

    Raises Refused (city-date-past).
    """
    for sanction in item.sanctions:
        anchor = situation.date_of(sanction.before) if sanction.before else None
        if sanction.city_status is situation.status and anchor is not None and anchor <= occurred:
            raise Refused("city-date-past", day=anchor, date=sanction.before)


def points_at_stake(sanctions: Iterable[Applied]) -> Decimal:
    """What they cost in points."""
    return sum((each.sanction.points for each in sanctions if each.sanction.effect is Effect.DEDUCT), Decimal(0))


def window_of(sanction: Sanction, situation: Situation) -> Window | None:
    """The days in which something must happen for the sanction to follow; None where there are no such days."""
    anchor = situation.date_of(sanction.before) if sanction.before else None
    if anchor is None or sanction.window_months is None:
        return None
    return Window(same_day(anchor, -sanction.window_months), anchor)


def _applied(sanction: Sanction, situation: Situation, occurred: date, decided: date) -> Applied | None:
    if sanction.city_status is not situation.status:
        return None
    window = window_of(sanction, situation)
    if sanction.before is not None and (window is None or not window.holds(occurred)):
        return None
    if sanction.effect is Effect.SUSPEND and sanction.months is not None:
        return Applied(sanction, decided, same_day(decided, sanction.months))
    return Applied(sanction, occurred if window else decided, window.closes if window else None)


class Alarm(StrEnum):
    """Why the office is told about a window or a sanction."""

    OPENS = "opens"
    """From that day on, what happens counts."""
    CLOSES = "closes"
    """From that day on, what happens does not count any more."""
    ENDS = "ends"
    """From that day on, the sanction is not in effect any more."""
    DATE_PAST = "date-past"
    """The date is over and no later one is known: windows before it say nothing."""


@dataclass(frozen=True)
class Warning:
    """Something that is about to change: on `day`, in `days` days. `items` are codes, `event` a confirmed one."""

    alarm: Alarm
    day: date
    days: int
    before: Date | None = None
    window_months: int | None = None
    effect: Effect | None = None
    items: tuple[str, ...] = ()
    event: str | None = None


def warnings_of(
    items: Sequence[Item], situation: Situation, standing: Iterable[tuple[str, str, Applied]], today: date, days: int
) -> list[Warning]:
    """What is about to change within so many days, the next first.

    `standing` are sanctions that followed, each with the event and the item that it followed from.
    """
    found = [*_of_windows(items, situation, today), *_of_dates(situation, today)]
    for event, item, each in standing:
        if each.until is not None and today < each.until:
            left = (each.until - today).days
            effect = each.sanction.effect
            found.append(Warning(Alarm.ENDS, each.until, left, effect=effect, items=(item,), event=event))
    near = (each for each in found if each.days <= days)
    return sorted(near, key=lambda each: (each.day, each.alarm, each.event or "", each.items))


def _of_windows(items: Sequence[Item], situation: Situation, today: date) -> Iterator[Warning]:
    shared: dict[tuple[Date, int, Effect], list[str]] = {}
    for item in items:
        for sanction in item.sanctions:
            if sanction.city_status is situation.status and sanction.before and sanction.window_months:
                shared.setdefault((sanction.before, sanction.window_months, sanction.effect), []).append(item.code)
    for (before, months, effect), codes in shared.items():
        anchor = situation.date_of(before)
        if anchor is None:
            continue
        for alarm, day in ((Alarm.OPENS, same_day(anchor, -months)), (Alarm.CLOSES, anchor)):
            if today < day:
                yield Warning(alarm, day, (day - today).days, before, months, effect, tuple(dict.fromkeys(codes)))


def _of_dates(situation: Situation, today: date) -> Iterator[Warning]:
    for which in Date:
        anchor = situation.date_of(which)
        if anchor is not None and anchor <= today:
            yield Warning(Alarm.DATE_PAST, anchor, (anchor - today).days, which)


class EventState(StrEnum):
    """Where an event of the list stands: suspected, then confirmed or not, at last cleared (清零)."""

    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"
    CLEARED = "cleared"


@dataclass(frozen=True)
class Evidence:
    """A text with files (identities of attachments)."""

    text: str
    files: tuple[str, ...]
    at: datetime
    by: str


@dataclass(frozen=True)
class Decision:
    """That somebody confirmed or cleared it, and why."""

    state: EventState
    reason: str
    at: datetime
    by: str


@dataclass
class NegativeEvent:
    """Something of the list that happened, or is said to have; the identity sorts by when it was reported.

    `unit` is whom a deduction is laid to. `charges` counts what confirming has cost, and `deadline_at` is when to look
    for rows that are to be taken back and were not posted yet. `changes` counts the rows of its audit chain.
    """

    id: str
    item: str
    item_version: int
    unit: str
    occurred_at: datetime
    reported_at: datetime
    reported_by: str
    evidence: list[Evidence]
    state: EventState = EventState.SUSPECTED
    decisions: list[Decision] = field(default_factory=list)
    at_stake: Decimal = Decimal(0)
    charges: int = 0
    taken_back: bool = False
    deadline_at: datetime | None = None
    changes: int = 0

    @property
    def basis(self) -> str:
        """What its deductions rest on."""
        return f"negative-event/{self.id}"

    @property
    def files(self) -> list[str]:
        """All files of its evidence, in order."""
        return [file for each in self.evidence for file in each.files]

    @property
    def confirmed_at(self) -> datetime | None:
        """When it was confirmed, if it was."""
        return next((each.at for each in self.decisions if each.state is EventState.CONFIRMED), None)

    def add(self, evidence: Evidence) -> None:
        """Raises Refused (negative-event-state, negative-evidence-many)."""
        self._require(EventState.SUSPECTED, EventState.CONFIRMED)
        if len(self.evidence) >= EVIDENCE_LIMIT:
            raise Refused("negative-evidence-many", limit=EVIDENCE_LIMIT)
        self.evidence.append(evidence)

    def confirm(self, decision: Decision, at_stake: Decimal) -> None:
        """It is so. Raises Refused (negative-event-state)."""
        self._require(EventState.SUSPECTED)
        self.state, self.at_stake = EventState.CONFIRMED, at_stake
        self.decisions.append(decision)

    def clear(self, decision: Decision) -> None:
        """It was not so, or an appeal against it was upheld. Raises Refused (negative-event-state)."""
        self._require(EventState.SUSPECTED, EventState.CONFIRMED)
        self.state = EventState.CLEARED
        self.decisions.append(decision)

    def _require(self, *states: EventState) -> None:
        if self.state not in states:
            raise Refused("negative-event-state", state=self.state.value)


def checked(listed: NegativeList, units: Collection[str]) -> NegativeList:
    """The list, when it makes sense. Raises the first of its `faults`."""
    for fault in faults(listed, units):
        raise fault
    return listed


def faults(listed: NegativeList, units: Collection[str]) -> Iterator[Invalid]:
    """Everything that is wrong with an edition of the list: a slip would silently cost nothing."""
    if not 0 <= listed.warn_days <= WARN_LIMIT:
        yield Invalid("negative-number-unfit", field="warn_days", given=listed.warn_days, limit=WARN_LIMIT)
    seen: set[tuple[str, int]] = set()
    for place, item in enumerate(listed.items):
        where = f"items.{place}"
        if (item.code, item.version) in seen:
            yield Invalid("listed-twice", field=f"{where}.version", given=f"{item.code}@{item.version}")
        seen.add((item.code, item.version))
        for unit in (item.lead, *item.supporting):
            if unit not in units:
                yield Invalid("unit-unknown", field=f"{where}.lead", given=unit)
        yield from _days_faults(where, item.effective_from)
        for number, sanction in enumerate(item.sanctions):
            yield from _sanction_faults(sanction, listed.situations, f"{where}.sanctions.{number}")
    for place, situation in enumerate(listed.situations):
        days = (situation.effective_from, situation.annual_test, situation.application)
        yield from _days_faults(f"situations.{place}", *days)


def _days_faults(where: str, *days: str | None) -> Iterator[Invalid]:
    for day in days:
        try:
            fit = day is None or date.fromisoformat(day).isoformat() == day
        except ValueError:
            fit = False
        if not fit:
            yield Invalid("negative-day-unfit", field=where, given=day)


def _sanction_faults(sanction: Sanction, situations: Iterable[Situation], where: str) -> Iterator[Invalid]:
    deducts, suspends = sanction.effect is Effect.DEDUCT, sanction.effect is Effect.SUSPEND
    if deducts != (0 < sanction.points <= POINTS_LIMIT):
        yield Invalid("negative-number-unfit", field=f"{where}.points", given=sanction.points, limit=POINTS_LIMIT)
    if suspends != (sanction.months is not None and 0 < sanction.months <= MONTHS_LIMIT):
        yield Invalid("negative-number-unfit", field=f"{where}.months", given=sanction.months, limit=MONTHS_LIMIT)
    window = sanction.window_months
    if (sanction.before is None) != (window is None) or (window is not None and not 0 < window <= MONTHS_LIMIT):
        yield Invalid("negative-number-unfit", field=f"{where}.window_months", given=window, limit=MONTHS_LIMIT)
    for situation in situations:
        if sanction.before and situation.status is sanction.city_status and not situation.date_of(sanction.before):
            yield Invalid("negative-date-missing", field=f"{where}.before", date=sanction.before.value)


def china_date(moment: datetime) -> date:
    """The day of a moment in Asia/Shanghai."""
    return date.fromisoformat(day_of(moment))
