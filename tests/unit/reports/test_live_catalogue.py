"""A process keeps the catalogue in memory: it looks seldom, fetches what is new, and bears an outage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.reports.commands import catalogue as commands
from services.reports.commands.catalogue import LOOK_AGAIN, LiveCatalogue, open_catalogue
from services.reports.district import District
from services.reports.domain import Actor
from shared.clock import FixedClock
from shared.errors import Unavailable
from shared.store import Store
from shared.store.collection import Document, Filter
from shared.store.driver import Sort
from shared.testing.memory_store import MemoryDriver

HENGYANG = District.load(Path(__file__).parents[3] / "deploy" / "sample" / "hengyang")
OFFICE = Actor(frozenset(), None, "office")


class Watched(MemoryDriver):
    """Counts what is read, and may be away."""

    def __init__(self, clock: FixedClock) -> None:
        super().__init__(clock)
        self.read: list[tuple[str, int]] = []
        self.away = False

    async def find(
        self,
        collection: str,
        filter: Filter,
        sort: Sort = (),
        limit: int = 0,
        skip: int = 0,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        if self.away:
            raise Unavailable("the database is away")
        found = await super().find(collection, filter, sort, limit, skip, fields)
        self.read.append((collection, len(found)))
        return found


class Times:
    """What the process takes for the machine's time."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    times = Times()
    monkeypatch.setattr(commands, "time", times)
    return times


@pytest.fixture
def driver() -> Watched:
    return Watched(FixedClock(datetime(2026, 11, 23, 1, 0, tzinfo=UTC)))


@pytest.fixture
def store(driver: Watched) -> Store:
    return Store(driver, FixedClock(datetime(2026, 11, 23, 1, 0, tzinfo=UTC)))


async def retire(store: Store, code: str) -> None:
    used = HENGYANG.categories[code].version
    await store.run(lambda uow: commands.retire(uow, code, True, used, OFFICE))


async def opened(store: Store) -> LiveCatalogue:
    live, left = await open_catalogue(store, HENGYANG)
    assert left == []
    return live


async def test_the_file_is_where_the_catalogue_begins(store: Store, times: Times) -> None:
    catalogue = await (await opened(store)).current()
    assert dict(catalogue.categories) == dict(HENGYANG.categories)
    assert list(catalogue.categories) == list(HENGYANG.categories)
    assert catalogue.edition == 1
    assert (await (await opened(store)).current()).edition == 1


async def test_an_edit_of_another_process_is_seen_within_a_second_and_only_what_changed_is_read(
    store: Store, driver: Watched, times: Times
) -> None:
    live = await opened(store)
    await retire(store, "noise")
    driver.read.clear()
    times.now += LOOK_AGAIN / 2
    assert not (await live.current()).categories["noise"].retired
    assert driver.read == []
    times.now += LOOK_AGAIN / 2
    assert (await live.current()).categories["noise"].retired
    assert driver.read == [("catalogues", 1), ("category-versions", 1)]
    driver.read.clear()
    times.now += LOOK_AGAIN
    assert (await live.current()) is (await live.current())
    assert driver.read == [("catalogues", 1)]


async def test_whoever_asks_for_the_newest_need_not_wait(store: Store, times: Times) -> None:
    live = await opened(store)
    await retire(store, "noise")
    assert (await live.current(fresh=True)).categories["noise"].retired


async def test_while_the_database_is_away_the_catalogue_stays_what_it_was(
    store: Store, driver: Watched, times: Times
) -> None:
    live = await opened(store)
    before = await live.current()
    driver.away = True
    times.now += LOOK_AGAIN
    assert await live.current() is before


async def test_a_process_does_not_start_without_the_catalogue(store: Store, driver: Watched) -> None:
    driver.away = True
    with pytest.raises(Unavailable):
        await open_catalogue(store, HENGYANG)
