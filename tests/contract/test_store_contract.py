"""One suite for every driver of the store: the fake, MongoDB through motor, MongoDB through PyMongo Async."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

import pytest
from pymongo import AsyncMongoClient

from shared.clock import FixedClock
from shared.deadlines import clock_ahead
from shared.errors import Conflict, Duplicate, NotFound, Unavailable
from shared.store import OUTBOX, Change, Collection, Driver, Index, Store, UnitOfWork, Write, remember
from shared.store.migration import Step, carry_out, plan
from shared.store.mongo import MongoDriver
from shared.testing.memory_store import MemoryDriver
from tests.engine import ITEMS, NOON, VIEWS, Grown, Item, View, Weighed, grow
from tests.servers import Servers
from tests.waiting import eventually


class Colour(StrEnum):
    RED = "red"


@dataclass
class Part:
    name: str
    colour: Colour
    weight: Decimal


@dataclass
class Everything:
    """A field of every kind that our entities have."""

    id: str
    text: str
    colour: Colour
    amount: Decimal
    at: datetime
    day: datetime | None
    tags: tuple[str, ...]
    parts: list[Part]
    pairs: list[tuple[str, bytes]]
    by_name: dict[str, int]
    flag: bool
    raw: bytes
    maybe: str | None = None


@dataclass
class Ticket:
    id: str
    unit: str
    state: str = "open"
    number: int = 0
    tags: list[str] = field(default_factory=list)
    deadline_at: datetime | None = None
    nested: dict[str, str] = field(default_factory=dict)


EVERYTHING = Collection("everything", Everything)
TICKETS = Collection(
    "tickets",
    Ticket,
    [Index((("unit", 1), ("number", -1))), Index((("deadline_at", 1),)), Index((("at", 1),), expire_after_seconds=60)],
)
NUMBERED = Collection("numbered", Ticket, [Index((("unit", 1), ("number", 1)), unique=True)])
OPEN_ONLY = Collection(
    "open_only", Ticket, [Index((("unit", 1),), unique=True, partial={"state": "open"})]
)  # a unit has one open ticket
FOUND = Collection(
    "found",
    Ticket,
    [Index((("words", 1), ("number", -1)))],
    derive=lambda ticket: {"words": [ticket.unit, *ticket.tags], "urgent": ticket.deadline_at is not None},
)  # fields that only the database needs
ALL = (ITEMS, VIEWS, EVERYTHING, TICKETS, NUMBERED, OPEN_ONLY, FOUND)

Kind = Literal["memory", "motor", "pymongo"]


@pytest.fixture(scope="module", params=["memory", "motor", "pymongo"])
async def shared_driver(request: pytest.FixtureRequest) -> AsyncIterator[Driver]:
    if request.param == "memory":
        memory = MemoryDriver(FixedClock(NOON))
        await Store(memory, FixedClock(NOON), ALL).ensure_indexes()
        yield memory
        return
    servers: Servers = request.getfixturevalue("servers")
    name = f"t{secrets.token_hex(4)}-contract"
    driver = MongoDriver(servers.mongodb_uri(), name, request.param)
    await Store(driver, FixedClock(NOON), ALL).ensure_indexes()
    yield driver
    await driver.close()
    servers.forget(name)


@pytest.fixture
async def store(shared_driver: Driver) -> AsyncIterator[Store]:
    store = Store(shared_driver, FixedClock(NOON), ALL)
    yield store
    await store.drain()
    await asyncio.gather(*(empty(store, collection) for collection in store._collections))


async def put(store: Store, *tickets: Ticket, into: Collection[Ticket] = TICKETS) -> None:
    uow = store.unit()
    for ticket in tickets:
        uow.insert(into, ticket)
    await store.commit(uow)


async def empty(store: Store, collection: Collection[Any]) -> None:
    if await store.driver.delete(collection.name, {}):
        await emptied(store, collection)


async def emptied(store: Store, collection: Collection[Any]) -> None:
    """A deletion outside a unit is acknowledged before the majority, which reads see, has it."""

    async def look() -> bool:
        return await store.count(collection, {}) == 0

    await eventually(look)


async def pending(store: Store) -> list[tuple[str, int, bytes]]:
    rows = await store.find(OUTBOX, {}, [("subject", 1), ("sequence", 1)])
    return [(row.subject, row.sequence, row.value) for row in rows]


# ---- documents ----


async def test_every_kind_of_field_comes_back_as_it_went(store: Store) -> None:
    entity = Everything(
        id="全部 🧹/1",
        text="解放路菜市场外🚮垃圾\n“未清运”",
        colour=Colour.RED,
        amount=Decimal("-12.50"),
        at=datetime(2026, 2, 28, 23, 59, 59, 123000, tzinfo=UTC),
        day=None,
        tags=("脏", "乱"),
        parts=[Part("桶", Colour.RED, Decimal("0.1")), Part("", Colour.RED, Decimal("1E+3"))],
        pairs=[("ce_id", b"\x00\xff"), ("ce_id", b"")],
        by_name={"雁峰区": 3, "with space": -(2**40)},
        flag=True,
        raw=bytes(range(256)),
    )
    uow = store.unit()
    uow.insert(EVERYTHING, entity)
    await store.commit(uow)
    found = await store.get(EVERYTHING, entity.id)
    assert found == entity
    assert found is not None
    assert found is not entity
    assert str(found.amount) == "-12.50"
    assert found.at.tzinfo is not None
    assert isinstance(found.colour, Colour)
    assert isinstance(found.tags, tuple)


async def test_derived_fields_are_found_by_and_follow_the_entity(store: Store) -> None:
    uow = store.unit()
    uow.insert(FOUND, Ticket("a", "parks", tags=["tree"]))
    await store.commit(uow)
    assert [each.id for each in await store.find(FOUND, {"words": "tree", "urgent": False})] == ["a"]
    [document] = await store.driver.find(FOUND.name, {})
    assert (document["words"], document["urgent"]) == (["parks", "tree"], False)

    async def change(uow: UnitOfWork) -> None:
        ticket = await uow.get(FOUND, "a")
        assert ticket == Ticket("a", "parks", tags=["tree"])
        ticket.tags, ticket.deadline_at = ["bin"], NOON
        uow.save(FOUND, ticket)

    await store.run(change)
    assert await store.find(FOUND, {"words": "tree"}) == []
    assert await store.find(FOUND, {"words": "bin", "urgent": True}) == [
        Ticket("a", "parks", tags=["bin"], deadline_at=NOON)
    ]


async def test_a_document_from_before_a_field_was_derived_loads_as_it_is(store: Store) -> None:
    """Whether it was a field of the entity then, or was not there at all."""
    old = {"_id": "old", "v": 3, "s": 2, "unit": "parks", "words": ["forgotten"], "gone": 1}
    bare = {"_id": "bare", "v": 1, "s": 0, "unit": "roads"}
    inserts = [Write(FOUND.name, str(each["_id"]), Change.INSERT, each, 0) for each in (old, bare)]
    await store.driver.transact(inserts)
    assert await store.find(FOUND, {}, [("_id", 1)]) == [Ticket("bare", "roads"), Ticket("old", "parks")]

    async def touch(uow: UnitOfWork) -> None:
        for ticket in (await uow.load(FOUND, ["old", "bare"])).values():
            uow.save(FOUND, ticket)

    await store.run(touch)
    assert {
        each["_id"]: (each["v"], each["words"], "gone" in each) for each in await store.driver.find("found", {})
    } == {
        "old": (4, ["parks"], False),
        "bare": (2, ["roads"], False),
    }


def test_a_derived_field_may_not_take_the_name_of_a_field() -> None:
    clashing = Collection("clashing", Ticket, derive=lambda ticket: {"unit": ticket.unit.upper()})
    with pytest.raises(TypeError, match="unit"):
        clashing.to_document(Ticket("a", "parks"), 1, 0)
    assert FOUND.renamed("found_g2").to_document(Ticket("a", "parks"), 1, 0)["words"] == ["parks"]


async def test_moments_are_kept_in_whole_milliseconds(store: Store) -> None:
    await put(store, Ticket("t", "u", deadline_at=datetime(2026, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC)))
    ticket = await store.get(TICKETS, "t")
    assert ticket is not None
    assert ticket.deadline_at == datetime(2026, 1, 1, 0, 0, 0, 999_000, tzinfo=UTC)


async def test_what_is_read_is_a_copy(store: Store) -> None:
    await put(store, Ticket("t", "u", tags=["a"]))
    first = await store.get(TICKETS, "t")
    assert first is not None
    first.tags.append("b")
    again = await store.get(TICKETS, "t")
    assert again == Ticket("t", "u", tags=["a"])


async def test_a_document_that_is_not_there_is_none_or_not_found(store: Store) -> None:
    assert await store.get(ITEMS, "nobody") is None
    assert await store.unit().find(ITEMS, "nobody") is None
    with pytest.raises(NotFound, match="items-not-found"):
        await store.unit().get(ITEMS, "nobody")


async def test_load_finds_those_that_exist(store: Store) -> None:
    await put(store, Ticket("a", "u"), Ticket("b", "u"))
    assert set(await store.unit().load(TICKETS, ["a", "x", "b", "a"])) == {"a", "b"}


# ---- guards ----


async def test_the_second_of_two_who_read_the_same_document_gets_a_conflict(store: Store) -> None:
    await grow(store, "i")
    first, second = store.unit(), store.unit()
    for uow in (first, second):
        item = await uow.get(ITEMS, "i")
        item.total += 10
        uow.save(ITEMS, item, Grown(by=10))
    await store.commit(first)
    with pytest.raises(Conflict) as raised:
        await store.commit(second)
    assert not isinstance(raised.value, Duplicate)
    assert await store.get(ITEMS, "i") == Item("i", 11)
    assert [sequence for _, sequence, _ in await pending(store)] == [1, 2]


async def test_an_identity_is_given_once(store: Store) -> None:
    await put(store, Ticket("t", "first"))
    with pytest.raises(Duplicate):
        await put(store, Ticket("t", "second"))
    assert await store.get(TICKETS, "t") == Ticket("t", "first")


@pytest.mark.parametrize("collection", [NUMBERED, OPEN_ONLY])
async def test_a_unique_index_refuses_the_second(store: Store, collection: Collection[Ticket]) -> None:
    await put(store, Ticket("a", "u", number=1), into=collection)
    with pytest.raises(Duplicate):
        await put(store, Ticket("b", "u", number=1), into=collection)
    assert await store.count(collection, {}) == 1


async def test_a_partial_unique_index_counts_only_its_part(store: Store) -> None:
    await put(store, Ticket("a", "u"), Ticket("b", "u", state="closed"), into=OPEN_ONLY)
    await put(store, Ticket("c", "u", state="closed"), into=OPEN_ONLY)
    assert await store.count(OPEN_ONLY, {}) == 3


async def test_a_replace_may_break_no_unique_index(store: Store) -> None:
    await put(store, Ticket("a", "u", number=1), Ticket("b", "u", number=2), into=NUMBERED)
    uow = store.unit()
    b = await uow.get(NUMBERED, "b")
    b.number = 1
    uow.save(NUMBERED, b)
    with pytest.raises(Duplicate):
        await store.commit(uow)
    assert await store.get(NUMBERED, "b") == Ticket("b", "u", number=2)


async def test_a_deleted_document_is_gone_and_cannot_be_saved_by_who_read_it_before(store: Store) -> None:
    await put(store, Ticket("t", "u"))
    late, uow = store.unit(), store.unit()
    ticket = await late.get(TICKETS, "t")
    uow.delete(TICKETS, await uow.get(TICKETS, "t"))
    await store.commit(uow)
    assert await store.get(TICKETS, "t") is None
    late.save(TICKETS, ticket)
    with pytest.raises(Conflict):
        await store.commit(late)
    assert await store.get(TICKETS, "t") is None


async def test_a_stale_deletion_is_a_conflict(store: Store) -> None:
    await grow(store, "i")
    stale = store.unit()
    item = await stale.get(ITEMS, "i")
    await grow(store, "i")
    stale.delete(ITEMS, item)
    with pytest.raises(Conflict):
        await store.commit(stale)
    assert await store.get(ITEMS, "i") == Item("i", 2)


async def test_put_writes_whatever_was_there(store: Store) -> None:
    for total in (1, 2):
        uow = store.unit()
        uow.put(VIEWS, View("v", total=total))
        await store.commit(uow)
    assert await store.get(VIEWS, "v") == View("v", total=2)


# ---- all or nothing ----


async def test_one_refused_write_takes_everything_of_its_unit_with_it(store: Store) -> None:
    await put(store, Ticket("taken", "u"))
    await grow(store, "i")
    events = len(await pending(store))
    uow = store.unit()
    item = await uow.get(ITEMS, "i")
    item.total = 99
    uow.save(ITEMS, item, Grown(by=98))
    uow.put(VIEWS, View("v"))
    uow.insert(TICKETS, Ticket("free", "u"))
    uow.insert(TICKETS, Ticket("taken", "u"))
    remember(uow, "key", "print", 201, b"{}")
    with pytest.raises(Duplicate):
        await store.commit(uow)
    assert await store.get(ITEMS, "i") == Item("i", 1)
    assert await store.get(VIEWS, "v") is None
    assert await store.get(TICKETS, "free") is None
    assert await store.recall("key") is None
    assert len(await pending(store)) == events


async def test_events_are_written_with_the_document_and_numbered_without_gaps(store: Store) -> None:
    uow = store.unit()
    item = Item("i")
    uow.insert(ITEMS, item, Grown(by=1), Grown(by=2))
    uow.insert(ITEMS, Item("j"), Grown(by=7))
    await store.commit(uow)
    await grow(store, "i", by=3)
    assert await pending(store) == [
        ("i", 1, b'{"by":1}'),
        ("i", 2, b'{"by":2}'),
        ("i", 3, b'{"by":3}'),
        ("j", 1, b'{"by":7}'),
    ]
    assert uow.sequence(ITEMS, "i") == 2


async def test_an_event_row_is_the_event(store: Store) -> None:
    uow = store.unit()
    uow.insert(ITEMS, Item("物 1"), Grown(by=1))
    await store.commit(uow)
    [row] = await store.find(OUTBOX, {})
    assert row.event == uow.events[0]


async def test_of_events_that_carry_the_whole_state_the_last_goes_out(store: Store) -> None:
    uow = store.unit()
    item = Item("i")
    uow.insert(ITEMS, item, Weighed(weight=1), Grown(by=1))
    uow.save(ITEMS, item, Weighed(weight=2))
    await store.commit(uow)
    assert await pending(store) == [("i", 1, b'{"weight":2}'), ("i", 2, b'{"by":1}')]


async def test_an_answer_is_remembered_with_the_change_it_answered(store: Store) -> None:
    uow = store.unit()
    uow.insert(TICKETS, Ticket("t", "u"))
    remember(uow, "citizen|key", "fingerprint", 201, '{"id":"事"}'.encode())
    await store.commit(uow)
    kept = await store.recall("citizen|key")
    assert kept is not None
    assert (kept.fingerprint, kept.status, kept.body) == ("fingerprint", 201, '{"id":"事"}'.encode())
    again = store.unit()
    again.insert(TICKETS, Ticket("t2", "u"))
    remember(again, "citizen|key", "fingerprint", 201, b"")
    with pytest.raises(Duplicate):
        await store.commit(again)
    assert await store.get(TICKETS, "t2") is None


# ---- queries ----

TICKET_SET = (
    Ticket("a", "u", number=1, tags=["x", "y"], deadline_at=NOON, nested={"kind": "big"}),
    Ticket("b", "u", state="closed", number=2, tags=["y"], deadline_at=NOON + timedelta(hours=1)),
    Ticket("c", "v", number=3, nested={"kind": "small"}),
    Ticket("d", "v", state="closed", number=4),
)


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({}, "abcd"),
        ({"unit": "u"}, "ab"),
        ({"unit": "u", "state": "closed"}, "b"),
        ({"_id": {"$in": ["a", "d", "x"]}}, "ad"),
        ({"_id": {"$lt": "c"}}, "ab"),
        ({"_id": {"$ne": "a"}, "unit": "u"}, "b"),
        ({"state": {"$nin": ["open"]}}, "bd"),
        ({"number": {"$gt": 1, "$lte": 3}}, "bc"),
        ({"number": {"$gte": 4}}, "d"),
        ({"deadline_at": {"$lte": NOON}}, "a"),
        ({"deadline_at": None}, "cd"),
        ({"tags": "y"}, "ab"),
        ({"tags": {"$in": ["x"]}}, "a"),
        ({"nested.kind": "small"}, "c"),
        ({"nested.kind": {"$exists": True}}, "ac"),
        ({"$or": [{"number": 1}, {"unit": "v", "state": "closed"}]}, "ad"),
        ({"$and": [{"unit": "v"}, {"number": 3}]}, "c"),
        ({"$nor": [{"unit": "v"}, {"number": 1, "state": "open"}]}, "b"),
        ({"tags": {"$all": ["x", "y"]}}, "a"),
        ({"unit": {"$eq": "v"}, "_id": {"$regex": "^[cx]"}}, "c"),
    ],
)
async def test_filters(store: Store, filter: dict[str, Any], expected: str) -> None:
    await put(store, *TICKET_SET)
    found = await store.find(TICKETS, filter, [("_id", 1)])
    assert "".join(ticket.id for ticket in found) == expected
    assert await store.count(TICKETS, filter) == len(expected)


async def test_sort_skip_and_limit(store: Store) -> None:
    await put(store, *TICKET_SET)

    async def ids(**how: Any) -> str:
        return "".join(ticket.id for ticket in await store.find(TICKETS, {}, **how))

    assert await ids(sort=[("unit", -1), ("number", 1)]) == "cdab"
    assert await ids(sort=[("number", -1)], limit=2) == "dc"
    assert await ids(sort=[("number", 1)], skip=1, limit=2) == "bc"
    assert await ids(sort=[("number", 1)], skip=3) == "d"
    assert await ids(sort=[("deadline_at", 1), ("_id", 1)]) == "cdab"


async def test_only_named_fields_are_read(store: Store) -> None:
    await put(store, *TICKET_SET[:1])
    assert await store.driver.find("tickets", {}, fields=("unit", "number")) == [{"_id": "a", "unit": "u", "number": 1}]
    assert await store.driver.find("tickets", {}, fields=()) == [{"_id": "a"}]


# ---- streams ----


async def test_a_stream_gives_all_that_a_query_finds_in_order(store: Store) -> None:
    await put(store, *TICKET_SET)
    stream = store.stream(TICKETS, {"number": {"$gt": 1}}, [("number", -1)])
    found = [TICKETS.to_entity(document) async for document in stream]
    assert found == await store.find(TICKETS, {"number": {"$gt": 1}}, [("number", -1)])
    assert [ticket.id for ticket in found] == ["d", "c", "b"]
    assert [document async for document in store.stream(TICKETS, {"unit": "nobody"})] == []


async def test_a_stream_reads_only_named_fields(store: Store) -> None:
    await put(store, *TICKET_SET[:2])
    stream = store.stream(TICKETS, {}, [("_id", 1)], ("number",))
    assert [document async for document in stream] == [{"_id": "a", "number": 1}, {"_id": "b", "number": 2}]
    assert [document async for document in store.stream(TICKETS, {}, [("_id", 1)], ())] == [{"_id": "a"}, {"_id": "b"}]


async def test_a_stream_goes_on_beyond_what_it_holds_at_a_time(store: Store) -> None:
    await put(store, *(Ticket(f"t{number:04}", "u", number=number) for number in range(2_500)))
    numbers = [document["number"] async for document in store.stream(TICKETS, {}, [("_id", 1)], ("number",))]
    assert numbers == list(range(2_500))


async def test_a_stream_that_is_closed_early_gives_nothing_more(store: Store) -> None:
    await put(store, *TICKET_SET)
    async with aclosing(store.stream(TICKETS, {}, [("_id", 1)])) as stream:
        assert (await anext(stream))["_id"] == "a"
    assert [document async for document in stream] == []


# ---- group commit ----


async def test_concurrent_units_all_land_each_with_its_events(store: Store) -> None:
    await asyncio.gather(*(grow(store, f"i{number}") for number in range(150)))
    assert await store.count(ITEMS, {"total": 1}) == 150
    assert len(await pending(store)) == 150


async def test_a_unit_that_conflicts_fails_alone(store: Store) -> None:
    await grow(store, "contested")
    stale = store.unit()
    item = await stale.get(ITEMS, "contested")
    stale.save(ITEMS, item, Grown(by=1))
    await grow(store, "contested")
    units = [store.unit() for _ in range(20)]
    for number, uow in enumerate(units):
        uow.insert(TICKETS, Ticket(f"t{number}", "u"))
    outcomes = await asyncio.gather(
        *(store.commit(uow) for uow in [*units[:10], stale, *units[10:]]), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [Conflict]
    assert outcomes[10] is not None
    assert await store.count(TICKETS, {}) == 20
    assert await store.get(ITEMS, "contested") == Item("contested", 2)


async def test_one_document_wanted_by_many_at_once_loses_no_change(store: Store) -> None:
    await grow(store, "i")
    # Far more than there are tries: whoever has lost once waits for a turn and does not lose to the others again.
    await asyncio.gather(*(grow(store, "i") for _ in range(59)))
    assert await store.get(ITEMS, "i") == Item("i", 60)
    assert [sequence for _, sequence, _ in await pending(store)] == list(range(1, 61))


async def test_those_who_want_the_same_documents_do_not_wait_for_each_other_in_a_circle(store: Store) -> None:
    async def both(first: str, second: str) -> None:
        async def command(uow: UnitOfWork) -> None:
            for id in (first, second):
                item = await uow.get(ITEMS, id)
                item.total += 1
                uow.save(ITEMS, item)

        await store.run(command)

    for id in "ab":
        await grow(store, id)
    async with asyncio.timeout(60):
        await asyncio.gather(*(both(*pair) for pair in ("ab", "ba") * 20))
    assert [await store.get(ITEMS, id) for id in "ab"] == [Item("a", 41), Item("b", 41)]


async def test_a_commit_lands_although_its_caller_was_cancelled(store: Store) -> None:
    uow = store.unit()
    uow.insert(TICKETS, Ticket("t", "u"))
    caller = asyncio.create_task(store.commit(uow))
    await asyncio.sleep(0)  # the commit has begun
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await store.drain()
    assert await store.get(TICKETS, "t") == Ticket("t", "u")


async def test_an_empty_unit_is_nothing(store: Store) -> None:
    uow = store.unit()
    await uow.find(ITEMS, "nobody")
    await store.commit(uow)
    assert await store.count(ITEMS, {}) == 0


async def test_run_decides_again_on_fresh_data(store: Store) -> None:
    await grow(store, "i")
    tries = 0

    async def command(uow: UnitOfWork) -> int:
        nonlocal tries
        item = await uow.get(ITEMS, "i")
        tries += 1
        if tries == 1:
            await grow(store, "i", by=5)
        item.total += 1
        uow.save(ITEMS, item)
        return item.total

    assert await store.run(command) == 7
    assert tries == 2


async def test_a_transaction_writes_each_kind_of_change(store: Store) -> None:
    await put(store, Ticket("a", "u"), Ticket("b", "u"))
    document = TICKETS.to_document(Ticket("a", "w"), 2, 0)
    await store.driver.transact(
        [
            Write("tickets", "a", Change.REPLACE, document, 1),
            Write("tickets", "b", Change.DELETE, None, 1),
            Write("tickets", "c", Change.INSERT, TICKETS.to_document(Ticket("c", "w"), 1, 0), 0),
            Write("tickets", "d", Change.PUT, TICKETS.to_document(Ticket("d", "w"), 1, 0), 0),
        ]
    )
    assert [(t.id, t.unit) for t in await store.find(TICKETS, {}, [("_id", 1)])] == [("a", "w"), ("c", "w"), ("d", "w")]


# ---- leases, deletion, indexes, files ----


async def test_a_lease_has_one_holder_until_it_is_released(store: Store) -> None:
    driver, name = store.driver, secrets.token_hex(4)
    assert await driver.lease(name, "a", 60)
    assert await driver.lease(name, "a", 60)
    assert not await driver.lease(name, "b", 60)
    await driver.release(name, "b")
    assert not await driver.lease(name, "b", 60)
    await driver.release(name, "a")
    assert await driver.lease(name, "b", 60)


async def test_a_lease_that_ran_out_is_free(store: Store) -> None:
    name = secrets.token_hex(4)
    assert await store.driver.lease(name, "a", -1)
    assert await store.driver.lease(name, "b", 60)
    assert not await store.driver.lease(name, "a", 60)


async def test_of_many_who_ask_for_a_lease_at_once_one_gets_it(store: Store) -> None:
    name = secrets.token_hex(4)
    got = await asyncio.gather(*(store.driver.lease(name, f"holder-{n}", 60) for n in range(10)))
    assert sum(got) == 1


async def test_deletion_outside_a_unit_tells_how_many(store: Store) -> None:
    await put(store, *TICKET_SET)
    assert await store.driver.delete("tickets", {"unit": "u"}) == 2
    assert await store.driver.delete("tickets", {"unit": "u"}) == 0
    assert await store.driver.delete("tickets", {}) == 2
    await emptied(store, TICKETS)


async def test_indexes_may_be_ensured_again_and_by_many_at_once(store: Store) -> None:
    fresh = f"fresh_{secrets.token_hex(4)}"
    await asyncio.gather(*(store.driver.ensure_indexes(fresh, NUMBERED.indexes) for _ in range(5)))
    await store.driver.ensure_indexes(fresh, NUMBERED.indexes)
    collection = NUMBERED.renamed(fresh)
    await put(store, Ticket("a", "u", number=1), into=collection)
    with pytest.raises(Duplicate):
        await put(store, Ticket("b", "u", number=1), into=collection)
    await store.driver.drop(fresh)
    assert await store.count(collection, {}) == 0
    await store.driver.drop(fresh)


async def test_an_index_that_is_declared_otherwise_now_stays_until_somebody_says_so(store: Store) -> None:
    name = f"migrated_{secrets.token_hex(4)}"
    before = Collection(name, Ticket, [Index((("unit", 1),)), Index((("state", 1),)), Index((("number", 1),))])
    now = Collection(
        name,
        Ticket,
        [Index((("unit", 1),), unique=True), Index((("number", 1),)), Index((("tags", 1),), partial={"state": "open"})],
    )
    await store.driver.ensure_indexes(name, before.indexes)
    await put(store, Ticket("a", "u", state="closed"), into=before)
    fresh = Store(store.driver, store.clock, [now])
    await fresh.ensure_indexes()  # a process of the new version starts
    await put(store, Ticket("b", "u"), into=now)
    changes = await plan(store.driver, [now])
    assert {(change.name, change.step) for change in changes} == {
        ("unit_1", Step.REPLACE),
        ("state_1", Step.DROP),
    }
    await store.driver.delete(name, {"_id": "b"})
    await carry_out(store.driver, changes)
    assert await plan(store.driver, [now]) == []
    with pytest.raises(Duplicate):
        await put(store, Ticket("c", "u"), into=now)
    await store.driver.drop(name)


async def test_every_declared_index_is_there_as_it_is_declared(store: Store) -> None:
    assert await plan(store.driver, ALL) == []


async def test_the_clock_of_the_server_is_close_to_ours(store: Store) -> None:
    assert abs((await store.driver.now() - datetime.now(UTC)).total_seconds()) < 5
    assert abs(await clock_ahead(store.driver)) < 5


async def read(store: Store, id: str) -> bytes:
    return b"".join([piece async for piece in store.download(id)])


async def test_a_file_is_kept_once_and_read_in_pieces(store: Store) -> None:
    id, content = secrets.token_hex(8), secrets.token_bytes(600_000)
    await store.upload(id, content, {"contentType": "image/jpeg"})
    await store.upload(id, b"another", {})
    assert await read(store, id) == content
    await store.driver.discard(id)
    with pytest.raises(NotFound, match="file-not-found"):
        await read(store, id)
    await store.driver.discard(id)
    await store.upload(id, b"", {})
    assert await read(store, id) == b""


# ---- only real servers can show it ----


@pytest.fixture
def mongo(store: Store) -> MongoDriver:
    if not isinstance(store.driver, MongoDriver):
        pytest.skip("a property of the server")
    return store.driver


async def test_a_file_that_is_half_there_is_not_taken_for_whole(store: Store, mongo: MongoDriver) -> None:
    id = secrets.token_hex(8)
    await mongo._database["fs.chunks"].insert_one({"files_id": id, "n": 0, "data": b"half"})
    with pytest.raises(Unavailable):
        await store.upload(id, b"whole", {})
    await mongo.discard(id)
    await store.upload(id, b"whole", {})
    assert await read(store, id) == b"whole"


async def test_an_aggregation_gives_raw_documents(store: Store, mongo: MongoDriver) -> None:
    await put(store, *TICKET_SET)
    pipeline: list[dict[str, Any]] = [{"$group": {"_id": "$unit", "sum": {"$sum": "$number"}}}, {"$sort": {"_id": 1}}]
    assert await store.aggregate(TICKETS, pipeline) == [{"_id": "u", "sum": 3}, {"_id": "v", "sum": 7}]


async def test_a_unit_that_cannot_be_written_fails_alone(store: Store, mongo: MongoDriver) -> None:
    units = [store.unit() for _ in range(5)]
    for number, uow in enumerate(units):
        uow.insert(ITEMS, Item(f"i{number}", 2**64 if number == 3 else 0))
    outcomes = await asyncio.gather(*map(store.commit, units), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome] == [OverflowError]
    assert await store.count(ITEMS, {}) == 4


async def test_a_command_refused_by_the_cluster_is_unavailable_not_lost(store: Store, mongo: MongoDriver) -> None:
    too_slow = {"failCommands": ["find"], "errorCode": 262}  # read twice: the driver itself tries again once
    await mongo._client.admin.command({"configureFailPoint": "failCommand", "mode": {"times": 2}, "data": too_slow})
    with pytest.raises(Unavailable):
        await store.get(ITEMS, "i")
    assert await store.get(ITEMS, "i") is None


async def test_a_commit_whose_first_transaction_fails_in_passing_is_tried_again(
    store: Store, mongo: MongoDriver
) -> None:
    fails = {
        "failCommands": ["insert", "commitTransaction"],
        "errorCode": 112,
        "errorLabels": ["TransientTransactionError"],
    }
    await mongo._client.admin.command({"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": fails})
    await put(store, Ticket("t", "u"))
    assert await store.count(TICKETS, {}) == 1


async def test_a_document_that_somebody_holds_is_a_conflict_at_once_and_holds_up_nobody(
    store: Store, mongo: MongoDriver, servers: Servers
) -> None:
    """A process that was killed inside its transaction leaves its documents locked until the server ends it."""
    await asyncio.gather(*(put(store, Ticket(id, "u")) for id in ("locked", "held")))
    client: AsyncMongoClient[Any] = AsyncMongoClient(servers.mongodb_uri())
    async with client, client.start_session() as orphan:
        await orphan.start_transaction()
        tickets = client[mongo._database.name][TICKETS.name]
        await tickets.update_many({"_id": {"$in": ["locked", "held"]}}, {"$set": {"state": "x"}}, session=orphan)

        async def change(id: str) -> None:
            uow = store.unit()
            uow.save(TICKETS, await uow.get(TICKETS, id))
            await store.commit(uow)

        began = asyncio.get_running_loop().time()
        others = [put(store, Ticket(f"t{number}", "u")) for number in range(80)]
        outcomes = await asyncio.gather(change("locked"), change("held"), *others, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes[:2]] == [Conflict, Conflict]
        assert [outcome for outcome in outcomes[2:] if outcome] == []
        assert asyncio.get_running_loop().time() - began < 8
        await orphan.abort_transaction()
        await change("locked")


async def test_no_server_is_unavailable() -> None:
    driver = MongoDriver("mongodb://127.0.0.1:1/?replicaSet=rs0", "nobody", patience=0.05)
    store = Store(driver, FixedClock(NOON), ())
    with pytest.raises(Unavailable):
        await store.get(ITEMS, "i")
    await driver.close()
