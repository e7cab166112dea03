"""Windows of the week, across midnight and across Sunday."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.reports.domain.hours import Hours, Window, collide, holds
from shared.workdays import WorkCalendar

CALENDAR = WorkCalendar()
MONDAY, SUNDAY = datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 29, tzinfo=UTC)
minutes = st.integers(0, 24 * 60 - 1).map(lambda minute: time(minute // 60, minute % 60))
windows = st.builds(Window, st.sets(st.integers(1, 7), min_size=1).map(tuple), minutes, minutes)


@pytest.mark.parametrize(
    ("window", "at", "covered"),
    [
        (Window((1,), time(9), time(12)), MONDAY.replace(hour=1), True),
        (Window((1,), time(9), time(12)), MONDAY.replace(hour=4), False),
        (Window((1,), time(22), time(6)), MONDAY.replace(hour=14), True),
        (Window((1,), time(22), time(6)), MONDAY.replace(hour=21, minute=59), True),
        (Window((1,), time(22), time(6)), MONDAY.replace(hour=22), False),
        (Window((7,), time(22), time(6)), SUNDAY.replace(hour=20), True),
        (Window((2,), time(0), time(0)), MONDAY.replace(hour=15, minute=59), False),
        (Window((2,), time(0), time(0)), MONDAY.replace(hour=16), True),
    ],
)
def test_a_window_belongs_to_the_day_it_opens_on_in_the_districts_time(
    window: Window, at: datetime, covered: bool
) -> None:
    assert holds((window,), at, CALENDAR) is covered


@settings(deadline=None)
@given(windows, windows)
def test_two_windows_overlap_exactly_when_some_minute_is_in_both(one: Window, other: Window) -> None:
    together = any(one.covers(minute) and other.covers(minute) for minute in range(7 * 24 * 60))
    assert one.overlaps(other) is together
    assert collide((one,), (other,)) is together


@settings(deadline=None)
@given(windows)
def test_a_window_holds_as_long_as_its_times_say(window: Window) -> None:
    opens, closes = (edge.hour * 60 + edge.minute for edge in (window.opens, window.closes))
    length = closes - opens if closes > opens else closes - opens + 24 * 60
    covered = sum(window.covers(minute) for minute in range(7 * 24 * 60))
    assert covered == length * len(window.days)


def test_hours_of_another_kind_never_collide() -> None:
    assert not collide(Hours.WORKING, Hours.OUTSIDE)
    assert not collide(Hours.ALWAYS, (Window((1,), time(9), time(12)),))


@pytest.mark.parametrize(
    ("days", "opens"), [((), time(9)), ((0,), time(9)), ((8,), time(9)), ((1, 1), time(9)), ((1,), time(9, 0, 30))]
)
def test_days_and_times_that_are_none_are_refused(days: tuple[int, ...], opens: time) -> None:
    with pytest.raises(ValueError, match=r"days are|times are"):
        Window(days, opens, time(12))
