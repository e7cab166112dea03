"""The worker: polls, applies partition by partition, commits offsets, leaves in order.

Where the traps of aiokafka 0.14 that the engine answers are proved (the design's table, top to bottom):

* a poll is never cancelled -> tests/rules/test_architecture.py (no timeout around a poll); here
  `test_leaving_never_cancels_a_poll`
* an idle member without partitions must go on polling -> `test_a_member_without_partitions_goes_on_polling`
* a send hangs with the brokers away -> tests/integration/test_engine_faults.py (bounded, rebuilt, nothing leaks)
* the listener may take no lock of the poll loop -> `test_partitions_are_given_up_while_a_poll_is_waiting`
* a fault of the listener is swallowed -> tests/contract/test_broker_contract.py (counted)
* a drain longer than the rebalance timeout -> `test_giving_up_partitions_waits_for_what_is_started_but_not_for_ever`
* commit of a lost partition, both exceptions -> tests/contract/test_broker_contract.py; here
  `test_an_offset_that_cannot_be_committed_costs_a_redelivery_without_effect`
* only explicit offsets are committed -> `test_only_what_is_done_is_committed`
* a poll that raises ends the worker -> `test_a_poll_that_fails_ends_the_worker`
* `stop` leaves the group, no static membership -> tests/contract/test_broker_contract.py
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from shared import telemetry
from shared.consumer import Worker
from shared.errors import Unavailable
from shared.event import Event
from shared.kafka import Moved, Partition, Record
from shared.store import Store, UnitOfWork
from shared.testing.memory_broker import MemoryBroker, MemoryFeed
from tests.engine import ITEMS_TOPIC, VIEW_GROUP, Grown, Reader, a_store, growth, poisonous, seen, set_aside
from tests.waiting import eventually

TOPIC = ITEMS_TOPIC.name


def a_worker(
    store: Store,
    broker: MemoryBroker,
    reader: Reader,
    drain: float = 5.0,
    tries: int = 5,
    commit_every: float = 0.0,
    **policy: Any,
) -> Worker:
    return Worker(
        store,
        broker,
        reader.subscription(**policy),
        None,
        drain=drain,
        commit_every=commit_every,
        tries=tries,
        longest_pause=0.001,
    )


@asynccontextmanager
async def running(*workers: Worker) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()
        await asyncio.gather(*tasks)


async def soon(fact: Callable[[], object]) -> None:
    async def look() -> bool:
        return bool(fact())

    await eventually(look, 10)


async def until_seen(store: Store, id: str, *expected: int) -> None:
    async def look() -> bool:
        return await seen(store, id) == list(expected)

    await eventually(look, 10)


def send(broker: MemoryBroker, *events: Event) -> None:
    for event in events:
        broker.append(event)


class Gate:
    """A fault that is none: handlers of an aggregate wait at it."""

    def __init__(self, store: Store, *held: str) -> None:
        self.held = set(held)
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    def reader(self) -> Reader:
        gate = self

        class Held(Reader):
            async def on_grown(self, uow: UnitOfWork, event: Event[Grown], resources: object) -> None:
                if event.subject in gate.held:
                    gate.reached.set()
                    await gate.open.wait()
                await super().on_grown(uow, event, resources)

        return Held()


# ---- the ordinary way ----


async def test_events_take_effect_in_order_and_offsets_follow() -> None:
    store, broker = a_store(), MemoryBroker()
    send(broker, *(growth(id, number) for number in range(1, 4) for id in "abcdef"))
    worker = a_worker(store, broker, Reader())
    async with running(worker):
        for id in "abcdef":
            await until_seen(store, id, 1, 2, 3)
        await soon(lambda: sum(broker.offsets[VIEW_GROUP].values()) == 18)
        assert all(position.next == position.end for position in (await worker.positions()).values())
        assert worker.ready()
        assert worker.assigned
    assert broker.members[VIEW_GROUP] == []


async def test_a_batch_is_limited() -> None:
    store, broker, reader = a_store(), MemoryBroker(partitions=1), Reader()
    send(broker, *(growth("a", number) for number in range(1, 8)))
    batches: list[int] = []
    worker = a_worker(store, broker, reader, batch=3)
    apply = worker.inbox.apply

    async def counted(batch: Sequence[Record]) -> None:
        batches.append(len(batch))
        await apply(batch)

    worker.inbox.apply = counted  # type: ignore[method-assign]  # to look on
    async with running(worker):
        await until_seen(store, "a", *range(1, 8))
    assert batches == [3, 3, 1]


async def test_a_new_worker_goes_on_where_the_group_stopped() -> None:
    store, broker = a_store(), MemoryBroker()
    first, second = Reader(), Reader()
    send(broker, growth("a", 1))
    async with running(a_worker(store, broker, first)):
        await until_seen(store, "a", 1)
    send(broker, growth("a", 2))
    async with running(a_worker(store, broker, second)):
        await until_seen(store, "a", 1, 2)
    assert second.handled == ["tests.item/a/2"]


async def test_a_slow_partition_holds_up_no_other() -> None:
    store, broker = a_store(), MemoryBroker(partitions=3)
    gate = Gate(store, "a")
    send(broker, growth("a", 1))
    async with running(a_worker(store, broker, gate.reader())):
        await gate.reached.wait()
        others = [id for id in "bcdefgh" if lane(broker, id) != lane(broker, "a")]
        send(broker, *(growth(id, 1) for id in others))
        for id in others:
            await until_seen(store, id, 1)
        assert await seen(store, "a") == []
        gate.open.set()
        await until_seen(store, "a", 1)


def lane(broker: MemoryBroker, id: str) -> Partition:
    return MemoryBroker(broker.partitions).append(growth(id, 1)).partition


# ---- crashes ----


async def test_a_crash_after_the_transaction_and_before_the_offset_has_no_second_effect() -> None:
    store, broker = a_store(), MemoryBroker()
    send(broker, growth("a", 1), growth("a", 2))
    reader = Reader()
    worker = Worker(store, broker, reader.subscription(), None, commit_every=3600.0)
    worker._last_commit = float("inf")  # it never commits an offset
    task = asyncio.create_task(worker.run())
    await until_seen(store, "a", 1, 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    broker.offsets.clear()
    send(broker, growth("a", 3))
    second = Reader()
    async with running(a_worker(store, broker, second)):
        await until_seen(store, "a", 1, 2, 3)
    assert second.handled == ["tests.item/a/3"]


async def test_an_offset_that_cannot_be_committed_costs_a_redelivery_without_effect() -> None:
    store, broker = a_store(), MemoryBroker(partitions=1)
    async with running(a_worker(store, broker, Reader())):
        await soon(lambda: broker.members[VIEW_GROUP])
        [member] = broker.members[VIEW_GROUP]

        async def lost(offsets: Mapping[Partition, int]) -> bool:
            return False

        member.commit = lost  # type: ignore[method-assign]  # as after a rebalance
        send(broker, growth("a", 1))
        await until_seen(store, "a", 1)
    assert broker.offsets[VIEW_GROUP] == {}
    async with running(a_worker(store, broker, Reader())):
        send(broker, growth("a", 2))
        await until_seen(store, "a", 1, 2)


async def test_only_what_is_done_is_committed() -> None:
    store, broker = a_store(), MemoryBroker(partitions=1)
    gate = Gate(store, "b")
    send(broker, growth("a", 1), growth("b", 1), growth("a", 2))
    async with running(a_worker(store, broker, gate.reader(), batch=1)):
        await gate.reached.wait()
        await asyncio.sleep(0)
        await soon(lambda: broker.offsets[VIEW_GROUP])
        assert broker.offsets[VIEW_GROUP] == {Partition(TOPIC, 0): 1}
        gate.open.set()
        await soon(lambda: broker.offsets[VIEW_GROUP] == {Partition(TOPIC, 0): 3})


# ---- faults ----


async def test_poison_is_set_aside_and_the_others_flow() -> None:
    store, broker = a_store(), MemoryBroker()
    send(broker, *(growth(id, number) for number in (1, 2, 3) for id in "abc"))
    async with running(a_worker(store, broker, Reader(poisonous("b/2")))):
        await until_seen(store, "a", 1, 2, 3)
        await until_seen(store, "c", 1, 2, 3)
        await until_seen(store, "b", 1)

        async def parked() -> bool:
            return await set_aside(store) == [("b", 2, "poison"), ("b", 3, "behind")]

        await eventually(parked)


async def test_a_record_that_is_no_event_is_set_aside() -> None:
    store, broker = a_store(), MemoryBroker(partitions=1)
    broker.append_raw(TOPIC, b"a", b"garbage")
    send(broker, growth("a", 1))
    async with running(a_worker(store, broker, Reader())):
        await until_seen(store, "a", 1)
    [(subject, _, reason)] = await set_aside(store)
    assert (subject, reason) == ("tests.item-0-0", "poison")


async def test_an_unknown_fault_is_tried_five_times_and_then_isolated() -> None:
    store, broker = a_store(), MemoryBroker(partitions=1)

    def fault(event: Event) -> None:
        if event.subject == "bad":
            raise KeyError("a bug")

    reader = Reader(fault)
    send(broker, growth("good", 1), growth("bad", 1), growth("good", 2))
    async with running(a_worker(store, broker, reader)):
        await until_seen(store, "good", 1, 2)
    assert await set_aside(store) == [("bad", 1, "poison")]
    assert reader.handled.count("tests.item/bad/1") == 7  # with all partitions, five times in its own, once alone


async def test_a_fault_that_passes_is_waited_for_with_order_kept() -> None:
    store, broker = a_store(), MemoryBroker(partitions=1)
    away = True

    def fault(event: Event) -> None:
        if away:
            raise Unavailable("the database is away")

    reader = Reader(fault)
    send(broker, growth("a", 1), growth("a", 2))
    worker = a_worker(store, broker, reader)
    async with running(worker):
        await soon(lambda: len(reader.handled) > 20)
        assert worker.ready()
        away = False
        await until_seen(store, "a", 1, 2)
    assert await set_aside(store) == []


async def test_the_breaker_stops_the_worker_which_stays_to_be_seen() -> None:
    store, broker = a_store(), MemoryBroker(partitions=1)
    send(broker, *(growth(f"i{n}", 1) for n in range(40)))
    worker = a_worker(store, broker, Reader(poisonous(*(f"i{n}/1" for n in range(40)))))
    task = asyncio.create_task(worker.run())
    await soon(lambda: worker.broken)
    assert worker.broken == "21 poisonous events in a row"
    assert not worker.ready()
    await soon(lambda: not broker.members[VIEW_GROUP])
    assert len(await set_aside(store)) == 20
    assert not task.done()
    worker.stop()
    await task


async def test_a_gap_stops_a_group_that_cannot_bear_one() -> None:
    store, broker = a_store(), MemoryBroker(partitions=1)
    send(broker, growth("a", 1), growth("a", 3))
    worker = a_worker(store, broker, Reader(), on_gap="stop")
    async with running(worker):
        await soon(lambda: worker.broken)
    assert await seen(store, "a") == []


async def test_a_fault_in_the_engine_itself_stops_the_worker() -> None:
    store, broker = a_store(), MemoryBroker(partitions=1)
    worker = a_worker(store, broker, Reader(poisonous("a/1")))

    async def broken(batch: Sequence[Record], tries: int = 5) -> None:
        raise LookupError("a bug of ours")

    worker.inbox.apply_singly = broken  # type: ignore[method-assign]  # the fault is the point
    send(broker, growth("a", 1))
    async with running(worker):
        await soon(lambda: worker.broken)
    assert broker.offsets[VIEW_GROUP] == {}


async def test_an_absent_broker_is_waited_for_before_joining() -> None:
    store, broker = a_store(), MemoryBroker()
    broker.down = True
    send(broker, growth("a", 1))
    worker = a_worker(store, broker, Reader())
    async with running(worker):
        await asyncio.sleep(0)
        assert not worker.ready()
        broker.down = False
        await until_seen(store, "a", 1)
        assert worker.ready()


async def test_stopping_before_joining_ends_the_worker() -> None:
    broker = MemoryBroker()
    broker.down = True
    async with running(a_worker(a_store(), broker, Reader())):
        await asyncio.sleep(0)


class Failing(MemoryFeed):
    async def poll(self, partitions: Iterable[Partition], patience: float) -> Mapping[Partition, Sequence[Record]]:
        raise RuntimeError("the coordinator's task died")


async def test_a_poll_that_fails_ends_the_worker() -> None:
    store, broker = a_store(), MemoryBroker()
    worker = a_worker(store, broker, Reader())
    worker._feed = Failing(broker, VIEW_GROUP, (TOPIC,))
    with pytest.raises(RuntimeError, match="coordinator"):
        await worker.run()
    assert broker.members[VIEW_GROUP] == []


# ---- rebalances and the end ----


async def test_a_second_member_takes_over_without_effects_twice_or_lost() -> None:
    store, broker = a_store(), MemoryBroker(partitions=4)
    readers = [Reader(), Reader()]
    send(broker, *(growth(f"i{n}", 1) for n in range(20)))
    first, second = (a_worker(store, broker, reader) for reader in readers)
    async with running(first):
        async with running(second):
            send(broker, *(growth(f"i{n}", 2) for n in range(20)))
            for n in range(20):
                await until_seen(store, f"i{n}", 1, 2)
            await soon(lambda: len(second._places) == len(first._places) == 2)
        send(broker, *(growth(f"i{n}", 3) for n in range(20)))
        for n in range(20):
            await until_seen(store, f"i{n}", 1, 2, 3)
        assert len(first._places) == 4


async def test_partitions_are_given_up_while_a_poll_is_waiting() -> None:
    store, broker = a_store(), MemoryBroker(partitions=2)
    worker = a_worker(store, broker, Reader())
    async with running(worker):
        await soon(lambda: worker.assigned)
        await broker.rebalance(VIEW_GROUP)
        send(broker, growth("a", 1))
        await until_seen(store, "a", 1)


async def test_giving_up_partitions_waits_for_what_is_started_but_not_for_ever() -> None:
    store, broker = a_store(), MemoryBroker(partitions=1)
    gate = Gate(store, "a")
    send(broker, growth("a", 1))
    async with running(a_worker(store, broker, gate.reader(), drain=30.0)):
        await gate.reached.wait()
        moving = asyncio.create_task(broker.rebalance(VIEW_GROUP))
        await asyncio.sleep(0)
        assert not moving.done()
        gate.open.set()
        await moving
        assert broker.offsets[VIEW_GROUP] == {Partition(TOPIC, 0): 1}
        assert await seen(store, "a") == [1]


async def test_a_handler_that_never_ends_is_left_behind() -> None:
    store, broker = a_store(), MemoryBroker(partitions=1)
    gate = Gate(store, "a")
    send(broker, growth("a", 1))
    async with running(a_worker(store, broker, gate.reader(), drain=0.01)):
        await gate.reached.wait()
        await broker.rebalance(VIEW_GROUP)
        assert broker.offsets[VIEW_GROUP] == {}
        gate.open.set()
        await until_seen(store, "a", 1)


async def test_stopping_finishes_and_commits_what_is_started_and_starts_no_more() -> None:
    store, broker = a_store(), MemoryBroker(partitions=1)
    gate = Gate(store, "a")
    send(broker, growth("a", 1), growth("b", 1))
    worker = a_worker(store, broker, gate.reader(), commit_every=3600.0, batch=1)
    worker._last_commit = float("inf")  # only leaving commits
    task = asyncio.create_task(worker.run())
    await gate.reached.wait()
    worker.stop()
    gate.open.set()
    await task
    assert broker.offsets[VIEW_GROUP] == {Partition(TOPIC, 0): 1}
    assert (await seen(store, "a"), await seen(store, "b")) == ([1], [])


async def test_a_batch_that_waits_for_a_passing_fault_does_not_hold_up_the_end() -> None:
    store, broker = a_store(), MemoryBroker(partitions=1)

    def away(event: Event) -> None:
        raise Unavailable("for long")

    reader = Reader(away)
    send(broker, growth("a", 1))
    async with running(a_worker(store, broker, reader, drain=30.0)):
        await soon(lambda: reader.handled)
    assert broker.offsets[VIEW_GROUP] == {}


async def test_a_rebalance_while_offsets_are_being_committed_does_no_harm() -> None:
    store, broker = a_store(), MemoryBroker(partitions=1)
    worker = a_worker(store, broker, Reader())
    committing, go_on = asyncio.Event(), asyncio.Event()
    async with running(worker):
        await soon(lambda: broker.members[VIEW_GROUP])
        [member] = broker.members[VIEW_GROUP]
        commit = member.commit

        async def slow(offsets: Mapping[Partition, int]) -> bool:
            done = await commit(offsets)
            committing.set()
            await go_on.wait()
            return done

        member.commit = slow  # type: ignore[method-assign]  # a slow coordinator
        send(broker, growth("a", 1))
        await committing.wait()
        member.commit = commit  # type: ignore[method-assign]
        await member.lose(member.assignment())
        go_on.set()
        await broker.rebalance(VIEW_GROUP)
        send(broker, growth("a", 2))
        await until_seen(store, "a", 1, 2)


class Watched(MemoryFeed):
    """A feed that notes whether a poll was ever cancelled, and how often it was asked."""

    polls = 0
    cancelled = False

    async def poll(self, partitions: Iterable[Partition], patience: float) -> Mapping[Partition, Sequence[Record]]:
        self.polls += 1
        try:
            return await super().poll(partitions, min(patience, 0.01))
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    async def start(self, revoked: Moved, assigned: Moved) -> None:
        await super().start(revoked, assigned)


async def test_leaving_never_cancels_a_poll() -> None:
    store, broker = a_store(), MemoryBroker(partitions=2)
    worker = a_worker(store, broker, Reader())
    feed = worker._feed = Watched(broker, VIEW_GROUP, (TOPIC,))
    async with running(worker):
        send(broker, growth("a", 1))
        await until_seen(store, "a", 1)
        await broker.rebalance(VIEW_GROUP)
        await soon(lambda: feed.polls > 3)
    assert not feed.cancelled


async def test_a_member_without_partitions_goes_on_polling() -> None:
    store, broker = a_store(), MemoryBroker(partitions=1)
    first, second = a_worker(store, broker, Reader()), a_worker(store, broker, Reader())
    feed = second._feed = Watched(broker, VIEW_GROUP, (TOPIC,))
    async with running(first):
        await soon(lambda: first.assigned)
        async with running(second):
            await soon(lambda: second.joined)
            assert not second.assigned
            polls = feed.polls
            await soon(lambda: feed.polls > polls + 2)


# ---- what it tells ----


async def test_progress_advances_with_every_turn() -> None:
    store, broker = a_store(), MemoryBroker(partitions=1)
    worker = a_worker(store, broker, Reader())
    worker._feed = Watched(broker, VIEW_GROUP, (TOPIC,))
    async with running(worker):
        await soon(lambda: worker.joined)
        before = worker.progress
        await soon(lambda: worker.progress > before)


async def test_progress_stands_still_while_the_poll_does() -> None:
    class Wedged(MemoryFeed):
        wedged = asyncio.Event()
        free = asyncio.Event()

        async def poll(self, *_: object) -> Mapping[Partition, Sequence[Record]]:
            self.wedged.set()
            await self.free.wait()
            return {}

    store, broker = a_store(), MemoryBroker(partitions=1)
    worker = a_worker(store, broker, Reader())
    feed = worker._feed = Wedged(broker, VIEW_GROUP, (TOPIC,))
    async with running(worker):
        await feed.wedged.wait()
        before = worker.progress
        for _ in range(100):
            await asyncio.sleep(0)
        assert worker.progress == before
        feed.free.set()


async def test_the_number_of_unresolved_records_is_told() -> None:
    store, broker = a_store(), MemoryBroker(partitions=1)
    telemetry.DLQ_UNRESOLVED.set(-1)
    async with running(a_worker(store, broker, Reader())):
        await soon(lambda: telemetry.DLQ_UNRESOLVED._value.get() == 0)
    send(broker, growth("a", 1))
    async with running(a_worker(store, broker, Reader(poisonous("a/1")))):

        async def parked() -> bool:
            return bool(await set_aside(store))

        await eventually(parked)
    async with running(a_worker(store, broker, Reader())):
        await soon(lambda: telemetry.DLQ_UNRESOLVED._value.get() == 1)


# ---- what is told of the lag ----


def lag_of(topic: str = ITEMS_TOPIC.name) -> dict[int, float]:
    """The told lag of the view's group, by partition."""
    [metric] = telemetry.CONSUMER_TIME_LAG_SECONDS.collect()
    wanted = {"group": VIEW_GROUP, "topic": topic}
    return {
        int(sample.labels["partition"]): sample.value
        for sample in metric.samples
        if wanted.items() <= sample.labels.items()
    }


async def test_the_lag_grows_while_a_record_is_stuck_returns_to_nothing_and_ends_with_the_partition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shared.consumer.worker.LAG_EVERY", 0.01)
    store, broker = a_store(), MemoryBroker(partitions=1)
    gate = Gate(store, "a")
    send(broker, growth("a", 1))
    record = broker.records(ITEMS_TOPIC.name)[0]
    broker.log[record.partition][0] = record._replace(timestamp=time.time() - 60)
    worker = a_worker(store, broker, gate.reader())
    async with running(worker):
        await gate.reached.wait()
        await soon(lambda: lag_of().get(0, 0) > 60)
        stuck = lag_of()[0]
        await soon(lambda: lag_of()[0] > stuck)
        gate.open.set()
        await soon(lambda: lag_of()[0] == 0)
    assert lag_of() == {}


async def test_a_worker_that_waits_for_servers_is_alive_and_one_whose_poll_stands_still_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = a_worker(a_store(), MemoryBroker(), Reader())
    worker.progress -= 3600
    assert worker.alive(), "it has not joined: the brokers are away"
    worker.joined = True
    assert not worker.alive()


async def test_what_was_read_of_a_partition_that_is_taken_while_more_is_gathered_is_left_to_its_successor() -> None:
    store, broker, reader = a_store(), MemoryBroker(partitions=1), Reader()
    worker = a_worker(store, broker, reader)
    object.__setattr__(worker.subscription, "gather", 0.3)
    gathering = asyncio.Event()
    wait = worker._wait

    async def watched(seconds: float) -> None:
        gathering.set()
        await wait(seconds)

    worker._wait = watched  # type: ignore[method-assign]  # to know when it gathers
    async with running(worker):
        await soon(lambda: worker.assigned)
        send(broker, growth("a", 1), growth("a", 2))
        await gathering.wait()
        [place] = list(worker._places)
        await worker._revoked(frozenset({place}))
        await asyncio.sleep(0.5)
        assert (reader.handled, dict(worker._places)) == ([], {})


async def test_a_busy_group_gathers_and_an_idle_one_does_not_wait() -> None:
    store, broker = a_store(), MemoryBroker(partitions=1)
    worker = a_worker(store, broker, Reader())
    object.__setattr__(worker.subscription, "gather", 0.2)
    waits: list[float] = []
    wait = worker._wait

    async def watched(seconds: float) -> None:
        waits.append(seconds)
        await wait(seconds)

    worker._wait = watched  # type: ignore[method-assign]  # to see whether it waits
    async with running(worker):
        send(broker, growth("a", 1))
        await until_seen(store, "a", 1)
        assert waits == []
        send(broker, growth("b", 1), growth("b", 2))
        await until_seen(store, "b", 1, 2)
        assert waits == [0.2]
