"""The same facts by other rules: who moves where, and that nothing but that comes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.app import SERVICE
from services.scoring.commands.rules import adopt, record
from services.scoring.domain.facts import Fact
from services.scoring.domain.rules import ALWAYS, Rule, RuleBook, Table
from services.scoring.domain.what_if import NOTHING, Outcome, Rank, WhatIf
from services.scoring.repo import CURRENT
from services.scoring.views import what_if as views
from services.scoring.views.what_if import WhatIfSlot, recomputed
from shared.clock import FixedClock
from shared.contracts.scoring import FactKind
from shared.errors import TooLarge, TooMany, Unavailable
from shared.store import Store
from shared.testing.memory_store import MemoryDriver

NOON = datetime(2026, 11, 3, 4, 0, tzinfo=UTC)
GROUPS = {"huanwei": "services", "yuanlin": "services", "gongan": "bureaus", "jiaoyu": "bureaus"}
REWORK = Rule("rework", 1, "2026-01-01", FactKind.REWORK, Table(Decimal("0.5")))
MANUAL = Rule("manual", 1, "2026-01-01", FactKind.MANUAL, Table(Decimal(1), of_stake=True), cap=Decimal(5))
BOOK = RuleBook(CURRENT, 1, [REWORK, MANUAL])
DEARER = Rule("rework", 2, "2027-01-01", FactKind.REWORK, Table(Decimal(3)))


def a_fact(number: int, unit: str = "huanwei", kind: FactKind = FactKind.REWORK, **fields: Any) -> Fact:
    at = NOON + timedelta(hours=number)
    return Fact(f"f{number}", kind, unit, f"C-{number}", at, at, **fields)


def outcome(*facts: Fact, rules: list[Rule], listed: int = 10) -> Outcome:
    asked = WhatIf(BOOK, BOOK.as_if(rules), GROUPS, listed)
    asked.take(facts)
    return asked.outcome()


def test_who_moves_where() -> None:
    facts = [a_fact(1), a_fact(2, "gongan", FactKind.MANUAL, at_stake=Decimal(2))]
    found = outcome(*facts, rules=[DEARER])
    assert {move.unit: (move.before, move.after) for move in found.moves} == {
        "jiaoyu": (Rank(Decimal(100), Decimal(0), 1, 1), Rank(Decimal(100), Decimal(0), 1, 1)),
        "yuanlin": (Rank(Decimal(100), Decimal(0), 1, 1), Rank(Decimal(100), Decimal(0), 1, 1)),
        "gongan": (Rank(Decimal(98), Decimal(2), 4, 2), Rank(Decimal(98), Decimal(2), 3, 2)),
        "huanwei": (Rank(Decimal("99.5"), Decimal("0.5"), 3, 2), Rank(Decimal(97), Decimal(3), 4, 2)),
    }
    assert [move.unit for move in found.moves] == ["jiaoyu", "yuanlin", "gongan", "huanwei"]
    [difference] = found.differences
    assert (difference.fact, difference.unit, difference.rule) == ("f1", "huanwei", "rework")
    assert (difference.before, difference.after) == (Decimal("0.5"), Decimal(3))


def test_what_each_rule_comes_to_also_one_that_never_applies() -> None:
    never = Rule("never", 1, ALWAYS, FactKind.REOPENED, Table(Decimal(1)))
    found = outcome(a_fact(1), a_fact(2), rules=[DEARER, never])
    assert [
        (each.rule, each.before.times, each.before.points, each.after.times, each.after.points) for each in found.rules
    ] == [
        ("manual", 0, NOTHING, 0, NOTHING),
        ("never", 0, NOTHING, 0, NOTHING),
        ("rework", 2, Decimal(1), 2, Decimal(6)),
    ]


def test_a_cap_holds_in_a_trial_as_in_the_ledger() -> None:
    capped = Rule("rework", 2, ALWAYS, FactKind.REWORK, Table(Decimal(3)), cap=Decimal(4))
    found = outcome(*(a_fact(number) for number in range(3)), rules=[capped])
    assert [each.after for each in found.differences] == [3, 1, 0]
    [huanwei] = [move for move in found.moves if move.unit == "huanwei"]
    assert (huanwei.before.points_lost, huanwei.after.points_lost) == (Decimal("1.5"), Decimal(4))


def test_the_list_of_differences_is_bounded_and_their_number_told() -> None:
    found = outcome(*(a_fact(number) for number in range(9)), rules=[DEARER], listed=4)
    assert (found.facts, found.differing, [each.fact for each in found.differences]) == (9, 9, ["f0", "f1", "f2", "f3"])


def test_rules_on_trial_hold_whatever_their_day_and_the_last_of_a_code_counts() -> None:
    steps = [DEARER, Rule("rework", 0, "2028-01-01", FactKind.REWORK, Table(Decimal(7)))]
    assert [each.after for each in outcome(a_fact(1), rules=steps).differences] == [7]


def test_a_version_that_is_yet_to_come_does_not_count_before_nor_after() -> None:
    book = RuleBook(CURRENT, 2, [REWORK, MANUAL, DEARER])
    asked = WhatIf(book, book.as_if([]), GROUPS, 10)
    asked.take([a_fact(1)])
    assert asked.outcome().differing == 0


def test_what_lies_with_nobody_costs_nobody_and_a_unit_of_former_days_is_there() -> None:
    found = outcome(a_fact(1, ""), a_fact(2, "former"), rules=[DEARER])
    assert {move.unit: move.after.points_lost for move in found.moves if move.after.points_lost} == {"former": 3}
    assert (found.facts, "" in {move.unit for move in found.moves}) == (2, False)


facts = st.lists(
    st.builds(
        a_fact,
        st.integers(0, 200),
        st.sampled_from([*GROUPS, ""]),
        st.sampled_from([FactKind.REWORK, FactKind.MANUAL]),
        at_stake=st.sampled_from([Decimal(1), Decimal("2.5")]),
    ),
    max_size=20,
)


@given(facts, st.data())
def test_where_units_stand_does_not_depend_on_the_order_and_facts_and_books_stay_as_they_were(
    given_facts: list[Fact], data: st.DataObject
) -> None:
    before = (list(BOOK.rules), [vars(fact).copy() for fact in given_facts])
    shuffled = data.draw(st.permutations(given_facts))
    one, other = outcome(*given_facts, rules=[DEARER]), outcome(*shuffled, rules=[DEARER])
    assert one.moves == other.moves
    assert one.rules == other.rules
    assert (list(BOOK.rules), [vars(fact) for fact in given_facts]) == before


@given(facts)
def test_the_same_rules_change_nothing(given_facts: list[Fact]) -> None:
    found = outcome(*given_facts, rules=[REWORK, MANUAL])
    assert found.differing == 0
    assert all(move.before == move.after for move in found.moves)


# --- from the database -----------------------------------------------------------------------------------------------


async def a_store(*given_facts: Fact) -> tuple[Store, MemoryDriver]:
    clock = FixedClock(NOON)
    driver = MemoryDriver(clock)
    store = Store(driver, clock, SERVICE.collections)
    await store.run(lambda uow: adopt(uow, BOOK))
    for fact in given_facts:
        await store.run(lambda uow, fact=fact: record(uow, fact))  # type: ignore[misc]
    return store, driver


async def test_the_facts_of_the_month_are_tried_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "BATCH", 2)
    inside = [a_fact(number) for number in range(5)]
    store, _ = await a_store(*inside, a_fact(-24 * 4), a_fact(24 * 28))
    found = await recomputed(store, GROUPS, "2026-11", [DEARER])
    assert (found.facts, found.differing) == (5, 5)


async def test_more_facts_than_can_be_tried_are_refused_by_number() -> None:
    store, _ = await a_store(*(a_fact(number) for number in range(3)))
    assert (await recomputed(store, GROUPS, "2026-11", [DEARER], limit=3)).facts == 3
    with pytest.raises(TooLarge) as refused:
        await recomputed(store, GROUPS, "2026-11", [DEARER], limit=2)
    assert (refused.value.code, refused.value.params["limit"]) == ("what-if-too-large", 2)


async def test_without_a_book_there_is_nothing_to_try() -> None:
    clock = FixedClock(NOON)
    with pytest.raises(Unavailable):
        await recomputed(Store(MemoryDriver(clock), clock, SERVICE.collections), GROUPS, "2026-11", [DEARER])


def test_one_trial_at_a_time() -> None:
    slot = WhatIfSlot()
    with slot.take(), pytest.raises(TooMany, match="what-if-busy"), slot.take():
        raise AssertionError
    with slot.take():
        pass
