"""Measurements: what was measured of a unit at a standard of the assessment scheme, and what it costs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from services.scoring.domain.facts import Fact
from services.scoring.domain.marking import Measured
from services.scoring.domain.schemes import StandardInForce
from shared.contracts.scoring import FactKind

PLACE_LIMIT = 60


@dataclass(frozen=True)
class Measurement:
    """Whoever measured a standard of a unit once; `lost` is what it came to, before what a rule makes of it.

    `place` tells measurements of one moment apart: the code of a site, a road, a bus stop. Moments are UTC.
    """

    id: str
    unit: str
    standard: str
    indicator: str
    scheme: int
    measured: Measured
    measured_at: datetime
    points: Decimal
    lost: Decimal
    place: str
    recorded_at: datetime
    recorded_by: str

    @classmethod
    def of(
        cls,
        unit: str,
        found: StandardInForce,
        measured: Measured,
        measured_at: datetime,
        place: str,
        at: datetime,
        by: str,
    ) -> Measurement:
        """What was measured at that moment. Raises Invalid (what `Marking.lost` raises)."""
        standard = found.standard
        return cls(
            id=measurement_id(unit, found, measured_at, place),
            unit=unit,
            standard=standard.code,
            indicator=found.indicator,
            scheme=found.version,
            measured=measured,
            measured_at=measured_at,
            points=standard.points,
            lost=standard.marking.lost(standard.points, measured),
            place=place,
            recorded_at=at,
            recorded_by=by,
        )

    def fact(self) -> Fact:
        """The measurement as what may cost the unit points."""
        return Fact(
            id=f"measurement/{self.id}",
            kind=FactKind.MEASUREMENT,
            unit=self.unit,
            matter=self.id,
            happened_at=self.measured_at,
            told_at=self.recorded_at,
            at_stake=self.lost,
            indicator=self.indicator,
            standard=self.standard,
            scheme=self.scheme,
            standard_points=self.points,
        )


def measurement_id(unit: str, found: StandardInForce, measured_at: datetime, place: str) -> str:
    """The same standard of a unit at the same moment and place is one measurement, whoever records it again."""
    moment = re.sub(r"\W", "", measured_at.isoformat(timespec="milliseconds").partition("+")[0])
    return "~".join([f"{found.version}", found.standard.code, unit, moment, *([place] if place else [])])
