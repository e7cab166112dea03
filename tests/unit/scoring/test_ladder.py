"""The measures of consequences: what calls for a rung, how a matter climbs, rests and ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from services.scoring.commands import measures
from services.scoring.domain.ladder import CaseMatters, Condition, OverdueCases, Trigger, checked, last_running
from services.scoring.domain.measures import Measure
from services.scoring.repo import MATTERS, MEASURES
from shared.contracts.event_model import EventModel
from shared.contracts.reports import (
    CaseDispatched,
    CaseMerged,
    CaseRejected,
    CaseReopened,
    CaseReplied,
    CaseReturned,
    Level,
    Stage,
)
from shared.contracts.scoring import MeasureChanged, MeasureState
from shared.errors import Invalid, Refused
from shared.months import shifted
from shared.own_cause import Person
from shared.store import OUTBOX
from shared.workdays import Limit
from tests.unit.scoring.ladders import CASE, MONDAY, SAMPLE, UNIT, World, closed, overdue, rework, snapshot

OFFICE = Person("office-1")
LADDER = SAMPLE.ladder
WEEKS = timedelta(days=14)
"""Longer than any limit of the sample."""


async def only(world: World) -> Measure:
    [measure] = await world.measures()
    return measure


@pytest.mark.parametrize(
    ("expected", "rung"),
    [
        (overdue(Level.BLUE), "reminder"),
        (overdue(Level.BLUE, Stage.ACKNOWLEDGE), "reminder"),
        (overdue(Level.ORANGE), "supervision-blue"),
        (overdue(Level.RED), "supervision-orange"),
        (rework(1), "reminder"),
        (rework(2), "supervision-orange"),
        (rework(3), "talk"),
        (rework(7), "talk"),
    ],
)
async def test_what_happens_to_a_case_calls_for_the_rung_of_the_data(expected: EventModel, rung: str) -> None:
    world = World.new()
    await world.hear(expected)
    await world.tick()
    measure = await only(world)
    assert (measure.rung, measure.unit, measure.cause.case) == (rung, UNIT, CASE)
    assert measure.due_at == SAMPLE.calendar.add(MONDAY, Limit.parse(LADDER.rungs[LADDER.place(rung)].reply_within))


@pytest.mark.parametrize(
    "expected",
    [
        overdue(Level.ORANGE, Stage.ACKNOWLEDGE),
        overdue(stage=Stage.VERIFY),
        overdue(unit=None),
        CaseReplied(case=snapshot()),
        closed(),
    ],
)
async def test_what_the_data_does_not_name_calls_for_nothing(expected: EventModel) -> None:
    world = World.new()
    await world.hear(expected)
    assert await world.tick() == 0
    assert await world.store.find(MATTERS, {}) == []


@pytest.mark.parametrize(
    ("lost", "rung"),
    [("4.99", None), ("5", "reminder"), ("10", "supervision-blue"), ("15", "supervision-red"), ("20", "talk")],
)
async def test_points_lost_in_a_month_call_for_a_rung(lost: str, rung: str | None) -> None:
    world = World.new()
    await world.stands(UNIT, "2026-11", lost)
    await world.tick()
    found = [(each.matter, each.rung, each.cause.period) for each in await world.measures()]
    assert found == ([(f"standing:2026-11:{UNIT}", rung, "2026-11")] if rung else [])


async def test_more_points_climb_and_fewer_do_not_climb_down() -> None:
    world = World.new()
    for lost in ("6", "12", "5", "31"):
        await world.stands(UNIT, "2026-11", lost)
        await world.tick()
    assert await world.rungs() == ["reminder", "supervision-blue", "criticism"]


async def test_the_fifth_overdue_case_of_a_category_is_a_repeat() -> None:
    world = World.new()
    await world.hear(*(overdue(case=f"20261123-A{number}") for number in range(4)))
    await world.hear(overdue(case="20261123-A0"), overdue(case="20261123-B", category="illegal-parking"))
    await world.tick()
    assert set(await world.rungs()) == {"reminder"}
    await world.hear(overdue(case="20261123-A9"))
    await world.tick()
    repeats = [each for each in await world.measures() if each.matter.startswith("repeat:")]
    assert [(each.matter, each.rung) for each in repeats] == [
        (f"repeat:exposed-rubbish:{UNIT}:2026-11", "supervision-orange")
    ]


def test_a_tally_looks_back_so_many_days_and_keeps_what_can_be_asked() -> None:
    overdue = OverdueCases("c:u")
    for day in (0, 10, 20, 30, 40):
        overdue.add(f"case-{day}", MONDAY + timedelta(days=day), keep=4)
    overdue.add("case-40", MONDAY + timedelta(days=41), keep=4)
    assert len(overdue.cases) == 4
    assert [overdue.most_beside(case, timedelta(days=30)) for case in ("case-40", "case-10", "case-0")] == [3, 3, 0]


def test_last_place_counts_months_running_and_nobody_is_last_among_equals() -> None:
    scores = {
        "2025-12": {"a": Decimal(90), "b": Decimal(90)},
        "2026-01": {"a": Decimal(90), "b": Decimal(95)},
        "2026-02": {"a": Decimal(80), "b": Decimal(95)},
    }
    assert last_running(scores, "2026-02") == {"a": 2}
    assert last_running(scores, "2025-12") == {}
    assert last_running(scores, "2026-03") == {}
    assert (shifted("2026-01", -1), shifted("2026-12", 1)) == ("2025-12", "2027-01")


@pytest.mark.parametrize("months", [["2026-09", "2026-10"], ["2026-10", "2026-09"]])
async def test_last_of_the_group_two_frozen_months_running_is_called_to_a_talk(months: list[str]) -> None:
    world, group = World.new(), SAMPLE.group_of(UNIT)
    assert len(group) > 2
    for period in months:
        for unit in group:
            assert await world.rungs() == []
            await world.stands(unit, period, "3" if unit == UNIT else "1", frozen=True)
            await world.tick()
    assert [(each.rung, each.matter) for each in await world.measures()] == [("talk", f"standing:2026-10:{UNIT}")]


async def test_an_unanswered_measure_climbs_the_whole_ladder_one_rung_at_a_time() -> None:
    world = World.new()
    await world.hear(overdue())
    for taken in range(1, len(LADDER.rungs) + 1):
        assert await world.tick(WEEKS) == 1
        assert await world.rungs() == [rung.code for rung in LADDER.rungs[:taken]]
    assert [await world.tick(WEEKS) for _ in range(3)] == [0, 0, 0]
    measures = await world.measures()
    for below, above in pairwise(measures):
        assert above.issued_at >= below.due_at
        assert above.basis == f"{below.name}{below.number}逾期未回复"


async def test_a_lower_trigger_does_nothing_and_a_higher_one_skips_rungs() -> None:
    world = World.new()
    await world.hear(overdue(Level.RED))
    await world.tick()
    await world.hear(overdue(Level.BLUE), rework(1), rework(3))
    await world.tick()
    assert await world.rungs() == ["supervision-orange", "talk"]


async def test_a_reply_stops_the_climb_but_not_a_later_trigger() -> None:
    world = World.new()
    await world.hear(overdue())
    await world.tick()
    measure = await only(world)
    await world.store.run(lambda uow: measures.receive(uow, measure.id, "officer-1"))
    replied = await world.store.run(lambda uow: measures.reply(uow, SAMPLE, measure.id, "已安排清运", "officer-1"))
    assert (replied.state, replied.received_at) == (MeasureState.REPLIED, world.clock.now())
    assert await world.tick(WEEKS) == 0
    await world.hear(rework(2))
    await world.tick()
    assert await world.rungs() == ["reminder", "supervision-orange"]
    with pytest.raises(Refused, match="measure-replied"):
        await world.store.run(lambda uow: measures.reply(uow, SAMPLE, measure.id, "again", "officer-1"))


async def test_who_only_received_it_has_not_answered() -> None:
    world = World.new()
    await world.hear(overdue())
    await world.tick()
    measure = await only(world)
    await world.store.run(lambda uow: measures.receive(uow, measure.id, "officer-1"))
    with pytest.raises(Refused, match="measure-received"):
        await world.store.run(lambda uow: measures.receive(uow, measure.id, "officer-1"))
    await world.tick(WEEKS)
    assert await world.rungs() == ["reminder", "supervision-blue"]


async def test_a_clock_set_back_and_forth_climbs_no_more_than_the_time_says() -> None:
    world = World.new()
    await world.hear(overdue())
    await world.tick()
    await world.tick(-WEEKS)
    assert await world.rungs() == ["reminder"]
    await world.tick(2 * WEEKS)
    assert await world.rungs() == ["reminder", "supervision-blue"]
    await world.tick(-WEEKS)
    await world.tick()
    assert await world.rungs() == ["reminder", "supervision-blue"]


async def test_a_matter_held_back_rests_until_the_day_and_then_has_its_whole_limit() -> None:
    world = World.new()
    await world.hear(overdue())
    await world.tick()
    measure = await only(world)
    until = MONDAY + timedelta(days=10)
    held = await world.store.run(lambda uow: measures.hold(uow, SAMPLE, measure.id, until, "设备待修", OFFICE))
    assert (held.state, held.hold_reason) == (MeasureState.HELD, "设备待修")
    await world.hear(rework(2))
    assert await world.tick(timedelta(days=9)) == 0
    await world.tick(timedelta(days=1))
    assert await world.rungs() == ["reminder", "supervision-orange"]
    reminder, _ = await world.measures()
    assert (reminder.state, reminder.held_until) == (MeasureState.ISSUED, None)
    assert reminder.due_at == SAMPLE.calendar.add(until, Limit.parse("1 working day"))


async def test_holding_back_has_bounds_and_can_be_undone() -> None:
    world = World.new()
    await world.hear(overdue())
    await world.tick()
    measure = await only(world)
    for days in (0, LADDER.hold_days + 1):
        with pytest.raises(Invalid, match="hold-unfit"):
            await measures.hold(
                world.store.unit(), SAMPLE, measure.id, world.clock.now() + timedelta(days=days), "why", OFFICE
            )
    with pytest.raises(Refused, match="matter-not-held"):
        await world.store.run(lambda uow: measures.release(uow, SAMPLE, measure.id, OFFICE))
    until = world.clock.now() + timedelta(days=3)
    await world.store.run(lambda uow: measures.hold(uow, SAMPLE, measure.id, until, "why", OFFICE))
    with pytest.raises(Refused, match="matter-held"):
        await world.store.run(lambda uow: measures.hold(uow, SAMPLE, measure.id, until, "why", OFFICE))
    released = await world.store.run(lambda uow: measures.release(uow, SAMPLE, measure.id, OFFICE))
    assert released.state is MeasureState.ISSUED
    await world.tick(WEEKS)
    with pytest.raises(Refused, match="measure-not-newest"):
        await world.store.run(lambda uow: measures.hold(uow, SAMPLE, measure.id, until, "why", OFFICE))


@pytest.mark.parametrize(
    "ending",
    [
        closed(),
        CaseRejected(case=snapshot()),
        CaseMerged(case=snapshot(merged_into="20261123-OTHER")),
        CaseReturned(case=snapshot(unit=None), returned_by=UNIT),
        CaseDispatched(case=snapshot(unit="chengguan")),
    ],
)
async def test_a_matter_ends_with_its_case(ending: EventModel) -> None:
    world = World.new()
    await world.hear(overdue())
    await world.tick(WEEKS)
    await world.tick(WEEKS)
    await world.hear(ending)
    assert [each.state for each in await world.measures()] == [MeasureState.ENDED] * 2
    assert (await world.matter()).deadline_at is None
    assert await world.tick(WEEKS) == 0
    ended = (await world.measures())[0]
    with pytest.raises(Refused, match="measure-ended"):
        await world.store.run(lambda uow: measures.reply(uow, SAMPLE, ended.id, "late", "officer-1"))
    with pytest.raises(Refused, match="matter-ended"):
        await world.store.run(lambda uow: measures.end(uow, ended.id, "why", OFFICE))


async def test_a_rung_called_for_is_not_issued_when_the_case_closes_first() -> None:
    world = World.new()
    await world.hear(overdue(), closed())
    assert await world.tick() == 0
    assert await world.measures() == []


async def test_dispatched_again_to_the_same_unit_nothing_ends() -> None:
    world = World.new()
    await world.hear(overdue(), CaseDispatched(case=snapshot()))
    await world.tick()
    assert (await only(world)).state is MeasureState.ISSUED


async def test_a_case_reopened_is_a_matter_of_its_own() -> None:
    world = World.new()
    await world.hear(overdue())
    await world.tick()
    await world.hear(closed(), CaseReopened(case=snapshot(reopens=1)), overdue(reopens=1))
    await world.tick()
    assert [(each.matter, each.rung, each.state) for each in await world.measures()] == [
        (f"case:{CASE}:{UNIT}", "reminder", MeasureState.ENDED),
        (f"case:{CASE}:{UNIT}:2", "reminder", MeasureState.ISSUED),
    ]


async def test_what_the_office_ended_no_trigger_begins_again() -> None:
    world = World.new()
    await world.hear(overdue())
    await world.tick()
    measure = await only(world)
    ended = await world.store.run(lambda uow: measures.end(uow, measure.id, "责任不在该单位", OFFICE))
    assert (ended.state, ended.end_reason) == (MeasureState.ENDED, "责任不在该单位")
    await world.hear(overdue(Level.RED), rework(3))
    await world.tick(WEEKS)
    assert await world.rungs() == ["reminder"]


async def test_numbers_run_without_a_gap_per_rung_and_year() -> None:
    world = World.new()
    await world.hear(*(overdue(case=f"20261123-C{number}", category=f"c{number}") for number in range(3)))
    await world.tick()
    world.clock.set(datetime(2026, 12, 31, 16, 0, tzinfo=UTC))
    await world.hear(overdue(case="20270101-D", category="d"))
    await world.tick()
    reminders = [each for each in await world.measures() if each.rung == "reminder"]
    assert sorted(each.number for each in reminders) == [
        "〔2026〕第0001号",
        "〔2026〕第0002号",
        "〔2026〕第0003号",
        "〔2027〕第0001号",
    ]


async def test_the_paper_says_what_it_is_about_and_is_frozen() -> None:
    world = World.new()
    await world.hear(overdue())
    await world.tick()
    measure = await only(world)
    paper = measure.paper
    assert (paper.title, paper.number, paper.issuer) == ("提醒函", "〔2026〕第0001号", "衡阳高新区创建办")
    assert paper.addressee == f"{SAMPLE.name_of(UNIT)}主要负责人、联络员"
    assert paper.link is not None
    assert paper.link.url == f"https://chuangwen.example/cases/{CASE}"
    await world.store.run(lambda uow: measures.reply(uow, SAMPLE, measure.id, "已清运", "officer-1"))
    assert (await only(world)).paper == paper


async def test_each_change_is_told_and_nothing_that_was_written() -> None:
    world = World.new()
    await world.hear(overdue())
    await world.tick()
    measure = await only(world)
    await world.store.run(lambda uow: measures.receive(uow, measure.id, "officer-1"))
    await world.store.run(lambda uow: measures.reply(uow, SAMPLE, measure.id, "SECRET", "officer-1"))
    await world.store.run(lambda uow: measures.end(uow, measure.id, "SECRET", OFFICE))
    rows = await world.store.find(OUTBOX, {"topic": MeasureChanged.TOPIC}, [("sequence", 1)])
    changes = [row.event.data for row in rows]
    assert [change.state.value for change in changes if isinstance(change, MeasureChanged)] == [
        "issued",
        "received",
        "replied",
        "ended",
    ]
    assert not any(b"SECRET" in row.value or b"office-1" in row.value for row in rows)


async def test_heard_twice_is_heard_once() -> None:
    world = World.new()
    events = await world.hear(overdue(), rework(2))
    await world.tick()
    await world.deliver(events)
    await world.tick()
    assert await world.rungs() == ["supervision-orange"]
    assert len(await world.store.find(MEASURES, {})) == 1


def test_a_roll_gives_a_unit_that_has_the_case_again_a_new_matter() -> None:
    roll = CaseMatters("c")
    assert (roll.matter("u"), roll.matter("u"), roll.matter("w")) == ("case:c:u", "case:c:u", "case:c:w")
    assert roll.leave({"u", "x"}) == ["case:c:u"]
    assert roll.matter("u") == "case:c:u:2"


@pytest.mark.parametrize(
    "unfit",
    [
        replace(LADDER, rungs=()),
        replace(LADDER, rungs=(LADDER.rungs[0], LADDER.rungs[0])),
        replace(LADDER, hold_days=0),
        replace(LADDER, rungs=(replace(LADDER.rungs[0], reply_within="2 hours"),)),
        *(
            replace(LADDER, rungs=(replace(LADDER.rungs[0], triggers=(condition,)),))
            for condition in (
                Condition(Trigger.POINTS, Decimal(0)),
                Condition(Trigger.REPEATED, Decimal(3)),
                Condition(Trigger.POINTS, Decimal(3), within_days=3),
                Condition(Trigger.REWORK, Decimal(1), level=Level.BLUE),
            )
        ),
    ],
)
def test_a_ladder_that_makes_no_sense_is_refused(unfit: object) -> None:
    with pytest.raises(Invalid, match="ladder-unfit"):
        checked(unfit)  # type: ignore[arg-type]  # parametrized
