"""Deadlines: each fires once, none keeps another from firing, nothing is hammered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from shared import deadlines, telemetry
from shared.clock import FixedClock
from shared.deadlines import DEFERRED, Deadline, Timekeeper
from shared.errors import Unavailable
from shared.store import Collection, Index, Store, UnitOfWork
from shared.testing.memory_store import MemoryDriver
from tests.engine import NOON, Grown
from tests.waiting import eventually


@dataclass
class Promise:
    id: str
    deadline_at: datetime | None
    broken: int = 0


PROMISES = Collection("promises", Promise, [Index((("deadline_at", 1),))])


class Office:
    """Promises in a store, and the command that counts them broken."""

    def __init__(self) -> None:
        self.clock = FixedClock(NOON)
        self.driver = MemoryDriver(self.clock)
        self.store = Store(self.driver, self.clock, [PROMISES, DEFERRED])
        self.stubborn: set[str] = set()
        self.lazy: set[str] = set()

    async def promise(self, *ids: str, due: datetime = NOON) -> None:
        uow = self.store.unit()
        for id in ids:
            uow.insert(PROMISES, Promise(id, due))
        await self.store.commit(uow)

    async def expire(self, uow: UnitOfWork, id: str, _: object) -> None:
        promise = await uow.get(PROMISES, id)
        if id in self.stubborn:
            raise RuntimeError(id)
        if id in self.lazy or promise.deadline_at is None or promise.deadline_at > uow.now:
            return
        promise.deadline_at = None
        promise.broken += 1
        uow.save(PROMISES, promise, Grown(by=1))

    def timekeeper(self, every: float = 1.0) -> Timekeeper:
        return Timekeeper(self.store, Deadline(PROMISES, self.expire), None, every)

    def rested(self, keeper: Timekeeper) -> None:
        """The pauses of those that failed are over."""
        for row in keeper._deferred.values():
            row.again_at = NOON

    async def broken(self) -> dict[str, int]:
        return {promise.id: promise.broken for promise in await self.store.find(PROMISES, {})}


async def test_what_is_due_fires_once_and_what_is_not_waits() -> None:
    office = Office()
    await office.promise("now", "too")
    await office.promise("later", due=NOON + timedelta(milliseconds=1))
    keeper = office.timekeeper()
    assert await keeper.look() == 2
    assert await keeper.look() == 0
    office.clock.advance(timedelta(milliseconds=1))
    assert await keeper.look() == 1
    assert await office.broken() == {"now": 1, "too": 1, "later": 1}


async def test_two_keepers_at_once_fire_each_deadline_once() -> None:
    office = Office()
    await office.promise(*(f"p{n}" for n in range(250)))
    await asyncio.gather(office.timekeeper().look(), office.timekeeper().look())
    assert set((await office.broken()).values()) == {1}


async def test_one_that_cannot_fire_stays_due_and_keeps_nobody() -> None:
    office = Office()
    await office.promise("a", "bad", "c")
    office.stubborn.add("bad")
    keeper = office.timekeeper()
    assert await keeper.look() == 2
    assert await office.broken() == {"a": 1, "bad": 0, "c": 1}
    office.stubborn.clear()
    assert await keeper.look() == 0, "it rests, longer each time"
    office.rested(keeper)
    assert await keeper.look() == 1
    assert await office.store.find(DEFERRED, {}) == []


async def test_however_many_fail_the_others_are_seen_to() -> None:
    """They are older than those that could be met, and more than one look takes."""
    office = Office()
    bad = [f"bad{number}" for number in range(2 * 4 * deadlines.BATCH)]
    await office.promise(*bad)
    await office.promise(*(f"good{number}" for number in range(50)), due=NOON + timedelta(seconds=1))
    office.stubborn.update(bad)
    office.clock.advance(timedelta(seconds=1))
    keeper = office.timekeeper()
    for _ in range(5):
        await keeper.look()
    assert sum((await office.broken()).values()) == 50
    assert len(await office.store.find(DEFERRED, {})) == len(bad)


async def test_a_failed_one_rests_longer_each_time_is_kept_with_its_error_and_known_to_the_next_process() -> None:
    office = Office()
    await office.promise("bad")
    office.stubborn.add("bad")
    keeper = office.timekeeper()
    pauses = []
    for _ in range(4):
        await keeper.look()
        [row] = await office.store.find(DEFERRED, {})
        pauses.append(row.again_at - row.since)
        office.rested(keeper)
    assert (row.failures, row.error, row.text, row.document) == (4, "RuntimeError", "bad", "bad")
    assert pauses == sorted(pauses)
    await keeper.look()
    successor = office.timekeeper()
    assert await successor._holds_lease()
    office.stubborn.clear()
    assert await successor.look() == 0
    assert telemetry.DEADLINES_FAILING.labels("promises")._value.get() == 1


async def test_how_long_the_oldest_has_been_due_is_told() -> None:
    office = Office()
    await office.promise("a", due=NOON - timedelta(seconds=90))
    keeper = office.timekeeper()
    assert await keeper._holds_lease()
    assert telemetry.DEADLINE_OLDEST_DUE_SECONDS.labels("promises")._value.get() == 90


async def test_a_machine_whose_clock_runs_ahead_takes_nothing_for_due_and_leaves_it_to_others() -> None:
    office = Office()
    await office.promise("a")
    office.driver.ahead = -timedelta(seconds=10)  # the database's clock is behind this machine's
    keeper = office.timekeeper(every=0.01)
    running = asyncio.create_task(keeper.run())
    await asyncio.sleep(0.1)
    assert await office.broken() == {"a": 0}
    office.driver.ahead = timedelta()

    async def fired() -> bool:
        return await office.broken() == {"a": 1}

    await eventually(fired, 5)
    keeper.stop()
    await running


async def test_a_command_that_does_nothing_does_not_count_so_that_it_is_not_repeated_without_rest() -> None:
    office = Office()
    await office.promise("lazy")
    office.lazy.add("lazy")
    assert await office.timekeeper().look() == 0
    office.stubborn.add("other")
    await office.promise("other")  # spoils the group: each is taken alone
    assert await office.timekeeper().look() == 0


async def test_an_absent_database_is_waited_for() -> None:
    office = Office()
    await office.promise("a")
    away = True

    def fault(point: str) -> None:
        if away:
            raise Unavailable("away")

    office.driver.fault = fault
    with pytest.raises(Unavailable):
        await office.timekeeper().look()
    keeper = office.timekeeper(every=0.01)
    running = asyncio.create_task(keeper.run())
    away = False
    await _all_broken(office)
    keeper.stop()
    await running
    assert await office.broken() == {"a": 1}


async def test_what_this_process_commits_due_is_looked_at_at_once() -> None:
    office = Office()
    keeper = office.timekeeper(every=3600.0)
    running = asyncio.create_task(keeper.run())
    await asyncio.sleep(0)
    await office.promise("a")
    await _all_broken(office)
    keeper.stop()
    await running


async def test_the_lease_goes_to_the_next_when_its_holder_stops() -> None:
    office = Office()
    for keeper, id in ((office.timekeeper(), "a"), (office.timekeeper(), "b")):
        running = asyncio.create_task(keeper.run())
        await office.promise(id)
        await _all_broken(office)  # the clock stands still: a lease that is not handed over never ends
        keeper.stop()
        await running


async def _all_broken(office: Office) -> None:
    async def look() -> bool:
        return set((await office.broken()).values()) == {1}

    await eventually(look)
