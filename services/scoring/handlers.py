"""From events of cases to charges, and from charges to ledgers and standings.

Two stages, because a unit's cases lie on all partitions while its ledger must be written by one hand: the first
decides per case, the second runs per unit (`scoring.charge` is partitioned by unit).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from services.scoring.domain import Charges, Ledger, Standing, period_of, standing_id
from services.scoring.repo import CHARGES, CURRENT, ENTRIES, LEDGERS, RULE_BOOKS, STANDINGS
from shared.contracts.reports import CaseOverdue, CaseSnapshot
from shared.contracts.scoring import ChargeMade, EntryPosted
from shared.event import Event
from shared.store import UnitOfWork


async def on_overdue(uow: UnitOfWork, event: Event) -> None:
    """Charge the unit by the rules that were in force when its limit ran out."""
    told = cast(CaseOverdue, event.data)
    case = told.case
    if case.unit is None:
        return
    happened_at = told.reached_at or case.overdue_at or event.time
    book = await uow.get(RULE_BOOKS, CURRENT)
    for rule in book.in_force(event.type, happened_at):
        if (rule.stage, rule.level) != (told.stage, told.level):
            continue
        charges = await _charges(uow, case)
        charges.times += 1
        made = ChargeMade(
            unit=case.unit,
            case=case.case,
            category=case.category,
            rule=rule.code,
            rule_version=rule.version,
            points=case.points * rule.factor,
            basis=event.id,
            happened_at=happened_at,
        )
        uow.save(CHARGES, charges, made)


async def _charges(uow: UnitOfWork, case: CaseSnapshot) -> Charges:
    id = f"{case.case}:{case.unit}"
    charges = await uow.find(CHARGES, id)
    if charges is None:
        charges = Charges(id)
        uow.insert(CHARGES, charges)
    return charges


async def load_charges(uow: UnitOfWork, events: Sequence[Event]) -> None:
    """What `on_overdue` will ask for."""
    overdue = [cast(CaseOverdue, event.data).case for event in events if event.type == CaseOverdue.TYPE]
    if overdue:
        await asyncio.gather(
            uow.load(CHARGES, [f"{case.case}:{case.unit}" for case in overdue]), uow.load(RULE_BOOKS, [CURRENT])
        )


async def on_charge(uow: UnitOfWork, event: Event) -> None:
    """Post the charge to the unit's ledger and standing. All times are the event's, so a rebuild gives the same."""
    charge = cast(ChargeMade, event.data)
    ledger = await uow.find(LEDGERS, charge.unit)
    if ledger is None:
        ledger = Ledger(charge.unit)
        uow.insert(LEDGERS, ledger)
    entry = ledger.post(charge, event.time)
    uow.insert(ENTRIES, entry)
    posted = EntryPosted.model_construct(**{name: getattr(entry, name) for name in EntryPosted.model_fields})
    uow.save(LEDGERS, ledger, posted)
    id = standing_id(charge.unit, entry.period)
    standing = await uow.find(STANDINGS, id)
    if standing is None:
        standing = Standing(id, charge.unit, entry.period)
        uow.insert(STANDINGS, standing)
    standing.count(entry)
    uow.save(STANDINGS, standing, standing.told())


async def load_ledgers(uow: UnitOfWork, events: Sequence[Event]) -> None:
    """What `on_charge` will ask for."""
    charges = [event.data for event in events if isinstance(event.data, ChargeMade)]
    standings = {standing_id(charge.unit, period_of(charge.happened_at)) for charge in charges}
    await asyncio.gather(uow.load(LEDGERS, {charge.unit for charge in charges}), uow.load(STANDINGS, standings))
