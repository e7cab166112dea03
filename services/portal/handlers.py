"""From the events of cases, standings, ledgers, measures and lists to what the pages show.

Every event carries the whole public state, so a document is replaced, never patched; only the history of a case
grows from event to event.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from services.portal.domain.cases import CaseView, Happened, ShownPlace
from services.portal.domain.entries import EntryView, entry_id
from services.portal.domain.lists import ListView
from services.portal.domain.measures import MeasureView
from services.portal.domain.standings import StandingView
from services.portal.repo import CASES, ENTRIES, LISTS, MEASURES, STANDINGS
from shared.consumer import Subscription, on
from shared.contracts import reports
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


class Places(Protocol):
    """Who knows which places are not to be shown."""

    async def shown(self, category: str, place: reports.Place) -> ShownPlace:
        """What everybody may know of the place of a case of the category."""


async def on_case(cases: Collection[CaseView], uow: UnitOfWork, event: Event[CaseEvent], places: Places) -> None:
    """The case as the event tells it, with one more line of history; no more of its place than is to be shown."""
    case = event.data.case
    place = await places.shown(case.category, case.place)
    before = await uow.find(cases, case.case) if event.sequence > 1 else None
    view = CaseView(
        id=case.case,
        sequence=event.sequence,
        state=case.state,
        channel=case.channel,
        category=case.category,
        community=case.place.community,
        longitude=place.longitude,
        latitude=place.latitude,
        address=place.address,
        photos=case.photos,
        unit=case.unit,
        registered_at=case.registered_at,
        due_at=case.due_at,
        closed_at=case.closed_at,
        overdue_at=case.overdue_at,
        reworks=case.reworks,
        timeline=[*(before.timeline if before else ()), _line(event)],
        kind=case.kind,
        stage=case.stage,
        stage_due_at=case.stage_due_at,
        level=case.level,
        supporting=case.supporting,
        reply_photos=case.reply_photos,
        parent=case.parent,
        children=case.children,
        merged_into=case.merged_into,
        repeat_of=case.repeat_of,
        reopens=case.reopens,
        satisfied=case.satisfied,
    )
    uow.put(cases, view)


def _line(event: Event[CaseEvent]) -> Happened:
    kind, data = event.type.split(".")[-2], event.data
    if not isinstance(data, CaseOverdue):
        return Happened(kind, event.time, data.case.unit)
    # A limit runs out at a moment of its own; all else happens when it is written down.
    at = data.reached_at or data.case.overdue_at or event.time
    if data.stage is not Stage.RECTIFY:
        return Happened("case-stage-overdue", at, data.case.unit, data.stage)
    return Happened(kind if data.level is Level.BLUE else f"{kind}-{data.level}", at, data.case.unit)


async def on_standing(
    standings: Collection[StandingView], uow: UnitOfWork, event: Event[StandingChanged], _: object
) -> None:
    """The unit's standing in the period."""
    standing = event.data
    uow.put(standings, StandingView(id=f"{standing.unit}:{standing.period}", **dict(standing)))


async def on_entry(entries: Collection[EntryView], uow: UnitOfWork, event: Event[EntryPosted], _: object) -> None:
    """One more entry of a unit's ledger."""
    entry = event.data
    uow.put(entries, EntryView(id=entry_id(entry.unit, entry.number), **dict(entry)))


async def on_measure(
    measures: Collection[MeasureView], uow: UnitOfWork, event: Event[MeasureChanged], _: object
) -> None:
    """The measure as it stands."""
    measure = event.data
    uow.put(measures, MeasureView(measure.measure, measure.unit, measure.rung, measure.state, measure.issued_at))


async def on_list(
    lists: Collection[ListView], uow: UnitOfWork, event: Event[ListPublished | ListWithdrawn], _: object
) -> None:
    """The list is public, or was: of one that is withdrawn, who stood on it is gone from here, too."""
    data = event.data
    uow.put(lists, ListView(id=data.list, **{name: value for name, value in data if name != "list"}))


def feed(generation: Generation) -> Subscription[Places]:
    """What fills a generation of the board."""
    cases = generation(CASES)

    async def prefetch(uow: UnitOfWork, events: Sequence[Event], _: object) -> None:
        known = {event.subject for event in events if event.topic == CaseEvent.TOPIC and event.sequence > 1}
        if known:
            await uow.load(cases, known)

    reactions = [
        *(on(model, partial(on_case, cases)) for model in CASE_EVENTS),
        on(StandingChanged, partial(on_standing, generation(STANDINGS))),
        on(EntryPosted, partial(on_entry, generation(ENTRIES))),
        on(MeasureChanged, partial(on_measure, generation(MEASURES))),
        on(ListPublished, partial(on_list, generation(LISTS))),
        on(ListWithdrawn, partial(on_list, generation(LISTS))),
    ]
    topics = (CaseEvent.TOPIC, EntryPosted.TOPIC, ListPublished.TOPIC, MeasureChanged.TOPIC, StandingChanged.TOPIC)
    return Subscription(generation.group("portal.board"), topics, reactions, prefetch, on_poison="skip", on_gap="apply")


BOARD = ReadModel("board", (CASES, STANDINGS, ENTRIES, MEASURES, LISTS), feed)
