"""Entries of the ledgers: a unit's month page by page and by kind, and what a case has cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.portal.domain.entries import EntryView, entry_id
from shared.contracts.scoring import FactKind
from shared.store import Collection, Store
from shared.store.collection import Filter

PAGE = 30


@dataclass(frozen=True)
class EntryPage:
    """Entries of a unit's ledger, newest first; `before` asks for the following page, if there is one.

    `taken_back` says which entry took back which of these.
    """

    entries: Sequence[EntryView]
    before: int | None
    taken_back: Mapping[int, int]


@dataclass(frozen=True)
class Share:
    """What one kind of facts cost a unit in a month, in so many entries; less than nothing is a gain."""

    kind: FactKind
    entries: int
    points: Decimal


class Entries:
    """The entries of a generation of the board."""

    def __init__(self, store: Store, entries: Collection[EntryView]) -> None:
        self._store, self._entries = store, entries

    async def one(self, unit: str, number: int) -> EntryView | None:
        return await self._store.get(self._entries, entry_id(unit, number))

    async def page(self, unit: str, period: str, before: int | None, limit: int = PAGE) -> EntryPage:
        """The entries of the unit's ledger that count in a month, newest first."""
        filter: Filter = {"unit": unit, "period": period}
        if before is not None:
            filter["number"] = {"$lt": before}
        sort = [("unit", 1), ("period", 1), ("number", -1)]
        found = await self._store.find(self._entries, filter, sort, limit + 1)
        more = found[limit - 1].number if len(found) > limit else None
        return EntryPage(found[:limit], more, await self._taken_back(unit, found[:limit]))

    async def shares(self, unit: str, period: str) -> list[Share]:
        """What the unit lost in a month by kind of fact, the most first."""
        group = {"_id": "$kind", "entries": {"$sum": 1}, "points": {"$sum": "$points"}}
        sums = await self._store.aggregate(
            self._entries, [{"$match": {"unit": unit, "period": period}}, {"$group": group}]
        )
        shares = [Share(FactKind(each["_id"] or FactKind.OTHER), each["entries"], each["points"]) for each in sums]
        return sorted(_merged(shares), key=lambda share: (-share.points, share.kind))

    async def of_case(self, case: str) -> tuple[list[EntryView], set[tuple[str, int]]]:
        """What a case has cost units so far, and which of these entries (unit and number) were taken back since."""
        found = await self._store.find(self._entries, {"case": case}, [("posted_at", 1)])
        return found, {(entry.unit, entry.reverses) for entry in found if entry.reverses is not None}

    async def _taken_back(self, unit: str, entries: Sequence[EntryView]) -> Mapping[int, int]:
        if not entries:
            return {}
        numbers = [entry.number for entry in entries]
        filter: Filter = {"unit": unit, "reverses": {"$gte": min(numbers), "$lte": max(numbers)}}
        found = await self._store.find(self._entries, filter)
        return {entry.reverses: entry.number for entry in found if entry.reverses}


def _merged(shares: Sequence[Share]) -> list[Share]:
    """Entries that tell no kind, and those of a kind that we do not know, are the same to a reader."""
    return [
        Share(kind, sum(each.entries for each in same), sum((each.points for each in same), Decimal(0)))
        for kind in FactKind
        if (same := [each for each in shares if each.kind is kind])
    ]
