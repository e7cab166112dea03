"""From an overdue case to a charge, and from charges to the ledger and the standing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest

from deploy.local.stack import DISTRICT
from services.scoring.app import POSTING, SERVICE
from services.scoring.commands.rules import adopt
from services.scoring.district import District
from services.scoring.domain.ledger import find_flaw
from services.scoring.domain.rules import Rule, RuleBook, Table
from services.scoring.handlers.facts import on_fact
from services.scoring.repo import CHARGES, CURRENT, ENTRIES, LEDGERS, STANDINGS
from shared.clock import FixedClock
from shared.contracts.reports import CaseOverdue, CaseSnapshot, CaseState, Channel, Level, Place, Stage
from shared.contracts.scoring import ChargeMade, EntryPosted, FactKind, StandingChanged
from shared.event import Event
from shared.store import Store
from shared.testing.memory_store import MemoryDriver

SAMPLE = District.load(DISTRICT).rule_book
SAMPLE_COSTS = {
    (Stage.RECTIFY, Level.BLUE): ["0.5"],
    (Stage.RECTIFY, Level.ORANGE): ["0.5"],
    (Stage.RECTIFY, Level.RED): ["1.0"],
    (Stage.ACKNOWLEDGE, Level.BLUE): ["0.1"],
}
"""Of a case with half a point at stake."""
NOON = datetime(2026, 11, 3, 4, 0, tzinfo=UTC)


def a_store() -> Store:
    clock = FixedClock(NOON)
    return Store(MemoryDriver(clock), clock, SERVICE.collections)


def overdue(
    unit: str | None = "huanwei",
    case: str = "20261103-ABCDEFGHJK",
    sequence: int = 2,
    stage: Stage = Stage.RECTIFY,
    level: Level = Level.BLUE,
    reached_at: datetime | None = None,
) -> Event:
    snapshot = CaseSnapshot(
        case=case,
        state=CaseState.DISPATCHED,
        channel=Channel.CITIZEN,
        category="exposed-rubbish",
        category_version=1,
        place=Place(longitude=112.6, latitude=26.89, community="430476001007"),
        unit=unit,
        points=Decimal("0.5"),
        registered_at=NOON - timedelta(hours=5),
        overdue_at=NOON - timedelta(minutes=1),
    )
    found = CaseOverdue(case=snapshot, stage=stage, level=level, reached_at=reached_at)
    return Event.new(found, case, sequence, NOON)


def of_stake(share: str) -> Table:
    return Table(Decimal(share), of_stake=True)


async def with_rules(*rules: Rule) -> Store:
    store = a_store()
    await store.run(lambda uow: adopt(uow, RuleBook(CURRENT, 1, list(rules))))
    return store


LIMIT_RAN_OUT = {"stage": (Stage.RECTIFY.value,), "level": (Level.BLUE.value,)}
RULE = Rule("case-overdue", 3, "2026-01-01", FactKind.OVERDUE, of_stake("1.5"), LIMIT_RAN_OUT)


async def test_an_overdue_case_charges_its_unit_by_the_rule_in_force() -> None:
    uow = (await with_rules(RULE)).unit()
    await on_fact(uow, overdue(), None)
    [event] = uow.events
    assert (event.topic, event.key, event.subject) == ("scoring.charge", "huanwei", "20261103-ABCDEFGHJK:huanwei")
    charge = event.data
    assert isinstance(charge, ChargeMade)
    assert (charge.points, charge.rule_version, charge.basis) == (
        Decimal("0.75"),
        3,
        "reports.case/20261103-ABCDEFGHJK/2",
    )
    assert charge.happened_at == NOON - timedelta(minutes=1)


@pytest.mark.parametrize(("stage", "level"), [*product(Stage, Level)])
async def test_by_the_rules_of_the_sample_what_a_unit_is_late_with_costs(stage: Stage, level: Level) -> None:
    uow = (await with_rules(*SAMPLE.rules)).unit()
    await on_fact(uow, overdue(stage=stage, level=level), None)
    charged = [event.data.points for event in uow.events if isinstance(event.data, ChargeMade)]
    assert charged == [Decimal(points) for points in SAMPLE_COSTS.get((stage, level), ())]


async def test_an_event_from_before_there_were_stages_and_levels_is_charged_as_it_was() -> None:
    uow = (await with_rules(RULE)).unit()
    found = json.loads(overdue().value)
    for name in ("stage", "level", "due_at", "reached_at", "elapsed_minutes"):
        del found[name]
    await on_fact(uow, replace(overdue(), value=json.dumps(found).encode()), None)
    assert len(uow.events) == 1


async def test_a_rule_may_be_about_another_stage_or_level() -> None:
    rules = [
        replace(RULE, code="acknowledged-late", match={"stage": ("acknowledge",), "level": ("blue",)}),
        replace(RULE, code="last-warning", match={"stage": ("rectify",), "level": ("red",)}, table=of_stake("2")),
    ]
    store = await with_rules(*rules)
    charged = {}
    for stage, level in product((Stage.ACKNOWLEDGE, Stage.RECTIFY), (Level.BLUE, Level.RED)):
        uow = store.unit()
        await on_fact(uow, overdue(stage=stage, level=level), None)
        charged[stage, level] = [event.data.rule for event in uow.events if isinstance(event.data, ChargeMade)]
    assert charged == {
        (Stage.ACKNOWLEDGE, Level.BLUE): ["acknowledged-late"],
        (Stage.ACKNOWLEDGE, Level.RED): [],
        (Stage.RECTIFY, Level.BLUE): [],
        (Stage.RECTIFY, Level.RED): ["last-warning"],
    }


async def test_points_are_lost_in_the_month_in_which_the_level_was_reached() -> None:
    uow = (await with_rules(RULE)).unit()
    october = NOON - timedelta(days=4)
    await on_fact(uow, overdue(reached_at=october), None)
    [event] = uow.events
    assert isinstance(event.data, ChargeMade)
    assert event.data.happened_at == october


async def test_a_case_overdue_again_is_charged_again_as_the_next_event_of_the_same_aggregate() -> None:
    store = await with_rules(RULE)
    for sequence in (2, 5):
        uow = store.unit()
        await on_fact(uow, overdue(sequence=sequence), None)
        assert [event.sequence for event in uow.events] == [1 if sequence == 2 else 2]
        await store.commit(uow)
    charges = await store.get(CHARGES, "20261103-ABCDEFGHJK:huanwei")
    assert charges is not None
    assert charges.times == 2


async def test_nobody_is_charged_without_a_unit_or_a_rule() -> None:
    uow = (await with_rules(RULE)).unit()
    await on_fact(uow, overdue(unit=None), None)
    assert uow.events == []
    uow = (await with_rules()).unit()
    await on_fact(uow, overdue(), None)
    assert uow.events == []


async def test_charges_become_chained_entries_and_one_standing() -> None:
    store = await with_rules(RULE)
    uow = store.unit()
    for number in range(1, 4):
        await on_fact(uow, overdue(case=f"c{number}"), None)
    charges = list(uow.events)
    await store.commit(uow)
    uow = store.unit()
    for event in charges:
        await POSTING.handle(uow, event, None)
    await store.commit(uow)

    entries = await store.find(ENTRIES, {"unit": "huanwei"}, [("number", 1)])
    ledger = await store.get(LEDGERS, "huanwei")
    standing = await store.get(STANDINGS, "huanwei:2026-11")
    assert ledger is not None
    assert standing is not None
    assert find_flaw("huanwei", entries, ledger.head) is None
    assert (standing.points_lost, standing.score, standing.entries) == (Decimal("2.25"), Decimal("97.75"), 3)
    events = [event.data for event in uow.events]
    assert [data.number for data in events if isinstance(data, EntryPosted)] == [1, 2, 3]
    [last] = [data for data in events if isinstance(data, StandingChanged)]
    assert (last.entries, last.head) == (3, ledger.head)


async def test_posting_takes_its_times_from_the_event_so_that_a_rebuild_gives_the_same_rows() -> None:
    store = await with_rules(RULE)
    uow = store.unit()
    await on_fact(uow, overdue(), None)
    [charge] = uow.events
    hashes = []
    for delay in (0, 3600):
        clock = FixedClock(NOON + timedelta(seconds=delay))
        again = Store(MemoryDriver(clock), clock).unit()
        await POSTING.handle(again, charge, None)
        hashes.append([event.data.hash for event in again.events if isinstance(event.data, EntryPosted)])
    assert hashes[0] == hashes[1]
