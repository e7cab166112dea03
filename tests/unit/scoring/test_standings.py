"""Standings of quarters, years and cycles, with published numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.stack import DISTRICT
from services.scoring.district import District
from services.scoring.domain.standings import Composite, Formula, Span, counting, ranks

FORMULA = District.load(DISTRICT).formula
FEBRUARY_2019 = {
    "蒸湘": Decimal("90.68"),
    "雁峰": Decimal("89.47"),
    "珠晖": Decimal("88.58"),
    "石鼓": Decimal("85.31"),
    "高新区": Decimal("89.71"),
    "白沙": Decimal("92.84"),
    "松木": Decimal("94.78"),
}
"""市容 scores of Hengyang, February 2019."""
DISTRICTS = [Decimal(score) for score in ("85.7", "85.4", "85.0", "83.9", "80.5")]
"""Zhenjiang 2021."""


def composite(code: str) -> Composite:
    found = FORMULA.composite(code)
    assert found is not None
    return found


def test_hengyangs_february_is_ranked_among_all_and_among_its_like() -> None:
    groups = {unit: "园区" if unit in {"高新区", "白沙", "松木"} else "城区" for unit in FEBRUARY_2019}
    content = {rank.unit: (rank.rank, rank.group_rank) for rank in ranks(FEBRUARY_2019, groups)}
    assert content == {
        "松木": (1, 1),
        "白沙": (2, 2),
        "蒸湘": (3, 1),
        "高新区": (4, 3),
        "雁峰": (5, 2),
        "珠晖": (6, 3),
        "石鼓": (7, 4),
    }


def test_yichangs_second_quarter_comes_out_to_the_hundredth() -> None:
    """94.12 = 问卷 27.31 + 实地 66.81, of 30 and 70."""
    rates = {"survey": Decimal("0.910333"), "field": Decimal("0.954429")}
    assert FORMULA.of_parts(composite("mock"), rates) == Decimal("94.12")


def test_zhenjiangs_means() -> None:
    assert FORMULA.mean(DISTRICTS) == Decimal("84.10")


@pytest.mark.parametrize(
    ("rates", "negative", "score"),
    [
        ({"material": "1", "field": "1", "survey": "1"}, "0", "100"),
        ({"material": "0.95", "field": "0.701", "survey": "0.985"}, "0", "85.74"),
        ({"material": "0.95", "field": "0.701", "survey": "0.985"}, "3", "82.74"),
        ({"material": "0", "field": "0", "survey": "0"}, "3", "0"),
    ],
)
def test_a_year_is_40_40_20_less_the_negative_list(rates: dict[str, str], negative: str, score: str) -> None:
    content = {part: Decimal(rate) for part, rate in rates.items()}
    assert FORMULA.of_parts(composite("annual"), content, Decimal(negative)) == Decimal(score)


def test_a_year_with_a_part_missing_has_no_score_yet() -> None:
    assert FORMULA.of_parts(composite("annual"), {"material": Decimal(1), "field": Decimal(1)}) is None


def test_a_cycle_weighs_its_years_15_25_60() -> None:
    years = {2024: Decimal(80), 2025: Decimal("84.5"), 2026: Decimal("90.1")}
    assert FORMULA.cycle.years(2025) == [2024, 2025, 2026] == FORMULA.cycle.years(2024)
    assert FORMULA.cycle.years(2023) == [2021, 2022, 2023]
    assert FORMULA.of_years(years, [2024, 2025, 2026]) == Decimal("87.19")  # 87.185
    assert FORMULA.of_years({2024: Decimal(80), 2025: Decimal(88)}, [2024, 2025, 2026]) == Decimal("85.00")
    assert FORMULA.of_years({}, [2024, 2025, 2026]) is None


@pytest.mark.parametrize(
    ("scores", "mean"),
    [
        (["90.68", "89.47", "88.58"], "89.58"),
        (["99.99", "100", "100"], "100.00"),
        (["0.01", "0", "0"], "0.00"),
        (["99.995", "99.995", "99.995"], "100.00"),
        (["99.985"], "99.99"),
        ([], "100"),
    ],
)
def test_a_quarter_is_the_mean_of_its_months_and_a_half_is_rounded_up(scores: list[str], mean: str) -> None:
    span = Span.of("2026-Q4")
    found = dict(zip(span.months, map(Decimal, scores), strict=False))
    assert FORMULA.of_months(span, found) == Decimal(mean)


def test_a_month_is_what_it_is_to_the_last_digit() -> None:
    assert FORMULA.of_months(Span.of("2026-11"), {"2026-11": Decimal("99.985")}) == Decimal("99.985")


def test_weights_of_months_are_data() -> None:
    heavier = replace(FORMULA, quarter=(Decimal(1), Decimal(1), Decimal(2)))
    scores = {"2026-10": Decimal(80), "2026-11": Decimal(80), "2026-12": Decimal(100)}
    assert heavier.of_months(Span.of("2026-Q4"), scores) == Decimal("90.00")


@pytest.mark.parametrize(
    ("name", "months", "before"),
    [
        ("2026-01", ["2026-01"], "2025-12"),
        ("2026-Q1", ["2026-01", "2026-02", "2026-03"], "2025-Q4"),
        ("2026-Q4", ["2026-10", "2026-11", "2026-12"], "2026-Q3"),
        ("2026", [f"2026-{month:02}" for month in range(1, 13)], "2025"),
    ],
)
def test_periods_know_their_months_and_the_one_before(name: str, months: list[str], before: str) -> None:
    assert Span.of(name).months == months
    assert Span.of(name).before.name == before


@pytest.mark.parametrize("name", ["2026-13", "2026-Q5", "cycle", "26", "2026-1", "", "2026-11\n"])
def test_what_is_no_period_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no period"):
        Span.of(name)


def test_months_count_from_the_first_with_a_score_until_the_present_one_in_shanghai() -> None:
    year = Span.of("2026")
    new_years_eve = datetime(2026, 11, 30, 16, 0, tzinfo=UTC)
    assert counting(year, "2026-10", new_years_eve) == ["2026-10", "2026-11", "2026-12"]
    assert counting(year, None, new_years_eve) == []


def test_a_trend_is_the_ranks_gained_and_absent_without_a_period_before() -> None:
    now, before = {"a": Decimal(90), "b": Decimal(95)}, {"a": Decimal(95), "b": Decimal(90)}
    assert {rank.unit: rank.trend for rank in ranks(now, {}, before)} == {"a": -1, "b": 1}
    assert {rank.unit: rank.trend for rank in ranks(now, {})} == {"a": None, "b": None}


@given(st.lists(st.decimals(0, 100, places=4), min_size=3, max_size=3))
def test_a_mean_lies_among_its_months(scores: list[Decimal]) -> None:
    span = Span.of("2026-Q1")
    score = FORMULA.of_months(span, dict(zip(span.months, scores, strict=True)))
    assert FORMULA.rounded(min(scores)) <= score <= FORMULA.rounded(max(scores))


@pytest.mark.parametrize(
    "change",
    [
        {"quarter": (Decimal(1),)},
        {"year": (Decimal(0),) * 12},
        {"places": 9},
        {"composites": (replace(composite("annual"), parts=composite("annual").parts[:2]),)},
        {"composites": (composite("annual"), composite("annual"))},
    ],
    ids=str,
)
def test_a_formula_that_cannot_be_reckoned_with_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"weights|places|parts|same"):
        Formula(**{**{name: getattr(FORMULA, name) for name in Formula.__dataclass_fields__}, **change})
