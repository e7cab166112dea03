"""The rules of counting working time, on days whose answer is known."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import chinese_calendar
import pytest

from shared.clock import CHINA
from shared.errors import Invalid
from shared.workdays import CalendarEnds, Limit, LimitUnit, WorkCalendar

CALENDAR = WorkCalendar()


def china(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CHINA)


def due(start: str, limit: str, calendar: WorkCalendar = CALENDAR) -> str:
    end = calendar.add(china(start), Limit.parse(limit))
    assert end.tzinfo is UTC
    return end.astimezone(CHINA).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("text", "amount", "unit", "chinese", "english"),
    [
        ("4 work-hours", 4, LimitUnit.WORK_HOURS, "4个工作时", "4 work-hours"),
        ("1 work-hour", 1, LimitUnit.WORK_HOURS, "1个工作时", "1 work-hour"),
        ("0 work-hours", 0, LimitUnit.WORK_HOURS, "0个工作时", "0 work-hours"),
        ("3 working days", 3, LimitUnit.WORKING_DAYS, "3个工作日", "3 working days"),
        (" 1 working day ", 1, LimitUnit.WORKING_DAYS, "1个工作日", "1 working day"),
        ("4个工作时", 4, LimitUnit.WORK_HOURS, "4个工作时", "4 work-hours"),
        ("15工作日", 15, LimitUnit.WORKING_DAYS, "15个工作日", "15 working days"),
    ],
)
def test_a_limit_is_read_and_written(text: str, amount: int, unit: LimitUnit, chinese: str, english: str) -> None:
    limit = Limit.parse(text)
    assert limit == Limit(amount, unit)
    assert limit.chinese == chinese
    assert str(limit) == english


@pytest.mark.parametrize("text", ["", "2 hours", "2 days", "-1 work-hours", "1.5 working days", "3 working daysx"])
def test_a_limit_in_other_units_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        Limit.parse(text)
    assert (refused.value.code, refused.value.field) == ("limit-unreadable", "limit")


@pytest.mark.parametrize(("amount", "unit"), [(0, LimitUnit.WORKING_DAYS), (-1, LimitUnit.WORK_HOURS)])
def test_a_limit_below_its_least_is_refused(amount: int, unit: LimitUnit) -> None:
    with pytest.raises(Invalid) as refused:
        Limit(amount, unit)
    assert (refused.value.code, refused.value.field) == ("limit-too-small", "amount")


@pytest.mark.parametrize(("days", "day"), [(1, "2026-09-30"), (3, "2026-10-09"), (5, "2026-10-12"), (15, "2026-10-26")])
def test_working_days_step_over_the_national_holiday_and_its_make_up_saturday(days: int, day: str) -> None:
    assert due("2026-09-29 10:00", f"{days} working days") == f"{day} 18:00"


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-11-20 17:59", "2026-11-23 18:00"),  # Friday, still open: Friday is left out
        ("2026-11-20 18:00", "2026-11-24 18:00"),  # Friday, just closed: counts from Monday
        ("2026-11-21 10:00", "2026-11-24 18:00"),  # Saturday: counts from Monday
        ("2026-11-23 00:00", "2026-11-24 18:00"),  # Monday before opening
        ("2026-11-23 12:30", "2026-11-24 18:00"),  # Monday in the noon break
    ],
)
def test_a_working_day_leaves_out_the_day_of_the_start(start: str, end: str) -> None:
    assert due(start, "1 working day") == end


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        ("2026-11-23 09:00", 3, "2026-11-23 12:00"),  # used up at noon: due at noon
        ("2026-11-23 09:00", 4, "2026-11-23 15:00"),
        ("2026-11-23 10:30", 4, "2026-11-23 16:30"),
        ("2026-11-23 13:00", 4, "2026-11-23 18:00"),
        ("2026-11-20 17:00", 4, "2026-11-23 12:00"),
        ("2026-11-21 17:00", 4, "2026-11-23 15:00"),
        ("2026-09-30 16:00", 4, "2026-10-08 11:00"),
        ("2026-11-23 09:00", 7, "2026-11-23 18:00"),
        ("2026-11-23 09:00", 14, "2026-11-24 18:00"),
        ("2026-11-21 03:00", 0, "2026-11-21 03:00"),
    ],
)
def test_work_hours_pass_only_while_the_offices_are_open(start: str, hours: int, end: str) -> None:
    assert due(start, f"{hours} work-hours") == end


def test_a_day_is_a_day_of_asia_shanghai() -> None:
    sunday_in_utc = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)  # Monday 07:00 in Hengyang
    assert CALENDAR.add(sunday_in_utc, Limit.parse("1 work-hour")) == china("2026-11-23 10:00")


def test_elapsed_working_time_is_negative_backwards() -> None:
    friday, monday = china("2026-11-20 17:00"), china("2026-11-23 10:00")
    assert CALENDAR.elapsed(friday, monday) == timedelta(hours=2)
    assert CALENDAR.elapsed(monday, friday) == timedelta(hours=-2)


def test_workdays_are_those_of_the_published_notices() -> None:
    days = [date(2004, 1, 1) + timedelta(step) for step in range((date(2027, 1, 1) - date(2004, 1, 1)).days)]
    for day in days[::3] + days[-365:]:
        assert CALENDAR.is_workday(day) == chinese_calendar.is_workday(day), day
    assert sum(map(CALENDAR.is_workday, days[-365:])) == 248


def test_hours_are_the_offices_choice() -> None:
    calendar = WorkCalendar(hours=((time(8, 30), time(12)), (time(15), time(17, 30))))
    assert due("2026-11-23 08:00", "4 work-hours", calendar) == "2026-11-23 15:30"
    assert due("2026-11-23 08:00", "1 working day", calendar) == "2026-11-24 17:30"


@pytest.mark.parametrize(
    "hours", [(), ((time(9), time(9)),), ((time(14), time(18)), (time(9), time(12))), ((time(18), time(9)),)]
)
def test_hours_that_cannot_be_meant_are_refused(hours: tuple[tuple[time, time], ...]) -> None:
    with pytest.raises(ValueError, match="opening hours"):
        WorkCalendar(hours=hours)


def test_overrides_win_over_the_published_days() -> None:
    snowed_in, at_work = date(2026, 11, 24), date(2026, 11, 28)
    calendar = WorkCalendar({snowed_in: False, at_work: True})
    assert not calendar.is_workday(snowed_in)
    assert calendar.is_workday(at_work)
    assert due("2026-11-23 10:00", "4 working days", calendar) == "2026-11-28 18:00"


def test_past_the_last_known_year_the_calendar_raises() -> None:
    assert (CALENDAR.last_known_year, CALENDAR.provisional_years) == (2026, frozenset())
    assert due("2026-12-30 10:00", "1 working day") == "2026-12-31 18:00"
    with pytest.raises(CalendarEnds, match="2027") as ends:
        CALENDAR.add(china("2026-12-31 10:00"), Limit.parse("1 working day"))
    assert ends.value.year == 2027
    with pytest.raises(CalendarEnds):
        CALENDAR.add(china("2026-12-31 17:00"), Limit.parse("2 work-hours"))
    with pytest.raises(CalendarEnds):
        CALENDAR.add(china("2027-01-04 10:00"), Limit.parse("1 work-hour"))
    with pytest.raises(CalendarEnds):
        CALENDAR.elapsed(china("2026-12-31 10:00"), china("2027-01-01 10:00"))
    with pytest.raises(CalendarEnds, match="2003"):
        CALENDAR.is_workday(date(2003, 12, 31))


def test_the_shipped_calendar_carries_cases_over_the_turn_of_the_year_and_says_that_it_guesses() -> None:
    calendar = WorkCalendar.from_file()
    assert 2027 in calendar.provisional_years
    assert calendar.last_known_year == 2027
    assert due("2026-12-31 10:00", "1 working day", calendar) == "2027-01-04 18:00"
    assert due("2027-02-04 10:00", "1 working day", calendar) == "2027-02-11 18:00"


def test_a_provisional_year_gives_way_to_the_published_one() -> None:
    guess = {date(2026, 10, 10): False, date(2026, 11, 24): False}
    calendar = WorkCalendar(guess, provisional_years=[2026])
    assert calendar.provisional_years == frozenset()
    assert calendar.is_workday(date(2026, 10, 10))
    assert calendar.is_workday(date(2026, 11, 24))


def test_the_offices_file_is_read(tmp_path: Path) -> None:
    content = {
        "hours": [["08:00", "12:00"]],
        "years": [
            {
                "year": 2027,
                "source": "国务院办公厅通知",
                "provisional": False,
                "holidays": ["2027-01-01", "2027-01-04"],
                "make_up_days": ["2027-01-03"],
            }
        ],
    }
    (tmp_path / "calendar.json").write_text(json.dumps(content), encoding="utf-8")
    calendar = WorkCalendar.from_file(tmp_path / "calendar.json")
    assert (calendar.last_known_year, calendar.provisional_years) == (2027, frozenset())
    assert due("2026-12-31 09:00", "1 working day", calendar) == "2027-01-03 12:00"
    assert due("2026-12-31 09:00", "2 working days", calendar) == "2027-01-05 12:00"


@pytest.mark.parametrize(
    ("holidays", "make_up_days", "why"),
    [
        (["2027-01-01"], ["2027-01-01"], "both a holiday and a make-up day"),
        (["2026-01-01"], [], "listed under 2027"),
        (["2027-13-01"], [], "month"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(
    tmp_path: Path, holidays: list[str], make_up_days: list[str], why: str
) -> None:
    year = {"year": 2027, "provisional": False, "holidays": holidays, "make_up_days": make_up_days}
    (tmp_path / "calendar.json").write_text(json.dumps({"years": [year]}), encoding="utf-8")
    with pytest.raises(ValueError, match=why):
        WorkCalendar.from_file(tmp_path / "calendar.json")


def test_known_years_have_no_gaps_and_overrides_lie_in_them() -> None:
    with pytest.raises(ValueError, match="gaps"):
        WorkCalendar(complete_years=[2028])
    with pytest.raises(ValueError, match="not declared"):
        WorkCalendar({date(2027, 1, 1): False})


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        CALENDAR.add(china("2026-11-23 10:00").replace(tzinfo=None), Limit.parse("1 work-hour"))


def test_the_offices_calendar_goes_on_by_weekdays_after_its_last_year_and_says_so() -> None:
    calendar = WorkCalendar.from_file()
    assert due("2027-12-30 17:00", "2 working days", calendar) == "2028-01-03 18:00"
    assert due("2028-02-29 10:00", "4 work-hours", calendar) == "2028-02-29 16:00"
    assert calendar.certain_until == china("2027-01-01 00:00")
    assert calendar.is_certain(china("2026-12-31 23:59"))
    assert not calendar.is_certain(china("2027-01-01 00:00"))


def test_calendars_that_count_alike_have_the_same_fingerprint() -> None:
    assert WorkCalendar.from_file().fingerprint == WorkCalendar.from_file().fingerprint
    assert WorkCalendar().fingerprint != WorkCalendar.from_file().fingerprint
