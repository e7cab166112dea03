"""Months as people count them, in Asia/Shanghai."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.months import bounds, month_of, months_until, next_month, previous_month, same_day, shifted


@pytest.mark.parametrize(
    ("moment", "period"),
    [
        (datetime(2026, 11, 30, 15, 59, 59, tzinfo=UTC), "2026-11"),
        (datetime(2026, 11, 30, 16, 0, tzinfo=UTC), "2026-12"),
        (datetime(2026, 12, 31, 16, 0, tzinfo=UTC), "2027-01"),
    ],
)
def test_a_month_ends_at_midnight_in_shanghai(moment: datetime, period: str) -> None:
    assert month_of(moment) == period


@pytest.mark.parametrize(
    ("period", "following"), [("2026-11", "2026-12"), ("2026-12", "2027-01"), ("2027-01", "2027-02")]
)
def test_the_month_after(period: str, following: str) -> None:
    assert next_month(period) == following


@given(st.dates(date(2001, 1, 1), date(2099, 1, 1)), st.integers(-120, 120))
def test_going_there_and_back_is_the_same_month(day: date, by: int) -> None:
    month = f"{day:%Y-%m}"
    assert shifted(shifted(month, by), -by) == previous_month(next_month(month)) == month
    assert shifted(month, by) == f"{same_day(day, by):%Y-%m}"


def test_months_before_are_told_newest_first() -> None:
    assert months_until("2027-02", 3) == ["2027-02", "2027-01", "2026-12"]


def test_a_month_begins_and_ends_in_the_district() -> None:
    assert bounds("2026-12") == (datetime(2026, 11, 30, 16, tzinfo=UTC), datetime(2026, 12, 31, 16, tzinfo=UTC))


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        (date(2027, 3, 31), -1, date(2027, 2, 28)),
        (date(2028, 2, 29), -12, date(2027, 2, 28)),
        (date(2027, 1, 15), -12, date(2026, 1, 15)),
        (date(2026, 12, 31), 2, date(2027, 2, 28)),
    ],
)
def test_months_end_where_a_month_ends(day: date, months: int, then: date) -> None:
    assert same_day(day, months) == then


@given(st.dates(date(2001, 1, 1), date(2099, 1, 1)), st.integers(-120, 120))
def test_months_are_calendar_months(day: date, months: int) -> None:
    then = same_day(day, months)
    assert (then.year * 12 + then.month) - (day.year * 12 + day.month) == months
    assert then.day == day.day or (then + timedelta(days=1)).day == 1
