"""What is measured of a unit at a standard, and what comes of it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from services.scoring.commands.rules import record
from services.scoring.commands.schemes import standard_at
from services.scoring.domain.acts import Act, decide
from services.scoring.domain.marking import Measured
from services.scoring.domain.measurements import Measurement
from services.scoring.domain.writing import CODE_LIMIT
from services.scoring.repo import MEASUREMENTS
from shared.clock import to_milliseconds
from shared.errors import Invalid, Refused
from shared.own_cause import Decider
from shared.store import UnitOfWork


async def measure(
    uow: UnitOfWork,
    units: Collection[str],
    unit: str,
    standard: str,
    measured: Measured,
    measured_at: datetime,
    place: str,
    by: Decider,
) -> Measurement:
    """Keep what was measured and charge the unit for it, by the scheme and the rules in force at that moment.

    Raises Forbidden (decision-on-own-unit), Invalid (unit-unknown, time-in-future, standard-not-in-force, and
    what `Marking.lost` raises), Refused (measurement-exists).
    """
    decide(Act.RECORD_MEASUREMENT, by, units=[unit])
    if unit not in units:
        raise Invalid("unit-unknown", field="unit", given=unit)
    if measured_at > uow.now:
        raise Invalid("time-in-future", field="measured_at")
    found = await standard_at(uow, standard, measured_at)
    if found is None:
        raise Invalid("standard-not-in-force", field="standard", given=standard[:CODE_LIMIT])
    made = Measurement.of(unit, found, measured, to_milliseconds(measured_at), place, uow.now, by.subject)
    if await uow.find(MEASUREMENTS, made.id) is not None:
        raise Refused("measurement-exists", id=made.id)
    uow.insert(MEASUREMENTS, made)
    await record(uow, made.fact())
    return made
