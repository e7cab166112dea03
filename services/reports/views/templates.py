"""What a case says where a template asks."""

from __future__ import annotations

from datetime import datetime

from services.reports.domain import Case
from services.reports.views.names import Names
from shared.clock import CHINA


def placeholders(case: Case, names: Names, now: datetime) -> dict[str, str]:
    """What the case says where a template asks; what it cannot say is left out. Times are those of Asia/Shanghai."""
    return {
        "case": case.id,
        "category": names.category(case.category),
        "community": names.community(case.place.community),
        "address": case.place.address,
        "unit": names.unit(case.unit or ""),
        "registered": _day(case.registered_at),
        "due": _minute(case.target_at) if case.target_at else "",
        "today": _day(now),
    }


def _day(moment: datetime) -> str:
    local = moment.astimezone(CHINA)
    return f"{local.year}年{local.month}月{local.day}日"


def _minute(moment: datetime) -> str:
    return f"{_day(moment)}{moment.astimezone(CHINA):%H:%M}"
