"""Whatever people write to decide, to ask or to answer shows all that it says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from services.scoring.commands import appeals, measures, proposals, results, rules
from services.scoring.domain.grounds import Grounds
from services.scoring.domain.proposals import ByHand
from services.scoring.domain.results import Mark
from services.scoring.domain.rules import Rule, Table
from shared.contracts.scoring import FactKind
from shared.district.names import Name
from shared.errors import Invalid
from shared.own_cause import Person
from shared.store import UnitOfWork
from tests.unit.scoring import ladders
from tests.unit.scoring.decisions import LI, MONDAY, SAMPLE, UNIT, WANG, ZHANG, World

Asked = Callable[[UnitOfWork], Awaitable[object]]
ENTRY = ByHand(FactKind.MANUAL, MONDAY, Decimal(2))
DEARER = Rule("rework", 0, "2027-01-01", FactKind.REWORK, Table(Decimal(9)))


async def decided(text: str) -> list[tuple[World, Asked]]:
    """What can be asked or decided about a row and a proposal, with this text."""
    world = await World.new()
    await world.happen("f1")
    made, _ = await world.store.run(lambda uow: proposals.propose_entry(uow, UNIT, ENTRY, Grounds("扣"), ZHANG))
    appeal = await world.store.run(lambda uow: appeals.submit(uow, SAMPLE.appeals, UNIT, 1, Grounds("不属实"), WANG))
    mark = Mark("field", Decimal("0.9"), text, MONDAY, "")
    written = Rule("rework", 0, "2027-01-01", FactKind.REWORK, Table(Decimal(9)), name=Name(text))
    asked: list[Asked] = [
        lambda uow: proposals.propose_entry(uow, UNIT, ENTRY, Grounds(text), ZHANG),
        lambda uow: proposals.propose_entry(uow, UNIT, ENTRY, Grounds("扣", text), ZHANG),
        lambda uow: proposals.propose_entry(uow, UNIT, ENTRY, Grounds("扣", "", [text]), ZHANG),
        lambda uow: proposals.approve(uow, made.id, LI, text),
        lambda uow: proposals.refuse(uow, made.id, LI, text),
        lambda uow: appeals.uphold(uow, appeal.id, LI, text),
        lambda uow: appeals.reject(uow, appeal.id, LI, text),
        lambda uow: results.record(uow, SAMPLE.formula, "annual", "2026", UNIT, mark, LI),
        lambda uow: rules.draft(uow, 1, text, [DEARER], "zhang"),
        lambda uow: rules.draft(uow, 1, "为什么", [written], "zhang"),
    ]
    return [(world, each) for each in asked]


@pytest.mark.parametrize("hidden", ["\x00", "\u202e", "\ud800", "<b>"])
async def test_no_decision_hides_anything(hidden: str) -> None:
    for world, asked in await decided(f"经复核{hidden}属实"):
        with pytest.raises(Invalid, match=r"text-has-(markup|control-characters)"):
            await world.store.run(asked)


@pytest.mark.parametrize("hidden", ["\x00", "\u202e", "<b>"])
async def test_no_answer_to_a_measure_hides_anything(hidden: str) -> None:
    world = ladders.World.new()
    await world.hear(ladders.overdue())
    await world.tick()
    [measure] = await world.measures()
    text, until, office = f"已{hidden}清运", world.clock.now() + timedelta(days=3), Person("office")
    for asked in (
        lambda uow: measures.reply(uow, SAMPLE, measure.id, text, "officer-1"),
        lambda uow: measures.hold(uow, SAMPLE, measure.id, until, text, office),
        lambda uow: measures.end(uow, measure.id, text, office),
    ):
        with pytest.raises(Invalid, match=r"text-has-(markup|control-characters)"):
            await world.store.run(asked)
