"""Codes and days as people write them."""

from __future__ import annotations

import re
from datetime import date, datetime

from shared.clock import CHINA
from shared.errors import Invalid

CODE_LIMIT = 60
YEARS = range(2000, 2100)
"""Years that a day may lie in; another one is a slip."""

_CODE = re.compile(r"\w[\w.·-]*")

_CODE = re.compile(r"\w[\w.·-]*")


def is_code(text: str) -> bool:
    """Whether it is a code of the scheme: letters of any script, digits and `.·-_`."""
    return len(text) <= CODE_LIMIT and _CODE.fullmatch(text) is not None


def code(text: str, field: str) -> str:
    """A code of the scheme. Raises Invalid (code-malformed)."""
    if not is_code(text):
        raise Invalid("code-malformed", field=field, limit=CODE_LIMIT)
    return text


def day(text: str, field: str) -> str:
    """A day as `YYYY-MM-DD`. Raises Invalid (day-unfit)."""
    if not is_day(text):
        raise Invalid("day-unfit", field=field, least=YEARS.start, limit=YEARS.stop - 1)
    return text


def is_day(text: str) -> bool:
    """Whether it is a day of one of `YEARS`, written `YYYY-MM-DD`."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return False
    return day.year in YEARS and day.isoformat() == text


def day_of(moment: datetime) -> str:
    """The day (`YYYY-MM-DD`) of a moment in Asia/Shanghai."""
    return f"{moment.astimezone(CHINA):%Y-%m-%d}"
