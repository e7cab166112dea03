"""python -m tests.load.ledgers: what an entry costs as a ledger grows, how soon it shows, and posting all of it again.

Rows are made by the domain and chained as they would be, entries are posted by the worker's own code, pages are asked
for over the service's HTTP interface. What falls short is printed as such and is not an error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient, MongoClient
from pymongo.database import Database

from deploy.local import tools
from services.scoring.app import POSTING, SERVICE
from services.scoring.cli.rebuild import verify_rebuild
from services.scoring.domain.ledger import Ledger, Standing
from services.scoring.repo import ENTRIES, LEDGERS, STANDINGS
from shared.clock import FixedClock
from shared.consumer import Inbox
from shared.event import Event
from shared.kafka import Connection, KafkaBroker
from shared.months import month_of
from shared.store import Document
from shared.store.mongo import CODEC
from tests.engine import records
from tests.inprocess import Inside, inside
from tests.load import bench
from tests.load.asking import Plan, Watched, plan_of
from tests.load.charges import START, UNITS, charge, post, publish, season
from tests.load.figures import Row, percentile, put_between
from tests.load.flow import sight, watch
from tests.load.places import Bench
from tests.servers import Servers

RESULTS = tools.LOCAL / "scale.json"
BEGIN = "<!-- ledgers: written by `python -m tests.load.ledgers --write docs/performance.md` -->"
END = "<!-- end of ledgers -->"
UNIT = "huanwei"
"""Whose ledger grows."""
MONTHS = timedelta(days=3 * 365)
"""What a ledger's rows are spread over."""
BULK = 5_000
BATCH = 200
EXPLAINED = 10
WARMING = 5
"""Times that are not counted."""
ASKED_MS, POSTED_MS, SHOWN_MS = 50.0, 2.0, 1000.0
"""A page; an entry, so that one worker posts 500 a second; a standing after its charge."""


@dataclass(frozen=True)
class Effort:
    """How much is measured: lengths of a ledger, times a question is asked, entries posted again, a rate in seconds."""

    lengths: Sequence[int] = (10_000, 100_000, 1_000_000)
    times: int = 200
    rebuilt: int = 100_000
    rate: float = 500.0
    seconds: float = 20.0


@dataclass(frozen=True)
class Rebuilt:
    """All ledgers posted again: how long posting them live, again, and comparing took."""

    name: str
    documents: int
    live_seconds: float
    seconds: float
    comparing_seconds: float
    differences: int
    met: bool


@dataclass
class Measured:
    """Everything that was found, and a line of each for people."""

    rows: list[Row] = field(default_factory=list)
    rebuilt: list[Rebuilt] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


@dataclass
class Long:
    """A ledger of some length in a database of its own, with the service in this process that is asked about it."""

    length: int
    scoring: Inside
    driver: Watched
    database: Database[Document]
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    plans: set[Plan] = field(default_factory=set)
    _posted: int = 0

    async def post(self, batch: int) -> float:
        """Milliseconds for each of so many fresh charges of the last month that share a transaction."""
        found = [self._charge() for _ in range(batch)]
        started = time.perf_counter()
        await Inbox(self.scoring.runtime.store, POSTING, None).apply(records(*found))
        return (time.perf_counter() - started) * 1000 / batch

    async def get(self, path: str) -> float:
        """Milliseconds until the answer is there."""
        self.driver.asked.clear()
        started = time.perf_counter()
        (await self.scoring.http.get(path)).raise_for_status()
        return (time.perf_counter() - started) * 1000

    def explain(self) -> None:
        """Keep how the database answered what was asked last."""
        self.plans |= {plan_of(self.database, command) for command in self.driver.asked}

    def fill(self) -> None:
        """All rows, chained from the first, as the domain makes them."""
        ledger, standings = Ledger(UNIT), dict[str, Standing]()
        for first in range(0, self.length, BULK):
            documents = []
            for number in range(first, min(first + BULK, self.length)):
                at = START + MONTHS * (number / self.length)
                made = charge(self.chance, f"20260701-{number:010d}", UNIT, at)
                period = month_of(made.happened_at)
                standing = standings.setdefault(period, Standing.of(UNIT, period))
                entry = ledger.post(made, standing, made.happened_at)
                standing.count(entry)
                documents.append(ENTRIES.to_document(entry, 1, 0))
            self.database[ENTRIES.name].insert_many(documents, ordered=False)
        self.database[LEDGERS.name].insert_one(LEDGERS.to_document(ledger, 1, ledger.rows))
        kept = [STANDINGS.to_document(standing, 1, standing.entries) for standing in standings.values()]
        self.database[STANDINGS.name].insert_many(kept)

    def _charge(self) -> Event:
        self._posted += 1
        matter = f"fresh-{self._posted:010d}"
        at = START + MONTHS - timedelta(seconds=self.chance.randrange(20 * 24 * 3600))
        return Event.new(charge(self.chance, matter, UNIT, at), f"{matter}:{UNIT}", 1, at)


@asynccontextmanager
async def _long(servers: Servers, length: int) -> AsyncIterator[Long]:
    namespace, uri = f"l{secrets.token_hex(3)}-", servers.mongodb_uri()
    name = f"{namespace}scoring"
    with MongoClient[Document](uri) as client:
        async with inside(SERVICE, FixedClock(START + MONTHS), servers.folder / namespace, uri, namespace) as scoring:
            store = scoring.runtime.store
            unwatched, store.driver = store.driver, Watched(uri, name)
            ledger = Long(length, scoring, store.driver, client.get_database(name, codec_options=CODEC))
            await asyncio.to_thread(ledger.fill)
            yield ledger
            await unwatched.close()
    servers.forget(namespace)


Ask = Callable[[Long], Awaitable[float]]
"""Returns milliseconds."""
POSTS: Mapping[str, tuple[Ask, float]] = {
    "an entry posted, of 200 at once": (lambda ledger: ledger.post(BATCH), POSTED_MS),
    "an entry posted by itself": (lambda ledger: ledger.post(1), ASKED_MS),
}
PAGES: Mapping[str, tuple[Ask, float]] = {
    "a page of 100 rows of a ledger": (
        lambda ledger: ledger.get(f"/units/{UNIT}/ledger?after={ledger.chance.randrange(ledger.length)}"),
        ASKED_MS,
    ),
    "the ranking of a month": (
        lambda ledger: ledger.get(f"/standings?period={month_of(START + MONTHS * ledger.chance.random())}"),
        ASKED_MS,
    ),
}


async def growing(servers: Servers, effort: Effort) -> list[Row]:
    """What entries and pages cost at each length, measured in turn: whatever else the machine does hits all alike."""
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        ledgers = [await stack.enter_async_context(_long(servers, length)) for length in effort.lengths]
        for name, (ask, target) in {**POSTS, **PAGES}.items():
            times: dict[int, list[float]] = {ledger.length: [] for ledger in ledgers}
            for _ in range(WARMING + effort.times):
                for ledger in ledgers:
                    times[ledger.length].append(await ask(ledger))
            for ledger in ledgers:
                ledger.plans.clear()
                for _ in range(EXPLAINED if name in PAGES else 0):
                    await ask(ledger)
                    ledger.explain()
                rows.append(_row(name, ledger.length, times[ledger.length][WARMING:], ledger.plans, target))
                sys.stderr.write(f"{rows[-1].documents:,} rows: {name}: {rows[-1].p50_ms} / {rows[-1].p95_ms} ms\n")
    return rows


def _row(name: str, documents: int, times: Sequence[float], plans: set[Plan], target: float, fault: str = "") -> Row:
    p50, p95 = percentile(times, 0.5), percentile(times, 0.95)
    scanned = {"COLLSCAN", "SORT"} & {stage for plan in plans for stage in plan.stages}
    indexes = {name for plan in plans for name in (plan.indexes or {"_id_"})}
    faults = [*([fault] if fault else []), *sorted(scanned)]
    met = p95 <= target and not faults
    return Row(name, documents, round(p50, 2), round(p95, 2), sorted(indexes), target, met, ", ".join(faults))


async def showing(servers: Servers, effort: Effort) -> tuple[Row, str]:
    """How soon a charge is in its unit's standing: an open loop at a rate, through a worker in a process of its own."""
    namespace = f"l{secrets.token_hex(3)}-"
    platform = Bench(servers.folder / namespace, servers.mongodb_uri(), servers.kafka_bootstrap(), namespace)
    documents: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(platform.mongodb_uri, tz_aware=True)
    try:
        await asyncio.to_thread(platform.launch, "scoring", "worker")
        seen: dict[str, float] = {}
        stream = await watch(documents[f"{namespace}scoring"][ENTRIES.name], "$fullDocument.case")
        sighting = asyncio.create_task(sight(stream, seen))
        broker = KafkaBroker(Connection(platform.kafka, namespace))
        await _pace(broker, effort.rate, 3.0, "warm")
        meant = await _pace(broker, effort.rate, effort.seconds, "paced")
        last = time.monotonic()
        while meant.keys() - seen.keys() and time.monotonic() - last < 60.0:  # noqa: ASYNC110  (one by one)
            await asyncio.sleep(0.05)
        sighting.cancel()
        lost = len(meant.keys() - seen.keys())
    finally:
        await documents.close()
        platform.close()
        servers.forget(namespace)
    times = [(seen[matter] - moment) * 1000 for matter, moment in meant.items() if matter in seen]
    name = f"a charge in its unit's standing, {effort.rate:g} entries/s"
    p99, most = percentile(times, 0.99), max(times)
    slow = f"the slowest {most:.0f} ms" if most > SHOWN_MS else ""
    row = _row(name, len(meant), times, set(), SHOWN_MS, f"{lost} not seen" if lost else slow)
    return row, f"{name} for {effort.seconds:g} s: p99 {p99:.0f} ms, the slowest of {len(times):,} {most:.0f} ms."


async def _pace(broker: KafkaBroker, rate: float, seconds: float, name: str) -> dict[str, float]:
    """Charges of all units into the log, each at the moment it is meant for, which is told."""
    chance, publisher = random.Random(name), broker.publisher()
    meant: dict[str, float] = {}
    started, numbers = time.monotonic(), int(rate * seconds)
    try:
        while len(meant) < numbers:
            due = min(numbers, int((time.monotonic() - started) * rate) + 1)
            found = []
            for number in range(len(meant), due):
                matter, unit = f"{name}-{number:010d}", chance.choice(UNITS)
                meant[matter] = started + number / rate
                found.append(Event.new(charge(chance, matter, unit, START), f"{matter}:{unit}", 1, START))
            await publisher.publish(found)
            await asyncio.sleep(max(0.0, meant[matter] + 1 / rate - time.monotonic()))
    finally:
        await publisher.stop()
    return meant


async def rebuilding(servers: Servers, effort: Effort) -> Rebuilt:
    """A season of all units posted by a worker, then all of it again beside, and compared."""
    namespace, uri = f"l{secrets.token_hex(3)}-", servers.mongodb_uri()
    kafka = {"kafka_bootstrap_servers": servers.kafka_bootstrap(), "kafka_partitions": 6}
    try:
        async with inside(SERVICE, FixedClock(START), servers.folder / namespace, uri, namespace, **kafka) as scoring:
            runtime = scoring.runtime
            await runtime.broker.ensure_topics(SERVICE.topics())
            await publish(runtime.broker, season(effort.rebuilt))
            started = time.monotonic()
            await post(runtime)
            live = time.monotonic() - started
            entries = await runtime.store.count(ENTRIES, {})
            outcome = await verify_rebuild(runtime)
    finally:
        servers.forget(namespace)
    return Rebuilt(
        name="all ledgers posted again and compared, byte for byte",
        documents=entries,
        live_seconds=round(live, 1),
        seconds=round(outcome.posting, 1),
        comparing_seconds=round(outcome.comparing, 1),
        differences=len(outcome.differences),
        met=entries == effort.rebuilt and not outcome.differences,
    )


async def measure(servers: Servers, effort: Effort, parts: Sequence[str] = ("length", "pace", "rebuild")) -> Measured:
    """The parts asked for."""
    measured = Measured()
    if "length" in parts:
        measured.rows += await growing(servers, effort)
        measured.lines += _growth(measured.rows)
    if "pace" in parts:
        row, line = await showing(servers, effort)
        measured.rows.append(row)
        measured.lines.append(line)
    if "rebuild" in parts:
        rebuilt = await rebuilding(servers, effort)
        measured.rebuilt.append(rebuilt)
        found = "no difference" if rebuilt.met else f"SHORT: {rebuilt.differences} differences"
        measured.lines.append(
            f"{rebuilt.documents:,} entries of {len(UNITS)} units with reversals, late rows and frozen months: posted "
            f"in {rebuilt.live_seconds:g} s, posted again beside in {rebuilt.seconds:g} s, compared byte for byte in "
            f"{rebuilt.comparing_seconds:g} s: {found}."
        )
    return measured


def _growth(rows: Sequence[Row]) -> Iterator[str]:
    for name in dict.fromkeys(row.name for row in rows):
        same = [row for row in rows if row.name == name]
        shortest, longest = same[0], same[-1]
        if shortest is not longest:
            times = longest.p50_ms / shortest.p50_ms
            yield f"{name}: at {longest.documents:,} rows {times:.2f} times what it is at {shortest.documents:,}."


def table(measured: Measured) -> Iterator[str]:
    """For people, as Markdown."""
    yield "| what | rows of the ledger | p50 ms | p95 ms | index | asked for | |"
    yield "|---|---|---|---|---|---|---|"
    for row in sorted(measured.rows, key=lambda row: row.name):
        indexes = " and ".join(f"`{name}`" for name in row.index)
        found = "met" if row.met else f"SHORT {row.fault}".strip()
        yield (
            f"| {row.name} | {row.documents:,} | {row.p50_ms} | {row.p95_ms} | {indexes} | p95 ≤ {row.target_ms:g} ms "
            f"| {found} |"
        )
    yield ""
    yield from (f"- {line}" for line in measured.lines)


def keep(measured: Measured) -> None:
    """Among the figures of `make scale`, in place of those of the same name and size."""
    fresh = [*map(asdict, measured.rows), *map(asdict, measured.rebuilt)]
    names = {(each["name"], each["documents"]) for each in fresh}
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    found = [*(each for each in kept if (each["name"], each["documents"]) not in names), *fresh]
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n")


def report(measured: Measured, where: str, path: Path | None) -> None:
    """Print, keep, and put the table between its markers of a file."""
    lines = list(table(measured))
    sys.stdout.write("\n".join([where, *lines, ""]))
    keep(measured)
    if path:
        put_between(path, BEGIN, END, "\n".join([where, "", *lines]))


def main(arguments: Sequence[str]) -> int:
    """The command line; 0 also where something falls short."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.ledgers", description=__doc__)
    parser.add_argument("--lengths", default="10000,100000,1000000", help="of one unit's ledger, in rows")
    parser.add_argument("--times", type=int, default=Effort.times, help="how often each question is asked; 200")
    parser.add_argument("--rebuilt", type=int, default=Effort.rebuilt, help="entries that are posted again; 100,000")
    parser.add_argument("--rate", type=float, default=Effort.rate, help="entries a second; 500")
    parser.add_argument("--seconds", type=float, default=Effort.seconds, help="how long the rate is held; 20")
    parser.add_argument("--only", default="length,pace,rebuild", help="parts")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the markers of this file")
    options = parser.parse_args(arguments)
    lengths = [int(each) for each in options.lengths.split(",")]
    effort = Effort(lengths, options.times, options.rebuilt, options.rate, options.seconds)
    where, servers = bench.machine(), Servers()
    try:
        measured = asyncio.run(measure(servers, effort, options.only.split(",")))
    finally:
        servers.close()
    report(measured, where, options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
