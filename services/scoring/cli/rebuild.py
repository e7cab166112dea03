"""`python -m services.scoring verify-rebuild`: post everything again beside the live books, and compare them.

Every charge, reversal and frozen month since the first is read from the log and posted into a database of its own by
the handlers of today. Then each unit's ledger, rows, reversals and standings are compared with the live ones, byte for
byte, while the service goes on: a unit is compared at a moment when both have come equally far. Nothing is published,
and what was rebuilt is dropped at the end. Unlike a read model, a ledger is never replaced by a rebuilt one: others
hold its hashes, so that a difference is for people to look into.

Exit code 0: everything is equal; 1: something differs; 2: it could not be told.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import uvloop

from services.scoring.app import POSTING, SERVICE
from services.scoring.domain.ledger import entry_id
from services.scoring.repo import ENTRIES, LEDGERS, REVERSALS, STANDINGS
from shared import telemetry
from shared.consumer import MARKS, PARKED, Worker
from shared.errors import Refused, Unavailable
from shared.kafka import Broker
from shared.lease import held
from shared.readmodel import until_close
from shared.service import open_broker, open_store
from shared.settings import KafkaSettings, Misconfigured, StoreSettings
from shared.store import Collection, Document, Store, UnitOfWork
from shared.store.collection import Filter
from shared.store.mongo import MongoDriver, bytes_of

BOOKS: tuple[Collection[Any], ...] = (LEDGERS, ENTRIES, REVERSALS, STANDINGS)
EQUAL, DIFFERENT, UNKNOWN = 0, 1, 2
CALM = 5.0
"""Seconds without a change after which two ledgers that are not at the same row are taken to differ."""
LEASE = "verify-rebuild"
SHOWN = 20


@dataclass(frozen=True)
class Difference:
    """A document that is not the same in both books, or is in one of them only."""

    collection: str
    id: str
    live: Document | None
    rebuilt: Document | None

    def __str__(self) -> str:
        if self.live is None or self.rebuilt is None:
            return f"{self.collection} {self.id}: {'only rebuilt' if self.live is None else 'only live'}"
        names = [name for name in {**self.live, **self.rebuilt} if self.live.get(name) != self.rebuilt.get(name)]
        differing = (f"{name} is {self.live.get(name)!r}, rebuilt {self.rebuilt.get(name)!r}" for name in names)
        return f"{self.collection} {self.id}: {'; '.join(differing) or 'written otherwise'}"


@dataclass(frozen=True)
class Outcome:
    """What came of it: how much was compared, how long posting and comparing took (seconds), and what differs."""

    units: int
    documents: int
    posting: float
    comparing: float
    differences: Sequence[Difference]


class _Silent(Store):
    """A store that tells nobody: what is posted again was told long ago."""

    async def commit(self, uow: UnitOfWork) -> None:
        uow.events.clear()
        await super().commit(uow)


class PostingSettings(StoreSettings, KafkaSettings):
    """What posting anew needs, and no more."""


class Live(Protocol):
    """The live books and the log that they were posted from."""

    @property
    def store(self) -> Store: ...

    @property
    def broker(self) -> Broker: ...

    @property
    def settings(self) -> StoreSettings: ...


@dataclass(frozen=True)
class _Connected:
    store: Store
    broker: Broker
    settings: StoreSettings


async def verify_rebuild(live: Live, patience: float = 3600.0) -> Outcome:
    """Post everything anew beside the live books and compare.

    Raises Refused (`rebuild-running`) while somebody else is at it, RuntimeError when an event cannot be posted, and
    TimeoutError when after `patience` seconds some unit could not be compared.
    """
    async with (
        held(live.store, LEASE, Refused("rebuild-running", model="ledgers")),
        _beside(live) as store,
        asyncio.timeout(patience),
    ):
        posting = replace(POSTING, group=f"{POSTING.group}.{uuid.uuid4().hex}")
        worker: Worker = Worker(store, live.broker, posting, None)
        started = time.monotonic()
        async with _running(worker):
            await until_close(worker, partial(_sound, worker, store))
            posted = time.monotonic()
            comparison = _Comparison(live.store, store)
            differences = await comparison.run()
            await _sound(worker, store)
        compared = time.monotonic()
    return Outcome(comparison.units, comparison.documents, posted - started, compared - posted, differences)


@asynccontextmanager
async def _beside(live: Live) -> AsyncIterator[Store]:
    """An empty database beside the live one, for as long as it is needed."""
    driver = MongoDriver.of(live.settings, f"{SERVICE.name}-rebuilt")
    kept = [*BOOKS, MARKS, PARKED]
    store = _Silent(driver, live.store.clock, kept)
    try:
        for collection in kept:
            await driver.drop(collection.name)  # what a run that was killed has left
            await driver.ensure_indexes(collection.name, collection.indexes)
        yield store
    finally:
        for collection in kept:
            await driver.drop(collection.name)
        await store.close()


@asynccontextmanager
async def _running(worker: Worker[object]) -> AsyncIterator[None]:
    """The worker goes on while books are compared, so that they move together."""
    running = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await running


async def _sound(worker: Worker[object], store: Store) -> None:
    if worker.broken or await store.count(PARKED, {}):
        raise RuntimeError(f"an event cannot be posted again: {worker.broken or 'it was parked'}")


class _Comparison:
    """Compares unit by unit, each when its two ledgers stand at the same row."""

    def __init__(self, live: Store, rebuilt: Store) -> None:
        self._stores = live, rebuilt
        self.units = self.documents = 0

    async def run(self) -> list[Difference]:
        """Until every unit is compared; one whose ledgers stand apart and both rest is compared as it is."""
        found: list[Difference] = []
        waiting = {ledger.id for store in self._stores for ledger in await store.find(LEDGERS, {})}
        self.units = len(waiting)
        seen: dict[str, list[Document]] = {}
        while waiting:
            for unit in sorted(waiting):
                ledgers = await self._ledgers(unit)
                if ledgers[1:] == ledgers[:-1] or ledgers == seen.get(unit):
                    changing = await self._changing(unit)
                    if ledgers == await self._ledgers(unit):
                        rows = max(int(ledger.get("rows", 0)) for ledger in ledgers)
                        found += [*changing, *await self._added(unit, rows)]
                        waiting.remove(unit)
                seen[unit] = ledgers
            if waiting:
                await asyncio.sleep(CALM)
        return found

    async def _ledgers(self, unit: str) -> list[Document]:
        """Both as they are now; whatever changes a unit's books changes its ledger, too."""
        kept = [await store.driver.find(LEDGERS.name, {"_id": unit}) for store in self._stores]
        return [_content(found[0]) if found else {} for found in kept]

    async def _changing(self, unit: str) -> list[Difference]:
        """Of what is written again and again: to be compared before the ledger goes on."""
        return await self._compare(LEDGERS, {"_id": unit}) + await self._compare(STANDINGS, _of(unit))

    async def _added(self, unit: str, rows: int) -> list[Difference]:
        """Of what is only ever added to, as far as so many rows of the ledger; there is time."""
        entries = await self._compare(ENTRIES, {"_id": {"$gte": f"{unit}:", "$lte": entry_id(unit, rows)}})
        return entries + await self._compare(REVERSALS, {**_of(unit), "by": {"$lte": rows}})

    async def _compare(self, collection: Collection[Any], filter: Filter) -> list[Difference]:
        found = []
        live, rebuilt = (store.stream(collection, filter, [("_id", 1)]) for store in self._stores)
        async with aclosing(live), aclosing(rebuilt):
            async for one, other in _side_by_side(live, rebuilt):
                self.documents += 1
                if one is None or other is None or bytes_of(one) != bytes_of(other):
                    found.append(Difference(collection.name, str((one or other or {})["_id"]), one, other))
        return found


def _of(unit: str) -> Filter:
    """By identities that begin with the unit."""
    return {"_id": {"$gte": f"{unit}:", "$lt": f"{unit};"}}


async def _side_by_side(
    live: AsyncGenerator[Document, None], rebuilt: AsyncGenerator[Document, None]
) -> AsyncIterator[tuple[Document | None, Document | None]]:
    """Documents of both by identity; None where one has no such document."""
    one, other = await anext(live, None), await anext(rebuilt, None)
    while one is not None or other is not None:
        first = min(each["_id"] for each in (one, other) if each is not None)
        left = one if one is not None and one["_id"] == first else None
        right = other if other is not None and other["_id"] == first else None
        yield left and _content(left), right and _content(right)
        one = one if left is None else await anext(live, None)
        other = other if right is None else await anext(rebuilt, None)


def _content(document: Document) -> Document:
    """Without the store's own counts: how events fell into batches decides how often a document is written."""
    return {name: value for name, value in document.items() if name not in {"v", "s"}}


def main(arguments: Sequence[str]) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m services.scoring verify-rebuild",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--patience", type=float, default=3600.0, metavar="SECONDS", help="3600")
    options = parser.parse_args(arguments)
    try:
        settings = PostingSettings.read()
        live = _Connected(open_store(SERVICE, settings), open_broker(settings), settings)
    except Misconfigured as error:
        return _say(UNKNOWN, str(error))
    telemetry.configure_logging(SERVICE.name, LEASE, settings.log_level)
    try:
        outcome = uvloop.run(_run(live, options.patience))
    except (Refused, Unavailable, RuntimeError, TimeoutError) as error:
        return _say(UNKNOWN, f"无法核对 · cannot be told: {error!r}")
    return _say(DIFFERENT if outcome.differences else EQUAL, *_lines(outcome))


async def _run(live: Live, patience: float) -> Outcome:
    try:
        return await verify_rebuild(live, patience)
    finally:
        await live.store.close()


def _lines(outcome: Outcome) -> Iterator[str]:
    equal = not outcome.differences
    yield f"{'一致' if equal else '不一致'}：{outcome.units} 个单位，核对 {outcome.documents} 份记录"
    yield (
        f"{'equal' if equal else 'different'}: {outcome.units} units, {outcome.documents} documents; posted again in "
        f"{outcome.posting:.1f} s, compared in {outcome.comparing:.1f} s"
    )
    yield from map(str, outcome.differences[:SHOWN])
    if len(outcome.differences) > SHOWN:
        yield f"… {len(outcome.differences) - SHOWN}"


def _say(code: int, *lines: str) -> int:
    (sys.stdout if code == EQUAL else sys.stderr).write("\n".join(lines) + "\n")
    return code
