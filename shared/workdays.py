"""Time limits in working hours and working days (工作时, 工作日), counted in Asia/Shanghai.

Two rules, after the Civil Code (民法典 art. 201 and 203):

- *Work-hours* run from the start, but only while the offices are open: the limit ends at the earliest moment
  by which that much working time has passed. A limit of 0 ends where it starts.
- *Working days* leave out the day of the start and end when the offices close on the last day. A start
  outside working hours counts from the next working moment, so that a unit always has that many full days.

Which days are worked comes from the State Council's yearly notices (package `chinesecalendar`) and from the
office's own data. Nothing is guessed silently past the last known year: a calendar that goes on beyond it counts
by weekdays there, and `is_certain` says of a moment whether anything was assumed.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from hashlib import sha256
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import chinese_calendar

from shared.clock import CHINA
from shared.errors import Invalid

Hours = tuple[tuple[time, time], ...]

SAMPLE_HOURS: Hours = ((time(9), time(12)), (time(14), time(18)))
"""Opening hours of a working day, in Asia/Shanghai. 示例: no source states the district's own."""

SHIPPED = Path(__file__).with_suffix(".json")
"""The calendar data that comes with the release."""

ASSUMED_YEARS = 20
"""Years after the last known one that the office's calendar goes on by weekdays: a report must not fail for a notice
that is not out yet."""

_MICROSECOND = timedelta(microseconds=1)


class CalendarEnds(Exception):
    """The calendar does not know a year that it was asked about: an operator must add it.

    Not the caller's fault, so not a DomainError. `year` is the one that is missing.
    """

    def __init__(self, year: int, first: int, last: int) -> None:
        super().__init__(
            f"工作日历只有{first}–{last}年，不含{year}年：请在工作日历文件中补充该年的节假日与调休安排。"
            f" The work calendar covers {first}-{last}, not {year}: add that year's holidays and make-up days"
            " to the calendar file."
        )
        self.year = year


class LimitUnit(StrEnum):
    """What a time limit is counted in."""

    WORK_HOURS = "work-hours"
    WORKING_DAYS = "working-days"


_READABLE = re.compile(r"(\d{1,4})\s*(?:(work[- ]hours?|个?工作时)|(?:working[- ]days?|个?工作日))")


@dataclass(frozen=True)
class Limit:
    """A time limit: whole work-hours (0 means at once) or whole working days (1 or more)."""

    amount: int
    unit: LimitUnit

    def __post_init__(self) -> None:
        if self.amount < (0 if self.unit is LimitUnit.WORK_HOURS else 1):
            raise Invalid("limit-too-small", field="amount", given=self.amount)

    @classmethod
    def parse(cls, text: str) -> Limit:
        """The limit in `4 work-hours`, `3 working days`, `4个工作时` or `3个工作日`.

        Raises Invalid `limit-unreadable` for anything else ("2 hours" is not a unit of the field), and
        `limit-too-small` for 0 working days.
        """
        match = _READABLE.fullmatch(text.strip())
        if match is None:
            raise Invalid("limit-unreadable", field="limit", given=text)
        return cls(int(match[1]), LimitUnit.WORK_HOURS if match[2] else LimitUnit.WORKING_DAYS)

    @property
    def chinese(self) -> str:
        """How the office writes it: `4个工作时`, `3个工作日`."""
        return f"{self.amount}个{'工作时' if self.unit is LimitUnit.WORK_HOURS else '工作日'}"

    def __str__(self) -> str:
        unit = "work-hour" if self.unit is LimitUnit.WORK_HOURS else "working day"
        return f"{self.amount} {unit}{'' if self.amount == 1 else 's'}"


class WorkCalendar:
    """Which moments are working time. Immutable; build one per process and share it.

    `overrides` say of single days whether they are worked and win over every other source.
    `complete_years` are years whose holidays and make-up days the overrides give in full, which makes them
    known beyond what `chinesecalendar` covers; weekends need not be listed. `provisional_years` are the same,
    but stand in for a notice that is not out yet: once `chinesecalendar` knows such a year, its overrides are
    dropped. For `assumed_years` after the last known one every weekday is taken for worked.

    Raises ValueError for data that cannot be meant: hours that overlap, a gap between the known years, an
    override in a year that nobody declared known.
    """

    def __init__(
        self,
        overrides: Mapping[date, bool] | None = None,
        hours: Hours = SAMPLE_HOURS,
        *,
        complete_years: Collection[int] = (),
        provisional_years: Collection[int] = (),
        assumed_years: int = 0,
    ) -> None:
        published = {day.year for day in chinese_calendar.holidays}
        years = sorted(published.union(complete_years, provisional_years))
        if years[-1] - years[0] >= len(years):
            raise ValueError(f"the work calendar has gaps between its years: {years}")
        self.first_known_year, self.last_known_year = years[0], years[-1]
        self.provisional_years = frozenset(provisional_years) - published - frozenset(complete_years)
        """Known years that rest on a guess: an alarm should stand until the office has replaced them."""
        self._last_year = self.last_known_year + assumed_years

        superseded = frozenset(provisional_years) - self.provisional_years - frozenset(complete_years)
        kept = {day: works for day, works in (overrides or {}).items() if day.year not in superseded}
        if astray := sorted(day for day in kept if day.year not in years):
            raise ValueError(f"overrides in years that are not declared complete: {astray}")
        self._workdays = _workdays(years[0], self._last_year, kept)
        self._spans = _spans(hours)
        self._day_length = self._spans[-1].worked_before + self._spans[-1].length

    @classmethod
    def from_file(cls, path: Path = SHIPPED) -> WorkCalendar:
        """The calendar of a file as `from_json` takes it; without a path, the one of this release.

        Raises what `from_json` raises, and OSError when the file cannot be read.
        """
        return cls.from_json(json.loads(path.read_text(encoding="utf-8")))

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> WorkCalendar:
        """The calendar that the office describes.

        `{"hours": [["09:00", "12:00"], …]?, "years": [{"year", "holidays", "make_up_days", "provisional",
        "source"}, …]}`. A year that `chinesecalendar` knows may be listed too: its days are then corrections.
        Raises ValueError or KeyError for another shape.
        """
        overrides: dict[date, bool] = {}
        for year in content["years"]:
            overrides.update(_listed_days(year))
        return cls(
            overrides,
            tuple((time.fromisoformat(opens), time.fromisoformat(closes)) for opens, closes in content["hours"])
            if "hours" in content
            else SAMPLE_HOURS,
            complete_years=[year["year"] for year in content["years"] if not year["provisional"]],
            provisional_years=[year["year"] for year in content["years"] if year["provisional"]],
            assumed_years=ASSUMED_YEARS,
        )

    @property
    def certain_until(self) -> datetime:
        """The first moment (UTC) of the first year that rests on a guess, or that nobody knows."""
        years = range(self.first_known_year, self.last_known_year + 2)
        unsure = next(year for year in years if year in self.provisional_years or year > self.last_known_year)
        return datetime(unsure, 1, 1, tzinfo=CHINA).astimezone(UTC)

    def knows(self, moment: datetime) -> bool:
        """Whether the year of the moment is one that somebody described, be it by a guess."""
        try:
            return self.first_known_year <= moment.astimezone(CHINA).year <= self.last_known_year
        except OverflowError:  # the last hours of the last year there is
            return False

    def is_certain(self, moment: datetime) -> bool:
        """Whether all working time up to the moment is known: no year is guessed or assumed."""
        return moment < self.certain_until

    @property
    def fingerprint(self) -> str:
        """Equal for calendars that count alike."""
        facts = (self._workdays, self._spans, sorted(self.provisional_years), self.last_known_year)
        return sha256(repr(facts).encode()).hexdigest()

    def is_workday(self, day: date) -> bool:
        """Whether the offices work on this day in Asia/Shanghai. Raises CalendarEnds for a year it does not cover."""
        self._require(day.year)
        ordinal = day.toordinal()
        index = bisect_left(self._workdays, ordinal)
        return index < len(self._workdays) and self._workdays[index] == ordinal

    def add(self, start: datetime, limit: Limit) -> datetime:
        """When a limit that starts at `start` (aware) ends, in UTC; the module's docstring gives the rules.

        Raises CalendarEnds when the start or the end lies outside of what the calendar covers.
        """
        index, offset = self._locate(start)
        if limit.unit is LimitUnit.WORKING_DAYS:
            closed = offset >= self._spans[-1].closes
            return self._moment(index + closed + limit.amount, self._spans[-1].closes)
        return self.forward(start, timedelta(hours=limit.amount))

    def forward(self, start: datetime, worked: timedelta) -> datetime:
        """The earliest moment, in UTC, by which so much working time has passed since `start` (aware).

        Raises CalendarEnds when the start or the end lies outside of what the calendar covers.
        """
        if worked <= timedelta(0):
            return start.astimezone(UTC)
        target = self._position(*self._locate(start)) + worked // _MICROSECOND
        # One microsecond less, then one more: due at noon means noon, not when the afternoon begins.
        days, worked_then = divmod(target - 1, self._day_length)
        span = next(span for span in reversed(self._spans) if span.worked_before <= worked_then)
        return self._moment(days, span.opens + worked_then - span.worked_before + 1)

    def elapsed(self, start: datetime, end: datetime) -> timedelta:
        """The working time between two aware moments; negative when `end` comes first.

        Raises CalendarEnds when either lies outside of what the calendar covers.
        """
        return (self._position(*self._locate(end)) - self._position(*self._locate(start))) * _MICROSECOND

    def _require(self, year: int) -> None:
        if not self.first_known_year <= year <= self._last_year:
            raise CalendarEnds(year, self.first_known_year, self.last_known_year)

    def _locate(self, moment: datetime) -> tuple[int, int]:
        """Index of the moment's workday and microseconds since midnight; on a free day, 0 of the next one."""
        if moment.tzinfo is None:
            raise ValueError("working time needs an aware datetime")
        local = moment.astimezone(CHINA)
        self._require(local.year)
        ordinal = local.toordinal()
        index = bisect_left(self._workdays, ordinal)
        if index == len(self._workdays) or self._workdays[index] != ordinal:
            return index, 0
        seconds = (local.hour * 60 + local.minute) * 60 + local.second
        return index, seconds * 1_000_000 + local.microsecond

    def _position(self, index: int, offset: int) -> int:
        """Microseconds of working time since the calendar began."""
        worked = sum(min(max(offset - span.opens, 0), span.length) for span in self._spans)
        return index * self._day_length + worked

    def _moment(self, index: int, offset: int) -> datetime:
        """The moment, in UTC, so many microseconds into a workday."""
        if index >= len(self._workdays):
            raise CalendarEnds(self._last_year + 1, self.first_known_year, self.last_known_year)
        midnight = datetime.combine(date.fromordinal(self._workdays[index]), time(), CHINA)
        return (midnight + offset * _MICROSECOND).astimezone(UTC)


@dataclass(frozen=True)
class _Span:
    """One stretch of opening hours, in microseconds since midnight."""

    opens: int
    closes: int
    worked_before: int

    @property
    def length(self) -> int:
        return self.closes - self.opens


def _spans(hours: Hours) -> tuple[_Span, ...]:
    edges = [_microseconds(edge) for span in hours for edge in span]
    if not edges or any(later <= earlier for earlier, later in pairwise(edges)):
        raise ValueError(f"opening hours must be in order and apart: {hours}")
    bounds = list(zip(edges[::2], edges[1::2], strict=True))
    before = accumulate((closes - opens for opens, closes in bounds), initial=0)
    return tuple(_Span(opens, closes, worked) for (opens, closes), worked in zip(bounds, before, strict=False))


def _microseconds(edge: time) -> int:
    return (datetime.combine(date.min, edge) - datetime.combine(date.min, time())) // _MICROSECOND


def _workdays(first_year: int, last_year: int, overrides: Mapping[date, bool]) -> list[int]:
    """Ordinals of all workdays, ascending: a limit in days is then a step in this list."""
    first, last = date(first_year, 1, 1).toordinal(), date(last_year, 12, 31).toordinal()
    days = map(date.fromordinal, range(first, last + 1))
    return [day.toordinal() for day in days if overrides.get(day, _published_workday(day))]


def _published_workday(day: date) -> bool:
    # The package's own is_workday searches all of its days for the known years at every call.
    return day in chinese_calendar.workdays or (day.weekday() < 5 and day not in chinese_calendar.holidays)


def _listed_days(year: Mapping[str, Any]) -> Iterator[tuple[date, bool]]:
    holidays = [date.fromisoformat(day) for day in year["holidays"]]
    make_up_days = [date.fromisoformat(day) for day in year["make_up_days"]]
    if both := set(holidays).intersection(make_up_days):
        raise ValueError(f"both a holiday and a make-up day: {sorted(both)}")
    if astray := [day for day in holidays + make_up_days if day.year != year["year"]]:
        raise ValueError(f"listed under {year['year']}: {astray}")
    yield from ((day, False) for day in holidays)
    yield from ((day, True) for day in make_up_days)
