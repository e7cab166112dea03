"""Whatever is asked of a case, whenever: it keeps to its table, and lateness is told once per limit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import datetime, timedelta

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.reports.domain import TRANSITIONS, Case, Command, Events
from shared.contracts.reports import CaseOverdue, CaseRegistered, CaseSnapshot, CaseState
from shared.errors import Forbidden, Invalid, Refused
from tests.unit.reports.cases import CALENDAR, MONDAY_NINE, OFFICE, TO_OFFICE, TO_UNIT, UNIT, registered

UNITS = st.sampled_from([UNIT, OFFICE, "shizheng"])
RUNNING = {CaseState.DISPATCHED, CaseState.ACKNOWLEDGED, CaseState.REWORK}
STEPS = st.one_of(
    st.timedeltas(timedelta(milliseconds=1), timedelta(hours=2)),
    st.timedeltas(timedelta(hours=1), timedelta(days=3)),
)


class CaseLife(RuleBasedStateMachine):
    """Commands by any unit at any time, against a model that knows only the limits and who answered when."""

    case: Case
    now: datetime
    told: list[CaseSnapshot]
    overdue: list[datetime]
    limits: list[datetime]

    @initialize(routed=st.booleans())
    def start(self, routed: bool) -> None:
        self.now = MONDAY_NINE
        self.case = registered(routing=TO_UNIT if routed else TO_OFFICE)
        self.told, self.overdue, self.limits = [self.case.snapshot()], [], []
        self._count_limit()

    @rule(step=STEPS)
    def time_passes(self, step: timedelta) -> None:
        self.now += step

    @precondition(lambda self: self.case.deadline_at is not None)
    @rule(offset=st.sampled_from([-1, 0, 1]))
    def time_comes_to_the_deadline(self, offset: int) -> None:
        assert self.case.deadline_at is not None
        self.now = max(self.now, self.case.deadline_at + timedelta(milliseconds=offset))

    @rule(by_unit=UNITS)
    def dispatch(self, by_unit: str) -> None:
        self._try(
            Command.DISPATCH,
            lambda: self.case.dispatch(UNIT, by_unit=by_unit, now=self.now, calendar=CALENDAR),
        )

    @rule(by_unit=UNITS)
    def acknowledge(self, by_unit: str) -> None:
        self._try(Command.ACKNOWLEDGE, lambda: self.case.acknowledge(by_unit=by_unit, now=self.now))

    @rule(by_unit=UNITS, text=st.sampled_from(["已处理", "", "<b>已处理</b>"]))
    def reply(self, by_unit: str, text: str) -> None:
        self._try(Command.REPLY, lambda: self.case.reply(text, by_unit=by_unit, now=self.now))

    @rule(by_unit=UNITS, passed=st.booleans())
    def verify(self, by_unit: str, passed: bool) -> None:
        self._try(
            Command.VERIFY_PASSED if passed else Command.VERIFY_FAILED,
            lambda: self.case.verify(passed, by_unit=by_unit, now=self.now, calendar=CALENDAR),
        )

    @rule()
    def close(self) -> None:
        self._try(Command.CLOSE, lambda: self.case.close(by_unit=OFFICE, now=self.now))

    @rule()
    def poll(self) -> None:
        due = self.case.is_due(self.now)
        self._try(Command.MARK_OVERDUE, lambda: self.case.mark_overdue(self.now))
        assert not due or self.case.deadline_at is None

    @invariant()
    def a_limit_runs_exactly_while_the_unit_has_to_answer(self) -> None:
        assert (self.case.due_at is not None) == (self.case.state in RUNNING)
        assert self.case.deadline_at in {None, self.case.due_at}

    @invariant()
    def each_limit_is_told_overdue_at_most_once(self) -> None:
        assert len(set(self.overdue)) == len(self.overdue)
        assert set(self.overdue) <= set(self.limits)
        assert self.case.overdue_at == (self.overdue[-1] if self.overdue else None)

    @invariant()
    def the_last_event_shows_the_case_as_it_is(self) -> None:
        assert self.told[-1] == self.case.snapshot()

    @invariant()
    def the_timeline_is_in_order(self) -> None:
        moments = [fact.at for fact in self.case.timeline]
        assert moments == sorted(moments)

    def _try(self, command: Command, act: Callable[[], Events]) -> None:
        before = copy.deepcopy(self.case)
        try:
            events = act()
        except (Refused, Forbidden, Invalid) as refusal:
            assert self.case == before, "a refusal writes nothing"
            if refusal.code == "transition-not-allowed":
                assert (before.state, command) not in TRANSITIONS
            return
        assert self.case.state is TRANSITIONS[before.state, command]
        assert not any(isinstance(event, CaseRegistered) for event in events)
        late = before.deadline_at is not None and self.now >= before.deadline_at
        overdue = [event.case for event in events if isinstance(event, CaseOverdue)]
        assert len(overdue) == (1 if late else 0), "every act on a late case tells that it is late, once"
        self.overdue += [told.overdue_at for told in overdue if told.overdue_at]
        self.told += [event.case for event in events]
        if command in {Command.DISPATCH, Command.VERIFY_FAILED}:
            self._count_limit()

    def _count_limit(self) -> None:
        if self.case.due_at:
            assert self.case.due_at > self.now
            self.limits.append(self.case.due_at)


TestCaseLife = CaseLife.TestCase
TestCaseLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
