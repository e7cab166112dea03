"""A process: what it needs before it answers, what makes it unready, and how it starts and ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from deploy.local.servers import free_port
from shared.clock import FixedClock
from shared.errors import Unavailable
from shared.service import Process, Role, Runtime, Service
from shared.settings import Settings
from shared.store import Store
from shared.testing.memory_broker import MemoryBroker
from shared.testing.memory_store import MemoryDriver
from tests.engine import COLLECTIONS, NOON, Reader, grow, growth, nothing, poisonous, seen
from tests.waiting import eventually


class World:
    """One service on the fakes."""

    def __init__(self, reader: Reader | None = None) -> None:
        self.clock = FixedClock(NOON)
        self.driver = MemoryDriver(self.clock)
        self.broker = MemoryBroker()
        self.store = Store(self.driver, self.clock, COLLECTIONS)
        self.port, self.operations = free_port(), free_port()
        subscription = (reader or Reader()).subscription(on_poison="stop")
        self.service = Service("tests", nothing, collections=COLLECTIONS, subscriptions=[subscription])

    def process(self, role: Role, **settings: object) -> Process[object]:
        read = Settings.model_validate(
            {
                "mongodb_uri": "mongodb://memory",
                "kafka_bootstrap_servers": "memory:1",
                "http_port": self.port,
                "metrics_port": self.operations,
                "auth_jwks": str(Path("/nowhere/jwks.json")),
                "auth_issuer": "x",
                **settings,
            }
        )
        return Process(Runtime(self.service, read, self.clock, self.store, self.broker), role)

    async def answers(self) -> bool:
        """Whether the port of requests is open."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    async def probe(self, path: str) -> int:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.operations}") as http:
            try:
                return (await http.get(path)).status_code
            except httpx2.TransportError:
                return 0

    async def until(self, path: str, status: int) -> None:
        async def look() -> bool:
            return await self.probe(path) == status

        await eventually(look, 10)


@asynccontextmanager
async def running(process: Process[object]) -> AsyncIterator[asyncio.Task[int]]:
    task = asyncio.create_task(process.run())
    try:
        yield task
    finally:
        process._stopping.set()
        await task


async def test_an_api_that_starts_while_kafka_is_away_answers_and_its_events_go_out_later() -> None:
    world = World()
    world.broker.down = True
    async with running(world.process("api")):
        await world.until("/readyz", 200)
        await grow(world.store, "a")
        world.broker.down = False

        async def published() -> bool:
            return len(world.broker.records("tests.item")) == 1

        await eventually(published, 10)


async def test_workers_begin_once_the_topics_are_there() -> None:
    world = World()
    world.broker.topics_missing = True
    async with running(world.process("all")):
        await world.until("/readyz", 200)
        world.broker.append(growth("a", 1))
        await asyncio.sleep(0.1)
        assert await seen(world.store, "a") == []
        world.broker.topics_missing = False

        async def handled() -> bool:
            return await seen(world.store, "a") == [1]

        await eventually(handled, 10)


@pytest.mark.parametrize(("role", "status"), [("all", 200), ("worker", 503)])
async def test_a_broken_consumer_makes_a_worker_unready_but_no_api(role: Role, status: int) -> None:
    world = World(Reader(poisonous("a/1")))
    process = world.process(role)
    async with running(process):
        await world.until("/readyz", 200)
        world.broker.append(growth("a", 1))

        async def broken() -> bool:
            return any(worker.broken for worker in process._all_workers())

        await eventually(broken, 10)
        assert await world.probe("/readyz") == status
        assert await world.probe("/livez") == 200


async def test_a_process_whose_clock_is_off_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.service.CLOCK_EVERY", 0.02)
    world = World()
    async with running(world.process("api")):
        await world.until("/readyz", 200)
        world.driver.ahead = timedelta(seconds=60)
        await world.until("/readyz", 503)
        world.driver.ahead = timedelta()
        await world.until("/readyz", 200)


async def test_before_the_port_closes_the_process_says_that_it_is_not_ready_any_more() -> None:
    world = World()
    process = world.process("api", unready_seconds=0.5)
    async with running(process) as task:
        await world.until("/readyz", 200)
        process._stopping.set()
        await world.until("/readyz", 503)
        assert await world.answers()
        assert await task == 0
        assert not await world.answers()


async def test_a_process_that_is_told_to_stop_while_it_starts_starts_nothing() -> None:
    world = World()

    async def prepare(_: Runtime) -> object:
        raise Unavailable("the database is away")

    object.__setattr__(world.service, "prepare", prepare)
    process = world.process("all")
    task = asyncio.create_task(process.run())
    await world.until("/livez", 200)
    assert await world.probe("/readyz") == 503
    process._stopping.set()
    assert await task == 0
    assert process._workers == []


async def test_waiting_for_the_database_is_no_reason_to_be_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.consumer.worker.STUCK", 0.0)
    world = World()
    world.broker.down = True
    async with running(world.process("worker")):
        await world.until("/livez", 200)
        await asyncio.sleep(0.2)
        assert await world.probe("/livez") == 200
