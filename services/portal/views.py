"""What pages and their JSON twins ask for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pydantic import BaseModel

from services.portal.district import District, Name
from services.portal.domain import FULL_SCORE, CaseView, EntryView, StandingView, ranked
from services.portal.repo import CASES, ENTRIES, NEWEST, STANDINGS
from shared.clock import CHINA
from shared.contracts.reports import CaseState, Kind
from shared.readmodel import Generation
from shared.store import Store
from shared.store.collection import Filter

PAGE = 30
_CURSOR = re.compile(r"(\d{1,15})-(.{1,100})")


class Place(BaseModel):
    """A unit's place in a period: among all units, and among those of its group."""

    rank: int
    group_rank: int
    unit: str
    name: Name
    group: str
    score: Decimal
    points_lost: Decimal
    entries: int
    changed_at: datetime | None


class Ranking(BaseModel):
    """All units of the district in a period, best first."""

    period: str
    standings: list[Place]


@dataclass(frozen=True)
class Wanted:
    """Which cases a reader asks for; `after` is the cursor of the page before."""

    state: CaseState | None = None
    kind: Kind | None = None
    unit: str = ""
    community: str = ""
    category: str = ""
    overdue: bool = False
    after: str = ""

    def filter(self, now: datetime) -> Filter:
        named = {"unit": self.unit, "community": self.community, "category": self.category}
        filter: Filter = {field: code for field, code in named.items() if code}
        if self.state is not None:
            filter["state"] = self.state.value
        if self.kind is not None:
            filter["kind"] = self.kind.value
        if self.overdue:
            filter["due_at"] = {"$lt": now}
        if cursor := _CURSOR.fullmatch(self.after):
            moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(cursor[1]))
            filter["$or"] = [
                {"registered_at": {"$lt": moment}},
                {"registered_at": moment, "_id": {"$lt": cursor[2]}},
            ]
        return filter


@dataclass(frozen=True)
class CasePage:
    """Some cases, newest first; `next` is the cursor of the following page, if there is one."""

    cases: Sequence[CaseView]
    next: str | None


@dataclass(frozen=True)
class Figures:
    """The district in three numbers: reported today, overdue now, signed off this month (Asia/Shanghai)."""

    today: int
    overdue: int
    closed: int


@dataclass(frozen=True)
class LedgerPage:
    """Rows of a unit's ledger, newest first; `before` asks for the following page, if there is one."""

    rows: Sequence[EntryView]
    before: int | None


class Views:
    """The live generation of the board."""

    def __init__(self, store: Store, generation: Generation, district: District) -> None:
        self._store = store
        self._cases, self._standings, self._entries = generation(CASES), generation(STANDINGS), generation(ENTRIES)
        self._district = district

    async def case(self, id: str) -> CaseView | None:
        return await self._store.get(self._cases, id)

    async def cases(self, wanted: Wanted, now: datetime, limit: int = PAGE) -> CasePage:
        """Cases that fit, newest first."""
        found = await self._store.find(self._cases, wanted.filter(now), NEWEST, limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        return CasePage(found[:limit], _cursor(last) if last else None)

    async def figures(self, now: datetime) -> Figures:
        midnight = now.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
        return Figures(
            today=await self._store.count(self._cases, {"registered_at": {"$gte": midnight}}),
            overdue=await self._store.count(self._cases, {"due_at": {"$lt": now}}),
            closed=await self._store.count(
                self._cases, {"closed_at": {"$gte": midnight.replace(day=1)}, "kind": {"$ne": Kind.PRAISE.value}}
            ),
        )

    async def ranking(self, period: str) -> Ranking:
        """The ranking of a period; a unit without deductions has the full score."""
        found = {each.unit: each for each in await self._store.find(self._standings, {"period": period})}
        units = self._district.units
        scores = {unit: found[unit].score if unit in found else FULL_SCORE for unit in {*units, *found}}
        groups: dict[str, dict[str, Decimal]] = {}
        for unit, score in scores.items():
            groups.setdefault(self._group(unit), {})[unit] = score
        in_group = {unit: rank for group in groups.values() for rank, unit in ranked(group)}
        standings = [
            Place(
                rank=rank,
                group_rank=in_group[unit],
                unit=unit,
                name=units[unit].name if unit in units else Name(zh=unit, en=unit),
                group=self._group(unit),
                score=plain(scores[unit]),
                points_lost=plain(found[unit].points_lost) if unit in found else Decimal(0),
                entries=found[unit].entries if unit in found else 0,
                changed_at=found[unit].changed_at if unit in found else None,
            )
            for rank, unit in ranked(scores)
        ]
        return Ranking(period=period, standings=standings)

    async def standings(self, unit: str, limit: int = 12) -> list[StandingView]:
        """The unit's months with deductions, newest first."""
        return await self._store.find(self._standings, {"unit": unit}, [("period", -1)], limit)

    async def ledger(self, unit: str, before: int | None, limit: int = PAGE) -> LedgerPage:
        """The unit's ledger, newest row first."""
        filter: Filter = {"unit": unit}
        if before is not None:
            filter["number"] = {"$lt": before}
        rows = await self._store.find(self._entries, filter, [("unit", 1), ("number", -1)], limit + 1)
        return LedgerPage(rows[:limit], rows[limit - 1].number if len(rows) > limit else None)

    async def charges(self, case: str) -> list[EntryView]:
        """What a case has cost units so far."""
        return await self._store.find(self._entries, {"case": case}, [("posted_at", 1)])

    def _group(self, unit: str) -> str:
        return self._district.units[unit].group if unit in self._district.units else ""


def plain(amount: Decimal) -> Decimal:
    """The same amount without zeros that say nothing: 1.50 as 1.5, 1E+2 as 100."""
    return Decimal(f"{amount.normalize():f}")


def _cursor(case: CaseView) -> str:
    milliseconds = (case.registered_at - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
    return f"{milliseconds}-{case.id}"
