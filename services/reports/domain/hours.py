"""When a rule holds: always, by the work calendar, or in windows of the week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum

from shared.clock import CHINA
from shared.district.names import Name
from shared.workdays import WorkCalendar

_DAY = 24 * 60
_WEEK = 7 * _DAY
_TICK = timedelta(microseconds=1)


class Hours(StrEnum):
    """When a rule holds, by the work calendar."""

    ALWAYS = "always"
    WORKING = "working-hours"
    OUTSIDE = "outside-working-hours"


@dataclass(frozen=True)
class Window:
    """Hours of the week in Asia/Shanghai: on each of `days` (1 Monday to 7 Sunday) from `opens`, in whole minutes.

    `closes` is exclusive; when it is not later than `opens`, it is that of the next day. Holidays change nothing.
    Raises ValueError for days and times that are none.
    """

    days: tuple[int, ...]
    opens: time
    closes: time

    def __post_init__(self) -> None:
        if not self.days or len(set(self.days)) < len(self.days) or not set(self.days) <= set(range(1, 8)):
            raise ValueError("days are some of 1 (Monday) to 7 (Sunday), each once")
        for edge in (self.opens, self.closes):
            if edge.tzinfo is not None or edge != edge.replace(second=0, microsecond=0):
                raise ValueError("times are whole minutes of Asia/Shanghai, like 22:00")

    def covers(self, minute: int) -> bool:
        """Whether it holds in a minute of the week, counted from Monday, 00:00."""
        length = (_minute(self.closes) - _minute(self.opens) - 1) % _DAY + 1
        return any((minute - start) % _WEEK < length for start in self.starts)

    def overlaps(self, other: Window) -> bool:
        """Whether both hold at some time."""
        return any(other.covers(start) for start in self.starts) or any(self.covers(start) for start in other.starts)

    @property
    def starts(self) -> list[int]:
        """The minutes of the week in which it opens."""
        return [(day - 1) * _DAY + _minute(self.opens) for day in self.days]


When = Hours | tuple[Window, ...]


def holds(when: When, at: datetime, calendar: WorkCalendar) -> bool:
    """Whether a moment (aware) is among the hours. Raises CalendarEnds for working hours of an unknown year."""
    if when is Hours.ALWAYS:
        return True
    if isinstance(when, Hours):
        worked = calendar.elapsed(at, at + _TICK) > timedelta(0)
        return worked is (when is Hours.WORKING)
    local = at.astimezone(CHINA)
    minute = (local.isoweekday() - 1) * _DAY + _minute(local.time())
    return any(window.covers(minute) for window in when)


def closeness(when: When) -> int:
    """The smaller, the closer: windows, then working hours or the time outside of them, then always."""
    if isinstance(when, Hours):
        return 2 if when is Hours.ALWAYS else 1
    return 0


def collide(one: When, other: When) -> bool:
    """Whether both hold at some time and neither is closer."""
    if isinstance(one, Hours) or isinstance(other, Hours):
        return one == other
    return any(window.overlaps(another) for window in one for another in other)


_HOURS = {
    Hours.WORKING: Name("，工作时间内", ", in working hours"),
    Hours.OUTSIDE: Name("，工作时间外", ", outside working hours"),
    Hours.ALWAYS: Name("", ""),
}
_DAYS_ZH = ("周一", "周二", "周三", "周四", "周五", "周六", "周日")
_DAYS_EN = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def in_words(when: When) -> Name:
    """The hours as an addition to a sentence, its comma included; nothing for always."""
    if isinstance(when, Hours):
        return _HOURS[when]
    windows = [_window_in_words(window) for window in when]
    return Name("，" + "、".join(each.zh for each in windows), ", " + ", ".join(each.en for each in windows))


def _window_in_words(window: Window) -> Name:
    opens, closes = f"{window.opens:%H:%M}", f"{window.closes:%H:%M}"
    until = Name(f"次日{closes}", f"{closes} the next day") if window.closes <= window.opens else Name(closes, closes)
    zh = f"{_days(window, _DAYS_ZH, '每天', '、')}{opens}至{until.zh}"
    return Name(zh, f"{_days(window, _DAYS_EN, 'daily', '/')} {opens} to {until.en}")


def _days(window: Window, names: Sequence[str], all_days: str, between: str) -> str:
    return all_days if len(window.days) == len(names) else between.join(names[day - 1] for day in sorted(window.days))


def _minute(of_day: time) -> int:
    return of_day.hour * 60 + of_day.minute
