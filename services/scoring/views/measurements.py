"""What readers see of measurements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel

from services.scoring.domain.marking import Measured
from services.scoring.domain.measurements import Measurement
from services.scoring.repo import MEASUREMENTS
from shared.errors import NotFound
from shared.store import Store
from shared.store.collection import Filter

PAGE_LIMIT = 200


class MeasurementView(BaseModel):
    """What was measured, when (UTC), and what it came to before a rule made anything of it."""

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


class MeasurementPage(BaseModel):
    """Measurements, newest first; `after` goes on to older ones, if there are any."""

    measurements: list[MeasurementView]
    after: str | None


def measurement_view(made: Measurement) -> MeasurementView:
    """A measurement without who recorded it."""
    return MeasurementView.model_validate(made, from_attributes=True)


async def measurement_page(
    store: Store, unit: str | None, standard: str | None, after: str | None, limit: int
) -> MeasurementPage:
    """Measurements of a unit, of a standard, or all, newest first. Raises NotFound for an unknown `after`."""
    filter: Filter = {name: given for name, given in (("unit", unit), ("standard", standard)) if given is not None}
    if after is not None:
        last = await store.get(MEASUREMENTS, after)
        if last is None:
            raise NotFound("measurements-not-found", id=after)
        same = {"measured_at": last.measured_at, "_id": {"$lt": last.id}}
        filter["$or"] = [{"measured_at": {"$lt": last.measured_at}}, same]
    found = await store.find(MEASUREMENTS, filter, [("measured_at", -1), ("_id", -1)], limit + 1)
    shown, more = _cut(found, limit)
    return MeasurementPage(measurements=[measurement_view(each) for each in shown], after=more)


def _cut(found: Sequence[Measurement], limit: int) -> tuple[Sequence[Measurement], str | None]:
    return found[:limit], found[limit - 1].id if len(found) > limit else None
