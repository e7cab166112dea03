"""Where units stand in a month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

FULL_SCORE = Decimal(100)
"""Of a unit that has lost nothing in a period (see shared.contracts.scoring.StandingChanged)."""


@dataclass
class StandingView:
    """Where a unit stands in a period (`YYYY-MM`, Asia/Shanghai); the identity is `<unit>:<period>`."""

    id: str
    unit: str
    period: str
    points_lost: Decimal
    score: Decimal
    entries: int
    head: str
    changed_at: datetime
    frozen: bool = False
