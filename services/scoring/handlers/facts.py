"""From events of others to charges: decided per case, or per visit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.scoring.commands.responsibility import assigned, load_assigned
from services.scoring.commands.rules import record
from services.scoring.commands.schemes import load_standards, located
from services.scoring.domain.facts import Fact, facts_of
from services.scoring.repo import CHARGES, CURRENT, FACTS, RULE_BOOKS
from shared.contracts import EventModel
from shared.contracts.inspections import FindingRecorded
from shared.contracts.reports import CaseOverdue, CaseReopened, CaseReturned, CaseReworkOrdered
from shared.event import Event
from shared.store import UnitOfWork

MODELS: tuple[type[EventModel], ...] = (CaseOverdue, CaseReopened, CaseReturned, CaseReworkOrdered, FindingRecorded)
"""Events that tell of a unit's work."""


async def on_fact(uow: UnitOfWork, event: Event, _: object) -> None:
    """Keep what the event tells of a unit's work, and charge the unit by the rules in force then."""
    for fact in facts_of(event.data, event.id, event.time):
        await record(uow, await assigned(uow, await located(uow, fact)))


async def load_facts(uow: UnitOfWork, events: Sequence[Event], _: object) -> None:
    """What `on_fact` will ask for."""
    facts: list[Fact] = [fact for event in events for fact in facts_of(event.data, event.id, event.time)]
    if facts:
        await asyncio.gather(
            uow.load(FACTS, [fact.id for fact in facts]),
            uow.load(RULE_BOOKS, [CURRENT]),
            load_standards(uow, facts),
            uow.load(CHARGES, {fact.about for fact in facts if fact.unit}),
        )
        # Who answers goes by the indicator, and that by the standard.
        await load_assigned(uow, [await located(uow, fact) for fact in facts])
