"""Entries by hand and corrections: two persons, one decision, and what it costs or takes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from services.scoring.commands import appeals
from services.scoring.commands import proposals as commands
from services.scoring.domain.grounds import Grounds
from services.scoring.domain.proposals import BASIS, ByHand, Proposal, ProposalState, proposal_of
from services.scoring.repo import FACTS, PROPOSALS
from shared.contracts.scoring import FactKind
from shared.errors import Forbidden, Invalid, NotFound, Refused
from shared.own_cause import Person
from tests.unit.scoring.decisions import LI, MONDAY, TERMS, UNIT, WANG, ZHANG, World

DEDUCTION = ByHand(FactKind.MANUAL, MONDAY, Decimal(2))


async def proposed(world: World, entry: ByHand = DEDUCTION, by: Person = ZHANG) -> Proposal:
    made, _ = await world.store.run(
        lambda uow: commands.propose_entry(uow, UNIT, entry, Grounds("为什么", "见记录", []), by)
    )
    return made


async def corrected(world: World, number: int = 1, by: Person = ZHANG) -> Proposal:
    return await world.store.run(lambda uow: commands.propose_correction(uow, UNIT, number, Grounds("记错"), by))


async def approved(world: World, id: str, by: Person = LI) -> Proposal:
    made = await world.store.run(lambda uow: commands.approve(uow, id, by, "同意"))
    await world.settle()
    return made


async def test_an_entry_costs_nothing_until_a_second_person_approves() -> None:
    world = await World.new()
    made = await proposed(world)
    await world.settle()
    assert await world.rows() == []
    with pytest.raises(Forbidden, match="second-person-required"):
        await approved(world, made.id, ZHANG)
    assert await world.lost() == {}
    settled = await approved(world, made.id)
    [row] = await world.rows()
    assert (row.points, row.basis, row.rule, row.kind) == (Decimal(2), made.basis, "manual", FactKind.MANUAL)
    assert (settled.state, settled.proposed_by, settled.decided_by) == (ProposalState.APPROVED, "zhang", "li")
    fact = await world.store.get(FACTS, made.basis)
    assert fact is not None
    assert (fact.unit, fact.at_stake, fact.happened_at) == (UNIT, Decimal(2), MONDAY)
    assert proposal_of(row.basis) == made.id
    assert proposal_of("reports.case/C-1/2") is None
    assert made.basis.startswith(BASIS)


async def refused(world: World, id: str, by: Person = LI) -> Proposal:
    return await world.store.run(lambda uow: commands.refuse(uow, id, by, "不实"))


async def withdrawn(world: World, id: str, by: Person = ZHANG) -> Proposal:
    return await world.store.run(lambda uow: commands.withdraw(uow, id, by))


@pytest.mark.parametrize("settle", [approved, refused, withdrawn])
async def test_what_is_settled_is_settled(settle: Callable[[World, str], Awaitable[Proposal]]) -> None:
    world = await World.new()
    made = await proposed(world)
    await settle(world, made.id)
    before = await world.rows()
    for again in (approved, refused, withdrawn):
        with pytest.raises(Refused, match="proposal-settled"):
            await again(world, made.id)
    await world.settle(again=True)
    assert await world.rows() == before
    assert len(before) == (1 if settle is approved else 0)


async def test_only_who_proposed_it_withdraws() -> None:
    world = await World.new()
    made = await proposed(world)
    with pytest.raises(Forbidden, match="proposal-of-another"):
        await withdrawn(world, made.id, LI)
    await withdrawn(world, made.id)
    kept = await world.store.get(PROPOSALS, made.id)
    assert kept is not None
    assert (kept.state, kept.decided_by) == (ProposalState.WITHDRAWN, None)


async def test_bonuses_come_to_no_more_than_the_cap_of_their_rule() -> None:
    """In the sample, five points a month."""
    world = await World.new()
    for _ in range(2):
        await approved(world, (await proposed(world, ByHand(FactKind.BONUS, MONDAY, Decimal(3)))).id)
    assert [row.points for row in await world.rows()] == [-3, -2]
    assert await world.lost() == {"2026-11": Decimal(-5)}


async def test_what_it_will_cost_is_told_beforehand() -> None:
    world = await World.new()
    false_reply = ByHand(FactKind.FALSE_REPLY, MONDAY, case="20261103-ABCDEFGHJK")
    _, charges = await world.store.run(
        lambda uow: commands.propose_entry(uow, UNIT, false_reply, Grounds("虚假整改"), ZHANG)
    )
    assert [(charge.rule, charge.points) for charge in charges] == [("false-reply", Decimal(3))]


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (ByHand(FactKind.MANUAL, MONDAY), "proposal-costs-nothing"),
        (ByHand(FactKind.MANUAL, MONDAY.replace(year=2025), Decimal(1)), "proposal-costs-nothing"),
        (ByHand(FactKind.MANUAL, MONDAY + timedelta(minutes=1), Decimal(1)), "happened-in-future"),
        (ByHand(FactKind.FALSE_REPLY, MONDAY), "proposal-case-missing"),
        (ByHand(FactKind.FALSE_REPLY, MONDAY, Decimal(1), case="C-1"), "proposal-points-unused"),
    ],
)
async def test_an_entry_that_makes_no_sense_is_refused_at_once(entry: ByHand, code: str) -> None:
    world = await World.new()
    with pytest.raises(Invalid, match=code):
        await proposed(world, entry)
    assert await world.store.count(PROPOSALS, {}) == 0


async def test_a_correction_takes_a_row_back_when_a_second_person_approves() -> None:
    world = await World.new()
    await world.happen("f1")
    before = await world.lost()
    await world.happen("f2", FactKind.REOPENED)
    made = await corrected(world, 2)
    assert len(await world.rows()) == 2
    await approved(world, made.id)
    row = (await world.rows())[-1]
    assert (row.reverses, row.basis, await world.lost()) == (2, made.basis, before)


async def test_what_cannot_be_taken_back_is_refused_by_name() -> None:
    world = await World.new()
    await world.happen("f1")
    with pytest.raises(NotFound, match="entries-not-found"):
        await corrected(world, 2)
    made = await corrected(world)
    with pytest.raises(Refused, match="correction-pending"):
        await corrected(world)
    await world.store.run(lambda uow: commands.approve(uow, made.id, LI, ""))
    with pytest.raises(Refused, match="entry-taken-back"):
        await corrected(world)
    await world.settle()
    with pytest.raises(Refused, match="entry-taken-back"):
        await corrected(world)
    with pytest.raises(Refused, match="entry-is-correction"):
        await corrected(world, 2)


@pytest.mark.parametrize("settle", [refused, withdrawn])
async def test_a_correction_that_comes_to_nothing_leaves_the_row_free(
    settle: Callable[[World, str], Awaitable[Proposal]],
) -> None:
    world = await World.new()
    await world.happen("f1")
    made = await corrected(world)
    await settle(world, made.id)
    await approved(world, (await corrected(world)).id)
    assert await world.lost() == {}


async def test_while_a_unit_appeals_nobody_corrects_and_then_only_what_stands() -> None:
    world = await World.new()
    await world.happen("f1")
    early = await corrected(world)
    appeal = await world.store.run(lambda uow: appeals.submit(uow, TERMS, UNIT, 1, Grounds("道路封闭"), WANG))
    with pytest.raises(Refused, match="appeal-pending"):
        await approved(world, early.id)
    await world.store.run(lambda uow: appeals.reject(uow, appeal.id, LI, "不成立"))
    await approved(world, early.id)
    assert [row.reverses for row in await world.rows()] == [None, 1]
