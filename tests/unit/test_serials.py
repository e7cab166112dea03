"""Numbers of papers: each row without a gap, whoever asks at the same time."""

from __future__ import annotations

import asyncio

from shared.clock import FixedClock
from shared.serials import SERIALS, Serial, next_number
from shared.store import Store, UnitOfWork
from shared.testing.memory_store import MemoryDriver
from tests.engine import NOON


async def test_numbers_follow_each_other_in_each_row() -> None:
    clock = FixedClock(NOON)
    store = Store(MemoryDriver(clock), clock)

    async def two(uow: UnitOfWork) -> list[int]:
        return [await next_number(uow, *row) for row in (("order", 2026), ("order", 2026), ("order", 2027))]

    assert await store.run(two) == [1, 2, 1]
    assert await store.run(two) == [3, 4, 2]
    assert await store.get(SERIALS, Serial.id_of("order", 2026)) == Serial("order/2026", 4)


async def test_who_asks_at_the_same_time_gets_another_number() -> None:
    clock = FixedClock(NOON)
    store = Store(MemoryDriver(clock), clock)

    async def begun(uow: UnitOfWork) -> int:
        return await next_number(uow, "order", 2026)

    await store.run(begun)
    numbers = await asyncio.gather(*(store.run(begun) for _ in range(8)))
    assert sorted(numbers) == list(range(2, 10))
