"""Measures of the ladder of consequences, as far as they are public."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.contracts.scoring import MeasureState


@dataclass
class MeasureView:
    """A rung of the ladder of consequences taken against a unit, as far as the portal needs it."""

    id: str
    unit: str
    rung: str
    state: MeasureState
    issued_at: datetime
