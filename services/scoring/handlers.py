"""From events of others to charges, and from charges to ledgers and standings.

Two stages, because a unit's cases lie on all partitions while its ledger must be written by one hand: the first
decides per case, the second runs per unit (`scoring.charge` is partitioned by unit).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.scoring.commands import ladder
from services.scoring.commands.negative import look_for_rows
from services.scoring.commands.responsibility import assigned, load_assigned
from services.scoring.commands.rules import record
from services.scoring.commands.schemes import load_standards, located
from services.scoring.domain.facts import Fact, facts_of
from services.scoring.domain.ledger import Entry, Ledger, Reversal, Standing, entry_id, standing_id
from services.scoring.repo import CURRENT, ENTRIES, FACTS, LEDGERS, REVERSALS, RULE_BOOKS, STANDINGS
from services.scoring.resources import Resources
from shared.contracts.reports import CaseEvent
from shared.contracts.scoring import ChargeMade, EntryPosted, PeriodFrozen, ReversalOrdered, StandingChanged
from shared.event import Event, carries
from shared.months import month_of
from shared.store import UnitOfWork


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
        )
        # Who answers goes by the indicator, and that by the standard.
        await load_assigned(uow, [await located(uow, fact) for fact in facts])


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
    uow.save(STANDINGS, standing, standing.told())


async def load_ledgers(uow: UnitOfWork, events: Sequence[Event], _: object) -> None:
    """What the handlers of charges will ask for."""
    charges = [event.data for event in events if carries(event, ChargeMade)]
    standings = {standing_id(charge.unit, month_of(charge.happened_at)) for charge in charges}
    await asyncio.gather(uow.load(LEDGERS, {charge.unit for charge in charges}), uow.load(STANDINGS, standings))


async def on_case(uow: UnitOfWork, event: Event[CaseEvent], resources: Resources) -> None:
    """What the case tells may call for a rung, or end matters."""
    await ladder.hear_case(uow, resources.district, event)


async def on_standing(uow: UnitOfWork, event: Event[StandingChanged], resources: Resources) -> None:
    """Points lost may call for a rung."""
    await ladder.hear_standing(uow, resources.district, event)


async def load_ladder(uow: UnitOfWork, events: Sequence[Event], resources: Resources) -> None:
    """What `on_case` and `on_standing` will ask for."""
    await ladder.load_heard(uow, resources.district, events)


async def on_matter_due(uow: UnitOfWork, id: str, resources: Resources) -> None:
    """The next rung may be due."""
    await ladder.climb(uow, resources.district, resources.url_of, id)


async def on_rows_due(uow: UnitOfWork, id: str, resources: Resources) -> None:
    """What a cleared event cost may be posted by now, so that it can be taken back."""
    await look_for_rows(uow, resources.store, id)


async def on_attachment_due(uow: UnitOfWork, id: str, resources: Resources) -> None:
    """Nobody has claimed the attachment in time."""
    await resources.attachments.expire(uow, id)


async def _post(uow: UnitOfWork, ledger: Ledger, entry: Entry, origin: Standing) -> None:
    uow.insert(ENTRIES, entry)
    posted = EntryPosted.model_construct(**{name: getattr(entry, name) for name in EntryPosted.model_fields})
    uow.save(LEDGERS, ledger, posted)
    counted = origin if entry.period == origin.period else await _standing(uow, entry.unit, entry.period)
    counted.count(entry)
    uow.save(STANDINGS, counted, counted.told())
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
