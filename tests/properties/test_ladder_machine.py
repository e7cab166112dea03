"""Whatever is heard late or twice, whatever units and the office do, and however the clock is set: no rung is taken
twice in a matter, numbers have no gap, and what has ended stays so."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.scoring.commands import measures
from services.scoring.domain.measures import Measure
from services.scoring.repo import MATTERS
from shared.consumer import PARKED
from shared.contracts.reports import CaseDispatched, CaseReturned, Level
from shared.contracts.scoring import MeasureState
from shared.documents.paper import numbered
from shared.errors import Invalid, Refused, Unavailable
from shared.event import Event
from shared.own_cause import Person
from shared.testing.memory_store import MemoryDriver
from tests.unit.scoring.ladders import LADDER, SAMPLE, World, closed, overdue, rework, snapshot

T = TypeVar("T")

CASES = st.sampled_from(["20261123-A", "20261123-B", "20261123-C"])
UNITS = st.sampled_from(["huanwei", "chengguan"])
LEVELS = st.sampled_from([Level.BLUE, Level.ORANGE, Level.RED])
STEPS = st.integers(-20, 20).map(lambda days: timedelta(days=days))
FARTHEST = timedelta(days=200)
"""How far the clock gets: the work calendar knows the days beyond."""


class Crash(Unavailable):
    """The process dies here."""


class LadderLife(RuleBasedStateMachine):
    """Events of cases and standings, units that answer or do not, the office, and a clock that jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = World.new()
        self.began = self.world.clock.now()
        self.waiting: dict[str, list[Event]] = defaultdict(list)
        self.heard: list[Event] = []
        self.ended: dict[str, int] = {}

    def teardown(self) -> None:
        self.loop.close()

    def run(self, work: Awaitable[T]) -> T:
        return self.loop.run_until_complete(_awaited(work))

    def measures(self) -> list[Measure]:
        return self.run(self.world.measures())

    @rule(case=CASES, unit=UNITS, level=LEVELS)
    def runs_out(self, case: str, unit: str, level: Level) -> None:
        self.waiting[case].append(self.world.event(overdue(level, case=case, unit=unit)))

    @rule(case=CASES, unit=UNITS, times=st.integers(1, 4))
    def fails_a_check(self, case: str, unit: str, times: int) -> None:
        self.waiting[case].append(self.world.event(rework(times, case=case, unit=unit)))

    @rule(case=CASES, unit=UNITS, how=st.sampled_from(["closed", "returned", "dispatched"]))
    def leaves(self, case: str, unit: str, how: str) -> None:
        here = snapshot(case=case, unit=unit)
        content = {
            "closed": closed(case=case, unit=unit),
            "returned": CaseReturned(case=here, returned_by=unit),
            "dispatched": CaseDispatched(case=here),
        }[how]
        self.waiting[case].append(self.world.event(content))

    @rule(unit=UNITS, lost=st.integers(0, 40))
    def loses_points(self, unit: str, lost: int) -> None:
        self.run(self.world.stands(unit, "2026-11", str(lost)))

    @rule(case=CASES, most=st.integers(1, 5))
    def hears(self, case: str, most: int) -> None:
        """In order per case, as late as it may be."""
        events, self.waiting[case] = self.waiting[case][:most], self.waiting[case][most:]
        self.run(self.world.deliver(events))
        self.heard += events

    @precondition(lambda self: self.heard)
    @rule(data=st.data())
    def hears_again(self, data: st.DataObject) -> None:
        self.run(self.world.deliver([data.draw(st.sampled_from(self.heard))]))

    @rule(step=STEPS)
    def clock_jumps(self, step: timedelta) -> None:
        then = self.world.clock.now() + step
        self.world.clock.set(min(max(then, self.began), self.began + FARTHEST))
        self.run(self.world.tick())

    @rule(step=STEPS, where=st.sampled_from(["before-commit", "after-commit"]))
    def dies_at_the_clock(self, step: timedelta, where: str) -> None:
        driver = self.world.store.driver
        assert isinstance(driver, MemoryDriver)

        def die(point: str) -> None:
            if point == where:
                raise Crash(point)

        driver.fault = die
        try:
            with contextlib.suppress(Unavailable):
                self.clock_jumps(step)
        finally:
            driver.fault = lambda point: None

    @precondition(lambda self: self.measures())
    @rule(data=st.data(), what=st.sampled_from(["receive", "reply", "hold", "release", "end"]))
    def somebody_acts(self, data: st.DataObject, what: str) -> None:
        id = data.draw(st.sampled_from([measure.id for measure in self.measures()]))
        until = self.world.clock.now() + timedelta(days=3)
        command = {
            "receive": lambda uow: measures.receive(uow, id, "officer-1"),
            "reply": lambda uow: measures.reply(uow, SAMPLE, id, "已整改", "officer-1"),
            "hold": lambda uow: measures.hold(uow, SAMPLE, id, until, "缓办", Person("office")),
            "release": lambda uow: measures.release(uow, SAMPLE, id, Person("office")),
            "end": lambda uow: measures.end(uow, id, "终止", Person("office")),
        }[what]
        with contextlib.suppress(Refused, Invalid):
            self.run(self.world.store.run(command))

    @invariant()
    def no_rung_twice_and_none_below_an_earlier_one(self) -> None:
        for matter in self.run(self.world.store.find(MATTERS, {})):
            places = [SAMPLE.ladder.place(step.rung) for step in matter.steps]
            assert places == sorted(set(places))
        taken = Counter((measure.matter, measure.rung) for measure in self.measures())
        assert set(taken.values()) <= {1}

    @invariant()
    def numbers_have_no_gap(self) -> None:
        numbers = defaultdict(list)
        for measure in self.measures():
            numbers[measure.rung, measure.year].append(measure.number)
        for (_, year), given in numbers.items():
            assert sorted(given) == [numbered(year, number) for number in range(1, len(given) + 1)]

    @invariant()
    def what_has_ended_stays_so(self) -> None:
        steps = {matter.id: len(matter.steps) for matter in self.run(self.world.store.find(MATTERS, {}))}
        over = {matter.id for matter in self.run(self.world.store.find(MATTERS, {})) if matter.ended_at is not None}
        assert all(id in over and steps[id] == before for id, before in self.ended.items())
        self.ended = {id: steps[id] for id in over}
        states = {measure.matter: measure.state for measure in self.measures() if measure.matter in over}
        assert set(states.values()) <= {MeasureState.ENDED}

    @invariant()
    def nothing_is_parked(self) -> None:
        assert self.run(self.world.store.find(PARKED, {"group": LADDER.group})) == []


async def _awaited(work: Awaitable[T]) -> T:
    return await work


LadderLife.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestLadderLife = LadderLife.TestCase
