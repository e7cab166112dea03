"""The second stage as a worker runs it: charges, reversals and frozen months, in batches of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from services.scoring.app import POSTING, SERVICE
from services.scoring.commands.rules import adopt, record, tell_ledger
from services.scoring.domain.facts import Fact
from services.scoring.domain.ledger import Entry, Ledger, Standing, find_flaw, standing_id
from services.scoring.domain.rules import Rule, RuleBook, Table
from services.scoring.repo import CURRENT, ENTRIES, FACTS, LEDGERS, REVERSALS, STANDINGS
from shared.clock import FixedClock
from shared.consumer import MARKS, PARKED, Inbox, on
from shared.contracts.event_model import EventModel
from shared.contracts.scoring import ChargeMade, EntryPosted, FactKind, StandingChanged
from shared.dlq import Choice, DeadLetters
from shared.errors import Refused
from shared.event import Event
from shared.store import OUTBOX, Collection, Store, UnitOfWork
from shared.testing.memory_store import MemoryDriver
from tests.engine import records
from tests.unit.scoring.ledgers import LATER, NOVEMBER, UNIT, charge, freezing, reversal

DECEMBER = datetime(2026, 12, 3, 4, 0, tzinfo=UTC)


def a_store() -> Store:
    clock = FixedClock(LATER)
    return Store(MemoryDriver(clock), clock, [*SERVICE.collections, MARKS, PARKED])


def events(*content: EventModel) -> list[Event]:
    """Each in a matter of its own."""
    return [Event.new(each, f"m{number}:{UNIT}", 1, LATER) for number, each in enumerate(content)]


async def posted(*content: EventModel, batch: int = 100, store: Store | None = None) -> Store:
    """A store after all of it."""
    store = store or a_store()
    await apply(store, events(*content), batch)
    return store


async def apply(store: Store, content: Sequence[Event], batch: int = 100) -> None:
    inbox = Inbox(store, POSTING, None)
    for start in range(0, len(content), batch):
        await inbox.apply(records(*content[start : start + batch]))


async def rows(store: Store) -> list[Entry]:
    return await store.find(ENTRIES, {"unit": UNIT}, [("number", 1)])


async def ledger(store: Store) -> Ledger:
    found = await store.get(LEDGERS, UNIT)
    assert found is not None
    return found


async def month(store: Store, period: str) -> Standing:
    found = await store.get(STANDINGS, standing_id(UNIT, period))
    assert found is not None
    return found


async def published_by(store: Store, model: type[EventModel]) -> list[EventModel]:
    return [row.event.data for row in await store.find(OUTBOX, {}, [("sequence", 1)]) if row.type == model.TYPE]


MIXED = (
    charge("1.5", cap="2"),
    charge("1", cap="2"),
    charge("0.3"),
    reversal(1),
    freezing("2026-11"),
    charge("0.7", cap="2"),
    charge("4", DECEMBER),
    reversal(2),
    reversal(2, basis="corrections/2"),
    freezing("2026-12"),
    reversal(5),
)


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
async def test_however_what_comes_falls_into_batches_the_books_are_the_same(batch: int) -> None:
    one, other = await posted(*MIXED), await posted(*MIXED, batch=batch)
    assert await rows(one) == await rows(other)
    assert await ledger(one) == await ledger(other)
    assert await one.find(STANDINGS, {}, [("_id", 1)]) == await other.find(STANDINGS, {}, [("_id", 1)])
    assert await one.find(REVERSALS, {}, [("_id", 1)]) == await other.find(REVERSALS, {}, [("_id", 1)])


async def test_the_books_after_all_kinds_of_rows() -> None:
    store = await posted(*MIXED)
    found = await rows(store)
    assert [(row.points, row.period, row.belongs_to, row.reverses) for row in found] == [
        (Decimal("1.5"), "2026-11", None, None),
        (Decimal("0.5"), "2026-11", None, None),
        (Decimal("0.3"), "2026-11", None, None),
        (Decimal("-1.0"), "2026-11", None, 1),
        (Decimal("0.7"), "2026-12", "2026-11", None),
        (Decimal("4"), "2026-12", None, None),
        (Decimal("-1.0"), "2026-12", "2026-11", 2),
        (Decimal("-0.7"), "2027-01", "2026-11", 5),
    ]
    assert find_flaw(UNIT, found, (await ledger(store)).head) is None
    assert (await month(store, "2026-11")).points_lost == Decimal("1.3")
    assert (await month(store, "2026-12")).points_lost == Decimal("3.7")


async def test_an_event_delivered_again_is_posted_once() -> None:
    store = await posted(*MIXED)
    before = await rows(store)
    await apply(store, [*events(*MIXED), *events(*MIXED)], batch=4)
    assert await rows(store) == before


async def test_every_row_is_told_and_the_last_of_a_standing() -> None:
    store = await posted(*MIXED)
    found = await published_by(store, EntryPosted)
    assert found == [EntryPosted.model_validate(row, from_attributes=True) for row in await rows(store)]
    standings = [each for each in await published_by(store, StandingChanged) if isinstance(each, StandingChanged)]
    assert {(each.period, each.frozen, each.points_lost) for each in standings} == {
        ("2026-11", True, Decimal("1.3")),
        ("2026-12", True, Decimal("3.7")),
        ("2027-01", False, Decimal("-0.7")),
    }


async def test_a_row_is_taken_back_once_whoever_orders_it_again() -> None:
    store = await posted(charge("1"), reversal(1), reversal(1, basis="appeals/7"))
    assert [row.reverses for row in await rows(store)] == [None, 1]
    taken_back = await store.get(REVERSALS, f"{UNIT}:0000000001")
    assert taken_back is not None
    assert taken_back.by == 2


@pytest.mark.parametrize("number", [2, 3, 99])
async def test_what_is_not_there_or_takes_a_row_back_itself_is_not_taken_back(number: int) -> None:
    store = await posted(charge("1"), reversal(1), reversal(number))
    assert len(await rows(store)) == 2
    assert (await month(store, "2026-11")).points_lost == 0


async def test_a_row_may_be_posted_and_taken_back_in_one_batch_or_in_two() -> None:
    for batch in (1, 2):
        store = await posted(charge("3", cap="2"), reversal(1), batch=batch)
        assert (await month(store, "2026-11")).score == 100


async def test_a_month_frozen_twice_stays_as_it_was() -> None:
    store = await posted(charge("1"), freezing("2026-11"), charge("1"))
    before = await month(store, "2026-11")
    await apply(store, [Event.new(freezing("2026-11", DECEMBER), "again:x", 1, LATER)])
    assert await month(store, "2026-11") == before
    assert (before.rows, before.frozen_at) == (1, LATER)


async def test_months_frozen_out_of_order_are_both_frozen_and_the_later_one_holds() -> None:
    store = await posted(charge("1"), freezing("2026-12"), freezing("2026-11"), charge("1", DECEMBER))
    assert (await ledger(store)).frozen_through == "2026-12"
    for period in ("2026-11", "2026-12"):
        assert (await month(store, period)).frozen_at is not None
    assert [(row.period, row.belongs_to) for row in await rows(store)] == [("2026-11", None), ("2027-01", "2026-12")]
    found = [each for each in await published_by(store, StandingChanged) if isinstance(each, StandingChanged)]
    assert {each.period for each in found if each.frozen} == {"2026-11", "2026-12"}


async def test_a_month_in_which_nothing_happened_is_frozen_too() -> None:
    store = await posted(freezing("2026-11"), charge("1"))
    assert (await month(store, "2026-11")).frozen_at == LATER
    assert [(row.period, row.belongs_to) for row in await rows(store)] == [("2026-12", "2026-11")]


async def test_a_month_that_is_frozen_is_not_told_again_by_what_is_late() -> None:
    store = await posted(charge("1"), freezing("2026-11"))
    before = len(await published_by(store, StandingChanged))
    await apply(store, [Event.new(charge("1", cap="2"), "late:x", 1, LATER)])
    found = await published_by(store, StandingChanged)
    assert len(found) == before + 1
    frozen = await month(store, "2026-11")
    assert [frozen.points_lost, frozen.entries] == [1, 1]


async def test_a_fact_is_recorded_and_charged_once() -> None:
    store = a_store()
    rule = Rule("manual", 1, "2026-01-01", FactKind.MANUAL, Table(Decimal(1)))
    await store.run(lambda uow: adopt(uow, RuleBook(CURRENT, 1, [rule])))
    fact = Fact("decisions/1", FactKind.MANUAL, UNIT, "decisions/1", NOVEMBER, NOVEMBER)
    for times in (1, 2):
        for _ in range(times):
            uow = store.unit()
            await record(uow, fact)
            await record(uow, fact)
            await store.commit(uow)
    assert await store.find(FACTS, {}) == [fact]
    assert await store.count(OUTBOX, {}) == 1


async def test_what_a_ledger_is_told_about_one_matter_is_numbered() -> None:
    store = a_store()
    for each in (charge("1"), reversal(1), freezing("2026-11")):
        await store.run(lambda uow, each=each: tell_ledger(uow, f"C-1:{UNIT}", each))  # type: ignore[misc]
    found = sorted(await store.find(OUTBOX, {}), key=lambda row: row.sequence)
    assert [(row.subject, row.sequence, row.key) for row in found] == [(f"C-1:{UNIT}", n, UNIT) for n in (1, 2, 3)]


async def test_after_parking_and_replay_the_ledger_is_the_one_that_is_posted_again() -> None:
    """Entries stand one behind the other: what was about to be posted meanwhile waits for the parked charge."""
    content = events(*MIXED)
    store, straight = a_store(), a_store()
    inbox = Inbox(store, POSTING, None)
    await inbox.apply(records(content[0]))
    broken = replace(POSTING, reactions=[on(ChargeMade, _refused)])
    await Inbox(store, broken, None).apply_singly(records(content[1]))
    await inbox.apply(records(*content[2:]))
    assert await store.count(ENTRIES, {}) == 1
    letters = DeadLetters(store, [POSTING])
    assert await letters.replay(Choice(), None, "stop", lambda row, error: None)
    await apply(straight, content)
    kept: tuple[Collection[Any], ...] = (ENTRIES, LEDGERS, STANDINGS, REVERSALS)
    for collection in kept:
        assert await store.find(collection, {}, [("_id", 1)]) == await straight.find(collection, {}, [("_id", 1)])
    assert await store.count(PARKED, {}) == 0


async def _refused(uow: UnitOfWork, event: Event[ChargeMade], _: object) -> None:
    raise Refused("broken")
