"""Clocks in the calendar's own numbers: noon breaks, nights, weekends, make-up days, and rests that do not count."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from services.reports.domain import Clock, Timetable
from shared.contracts.reports import Level, Stage
from shared.workdays import CalendarEnds
from tests.unit.reports.cases import CALENDAR, DUE, MILLISECOND, MONDAY_NINE, TERMS, TIMETABLE, china

BLUE, ORANGE, RED = Level.BLUE, Level.ORANGE, Level.RED


def clock(limit: str, start: str = "03-02 09:00") -> Clock:
    return TIMETABLE.clock(Stage.RECTIFY, limit, china(start))


def answered(clock: Clock, now: datetime) -> list[tuple[Level | None, datetime, int]]:
    return [(moment.level, moment.at, moment.minutes) for moment in clock.reached(now)]


@pytest.mark.parametrize(
    ("limit", "start", "soon", "due", "orange", "red"),
    [
        # 4 hours of work: at noon 3 are over; 7 more end the next afternoon, 21 (three days) later.
        ("4 work-hours", "03-02 09:00", "03-02 12:00", "03-02 15:00", "03-03 15:00", "03-05 15:00"),
        # Over the noon break: 11:30 to 12:00 and 14:00 to 15:30.
        ("2 work-hours", "03-02 11:30", "03-02 15:00", "03-02 15:30", "03-03 15:30", "03-05 15:30"),
        # At night nothing runs: it starts at nine.
        ("4 work-hours", "03-02 21:00", "03-03 12:00", "03-03 15:00", "03-04 15:00", "03-06 15:00"),
        # Over an ordinary weekend.
        ("4 work-hours", "03-06 16:00", "03-09 10:00", "03-09 11:00", "03-10 11:00", "03-12 11:00"),
        # Saturday 28 February is worked for the Spring Festival.
        ("4 work-hours", "02-27 16:00", "02-28 10:00", "02-28 11:00", "03-02 11:00", "03-04 11:00"),
        # The day of the start is left out; of 4 + 7 + 7 hours 13.5 are over on the third day at half past eleven.
        ("2 working days", "03-02 14:00", "03-04 11:30", "03-04 18:00", "03-05 18:00", "03-09 18:00"),
        # 1 to 7 October is free, Saturday 10 October is worked.
        ("3 working days", "09-30 09:00", "10-09 18:00", "10-10 18:00", "10-12 18:00", "10-14 18:00"),
    ],
)
def test_what_is_told_when(limit: str, start: str, soon: str, due: str, orange: str, red: str) -> None:
    moments = clock(limit, start).ahead
    assert [(moment.level, moment.at) for moment in moments] == [
        (None, china(soon)),
        (BLUE, china(due)),
        (ORANGE, china(orange)),
        (RED, china(red)),
    ]
    assert [moment.minutes for moment in moments[1:]] == [0, 7 * 60, 21 * 60]


def test_a_warning_tells_the_working_time_that_is_over() -> None:
    assert answered(clock("4 work-hours"), china("03-02 13:00")) == [(None, china("03-02 12:00"), 180)]
    assert answered(clock("2 working days", "03-02 14:00"), china("03-04 12:00")) == [(None, china("03-04 11:30"), 810)]


def test_each_is_told_once_and_not_before_its_moment() -> None:
    limit = clock("4 work-hours")
    assert answered(limit, china("03-02 12:00") - MILLISECOND) == []
    assert [level for level, _, _ in answered(limit, china("03-02 12:00"))] == [None]
    assert answered(limit, DUE - MILLISECOND) == []
    assert answered(limit, DUE) == [(BLUE, DUE, 0)]
    for _ in range(2):
        assert answered(limit, DUE) == []
    assert answered(limit, china("03-03 15:00")) == [(ORANGE, china("03-03 15:00"), 420)]
    assert answered(limit, china("03-31 15:00")) == [(RED, china("03-05 15:00"), 1260)]
    assert limit.next_at is None
    assert answered(limit, china("12-31 15:00")) == []


def test_who_comes_late_is_told_every_level_and_no_warning() -> None:
    limit = clock("4 work-hours")
    assert [level for level, _, _ in answered(limit, china("03-31 09:00"))] == [BLUE, ORANGE, RED]


def test_a_clock_set_back_tells_nothing_again() -> None:
    limit = clock("4 work-hours")
    answered(limit, DUE)
    assert answered(limit, MONDAY_NINE) == []
    assert answered(limit, DUE) == []


@pytest.mark.parametrize("limit", ["0 work-hours", "1 working day"])
def test_a_share_of_the_limit_is_counted_in_working_time(limit: str) -> None:
    """Nothing is over of a limit that has no length; a day from Saturday on is that of Monday and Tuesday."""
    saturday = clock(limit, "03-07 10:00")
    moments = [moment.at for moment in saturday.ahead if moment.level is None]
    assert moments == ([] if limit == "0 work-hours" else [china("03-10 14:30")])


def test_moments_are_whole_milliseconds_whatever_the_share() -> None:
    odd = Timetable(CALENDAR, replace(TERMS, due_soon=Decimal("0.3333333333")))
    for moment in odd.clock(Stage.VERIFY, "1 work-hours", MONDAY_NINE + MILLISECOND).ahead:
        assert moment.at.microsecond % 1000 == 0


@pytest.mark.parametrize(
    ("stopped", "resumed", "soon", "due", "orange"),
    [
        # An hour of work.
        ("03-02 10:00", "03-02 11:00", "03-02 15:00", "03-02 16:00", "03-03 16:00"),
        # From half past eleven over the noon break: half an hour.
        ("03-02 11:30", "03-02 14:00", "03-02 14:30", "03-02 15:30", "03-03 15:30"),
        # A night and a weekend are no working time.
        ("03-02 10:00", "03-02 10:00", "03-02 12:00", "03-02 15:00", "03-03 15:00"),
        # From Monday to Wednesday: two days of work.
        ("03-02 10:00", "03-04 10:00", "03-04 12:00", "03-04 15:00", "03-05 15:00"),
        # The clock of the machine was set back meanwhile.
        ("03-02 10:00", "03-02 09:00", "03-02 12:00", "03-02 15:00", "03-03 15:00"),
    ],
)
def test_a_rest_puts_off_everything_ahead(stopped: str, resumed: str, soon: str, due: str, orange: str) -> None:
    limit = clock("4 work-hours")
    limit.stop(china(stopped))
    assert limit.next_at is None
    assert answered(limit, china("12-01 09:00")) == []
    limit.go_on(china(resumed), CALENDAR)
    assert limit.due_at == china(due)
    assert [moment.at for moment in limit.ahead[:3]] == [china(soon), china(due), china(orange)]
    assert [moment.minutes for moment in limit.ahead[:3]] == [180, 0, 420], "the rest is no working time"


def test_a_rest_over_a_weekend_costs_nothing() -> None:
    limit = clock("4 work-hours", "03-06 16:00")
    limit.stop(china("03-06 18:00"))
    limit.go_on(china("03-09 08:59"), CALENDAR)
    assert limit.due_at == china("03-09 11:00")


def test_a_make_up_saturday_in_a_rest_counts_as_the_working_day_it_is() -> None:
    limit = clock("4 work-hours", "02-27 16:00")
    limit.stop(china("02-27 18:00"))
    limit.go_on(china("03-02 09:00"), CALENDAR)
    assert limit.due_at == china("03-02 11:00")


def test_a_limit_that_had_run_out_before_the_rest_keeps_its_end() -> None:
    limit = clock("4 work-hours")
    answered(limit, DUE)
    limit.level = BLUE
    limit.stop(china("03-02 16:00"))
    limit.go_on(china("03-04 16:00"), CALENDAR)
    assert limit.due_at == DUE
    assert answered(limit, china("03-05 15:00")) == [(ORANGE, china("03-05 15:00"), 420)], "7 hours at work, not 21"


def test_a_clock_that_runs_is_not_moved_by_going_on() -> None:
    limit = clock("4 work-hours")
    limit.go_on(china("03-04 10:00"), CALENDAR)
    assert limit == clock("4 work-hours")


def test_a_held_clock_tells_nothing_and_runs_on() -> None:
    limit = clock("4 work-hours")
    limit.held = True
    assert (limit.next_at, answered(limit, china("03-04 10:00"))) == (None, [])
    limit.held = False
    assert [level for level, _, _ in answered(limit, china("03-04 10:00"))] == [BLUE, ORANGE]


@pytest.mark.parametrize(
    ("limit", "more", "soon", "due", "orange"),
    [
        # Eight hours in all, of which six are over at five in the afternoon.
        ("4 work-hours", "4 work-hours", "03-02 17:00", "03-03 10:00", "03-04 10:00"),
        # Two days that ended on Wednesday evening, and two more: Thursday and Friday. 26 of 35 hours and a quarter.
        ("2 working days", "2 working days", "03-05 16:15", "03-06 18:00", "03-09 18:00"),
        ("4 work-hours", "1 working day", "03-03 14:30", "03-03 18:00", "03-04 18:00"),
    ],
)
def test_more_time_is_counted_from_the_old_end(limit: str, more: str, soon: str, due: str, orange: str) -> None:
    longer = TIMETABLE.extended(clock(limit), more, china("03-02 14:30"))
    assert longer.due_at == china(due)
    assert [moment.at for moment in longer.ahead[1:3]] == [china(due), china(orange)]
    assert longer.ahead[0].level is None
    assert longer.ahead[0].at == china(soon)


def test_more_time_after_a_rest_does_not_count_the_rest_as_work() -> None:
    limit = clock("4 work-hours")
    limit.stop(china("03-02 10:00"))
    limit.go_on(china("03-04 10:00"), CALENDAR)
    longer = TIMETABLE.extended(limit, "4 work-hours", china("03-04 11:00"))
    assert longer.due_at == china("03-05 10:00")
    assert (longer.ahead[0].at, longer.ahead[0].minutes) == (china("03-04 17:00"), 360)


def test_a_warning_that_is_over_is_not_given_again_for_more_time() -> None:
    longer = TIMETABLE.extended(clock("2 working days"), "1 work-hours", china("03-04 17:00"))
    assert [moment.level for moment in longer.ahead] == [BLUE, ORANGE, RED]


def test_a_ladder_in_working_days_counts_from_the_evening_on_which_the_limit_ends() -> None:
    by_days = Timetable(CALENDAR, replace(TERMS, orange="1 working day", red="3 working days"))
    blue, orange, red = by_days.clock(Stage.RECTIFY, "2 working days", MONDAY_NINE).ahead[1:]
    assert (blue.at, orange.at, red.at) == (china("03-04 18:00"), china("03-05 18:00"), china("03-09 18:00"))
    assert (orange.minutes, red.minutes) == (7 * 60, 21 * 60)


def test_a_limit_until_a_day_that_somebody_named() -> None:
    review = TIMETABLE.until(Stage.REVIEW, MONDAY_NINE, china("03-08 10:00"))
    assert review.due_at == china("03-08 10:00"), "a Sunday, if that is what was said"
    assert [moment.at for moment in review.ahead] == [
        china("03-05 16:15"),
        china("03-08 10:00"),
        china("03-09 18:00"),
        china("03-11 18:00"),
    ]


@pytest.mark.parametrize(
    ("limit", "moment", "passed"),
    [
        ("1 working day", china("03-03 18:00"), False),
        ("1 working day", china("03-03 18:00") + MILLISECOND, True),
        ("4 work-hours", DUE, False),
        ("4 work-hours", DUE + MILLISECOND, True),
    ],
)
def test_whether_a_time_is_over(limit: str, moment: datetime, passed: bool) -> None:
    assert TIMETABLE.passed(limit, MONDAY_NINE, moment) is passed


def test_beyond_the_calendar_nothing_is_guessed() -> None:
    with pytest.raises(CalendarEnds):
        TIMETABLE.until(Stage.REVIEW, MONDAY_NINE, datetime.fromisoformat("2099-01-01T00:00:00Z"))
    with pytest.raises(CalendarEnds):
        TIMETABLE.extended(clock("4 work-hours"), "9999 working days", MONDAY_NINE)
