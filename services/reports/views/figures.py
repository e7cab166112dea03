"""The figures of a period, counted where the cases are (`domain/figures.py` says what they mean)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from services.reports.domain import lookup as by
from services.reports.domain.figures import Counts, Rates
from services.reports.repo import CASES
from services.reports.views.filters import STATES
from services.reports.views.names import CHANNELS_ZH, Names
from shared.auth import Principal
from shared.clock import CHINA
from shared.contracts.reports import CaseState, Channel, Kind
from shared.errors import Invalid
from shared.roles import STAFF
from shared.store import Document, Store
from shared.store.collection import Filter

PERIOD_LIMIT = 366
"""Days of a period."""
_NOT_DUE = (CaseState.SUSPENDED, CaseState.WAITING, CaseState.MERGED, CaseState.REJECTED)


class Dimension(StrEnum):
    """By what the figures are told apart; a case belongs to the unit that leads."""

    UNIT = "unit"
    CATEGORY = "category"
    COMMUNITY = "community"
    CHANNEL = "channel"


_FIELDS = {
    Dimension.UNIT: "$unit",
    Dimension.CATEGORY: "$category",
    Dimension.COMMUNITY: "$place.community",
    Dimension.CHANNEL: "$channel",
}


@dataclass(frozen=True)
class Period:
    """Days in Asia/Shanghai, the last included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        """Raises Invalid (period-backwards, period-too-long)."""
        if self.last < self.first:
            raise Invalid("period-backwards", field="to")
        if (self.last - self.first).days >= PERIOD_LIMIT:
            raise Invalid("period-too-long", field="to", limit=PERIOD_LIMIT)

    @property
    def start(self) -> datetime:
        return datetime.combine(self.first, time(), CHINA)

    @property
    def end(self) -> datetime:
        """The first moment that is not part of it."""
        return datetime.combine(self.last + timedelta(days=1), time(), CHINA)


class Line(BaseModel):
    """The figures of a unit, category, community or channel; without a code, of cases that have none yet."""

    code: str | None
    name: str
    cases: Counts
    rates: Rates


class Figures(BaseModel):
    """The figures of a period: line by line, and of all lines together."""

    first: date
    last: date
    by: Dimension
    lines: list[Line]
    total: Line


async def figures(store: Store, names: Names, caller: Principal, period: Period, dimension: Dimension) -> Figures:
    """The period's figures: staff sees all units, others what their own unit leads."""
    unit = None if caller.has(*STAFF) else caller.unit or ""
    problems: Filter = {"kind": Kind.PROBLEM.value} | ({} if unit is None else {"unit": unit})
    registered: Filter = {
        "lists": {"$in": [by.in_state(unit, state) for state in STATES]},
        "registered_at": {"$gte": period.start, "$lt": period.end},
        "parent": None,
        **problems,
    }
    due: Filter = {
        "target_at": {"$gte": period.start, "$lt": period.end},
        "state": {"$nin": [state.value for state in _NOT_DUE]},
        **problems,
    }
    counted = await asyncio.gather(
        _tallies(store, registered, dimension, _REGISTERED), _tallies(store, due, dimension, _due(period.end))
    )
    tallies: dict[str | None, Counts] = defaultdict(Counts)
    for code, tally in (each for cohort in counted for each in cohort.items()):
        tallies[code] += tally
    codes = sorted(tallies, key=lambda code: code or "")
    lines = [_line(code, _name(code, dimension, names), tallies[code]) for code in codes]
    total = _line(None, "合计", sum(tallies.values(), Counts()))
    return Figures(first=period.first, last=period.last, by=dimension, lines=lines, total=total)


def _if(*conditions: Any) -> Document:
    return {"$sum": {"$cond": [{"$and": list(conditions)}, 1, 0]}}


def _set(field: str) -> Document:
    return {"$gt": [field, None]}


_REGISTERED: Document = {
    "received": {"$sum": 1},
    "filed": _if(_set("$filed_at")),
    "returned": _if({"$gt": ["$returns", 0]}),
    "repeats": _if(_set("$repeat_of")),
}


def _due(end: datetime) -> Document:
    closed = [_set("$closed_at"), {"$lt": ["$closed_at", end]}]
    late = _set("$overdue_at")
    at_once = [{"$eq": ["$reworks", 0]}, {"$eq": ["$reopens", 0]}]
    return {
        "due": {"$sum": 1},
        "closed": _if(*closed),
        "closed_in_time": _if(*closed, {"$not": [late]}),
        "late": _if(late),
        "extended": _if({"$gt": ["$extensions", 0]}),
        "reworked": _if({"$gt": ["$reworks", 0]}),
        "solved_at_once": _if(*closed, *at_once),
        "rated": _if({"$ne": ["$satisfied", None]}),
        "satisfied": _if({"$eq": ["$satisfied", True]}),
        "resolved": _if({"$eq": ["$resolved", True]}),
    }


async def _tallies(store: Store, filter: Filter, dimension: Dimension, counts: Document) -> dict[str | None, Counts]:
    grouped = await store.aggregate(CASES, [{"$match": filter}, {"$group": {"_id": _FIELDS[dimension], **counts}}])
    return {each.pop("_id"): Counts(**each) for each in grouped}


def _line(code: str | None, name: str, tally: Counts) -> Line:
    return Line(code=code, name=name, cases=tally, rates=Rates.of(tally))


def _name(code: str | None, dimension: Dimension, names: Names) -> str:
    if code is None:
        return "未派遣"
    match dimension:
        case Dimension.UNIT:
            return names.unit(code)
        case Dimension.CATEGORY:
            return names.category(code)
        case Dimension.COMMUNITY:
            return names.community(code)
        case Dimension.CHANNEL:
            return CHANNELS_ZH[Channel(code)]
