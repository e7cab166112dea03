"""A Kafka broker in memory: partitions, groups, eager rebalances, and records that can be sent twice."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from zlib import crc32

from shared.contracts import Topic
from shared.errors import Unavailable
from shared.event import Event
from shared.kafka import Moved, NotPublished, Partition, Position, Record


class MemoryBroker:
    """The log and the groups. While `down`, publishing and joining fail, polls find nothing, offsets stay.

    Topics in `refused` cannot be written to.
    """

    def __init__(self, partitions: int = 3) -> None:
        self.partitions = partitions
        self.down = False
        self.topics_missing = False
        self.refused: set[str] = set()
        self.log: dict[Partition, list[Record]] = defaultdict(list)
        self.offsets: dict[str, dict[Partition, int]] = defaultdict(dict)
        self.members: dict[str, list[MemoryFeed]] = defaultdict(list)
        self.news = asyncio.Event()

    def publisher(self) -> MemoryPublisher:
        return MemoryPublisher(self)

    def feed(self, group: str, topics: Sequence[str]) -> MemoryFeed:
        return MemoryFeed(self, group, topics)

    async def ensure_topics(self, topics: Iterable[Topic]) -> None:
        if self.down or self.topics_missing:
            raise Unavailable("no topics")

    def append(self, event: Event) -> Record:
        """Put the event at the end of its partition."""
        return self.append_raw(event.topic, event.key.encode(), event.value, event.headers())

    def append_raw(self, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> Record:
        """Put any record there, an unreadable one too."""
        partition = Partition(topic, crc32(key) % self.partitions)
        lane = self.log[partition]
        lane.append(Record(partition, len(lane), time.time(), key, value, headers))
        self.news.set()
        return lane[-1]

    def records(self, topic: str) -> list[Record]:
        """All records of a topic, partition by partition."""
        return [record for place in sorted(self.log) if place.topic == topic for record in self.log[place]]

    async def rebalance(self, group: str) -> None:
        """Take all partitions from all members, then deal them anew: what aiokafka's eager protocol does."""
        members = self.members[group]
        await asyncio.gather(*(member.lose(member.assignment()) for member in members))
        topics = sorted({topic for member in members for topic in member.topics})
        places = [Partition(topic, number) for topic in topics for number in range(self.partitions)]
        for index, member in enumerate(members):
            await member.gain(frozenset(places[index :: len(members)]))


class MemoryPublisher:
    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def publish(self, events: Sequence[Event]) -> None:
        refused = {event.topic for event in events if self._broker.down or event.topic in self._broker.refused}
        taken = [event for event in events if event.topic not in refused]
        for event in taken:
            self._broker.append(event)
        if refused:
            raise NotPublished("the broker is away", taken, frozenset(refused))

    async def stop(self) -> None:
        return


class MemoryFeed:
    def __init__(self, broker: MemoryBroker, group: str, topics: Sequence[str]) -> None:
        self._broker = broker
        self._group = group
        self.topics = tuple(topics)
        self._positions: dict[Partition, int] = {}
        self._revoked: Moved | None = None
        self._assigned: Moved | None = None

    async def start(self, revoked: Moved, assigned: Moved) -> None:
        if self._broker.down:
            raise Unavailable("the broker is away")
        self._revoked, self._assigned = revoked, assigned
        self._broker.members[self._group].append(self)
        await self._broker.rebalance(self._group)

    def assignment(self) -> frozenset[Partition]:
        return frozenset(self._positions)

    async def poll(self, partitions: Iterable[Partition], patience: float) -> Mapping[Partition, Sequence[Record]]:
        wanted = [place for place in partitions if place in self._positions] or list(self._positions)
        found = {} if self._broker.down else self._take(wanted)
        if not found and patience:
            self._broker.news.clear()
            try:
                async with asyncio.timeout(patience):
                    await self._broker.news.wait()
            except TimeoutError:
                return {}
            found = {} if self._broker.down else self._take(wanted)
        return found

    def _take(self, places: Iterable[Partition]) -> dict[Partition, Sequence[Record]]:
        found: dict[Partition, Sequence[Record]] = {}
        for place in places:
            if place in self._positions and (new := self._broker.log[place][self._positions[place] :]):
                found[place] = list(new)
                self._positions[place] += len(new)
        return found

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        if self._broker.down or not set(offsets) <= set(self._positions):
            return False
        self._broker.offsets[self._group].update(offsets)
        return True

    async def positions(self) -> Mapping[Partition, Position]:
        if self._broker.down:
            raise Unavailable("the broker is away")
        done = self._broker.offsets[self._group]
        return {place: Position(0, len(self._broker.log[place]), done.get(place, 0)) for place in self._positions}

    async def stop(self) -> None:
        self._positions.clear()
        if self in self._broker.members[self._group]:
            self._broker.members[self._group].remove(self)
            await self._broker.rebalance(self._group)

    async def lose(self, places: frozenset[Partition]) -> None:
        if places and self._revoked is not None:
            await self._revoked(places)
        for place in places:
            self._positions.pop(place, None)

    async def gain(self, places: frozenset[Partition]) -> None:
        done = self._broker.offsets[self._group]
        self._positions = {place: done.get(place, 0) for place in places}
        if self._assigned is not None:
            await self._assigned(places)
