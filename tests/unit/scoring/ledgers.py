"""Charges, orders and a unit's books, for the tests of the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from services.scoring.domain.ledger import Entry, Ledger, Standing
from shared.contracts.scoring import ChargeMade, FactKind, PeriodFrozen, ReversalOrdered
from shared.months import month_of

UNIT = "chengguan"
NOVEMBER = datetime(2026, 11, 3, 4, 0, tzinfo=UTC)
LATER = datetime(2026, 12, 20, 4, 0, tzinfo=UTC)


def charge(points: str, at: datetime = NOVEMBER, cap: str | None = None, **fields: Any) -> ChargeMade:
    """What a rule claims of the unit; with a cap, in the bucket of the rule."""
    content: dict[str, Any] = {
        "unit": UNIT,
        "case": "20261103-ABCDEFGHJK",
        "category": "street-vending",
        "rule": "acknowledged-late",
        "rule_version": 1,
        "points": Decimal(points),
        "basis": "reports.case/20261103-ABCDEFGHJK/2",
        "happened_at": at,
        "kind": FactKind.OVERDUE,
        "bucket": None if cap is None else "rule:acknowledged-late",
        "cap": None if cap is None else Decimal(cap),
        **fields,
    }
    return ChargeMade(**content)


def reversal(number: int, at: datetime = LATER, unit: str = UNIT, basis: str = "corrections/1") -> ReversalOrdered:
    """Row `number` is to be taken back."""
    return ReversalOrdered(unit=unit, number=number, basis=basis, happened_at=at)


def freezing(period: str, at: datetime = LATER, unit: str = UNIT) -> PeriodFrozen:
    """Nothing is posted to the month any more."""
    return PeriodFrozen(unit=unit, period=period, frozen_at=at)


@dataclass
class Books:
    """One unit's ledger with its standings, kept as the handlers keep them."""

    ledger: Ledger = field(default_factory=lambda: Ledger(UNIT))
    standings: dict[str, Standing] = field(default_factory=dict)
    rows: list[Entry] = field(default_factory=list)

    def month(self, period: str) -> Standing:
        return self.standings.setdefault(period, Standing.of(UNIT, period))

    def post(self, content: ChargeMade) -> Entry:
        return self._count(self.ledger.post(content, self.month(month_of(content.happened_at)), content.happened_at))

    def reverse(self, entry: Entry, at: datetime = LATER) -> Entry:
        return self._count(self.ledger.reverse(entry, self.month(entry.origin), "corrections/1", at, at))

    def freeze(self, period: str) -> None:
        self.ledger.frozen_through = period
        self.month(period).freeze(self.ledger, LATER)

    def lost(self) -> dict[str, Decimal]:
        """Points lost by month; months without any left out."""
        return {period: each.points_lost for period, each in self.standings.items() if each.points_lost}

    def _count(self, row: Entry) -> Entry:
        self.month(row.period).count(row)
        self.rows.append(row)
        return row
