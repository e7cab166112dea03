"""From events to what the pages show."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.portal.domain.cases import STEPS, CaseView, Limits, step_of
from services.portal.handlers import BOARD, CASE_EVENTS, feed
from services.portal.repo import CASES, ENTRIES, LISTS, MEASURES, STANDINGS
from shared.clock import FixedClock
from shared.contracts import PUBLISHED, reports
from shared.contracts.reports import (
    CaseAcknowledged,
    CaseEvent,
    CaseOverdue,
    CaseRegistered,
    CaseReplied,
    CaseState,
    Kind,
    Level,
    Stage,
)
from shared.contracts.scoring import EntryPosted, FactKind, MeasureState, StandingChanged
from shared.event import Event
from shared.readmodel import Generation
from shared.store import Store
from shared.testing.memory_store import MemoryDriver
from tests.unit.portal.events import (
    CASE,
    EVERYWHERE,
    MARKET,
    NOON,
    case_event,
    entry_event,
    list_event,
    measure_event,
    standing_event,
    withdrawal_event,
)

FIRST = Generation(1)
LIFE = [
    case_event(1, CaseRegistered),
    case_event(2, CaseOverdue, at=NOON + timedelta(hours=5), overdue_at=NOON + timedelta(hours=4)),
    case_event(3, CaseAcknowledged, at=NOON + timedelta(hours=6), state=CaseState.ACKNOWLEDGED),
    case_event(4, CaseReplied, at=NOON + timedelta(hours=7), state=CaseState.REPLIED, due_at=None),
]


def a_store() -> Store:
    clock = FixedClock(NOON)
    return Store(MemoryDriver(clock), clock)


async def handled(store: Store, *batches: list[Event], generation: Generation = FIRST) -> None:
    """The batches as a worker hands them over."""
    subscription = feed(generation)
    for batch in batches:
        uow = store.unit()
        assert subscription.prefetch is not None
        await subscription.prefetch(uow, batch, EVERYWHERE)
        for event in batch:
            await subscription.handle(uow, event, EVERYWHERE)
        await store.commit(uow)


async def shown(store: Store) -> CaseView:
    view = await store.get(FIRST(CASES), CASE)
    assert view is not None
    return view


async def test_a_case_is_shown_as_its_last_event_tells_it() -> None:
    store = a_store()
    await handled(store, LIFE)
    view = await shown(store)
    assert (view.sequence, view.state, view.due_at) == (4, CaseState.REPLIED, None)
    assert (view.community, view.address, view.unit) == ("430476001007", "祥光社区北门", "huanwei")


async def test_nothing_of_a_place_that_is_not_to_be_shown_is_kept() -> None:
    store = a_store()
    await handled(store, [case_event(category="noise", address="3 栋 201")])
    [kept] = await store.driver.find(FIRST(CASES).name, {})
    assert (kept["longitude"], kept["latitude"], kept["address"]) == (None, None, "")
    assert kept["community"] == "430476001007"


async def test_what_is_cleaned_in_reports_is_gone_from_here_with_the_event_that_says_so() -> None:
    store = a_store()
    canary = "王女士 13900000000"
    await handled(store, [case_event(address=canary, photos=("face",), reply_photos=("hand",))])
    await handled(store, [case_event(2, reports.CaseChanged, address="")])
    for collection in BOARD.collections:
        kept = str(await store.driver.find(FIRST(collection).name, {}))
        assert canary not in kept
        assert "face" not in kept
        assert "hand" not in kept


async def test_each_event_adds_a_line_of_history_and_a_limit_runs_out_at_its_own_moment() -> None:
    store = a_store()
    await handled(store, LIFE)
    view = await shown(store)
    assert [line.kind for line in view.timeline] == [
        "case-registered",
        "case-overdue",
        "case-acknowledged",
        "case-replied",
    ]
    assert view.timeline[1].at == NOON + timedelta(hours=4)
    assert view.timeline[2].at == NOON + timedelta(hours=6)


async def test_a_case_shows_who_helps_how_late_it_is_and_what_belongs_to_it() -> None:
    fields: dict[str, Any] = {
        "kind": Kind.PROBLEM,
        "stage": Stage.VERIFY,
        "stage_due_at": NOON + timedelta(days=2),
        "level": Level.RED,
        "supporting": ("chengguan",),
        "reply_photos": ("after",),
        "parent": "20261103-WHOLEWHOLE",
        "children": (f"{CASE}-1",),
        "merged_into": "20261103-OTHEROTHER",
        "repeat_of": "20261003-BEFOREBEFO",
        "reopens": 2,
        "satisfied": False,
    }
    store = a_store()
    await handled(store, [case_event(1, CaseRegistered, **fields)])
    view = await shown(store)
    assert {name: getattr(view, name) for name in fields} == fields


def test_every_state_has_its_step_or_is_off_the_way() -> None:
    off = {state for state in CaseState if step_of(state) is None}
    assert off == {
        CaseState.REJECTED,
        CaseState.SUSPENDED,
        CaseState.WAITING,
        CaseState.MERGED,
        CaseState.SPLIT,
        CaseState.OTHER,
    }
    assert {step_of(state) for state in CaseState} - {None} == set(range(len(STEPS)))


async def test_praise_is_on_no_way() -> None:
    store = a_store()
    await handled(store, [case_event(kind=Kind.PRAISE, state=CaseState.CLOSED, closed_at=NOON)])
    assert (await shown(store)).step is None


@pytest.mark.parametrize(
    ("stage", "level", "kind"),
    [
        (Stage.RECTIFY, Level.BLUE, "case-overdue"),
        (Stage.RECTIFY, Level.ORANGE, "case-overdue-orange"),
        (Stage.RECTIFY, Level.RED, "case-overdue-red"),
        (Stage.ACKNOWLEDGE, Level.BLUE, "case-stage-overdue"),
        (Stage.VERIFY, Level.RED, "case-stage-overdue"),
    ],
)
async def test_what_runs_out_is_told_apart_and_at_the_moment_it_did(stage: Stage, level: Level, kind: str) -> None:
    store, reached_at = a_store(), NOON + timedelta(hours=11)
    more = {"stage": stage, "level": level, "due_at": NOON + timedelta(hours=4), "reached_at": reached_at}
    at = NOON + timedelta(hours=12)
    await handled(store, [LIFE[0], case_event(2, CaseOverdue, at=at, overdue_at=NOON + timedelta(hours=4), more=more)])
    [line] = (await shown(store)).timeline[1:]
    assert (line.kind, line.at, line.stage) == (kind, reached_at, None if stage is Stage.RECTIFY else stage)


async def test_every_kind_of_event_becomes_a_line_of_its_own_name() -> None:
    store = a_store()
    needed: dict[type[CaseEvent], dict[str, object]] = {
        reports.CaseReturned: {"returned_by": "huanwei"},
        reports.CaseSuspended: {"review_at": NOON + timedelta(days=10)},
        reports.CaseDueSoon: {"stage": Stage.RECTIFY, "due_at": NOON, "elapsed_minutes": 180},
    }
    events = [case_event(number, kind, more=needed.get(kind, {})) for number, kind in enumerate(CASE_EVENTS, 1)]
    await handled(store, events)
    assert [line.kind for line in (await shown(store)).timeline] == [
        event.type.removeprefix("chuangwen.reports.").removesuffix(".v1") for event in events
    ]


@pytest.mark.parametrize(
    ("stage", "running"),
    [
        (None, ["rectify"]),
        (Stage.ACKNOWLEDGE, ["acknowledge", "rectify"]),
        (Stage.RECTIFY, ["rectify"]),
        (Stage.ANSWER, ["rectify"]),
        (Stage.VERIFY, ["verify", "rectify"]),
    ],
)
def test_the_limits_that_run_are_those_of_offices(stage: Stage | None, running: list[str]) -> None:
    limits = Limits(NOON + timedelta(hours=1), stage, NOON)
    assert [limit.stage for limit in limits.running] == running
    assert [limit.stage for limit in limits.overdue(NOON + timedelta(minutes=1))] == running[:-1]
    assert Limits(None).running == ()


async def test_a_case_that_rests_is_not_overdue_however_long_ago_its_limit_ended() -> None:
    store = a_store()
    suspended = {"review_at": NOON + timedelta(days=10)}
    rest = case_event(2, reports.CaseSuspended, state=CaseState.SUSPENDED, due_at=None, more=suspended)
    await handled(store, [LIFE[0], rest])
    view = await shown(store)
    assert (view.state, view.is_overdue(NOON + timedelta(days=5))) == (CaseState.SUSPENDED, False)


async def test_how_events_are_batched_makes_no_difference() -> None:
    one, other = a_store(), a_store()
    await handled(one, LIFE)
    await handled(other, *([event] for event in LIFE))
    assert await shown(one) == await shown(other)


async def test_a_new_case_costs_no_read_before_it_is_written() -> None:
    store = a_store()
    uow = store.unit()
    subscription = feed(FIRST)
    assert subscription.prefetch is not None
    await subscription.prefetch(uow, [LIFE[0]], EVERYWHERE)
    assert not uow.writes()
    await subscription.handle(uow, LIFE[0], EVERYWHERE)
    [write] = uow.writes()
    assert (write.collection, write.id) == ("cases_g1", CASE)


async def test_standings_and_ledger_rows_are_kept_by_their_own_identity() -> None:
    store = a_store()
    await handled(store, [standing_event("huanwei", "99.5"), standing_event("huanwei", "99", sequence=2)])
    await handled(store, [entry_event("huanwei", 1), entry_event("huanwei", 2)])
    [standing] = await store.find(FIRST(STANDINGS), {})
    assert (standing.id, standing.score, standing.points_lost) == ("huanwei:2026-11", Decimal(99), Decimal(1))
    rows = await store.find(FIRST(ENTRIES), {}, [("_id", 1)])
    assert [row.id for row in rows] == ["huanwei:0000000001", "huanwei:0000000002"]
    assert rows[0].basis == f"reports.case/{CASE}/2"


async def test_a_row_keeps_all_that_its_event_tells() -> None:
    fields: dict[str, Any] = {
        "kind": FactKind.FINDING,
        "indicator": "2.3",
        "standard": "2.3.1",
        "scheme": 4,
        "visit": "20261103-0001",
        "finding": 2,
        "bucket": "rule:finding",
        "cap": Decimal(20),
        "claimed": Decimal(1),
        "belongs_to": "2026-10",
        "reverses": 3,
    }
    store = a_store()
    await handled(store, [entry_event("huanwei", 4, points="0.5", **fields)])
    [row] = await store.find(FIRST(ENTRIES), {})
    assert {name: getattr(row, name) for name in fields} == fields
    assert row.capped


@pytest.mark.parametrize("old", [EntryPosted, StandingChanged])
async def test_an_event_of_before_the_new_fields_is_read(old: type[EntryPosted] | type[StandingChanged]) -> None:
    event = entry_event("huanwei", 1) if old is EntryPosted else standing_event("huanwei", "99")
    required = {name for name, field in old.model_fields.items() if field.is_required()}
    value = json.dumps({name: part for name, part in json.loads(event.value).items() if name in required}).encode()
    assert len(value) < len(event.value)
    store = a_store()
    await handled(store, [replace(event, value=value)])
    for row in await store.find(FIRST(ENTRIES), {}):
        assert (row.kind, row.kind_shown, row.capped) == (None, FactKind.OTHER, False)
    for standing in await store.find(FIRST(STANDINGS), {}):
        assert not standing.frozen


async def test_a_measure_is_kept_as_it_stands_and_without_what_it_is_about() -> None:
    store = a_store()
    await handled(store, [measure_event("1", "urge"), measure_event("1", "urge", MeasureState.REPLIED, 2)])
    [document] = await store.driver.find(FIRST(MEASURES).name, {})
    assert (document["_id"], document["state"], document["rung"]) == ("1", "replied", "urge")
    assert not {"cause", "case", "number"} & set(document)


async def test_a_list_that_is_withdrawn_keeps_nobody_who_stood_on_it() -> None:
    store = a_store()
    await handled(store, [list_event()])
    [shown_list] = await store.find(FIRST(LISTS), {})
    assert shown_list.items[0] == MARKET
    await handled(store, [withdrawal_event()])
    [document] = await store.driver.find(FIRST(LISTS).name, {})
    assert document["items"] == []
    assert document["published_at"] == NOON
    assert "祥光" not in str(document)


async def test_generations_do_not_touch_each_other() -> None:
    store = a_store()
    await handled(store, LIFE)
    await handled(store, [LIFE[0]], generation=Generation(2))
    assert (await shown(store)).sequence == 4
    assert len(await store.find(Generation(2)(CASES), {})) == 1


def test_every_public_event_of_the_topics_has_a_handler() -> None:
    subscription = feed(FIRST)
    heard = {model for model in PUBLISHED.values() if model.TOPIC in subscription.topics}
    assert heard == {reaction.model for reaction in subscription.reactions}
    assert set(CASE_EVENTS) < heard


def test_the_board_is_one_read_model_with_its_own_group() -> None:
    assert BOARD.name == "board"
    assert feed(Generation(7)).group == "portal.board.g7"
