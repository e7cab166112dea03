"""What a batch costs in reads: the same few, however many events are in it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.scoring.app import CHARGING, CLIMBING
from services.scoring.commands.rules import adopt
from shared.contracts.reports import CaseEvent, Level, Stage
from shared.event import Event
from shared.store import Document
from tests.unit.scoring.ladders import SAMPLE, World, closed, overdue

CASES = [f"20261123-{number:010d}" for number in range(40)]


async def reads(world: World, events: list[Event[Any]], monkeypatch: pytest.MonkeyPatch, group: Any) -> list[str]:
    """The collections that were read while a batch was prefetched and handled, each time it was."""
    asked: list[str] = []
    read = world.store._read

    async def counted(collection: str, ids: list[str]) -> list[Document]:
        asked.append(collection)
        return await read(collection, ids)

    with monkeypatch.context() as patched:
        patched.setattr(world.store, "_read", counted)
        uow = world.store.unit()
        await group.prefetch(uow, events, world.resources)
        before = len(asked)
        for event in events:
            await group.handle(uow, event, world.resources)
        assert asked[before:] == [], "handlers find what was prefetched"
    await world.store.commit(uow)
    return asked


def events_of(world: World, *models: CaseEvent) -> list[Event[Any]]:
    return [world.event(model) for model in models]


async def test_a_batch_of_the_ladder_reads_each_collection_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.new()
    late = [overdue(case=case, level=Level.ORANGE) for case in CASES]
    asked = await reads(world, events_of(world, *late), monkeypatch, CLIMBING)
    assert sorted(asked) == ["case-rolls", "matters", "tallies"]
    for _ in range(3):
        await world.tick(timedelta(days=1))
    over = [closed(case=case) for case in CASES]
    asked = await reads(world, events_of(world, *over), monkeypatch, CLIMBING)
    assert sorted(asked) == ["case-rolls", "matters", "measures"]
    assert {measure.ended_by for measure in await world.measures()} >= {"system"}


async def test_a_batch_of_charges_reads_each_collection_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.new()
    await world.store.run(lambda uow: adopt(uow, SAMPLE.rule_book))
    late = [overdue(case=case, stage=Stage.ACKNOWLEDGE) for case in CASES]
    asked = await reads(world, events_of(world, *late), monkeypatch, CHARGING)
    assert sorted(asked) == ["charges", "facts", "rule-books"]
