"""From an open month to a published one: frozen in every unit's own ledger, then sealed by two persons.

The ledgers freeze each in its own order (docs/decisions/0005), so freezing takes a moment: a month can be published
when all of them have confirmed. Nothing about a published month is ever written again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from services.scoring.commands.rules import tell_ledger
from services.scoring.domain.acts import Act, decide
from services.scoring.domain.archive import rule_lines
from services.scoring.domain.ledger import standing_id
from services.scoring.domain.periods import (
    ClosedMonths,
    Period,
    PeriodState,
    Seal,
    SealedScheme,
    SealedStanding,
    Text,
    digest,
    sealed_standings,
    standing_lines,
)
from services.scoring.repo import CALENDARS, CHARGES, CURRENT, LEDGERS, PERIODS, RULE_BOOKS, SEALS, STANDINGS, TEXTS
from services.scoring.views.periods import first_month, progress
from shared.contracts.scoring import PeriodFrozen
from shared.errors import Refused
from shared.months import month_of, next_month, previous_month
from shared.own_cause import Decider
from shared.signing import Signer
from shared.store import Store, UnitOfWork


async def freeze(uow: UnitOfWork, store: Store, period: str, units: set[str], subject: str) -> Period:
    """Close a month that is over: tell the ledgers of these units and of all who have one; told again, only new ones.

    Months are frozen in their order, from the first in which anything was counted, and so for every unit: a ledger
    never hears of a month after a later one. Raises Refused (`period-not-over`, `period-out-of-order`,
    `period-freezing`, `period-units-new`).
    """
    if period >= month_of(uow.now):
        raise Refused("period-not-over", period=period)
    known = await uow.find(PERIODS, period)
    if known is not None and known.published_at:
        return known
    wanted = units | await _with_ledger(store)
    calendar = await uow.find(CALENDARS, CURRENT)
    if known is None:
        await _begin(uow, store, calendar, period)
        known = Period(period, [], uow.now, subject)
        uow.insert(PERIODS, known)
    before = await uow.find(PERIODS, previous_month(period))
    if before is not None and not before.published_at:
        _require_all(before, wanted)
        await _require_confirmed(store, before)
    await _tell(uow, known, sorted(wanted - set(known.units)))
    return known


async def _begin(uow: UnitOfWork, store: Store, calendar: ClosedMonths | None, period: str) -> None:
    """Freeze the month in the calendar, which shows its order."""
    if calendar is None:
        _require_next(period, min(await first_month(store) or period, period))
        calendar = ClosedMonths(CURRENT, first=period)
        uow.insert(CALENDARS, calendar)
    else:
        _require_next(period, next_month(calendar.frozen_through))
    calendar.frozen_through = period
    uow.save(CALENDARS, calendar)


async def _with_ledger(store: Store) -> set[str]:
    return {document["_id"] for document in await store.driver.find(LEDGERS.name, {}, fields=())}


def _require_next(period: str, expected: str) -> None:
    if period != expected:
        raise Refused("period-out-of-order", period=period, expected=expected)


def _require_all(period: Period, units: set[str]) -> None:
    if not units <= set(period.units):
        raise Refused("period-units-new", period=period.id)


async def _require_confirmed(store: Store, period: Period) -> None:
    found = await progress(store, period)
    if found.state is PeriodState.FREEZING:
        raise Refused("period-freezing", period=period.id, confirmed=found.confirmed, units=found.units)


async def _tell(uow: UnitOfWork, period: Period, units: list[str]) -> None:
    if not units:
        return
    await uow.load(CHARGES, [f"{period.id}:{unit}" for unit in units])
    for unit in units:
        order = PeriodFrozen(unit=unit, period=period.id, frozen_at=period.frozen_at)
        await tell_ledger(uow, f"{period.id}:{unit}", order)
    period.units = sorted({*period.units, *units})
    uow.save(PERIODS, period)


async def propose(uow: UnitOfWork, store: Store, period: str, subject: str) -> Period:
    """Have a frozen month published, when a second person agrees. Raises NotFound, Refused (`period-freezing`)."""
    known = await uow.get(PERIODS, period)
    if known.proposed_at is None:
        await _require_confirmed(store, known)
        known.proposed_at, known.proposed_by = uow.now, subject
        uow.save(PERIODS, known)
    return known


async def publish(
    uow: UnitOfWork,
    store: Store,
    period: str,
    groups: Mapping[str, str],
    signer: Signer,
    by: Decider,
    scheme: SealedScheme | None = None,
) -> Seal:
    """Seal a month that somebody else proposed; of one that is sealed, the seal as it is.

    `groups` says which group a unit is ranked in, `scheme` which scheme was in force. Raises NotFound, Forbidden
    (`second-person-required`) and Refused (`period-not-proposed`, `period-out-of-order`, `period-freezing`,
    `period-units-new`).
    """
    known = await uow.get(PERIODS, period)
    if known.published_at:
        return await uow.get(SEALS, period)
    if known.proposed_at is None:
        raise Refused("period-not-proposed", period=period)
    decide(Act.PUBLISH_MONTH, by, people=[known.proposed_by])
    calendar = await uow.get(CALENDARS, CURRENT)
    _require_next(period, next_month(calendar.published_through) if calendar.published_through else calendar.first)
    await _require_confirmed(store, known)
    _require_all(known, await _with_ledger(store))
    seal = await _sealed(uow, known, calendar, groups, signer, scheme)
    uow.insert(SEALS, seal)
    known.published_at, known.published_by = uow.now, by.subject
    uow.save(PERIODS, known)
    calendar.published_through, calendar.seals, calendar.head = period, seal.number, seal.hash
    uow.save(CALENDARS, calendar)
    return seal


async def _sealed(
    uow: UnitOfWork,
    period: Period,
    calendar: ClosedMonths,
    groups: Mapping[str, str],
    signer: Signer,
    scheme: SealedScheme | None,
) -> Seal:
    standings = await uow.load(STANDINGS, [standing_id(unit, period.id) for unit in period.units])
    places = sealed_standings(
        SealedStanding.of(standing, groups.get(standing.unit, "")) for standing in standings.values()
    )
    book = await uow.get(RULE_BOOKS, CURRENT)
    rules = await _kept(uow, Text.of(rule_lines(book.rules)))
    seal = Seal(
        id=period.id,
        number=calendar.seals + 1,
        sealed_at=uow.now,
        units=len(places),
        standings=digest(standing_lines(period.id, places)),
        edition=book.version,
        rules=rules.id,
        scheme=scheme.version if scheme else None,
        scheme_text=(await _kept(uow, Text.of(scheme.lines()))).id if scheme else None,
        key=signer.public,
        previous=calendar.head,
        places=tuple(places),
    ).hashed()
    return replace(seal, signature=signer.sign(seal.message()))


async def _kept(uow: UnitOfWork, text: Text) -> Text:
    """The text, kept once however many seals refer to it."""
    if await uow.find(TEXTS, text.id) is None:
        uow.insert(TEXTS, text)
    return text
