"""Months as people count them: `YYYY-MM`, in Asia/Shanghai. Pure."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime

from shared.clock import CHINA


def month_of(moment: datetime) -> str:
    """The month a moment is in."""
    return f"{moment.astimezone(CHINA):%Y-%m}"


def shifted(month: str, by: int) -> str:
    """The month so many months later; earlier where `by` is below 0."""
    year, number = map(int, month.split("-"))
    count = year * 12 + number - 1 + by
    return f"{count // 12:04}-{count % 12 + 1:02}"


def next_month(month: str) -> str:
    """The month after."""
    return shifted(month, 1)


def previous_month(month: str) -> str:
    """The month before."""
    return shifted(month, -1)


def months_until(month: str, count: int) -> list[str]:
    """The month and those before it, `count` in all, newest first."""
    return [shifted(month, -back) for back in range(count)]


def bounds(month: str) -> tuple[datetime, datetime]:
    """The first moment of a month and that of the next, in UTC."""
    first, after = (
        datetime.fromisoformat(f"{each}-01").replace(tzinfo=CHINA).astimezone(UTC)
        for each in (month, next_month(month))
    )
    return first, after


def same_day(day: date, by: int) -> date:
    """The same day so many months later (or earlier); the last of the month where that has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + by, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
