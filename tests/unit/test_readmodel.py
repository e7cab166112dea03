"""When a rebuilt read model may take over: near the end of a log that is whole."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from shared.errors import Refused, Unavailable
from shared.kafka import Partition, Position
from shared.lease import held
from shared.readmodel import LIVE, ReadModel, catch_up, rebuild, until_close
from shared.store import Store
from shared.testing.memory_broker import MemoryBroker
from tests.engine import ITEMS_TOPIC, VIEWS, Reader, a_store, growth

ONE, TWO = Partition(ITEMS_TOPIC.name, 0), Partition(ITEMS_TOPIC.name, 1)


class Moving:
    """A worker whose positions are answers one after the other; the last ones stay."""

    broken: str | None = None

    def __init__(self, *answers: Mapping[Partition, Position] | Exception) -> None:
        self.subscription = Reader().subscription()
        self.answers = list(answers)
        self.asked = 0

    async def positions(self) -> Mapping[Partition, Position]:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        return found


async def sound() -> None:
    return


def until(worker: Any, close: float = 10.0) -> Any:
    return until_close(worker, sound, close)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.readmodel.LOOK_EVERY", 0.001)


async def test_it_takes_over_although_there_is_always_something_left() -> None:
    """The log grows by ten with every look."""
    worker = Moving(*({ONE: Position(0, 10 * look + 100, 10 * look)} for look in range(1, 30)))
    async with asyncio.timeout(5):
        await until(worker)


async def test_it_waits_for_every_partition_and_one_behind_is_not_made_up_for_by_another() -> None:
    worker = Moving(
        {ONE: Position(0, 5, 5), TWO: Position(0, 5, 0)},
        {ONE: Position(0, 50, 50), TWO: Position(0, 5, 4)},
        {ONE: Position(0, 50, 50), TWO: Position(0, 5, 5)},
    )
    await until(worker)
    assert worker.asked == 3


async def test_it_waits_until_partitions_are_handed_out_and_somebody_can_tell() -> None:
    worker = Moving({}, Unavailable("away"), {ONE: Position(0, 1, 1)})
    await until(worker)
    assert worker.asked > 3


@pytest.mark.parametrize(
    ("position", "why"), [(Position(3, 9, 3), "begins at 3"), (Position(0, 4, 9), "ends before what was read")]
)
async def test_a_log_that_is_not_whole_ends_the_rebuild(position: Position, why: str) -> None:
    with pytest.raises(RuntimeError, match=why):
        await until(Moving({ONE: position}))


async def test_slow_catching_up_is_followed_by_another_round() -> None:
    worker = Moving(
        {ONE: Position(0, 9, 0)}, {ONE: Position(0, 9, 9)}, {ONE: Position(0, 20, 9)}, {ONE: Position(0, 20, 20)}
    )
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await until(worker, close=0.0)
    assert worker.asked > 4, "it was never close"


def a_model() -> ReadModel[object]:
    return ReadModel("view", (VIEWS,), lambda generation: Reader().subscription(generation.group("tests.view")))


async def test_dead_letters_of_a_new_generation_have_a_topic_before_it_begins() -> None:
    broker = MemoryBroker()
    made: list[str] = []

    async def ensure(topics: Any) -> None:
        made.extend(topic.name for topic in topics)

    broker.ensure_topics = ensure  # type: ignore[method-assign]  # to see what is made
    broker.append(growth("a", 1))
    await rebuild(a_store(), broker, a_model(), None, patience=20)
    assert made == ["tests.view.g2.dlq"]


async def test_a_rebuild_that_lost_its_lease_does_not_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    store = a_store()
    monkeypatch.setattr("shared.readmodel.catch_up", lambda worker: _lose(store))
    monkeypatch.setattr("shared.readmodel.held", lambda store, name, refusal: held(store, name, refusal, seconds=0.04))
    with pytest.raises(RuntimeError, match="cut off"):
        await rebuild(store, MemoryBroker(), a_model(), None)
    live = await store.get(LIVE, "view")
    assert live is not None
    assert live.number == 1


async def _lose(store: Store) -> None:
    await store.driver.release("rebuild-view", store.driver._leases["rebuild-view"][0])  # type: ignore[attr-defined]
    assert await store.driver.lease("rebuild-view", "another", 60)
    await asyncio.sleep(0.1)


async def test_a_lease_is_kept_for_as_long_as_its_holder_lives_and_free_afterwards() -> None:
    store, refusal = a_store(), Refused("rebuild-running", model="view")
    async with held(store, "rebuild-view", refusal, seconds=0.2) as lease:
        await asyncio.sleep(0.5)
        assert not lease.lost
        with pytest.raises(Refused, match="rebuild-running"):
            async with held(store, "rebuild-view", refusal):
                pass
    async with held(store, "rebuild-view", refusal):
        pass


async def test_catching_up_ends_when_the_worker_stops_itself() -> None:
    class Broken(Moving):
        broken = "poison"

        async def run(self) -> None:
            await asyncio.sleep(10)

        def stop(self) -> None:
            return

    worker: Any = Broken({ONE: Position(0, 1, 0)})
    worker.run = lambda: asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="poison"):
        await catch_up(worker)
