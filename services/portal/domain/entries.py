"""Entries of the units' ledgers (台账条目)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from shared.contracts.scoring import FactKind


@dataclass
class EntryView:
    """One entry of a unit's deduction ledger; the identity is `<unit>:<number>`, zero-padded so that it sorts.

    What each field means: `shared.contracts.scoring.EntryPosted`. An entry from before a field was there has None.
    """

    id: str
    unit: str
    number: int
    period: str
    case: str
    category: str
    rule: str
    rule_version: int
    points: Decimal
    basis: str
    happened_at: datetime
    posted_at: datetime
    previous: str
    hash: str
    kind: FactKind | None = None
    indicator: str | None = None
    standard: str | None = None
    scheme: int | None = None
    visit: str | None = None
    finding: int | None = None
    bucket: str | None = None
    cap: Decimal | None = None
    claimed: Decimal | None = None
    belongs_to: str | None = None
    reverses: int | None = None

    @property
    def capped(self) -> bool:
        """Whether the entry came to something else than was claimed, because all claims together have a cap."""
        return self.claimed is not None and self.claimed != self.points

    @property
    def kind_shown(self) -> FactKind:
        """Of what kind it is; OTHER when its event did not tell."""
        return self.kind or FactKind.OTHER


def entry_id(unit: str, number: int) -> str:
    """Identity of an entry."""
    return f"{unit}:{number:010d}"
