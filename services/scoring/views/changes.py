"""What changed in the standings since a moment, and why: the rows behind it, each with its rule and its basis."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import BaseModel

from services.scoring.domain.rules import RuleBook
from services.scoring.repo import CURRENT, ENTRIES, RULE_BOOKS
from shared.contracts.scoring import EntryPosted
from shared.errors import Invalid
from shared.store import Store
from shared.store.collection import Filter

LONGEST = timedelta(days=31)
ROWS_OF_ONE = 200
ROWS_OF_EACH = 20
"""Rows told of a unit: when it alone is asked for, and when all are."""


class Reason(BaseModel):
    """A row that was posted, and the name of its rule."""

    rule_zh: str
    rule_en: str
    entry: EntryPosted


class Change(BaseModel):
    """What a unit lost (or, below 0, got back) since then in a month, in how many rows."""

    period: str
    points: Decimal
    rows: int


class UnitChanges(BaseModel):
    """What changed for a unit, by month, and its newest rows since then; `more` are not told."""

    unit: str
    changes: list[Change]
    why: list[Reason]
    more: int


class Changes(BaseModel):
    """The units for which anything changed since then (UTC), and why."""

    since: datetime
    until: datetime
    units: list[UnitChanges]


async def changes(store: Store, units: Sequence[str], since: datetime | None) -> Changes:
    """What changed for the units since a moment, by default since this time yesterday.

    Raises Invalid (`since-too-early`) for more than 31 days ago.
    """
    now = store.clock.now()
    since = since or now - timedelta(days=1)
    if since < now - LONGEST:
        raise Invalid("since-too-early", field="since", limit=LONGEST.days)
    limit = ROWS_OF_ONE if len(units) == 1 else ROWS_OF_EACH
    sums = await _sums(store, units, since)
    newest = await asyncio.gather(*(_rows(store, unit, since, limit) for unit in sums))
    book = await store.get(RULE_BOOKS, CURRENT)
    names = _names(book)
    return Changes(
        since=since,
        until=now,
        units=[
            UnitChanges(
                unit=unit,
                changes=sums[unit],
                why=[_reason(row, names) for row in rows],
                more=sum(change.rows for change in sums[unit]) - len(rows),
            )
            for unit, rows in zip(sums, newest, strict=True)
        ],
    )


async def _sums(store: Store, units: Sequence[str], since: datetime) -> dict[str, list[Change]]:
    """By unit, in order of their codes; decimals are added exactly."""
    wanted: Filter = {"unit": {"$in": list(units)}, "posted_at": {"$gte": since}}
    key = {"unit": "$unit", "period": "$period"}
    grouped = {"$group": {"_id": key, "points": {"$sum": "$points"}, "rows": {"$sum": 1}}}
    changes: dict[str, list[Change]] = {}
    for row in await store.aggregate(ENTRIES, [{"$match": wanted}, grouped, {"$sort": {"_id": 1}}]):
        change = Change(period=row["_id"]["period"], points=row["points"], rows=row["rows"])
        changes.setdefault(row["_id"]["unit"], []).append(change)
    return changes


async def _rows(store: Store, unit: str, since: datetime, limit: int) -> list[EntryPosted]:
    filter: Filter = {"unit": unit, "posted_at": {"$gte": since}}
    rows = await store.find(ENTRIES, filter, [("unit", 1), ("posted_at", -1), ("number", -1)], limit)
    return [EntryPosted.model_validate(row, from_attributes=True) for row in rows]


def _names(book: RuleBook | None) -> dict[tuple[str, int], tuple[str, str]]:
    return {(rule.code, rule.version): (rule.name.zh, rule.name.en) for rule in (book.rules if book else ())}


def _reason(row: EntryPosted, names: dict[tuple[str, int], tuple[str, str]]) -> Reason:
    zh, en = names.get((row.rule, row.rule_version), (row.rule, row.rule))
    return Reason(rule_zh=zh, rule_en=en or zh, entry=row)
