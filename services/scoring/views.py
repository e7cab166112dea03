"""What readers see of standings and ledgers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel

from services.scoring.domain import FULL_SCORE, ranked
from services.scoring.repo import ENTRIES, LEDGERS, STANDINGS
from shared.contracts.scoring import EntryPosted
from shared.store import Store
from shared.store.collection import Filter

PAGE_LIMIT = 500


class Place(BaseModel):
    """A unit's place in a period."""

    rank: int
    unit: str
    group: str
    score: Decimal
    points_lost: Decimal
    entries: int
    changed_at: datetime | None


class Ranking(BaseModel):
    """All units of the district in a period, best first; a unit without deductions has 100."""

    period: str
    standings: list[Place]


class LedgerPage(BaseModel):
    """Rows of a unit's ledger in order, and the head that the whole ledger leads to."""

    unit: str
    rows: int
    head: str
    entries: list[EntryPosted]


async def ranking(store: Store, groups: Mapping[str, str], period: str) -> Ranking:
    """The ranking of a period (`YYYY-MM`)."""
    found = {standing.unit: standing for standing in await store.find(STANDINGS, {"period": period})}
    scores = {unit: found[unit].score if unit in found else FULL_SCORE for unit in {*groups, *found}}
    places = [
        Place(
            rank=rank,
            unit=unit,
            group=groups.get(unit, ""),
            score=scores[unit],
            points_lost=found[unit].points_lost if unit in found else Decimal(0),
            entries=found[unit].entries if unit in found else 0,
            changed_at=found[unit].changed_at if unit in found else None,
        )
        for rank, unit in ranked(scores)
    ]
    return Ranking(period=period, standings=places)


async def ledger_page(store: Store, unit: str, after: int, limit: int) -> LedgerPage:
    """Rows behind number `after`."""
    ledger = await store.get(LEDGERS, unit)
    filter: Filter = {"unit": unit, "number": {"$gt": after}}
    entries = await store.find(ENTRIES, filter, [("unit", 1), ("number", 1)], limit)
    return LedgerPage(
        unit=unit,
        rows=ledger.rows if ledger else 0,
        head=ledger.head if ledger else "",
        entries=[EntryPosted.model_validate(entry, from_attributes=True) for entry in entries],
    )
