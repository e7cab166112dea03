"""A case split between units: whatever becomes of its parts, it is closed exactly while all of them have ended.

Through the commands and a store in memory, some of whose commits fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from deploy.local.stack import DISTRICT
from services.reports.commands import handling
from services.reports.district import District
from services.reports.domain import Actor, Case, Command, Side
from services.reports.domain.transitions import FINAL
from services.reports.repo import CASES
from shared.clock import FixedClock
from shared.contracts.reports import CaseClosed, CaseEvent, CaseReopened, CaseState
from shared.errors import DomainError, Unavailable
from shared.store import OUTBOX, OutboxRow, Store, UnitOfWork
from shared.testing.memory_store import MemoryDriver
from tests.unit.reports.cases import CENTRE, DEEDS, LEADER, MONDAY_NINE, REPORTER, TO_OFFICE, VERIFIER, registered

C, S = Command, CaseState
HENGYANG = District.load(DISTRICT)
UNITS = ("huanwei", "shizheng", "chengguan")
UNIT_SIDE = frozenset({Side.UNIT})
ROAD = {
    S.DISPATCHED: (C.ACKNOWLEDGE, None),
    S.ACKNOWLEDGED: (C.START, None),
    S.RECTIFYING: (C.REPLY, None),
    S.REWORK: (C.REPLY, None),
    S.REPLIED: (C.VERIFY_PASSED, VERIFIER),
    S.VERIFIED: (C.CLOSE, CENTRE),
    S.RETURNED: (C.REJECT, CENTRE),
    S.SUSPENDED: (C.RESUME, LEADER),
    S.WAITING: (C.RESUME, CENTRE),
    S.CLOSED: (C.REOPEN, CENTRE),
}
"""What comes next for a part, and by whom; None: its unit."""
ASIDE = {
    S.DISPATCHED: (C.RETURN, None),
    S.ACKNOWLEDGED: (C.ASK_REPORTER, None),
    S.RECTIFYING: (C.SUSPEND, LEADER),
    S.REPLIED: (C.VERIFY_FAILED, VERIFIER),
    S.CLOSED: (C.OBJECT, REPORTER),
}


async def _file(uow: UnitOfWork) -> Case:
    case = registered(routing=TO_OFFICE)
    uow.insert(CASES, case, case.registered())
    return case


class Parts(RuleBasedStateMachine):
    """The parts go their ways; the whole is looked at after each step."""

    id: str
    parts: tuple[str, ...]
    cases: dict[str, Case]
    rows: dict[str, list[OutboxRow]]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.clock = FixedClock(MONDAY_NINE)
        self.driver = MemoryDriver(self.clock)
        self.store = Store(self.driver, self.clock, [CASES])

    def teardown(self) -> None:
        self.loop.close()

    @initialize(units=st.lists(st.sampled_from(UNITS), min_size=2, max_size=3, unique=True))
    def begin(self, units: list[str]) -> None:
        self.id = self._done(_file).id
        whole = self._done(lambda uow: handling.split(uow, HENGYANG, self.id, CENTRE, units))
        self.parts = whole.children
        self._look()
        assert [self.cases[part].unit for part in self.parts] == units

    @rule(place=st.integers(0, 2), aside=st.booleans(), fails=st.booleans())
    def a_part_goes_on(self, place: int, aside: bool, fails: bool) -> None:
        part = self.cases[self.parts[place % len(self.parts)]]
        way = ASIDE if aside and part.state in ASIDE else ROAD
        if part.state is not S.REJECTED:
            command, by = way[part.state]
            self._do(part.id, command, by or Actor(UNIT_SIDE, part.unit), fails)

    @rule(place=st.integers(0, 2), command=st.sampled_from(sorted(DEEDS.keys() - {C.SPLIT, C.MERGE, C.UNMERGE})))
    def somebody_tries_anything_with_the_whole_or_a_part(self, place: int, command: Command) -> None:
        if command not in {C.CHILD_ENDED, C.CHILD_REOPENED}:
            self._do([self.id, *self.parts][place % (1 + len(self.parts))], command, CENTRE, fails=False)

    @precondition(lambda self: self.cases[self.id].state is S.CLOSED)
    @rule()
    def the_reporter_is_not_content_with_the_whole(self) -> None:
        self._do(self.id, C.OBJECT, REPORTER, fails=False)
        assert self.cases[self.id].state is S.CLOSED, "the office decides which part it is about"

    @rule(hours=st.integers(1, 60))
    def time_passes_and_somebody_looks(self, hours: int) -> None:
        now = self.clock.advance(timedelta(hours=hours))
        self.loop.run(self.store.run(self._mark_all))
        self._look()
        assert not any(case.is_due(now) for case in self.cases.values())

    async def _mark_all(self, uow: UnitOfWork) -> None:
        for id in self.cases:
            await handling.mark_overdue(uow, HENGYANG, id)

    @invariant()
    def the_whole_is_closed_exactly_while_all_parts_have_ended(self) -> None:
        whole, parts = self.cases[self.id], [self.cases[part] for part in self.parts]
        open_parts = {part.id for part in parts if part.state not in FINAL}
        assert set(whole.open_children) == open_parts
        assert whole.state is (S.SPLIT if open_parts else S.CLOSED)
        assert (whole.closed_at is None) is bool(open_parts)
        assert whole.deadline_at is None

    @invariant()
    def events_are_without_a_gap_and_the_last_shows_the_case(self) -> None:
        for id, rows in self.rows.items():
            assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))
            last = rows[-1].event.data
            assert isinstance(last, CaseEvent)
            assert last.case == self.cases[id].snapshot()

    @invariant()
    def the_whole_closes_and_opens_by_turns(self) -> None:
        turns = [row.type for row in self.rows[self.id] if row.type in {CaseClosed.TYPE, CaseReopened.TYPE}]
        assert turns == [[CaseClosed.TYPE, CaseReopened.TYPE][place % 2] for place in range(len(turns))]

    def _do(self, id: str, command: Command, by: Actor, fails: bool) -> None:
        before = self.cases
        self.driver.fault = _outage if fails else _nothing
        try:
            self._done(lambda uow: handling.handle(uow, HENGYANG, id, by, DEEDS[command]))
            done = True
        except (DomainError, Unavailable):
            done = False
        self.driver.fault = _nothing
        self._look()
        assert done or self.cases == before, "all of it, or nothing"
        assert not (done and fails)

    def _done(self, command: Callable[[UnitOfWork], Awaitable[Case]]) -> Case:
        return self.loop.run(self.store.run(command))

    def _look(self) -> None:
        async def look() -> tuple[list[Case], list[OutboxRow]]:
            return await self.store.find(CASES, {}), await self.store.find(OUTBOX, {}, [("sequence", 1)])

        cases, rows = self.loop.run(look())
        self.cases = {case.id: case for case in cases}
        self.rows = {id: [row for row in rows if row.subject == id] for id in self.cases}


def _outage(point: str) -> None:
    if point == "before-commit":
        raise Unavailable("the database is away")


def _nothing(point: str) -> None:
    return


TestParts = Parts.TestCase
TestParts.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
