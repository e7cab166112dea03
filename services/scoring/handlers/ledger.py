"""From charges to ledgers and standings, each unit by one hand: `scoring.charge` is partitioned by unit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.scoring.domain.ledger import Entry, Ledger, Reversal, Standing, entry_id, standing_id
from services.scoring.repo import ENTRIES, LEDGERS, REVERSALS, STANDINGS
from shared.contracts.scoring import ChargeMade, EntryPosted, PeriodFrozen, ReversalOrdered
from shared.event import Event, carries
from shared.months import month_of
from shared.store import UnitOfWork


async def on_charge(uow: UnitOfWork, event: Event[ChargeMade], _: object) -> None:
    """Post the charge to the unit's ledger and standing. All times are the event's, so a rebuild gives the same."""
    charge = event.data
    ledger = await _ledger(uow, charge.unit)
    origin = await _standing(uow, charge.unit, month_of(charge.happened_at))
    await _post(uow, ledger, ledger.post(charge, origin, event.time), origin)


async def on_reversal(uow: UnitOfWork, event: Event[ReversalOrdered], _: object) -> None:
    """Take a row back; once, whoever orders it again."""
    order = event.data
    id = entry_id(order.unit, order.number)
    entry = await uow.find(ENTRIES, id)
    if entry is None or entry.reverses is not None or await uow.find(REVERSALS, id) is not None:
        return
    ledger = await _ledger(uow, order.unit)
    origin = await _standing(uow, order.unit, entry.origin)
    row = ledger.reverse(entry, origin, order.basis, order.happened_at, event.time)
    uow.insert(REVERSALS, Reversal(id, row.number))
    await _post(uow, ledger, row, origin)


async def on_freeze(uow: UnitOfWork, event: Event[PeriodFrozen], _: object) -> None:
    """From here on nothing is posted to the month. Months may be told in any order, each counts once."""
    order = event.data
    ledger = await _ledger(uow, order.unit)
    standing = await _standing(uow, order.unit, order.period)
    if standing.frozen_at is not None:
        return
    ledger.frozen_through = max(ledger.frozen_through, order.period)
    uow.save(LEDGERS, ledger)
    standing.freeze(ledger, order.frozen_at)
    uow.save(STANDINGS, standing, standing.event())


async def load_ledgers(uow: UnitOfWork, events: Sequence[Event], _: object) -> None:
    """What the handlers of charges will ask for."""
    charges = [event.data for event in events if carries(event, ChargeMade)]
    standings = {standing_id(charge.unit, month_of(charge.happened_at)) for charge in charges}
    await asyncio.gather(uow.load(LEDGERS, {charge.unit for charge in charges}), uow.load(STANDINGS, standings))


async def _post(uow: UnitOfWork, ledger: Ledger, entry: Entry, origin: Standing) -> None:
    uow.insert(ENTRIES, entry)
    posted = EntryPosted.model_construct(**{name: getattr(entry, name) for name in EntryPosted.model_fields})
    uow.save(LEDGERS, ledger, posted)
    counted = origin if entry.period == origin.period else await _standing(uow, entry.unit, entry.period)
    counted.count(entry)
    uow.save(STANDINGS, counted, counted.event())
    if counted is not origin:
        uow.save(STANDINGS, origin)


async def _ledger(uow: UnitOfWork, unit: str) -> Ledger:
    ledger = await uow.find(LEDGERS, unit)
    if ledger is None:
        ledger = Ledger(unit)
        uow.insert(LEDGERS, ledger)
    return ledger


async def _standing(uow: UnitOfWork, unit: str, period: str) -> Standing:
    standing = await uow.find(STANDINGS, standing_id(unit, period))
    if standing is None:
        standing = Standing.of(unit, period)
        uow.insert(STANDINGS, standing)
    return standing
