"""What pages and their JSON twins ask for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pydantic import BaseModel

from services.portal.district import District, Name
from services.portal.domain import FULL_SCORE, CaseView, EntryView, ListView, StandingView, entry_id, ranked
from services.portal.repo import CASES, ENTRIES, LISTS, MEASURES, NEWEST, STANDINGS
from shared.clock import CHINA
from shared.contracts.reports import CaseState, Kind
from shared.contracts.scoring import FactKind, ListKind, MeasureState
from shared.readmodel import Generation
from shared.store import Store
from shared.store.collection import Filter

PAGE = 30
LISTS_PAGE = 10
OPEN = (MeasureState.ISSUED, MeasureState.RECEIVED, MeasureState.REPLIED, MeasureState.HELD)
"""States of a measure that goes on."""
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
    frozen: bool = False


class Ranking(BaseModel):
    """All units of the district in a period, best first; `frozen` when nothing is posted to it any more."""

    period: str
    frozen: bool = False
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
    """Rows of a unit's ledger, newest first; `before` asks for the following page, if there is one.

    `taken_back` says which row took back which of these.
    """

    rows: Sequence[EntryView]
    before: int | None
    taken_back: Mapping[int, int]


@dataclass(frozen=True)
class Share:
    """What one kind of facts cost a unit in a month, in so many rows; less than nothing is a gain."""

    kind: FactKind
    rows: int
    points: Decimal


@dataclass(frozen=True)
class ListPage:
    """Some red and black lists, the last published first; `next` is the cursor of the following page, if any."""

    lists: Sequence[ListView]
    next: str | None


class Views:
    """The live generation of the board."""

    def __init__(self, store: Store, generation: Generation, district: District) -> None:
        self._store = store
        self._cases, self._standings, self._entries = generation(CASES), generation(STANDINGS), generation(ENTRIES)
        self._measures, self._lists = generation(MEASURES), generation(LISTS)
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
                frozen=unit in found and found[unit].frozen,
            )
            for rank, unit in ranked(scores)
        ]
        frozen = bool(found) and all(each.frozen for each in found.values())
        return Ranking(period=period, frozen=frozen, standings=standings)

    async def standings(self, unit: str, limit: int = 12) -> list[StandingView]:
        """The unit's months with deductions, newest first."""
        return await self._store.find(self._standings, {"unit": unit}, [("period", -1)], limit)

    async def ledger(self, unit: str, period: str, before: int | None, limit: int = PAGE) -> LedgerPage:
        """The rows of the unit's ledger that count in a month, newest first."""
        filter: Filter = {"unit": unit, "period": period}
        if before is not None:
            filter["number"] = {"$lt": before}
        sort = [("unit", 1), ("period", 1), ("number", -1)]
        rows = await self._store.find(self._entries, filter, sort, limit + 1)
        more = rows[limit - 1].number if len(rows) > limit else None
        return LedgerPage(rows[:limit], more, await self._taken_back(unit, rows[:limit]))

    async def row(self, unit: str, number: int) -> EntryView | None:
        """One row of the unit's ledger."""
        return await self._store.get(self._entries, entry_id(unit, number))

    async def shares(self, unit: str, period: str) -> list[Share]:
        """What the unit lost in a month by kind of fact, the most first."""
        group = {"_id": "$kind", "rows": {"$sum": 1}, "points": {"$sum": "$points"}}
        told = await self._store.aggregate(
            self._entries, [{"$match": {"unit": unit, "period": period}}, {"$group": group}]
        )
        shares = [Share(FactKind(each["_id"] or FactKind.OTHER), each["rows"], each["points"]) for each in told]
        return sorted(_merged(shares), key=lambda share: (-share.points, share.kind))

    async def charges(self, case: str) -> tuple[list[EntryView], set[tuple[str, int]]]:
        """What a case has cost units so far, and which of these rows (unit and number) were taken back since."""
        rows = await self._store.find(self._entries, {"case": case}, [("posted_at", 1)])
        return rows, {(row.unit, row.reverses) for row in rows if row.reverses is not None}

    async def measures(self, unit: str) -> Mapping[str, int]:
        """How many measures against the unit go on, by rung of the ladder from the lowest; public rungs only."""
        found = await self._store.find(self._measures, {"unit": unit})
        counted = Counter(each.rung for each in found if each.state in OPEN)
        shown = (rung.code for rung in self._district.rungs.values() if rung.public)
        return {code: counted[code] for code in shown if counted[code]}

    async def lists(self, kind: ListKind | None, after: str, limit: int = LISTS_PAGE) -> ListPage:
        """Red and black lists, the last published first. A cursor that is none begins at the beginning."""
        filter: Filter = {} if kind is None else {"kind": kind.value}
        if cursor := _CURSOR.fullmatch(after):
            moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(cursor[1]))
            filter["$or"] = [{"published_at": {"$lt": moment}}, {"published_at": moment, "_id": {"$lt": cursor[2]}}]
        found = await self._store.find(self._lists, filter, [("published_at", -1), ("_id", -1)], limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        return ListPage(found[:limit], _at(last.published_at, last.id) if last else None)

    async def red_black_list(self, id: str) -> ListView | None:
        return await self._store.get(self._lists, id)

    async def _taken_back(self, unit: str, rows: Sequence[EntryView]) -> Mapping[int, int]:
        if not rows:
            return {}
        numbers = [row.number for row in rows]
        filter: Filter = {"unit": unit, "reverses": {"$gte": min(numbers), "$lte": max(numbers)}}
        return {row.reverses: row.number for row in await self._store.find(self._entries, filter) if row.reverses}

    def _group(self, unit: str) -> str:
        return self._district.units[unit].group if unit in self._district.units else ""


def plain(amount: Decimal) -> Decimal:
    """The same amount without zeros that say nothing: 1.50 as 1.5, 1E+2 as 100."""
    return Decimal(f"{amount.normalize():f}")


def _cursor(case: CaseView) -> str:
    return _at(case.registered_at, case.id)


def _at(moment: datetime, id: str) -> str:
    return f"{(moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)}-{id}"


def _merged(shares: Sequence[Share]) -> list[Share]:
    """Rows that tell no kind, and those of a kind that we do not know, are the same to a reader."""
    return [
        Share(kind, sum(each.rows for each in same), sum((each.points for each in same), Decimal(0)))
        for kind in FactKind
        if (same := [each for each in shares if each.kind is kind])
    ]
