"""What readers see of measurements."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel

from services.scoring.domain.marking import Measured
from services.scoring.domain.measurements import Measurement
from services.scoring.repo import MEASUREMENTS
from shared.paging import Key, Order
from shared.store import Store
from shared.store.collection import Filter

PAGE_LIMIT = 200
_NEWEST = Order("measurements", Key("measured_at", datetime, descending=True), Key("_id", str, descending=True))


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
    """Measurements of a unit, of a standard, or all, newest first. Raises Invalid (cursor-malformed)."""
    filter: Filter = {name: given for name, given in (("unit", unit), ("standard", standard)) if given is not None}
    page = await _NEWEST.walk(store, MEASUREMENTS, filter, after, limit)
    return MeasurementPage(measurements=[measurement_view(each) for each in page.items], after=page.next)
