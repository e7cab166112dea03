"""A tiny service for tests of the engine: items that grow by events, and a view that another group keeps of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar, Literal

from shared.clock import FixedClock
from shared.consumer import MARKS, PARKED, Mark, Subscription, on
from shared.contracts import EventModel, Topic
from shared.errors import Refused
from shared.event import Event
from shared.kafka import Partition, Record
from shared.readmodel import LIVE
from shared.service import Runtime
from shared.store import Collection, Driver, Index, Store, UnitOfWork
from shared.testing.memory_store import MemoryDriver

NOON = datetime(2026, 11, 3, 4, 0, tzinfo=UTC)
ITEMS_TOPIC = Topic("tests.item", owner="tests", aggregate="an item", partitions=3)
VIEW_GROUP = "tests.view"


class Grown(EventModel):
    """An item grew."""

    TOPIC: ClassVar[str] = ITEMS_TOPIC.name
    TYPE: ClassVar[str] = "chuangwen.tests.item-grown.v1"

    by: int


class Weighed(EventModel):
    """What an item weighs; carries the whole state."""

    TOPIC: ClassVar[str] = ITEMS_TOPIC.name
    TYPE: ClassVar[str] = "chuangwen.tests.item-weighed.v1"
    ONLY_LAST: ClassVar[bool] = True

    weight: int


@dataclass
class Item:
    id: str
    total: int = 0


@dataclass
class View:
    """What a reader made of an item: the numbers of the events in the order they took effect, and their sum."""

    id: str
    seen: list[int] = field(default_factory=list)
    total: int = 0


ITEMS = Collection("items", Item)
VIEWS = Collection("views", View, [Index((("total", 1),))])
COLLECTIONS = (ITEMS, VIEWS, MARKS, PARKED, LIVE)


def a_store(driver: Driver | None = None, clock: FixedClock | None = None) -> Store:
    """A store, in memory unless told otherwise."""
    clock = clock or FixedClock(NOON)
    return Store(driver or MemoryDriver(clock), clock, COLLECTIONS)


def growth(id: str, sequence: int, by: int = 1) -> Event:
    """Event number `sequence` of an item."""
    return Event.new(Grown(by=by), id, sequence, NOON)


def record(event: Event, offset: int = 0, partition: int = 0) -> Record:
    """The event as it lies in a log."""
    place = Partition(event.topic, partition)
    return Record(place, offset, NOON.timestamp(), event.key.encode(), event.value, event.headers())


def records(*events: Event) -> list[Record]:
    """The events as one batch of one partition."""
    return [record(event, offset) for offset, event in enumerate(events)]


async def grow(store: Store, id: str, by: int = 1) -> None:
    """The command: an item grows, and says so."""

    async def command(uow: UnitOfWork) -> None:
        item = await uow.find(ITEMS, id)
        if item is None:
            item = Item(id)
            uow.insert(ITEMS, item)
        item.total += by
        uow.save(ITEMS, item, Grown(by=by))

    await store.run(command)


async def nothing(_: Runtime) -> object:
    """What a service holds that holds nothing besides its store."""
    return object()


class Reader:
    """The handler of the view, and what is to go wrong with it: `fault` may raise for any event."""

    def __init__(self, fault: Callable[[Event], None] = lambda event: None) -> None:
        self.fault = fault
        self.handled: list[str] = []

    async def on_grown(self, uow: UnitOfWork, event: Event[Grown], _: object) -> None:
        self.handled.append(event.id)
        self.fault(event)
        view = await uow.find(VIEWS, event.subject)
        if view is None:
            view = View(event.subject)
            uow.insert(VIEWS, view)
        view.seen.append(event.sequence)
        view.total += event.data.by
        uow.save(VIEWS, view)

    def subscription(
        self,
        group: str = VIEW_GROUP,
        on_poison: Literal["park_key", "skip", "stop"] = "park_key",
        on_gap: Literal["hold", "apply", "stop"] = "hold",
        order: Literal["aggregate", "key"] = "aggregate",
        batch: int = 200,
    ) -> Subscription:
        return Subscription(
            group,
            (ITEMS_TOPIC.name,),
            [on(Grown, self.on_grown)],
            on_poison=on_poison,
            on_gap=on_gap,
            order=order,
            batch=batch,
        )


def poisonous(*ids: str) -> Callable[[Event], None]:
    """A fault: these events (`<subject>/<sequence>`) are refused."""

    def fault(event: Event) -> None:
        if f"{event.subject}/{event.sequence}" in ids:
            raise Refused("poisonous", id=event.id)

    return fault


async def seen(store: Store, id: str) -> list[int]:
    """The numbers of the events that took effect on an item's view, in order."""
    view = await store.get(VIEWS, id)
    return view.seen if view else []


async def set_aside(store: Store, group: str = VIEW_GROUP) -> list[tuple[str, int, str]]:
    """(subject, sequence, reason) of what a group has parked, in order."""
    rows = await store.find(PARKED, {"group": group}, [("subject", 1), ("sequence", 1)])
    return [(row.subject, row.sequence, row.reason) for row in rows]


async def mark_of(store: Store, id: str, group: str = VIEW_GROUP) -> Mark:
    """How far the group has come with an item."""
    return await store.get(MARKS, f"{group}|{ITEMS_TOPIC.name}|{id}") or Mark("")


def sequences(found: Sequence[Record], id: str) -> list[int]:
    """The numbers of an item's events in a log, in the log's order."""
    return [event.sequence for event in (each.event() for each in found) if event.subject == id]
