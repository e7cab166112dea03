"""A unit of work: an identity map that writes each document once, and refuses what could only fail later."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from shared.clock import FixedClock
from shared.errors import Duplicate, NotFound, Unavailable
from shared.store import Change, Collection, Document, UnitOfWork
from shared.store.unit import EVENT_LIMIT
from tests.engine import ITEMS, NOON, VIEWS, Grown, Item, View, Weighed


class Kept:
    """What a unit reads from; counts the round trips."""

    def __init__(self, *items: Item, sequence: int = 4) -> None:
        self.documents = {item.id: ITEMS.to_document(item, 3, sequence) for item in items}
        self.asked: list[list[str]] = []
        self.away = False

    async def read(self, collection: str, ids: list[str]) -> list[Document]:
        self.asked.append(ids)
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("away")
        return [dict(self.documents[id]) for id in ids if id in self.documents]

    def unit(self) -> UnitOfWork:
        return UnitOfWork(self.read, FixedClock(NOON), "00-trace")


async def test_a_document_is_read_once_and_is_one_object() -> None:
    kept = Kept(Item("a"), Item("b"))
    uow = kept.unit()
    await uow.load(ITEMS, ["a", "b", "x"])
    assert await uow.get(ITEMS, "a") is await uow.get(ITEMS, "a")
    assert await uow.find(ITEMS, "x") is None
    assert kept.asked == [["a", "b", "x"]]


async def test_reading_alone_writes_nothing() -> None:
    uow = Kept(Item("a")).unit()
    (await uow.get(ITEMS, "a")).total = 9
    assert uow.writes() == []


async def test_many_changes_of_a_document_are_one_write_on_the_version_that_was_read() -> None:
    uow = Kept(Item("a")).unit()
    item = await uow.get(ITEMS, "a")
    for _ in range(3):
        item.total += 1
        uow.save(ITEMS, item, Grown(by=1))
    [write] = uow.writes()
    assert (write.change, write.expected) == (Change.REPLACE, 3)
    assert write.document == {"_id": "a", "v": 4, "s": 7, "total": 3}
    assert [(event.sequence, event.time, event.traceparent) for event in uow.events] == [
        (5, NOON, "00-trace"),
        (6, NOON, "00-trace"),
        (7, NOON, "00-trace"),
    ]
    assert uow.sequence(ITEMS, "a") == 7
    assert uow.sequence(ITEMS, "unknown") == 0


async def test_a_new_document_that_changes_stays_new() -> None:
    uow = Kept().unit()
    item = Item("a")
    uow.insert(ITEMS, item, Grown(by=1))
    item.total = 1
    uow.save(ITEMS, item, Grown(by=1))
    [write] = uow.writes()
    assert (write.change, write.document) == (Change.INSERT, {"_id": "a", "v": 1, "s": 2, "total": 1})


async def test_an_identity_that_the_unit_knows_to_be_taken_is_refused_at_once() -> None:
    uow = Kept(Item("a")).unit()
    await uow.get(ITEMS, "a")
    with pytest.raises(Duplicate):
        uow.insert(ITEMS, Item("a"))
    uow.insert(ITEMS, Item("b"), Grown(by=1))
    with pytest.raises(Duplicate):
        uow.insert(ITEMS, Item("b"), Grown(by=1))
    assert len(uow.events) == 1


async def test_what_was_not_loaded_cannot_be_saved_or_deleted() -> None:
    uow = Kept(Item("a")).unit()
    with pytest.raises(LookupError):
        uow.save(ITEMS, Item("a"))
    with pytest.raises(LookupError):
        uow.delete(ITEMS, Item("a"))


async def test_what_was_deleted_is_gone_for_the_rest_of_the_unit() -> None:
    uow = Kept(Item("a")).unit()
    item = await uow.get(ITEMS, "a")
    uow.delete(ITEMS, item)
    assert await uow.find(ITEMS, "a") is None
    with pytest.raises(NotFound):
        await uow.get(ITEMS, "a")
    with pytest.raises(LookupError):
        uow.save(ITEMS, item)
    [write] = uow.writes()
    assert (write.change, write.expected) == (Change.DELETE, 3)


async def test_a_deletion_after_a_change_is_guarded_by_the_version_that_was_read() -> None:
    uow = Kept(Item("a")).unit()
    item = await uow.get(ITEMS, "a")
    uow.save(ITEMS, item)
    uow.delete(ITEMS, item)
    [write] = uow.writes()
    assert (write.change, write.expected) == (Change.DELETE, 3)


async def test_a_new_document_that_is_deleted_again_was_never_there() -> None:
    uow = Kept().unit()
    item = Item("a")
    uow.insert(ITEMS, item)
    uow.delete(ITEMS, item)
    assert uow.writes() == []


async def test_a_read_that_failed_leaves_no_belief_behind() -> None:
    kept = Kept(Item("a"))
    uow = kept.unit()
    kept.away = True
    with pytest.raises(Unavailable):
        await uow.find(ITEMS, "a")
    kept.away = False
    assert await uow.find(ITEMS, "a") == Item("a")


async def test_two_reads_at_once_give_one_object() -> None:
    uow = Kept(Item("a")).unit()
    first, second = await asyncio.gather(uow.get(ITEMS, "a"), uow.get(ITEMS, "a"))
    assert first is second


async def test_changed_tells_what_the_unit_writes_of_a_collection() -> None:
    uow = Kept(Item("a"), Item("b"), Item("c")).unit()
    await uow.load(ITEMS, ["a", "b", "c"])
    a, c, new = await uow.get(ITEMS, "a"), await uow.get(ITEMS, "c"), Item("new")
    uow.save(ITEMS, a)
    uow.delete(ITEMS, c)
    uow.insert(ITEMS, new)
    uow.put(VIEWS, View("v"))
    assert uow.changed(ITEMS) == [a, new]
    assert uow.changed(VIEWS) == [View("v")]


async def test_of_whole_state_events_each_aggregate_keeps_its_own_last_one() -> None:
    uow = Kept().unit()
    first, second = Item("a"), Item("b")
    uow.insert(ITEMS, first, Weighed(weight=1))
    uow.insert(ITEMS, second, Weighed(weight=2))
    uow.save(ITEMS, first, Weighed(weight=3))
    assert [(event.subject, event.sequence, event.value) for event in uow.events] == [
        ("a", 1, b'{"weight":3}'),
        ("b", 1, b'{"weight":2}'),
    ]


async def test_an_event_that_could_never_be_published_is_refused_where_it_is_made() -> None:
    class Long(Grown):
        TYPE = "chuangwen.tests.item-long.v1"
        text: str

    uow = Kept().unit()
    with pytest.raises(ValueError, match="larger than"):
        uow.insert(ITEMS, Item("a"), Long(by=1, text="x" * EVENT_LIMIT))


def test_fields_named_like_the_stores_own_are_refused() -> None:
    @dataclass
    class Clash:
        id: str
        v: int

    with pytest.raises(TypeError, match="v"):
        Collection("clashes", Clash)
