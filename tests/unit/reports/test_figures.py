"""The figures of the field: published numbers come out as they were published."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.reports.domain.figures import Counts, Rates, share


def test_tianmen_divides_by_cases_due_and_not_by_cases_filed() -> None:
    rates = Rates.of(Counts(received=1_054, filed=996, due=972, closed=911, closed_in_time=737))
    assert rates.closing == Decimal("93.72")
    assert rates.closing_in_time == Decimal("75.82")
    assert rates.filing == Decimal("94.50")


def test_hengdong_was_late_three_times_in_a_month() -> None:
    assert Rates.of(Counts(due=1_472, late=3)).in_time == Decimal("99.80")


@pytest.mark.parametrize(
    ("part", "whole", "rate"),
    [(1, 3, "33.33"), (2, 3, "66.67"), (1, 800, "0.13"), (0, 5, "0.00"), (5, 5, "100.00"), (1, 16, "6.25")],
)
def test_rates_have_two_decimals_and_a_half_is_rounded_up(part: int, whole: int, rate: str) -> None:
    assert str(share(part, whole)) == rate


def test_nothing_divided_by_nothing_is_no_rate() -> None:
    assert share(0, 0) is None
    assert set(vars(Rates.of(Counts())).values()) == {None}


def test_every_rate_has_its_own_part_and_whole() -> None:
    tally = Counts(
        received=200,
        filed=160,
        returned=8,
        repeats=50,
        due=100,
        closed=80,
        closed_in_time=70,
        late=12,
        extended=5,
        reworked=9,
        solved_at_once=60,
        rated=40,
        satisfied=38,
        resolved=36,
    )
    assert Rates.of(tally) == Rates(
        closing=Decimal(80),
        closing_in_time=Decimal(70),
        in_time=Decimal(88),
        rework=Decimal(9),
        extension=Decimal(5),
        solved_at_once=Decimal(75),
        satisfaction=Decimal(95),
        resolution=Decimal(90),
        filing=Decimal(80),
        returning=Decimal(5),
        repeating=Decimal(25),
    )


def test_tallies_add_up() -> None:
    assert Counts(received=1, due=2) + Counts(due=3, late=1) == Counts(received=1, due=5, late=1)
