"""Group commit: who shares a transaction, who waits, who hears of a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from shared.clock import FixedClock
from shared.errors import Conflict, Unavailable
from shared.store import Change, Write
from shared.store.commit import GroupCommit
from shared.testing.memory_store import MemoryDriver
from tests.engine import NOON


class Gated(MemoryDriver):
    """A driver whose transactions wait until they are let through, and tell what they contain."""

    def __init__(self) -> None:
        super().__init__(FixedClock(NOON))
        self.groups: list[list[str]] = []
        self.gates: list[asyncio.Future[None]] = []
        self.open = False
        self.begun = asyncio.Condition()

    async def transact(self, writes: Sequence[Write]) -> None:
        self.groups.append([write.id for write in writes])
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        if self.open:
            gate.set_result(None)
        async with self.begun:
            self.begun.notify_all()
        await gate
        await super().transact(writes)

    def let_all_through(self) -> None:
        self.open = True
        for gate in self.gates:
            if not gate.done():
                gate.set_result(None)

    async def until_begun(self, count: int) -> None:
        async with self.begun:
            await self.begun.wait_for(lambda: len(self.groups) >= count)


def insert(id: str, collection: str = "things") -> Write:
    return Write(collection, id, Change.INSERT, {"_id": id, "v": 1, "s": 0}, 0)


def put(id: str) -> Write:
    return Write("things", id, Change.PUT, {"_id": id, "v": 1, "s": 0}, 0)


async def start(commits: GroupCommit, *writes: Write) -> asyncio.Task[None]:
    task = asyncio.create_task(commits.commit(writes))
    await asyncio.sleep(0)
    return task


async def test_what_waits_while_transactions_are_in_flight_shares_the_next_one() -> None:
    driver = Gated()
    commits = GroupCommit(driver, gather=0, in_flight=2)
    tasks = [await start(commits, insert(f"a{n}")) for n in range(6)]
    await driver.until_begun(2)
    assert driver.groups == [["a0"], ["a1"]]
    driver.let_all_through()
    await asyncio.gather(*tasks)
    assert driver.groups[2:] == [["a2", "a3", "a4", "a5"]]


async def test_a_finished_transaction_makes_room_for_the_next_at_once() -> None:
    driver = Gated()
    commits = GroupCommit(driver, gather=0, in_flight=2)
    tasks = [await start(commits, insert(f"a{n}")) for n in range(3)]
    await driver.until_begun(2)
    driver.gates[0].set_result(None)
    await driver.until_begun(3)  # while the second is still in flight
    assert driver.groups[2] == ["a2"]
    driver.let_all_through()
    await asyncio.gather(*tasks)


async def test_one_transaction_at_a_time_never_stalls() -> None:
    driver = Gated()
    commits = GroupCommit(driver, gather=0, in_flight=1, group=1)
    tasks = [await start(commits, insert(f"a{n}")) for n in range(4)]
    driver.let_all_through()
    await asyncio.gather(*tasks)
    assert [len(group) for group in driver.groups] == [1, 1, 1, 1]


async def test_a_group_is_limited() -> None:
    driver = Gated()
    commits = GroupCommit(driver, gather=0, in_flight=1, group=2)
    tasks = [await start(commits, insert(f"a{n}")) for n in range(4)]
    driver.let_all_through()
    await asyncio.gather(*tasks)
    assert driver.groups == [["a0"], ["a1", "a2"], ["a3"]]


async def test_writers_of_one_document_neither_share_nor_overtake() -> None:
    driver = Gated()
    commits = GroupCommit(driver, gather=0, in_flight=2)
    first = await start(commits, put("same"))
    later = [await start(commits, put("same"), put(f"n{n}")) for n in range(2)]
    other = await start(commits, put("other"))
    await driver.until_begun(2)
    assert driver.groups == [["same"], ["other"]]
    driver.let_all_through()
    await asyncio.gather(first, *later, other)
    assert driver.groups[2:] == [["same", "n0"], ["same", "n1"]]


async def test_a_unit_behind_a_waiting_one_does_not_pass_it() -> None:
    driver = Gated()
    commits = GroupCommit(driver, gather=0, in_flight=2)
    tasks = [
        await start(commits, put("x")),
        await start(commits, put("x"), put("y")),  # waits for x
        await start(commits, put("y")),  # must not run before the one above
    ]
    await driver.until_begun(1)
    assert driver.groups == [["x"]]
    driver.let_all_through()
    await asyncio.gather(*tasks)
    assert driver.groups == [["x"], ["x", "y"], ["y"]]


@pytest.mark.parametrize("fault", [Conflict("stale"), OverflowError("cannot be written")])
async def test_a_unit_that_spoils_its_group_fails_alone(fault: Exception) -> None:
    driver = Gated()
    commits = GroupCommit(driver, gather=0, in_flight=1)
    blocker = await start(commits, insert("blocker"))
    tasks = [await start(commits, insert(id)) for id in ("good", "bad", "fine")]

    def refuse(point: str) -> None:
        if point == "before-commit" and any("bad" in group for group in driver.groups[-1:]):
            raise fault

    driver.fault = refuse
    driver.let_all_through()
    outcomes = await asyncio.gather(blocker, *tasks, return_exceptions=True)
    assert outcomes == [None, None, fault, None]
    assert driver.groups[1:] == [["good", "bad", "fine"], ["good"], ["bad", "fine"], ["bad"], ["fine"]]


async def test_alone_nobody_waits_and_in_a_crowd_everybody_waits_a_moment_for_the_others() -> None:
    driver = Gated()
    driver.open = True
    commits = GroupCommit(driver, gather=0.05)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(3):
        await commits.commit([insert(f"alone{number}")])
    assert loop.time() - began < 0.05
    driver.open = False
    crowd = [await start(commits, insert(f"crowd{number}")) for number in range(5)]
    await driver.until_begun(5)
    driver.let_all_through()
    await asyncio.gather(*crowd)
    assert driver.groups == [["alone0"], ["alone1"], ["alone2"], ["crowd0"], [f"crowd{n}" for n in range(1, 5)]]
    last = [await start(commits, insert(f"last{number}")) for number in range(2)]
    await commits.drain()
    await asyncio.gather(*last)
    assert driver.groups[5:] == [["last0", "last1"]], "what follows a crowd is taken for one"


async def test_of_a_large_group_the_culprit_is_found_in_few_steps() -> None:
    driver = Gated()
    commits = GroupCommit(driver, gather=0, in_flight=1)
    blocker = await start(commits, insert("blocker"))
    tasks = [await start(commits, insert(f"u{number}")) for number in range(100)]

    def refuse(point: str) -> None:
        if point == "before-commit" and any("u57" in group for group in driver.groups[-1:]):
            raise Conflict("somebody holds it")

    driver.fault = refuse
    driver.let_all_through()
    outcomes = await asyncio.gather(blocker, *tasks, return_exceptions=True)
    assert [number for number, outcome in enumerate(outcomes) if outcome] == [58]
    assert len(driver.groups) < 20


async def test_an_unknown_outcome_is_told_to_everybody_and_not_tried_again() -> None:
    driver = Gated()
    commits = GroupCommit(driver, gather=0, in_flight=1)
    blocker = await start(commits, insert("blocker"))
    tasks = [await start(commits, insert(id)) for id in ("a", "b")]

    def away(point: str) -> None:
        if point == "after-commit" and "a" in driver.groups[-1]:
            raise Unavailable("the connection broke")

    driver.fault = away
    driver.let_all_through()
    outcomes = await asyncio.gather(blocker, *tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), Unavailable, Unavailable]
    assert len(driver.groups) == 2
    assert len(await driver.find("things", {})) == 3


async def test_a_full_queue_is_unavailable() -> None:
    driver = Gated()
    commits = GroupCommit(driver, gather=0, in_flight=1, queue=2)
    tasks = [await start(commits, insert(f"a{n}")) for n in range(3)]
    with pytest.raises(Unavailable, match="too many"):
        await commits.commit([insert("one too many")])
    driver.let_all_through()
    await asyncio.gather(*tasks)


async def test_who_loses_patience_in_the_queue_is_not_written() -> None:
    driver = Gated()
    commits = GroupCommit(driver, gather=0, in_flight=1, patience=0.01)
    begun = await start(commits, insert("begun"))
    waiting = await start(commits, insert("waiting"))
    for task in (begun, waiting):
        with pytest.raises(Unavailable, match="unknown"):
            await task
    driver.let_all_through()
    await commits.drain()
    assert [document["_id"] for document in await driver.find("things", {})] == ["begun"]


async def test_a_cancelled_caller_does_not_take_its_write_back_nor_that_of_others() -> None:
    driver = Gated()
    commits = GroupCommit(driver, gather=0, in_flight=1)
    tasks = [await start(commits, insert(id)) for id in ("a", "b", "c")]
    for task in tasks[:2]:
        task.cancel()
    driver.let_all_through()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError, asyncio.CancelledError, type(None)]
    await commits.drain()
    assert len(await driver.find("things", {})) == 3


async def test_drain_waits_for_what_is_queued_behind_what_is_in_flight() -> None:
    driver = Gated()
    commits = GroupCommit(driver, gather=0, in_flight=1, group=1)
    tasks = [await start(commits, insert(f"a{n}")) for n in range(3)]
    draining = asyncio.create_task(commits.drain())
    driver.let_all_through()
    await draining
    assert len(await driver.find("things", {})) == 3
    await asyncio.gather(*tasks)
