"""Events of the negative list: reported, confirmed by a second person, cleared; points are lost only once confirmed."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from services.scoring.commands.rules import record, tell_ledger
from services.scoring.domain.acts import Act, decide
from services.scoring.domain.facts import Fact
from services.scoring.domain.ledger import Entry
from services.scoring.domain.negative import (
    TEXT_LIMIT,
    Decision,
    EventState,
    Evidence,
    NegativeEvent,
    NegativeList,
    applied,
    china_date,
    points_at_stake,
    require_dates,
)
from services.scoring.domain.writing import YEARS, day_of
from services.scoring.repo import CURRENT, ENTRIES, NEGATIVE_EVENTS, NEGATIVE_LISTS
from shared.attachments import claim
from shared.audit.log import write_down
from shared.contracts.scoring import FactKind, ReversalOrdered
from shared.errors import Invalid, Refused
from shared.own_cause import Decider
from shared.store import Store, UnitOfWork
from shared.writing import plain_text

LOOK_AGAIN = timedelta(seconds=10)
"""When to look again for a row that is to be taken back and is still on its way to the ledger."""


async def adopt(uow: UnitOfWork, edition: NegativeList) -> None:
    """Add what a later edition of the district's file has; versions that are there stay as they are."""
    current = await uow.find(NEGATIVE_LISTS, CURRENT)
    if current is None:
        uow.insert(NEGATIVE_LISTS, edition)
    elif edition.version > current.version:
        uow.save(NEGATIVE_LISTS, current.extended(edition))


async def report(
    uow: UnitOfWork,
    units: Collection[str],
    item: str,
    unit: str | None,
    occurred_at: datetime,
    text: str,
    files: Sequence[str],
    by: str,
) -> NegativeEvent:
    """Something of the list is said to have happened; laid to the item's lead unit, or to `unit`.

    Raises Invalid (day-unfit, happened-in-future, negative-item-unknown, unit-unknown, the evidence), Refused
    (city-status-unknown).
    """
    known = await uow.get(NEGATIVE_LISTS, CURRENT)
    if occurred_at.year not in YEARS:
        raise Invalid("day-unfit", field="occurred_at", least=YEARS.start, limit=YEARS.stop - 1)
    if occurred_at > uow.now:
        raise Invalid("happened-in-future", field="occurred_at")
    if (of_item := known.item_on(item, day_of(occurred_at))) is None:
        raise Invalid("negative-item-unknown", field="item", given=item, day=day_of(occurred_at))
    if known.situation_on(day_of(occurred_at)) is None:
        raise Refused("city-status-unknown", field="occurred_at", day=day_of(occurred_at))
    if unit is not None and unit not in units:
        raise Invalid("unit-unknown", field="unit", given=unit)
    id = f"{int(uow.now.timestamp() * 1000):011x}-{secrets.token_hex(4)}"
    event = NegativeEvent(
        id=id,
        item=item,
        item_version=of_item.version,
        unit=unit or of_item.lead,
        occurred_at=occurred_at,
        reported_at=uow.now,
        reported_by=by,
        evidence=[await _evidence(uow, id, text, files, by)],
    )
    uow.insert(NEGATIVE_EVENTS, event)
    await _write_down(uow, event, by, "report", detail={"item": item, "unit": event.unit})
    return event


async def add_evidence(uow: UnitOfWork, id: str, text: str, files: Sequence[str], by: str) -> NegativeEvent:
    """Raises NotFound, Refused (negative-event-state, negative-evidence-many), Invalid (see `claim`, `plain_text`)."""
    event = await uow.get(NEGATIVE_EVENTS, id)
    event.add(await _evidence(uow, id, text, files, by))
    await _write_down(uow, event, by, "evidence", detail={"files": str(len(files))})
    return event


async def confirm(uow: UnitOfWork, id: str, reason: str, by: Decider) -> NegativeEvent:
    """It is so: what follows for a city in the situation of that day is charged.

    Raises NotFound, Refused (negative-event-state, city-date-past), Forbidden (second-person-required,
    decision-on-own-unit), Invalid (the reason).
    """
    event, known = await uow.get(NEGATIVE_EVENTS, id), await uow.get(NEGATIVE_LISTS, CURRENT)
    decide(Act.CONFIRM_EVENT, by, units=[event.unit], people=[event.reported_by])
    day = day_of(event.occurred_at)
    item = next(each for each in known.items if (each.code, each.version) == (event.item, event.item_version))
    if (situation := known.situation_on(day)) is None:
        raise Refused("city-status-unknown", field="occurred_at", day=day)
    require_dates(item, situation, china_date(event.occurred_at))
    sanctions = applied(item, situation, china_date(event.occurred_at), china_date(uow.now))
    event.confirm(Decision(EventState.CONFIRMED, _reason(reason), uow.now, by.subject), points_at_stake(sanctions))
    fact = Fact(
        id=event.basis,
        kind=FactKind.NEGATIVE,
        unit=event.unit,
        matter=event.id,
        happened_at=event.occurred_at,
        told_at=uow.now,
        at_stake=event.at_stake,
        item=event.item,
    )
    event.charges = await record(uow, fact)
    await _write_down(uow, event, by.subject, "confirm", event.decisions[-1].reason, {"at_stake": str(event.at_stake)})
    return event


async def clear(uow: UnitOfWork, store: Store, id: str, reason: str, by: Decider) -> NegativeEvent:
    """It was not so, or an appeal was upheld: what it cost is taken back, as soon as it is posted.

    Raises NotFound, Refused (negative-event-state), Forbidden (decision-on-own-unit), Invalid (the reason).
    """
    event = await uow.get(NEGATIVE_EVENTS, id)
    decide(Act.CLEAR_EVENT, by, units=[event.unit])
    event.clear(Decision(EventState.CLEARED, _reason(reason), uow.now, by.subject))
    await _take_back(uow, store, event)
    await _write_down(uow, event, by.subject, "clear", event.decisions[-1].reason)
    return event


async def look_for_entries(uow: UnitOfWork, store: Store, id: str) -> None:
    """Take back what was not posted yet when the event was cleared."""
    event = await uow.find(NEGATIVE_EVENTS, id)
    if event is None or event.deadline_at is None or event.deadline_at > uow.now:
        return
    await _take_back(uow, store, event)
    uow.save(NEGATIVE_EVENTS, event)


async def _take_back(uow: UnitOfWork, store: Store, event: NegativeEvent) -> None:
    """Order the reversal of all rows, or, while one is still on its way to the ledger, to look again."""
    if event.taken_back:
        return
    rows = await _rows(store, event) if event.charges else []
    if len(rows) < event.charges:
        event.deadline_at = uow.now + LOOK_AGAIN
        return
    for row in rows:
        order = ReversalOrdered(
            unit=row.unit, number=row.number, basis=f"{event.basis}/cleared", happened_at=event.decisions[-1].at
        )
        await tell_ledger(uow, f"{event.id}:{row.unit}", order)
    event.taken_back, event.deadline_at = True, None


async def _rows(store: Store, event: NegativeEvent) -> list[Entry]:
    found = await store.find(ENTRIES, {"basis": event.basis}, [("unit", 1), ("number", 1)])
    return [row for row in found if row.reverses is None]


async def _evidence(uow: UnitOfWork, id: str, text: str, files: Sequence[str], by: str) -> Evidence:
    checked_text = plain_text(text, "text", TEXT_LIMIT, required=True)
    claimed = await claim(uow, files, f"negative-event:{id}", by, "files.{}")
    return Evidence(checked_text, tuple(file.id for file in claimed), uow.now, by)


def _reason(reason: str) -> str:
    return plain_text(reason, "reason", TEXT_LIMIT, required=True)


async def _write_down(
    uow: UnitOfWork, event: NegativeEvent, by: str, action: str, reason: str = "", detail: dict[str, str] | None = None
) -> None:
    event.changes += 1
    uow.save(NEGATIVE_EVENTS, event)
    await write_down(
        uow,
        chain_of(event.id),
        event.changes,
        by=by,
        action=action,
        subject=event.id,
        reason=reason,
        detail=detail,
    )


def chain_of(event: str) -> str:
    """The audit chain of an event."""
    return f"negative:{event}"
