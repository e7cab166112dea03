"""Standings do not depend on how events arrive, taking rows back restores them, no edit of a ledger stays unseen."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local.stack import DISTRICT
from services.scoring.app import SERVICE
from services.scoring.commands.rules import adopt
from services.scoring.district import District
from services.scoring.domain.ledger import Entry, entry_hash, entry_id, find_flaw, recompute
from services.scoring.domain.rules import Rule, RuleBook, Table
from services.scoring.repo import CURRENT, ENTRIES, LEDGERS, STANDINGS
from services.scoring.resources import Resources
from shared.clock import FixedClock
from shared.consumer import MARKS, PARKED, Inbox
from shared.contracts.event_model import EventModel
from shared.contracts.inspections import FindingRecorded, Severity
from shared.contracts.reports import (
    CaseOverdue,
    CaseReopened,
    CaseReturned,
    CaseReworkOrdered,
    CaseSnapshot,
    CaseState,
    Channel,
    Level,
    Place,
    Stage,
)
from shared.contracts.scoring import FactKind
from shared.event import Event
from shared.store import OUTBOX, Store
from shared.testing.memory_store import MemoryDriver
from tests.engine import records
from tests.unit.scoring.ledgers import UNIT, Books, charge, freezing

STAGES = {each.group: each for each in SERVICE.subscriptions}
START = datetime(2026, 10, 29, 4, 0, tzinfo=UTC)
"""Days from here on lie in three months."""
UNITS = ("chengguan", "huanwei")
PLACE = Place(longitude=112.6, latitude=26.89, community="430476001007")
RULES = [
    *District.load(DISTRICT).rule_book.rules,
    Rule("returned", 1, "2026-01-01", FactKind.RETURNED, Table(Decimal("0.7")), cap=Decimal(1)),
    Rule("reopened-in-december", 1, "2026-12-01", FactKind.REOPENED, Table(Decimal(2)), cap=Decimal(3)),
]
"""Those of the sample, and more with caps that are soon reached."""

Lost = dict[str, Decimal]
"""Points by standing."""


def snapshot(case: str, unit: str, times: int) -> CaseSnapshot:
    return CaseSnapshot(
        case=case,
        state=CaseState.DISPATCHED,
        channel=Channel.CITIZEN,
        category="exposed-rubbish",
        category_version=1,
        place=PLACE,
        unit=unit,
        points=Decimal("0.5"),
        registered_at=START,
        reworks=times,
        reopens=times,
        returns=times,
    )


@st.composite
def of_a_case(draw: st.DrawFn, case: str) -> list[Event]:
    """What happens to one case, in its own order."""
    found: list[Event] = []
    for number in range(1, draw(st.integers(1, 5)) + 1):
        unit, at = draw(st.sampled_from(UNITS)), START + timedelta(days=draw(st.integers(0, 40)))
        there = snapshot(case, unit, number)
        model: EventModel = draw(
            st.sampled_from(
                [
                    CaseReworkOrdered(case=there),
                    CaseReopened(case=there),
                    CaseReturned(case=there.model_copy(update={"unit": None}), returned_by=unit),
                    *(
                        CaseOverdue(case=there, stage=stage, level=level, reached_at=at)
                        for stage in (Stage.ACKNOWLEDGE, Stage.RECTIFY, Stage.VERIFY)
                        for level in (Level.BLUE, Level.ORANGE, Level.RED)
                    ),
                ]
            )
        )
        found.append(Event.new(model, case, number, at))
    return found


@st.composite
def of_a_visit(draw: st.DrawFn, visit: str) -> list[Event]:
    """An inspector's findings, one after the other; some lie with nobody."""
    return [
        Event.new(
            FindingRecorded(
                visit=visit,
                finding=number,
                site="S-1",
                place=PLACE,
                category="litter-bin",
                severity=draw(st.sampled_from(Severity)),
                found_at=(at := START + timedelta(days=draw(st.integers(0, 40)))),
                unit=draw(st.sampled_from([*UNITS, None])),
            ),
            visit,
            number,
            at,
        )
        for number in range(1, draw(st.integers(1, 3)) + 1)
    ]


@st.composite
def sources(draw: st.DrawFn) -> list[list[Event]]:
    """What several matters tell, each in its own order."""
    cases = [draw(of_a_case(f"C-{number}")) for number in range(draw(st.integers(1, 4)))]
    return [*cases, *(draw(of_a_visit(f"V-{number}")) for number in range(draw(st.integers(0, 2))))]


def arrival(data: st.DataObject, streams: Iterable[Sequence[Event]]) -> list[Event]:
    """The streams through each other: each in its order, any delayed behind others, and any piece delivered again."""
    left = [list(stream) for stream in streams if stream]
    came: list[Event] = []
    while left:
        stream = left[data.draw(st.integers(0, len(left) - 1))]
        came.append(stream.pop(0))
        left = [each for each in left if each]
        if data.draw(st.integers(0, 3)) == 0:
            came += came[data.draw(st.integers(0, len(came) - 1)) :]
    return came


def by_key(events: Iterable[Event], name: str) -> list[list[Event]]:
    """In order, apart by subject or by partition key."""
    apart: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        apart[getattr(event, name)].append(event)
    return list(apart.values())


@dataclass
class World:
    """The service in memory, fed by hand."""

    store: Store

    @classmethod
    async def new(cls) -> World:
        clock = FixedClock(START)
        store = Store(MemoryDriver(clock), clock, [*SERVICE.collections, MARKS, PARKED])
        await store.run(lambda uow: adopt(uow, RuleBook(CURRENT, 1, RULES)))
        return cls(store)

    async def charge(self, came: Sequence[Event], batch: int) -> list[Event]:
        """The first stage; what it told the ledgers, in the order in which it was told."""
        known = {row.id for row in await self.store.find(OUTBOX, {})}
        await self._apply("scoring.charges", came, batch)
        found = [row for row in await self.store.find(OUTBOX, {}) if row.topic == "scoring.charge"]
        return [row.event for row in found if row.id not in known]

    async def post(self, came: Sequence[Event], batch: int) -> None:
        """The second stage."""
        await self._apply("scoring.ledger", came, batch)

    async def lost(self) -> Lost:
        """Points lost by standing."""
        return {each.id: each.points_lost for each in await self.store.find(STANDINGS, {}) if each.points_lost}

    async def lost_by_month_of_origin(self) -> Lost:
        """Points lost by the month in which it happened, wherever that counts."""
        rows = await self.store.find(ENTRIES, {})
        return _without_nothing(recompute([replace(row, period=row.origin) for row in rows]))

    async def sound(self) -> None:
        """Every ledger chains up to its head and adds up to its standings."""
        rows = await self.store.find(ENTRIES, {}, [("unit", 1), ("number", 1)])
        for ledger in await self.store.find(LEDGERS, {}):
            assert find_flaw(ledger.id, [row for row in rows if row.unit == ledger.id], ledger.head) is None
        assert _without_nothing(recompute(rows)) == await self.lost()
        assert await self.store.count(PARKED, {}) == 0

    async def _apply(self, group: str, came: Sequence[Event], batch: int) -> None:
        inbox = Inbox(self.store, STAGES[group], cast(Resources, None))  # these stages need none
        for start in range(0, len(came), batch):
            await inbox.apply(records(*came[start : start + batch]))


def _without_nothing(lost: Lost) -> Lost:
    return {id: points for id, points in lost.items() if points}


async def in_order(streams: Sequence[Sequence[Event]]) -> World:
    """Every matter told once, one after the other."""
    world = await World.new()
    charges = await world.charge([event for stream in streams for event in stream], 100)
    await world.post(charges, 100)
    return world


@settings(max_examples=60, deadline=None)
@given(sources(), st.data())
def test_standings_are_the_same_however_events_are_delayed_interleaved_and_repeated(
    streams: list[list[Event]], data: st.DataObject
) -> None:
    async def run() -> None:
        expected, world = await in_order(streams), await World.new()
        charges = await world.charge(arrival(data, streams), data.draw(st.integers(1, 6)))
        await world.post(arrival(data, by_key(charges, "subject")), data.draw(st.integers(1, 6)))
        await world.sound()
        assert await world.lost() == await expected.lost()

    asyncio.run(run())


@settings(max_examples=40, deadline=None)
@given(sources(), st.data())
def test_a_month_frozen_at_any_moment_moves_points_and_neither_makes_nor_loses_any(
    streams: list[list[Event]], data: st.DataObject
) -> None:
    async def run() -> None:
        expected, world = await in_order(streams), await World.new()
        charges = await world.charge(arrival(data, streams), 4)
        freezes = [
            Event.new(freezing(period, unit=unit), f"{period}:{unit}", 1, START)
            for unit in UNITS
            for period in ("2026-10", "2026-11")
        ]
        await world.post(arrival(data, by_key([*charges, *freezes], "subject")), data.draw(st.integers(1, 6)))
        await world.sound()
        assert await world.lost_by_month_of_origin() == await expected.lost_by_month_of_origin()
        for unit in UNITS:
            ledger = await world.store.get(LEDGERS, unit)
            assert ledger is not None
            assert ledger.frozen_through == "2026-11"

    asyncio.run(run())


claims = st.tuples(
    st.decimals(-2, 4, places=1).filter(bool),
    st.integers(0, 70),
    st.sampled_from([None, "1", "2.5"]),
    st.sampled_from(["rule:a", "rule:b"]),
)


@given(st.lists(claims, min_size=1, max_size=10), st.data())
def test_taking_any_rows_back_in_any_order_leaves_what_the_others_cost(
    expected: list[tuple[Decimal, int, str | None, str]], data: st.DataObject
) -> None:
    made = [
        charge(str(points), START + timedelta(days=day), cap, bucket=bucket if cap else None)
        for points, day, cap, bucket in expected
    ]
    books, without = Books(), Books()
    for each in made:
        books.post(each)
    taken = data.draw(st.lists(st.sampled_from(range(len(made))), unique=True))
    for place in taken:
        books.reverse(books.rows[place])
    for place, each in enumerate(made):
        if place not in taken:
            without.post(each)
    assert books.lost() == without.lost()


@given(st.lists(claims, min_size=1, max_size=8), claims, st.sampled_from(["", "2026-10", "2026-11", "2026-12"]))
def test_a_row_taken_back_at_once_restores_the_standing_exactly(
    expected: list[tuple[Decimal, int, str | None, str]], last: tuple[Decimal, int, str | None, str], frozen: str
) -> None:
    """Also when it was capped, or late, or both."""
    books = Books()
    for points, day, cap, bucket in expected:
        books.post(charge(str(points), START + timedelta(days=day), cap, bucket=bucket if cap else None))
    if frozen:
        books.freeze(frozen)
    before = books.lost()
    points, day, cap, bucket = last
    row = books.post(charge(str(points), START + timedelta(days=day), cap, bucket=bucket if cap else None))
    back = books.reverse(row)
    assert (back.points, back.period) == (-row.points, row.period)
    assert books.lost() == before
    assert find_flaw(UNIT, books.rows, books.ledger.head) is None


def ledger_of(content: Sequence[tuple[Decimal, int, str | None, str]], taken: bool) -> Books:
    books = Books()
    for points, day, cap, bucket in content:
        books.post(charge(str(points), START + timedelta(days=day), cap, bucket=bucket if cap else None))
    if taken:
        books.freeze("2026-10")
        books.reverse(books.rows[0])
    return books


OTHERWISE: dict[type, Any] = {
    str: lambda value: value + "x",
    int: lambda value: value + 1,
    Decimal: lambda value: value + Decimal("0.01"),
    datetime: lambda value: value + timedelta(milliseconds=1),
    FactKind: lambda value: FactKind.MANUAL if value is not FactKind.MANUAL else FactKind.BONUS,
}
FORMERLY_NOTHING: dict[str, Any] = {
    "indicator": "I-1",
    "standard": "I-1-2",
    "scheme": 1,
    "visit": "V-1",
    "finding": 1,
    "bucket": "rule:c",
    "cap": Decimal(1),
    "claimed": Decimal(1),
    "belongs_to": "2026-01",
    "reverses": 1,
}


@given(st.lists(claims, min_size=1, max_size=6), st.booleans(), st.data())
def test_a_row_edited_in_any_field_is_found_even_when_its_own_hash_is_made_to_fit(
    expected: list[tuple[Decimal, int, str | None, str]], taken: bool, data: st.DataObject
) -> None:
    books = ledger_of(expected, taken)
    place = data.draw(st.integers(0, len(books.rows) - 1))
    row = books.rows[place]
    name = data.draw(
        st.sampled_from([each.name for each in fields(Entry) if each.name not in {"id", "previous", "hash"}])
    )
    value = getattr(row, name)
    change: dict[str, Any] = {name: FORMERLY_NOTHING[name] if value is None else OTHERWISE[type(value)](value)}
    edited = replace(row, **change)
    if data.draw(st.booleans()):
        edited = replace(edited, hash=entry_hash(edited))
    flaw = find_flaw(UNIT, [*books.rows[:place], edited, *books.rows[place + 1 :]], books.ledger.head)
    assert flaw is not None
    assert flaw.number in {place + 1, place + 2}


@given(st.lists(claims, min_size=1, max_size=6), st.booleans(), st.data())
def test_a_row_removed_or_put_in_is_found_even_when_the_row_put_in_chains_to_the_one_before(
    expected: list[tuple[Decimal, int, str | None, str]], taken: bool, data: st.DataObject
) -> None:
    books = ledger_of(expected, taken)
    place = data.draw(st.integers(0, len(books.rows)))
    if place < len(books.rows) and data.draw(st.booleans()):
        changed = [*books.rows[:place], *books.rows[place + 1 :]]
        if data.draw(st.booleans()):
            changed = [replace(row, number=number, id=entry_id(UNIT, number)) for number, row in enumerate(changed, 1)]
    else:
        forged = replace(books.rows[0], number=place + 1, id=entry_id(UNIT, place + 1))
        if place:
            forged.previous = books.rows[place - 1].hash
        forged = replace(forged, points=Decimal(9))
        forged.hash = entry_hash(forged)
        later = [replace(row, number=row.number + 1) for row in books.rows[place:]]
        changed = [*books.rows[:place], forged, *later]
    assert find_flaw(UNIT, changed, books.ledger.head) is not None
