"""Servers that die under the engine: nothing acknowledged is lost, nothing happens twice, nothing leaks or hangs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from deploy.local.servers import Server
from shared.errors import Conflict, Unavailable
from shared.event import Event
from shared.kafka import KafkaPublisher
from shared.outbox import Relay
from shared.store import OUTBOX, Store
from tests.engine import ITEMS, ITEMS_TOPIC, VIEWS, grow
from tests.integration.engine_world import a_worker, a_world, first_arrivals, running
from tests.servers import Servers
from tests.waiting import eventually

IDS = tuple("abcdef")


@pytest.fixture(scope="module")
def own_broker(servers: Servers) -> Iterator[Server]:
    """A broker of this module's own."""
    server = servers.new_kafka()
    yield server
    servers.end(server)


@pytest.fixture
def mortal_kafka(own_broker: Server) -> Server:
    """The broker of this module, running, which a test may kill."""
    return own_broker.start()


async def test_a_broker_killed_while_events_are_published_loses_none(
    mongodb_uri: str, mortal_kafka: Server, namespace: str
) -> None:
    async with a_world(mongodb_uri, mortal_kafka.address, namespace) as world:
        relay = Relay(world.store, world.broker.publisher(), grace=0.2, sweep_every=0.1)
        worker = a_worker(world)
        async with running(relay, worker):
            writing = asyncio.create_task(_grow_on(world.store, rounds=30))
            await eventually(lambda: world.store.find(VIEWS, {}))
            await asyncio.to_thread(mortal_kafka.kill)
            await writing
            await _grow_on(world.store, rounds=3)  # commands go on being answered while the broker is away
            assert await world.store.count(OUTBOX, {}) > 0
            assert worker.broken is None
            await asyncio.to_thread(mortal_kafka.start)
            await world.views_hold({id: list(range(1, 34)) for id in IDS})
            await world.nothing_pending()
        found = await world.log(ITEMS_TOPIC.name, 33 * len(IDS))
        assert all(first_arrivals(found, id) == list(range(1, 34)) for id in IDS)


async def _grow_on(store: Store, rounds: int) -> None:
    for _ in range(rounds):
        await asyncio.gather(*(grow(store, id) for id in IDS))


async def test_a_publisher_gives_up_in_time_and_leaves_nothing_behind(
    mongodb_uri: str, mortal_kafka: Server, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trap: with the brokers away an idempotent producer neither sends nor stops."""
    monkeypatch.setattr("shared.kafka.STOP_PATIENCE", 0.3)
    async with a_world(mongodb_uri, mortal_kafka.address, namespace) as world:
        await grow(world.store, "a")
        await grow(world.store, "a")
        events: list[Event] = [row.event for row in await world.store.find(OUTBOX, {}, [("sequence", 1)])]
        before = asyncio.all_tasks()
        publisher = KafkaPublisher(world.broker._connection, patience=1.0)
        await publisher.publish(events[:1])
        await asyncio.to_thread(mortal_kafka.kill)
        with pytest.raises(Unavailable):
            await publisher.publish(events)

        async def nothing_left() -> bool:
            return not [task for task in asyncio.all_tasks() - before if "aiokafka" in repr(task.get_coro())]

        await eventually(nothing_left, 5)
        await asyncio.to_thread(mortal_kafka.start)
        publisher = KafkaPublisher(world.broker._connection)
        await publisher.publish(events)
        await publisher.stop()
        assert first_arrivals(await world.log(ITEMS_TOPIC.name, 3), "a") == [1, 2]


async def test_a_database_killed_while_commands_are_committed_loses_nothing_it_acknowledged(
    own_mongodb: Server, kafka_bootstrap: str, namespace: str
) -> None:
    async with a_world(own_mongodb.address, kafka_bootstrap, namespace) as world:
        acknowledged: Counter[str] = Counter()
        uncertain: Counter[str] = Counter()
        enough = asyncio.Event()

        async def client(id: str) -> None:
            while acknowledged[id] < 25:
                try:
                    await grow(world.store, id)
                except (Unavailable, Conflict):
                    uncertain[id] += 1
                else:
                    acknowledged[id] += 1
                if acknowledged.total() > 40:
                    enough.set()

        relay = Relay(world.store, world.broker.publisher(), grace=0.2, sweep_every=0.1)
        worker = a_worker(world)
        async with running(relay, worker):
            clients = [asyncio.create_task(client(id)) for id in IDS]
            await enough.wait()
            await asyncio.to_thread(own_mongodb.kill)
            await asyncio.to_thread(own_mongodb.start)
            await asyncio.gather(*clients)
            totals = {item.id: item.total for item in await world.store.find(ITEMS, {})}
            for id in IDS:
                assert acknowledged[id] <= totals[id] <= acknowledged[id] + uncertain[id]
            await world.views_hold({id: list(range(1, totals[id] + 1)) for id in IDS})
            await world.nothing_pending()
            assert worker.broken is None


async def test_a_worker_that_starts_before_the_broker_joins_when_it_is_there(
    mongodb_uri: str, mortal_kafka: Server, namespace: str
) -> None:
    async with a_world(mongodb_uri, mortal_kafka.address, namespace) as world:
        await asyncio.to_thread(mortal_kafka.kill)
        worker = a_worker(world)
        async with running(worker, Relay(world.store, world.broker.publisher(), grace=0.2, sweep_every=0.1)):
            await grow(world.store, "a")
            assert not worker.ready()
            await asyncio.to_thread(mortal_kafka.start)
            await world.views_hold({"a": [1]})
            assert worker.ready()
