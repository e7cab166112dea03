"""What rules make of facts, and what an edition of them may get wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from deploy.local.stack import DISTRICT
from services.scoring.district import District
from services.scoring.domain.facts import Fact
from services.scoring.domain.rules import MATCHED, Rule, RuleBook, Table, checked, faults
from shared.contracts.scoring import FactKind
from shared.errors import Invalid

SAMPLE = District.load(DISTRICT).rule_book
NOON = datetime(2026, 11, 3, 4, 0, tzinfo=UTC)


def a_fact(kind: FactKind = FactKind.REWORK, **fields: Any) -> Fact:
    content: dict[str, Any] = {"category": "litter-bin", "at_stake": Decimal(2), **fields}
    return Fact("decisions/1", kind, content.pop("unit", "huanwei"), "C-1", NOON, NOON, **content)


def a_rule(table: Table | None = None, **fields: Any) -> Rule:
    content: dict[str, Any] = {"when": FactKind.REWORK, "table": table or Table(Decimal("0.5")), **fields}
    return Rule("rework", 1, "2026-01-01", **content)


def points(*rules: Rule, fact: Fact) -> list[Decimal]:
    return [charge.points for charge in RuleBook("current", 1, list(rules)).charges(fact)]


@pytest.mark.parametrize(("times", "cost"), [(1, "0.5"), (2, "1"), (7, "1")])
def test_a_table_goes_by_a_field_and_otherwise_by_what_it_says_for_the_rest(times: int, cost: str) -> None:
    by_times = Table(Decimal(1), "times", {"1": Decimal("0.5")})
    assert points(a_rule(by_times), fact=a_fact(times=times)) == [Decimal(cost)]


def test_a_share_is_of_what_is_at_stake() -> None:
    assert points(a_rule(Table(Decimal("1.5"), of_stake=True)), fact=a_fact()) == [3]


def test_what_a_rule_earns_has_less_than_nothing() -> None:
    assert points(a_rule(earns=True), fact=a_fact()) == [Decimal("-0.5")]


def test_a_rule_needs_each_of_its_fields_to_have_one_of_the_values() -> None:
    rule = a_rule(match={"category": ("litter-bin", "noise"), "severity": ("severe",)})
    assert points(rule, fact=a_fact(severity="severe")) == [Decimal("0.5")]
    assert points(rule, fact=a_fact(severity="minor")) == []
    assert points(rule, fact=a_fact()) == []
    assert points(rule, fact=a_fact(severity="severe", category="graffiti")) == []
    assert points(rule, fact=a_fact(FactKind.REOPENED, severity="severe")) == []


def test_nothing_is_charged_for_nothing_or_to_nobody() -> None:
    assert points(a_rule(Table(Decimal(0))), fact=a_fact()) == []
    assert points(a_rule(), fact=a_fact(unit="")) == []


def test_only_a_rule_with_a_cap_has_a_bucket() -> None:
    [free] = RuleBook("current", 1, [a_rule()]).charges(a_fact())
    [capped] = RuleBook("current", 1, [a_rule(cap=Decimal(3))]).charges(a_fact())
    assert (free.bucket, free.cap) == (None, None)
    assert (capped.bucket, capped.cap) == ("rule:rework", Decimal(3))


def test_a_charge_carries_what_the_fact_was_about() -> None:
    fact = a_fact(indicator="I-1", standard="I-1-2", scheme=3, visit="V-9", finding=4, case="C-1")
    [charge] = RuleBook("current", 1, [a_rule()]).charges(fact)
    for name in (
        "unit",
        "case",
        "category",
        "happened_at",
        "kind",
        "indicator",
        "standard",
        "scheme",
        "visit",
        "finding",
    ):
        assert getattr(charge, name) == getattr(fact, name)
    assert (charge.basis, charge.rule, charge.rule_version) == (fact.id, "rework", 1)


def test_a_version_without_points_ends_a_rule() -> None:
    ended = replace(a_rule(Table()), version=2, effective_from="2026-11-01")
    assert points(a_rule(), ended, fact=a_fact()) == []
    assert points(a_rule(), replace(ended, effective_from="2026-11-04"), fact=a_fact()) == [Decimal("0.5")]


def test_several_rules_may_apply_and_come_in_the_order_of_their_codes() -> None:
    other = replace(a_rule(Table(Decimal(2))), code="another")
    assert points(a_rule(), other, fact=a_fact()) == [2, Decimal("0.5")]


@pytest.mark.parametrize(
    ("kind", "expected", "costs"),
    [
        (FactKind.OVERDUE, {"stage": "rectify", "level": "blue"}, ["2"]),
        (FactKind.OVERDUE, {"stage": "rectify", "level": "orange"}, ["2"]),
        (FactKind.OVERDUE, {"stage": "rectify", "level": "red"}, ["4"]),
        (FactKind.OVERDUE, {"stage": "acknowledge", "level": "blue"}, ["0.1"]),
        (FactKind.OVERDUE, {"stage": "acknowledge", "level": "red"}, []),
        (FactKind.REWORK, {"times": 1}, ["0.5"]),
        (FactKind.REWORK, {"times": 2}, ["1"]),
        (FactKind.REOPENED, {}, ["0.5"]),
        (FactKind.RETURNED, {}, []),
        (FactKind.FALSE_REPLY, {}, ["3"]),
        (FactKind.FINDING, {"severity": "minor"}, ["0.2"]),
        (FactKind.FINDING, {"severity": "other"}, ["0.5"]),
        (FactKind.MEASUREMENT, {}, ["2"]),
        (FactKind.NEGATIVE, {}, ["2"]),
        (FactKind.MANUAL, {}, ["2"]),
        (FactKind.BONUS, {}, ["-2"]),
        (FactKind.OTHER, {}, []),
    ],
)
def test_the_sample_has_a_price_for_each_kind_of_fact(
    kind: FactKind, expected: dict[str, Any], costs: list[str]
) -> None:
    """With two points at stake."""
    charged = [charge.points for charge in SAMPLE.charges(a_fact(kind, **expected))]
    assert charged == [Decimal(each) for each in costs]


def test_what_a_rule_may_ask_about_is_there_to_be_asked() -> None:
    assert all(hasattr(a_fact(), name) for name in MATCHED)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"match": {"colour": ("red",)}}, "rule-field-unknown"),
        ({"table": Table(by="colour", rows={"red": Decimal(1)})}, "rule-field-unknown"),
        ({"match": {"level": ("purple",)}}, "rule-value-unknown"),
        ({"match": {"stage": ("other",)}}, "rule-value-unknown"),
        ({"table": Table(by="severity", rows={"grave": Decimal(1)})}, "rule-value-unknown"),
        ({"table": Table(rows={"red": Decimal(1)})}, "rule-rows-without-field"),
        ({"table": Table(Decimal(-1))}, "rule-points-unfit"),
        ({"table": Table(Decimal("NaN"))}, "rule-points-unfit"),
        ({"table": Table(by="level", rows={"red": Decimal(101)})}, "rule-points-unfit"),
        ({"cap": Decimal("Infinity")}, "rule-points-unfit"),
        ({"cap": Decimal(-2)}, "rule-points-unfit"),
    ],
)
def test_a_slip_in_a_rule_is_told_with_its_place(wrong: dict[str, Any], code: str) -> None:
    found = list(faults([replace(a_rule(), code="sound"), replace(a_rule(), **wrong)]))
    assert [fault.code for fault in found] == [code]
    assert (found[0].field or "").startswith("rules.1.")
    with pytest.raises(Invalid, match=code):
        checked([replace(a_rule(), **wrong)])


def test_the_same_version_of_a_rule_twice_is_a_slip() -> None:
    assert [fault.code for fault in faults([a_rule(), a_rule()])] == ["rule-twice"]
    assert checked(iter([a_rule(), replace(a_rule(), version=2)]))
