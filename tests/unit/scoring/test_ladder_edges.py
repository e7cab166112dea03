"""The measures where cases come from many partitions, are split, and the office takes a rung out of its file."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest

from services.scoring.commands import measures
from services.scoring.handlers.measures import load_measures
from shared.consumer import PARKED
from shared.contracts.reports import CaseReplied, CaseSplit, Level, Stage
from shared.contracts.scoring import MeasureState
from shared.event import Undecodable
from shared.store import OUTBOX
from tests.unit.scoring.ladders import MONDAY, SAMPLE, World, overdue, rework, snapshot


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_repeats_are_found_in_whatever_order_the_partitions_tell_them(order: tuple[int, ...]) -> None:
    world = World.new()
    cases = [
        overdue(case=f"20261123-R{number}").model_copy(update={"reached_at": MONDAY - timedelta(hours=5 - number)})
        for number in range(5)
    ]
    await world.hear(cases[0], cases[1], *(cases[2 + place] for place in order))
    await world.tick()
    repeats = [each.rung for each in await world.measures() if each.matter.startswith("repeat:")]
    assert repeats == ["supervision-orange"]


async def test_the_same_cases_are_no_second_repeat_when_one_of_them_is_later_still() -> None:
    world = World.new()
    await world.hear(*(overdue(case=f"20261123-R{number}") for number in range(5)))
    await world.tick(timedelta(days=9))
    await world.hear(overdue(Level.ORANGE, case="20261123-R0"))
    await world.tick()
    repeats = {each.matter for each in await world.measures() if each.matter.startswith("repeat:")}
    assert repeats == {"repeat:exposed-rubbish:huanwei:2026-11"}


async def test_cases_too_far_apart_are_no_repeat() -> None:
    world = World.new()
    for number in range(5):
        await world.hear(overdue(case=f"20261123-F{number}"))
        await world.tick(timedelta(days=8))
    assert not [each for each in await world.measures() if each.matter.startswith("repeat:")]


async def test_a_case_that_is_split_is_its_former_units_no_more() -> None:
    world = World.new()
    await world.hear(overdue())
    await world.tick()
    await world.hear(CaseSplit(case=snapshot(unit=None, supporting=("a", "b"))))
    assert [each.state for each in await world.measures()] == [MeasureState.ENDED]
    assert await world.tick(timedelta(days=14)) == 0


async def test_a_rung_called_for_that_the_file_has_no_more_keeps_no_clock_busy() -> None:
    world = World.new()
    await world.hear(overdue())
    shorter = replace(SAMPLE.ladder, rungs=SAMPLE.ladder.rungs[1:])
    world.resources.district = replace(SAMPLE, ladder=shorter)
    await world.tick()
    assert [await world.tick() for _ in range(3)] == [0, 0, 0]
    assert await world.measures() == []


@pytest.mark.parametrize(("points", "rung"), [("1.9", "reminder"), ("2", "supervision-blue")])
async def test_a_matter_of_importance_starts_higher(points: str, rung: str) -> None:
    world = World.new()
    await world.hear(overdue(points=Decimal(points)), overdue(stage=Stage.ACKNOWLEDGE, points=Decimal(points)))
    await world.tick()
    assert await world.rungs() == [rung]


async def test_who_signed_for_a_paper_and_who_replied_is_kept_and_not_told_by_events() -> None:
    world = World.new()
    await world.hear(overdue())
    await world.tick()
    [measure] = await world.measures()
    await world.store.run(lambda uow: measures.receive(uow, measure.id, "liaison-7"))
    world.clock.advance(timedelta(hours=1))
    await world.store.run(lambda uow: measures.reply(uow, SAMPLE, measure.id, "已清运", "officer-3"))
    [kept] = await world.measures()
    assert (kept.received_by, kept.received_at) == ("liaison-7", MONDAY)
    assert (kept.replied_by, kept.replied_at) == ("officer-3", MONDAY + timedelta(hours=1))
    found = b"".join(row.value for row in await world.store.find(OUTBOX, {}))
    assert b"liaison-7" not in found
    assert b"officer-3" not in found


async def test_only_a_measure_that_nobody_answered_is_marked_as_climbed() -> None:
    world = World.new()
    await world.hear(overdue())
    await world.tick()
    await world.hear(rework(2))
    await world.tick()
    await world.tick(timedelta(days=14))
    assert [(each.rung, each.climbed_at is not None) for each in await world.measures()] == [
        ("reminder", False),
        ("supervision-orange", True),
        ("supervision-red", False),
    ]


async def test_events_that_concern_no_ladder_are_not_even_read() -> None:
    world = World.new()
    unreadable = replace(world.event(CaseReplied(case=snapshot())), value=b"{")
    await load_measures(world.store.unit(), [unreadable], world.resources)
    await world.deliver([unreadable])
    assert await world.store.find(PARKED, {}) == []
    with pytest.raises(Undecodable):
        await load_measures(world.store.unit(), [replace(world.event(overdue()), value=b"{")], world.resources)


async def test_where_the_calendar_ends_papers_are_issued_all_the_same() -> None:
    world = World.new()
    world.clock.set(datetime(2029, 12, 28, 2, tzinfo=UTC))
    await world.hear(overdue())
    assert await world.tick() == 1
    [measure] = await world.measures()
    assert measure.due_at > measure.issued_at
    assert (await world.matter()).deadline_at == measure.due_at
