"""The relay: everything committed goes out, in order per aggregate, and again rather than never."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest.mock import AsyncMock, patch

import pytest

from shared import outbox, telemetry
from shared.errors import Unavailable
from shared.event import Event
from shared.outbox import LEASE, Relay
from shared.store import OUTBOX, Store
from shared.testing.memory_broker import MemoryBroker
from tests.engine import ITEMS, ITEMS_TOPIC, a_store, grow, growth, sequences
from tests.waiting import eventually


class World:
    """One database and one broker; stores and relays of as many processes as a test wants."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.store = a_store()

    def process(self, grace: float = 3600.0, sweep_every: float = 3600.0) -> tuple[Store, Relay]:
        """A process: own memory, shared database. By default its sweeper never finds anything old enough."""
        store = a_store(self.store.driver)
        return store, Relay(store, self.broker.publisher(), grace, sweep_every)

    def log(self, id: str) -> list[int]:
        return sequences(self.broker.records(ITEMS_TOPIC.name), id)

    async def published(self, id: str, *expected: int) -> None:
        async def look() -> bool:
            return self.log(id) == list(expected)

        await eventually(look, 5)

    async def nothing_pending(self) -> None:
        async def look() -> bool:
            return await self.store.count(OUTBOX, {}) == 0

        await eventually(look, 5)


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(relay.run())
    try:
        yield task
    finally:
        relay.stop()
        await task


async def test_own_commits_go_out_at_once_and_leave_the_outbox() -> None:
    world = World()
    store, relay = world.process()
    async with running(relay):
        for _ in range(3):
            await grow(store, "a")
        await world.published("a", 1, 2, 3)
        await world.nothing_pending()


async def test_what_another_process_left_pending_goes_out_before_its_successor() -> None:
    world = World()
    await grow(world.store, "a")  # a process without a relay: as if it had crashed after the commit
    await grow(world.store, "a")
    store, relay = world.process()
    async with running(relay):
        await grow(store, "a")
        await world.published("a", 1, 2, 3)
        await world.nothing_pending()


async def test_aggregates_in_doubt_hold_nobody_up() -> None:
    world = World()
    await grow(world.store, "a")
    store, relay = world.process()
    async with running(relay):
        await asyncio.gather(grow(store, "a"), grow(store, "b"))
        await world.published("a", 1, 2)
        await world.published("b", 1)


async def test_two_processes_that_take_turns_keep_the_order() -> None:
    world = World()
    (store_a, relay_a), (store_b, relay_b) = world.process(), world.process()
    async with running(relay_a), running(relay_b):
        for _ in range(10):
            await grow(store_a, "x")
            await grow(store_b, "x")
        await world.nothing_pending()
    assert first_arrivals(world.log("x")) == list(range(1, 21))


async def test_a_crash_between_publishing_and_deleting_sends_again() -> None:
    world = World()
    crashing = Crashing(world.broker)
    doomed = a_store(world.store.driver)
    task = asyncio.create_task(Relay(doomed, crashing, 3600.0, 3600.0).run())
    await grow(doomed, "a")
    await crashing.sent.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert world.log("a") == [1]
    assert await world.store.count(OUTBOX, {}) == 1
    _, successor = world.process(grace=0.0)
    await successor.sweep()
    assert world.log("a") == [1, 1]
    assert await world.store.count(OUTBOX, {}) == 0


class Crashing:
    """A publisher that sends, and never comes back to say so."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._publisher = broker.publisher()
        self.sent = asyncio.Event()

    async def publish(self, events: Sequence[Event]) -> None:
        await self._publisher.publish(events)
        self.sent.set()
        await asyncio.Event().wait()

    async def stop(self) -> None:
        return


async def test_the_sweeper_leaves_young_rows_to_their_own_process() -> None:
    world = World()
    await grow(world.store, "a")
    _, patient = world.process(grace=3600.0)
    assert await patient.sweep() == 0
    _, eager = world.process(grace=0.0)
    assert await eager.sweep() == 1
    assert world.log("a") == [1]


async def test_the_sweeper_sends_an_aggregate_as_a_whole_although_only_its_oldest_row_is_old() -> None:
    world = World()
    await grow(world.store, "a")
    await grow(world.store, "a")
    await _age(world.store, "tests.item/a/1")
    _, relay = world.process(grace=60.0)
    assert await relay.sweep() == 2
    assert world.log("a") == [1, 2]


async def _age(store: Store, id: str) -> None:
    uow = store.unit()
    row = await uow.get(OUTBOX, id)
    row.created_at = datetime.now(UTC) - timedelta(hours=1)
    uow.save(OUTBOX, row)
    await store.commit(uow)


async def test_one_sweeper_at_a_time_and_the_lease_is_handed_over_at_the_end() -> None:
    world = World()
    store, relay = world.process(grace=0.0, sweep_every=0.01)
    await store.driver.lease(LEASE, "somebody else", 3600)
    await grow(world.store, "a")
    async with running(relay):
        await grow(store, "other")
        await world.published("other", 1)
        assert world.log("a") == []
        await store.driver.release(LEASE, "somebody else")
        await world.published("a", 1)
    assert await store.driver.lease(LEASE, "the next", 3600)


async def test_an_absent_broker_blocks_no_commit_and_loses_nothing() -> None:
    world = World()
    world.broker.down = True
    store, relay = world.process(grace=0.0, sweep_every=0.01)
    async with running(relay):
        for _ in range(5):
            await asyncio.gather(*(grow(store, id) for id in "abc"))
        assert await store.count(ITEMS, {"total": 5}) == 3
        assert await store.count(OUTBOX, {}) == 15
        world.broker.down = False
        await world.nothing_pending()
    for id in "abc":
        assert first_arrivals(world.log(id)) == [1, 2, 3, 4, 5]


async def test_what_memory_cannot_hold_is_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MEMORY", 3)
    world = World()
    store, relay = world.process(grace=0.0, sweep_every=0.01)
    for number in range(4):
        for id in "abc":
            await grow(store, id, by=number)  # nothing runs yet: the oldest fall out of memory
    async with running(relay):
        await world.nothing_pending()
    for id in "abc":
        assert first_arrivals(world.log(id)) == [1, 2, 3, 4]


async def test_stopping_sends_what_is_offered_first() -> None:
    world = World()
    store, relay = world.process()
    task = asyncio.create_task(relay.run())
    await asyncio.sleep(0)
    await asyncio.gather(*(grow(store, f"i{n}") for n in range(50)))
    relay.stop()
    await task
    assert len(world.broker.records(ITEMS_TOPIC.name)) == 50
    assert await store.count(OUTBOX, {}) == 0


async def test_stopping_does_not_wait_for_an_absent_broker() -> None:
    world = World()
    world.broker.down = True
    store, relay = world.process()
    await grow(store, "a")
    relay.stop()
    await relay.run()
    assert await store.count(OUTBOX, {}) == 1


async def test_a_fault_that_does_not_pass_ends_the_relay_instead_of_hiding() -> None:
    world = World()
    _, relay = world.process(sweep_every=0.0)

    async def broken() -> int:
        raise LookupError("a row that nobody can read")

    relay.sweep = broken  # type: ignore[method-assign]  # the fault is the point
    with pytest.raises(LookupError):
        await relay.run()


async def test_an_absent_database_keeps_nobody_from_publishing_later() -> None:
    world = World()
    store, relay = world.process(grace=0.0, sweep_every=0.01)
    await grow(world.store, "a")
    find, away = store.driver.find, True

    async def absent(*args: object, **kwargs: object) -> object:
        if away:
            raise Unavailable("away")
        return await find(*args, **kwargs)  # type: ignore[arg-type]  # passed on as it came

    store.driver.find = absent  # type: ignore[method-assign, assignment]  # a database that comes and goes
    async with running(relay):
        await asyncio.sleep(0)
        away = False
        await world.published("a", 1)


def first_arrivals(log: Sequence[int]) -> list[int]:
    """The log as a reader with a mark sees it: copies left out. Raises when one comes before its predecessor."""
    reached = 0
    for number in log:
        assert number <= reached + 1, f"{number} comes after {reached}"
        reached = max(reached, number)
    return list(range(1, reached + 1))


OTHER = "tests.other"


def painted(id: str, sequence: int) -> Event:
    """An event of another topic."""
    return replace(growth(id, sequence), topic=OTHER)


async def commit(store: Store, *events: Event) -> None:
    uow = store.unit()
    uow.events.extend(events)
    await store.commit(uow)


async def test_a_topic_that_takes_nothing_holds_up_no_other() -> None:
    world = World()
    world.broker.refused = {OTHER}
    store, relay = world.process(grace=0.0, sweep_every=0.02)
    await commit(store, *(painted("a", number) for number in range(1, 4)))
    async with running(relay):
        await grow(store, "b")
        await commit(store, painted("a", 4), *(growth("c", number) for number in range(1, 4)))
        await world.published("b", 1)
        await world.published("c", 1, 2, 3)
        assert await store.count(OUTBOX, {"topic": OTHER}) == 4
        world.broker.refused = set()

        async def opened() -> bool:
            return sequences(world.broker.records(OTHER), "a") == [1, 2, 3, 4]

        await eventually(opened, 5)
        await world.nothing_pending()


async def test_an_old_row_of_a_closed_topic_does_not_fill_every_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH", 2)
    world = World()
    world.broker.refused = {OTHER}
    store, relay = world.process(grace=0.0)
    await commit(store, *(painted(id, 1) for id in "abcd"))
    with pytest.raises(Unavailable):
        await relay.sweep()
    await commit(store, growth("e", 1))
    assert await relay.sweep() == 1
    assert world.log("e") == [1]


async def test_a_sweeper_that_is_cut_off_from_kafka_gives_its_lease_to_another() -> None:
    world = World()
    its_broker = MemoryBroker()
    its_broker.down = True
    store = a_store(world.store.driver)
    lonely = Relay(store, its_broker.publisher(), grace=0.0, sweep_every=0.02)
    await grow(store, "a")
    async with running(lonely):
        _, other = world.process(grace=0.0, sweep_every=0.02)
        async with running(other):
            await world.published("a", 1)


async def test_rows_of_a_machine_whose_clock_ran_ahead_are_swept() -> None:
    world = World()
    store, relay = world.process(grace=3.0)
    with patch("shared.store.datetime") as ahead:
        ahead.now.return_value = datetime.now(UTC) + timedelta(hours=1)
        await grow(store, "a")
    assert await relay.sweep() == 1
    assert world.log("a") == [1]


async def test_what_this_process_has_sent_is_not_sent_again_while_its_row_waits_to_go() -> None:
    world = World()
    store, relay = world.process(grace=0.0)
    for _ in range(50):
        await grow(store, "a")
    with patch.object(Relay, "_delete_sent", AsyncMock()):
        await asyncio.gather(*(relay.sweep() for _ in range(5)), relay._publish_offered())
    assert world.log("a") == list(range(1, 51)), "each once"
    await relay.sweep()
    await relay._delete_sent()
    assert await store.count(OUTBOX, {}) == 0


async def test_an_outage_is_read_back_in_bounded_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "PENDING", 10)
    world = World()
    store, relay = world.process(grace=0.0)
    for _ in range(35):
        await grow(store, "a")
    sent = [await relay.sweep() for _ in range(5)]
    assert sent == [10, 10, 10, 5, 0]
    assert world.log("a") == list(range(1, 36))


async def test_only_the_holder_of_the_lease_tells_of_the_outbox() -> None:
    world = World()
    world.broker.down = True
    assert await world.store.driver.lease(LEASE, "another", 60)
    store, relay = world.process(grace=3600.0, sweep_every=0.02)
    await grow(store, "a")
    telemetry.OUTBOX_PENDING.set(7)
    async with running(relay):

        async def heard() -> bool:
            return float(telemetry.OUTBOX_PENDING._value.get()) == 0

        await eventually(heard, 5)
