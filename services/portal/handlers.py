"""From the events of cases, standings, ledgers, measures and lists to what the pages show.

Every event carries the whole public state, so a document is replaced, never patched; only the history of a case
grows from event to event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

from services.portal.domain import CaseView, EntryView, Happened, ListView, MeasureView, StandingView, entry_id
from services.portal.repo import CASES, ENTRIES, LISTS, MEASURES, STANDINGS
from shared.consumer import Handler, Subscription
from shared.contracts import EventModel, reports
from shared.contracts.reports import CaseEvent, CaseOverdue, Level, Stage
from shared.contracts.scoring import EntryPosted, ListPublished, ListWithdrawn, MeasureChanged, StandingChanged
from shared.event import Event
from shared.readmodel import Generation, ReadModel
from shared.store import Collection, UnitOfWork

CASE_EVENTS: tuple[type[CaseEvent], ...] = (
    reports.CaseRegistered,
    reports.CaseSiteVerified,
    reports.CaseFiled,
    reports.CaseRejected,
    reports.CaseDispatched,
    reports.CaseAcknowledged,
    reports.CaseReturned,
    reports.CaseWorkStarted,
    reports.CaseExtended,
    reports.CaseSuspended,
    reports.CaseWaiting,
    reports.CaseResumed,
    reports.CaseReplied,
    reports.CaseVerified,
    reports.CaseReworkOrdered,
    reports.CaseClosed,
    reports.CaseReopened,
    reports.CaseMerged,
    reports.CaseUnmerged,
    reports.CaseSplit,
    reports.CaseRated,
    reports.CaseChanged,
    reports.CaseDueSoon,
    reports.CaseOverdue,
)


async def on_case(cases: Collection[CaseView], uow: UnitOfWork, event: Event) -> None:
    """The case as the event tells it, with one more line of history."""
    told = cast(CaseEvent, event.data).case
    before = await uow.find(cases, told.case) if event.sequence > 1 else None
    view = CaseView(
        id=told.case,
        sequence=event.sequence,
        state=told.state,
        channel=told.channel,
        category=told.category,
        community=told.place.community,
        longitude=told.place.longitude,
        latitude=told.place.latitude,
        address=told.place.address,
        photos=told.photos,
        unit=told.unit,
        registered_at=told.registered_at,
        due_at=told.due_at,
        closed_at=told.closed_at,
        overdue_at=told.overdue_at,
        reworks=told.reworks,
        timeline=[*(before.timeline if before else ()), _line(event)],
        kind=told.kind,
        stage=told.stage,
        stage_due_at=told.stage_due_at,
        level=told.level,
        supporting=told.supporting,
        reply_photos=told.reply_photos,
        parent=told.parent,
        children=told.children,
        merged_into=told.merged_into,
        repeat_of=told.repeat_of,
        reopens=told.reopens,
        satisfied=told.satisfied,
    )
    uow.put(cases, view)


def _line(event: Event) -> Happened:
    kind, told = event.type.split(".")[-2], cast(CaseEvent, event.data)
    if not isinstance(told, CaseOverdue):
        return Happened(kind, event.time, told.case.unit)
    # A limit runs out at a moment of its own; all else happens when it is written down.
    at = told.reached_at or told.case.overdue_at or event.time
    if told.stage is not Stage.RECTIFY:
        return Happened("case-stage-overdue", at, told.case.unit)
    return Happened(kind if told.level is Level.BLUE else f"{kind}-{told.level}", at, told.case.unit)


async def on_standing(standings: Collection[StandingView], uow: UnitOfWork, event: Event) -> None:
    """The unit's standing in the period."""
    told = cast(StandingChanged, event.data)
    uow.put(standings, StandingView(id=f"{told.unit}:{told.period}", **dict(told)))


async def on_entry(entries: Collection[EntryView], uow: UnitOfWork, event: Event) -> None:
    """One more row of a unit's ledger."""
    told = cast(EntryPosted, event.data)
    uow.put(entries, EntryView(id=entry_id(told.unit, told.number), **dict(told)))


async def on_measure(measures: Collection[MeasureView], uow: UnitOfWork, event: Event) -> None:
    """The measure as it stands."""
    told = cast(MeasureChanged, event.data)
    uow.put(measures, MeasureView(told.measure, told.unit, told.rung, told.state, told.issued_at))


async def on_list(lists: Collection[ListView], uow: UnitOfWork, event: Event) -> None:
    """The list is public, or was: of one that is withdrawn, who stood on it is gone from here, too."""
    told = cast(ListPublished | ListWithdrawn, event.data)
    uow.put(lists, ListView(id=told.list, **{name: value for name, value in told if name != "list"}))


def feed(generation: Generation) -> Subscription:
    """What fills a generation of the board."""
    cases = generation(CASES)

    async def prefetch(uow: UnitOfWork, events: Sequence[Event]) -> None:
        known = {event.subject for event in events if event.topic == CaseEvent.TOPIC and event.sequence > 1}
        if known:
            await uow.load(cases, known)

    handlers: Mapping[type[EventModel], Handler] = {
        **{model: partial(on_case, cases) for model in CASE_EVENTS},
        StandingChanged: partial(on_standing, generation(STANDINGS)),
        EntryPosted: partial(on_entry, generation(ENTRIES)),
        MeasureChanged: partial(on_measure, generation(MEASURES)),
        ListPublished: partial(on_list, generation(LISTS)),
        ListWithdrawn: partial(on_list, generation(LISTS)),
    }
    topics = (CaseEvent.TOPIC, EntryPosted.TOPIC, ListPublished.TOPIC, MeasureChanged.TOPIC, StandingChanged.TOPIC)
    return Subscription(generation.group("portal.board"), topics, handlers, prefetch, on_poison="skip")


BOARD = ReadModel("board", (CASES, STANDINGS, ENTRIES, MEASURES, LISTS), feed)
