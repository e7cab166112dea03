"""A service of the engine's parts on real servers: database, broker, and as many processes as a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from shared.clock import SystemClock
from shared.consumer import Worker
from shared.contracts import Topic
from shared.kafka import Connection, KafkaBroker, Record
from shared.outbox import Relay
from shared.store import OUTBOX, Store
from shared.store.mongo import MongoDriver
from tests.engine import COLLECTIONS, ITEMS_TOPIC, VIEW_GROUP, VIEWS, Reader, sequences
from tests.waiting import eventually

DEAD = Topic(f"{VIEW_GROUP}.dlq", owner="tests", aggregate="as in the source", internal=True, partitions=1)


class World:
    """Where the processes of a test meet."""

    def __init__(self, mongodb_uri: str, kafka: str, namespace: str) -> None:
        self.mongodb_uri = mongodb_uri
        self.namespace = namespace
        self.broker = KafkaBroker(Connection(kafka, namespace, session_timeout=6.0, heartbeat_interval=0.3))
        self.store = self.new_store()

    def new_store(self, patience: float = 5.0) -> Store:
        """A store of one process: own connections, shared database."""
        driver = MongoDriver(self.mongodb_uri, f"{self.namespace}engine", patience=patience)
        return Store(driver, SystemClock(), COLLECTIONS)

    async def prepare(self) -> None:
        await self.store.ensure_indexes()
        await self.broker.ensure_topics([ITEMS_TOPIC, DEAD])

    async def log(self, topic: str, at_least: int) -> Sequence[Record]:
        """The records of a topic, once there are so many."""
        feed = self.broker.feed(f"tests.log.{topic}.{id(self)}.{at_least}", (topic,))
        found: list[Record] = []

        async def heard(_: Any) -> None:
            return

        await feed.start(heard, heard)
        try:

            async def look() -> bool:
                for records in (await feed.poll((), 0.1)).values():
                    found.extend(records)
                return len(found) >= at_least

            await eventually(look)
        finally:
            await feed.stop()
        return found

    async def views_hold(self, expected: dict[str, list[int]], store: Store | None = None) -> None:
        """Returns when the views have seen exactly these events, in this order."""

        async def look() -> bool:
            views = await (store or self.store).find(VIEWS, {})
            return {view.id: view.seen for view in views} == expected

        await eventually(look)

    async def nothing_pending(self) -> None:
        async def look() -> bool:
            return await self.store.count(OUTBOX, {}) == 0

        await eventually(look)


@asynccontextmanager
async def a_world(mongodb_uri: str, kafka: str, namespace: str) -> AsyncIterator[World]:
    world = World(mongodb_uri, kafka, namespace)
    await world.prepare()
    try:
        yield world
    finally:
        await world.store.close()


@asynccontextmanager
async def running(*parts: Worker[Any] | Relay) -> AsyncIterator[None]:
    """The parts run, and end in order."""
    tasks = [asyncio.create_task(part.run()) for part in parts]
    try:
        yield
    finally:
        for part in parts:
            part.stop()
        await asyncio.gather(*tasks)


def a_worker(world: World, store: Store | None = None, reader: Reader | None = None, **how: Any) -> Worker:
    how = {"commit_every": 0.05, "longest_pause": 0.1, **how}
    return Worker(store or world.store, world.broker, (reader or Reader()).subscription(), None, **how)


def first_arrivals(found: Iterable[Record], id: str) -> list[int]:
    """An item's events as a reader with a mark sees them: copies left out, nothing before its predecessor."""
    reached = 0
    for number in sequences(list(found), id):
        assert number <= reached + 1, f"{number} comes after {reached}"
        reached = max(reached, number)
    return list(range(1, reached + 1))
