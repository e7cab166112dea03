"""From the events of other services to cases, and from the clock to what is due."""

from __future__ import annotations

from collections.abc import Sequence

from services.reports.commands.findings import open_case, origin_of
from services.reports.commands.handling import mark_overdue
from services.reports.commands.retention import sweep
from services.reports.commands.upkeep import keep_up
from services.reports.repo import ORIGINS
from services.reports.resources import Resources
from shared.contracts.inspections import FindingRecorded
from shared.event import Event, carries
from shared.store import UnitOfWork


async def on_finding(uow: UnitOfWork, event: Event[FindingRecorded], resources: Resources) -> None:
    """Open the case of an inspector's finding, whatever is wrong with it: the office sees to that."""
    await open_case(uow, resources.reference, event.data)


async def load_origins(uow: UnitOfWork, events: Sequence[Event], _: Resources) -> None:
    """What `on_finding` will ask for."""
    await uow.load(ORIGINS, [origin_of(event.data) for event in events if carries(event, FindingRecorded)])


async def on_case_due(uow: UnitOfWork, id: str, resources: Resources) -> None:
    """A limit of the case has run out, or is about to."""
    await mark_overdue(uow, resources.district, id)


async def on_retention_due(uow: UnitOfWork, id: str, resources: Resources) -> None:
    """It is time to look for what has been kept long enough."""
    await sweep(uow, resources.reporters, resources.district, id)


async def on_upkeep_due(uow: UnitOfWork, id: str, resources: Resources) -> None:
    """It is time to bring the next cases up to date."""
    await keep_up(uow, resources.reporters.store, resources.district, id)
