"""Editions of the rule book: what may be edited, from when it holds, and that the file overwrites nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.app import SERVICE
from services.scoring.commands import rules as commands
from services.scoring.commands.rules import adopt
from services.scoring.domain import rules as domain
from services.scoring.domain.drafts import Draft, DraftState, fingerprint
from services.scoring.domain.facts import Fact
from services.scoring.domain.rules import MATCHED, Rule, RuleBook, Table, faults
from services.scoring.domain.writing import day_of
from services.scoring.repo import CURRENT, RULE_BOOKS, RULE_EDITIONS
from shared.audit import verify
from shared.audit.log import AUDIT
from shared.clock import FixedClock
from shared.contracts.scoring import FactKind
from shared.errors import Invalid, NotFound, Refused
from shared.own_cause import Person
from shared.store import Store
from shared.testing.memory_store import MemoryDriver

NOON = datetime(2026, 11, 3, 4, 0, tzinfo=UTC)
TODAY, TOMORROW = "2026-11-03", "2026-11-04"
HALF, ONE = Table(Decimal("0.5")), Table(Decimal(1))
VALUES: dict[str, tuple[Any, Any]] = {
    "category": ("litter-bin", "noise"),
    "stage": ("rectify", "acknowledge"),
    "level": ("red", "blue"),
    "severity": ("severe", "minor"),
    "item": ("G15", "G16"),
    "indicator": ("II-3", "II-4"),
    "standard": ("II-3.1", "II-3.2"),
    "times": (2, 3),
}
"""Two values of each field that rules may ask about."""


def a_rule(
    code: str = "rework", version: int = 1, since: str = "2026-01-01", table: Table = HALF, **fields: Any
) -> Rule:
    return Rule(code, version, since, fields.pop("when", FactKind.REWORK), table, **fields)


def a_fact(at: datetime = NOON, kind: FactKind = FactKind.REWORK, **fields: Any) -> Fact:
    return Fact("decisions/1", kind, "huanwei", "C-1", at, at, **fields)


BOOK = RuleBook(CURRENT, 3, [a_rule(), a_rule("reopened", when=FactKind.REOPENED)])


def test_every_field_has_values_to_be_tried() -> None:
    assert set(VALUES) == set(MATCHED)


@pytest.mark.parametrize("name", MATCHED)
def test_a_rule_may_ask_about_each_field(name: str) -> None:
    wanted, other = VALUES[name]
    book = RuleBook(CURRENT, 1, [a_rule(match={name: (str(wanted),)})])
    assert list(faults(book.rules)) == []
    assert [charge.points for charge in book.charges(a_fact(**{name: wanted}))] == [Decimal("0.5")]
    assert book.charges(a_fact(**{name: other})) == []


@pytest.mark.parametrize("name", MATCHED)
def test_a_table_may_go_by_each_field(name: str) -> None:
    wanted, other = VALUES[name]
    table = Table(Decimal("0.1"), name, {str(wanted): Decimal(3)})
    book = RuleBook(CURRENT, 1, [a_rule(table=table)])
    assert list(faults(book.rules)) == []
    assert [charge.points for charge in book.charges(a_fact(**{name: wanted}))] == [3]
    assert [charge.points for charge in book.charges(a_fact(**{name: other}))] == [Decimal("0.1")]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"since": "2026-13-01"}, "rule-day-unreadable"),
        ({"since": "20261201"}, "rule-day-unreadable"),
        ({"when": FactKind.OTHER}, "rule-kind-unknown"),
        ({"match": {"category": ()}}, "rule-match-empty"),
        ({"match": {"times": ("0",)}}, "rule-times-unfit"),
        ({"match": {"times": ("many",)}}, "rule-times-unfit"),
        ({"table": Table(by="times", rows={"01": Decimal(1)})}, "rule-times-unfit"),
        ({"table": Table(Decimal("0.00001"))}, "rule-points-unfit"),
    ],
)
def test_more_slips_are_told(wrong: dict[str, Any], code: str) -> None:
    assert [fault.code for fault in faults([a_rule(**wrong)])] == [code]


days = st.sampled_from(["2026-01-01", "2026-06-01", "2026-11-02", "2026-11-03", "2026-11-04"])
some_rules = st.lists(
    st.builds(
        a_rule,
        st.sampled_from("abc"),
        st.integers(1, 4),
        days,
        st.sampled_from([HALF, ONE]),
        when=st.sampled_from([FactKind.REWORK, FactKind.REOPENED]),
    ),
    max_size=12,
    unique_by=lambda rule: (rule.code, rule.version),
)


def by_the_book(rules: Sequence[Rule], day: str) -> list[Rule]:
    """What is in force, looked up the simple way."""
    there = [rule for rule in rules if rule.effective_from <= day]
    codes = sorted({rule.code for rule in there})
    return [max((r for r in there if r.code == code), key=lambda r: (r.effective_from, r.version)) for code in codes]


@given(some_rules, st.lists(days, min_size=1, max_size=5))
def test_what_is_in_force_is_the_same_however_often_it_is_asked(rules: list[Rule], asked: list[str]) -> None:
    book = RuleBook(CURRENT, 1, rules)
    for day in asked:
        at = datetime.fromisoformat(f"{day}T04:00:00+00:00")
        assert book.in_force(at) == by_the_book(rules, day)
        for kind in (FactKind.REWORK, FactKind.REOPENED, FactKind.MANUAL):
            expected = [rule.code for rule in by_the_book(rules, day) if rule.when is kind]
            assert [charge.rule for charge in book.charges(a_fact(at, kind))] == expected


def test_the_book_is_sorted_once_for_all_facts_between_two_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    age = domain._age

    def counted(rule: Rule) -> tuple[str, int]:
        asked.append(rule.code)
        return age(rule)

    monkeypatch.setattr(domain, "_age", counted)
    book = RuleBook(CURRENT, 1, [a_rule(), a_rule(version=2, since="2026-11-10")])
    for day in range(8):
        book.charges(a_fact(NOON + timedelta(days=day)))
    assert len(asked) == 2 * len(book.rules)


def test_an_edition_numbers_its_rules_on_and_leaves_the_others() -> None:
    wanted = [a_rule(version=0, since=TOMORROW, table=ONE), a_rule("new", 0, "2026-12-01")]
    edition = BOOK.edited(wanted, TODAY)
    assert (edition.version, list(edition.rules[:2])) == (4, list(BOOK.rules))
    assert [(rule.code, rule.version) for rule in edition.rules[2:]] == [("rework", 2), ("new", 1)]
    assert edition.charges(a_fact()) == BOOK.charges(a_fact())
    assert [charge.rule_version for charge in edition.charges(a_fact(NOON + timedelta(days=1)))] == [2]


def test_a_rule_may_be_changed_in_two_steps_at_once() -> None:
    steps = [a_rule(version=0, since=TOMORROW, table=ONE), a_rule(version=0, since="2026-12-01", table=HALF)]
    assert [rule.version for rule in BOOK.edited(steps, TODAY).rules[2:]] == [2, 3]
    with pytest.raises(Invalid, match="rule-day-twice"):
        BOOK.edited([steps[0], replace(steps[0], table=HALF)], TODAY)


@pytest.mark.parametrize("since", ["2026-01-01", "2026-11-02", TODAY])
def test_no_rule_reaches_back_to_what_has_been_charged(since: str) -> None:
    """Not to today either: a part of it is over."""
    with pytest.raises(Invalid, match="rule-retroactive") as refused:
        BOOK.edited([a_rule(since=TOMORROW), a_rule("other", since=since)], TODAY)
    assert refused.value.field == "rules.1.effective_from"
    assert refused.value.params["first"] == TOMORROW


def test_the_day_is_that_of_the_district() -> None:
    assert day_of(datetime(2026, 11, 3, 15, 59, tzinfo=UTC)) == TODAY
    assert day_of(datetime(2026, 11, 3, 16, 0, tzinfo=UTC)) == TOMORROW


def test_a_book_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "VERSIONS_LIMIT", 3)
    assert BOOK.edited([a_rule(since=TOMORROW)], TODAY)
    with pytest.raises(Invalid, match="rule-book-full"):
        BOOK.edited([a_rule(since=TOMORROW), a_rule("other", since=TOMORROW)], TODAY)


def test_a_draft_is_settled_once_and_by_who_has_read_it() -> None:
    draft = Draft("d", 1, "", [], "zhang", NOON, "zhang", NOON)
    draft.change(1, 1, "why", [a_rule()], "li", NOON)
    with pytest.raises(Refused, match="rule-draft-stale"):
        draft.settle(1, DraftState.USED, "zhang", NOON, 2)
    draft.settle(2, DraftState.DISCARDED, "zhang", NOON)
    with pytest.raises(Refused, match="rule-draft-settled"):
        draft.change(2, 1, "why", [], "li", NOON)


def test_a_fingerprint_covers_all_that_a_rule_says() -> None:
    rule = a_rule(match={"category": ("noise",)}, cap=Decimal(2))
    assert fingerprint(rule) == fingerprint(replace(rule, cap=Decimal("2.0")))
    others = [
        replace(rule, table=ONE),
        replace(rule, cap=None),
        replace(rule, match={}),
        replace(rule, effective_from=TOMORROW),
        replace(rule, earns=True),
        replace(rule, source="x"),
    ]
    assert len({fingerprint(each) for each in (rule, *others)}) == 7


# --- in the database -------------------------------------------------------------------------------------------------


def a_store() -> tuple[Store, FixedClock]:
    clock = FixedClock(NOON)
    return Store(MemoryDriver(clock), clock, SERVICE.collections), clock


async def book_of(store: Store) -> RuleBook:
    book = await store.get(RULE_BOOKS, CURRENT)
    assert book is not None
    return book


async def adopted(store: Store, *rules: Rule) -> list[str]:
    return await store.run(lambda uow: adopt(uow, RuleBook(CURRENT, 7, list(rules))))


async def test_the_file_is_the_first_edition_and_then_only_adds_what_is_newer_and_to_come() -> None:
    store, clock = a_store()
    assert await adopted(store, a_rule()) == []
    assert await book_of(store) == RuleBook(CURRENT, 1, [a_rule()])
    assert await adopted(store, a_rule()) == []
    assert (await book_of(store)).version == 1
    late, again = a_rule(version=2, since=TODAY, table=ONE), a_rule(table=ONE)
    for ignored in (late, again):
        assert await adopted(store, ignored) == ["rework"]
        assert (await book_of(store)).rules == [a_rule()]
    assert await adopted(store, a_rule(), replace(late, effective_from=TOMORROW), a_rule("new", since=TOMORROW)) == []
    assert [(rule.code, rule.version) for rule in (await book_of(store)).rules] == [
        ("rework", 1),
        ("rework", 2),
        ("new", 1),
    ]
    clock.advance(timedelta(days=30))
    assert await adopted(store, a_rule(), replace(late, effective_from=TOMORROW), a_rule("new", since=TOMORROW)) == []
    assert (await book_of(store)).version == 2


async def test_what_the_office_edited_stays_whatever_the_file_says() -> None:
    store, _ = a_store()
    await adopted(store, a_rule())
    draft = await store.run(
        lambda uow: commands.draft(uow, 1, "为什么", [a_rule(version=0, since=TOMORROW, table=ONE)], "zhang")
    )
    await store.run(lambda uow: commands.put_to_use(uow, draft.id, 1, Person("chief")))
    before = await book_of(store)
    assert await adopted(store, a_rule(), a_rule(version=2, since=TOMORROW, table=Table(Decimal(9)))) == ["rework"]
    assert await book_of(store) == before


async def test_a_draft_charges_nothing_until_it_is_used_and_is_bound_to_the_book_it_was_written_for() -> None:
    store, clock = a_store()
    await adopted(store, a_rule())
    wanted = [a_rule(version=0, since=TOMORROW, table=ONE)]
    one = await store.run(lambda uow: commands.draft(uow, 1, "甲", wanted, "zhang"))
    other = await store.run(lambda uow: commands.draft(uow, 1, "乙", wanted, "li"))
    assert (await book_of(store)).version == 1
    await store.run(lambda uow: commands.put_to_use(uow, one.id, 1, Person("chief")))
    with pytest.raises(Refused, match="rules-stale"):
        await store.run(lambda uow: commands.put_to_use(uow, other.id, 1, Person("chief")))
    with pytest.raises(Refused, match="rules-stale"):
        await store.run(lambda uow: commands.draft(uow, 1, "丙", wanted, "li"))
    await store.run(lambda uow: commands.redraft(uow, other.id, 1, 2, "乙", wanted, "li"))
    clock.advance(timedelta(days=1))
    with pytest.raises(Invalid, match="rule-retroactive"):
        await store.run(lambda uow: commands.put_to_use(uow, other.id, 2, Person("chief")))
    settled = await store.run(lambda uow: commands.discard(uow, other.id, 2, "li"))
    assert settled.state is DraftState.DISCARDED
    with pytest.raises(NotFound):
        await store.run(lambda uow: commands.discard(uow, "nothing", 1, "li"))


async def test_every_edition_is_in_the_audit_chain_with_what_it_added() -> None:
    store, _ = a_store()
    await adopted(store, a_rule())
    for edition in (1, 2):
        wanted = [a_rule(version=0, since=TOMORROW, table=Table(Decimal(edition)))]
        draft = await store.run(
            lambda uow, n=edition, w=wanted: commands.draft(uow, n, "为什么", w, "zhang")  # type: ignore[misc]
        )
        await store.run(lambda uow, id=draft.id: commands.put_to_use(uow, id, 1, Person("chief")))  # type: ignore[misc]
    rows = await store.find(AUDIT, {"chain": commands.CHAIN}, [("number", 1)])
    editions = await store.find(RULE_EDITIONS, {}, [("number", 1)])
    assert verify(rows) is None
    assert [(row.number, row.who) for row in rows] == [(1, commands.FILE), (2, "chief"), (3, "chief")]
    found = [{f"{rule.code}@{rule.version}": fingerprint(rule) for rule in edition.rules} for edition in editions]
    assert [row.detail for row in rows] == found
    assert [rule for edition in editions for rule in edition.rules] == (await book_of(store)).rules
