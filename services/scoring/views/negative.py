"""What staff sees of the negative list: its items, its events, and the sanctions that apply now."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from pydantic import BaseModel

from services.scoring.domain.negative import (
    Alarm,
    Applied,
    CityStatus,
    Date,
    Effect,
    EventState,
    Item,
    NegativeEvent,
    NegativeList,
    Sanction,
    Situation,
    applied,
    china_date,
    warnings_of,
    window_of,
)
from services.scoring.domain.writing import day_of
from services.scoring.repo import CURRENT, NEGATIVE_EVENTS, NEGATIVE_LISTS
from services.scoring.views.responsibility import PersonView, sees_names
from shared.auth import Principal
from shared.errors import NotFound
from shared.roles import OVERSIGHT
from shared.store import Store
from shared.store.collection import Filter

PAGE_LIMIT = 100


class SanctionView(BaseModel):
    """What follows for a city of this status; `opens` and `closes` (excluded) are the window's days, if it has one."""

    city_status: CityStatus
    effect: Effect
    before: Date | None
    window_months: int | None
    points: Decimal
    months: int | None
    opens: date | None
    closes: date | None


class ItemView(BaseModel):
    """An item in the version in force."""

    code: str
    version: int
    effective_from: str
    text: str
    trigger: str
    sanctions: list[SanctionView]
    lead: str
    supporting: tuple[str, ...]
    leader: PersonView | None
    liaison: PersonView | None
    source: str


class SituationView(BaseModel):
    """What the city is, and its dates."""

    version: int
    effective_from: str
    status: CityStatus
    annual_test: str | None
    application: str | None
    source: str


class NegativeListView(BaseModel):
    """The list as it is on a day."""

    version: int
    day: str
    situation: SituationView | None
    items: list[ItemView]


class EvidenceView(BaseModel):
    """A text, and the numbers of the files that go with it."""

    text: str
    files: list[int]
    at: datetime
    by: str | None


class DecisionView(BaseModel):
    """That somebody confirmed or cleared it, and why."""

    state: EventState
    reason: str
    at: datetime
    by: str | None


class EventView(BaseModel):
    """An event of the list.

    `charges` counts the rows that confirming it made in the unit's ledger; 0 where no rule was in force on its day, or
    nothing was `at_stake`. `taken_back`: they have been taken back, or there were none. People of the unit read
    evidence once it is confirmed, and never who reported, proved or decided it.
    """

    id: str
    item: str
    item_version: int
    unit: str
    occurred_at: datetime
    reported_at: datetime
    reported_by: str | None
    state: EventState
    at_stake: Decimal
    charges: int
    taken_back: bool
    evidence: list[EvidenceView]
    decisions: list[DecisionView]


class EventPage(BaseModel):
    """Events, the last reported first; `next` goes on."""

    events: list[EventView]
    next: str | None


class AppliedView(BaseModel):
    """A sanction that is in effect because of an event, until the day before `until` (null: open)."""

    event: str
    item: str
    unit: str
    effect: Effect
    points: Decimal
    since: date
    until: date | None


class WarningView(BaseModel):
    """Something that is about to change on `day`, in `days` days (below 0: it is over)."""

    alarm: Alarm
    day: date
    days: int
    before: Date | None
    window_months: int | None
    effect: Effect | None
    items: tuple[str, ...]
    event: str | None


class SanctionsView(BaseModel):
    """What applies on a day, how many events are in which state (清零 is when none is suspected or confirmed)."""

    day: date
    situation: SituationView | None
    events: dict[EventState, int]
    sanctions: list[AppliedView]
    warnings: list[WarningView]


async def negative_list(store: Store, day: str, caller: Principal) -> NegativeListView:
    """The items in force on a day, with the windows that the situation of that day gives.

    Who leads and speaks for a unit is named to those whom `sees_names` names.
    """
    known = await _list(store)
    situation = known.situation_on(day)
    return NegativeListView(
        version=known.version,
        day=day,
        situation=_situation(situation),
        items=[_item(item, situation, caller) for item in known.items_on(day)],
    )


async def event_page(
    store: Store, state: EventState | None, before: str | None, limit: int, caller: Principal
) -> EventPage:
    """Events in any state, or in one; for people of a unit those that are laid to it."""
    unit = None if caller.has(*OVERSIGHT) else caller.unit or ""
    filter: Filter = {"state": {"$in": [state.value] if state else [each.value for each in EventState]}}
    if before is not None:
        filter["_id"] = {"$lt": before}
    if unit is not None:
        filter["unit"] = unit
    found = await store.find(NEGATIVE_EVENTS, filter, [("_id", -1)], limit + 1)
    page = found[:limit]
    return EventPage(
        events=[event_view(each, caller) for each in page], next=page[-1].id if len(found) > limit else None
    )


async def event_of(store: Store, id: str, caller: Principal) -> NegativeEvent:
    """An event, for staff of the campaign and the unit that it is laid to. Raises NotFound."""
    found = await store.get(NEGATIVE_EVENTS, id)
    if found is None or not (caller.has(*OVERSIGHT) or caller.unit == found.unit):
        raise NotFound("negative-events-not-found", id=id)
    return found


def may_read_evidence(event: NegativeEvent, caller: Principal) -> bool:
    """Nobody of the unit before it is confirmed, whichever roles they have."""
    return event.unit != caller.unit or event.confirmed_at is not None


def event_view(event: NegativeEvent, caller: Principal) -> EventView:
    """An event as the caller may see it; its files by number, from 1."""
    named = event.unit != caller.unit
    numbers = {file: number for number, file in enumerate(event.files, start=1)}
    return EventView(
        id=event.id,
        item=event.item,
        item_version=event.item_version,
        unit=event.unit,
        occurred_at=event.occurred_at,
        reported_at=event.reported_at,
        reported_by=event.reported_by if named else None,
        state=event.state,
        at_stake=event.at_stake,
        charges=event.charges,
        taken_back=event.taken_back,
        evidence=[
            EvidenceView(
                text=each.text, files=[numbers[file] for file in each.files], at=each.at, by=each.by if named else None
            )
            for each in event.evidence
            if may_read_evidence(event, caller)
        ],
        decisions=[
            DecisionView(state=each.state, reason=each.reason, at=each.at, by=each.by if named else None)
            for each in event.decisions
        ],
    )


async def sanctions_now(store: Store, now: datetime) -> SanctionsView:
    """What applies now because of confirmed events, and what is about to change."""
    known, today = await _list(store), china_date(now)
    situation = known.situation_on(day_of(now))
    counts = await _counts(store)
    confirmed = await store.find(NEGATIVE_EVENTS, {"state": EventState.CONFIRMED.value}, [("_id", 1)])
    standing = [(event, each) for event in confirmed for each in _applied(known, event) if each.in_effect(today)]
    warnings = (
        warnings_of(
            known.items_on(day_of(now)),
            situation,
            [(event.id, event.item, each) for event, each in standing],
            today,
            known.warn_days,
        )
        if situation
        else []
    )
    return SanctionsView(
        day=today,
        situation=_situation(situation),
        events=counts,
        sanctions=[
            AppliedView(
                event=event.id,
                item=event.item,
                unit=event.unit,
                effect=each.sanction.effect,
                points=each.sanction.points,
                since=each.since,
                until=each.until,
            )
            for event, each in standing
        ],
        warnings=[WarningView.model_validate(each, from_attributes=True) for each in warnings],
    )


async def _list(store: Store) -> NegativeList:
    known = await store.get(NEGATIVE_LISTS, CURRENT)
    if known is None:
        raise NotFound("negative-lists-not-found", id=CURRENT)
    return known


async def _counts(store: Store) -> dict[EventState, int]:
    return {state: await store.count(NEGATIVE_EVENTS, {"state": state.value}) for state in EventState}


def _applied(known: NegativeList, event: NegativeEvent) -> list[Applied]:
    """What followed from a confirmed event, by the situation and the version of the item of its day."""
    situation = known.situation_on(day_of(event.occurred_at))
    item = next((i for i in known.items if (i.code, i.version) == (event.item, event.item_version)), None)
    if situation is None or item is None or event.confirmed_at is None:
        return []
    return applied(item, situation, china_date(event.occurred_at), china_date(event.confirmed_at))


def _item(item: Item, situation: Situation | None, caller: Principal) -> ItemView:
    named = sees_names(caller, [item.lead, *item.supporting])
    return ItemView(
        code=item.code,
        version=item.version,
        effective_from=item.effective_from,
        text=item.text,
        trigger=item.trigger,
        sanctions=[_sanction(sanction, situation) for sanction in item.sanctions],
        lead=item.lead,
        supporting=item.supporting,
        leader=PersonView(name=item.leader.name, post=item.leader.post) if item.leader and named else None,
        liaison=PersonView(name=item.liaison.name, post=item.liaison.post) if item.liaison and named else None,
        source=item.source,
    )


def _sanction(sanction: Sanction, situation: Situation | None) -> SanctionView:
    fits = situation is not None and situation.status is sanction.city_status
    window = window_of(sanction, situation) if situation is not None and fits else None
    return SanctionView(
        city_status=sanction.city_status,
        effect=sanction.effect,
        before=sanction.before,
        window_months=sanction.window_months,
        points=sanction.points,
        months=sanction.months,
        opens=window.opens if window else None,
        closes=window.closes if window else None,
    )


def _situation(situation: Situation | None) -> SituationView | None:
    return SituationView.model_validate(situation, from_attributes=True) if situation else None
