"""What holds for every start and every limit, judged against a calendar that is walked day by day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import chinese_calendar
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import CHINA
from shared.workdays import SAMPLE_HOURS, Limit, LimitUnit, WorkCalendar

CALENDAR = WorkCalendar.from_file()
INSTANT = timedelta(microseconds=1)

moments = st.integers(0, 390 * 86_400_000).map(
    lambda milliseconds: datetime(2025, 6, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
)
work_hours = st.builds(Limit, st.integers(0, 60), st.just(LimitUnit.WORK_HOURS))
working_days = st.builds(Limit, st.integers(1, 25), st.just(LimitUnit.WORKING_DAYS))
limits = work_hours | working_days


def open_hours(day: date) -> list[tuple[datetime, datetime]]:
    if not chinese_calendar.is_workday(day):
        return []
    return [
        (datetime.combine(day, opens, CHINA), datetime.combine(day, closes, CHINA)) for opens, closes in SAMPLE_HOURS
    ]


def walked(start: datetime, end: datetime) -> timedelta:
    """Working time between two moments, one day and one stretch of hours after the other."""
    total, day = timedelta(), start.astimezone(CHINA).date()
    while day <= end.astimezone(CHINA).date():
        for opens, closes in open_hours(day):
            total += max(min(end, closes) - max(start, opens), timedelta())
        day += timedelta(days=1)
    return total


@given(moments, st.timedeltas(timedelta(), timedelta(days=40)))
def test_elapsed_time_is_what_the_walk_finds(start: datetime, later: timedelta) -> None:
    assert CALENDAR.elapsed(start, start + later) == walked(start, start + later)


@given(moments, moments, moments)
def test_elapsed_time_adds_up(one: datetime, two: datetime, three: datetime) -> None:
    assert CALENDAR.elapsed(one, two) + CALENDAR.elapsed(two, three) == CALENDAR.elapsed(one, three)


@given(moments, work_hours)
def test_work_hours_end_at_the_first_moment_that_uses_them_up(start: datetime, limit: Limit) -> None:
    end = CALENDAR.add(start, limit)
    assert walked(start, end) == timedelta(hours=limit.amount)
    assert limit.amount == 0 or walked(start, end - INSTANT) == timedelta(hours=limit.amount) - INSTANT


@given(moments, working_days)
def test_working_days_end_when_the_nth_day_after_the_start_closes(start: datetime, limit: Limit) -> None:
    local = start.astimezone(CHINA)
    day = local.date() + timedelta(days=local.time() >= SAMPLE_HOURS[-1][1])
    while not chinese_calendar.is_workday(day):
        day += timedelta(days=1)
    for _ in range(limit.amount):
        day += timedelta(days=1)
        while not chinese_calendar.is_workday(day):
            day += timedelta(days=1)
    assert CALENDAR.add(start, limit) == datetime.combine(day, SAMPLE_HOURS[-1][1], CHINA)


@given(moments, working_days)
def test_a_unit_has_at_least_the_days_it_was_given_and_less_than_one_more(start: datetime, limit: Limit) -> None:
    day = walked(datetime(2026, 11, 23, tzinfo=CHINA), datetime(2026, 11, 24, tzinfo=CHINA))
    given_time = CALENDAR.elapsed(start, CALENDAR.add(start, limit))
    assert limit.amount * day <= given_time <= (limit.amount + 1) * day


@given(moments, moments, limits)
def test_who_starts_later_is_not_due_earlier(one: datetime, other: datetime, limit: Limit) -> None:
    earlier, later = sorted((one, other))
    assert CALENDAR.add(earlier, limit) <= CALENDAR.add(later, limit)


@given(moments, limits)
def test_a_longer_limit_ends_later(start: datetime, limit: Limit) -> None:
    assert CALENDAR.add(start, limit) < CALENDAR.add(start, Limit(limit.amount + 1, limit.unit))


@given(moments, limits)
def test_the_end_lies_in_working_time_unless_the_limit_is_nothing(start: datetime, limit: Limit) -> None:
    end = CALENDAR.add(start, limit)
    open_now = any(opens < end <= closes for opens, closes in open_hours(end.astimezone(CHINA).date()))
    assert open_now or (limit.amount == 0 and end == start)


@given(limits)
def test_a_limit_is_read_back_in_both_languages(limit: Limit) -> None:
    assert Limit.parse(str(limit)) == Limit.parse(limit.chinese) == limit
