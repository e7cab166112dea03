"""Whatever is done to a case, by whomever and whenever: it keeps to its table, and each limit is told as it falls due.

The model knows limits and rests only, and counts in working time since the case was registered: a limit is a number
of milliseconds of work, a rest moves what lies ahead, and something is due once that much work has passed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.reports.domain import SYSTEM, TRANSITIONS, Act, Actor, Case, Command, Events, Side
from services.reports.domain.transitions import AT_WORK, EARLIER, FINAL, SAME, WITH_UNIT
from shared.contracts.reports import CaseDueSoon, CaseOverdue, CaseSnapshot, CaseState, Level, Stage
from shared.errors import DomainError
from shared.workdays import Limit
from tests.unit.reports.cases import (
    ACTORS,
    ALLEY,
    CALENDAR,
    CENTRE,
    DEEDS,
    LAMP,
    LEADER,
    MILLISECOND,
    MONDAY_NINE,
    OFFICER,
    RUBBISH,
    STRANGER,
    TERMS,
    TO_OFFICE,
    TO_UNIT,
    UNIT,
    VERIFIER,
    act,
    another,
    registered,
)

C, S = Command, CaseState
HOUR = 3_600_000
LADDER = {Level.BLUE: 0, Level.ORANGE: 7 * HOUR, Level.RED: 21 * HOUR}
ORDER = [None, *LADDER]
ANYBODY = st.sampled_from([*ACTORS.values(), STRANGER, Actor(frozenset({Side.VERIFIER, Side.CENTRE}), UNIT)])
STEPS = st.one_of(
    st.integers(1, 2 * HOUR),
    st.integers(HOUR, 3 * 24 * HOUR),
).map(lambda milliseconds: timedelta(milliseconds=milliseconds))
TALK = {C.COMMENT, C.RATE, C.OBJECT}
"""What is said about a case moves no clock."""
LIMITS = st.sampled_from([None, None, "3 work-hours", "2 working days", "0 work-hours", "9999 working days", "soon"])
ROAD = {
    S.REGISTERED: (C.CONFIRM, VERIFIER),
    S.SITE_VERIFIED: (C.FILE, CENTRE),
    S.FILED: (C.DISPATCH, CENTRE),
    S.RETURNED: (C.DISPATCH, CENTRE),
    S.DISPATCHED: (C.ACKNOWLEDGE, OFFICER),
    S.ACKNOWLEDGED: (C.START, OFFICER),
    S.RECTIFYING: (C.REPLY, OFFICER),
    S.REWORK: (C.REPLY, OFFICER),
    S.REPLIED: (C.VERIFY_PASSED, VERIFIER),
    S.VERIFIED: (C.CLOSE, CENTRE),
    S.SUSPENDED: (C.RESUME, LEADER),
    S.WAITING: (C.RESUME, OFFICER),
    S.MERGED: (C.UNMERGE, CENTRE),
}
STAGES = {
    S.DISPATCHED: Stage.ACKNOWLEDGE,
    S.ACKNOWLEDGED: Stage.RECTIFY,
    S.RECTIFYING: Stage.RECTIFY,
    S.REWORK: Stage.RECTIFY,
    S.REPLIED: Stage.VERIFY,
    S.VERIFIED: Stage.CLOSE,
    S.SUSPENDED: Stage.REVIEW,
    S.WAITING: Stage.ANSWER,
    **dict.fromkeys((S.REGISTERED, S.SITE_VERIFIED, S.FILED, S.RETURNED), Stage.DISPATCH),
}


def worked(moment: datetime) -> int:
    """Milliseconds of working time since the case was registered."""
    return CALENDAR.elapsed(MONDAY_NINE, moment) // MILLISECOND


@dataclass
class Running:
    """A limit: from where to where, in working time, and what of it is still to be told.

    `ends_at` is set where somebody named a moment that need not be working time.
    """

    stage: Stage
    start: int
    end: int
    ahead: list[Level | None] = field(default_factory=lambda: [*ORDER])
    level: Level | None = None
    held: bool = False
    ends_at: datetime | None = None
    late_from: int = 0
    number: int = 0

    def __post_init__(self) -> None:
        self.late_from = self.end

    @property
    def share(self) -> int:
        """After how much work time is short."""
        return (self.end - self.start) * 3 // 4

    def minutes(self, level: Level | None) -> int:
        return (LADDER[level] if level else self.share) // 60_000

    def moment(self, level: Level | None) -> datetime:
        if level is Level.BLUE and self.ends_at is not None:
            return self.ends_at
        reached = self.late_from + LADDER[level] if level else self.start + self.share
        return CALENDAR.forward(MONDAY_NINE, reached * MILLISECOND)

    def tell(self, now: datetime) -> list[Level | None]:
        """What falls due by now; a warning only where nothing worse does."""
        due = [level for level in self.ahead if self.moment(level) <= now] if not self.held else []
        self.ahead = [level for level in self.ahead if level not in due]
        levels = [level for level in due if level]
        self.level = levels[-1] if levels else self.level
        return [*levels] or due

    def put_off(self, rest: int) -> None:
        self.start, self.late_from = self.start + rest, self.late_from + rest
        if self.level is None:
            self.end += rest


Lateness = list[tuple[Stage, Level | None, int]]


class Limits:
    """What runs, and since when it rests."""

    def __init__(self, texts: dict[Stage, str]) -> None:
        self.texts = texts
        self.running: dict[Stage, Running] = {}
        self.resting: dict[Stage, Running] | None = None
        self.since = MONDAY_NINE
        self.started = 0
        self.extensions = 0
        self.asked: str | None = None

    def start(self, stage: Stage, now: datetime, ends_at: datetime | None = None) -> None:
        end = ends_at or CALENDAR.add(now, Limit.parse(self.texts[stage]))
        self._add(Running(stage, worked(now), worked(end), ends_at=ends_at))

    def _add(self, limit: Running) -> None:
        self.started += 1
        limit.number = self.started
        if limit.share < 1 or limit.moment(None) >= limit.moment(Level.BLUE):
            limit.ahead.remove(None)
        self.running[limit.stage] = limit

    def give(self, now: datetime) -> None:
        self.running.clear()
        self.start(Stage.RECTIFY, now)
        self.start(Stage.ACKNOWLEDGE, now)
        if self.running[Stage.RECTIFY].end <= self.running[Stage.ACKNOWLEDGE].end:
            del self.running[Stage.ACKNOWLEDGE]

    def end(self, *stages: Stage) -> None:
        for stage in stages:
            self.running.pop(stage, None)

    def rest(self, now: datetime) -> None:
        self.resting, self.running, self.since = self.running, {}, now

    def go_on(self, now: datetime) -> None:
        assert self.resting is not None
        answer = self.running.get(Stage.ANSWER)
        until = min(now, answer.moment(Level.BLUE)) if answer else now
        self.running, self.resting = self.resting, None
        for limit in self.running.values():
            limit.put_off(max(0, worked(until) - worked(self.since)))

    def extend(self, text: str | None, now: datetime) -> None:
        old, more = self.running[Stage.RECTIFY], Limit.parse(text or self.texts[Stage.RECTIFY])
        # The end of a day belongs to that day: two days more are those after it.
        from_end = CALENDAR.forward(MONDAY_NINE, (old.end - ("day" in str(more))) * MILLISECOND)
        self._add(Running(Stage.RECTIFY, old.start, worked(CALENDAR.add(from_end, more))))
        new = self.running[Stage.RECTIFY]
        if None in new.ahead and new.moment(None) <= now:
            new.ahead.remove(None)
        self.extensions += 1

    def tell(self, now: datetime) -> Lateness:
        return [
            (limit.stage, level, limit.minutes(level)) for limit in self.running.values() for level in limit.tell(now)
        ]

    def after(self, command: Command, case: Case, now: datetime) -> None:
        """The command took effect: what runs from now on."""
        self._handled(command, case, now)
        self._asked(command, case, now)
        self._rested(command, case, now)

    def _handled(self, command: Command, case: Case, now: datetime) -> None:
        given = case.state is S.DISPATCHED and command in {C.FILE, C.OBJECT, C.DISPATCH, C.REOPEN}
        match command:
            case _ if given:
                self.give(now)
            case C.FILE | C.CONFIRM:
                self.end(Stage.SITE_CHECK)
                self._start_once(Stage.DISPATCH, now)
            case C.RETURN:
                self._only(Stage.DISPATCH, now)
            case C.REJECT | C.CLOSE:
                self.running.clear()
            case C.WITHDRAW if case.state is S.REJECTED:
                self.running.clear()
            case C.ACKNOWLEDGE:
                self.end(Stage.ACKNOWLEDGE)
            case C.REPLY:
                self._only(Stage.VERIFY, now)
            case C.VERIFY_PASSED:
                self._only(Stage.CLOSE, now)
            case C.VERIFY_FAILED:
                self._only(Stage.RECTIFY, now)

    def _asked(self, command: Command, case: Case, now: datetime) -> None:
        match command:
            case C.ASK_EXTENSION:
                assert case.extension is not None
                self.running[Stage.RECTIFY].held, self.asked = True, case.extension.limit
                self.start(Stage.DECIDE, now)
            case C.GRANT_EXTENSION:
                self.end(Stage.DECIDE)
                self.extend(self.asked, now)
            case C.REFUSE_EXTENSION:
                self.end(Stage.DECIDE)
                self.running[Stage.RECTIFY].held = False

    def _rested(self, command: Command, case: Case, now: datetime) -> None:
        match command:
            case C.SUSPEND:
                self.rest(now)
                self.start(Stage.REVIEW, now, case.review_at)
            case C.ASK_REPORTER:
                self.rest(now)
                self.start(Stage.ANSWER, now)
                self.running[Stage.ANSWER].ahead = [Level.BLUE]
            case C.MERGE:
                self.rest(now)
            case C.RESUME | C.UNMERGE:
                self.go_on(now)

    def _only(self, stage: Stage, now: datetime) -> None:
        self.running.clear()
        self.start(stage, now)

    def _start_once(self, stage: Stage, now: datetime) -> None:
        if stage not in self.running:
            self.start(stage, now)


def lateness_of(events: Events) -> Lateness:
    return [
        (event.stage, event.level if isinstance(event, CaseOverdue) else None, event.elapsed_minutes)
        for event in events
        if isinstance(event, CaseOverdue | CaseDueSoon)
    ]


def ordered(content: Iterable[tuple[Stage, Level | None, int]]) -> Lateness:
    return sorted(content, key=lambda each: (each[0], ORDER.index(each[1])))


class CaseLife(RuleBasedStateMachine):
    """Commands by anybody at any time, the clock of the machine set back a little now and then."""

    case: Case
    other: Case
    now: datetime
    latest: datetime
    limits: Limits
    shown: CaseSnapshot
    passed: set[tuple[int, Level | None]]
    overdue_at: datetime | None

    @initialize(
        category=st.sampled_from([RUBBISH, LAMP, ALLEY]),
        routing=st.sampled_from([TO_UNIT, TO_OFFICE]),
    )
    def begin(self, category: object, routing: object) -> None:
        self.now = self.latest = MONDAY_NINE
        self.case, self.other = registered(category, routing), another()  # type: ignore[arg-type]  # as drawn
        self.limits = Limits({**TERMS.limits, Stage.RECTIFY: self.case.limits[Stage.RECTIFY]})
        self.shown, self.passed, self.overdue_at = self.case.snapshot(), set(), None
        if self.case.state is S.DISPATCHED:
            self.limits.give(self.now)
        else:
            self.limits.start(Stage.SITE_CHECK if self.case.site_check else Stage.DISPATCH, self.now)

    # ---- time ----

    @rule(step=STEPS)
    def time_passes(self, step: timedelta) -> None:
        self.now += step

    @precondition(lambda self: self.case.deadline_at is not None)
    @rule(offset=st.sampled_from([-1, 0, 1]))
    def time_comes_to_the_deadline(self, offset: int) -> None:
        assert self.case.deadline_at is not None
        self.now = max(self.now, self.case.deadline_at + offset * MILLISECOND)

    @rule(minutes=st.integers(1, 10))
    def the_clock_is_set_back(self, minutes: int) -> None:
        self.now -= timedelta(minutes=minutes)

    # ---- what is done ----

    @rule(command=st.sampled_from(sorted(DEEDS)), by=ANYBODY)
    def anybody_tries_anything(self, command: Command, by: Actor) -> None:
        if command not in {C.SPLIT, C.CHILD_ENDED, C.CHILD_REOPENED}:
            self._try(command, by)

    @precondition(lambda self: self.case.state is not S.REJECTED)
    @rule(data=st.data())
    def somebody_does_what_is_allowed(self, data: st.DataObject) -> None:
        rows = {command: row for (state, command), row in TRANSITIONS.items() if state is self.case.state}
        command = data.draw(
            st.sampled_from(sorted(rows.keys() - {C.SPLIT, C.CHILD_ENDED, C.CHILD_REOPENED, C.COMMENT}))
        )
        self._try(command, ACTORS[data.draw(st.sampled_from(sorted(rows[command].sides)))])

    @precondition(lambda self: self.case.state in ROAD)
    @rule()
    def it_goes_its_ordinary_way(self) -> None:
        self._try(*ROAD[self.case.state])

    @precondition(lambda self: self.case.state in WITH_UNIT)
    @rule(limit=LIMITS)
    def the_unit_asks_for_more_time(self, limit: str | None) -> None:
        self._try(C.ASK_EXTENSION, OFFICER, lambda act: self.case.ask_extension(act, "配件未到", limit=limit))

    @precondition(lambda self: self.case.extension is not None)
    @rule(by=st.sampled_from([CENTRE, LEADER]), granted=st.booleans(), reason=st.sampled_from(["", "属实"]))
    def somebody_decides_about_it(self, by: Actor, granted: bool, reason: str) -> None:
        command = C.GRANT_EXTENSION if granted else C.REFUSE_EXTENSION
        self._try(command, by, lambda act: self.case.decide_extension(act, granted, reason=reason))

    @precondition(lambda self: (self.case.state, C.SUSPEND) in TRANSITIONS)
    @rule(step=st.one_of(STEPS, STEPS.map(lambda step: -step)))
    def a_leader_lets_it_rest(self, step: timedelta) -> None:
        self._try(C.SUSPEND, LEADER, lambda act: self.case.suspend(act, "等设备", self.now + step))

    @precondition(lambda self: self.case.state in AT_WORK)
    @rule(text=st.sampled_from(["已处理", "", "<b>已处理</b>"]), photos=st.integers(0, 4))
    def the_unit_replies(self, text: str, photos: int) -> None:
        names = [f"photo-{number}" for number in range(photos)]
        self._try(C.REPLY, OFFICER, lambda act: self.case.reply(act, text, photos=names))

    @precondition(lambda self: self.case.state is S.REPLIED)
    @rule(passed=st.booleans(), by=st.sampled_from([VERIFIER, CENTRE, Actor(frozenset({Side.VERIFIER}), UNIT)]))
    def somebody_verifies(self, passed: bool, by: Actor) -> None:
        command = C.VERIFY_PASSED if passed else C.VERIFY_FAILED
        if self._try(command, by, lambda act: self.case.verify(act, passed)):
            assert by.unit != UNIT

    @rule()
    def somebody_looks(self) -> None:
        """The poller: at any time, whether or not something is due."""
        waiting, before = self.case.state is S.WAITING, copy.deepcopy(self.case)
        now = max(self.now, self.latest)
        events = self.case.mark_overdue(Act(SYSTEM, self.now, act(SYSTEM).timetable))
        expected = self._tell(now)
        if waiting and self.limits.running[Stage.ANSWER].level:
            self._follow(C.RESUME, now)
            expected += self._tell(now)
            self.latest = now
        assert ordered(lateness_of(events)) == ordered(expected)
        assert events or self.case == before, "who finds nothing changes nothing"
        assert not self.case.is_due(now)
        self._hear(events)

    # ---- what holds ----

    @invariant()
    def the_last_event_shows_the_case_as_it_is(self) -> None:
        assert self.shown == self.case.snapshot()

    @invariant()
    def the_timeline_is_in_order(self) -> None:
        moments = [fact.at for fact in self.case.timeline]
        assert moments == sorted(moments)
        assert moments[-1] == self.latest

    @invariant()
    def the_next_look_is_at_the_earliest_moment_that_has_not_been(self) -> None:
        ahead = [
            limit.moment(level) for limit in self.limits.running.values() if not limit.held for level in limit.ahead
        ]
        assert self.case.deadline_at == min(ahead, default=None)

    @invariant()
    def limits_end_when_the_model_says(self) -> None:
        running = {clock.stage: clock for clock in self.case.clocks if clock.stopped_at is None}
        assert running.keys() == self.limits.running.keys()
        assert len(self.case.clocks) == len(running) + len(self.limits.resting or ())
        for stage, limit in self.limits.running.items():
            assert (worked(running[stage].started_at), worked(running[stage].due_at)) == (limit.start, limit.end)
            assert running[stage].held is limit.held is (stage is Stage.RECTIFY and self.case.extension is not None)
        rectify = running.get(Stage.RECTIFY)
        assert self.case.due_at == (rectify.due_at if rectify else None)
        assert self.case.extensions == self.limits.extensions
        assert self.case.overdue_at == self.overdue_at

    @invariant()
    def stage_and_level_follow(self) -> None:
        owed = self.case.site_check and self.case.state is S.REGISTERED
        assert self.case.stage == (Stage.SITE_CHECK if owed else STAGES.get(self.case.state))
        levels = [limit.level for limit in self.limits.running.values() if limit.level]
        assert self.case.level == max(levels, key=ORDER.index, default=None)

    @invariant()
    def nothing_runs_once_the_case_has_ended(self) -> None:
        if self.case.state in FINAL:
            assert (self.case.deadline_at, self.case.due_at, self.case.stage) == (None, None, None)
            assert all(clock.stopped_at for clock in self.case.clocks)
            assert self.case.state is S.MERGED or not self.case.clocks

    @invariant()
    def both_sides_of_a_merge_know_of_it(self) -> None:
        assert (self.case.merged_into == self.other.id) is (self.case.state is S.MERGED)
        assert (self.case.id in self.other.merged) is (self.case.state is S.MERGED)

    # ---- how ----

    def _try(self, command: Command, by: Actor, deed: Callable[[Act], Events] | None = None) -> bool:
        """Do it, compare with table and model; whether it was done."""
        before, other_before = copy.deepcopy(self.case), copy.deepcopy(self.other)
        row = TRANSITIONS.get((before.state, command))
        made = self._made(command, act(by, self.now), deed)
        if isinstance(made, str):
            assert (self.case, self.other) == (before, other_before), "a refusal writes nothing"
            assert (made == "transition-not-allowed") is (row is None)
            assert (made == "command-of-another-side") is (row is not None and not row.sides & by.sides)
            return False
        assert row is not None
        assert row.sides & by.sides
        now = max(self.now, self.latest, *self._others_time(command, other_before))
        target = {SAME: before.state, EARLIER: before.earlier}.get(row.target, row.target)
        leads_on = {C.FILE: before.proposed is not None, C.OBJECT: self.case.reopens > before.reopens}
        assert self.case.state is (S.DISPATCHED if leads_on.get(command) else target)
        expected = [] if command in TALK else self._tell(now)
        self._follow(command, now)
        expected += [] if command in TALK else self._tell(now)
        assert ordered(lateness_of(made)) == ordered(expected)
        self.latest = now
        self._hear(made)
        return True

    def _made(self, command: Command, act: Act, deed: Callable[[Act], Events] | None) -> Events | str:
        """The events, or the code of the refusal."""
        linked = {C.MERGE: self.case.merge_into, C.UNMERGE: self.case.unmerge}
        try:
            if deed is not None:
                return deed(act)
            return linked[command](act, self.other) if command in linked else DEEDS[command](self.case, act)
        except DomainError as refusal:
            return refusal.code

    def _others_time(self, command: Command, other: Case) -> list[datetime]:
        return [other.timeline[-1].at] if command in {C.MERGE, C.UNMERGE} else []

    def _follow(self, command: Command, now: datetime) -> None:
        self.limits.after(command, self.case, now)

    def _tell(self, now: datetime) -> Lateness:
        """What the model says is due by now; of one limit nothing may ever be due twice."""
        before = {limit.number: [*limit.ahead] for limit in self.limits.running.values()}
        found = self.limits.tell(now)
        for limit in self.limits.running.values():
            for level in set(before[limit.number]) - set(limit.ahead):
                assert (limit.number, level) not in self.passed
                self.passed.add((limit.number, level))
        return found

    def _hear(self, events: Events) -> None:
        for event in events:
            if isinstance(event, CaseOverdue):
                assert event.reached_at is not None
                assert event.reached_at <= max(self.now, self.latest), "never before its moment"
                self.latest = max(self.latest, event.reached_at)
                if (event.stage, event.level) == (Stage.RECTIFY, Level.BLUE):
                    self.overdue_at = event.due_at
        if events:
            self.shown = events[-1].case


TestCaseLife = CaseLife.TestCase
TestCaseLife.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
