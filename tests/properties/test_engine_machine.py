"""Whatever is crashed, repeated, held back or broken, and when: every effect happens once, in order, and none is lost.

The machine runs the real engine (store, group commit, relay, worker's inbox, replay) on the fakes, one step at a
time, on a clock of its own: no task runs between two rules, so that every failure can be shrunk and repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence
from typing import Literal, TypeVar

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.clock import FixedClock
from shared.consumer import PARKED, Inbox
from shared.dlq import Choice, DeadLetters
from shared.errors import Unavailable
from shared.event import Event
from shared.kafka import Partition, Record
from shared.outbox import Relay
from shared.store import OUTBOX, Document, Store
from shared.testing.memory_broker import MemoryBroker
from shared.testing.memory_store import MemoryDriver
from tests.engine import ITEMS, ITEMS_TOPIC, NOON, VIEW_GROUP, VIEWS, Grown, Reader, a_store, grow

T = TypeVar("T")

IDS = st.sampled_from("abcd")
MEMBERS = st.sampled_from([0, 1])
CRASHES = st.sampled_from(["before-commit", "after-commit"])
GROUP_OF_DEAD = f"{VIEW_GROUP}.dlq"


class Crash(Unavailable):
    """The process dies here: whoever waits for the answer never gets it."""


class Member:
    """A consumer process: its own memory, its positions in the log, and what it has read but not yet applied."""

    def __init__(self, store: Store, reader: Reader, positions: dict[Partition, int]) -> None:
        self.inbox: Inbox = Inbox(store, reader.subscription(batch=4), None, longest_pause=0.0)
        self.positions = positions
        self.held: list[Record] = []

    def read(self, broker: MemoryBroker, most: int) -> list[Record]:
        for place, position in self.positions.items():
            fresh = broker.log[place][position : position + most]
            if fresh:
                self.positions[place] = position + len(fresh)
                return fresh
        return []


class EngineLife(RuleBasedStateMachine):
    """Two producing processes, two consuming ones, an operator, and everything that may happen to them."""

    @initialize()
    def start(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock = FixedClock(NOON)
        self.driver = MemoryDriver(self.clock)
        self.broker = MemoryBroker(partitions=2)
        self.reader = Reader(self._fault)
        self.poisonous: set[str] = set()
        self.acknowledged: dict[str, int] = {}
        self.doubtful: dict[str, int] = {}
        self.stores: list[Store] = []
        self.relays: list[Relay] = []
        self.members: list[Member] = []
        self.run(self._restart_all())

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.close()

    def run(self, step: Awaitable[T]) -> T:
        async def bounded() -> T:
            return await step

        return self.loop.run_until_complete(bounded())

    async def _restart_all(self) -> None:
        self.stores, self.relays = [], []
        for _ in range(2):
            self._new_process()
        self._deal()

    def _new_process(self) -> None:
        store = a_store(self.driver, self.clock)
        self.stores.append(store)
        self.relays.append(Relay(store, self.broker.publisher(), grace=0.0))

    def _deal(self) -> None:
        """A rebalance: everybody goes on at the offsets that are committed, whatever was done beyond them."""
        done = self.broker.offsets[VIEW_GROUP]
        places = [Partition(ITEMS_TOPIC.name, number) for number in range(self.broker.partitions)]
        self.members = [
            Member(a_store(self.driver, self.clock), self.reader, {place: done.get(place, 0)}) for place in places
        ]

    def _fault(self, event: Event) -> None:
        if event.id in self.poisonous:
            raise ValueError("poison")

    # ---- producing ----

    @rule(id=IDS, process=MEMBERS)
    def produce(self, id: str, process: int) -> None:
        self.run(grow(self.stores[process], id))
        self.acknowledged[id] = self.acknowledged.get(id, 0) + 1

    @rule(id=IDS, process=MEMBERS, point=CRASHES)
    def produce_and_crash(self, id: str, process: int, point: str) -> None:
        """The command's process dies around its commit: the caller knows nothing, memory is gone."""
        self._crash_at(point)
        try:
            self.run(grow(self.stores[process], id))
        except Crash:
            self.doubtful[id] = self.doubtful.get(id, 0) + 1
        self.driver.fault = lambda here: None
        self._restart(process)

    @rule(process=MEMBERS)
    def lose_memory(self, process: int) -> None:
        """A process restarts: what its relay was about to send waits for a sweeper."""
        self._restart(process)

    def _restart(self, process: int) -> None:
        self.stores[process] = a_store(self.driver, self.clock)
        self.relays[process] = Relay(self.stores[process], self.broker.publisher(), grace=0.0)

    def _crash_at(self, point: str) -> None:
        def crash(here: str) -> None:
            if here == point:
                raise Crash(point)

        self.driver.fault = crash

    # ---- publishing ----

    @rule(process=MEMBERS)
    def publish(self, process: int) -> None:
        """What this process has committed goes out; with the broker away it stays in the outbox."""
        relay = self.relays[process]

        async def once() -> None:
            batch = [relay._offered.popleft() for _ in range(len(relay._offered))]
            try:
                await relay._send(await relay._in_order(batch))
            except Unavailable:
                return
            await relay._delete_sent()

        self.run(once())

    @rule(process=MEMBERS)
    def publish_and_crash_before_deleting(self, process: int) -> None:
        relay = self.relays[process]

        async def once() -> None:
            batch = [relay._offered.popleft() for _ in range(len(relay._offered))]
            try:
                await relay._send(await relay._in_order(batch))
            except Unavailable:
                return

        self.run(once())
        self._restart(process)

    @rule(process=MEMBERS)
    def sweep(self, process: int) -> None:
        if not self.broker.down:
            self.run(self.relays[process].sweep())

    @rule()
    def broker_goes(self) -> None:
        self.broker.down = True

    @rule()
    def broker_returns(self) -> None:
        self.broker.down = False

    @rule(place=MEMBERS, data=st.data())
    def send_twice(self, place: int, data: st.DataObject) -> None:
        """A retry of the producer: records that are in the log already come again, in order."""
        lane = self.broker.log[Partition(ITEMS_TOPIC.name, place)]
        if lane:
            first = data.draw(st.integers(0, len(lane) - 1))
            last = data.draw(st.integers(first, min(len(lane) - 1, first + 4)))
            for old in lane[first : last + 1]:
                self.broker.append_raw(old.partition.topic, old.key or b"", old.value or b"", old.headers)

    # ---- consuming ----

    @rule(member=MEMBERS, most=st.integers(1, 6))
    def consume(self, member: int, most: int) -> None:
        self._apply(member, self.members[member].read(self.broker, most))
        self._commit_offsets(member)

    @rule(member=MEMBERS, most=st.integers(1, 6))
    def consume_and_crash_before_the_offset(self, member: int, most: int) -> None:
        self._apply(member, self.members[member].read(self.broker, most))
        self._deal()

    @rule(member=MEMBERS, most=st.integers(1, 6), point=CRASHES)
    def consume_and_crash_at_the_commit(self, member: int, most: int, point: str) -> None:
        batch = [*self.members[member].held, *self.members[member].read(self.broker, most)]
        self._crash_at(point)
        with contextlib.suppress(Crash, ValueError):
            self.run(self.members[member].inbox.apply(batch))
        self.driver.fault = lambda here: None
        self._deal()

    @rule(member=MEMBERS, most=st.integers(1, 6))
    def hold(self, member: int, most: int) -> None:
        """A member reads and is paused: it will apply what it holds when others have gone on without it."""
        self.members[member].held.extend(self.members[member].read(self.broker, most))

    @rule(member=MEMBERS)
    def rebalance_with_a_zombie(self, member: int) -> None:
        zombie = self.members[member]
        self._deal()
        for successor in range(len(self.members)):
            self.consume(successor, 6)
        if zombie.held:
            self.run(_apply(zombie.inbox, zombie.held))

    @rule()
    def rebalance(self) -> None:
        self._deal()

    def _apply(self, member: int, batch: Sequence[Record]) -> None:
        if self.members[member].held:
            batch, self.members[member].held = [*self.members[member].held, *batch], []
        if batch:
            self.run(_apply(self.members[member].inbox, batch))

    def _commit_offsets(self, member: int) -> None:
        if not self.broker.down:
            self.broker.offsets[VIEW_GROUP].update(self.members[member].positions)

    # ---- poison and its cure ----

    @rule(id=IDS, ahead=st.integers(1, 3))
    def poison(self, id: str, ahead: int) -> None:
        """One of the next events of an item cannot be handled, whenever it comes."""
        if len(self.poisonous) < 3:
            self.poisonous.add(f"{ITEMS_TOPIC.name}/{id}/{self._total(id) + ahead}")

    @rule()
    def mend(self) -> None:
        self.poisonous.clear()

    @rule(id=st.none() | IDS, most=st.none() | st.integers(1, 2), repark=st.booleans())
    def replay(self, id: str | None, most: int | None, repark: bool) -> None:
        letters = DeadLetters(self.stores[0], [self.reader.subscription()])
        on_error: Literal["stop", "repark"] = "repark" if repark else "stop"
        self.run(letters.replay(Choice(key=id, most=most), None, on_error, lambda row, error: None))

    # ---- what must hold at all times ----

    @invariant()
    def nothing_acknowledged_is_lost_and_nothing_else_happened(self) -> None:
        for id in "abcd":
            sure, perhaps = self.acknowledged.get(id, 0), self.doubtful.get(id, 0)
            assert sure <= self._total(id) <= sure + perhaps

    @invariant()
    def every_event_is_in_the_outbox_or_in_the_log(self) -> None:
        waiting = {row["_id"] for row in self._documents(OUTBOX.name)}
        there = {record.event().id for record in self.broker.records(ITEMS_TOPIC.name)}
        for id in "abcd":
            for number in range(1, self._total(id) + 1):
                assert f"{ITEMS_TOPIC.name}/{id}/{number}" in waiting | there

    @invariant()
    def nothing_is_in_the_log_before_its_predecessor(self) -> None:
        reached: dict[str, int] = {}
        for record in self.broker.records(ITEMS_TOPIC.name):
            event = record.event()
            assert event.sequence <= reached.get(event.subject, 0) + 1
            reached[event.subject] = max(reached.get(event.subject, 0), event.sequence)

    @invariant()
    def effects_happen_once_in_order_and_the_view_is_the_fold_of_the_events(self) -> None:
        for view in self._documents(VIEWS.name):
            assert view["seen"] == list(range(1, len(view["seen"]) + 1))
            assert view["total"] == sum(self._growth(view["_id"])[: len(view["seen"])])

    @invariant()
    def what_is_parked_of_an_item_follows_its_effects_without_a_gap(self) -> None:
        views = {view["_id"]: len(view["seen"]) for view in self._documents(VIEWS.name)}
        parked: dict[str, list[int]] = {}
        for row in self._documents(PARKED.name):
            parked.setdefault(row["subject"], []).append(row["sequence"])
        for id, numbers in parked.items():
            first = views.get(id, 0) + 1
            assert sorted(numbers) == list(range(first, first + len(numbers)))

    @precondition(lambda self: not self.poisonous)
    @rule()
    def in_the_end_everything_arrives(self) -> None:
        """With the servers back and the poison mended, sweeping, reading and replaying bring all of it home."""
        self.broker.down = False
        self._restart(0)
        self.run(self.relays[0].sweep())
        assert [row for row in self._documents(OUTBOX.name) if row["topic"] != GROUP_OF_DEAD] == []
        self._deal()
        for member in range(len(self.members)):
            self.consume(member, 10_000)
        letters = DeadLetters(self.stores[0], [self.reader.subscription()])
        assert self.run(letters.replay(Choice(), None, "stop", lambda row, error: None))
        assert self._documents(PARKED.name) == []
        views = {view["_id"]: view["seen"] for view in self._documents(VIEWS.name)}
        assert views == {id: list(range(1, self._total(id) + 1)) for id in "abcd" if self._total(id)}

    # ---- looking ----

    def _documents(self, collection: str) -> list[Document]:
        return self.run(self.driver.find(collection, {}))

    def _total(self, id: str) -> int:
        found = self.run(self.driver.find(ITEMS.name, {"_id": id}))
        return int(found[0]["total"]) if found else 0

    def _growth(self, id: str) -> list[int]:
        """The events of an item in order, as the log has them."""
        by: dict[int, int] = {}
        for record in self.broker.records(ITEMS_TOPIC.name):
            event = record.event()
            if event.subject == id:
                assert isinstance(event.data, Grown)
                by[event.sequence] = event.data.by
        return [by[number] for number in sorted(by)]


async def _apply(inbox: Inbox, batch: Sequence[Record]) -> None:
    """What a worker does with a batch."""
    try:
        await inbox.apply(batch)
    except ValueError:
        await inbox.apply_singly(batch, tries=1)


TestEngineLife = EngineLife.TestCase
TestEngineLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
