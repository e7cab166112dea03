"""Who may do what in scoring, and that nobody decides in their own cause, whichever roles their token bears."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from fastapi.routing import APIRoute
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scoring.app import SERVICE
from services.scoring.commands import (
    appeals,
    lists,
    measurements,
    measures,
    negative,
    periods,
    proposals,
    responsibility,
    results,
    rules,
    schemes,
)
from services.scoring.domain.acts import DECISIONS, ROLES, Act, decide
from services.scoring.domain.facts import Fact
from services.scoring.domain.grounds import Grounds
from services.scoring.domain.lists import Content, Item
from services.scoring.domain.marking import Measured
from services.scoring.domain.proposals import ByHand
from services.scoring.domain.responsibility import Duty, Scope
from services.scoring.domain.results import Mark
from services.scoring.domain.rules import Rule, Table
from services.scoring.domain.schemes import SchemeContent
from services.scoring.repo import FACTS
from shared.auth import Access, Principal, declared_access
from shared.contracts.scoring import FactKind, ListKind
from shared.errors import Forbidden
from shared.own_cause import Decider, Person
from shared.roles import Role
from shared.store import UnitOfWork
from tests.unit.scoring import ladders, months
from tests.unit.scoring.decisions import MONDAY, SAMPLE, UNIT, World
from tests.unit.scoring.schemes import KNOWN, a_tree

ASKED = "zhang"
"""Who had a part in whatever is to be decided on."""
CHIEF = Person("chief")
Command = Callable[[UnitOfWork, Decider], Awaitable[object]]
Run = Callable[[Callable[[UnitOfWork], Awaitable[object]]], Awaitable[object]]
Prepared = tuple[Run, Command]


async def an_appeal(act: Act) -> Prepared:
    world = await World.new()
    await world.happen("f1")
    by = Person(ASKED, UNIT)
    made = await world.store.run(lambda uow: appeals.submit(uow, SAMPLE.appeals, UNIT, 1, Grounds("不属实"), by))
    command = appeals.uphold if act is Act.UPHOLD_APPEAL else appeals.reject
    return world.store.run, lambda uow, who: command(uow, made.id, who, "是")


async def a_proposal(act: Act) -> Prepared:
    world = await World.new()
    entry = ByHand(FactKind.MANUAL, MONDAY, Decimal(2))
    made, _ = await world.store.run(lambda uow: proposals.propose_entry(uow, UNIT, entry, Grounds("扣"), Person(ASKED)))
    command = proposals.approve if act is Act.APPROVE_PROPOSAL else proposals.refuse
    return world.store.run, lambda uow, who: command(uow, made.id, who, "是")


async def a_rule_draft(_: Act) -> Prepared:
    world = await World.new()
    dearer = Rule("rework", 0, "2027-01-01", FactKind.REWORK, Table(Decimal(9)))
    made = await world.store.run(lambda uow: rules.draft(uow, 1, "why", [dearer], ASKED))
    return world.store.run, lambda uow, who: rules.put_to_use(uow, made.id, 1, who)


async def a_month(_: Act) -> Prepared:
    world = await months.Months().begin()
    await world.charge("huaxing", "1")
    world.clock.advance(timedelta(days=40))
    await world.freeze("2026-10")
    await world.store.run(lambda uow: periods.propose(uow, world.store, "2026-10", ASKED))
    groups, signer = months.GROUPS, months.SIGNER
    return world.store.run, lambda uow, who: periods.publish(uow, world.store, "2026-10", groups, signer, who)


async def a_result(_: Act) -> Prepared:
    world = await World.new()
    mark = Mark("field", Decimal("0.9"), "示例", MONDAY, "")
    return world.store.run, lambda uow, who: results.record(uow, SAMPLE.formula, "annual", "2026", UNIT, mark, who)


async def a_list(act: Act) -> Prepared:
    world = await World.new()
    content = Content(ListKind.RED, "2026-11", "first", (Item("整改及时。", unit=UNIT),))
    made = await world.store.run(lambda uow: lists.draft(uow, SAMPLE.lists, content, ASKED))
    if act is Act.APPROVE_LIST:
        return world.store.run, lambda uow, who: lists.approve(uow, made.id, 1, who)
    await world.store.run(lambda uow: lists.approve(uow, made.id, 1, CHIEF))
    if act is Act.PUBLISH_LIST:
        return world.store.run, lambda uow, who: lists.publish(uow, SAMPLE, made.id, None, who)
    return world.store.run, lambda uow, who: lists.withdraw(uow, made.id, "不属实", who)


async def a_measure(act: Act) -> Prepared:
    world = ladders.World.new()
    await world.hear(ladders.overdue())
    await world.tick()
    [measure] = await world.measures()
    run, until = world.store.run, world.clock.now() + timedelta(days=3)
    await run(lambda uow: measures.receive(uow, measure.id, ASKED))
    if act is Act.HOLD_MEASURE:
        return run, lambda uow, who: measures.hold(uow, SAMPLE, measure.id, until, "设备待修", who)
    if act is Act.END_MEASURE:
        return run, lambda uow, who: measures.end(uow, measure.id, "责任不在该单位", who)
    await run(lambda uow: measures.hold(uow, SAMPLE, measure.id, until, "设备待修", CHIEF))
    return run, lambda uow, who: measures.release(uow, SAMPLE, measure.id, who)


async def a_scheme(act: Act) -> Prepared:
    world = await World.new()
    content = SchemeContent("2027年测评体系", "", a_tree())
    run = world.store.run
    await run(lambda uow: schemes.draft(uow, KNOWN, content, ASKED))
    if act is Act.PUBLISH_SCHEME:
        return run, lambda uow, who: schemes.publish(uow, KNOWN, 1, 1, "2027-01-01", who)
    await run(lambda uow: schemes.publish(uow, KNOWN, 1, 1, "2027-01-01", CHIEF))
    return run, lambda uow, who: schemes.retire(uow, 1, who)


async def a_measurement(_: Act) -> Prepared:
    world = await World.new()
    edition = replace(SAMPLE.edition, effective_from="2026-01-01")
    await world.store.run(lambda uow: schemes.adopt_edition(uow, edition))
    found = Measured(count=1, found=None, target=None, ratio=None)
    about = (UNIT, "示例-环境-01-1", found, MONDAY, "")
    return world.store.run, lambda uow, who: measurements.measure(uow, SAMPLE.units, *about, who)


async def a_responsibility(_: Act) -> Prepared:
    world = await World.new()
    change = (Scope.INDICATOR, "示例-环境-01", Duty("yuanlin", (UNIT,)), "2026-10-01", 0, "自即日起")
    return world.store.run, lambda uow, who: responsibility.change(uow, SAMPLE.units, *change, who)


async def an_unassigned_fact(_: Act) -> Prepared:
    world = await World.new()
    fact = Fact("visit/1", FactKind.FINDING, "", "v1", MONDAY, MONDAY)

    async def keep(uow: UnitOfWork) -> None:
        uow.insert(FACTS, fact)

    await world.store.run(keep)
    return world.store.run, lambda uow, who: responsibility.lay(uow, SAMPLE.units, fact.id, UNIT, "现场确认", who)


async def a_negative_event(act: Act) -> Prepared:
    world = await World.new()
    run = world.store.run
    await run(lambda uow: negative.adopt(uow, SAMPLE.negative_list))
    event = await run(
        lambda uow: negative.report(uow, SAMPLE.units, "G15", UNIT, MONDAY - timedelta(days=1), "事故", [], ASKED)
    )
    if act is Act.CONFIRM_EVENT:
        return run, lambda uow, who: negative.confirm(uow, event.id, "经认定", who)
    return run, lambda uow, who: negative.clear(uow, world.store, event.id, "经认定", who)


PREPARED: dict[Act, Callable[[Act], Awaitable[Prepared]]] = {
    Act.UPHOLD_APPEAL: an_appeal,
    Act.REJECT_APPEAL: an_appeal,
    Act.APPROVE_PROPOSAL: a_proposal,
    Act.REFUSE_PROPOSAL: a_proposal,
    Act.USE_RULES: a_rule_draft,
    Act.PUBLISH_MONTH: a_month,
    Act.RECORD_RESULT: a_result,
    Act.APPROVE_LIST: a_list,
    Act.PUBLISH_LIST: a_list,
    Act.WITHDRAW_LIST: a_list,
    Act.HOLD_MEASURE: a_measure,
    Act.RELEASE_MEASURE: a_measure,
    Act.END_MEASURE: a_measure,
    Act.PUBLISH_SCHEME: a_scheme,
    Act.RETIRE_SCHEME: a_scheme,
    Act.RECORD_MEASUREMENT: a_measurement,
    Act.CHANGE_RESPONSIBILITY: a_responsibility,
    Act.LAY_FACT: an_unassigned_fact,
    Act.CONFIRM_EVENT: a_negative_event,
    Act.CLEAR_EVENT: a_negative_event,
}
EVERY_UNIT = {Act.USE_RULES, Act.PUBLISH_SCHEME, Act.RETIRE_SCHEME}
NO_UNIT = {Act.PUBLISH_MONTH}
TWO_PEOPLE = {
    *(Act.UPHOLD_APPEAL, Act.REJECT_APPEAL, Act.APPROVE_PROPOSAL, Act.REFUSE_PROPOSAL, Act.USE_RULES),
    *(Act.PUBLISH_MONTH, Act.APPROVE_LIST, Act.HOLD_MEASURE, Act.RELEASE_MEASURE, Act.END_MEASURE),
    *(Act.PUBLISH_SCHEME, Act.CONFIRM_EVENT),
}
UNITS = st.sampled_from([None, UNIT, "gongan"])
SUBJECTS = st.sampled_from([ASKED, "li"])
SOME_ROLES = st.frozensets(st.sampled_from(Role), max_size=3)


def involved(act: Act, caller: Principal) -> bool:
    """Said once more, by hand."""
    of_unit = caller.unit is not None and (act in EVERY_UNIT or (act not in NO_UNIT and caller.unit == UNIT))
    return of_unit or (act in TWO_PEOPLE and caller.subject == ASKED)


def declared() -> dict[str, list[Access]]:
    """What the routes say about who may give each command."""
    found: dict[str, list[Access]] = {}
    for router in SERVICE.routers:
        for route in router.routes:
            if isinstance(route, APIRoute) and (access := declared_access(route.dependant)) is not None:
                found.setdefault(access.act, []).append(access)
    return found


def test_every_act_is_somebodys_and_has_a_route() -> None:
    assert set(ROLES) == set(Act)
    assert all(ROLES.values())
    assert {*declared()} - {""} == {act.value for act in Act}
    assert set(PREPARED) == DECISIONS


@pytest.mark.parametrize("act", sorted(DECISIONS))
def test_nobody_decides_in_their_own_cause(act: Act) -> None:
    [access] = declared()[act]
    assert access.impartial

    @settings(max_examples=15, deadline=None)
    @given(SUBJECTS, UNITS, SOME_ROLES, st.sampled_from(sorted(access.roles)))
    def decided(subject: str, unit: str | None, others: frozenset[Role], admitted: Role) -> None:
        caller = Principal(subject, others | {admitted}, unit)

        async def attempt() -> None:
            run, command = await PREPARED[act](act)
            await run(lambda uow: command(uow, caller))

        if involved(act, caller):
            with pytest.raises(Forbidden, match=r"second-person-required|decision-on-own-unit"):
                asyncio.run(attempt())
        else:
            asyncio.run(attempt())

    decided()


def test_what_the_table_does_not_call_a_decision_is_not_decided() -> None:
    with pytest.raises(AssertionError):
        decide(Act.READ_LEDGER, CHIEF)
