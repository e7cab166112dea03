"""From the events of other services to cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from services.reports.commands.findings import open_case, origin_of
from services.reports.repo import ORIGINS
from shared.contracts.inspections import FindingRecorded
from shared.event import Event
from shared.store import UnitOfWork


async def on_finding(uow: UnitOfWork, event: Event) -> None:
    """Open the case of an inspector's finding, whatever is wrong with it: the office sees to that."""
    await open_case(uow, uow.own.district, cast(FindingRecorded, event.data))


async def load_origins(uow: UnitOfWork, events: Sequence[Event]) -> None:
    """What `on_finding` will ask for."""
    await uow.load(ORIGINS, [origin_of(event.data) for event in events if isinstance(event.data, FindingRecorded)])
