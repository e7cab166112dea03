"""One suite for the fake broker and for Apache Kafka."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiokafka.errors import CommitFailedError, IllegalStateError, NotLeaderForPartitionError

from shared import telemetry
from shared.contracts import Topic
from shared.errors import Unavailable
from shared.event import Event
from shared.kafka import Broker, Connection, Feed, KafkaBroker, KafkaFeed, NotPublished, Partition, Record
from shared.testing.memory_broker import MemoryBroker
from tests.engine import NOON, Grown
from tests.waiting import eventually

PARTITIONS = 3


@dataclass
class World:
    """A broker with a topic and a group of this test's own."""

    broker: Broker
    topic: Topic
    group: str
    members: list[Member] = field(default_factory=list)

    def event(self, key: str, sequence: int, by: int = 1) -> Event:
        made = Event.new(Grown(by=by), key, sequence, NOON, "00-trace-span-01")
        return Event(self.topic.name, made.type, key, sequence, NOON, f"key-{key}", made.value, made.traceparent)

    async def publish(self, *events: Event) -> None:
        publisher = self.broker.publisher()
        try:
            await publisher.publish(events)
        finally:
            await publisher.stop()

    async def join(self, group: str | None = None, revoked: Callable[[], Awaitable[None]] | None = None) -> Member:
        member = Member(self.broker.feed(group or self.group, (self.topic.name,)), revoked)
        self.members.append(member)
        await member.feed.start(member.on_revoked, member.on_assigned)
        return member


class Member:
    """A member of a group that remembers what happened to it."""

    def __init__(self, feed: Feed, revoked: Callable[[], Awaitable[None]] | None) -> None:
        self.feed = feed
        self.got: list[Record] = []
        self.history: list[tuple[str, frozenset[Partition]]] = []
        self._before_giving_up = revoked

    async def on_revoked(self, places: frozenset[Partition]) -> None:
        if places and self._before_giving_up is not None:
            await self._before_giving_up()
        self.history.append(("revoked", places))

    async def on_assigned(self, places: frozenset[Partition]) -> None:
        self.history.append(("assigned", places))

    async def poll(self) -> Mapping[Partition, Sequence[Record]]:
        found = await self.feed.poll((), 0.05)
        for records in found.values():
            self.got.extend(records)
        return found

    async def until(self, count: int) -> list[Record]:
        async def look() -> bool:
            await self.poll()
            return len(self.got) >= count

        await eventually(look)
        assert len(self.got) == count
        return self.got

    def next_offsets(self) -> dict[Partition, int]:
        offsets: dict[Partition, int] = {}
        for record in self.got:
            offsets[record.partition] = max(record.offset + 1, offsets.get(record.partition, 0))
        return offsets


async def behind(feed: Feed) -> int:
    """How many records of the member's partitions are not committed yet."""
    return sum(position.end - position.next for position in (await feed.positions()).values())


@pytest.fixture(scope="module", params=["memory", "kafka"])
def shared_broker(request: pytest.FixtureRequest) -> Broker:
    if request.param == "memory":
        return MemoryBroker(PARTITIONS)
    bootstrap = request.getfixturevalue("kafka_bootstrap")
    return KafkaBroker(Connection(bootstrap, f"t{secrets.token_hex(4)}-", heartbeat_interval=0.3))


@pytest.fixture
async def world(shared_broker: Broker) -> AsyncIterator[World]:
    name = secrets.token_hex(4)
    topic = Topic(f"tests.t{name}", owner="tests", aggregate="a thing", partitions=PARTITIONS)
    world = World(shared_broker, topic, f"tests.{name}")
    await shared_broker.ensure_topics([topic])
    yield world
    await asyncio.gather(*(member.feed.stop() for member in world.members))


async def test_a_record_comes_back_as_the_event_it_was(world: World) -> None:
    sent = world.event("物 1", 7, by=5)
    await world.publish(sent)
    [record] = await (await world.join()).until(1)
    assert record.event() == sent
    assert record.key == "key-物 1".encode()
    assert dict(record.headers)["ce_sequence"] == b"0000000007"
    assert dict(record.headers)["ce_traceparent"] == b"00-trace-span-01"
    assert record.partition.topic == world.topic.name
    assert record.timestamp > 1_600_000_000


async def test_order_holds_per_key_whatever_is_sent_beside_it(world: World) -> None:
    keys = [f"k{n}" for n in range(8)]
    await world.publish(*(world.event(key, number) for number in range(1, 26) for key in keys))
    await world.publish(*(world.event(key, number) for number in range(26, 51) for key in keys))
    records = await (await world.join()).until(400)
    for key in keys:
        mine = [record for record in records if record.event().subject == key]
        assert [record.event().sequence for record in mine] == list(range(1, 51))
        assert len({record.partition for record in mine}) == 1
    for place in {record.partition for record in records}:
        offsets = [record.offset for record in records if record.partition == place]
        assert offsets == list(range(len(offsets)))


async def test_a_new_group_reads_from_the_earliest_event(world: World) -> None:
    await world.publish(*(world.event("a", number) for number in (1, 2)))
    member = await world.join()
    await member.until(2)
    await world.publish(world.event("a", 3))
    assert [record.event().sequence for record in await member.until(3)] == [1, 2, 3]


async def test_a_group_goes_on_behind_what_it_committed(world: World) -> None:
    await world.publish(*(world.event(key, 1) for key in "abcdef"))
    first = await world.join()
    await first.until(6)
    assert await behind(first.feed) == 6
    offsets = first.next_offsets()
    assert await first.feed.commit(offsets)
    assert await behind(first.feed) == 0
    await first.feed.stop()
    await world.publish(world.event("a", 2))
    second = await world.join()
    assert [record.event().sequence for record in await second.until(1)] == [2]
    assert await behind(second.feed) == 1


async def test_what_is_not_committed_is_read_again(world: World) -> None:
    await world.publish(*(world.event("a", number) for number in (1, 2, 3)))
    first = await world.join()
    records = await first.until(3)
    await first.feed.commit({records[0].partition: records[0].offset + 1})
    await first.feed.stop()
    second = await world.join()
    assert [record.event().sequence for record in await second.until(2)] == [2, 3]


async def test_groups_do_not_take_from_each_other(world: World) -> None:
    await world.publish(world.event("a", 1))
    for group in (world.group, f"{world.group}.other"):
        await (await world.join(group)).until(1)


async def test_a_poll_of_some_partitions_leaves_the_others(world: World) -> None:
    await world.publish(*(world.event(f"k{n}", 1) for n in range(20)))
    member = await world.join()
    first = Partition(world.topic.name, 0)

    async def look() -> Sequence[Record] | None:
        found = await member.feed.poll([first], 0.05)
        assert set(found) <= {first}
        return found.get(first)

    some = await eventually(look)
    await member.until(20 - len(some))
    assert first not in {record.partition for record in member.got}


async def test_a_poll_that_finds_nothing_comes_back(world: World) -> None:
    member = await world.join()
    assert await member.poll() == {}


async def test_a_member_is_told_its_partitions_and_leaves_none_behind(world: World) -> None:
    member = await world.join()
    everything = frozenset(Partition(world.topic.name, number) for number in range(PARTITIONS))
    assert member.history[-1] == ("assigned", everything)
    assert member.feed.assignment() == everything
    await member.feed.stop()
    assert member.feed.assignment() == frozenset()


async def test_partitions_are_given_up_before_another_gets_them(world: World) -> None:
    found: list[str] = []

    async def give_up() -> None:
        found.append("giving up")
        await asyncio.sleep(0)
        found.append("given up")

    first = await world.join(revoked=give_up)
    await world.publish(*(world.event(f"k{n}", 1) for n in range(20)))
    await first.until(20)
    polling = asyncio.create_task(_poll_for_ever(first))  # a rebalance needs a member that polls
    second = await world.join()
    found.append("second has joined")

    async def settled() -> bool:
        theirs = [member.feed.assignment() for member in (first, second)]
        heard = [member.history[-1] for member in (first, second)]
        return sum(map(len, theirs)) == PARTITIONS and heard == [("assigned", places) for places in theirs]

    await eventually(settled)
    assert found == ["giving up", "given up", "second has joined"]
    assert [what for what, _ in first.history[-2:]] == ["revoked", "assigned"]
    assert not first.feed.assignment() & second.feed.assignment()
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)


async def _poll_for_ever(member: Member) -> None:
    while True:
        await member.poll()


async def test_offsets_may_be_committed_while_giving_up(world: World) -> None:
    committed: list[bool] = []

    async def give_up() -> None:
        committed.append(await first.feed.commit(first.next_offsets()))

    first = await world.join(revoked=give_up)
    await world.publish(*(world.event(f"k{n}", 1) for n in range(20)))
    await first.until(20)
    polling = asyncio.create_task(_poll_for_ever(first))
    second = await world.join()

    async def caught_up() -> bool:
        await second.poll()
        return await behind(second.feed) == 0

    await eventually(caught_up)
    assert committed == [True]
    assert second.got == []
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)


async def test_a_commit_of_a_partition_that_is_not_ours_is_refused(world: World) -> None:
    member = await world.join()
    assert not await member.feed.commit({Partition(world.topic.name, PARTITIONS + 1): 1})
    assert await member.feed.commit({Partition(world.topic.name, 0): 0})


async def test_a_topic_may_be_ensured_again_and_by_many_at_once(world: World) -> None:
    fresh = Topic(f"{world.topic.name}.fresh", owner="tests", aggregate="a thing", partitions=1)
    await asyncio.gather(*(world.broker.ensure_topics([fresh, world.topic]) for _ in range(3)))
    await world.publish(world.event("a", 1))
    await (await world.join()).until(1)


async def test_publishing_nothing_is_nothing(world: World) -> None:
    await world.publish()
    assert await (await world.join()).poll() == {}


async def test_a_publisher_may_be_stopped_twice_and_used_by_many_at_once(world: World) -> None:
    publisher = world.broker.publisher()
    await publisher.stop()
    await asyncio.gather(*(publisher.publish([world.event(f"k{n}", 1)]) for n in range(10)))
    await publisher.stop()
    await publisher.stop()
    await (await world.join()).until(10)


# ---- only Kafka can show it ----


def the_consumer(member: Member) -> Any:
    if not isinstance(member.feed, KafkaFeed):
        pytest.skip("a property of aiokafka")
    return member.feed._consumer


@pytest.mark.parametrize("error", [CommitFailedError(), IllegalStateError(), NotLeaderForPartitionError()])
async def test_every_way_in_which_a_commit_fails_is_harmless_and_counted(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    member = await world.join()

    async def refuse(offsets: object) -> None:
        raise error

    monkeypatch.setattr(the_consumer(member), "commit", refuse)
    failures = telemetry.CONSUMER_COMMIT_FAILURES.labels(world.group)._value
    assert not await member.feed.commit({Partition(world.topic.name, 0): 0})
    assert failures.get() == 1


async def test_a_commit_without_an_answer_does_not_hold_up_the_polls(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = await world.join()

    async def silence(offsets: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(the_consumer(member), "commit", silence)
    monkeypatch.setattr("shared.kafka.COMMIT_PATIENCE", 0.01)
    assert not await member.feed.commit({Partition(world.topic.name, 0): 0})


async def test_a_fault_of_the_listener_is_counted(world: World) -> None:
    async def fail() -> None:
        raise LookupError("a bug of ours")

    member = await world.join(revoked=fail)
    feed, consumer = member.feed, the_consumer(member)
    assert isinstance(feed, KafkaFeed)
    await feed.on_partitions_revoked(consumer.assignment())
    assert telemetry.CONSUMER_LISTENER_FAILURES.labels(world.group)._value.get() == 1


async def test_a_member_that_the_group_has_left_behind_commits_nothing(world: World) -> None:
    member = await world.join()
    coordinator = the_consumer(member)._coordinator
    await world.publish(world.event("a", 1))
    [record] = await member.until(1)
    coordinator.generation += 1  # what the group believes and what the member believes differ
    assert not await member.feed.commit({record.partition: record.offset + 1})


async def test_nobody_there_is_unavailable_and_a_later_start_succeeds(kafka_bootstrap: str) -> None:
    namespace = f"t{secrets.token_hex(4)}-"
    topic = Topic("tests.late", owner="tests", aggregate="a thing", partitions=1)
    nowhere = KafkaBroker(Connection("127.0.0.1:1", namespace))
    with pytest.raises(Unavailable):
        await nowhere.ensure_topics([topic])
    with pytest.raises(Unavailable):
        await nowhere.publisher().publish([Event.new(Grown(by=1), "a", 1, NOON)])
    there = Connection(kafka_bootstrap, namespace)
    await KafkaBroker(there).ensure_topics([topic])
    feed = KafkaFeed(Connection("127.0.0.1:1", namespace), "late", [topic.name])
    member = Member(feed, None)
    with pytest.raises(Unavailable):
        await feed.start(member.on_revoked, member.on_assigned)
    assert feed.assignment() == frozenset()
    feed._connection = there  # the broker comes up
    await feed.start(member.on_revoked, member.on_assigned)
    assert await member.poll() == {}
    await feed.stop()


async def test_a_topic_that_is_not_there_holds_up_no_other_and_what_was_taken_is_told(
    kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.kafka.METADATA_PATIENCE", 0.5)
    broker = KafkaBroker(Connection(kafka_bootstrap, f"t{secrets.token_hex(4)}-"))
    topic = Topic(Grown.TOPIC, owner="tests", aggregate="a thing", partitions=2)
    await broker.ensure_topics([topic])
    here = [Event.new(Grown(by=1), "a", number, NOON) for number in (1, 2)]
    nowhere = [replace(event, topic="tests.nowhere") for event in here]
    publisher = broker.publisher()
    try:
        for _ in range(2):
            with pytest.raises(NotPublished) as refused:
                await publisher.publish([*nowhere, *here])
            assert (refused.value.acknowledged, refused.value.topics) == (here, frozenset({"tests.nowhere"}))
        await publisher.publish(here)
    finally:
        await publisher.stop()


async def test_a_publisher_that_is_given_up_leaves_its_successor_alone(kafka_bootstrap: str) -> None:
    publisher = KafkaBroker(Connection(kafka_bootstrap, f"t{secrets.token_hex(4)}-")).publisher()
    first = await publisher._started()
    publisher._producer = None
    second = await publisher._started()
    await publisher._give_up(first)
    assert publisher._producer is second
    await publisher.stop()
    await first.stop()


async def test_another_number_of_partitions_than_declared_is_told(kafka_bootstrap: str) -> None:
    connection = Connection(kafka_bootstrap, f"t{secrets.token_hex(4)}-")
    topic = Topic("tests.grown", owner="tests", aggregate="a thing", partitions=3)
    await KafkaBroker(connection, partitions=2).ensure_topics([topic])
    await KafkaBroker(connection).ensure_topics([topic])
    assert telemetry.TOPIC_PARTITIONS_UNEXPECTED.labels("tests.grown")._value.get() == -1
    await KafkaBroker(connection, partitions=2).ensure_topics([topic])
    assert telemetry.TOPIC_PARTITIONS_UNEXPECTED.labels("tests.grown")._value.get() == 0
