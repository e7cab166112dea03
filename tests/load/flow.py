"""The whole way of a case under load: filed, routed, overdue, charged, in the standing, in the portal's view."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from pymongo import AsyncMongoClient

from deploy.local import tools
from shared.readmodel import Generation
from shared.service import Service
from tests.load.figures import percentile, slope
from tests.load.generator import Plan, Run, generate_apart
from tests.load.places import OVERDUE, Bench

RECORDS_PER_CASE = 7
"""What groups read of one case: registered and overdue twice each, the charge, the row and the standing once."""
DRAIN = 5.0
"""Seconds after the load within which everything has to be through."""

Documents = AsyncMongoClient[dict[str, Any]]


@dataclass(frozen=True)
class Backlog:
    """What is under way at a moment: records not committed by a group, outbox rows, deadlines that are due."""

    at: float
    records: int
    outbox: int
    due: int

    @property
    def total(self) -> int:
        return self.records + self.outbox + self.due


@dataclass(frozen=True)
class Held:
    """How a rate went: samples of the backlog under load, and the seconds until all was through (None: too many)."""

    rate: float
    run: Run
    samples: Sequence[Backlog]
    drained: float | None

    @property
    def growth(self) -> float:
        """Records per second by which the backlog grew, the first fifth of the time left out."""
        steady = self.samples[len(self.samples) // 5 :]
        return slope([(sample.at, sample.total) for sample in steady])

    @property
    def ok(self) -> bool:
        """All answered and through in time, and the backlog no more than one second of work larger at the end.

        Offsets are committed once a second, so the backlog of a system that keeps up swings by that much.
        """
        seconds = self.samples[-1].at - self.samples[0].at
        steady = self.growth * seconds <= self.rate * RECORDS_PER_CASE
        return self.drained is not None and self.run.failed == 0 and self.run.late < 1.0 and steady


@dataclass
class Sightings:
    """When cases were first seen, by change streams: what they tell, a reader would find at that moment.

    A change stream tells of a document once the majority holds it, which is when reads begin to see it, and costs
    the server less than asking for every case would.
    """

    standing: dict[str, float] = field(default_factory=dict)
    portal: dict[str, float] = field(default_factory=dict)
    ledger: dict[str, float] = field(default_factory=dict)
    """The deduction in the portal's copy of the ledger: the end of the whole way."""

    def after(self, seen: Mapping[str, float], run: Run, since: Sequence[float]) -> list[float]:
        """Milliseconds between each case's moment in `since` and its sighting. Raises KeyError for one not seen."""
        return [(seen[case] - moment) * 1000 for case, moment in zip(run.cases, since, strict=True)]


class Flow:
    """A running platform under load, with what observes it."""

    def __init__(self, bench: Bench, services: Sequence[str], documents: Documents, admin: Any, consumer: Any) -> None:
        self._bench = bench
        self._documents = documents
        self._admin = admin
        self._consumer = consumer
        self._services = services
        self._groups = list(_subscriptions(services))
        self._filed = 0

    @classmethod
    @asynccontextmanager
    async def watching(cls, bench: Bench, services: Sequence[str]) -> AsyncIterator[Flow]:
        """The platform's processes are running; its observers come and go with this context."""
        documents: Documents = AsyncMongoClient(bench.mongodb_uri, tz_aware=True)
        admin = AIOKafkaAdminClient(bootstrap_servers=bench.kafka)
        consumer = AIOKafkaConsumer(bootstrap_servers=bench.kafka)
        await asyncio.gather(admin.start(), consumer.start())
        try:
            yield cls(bench, services, documents, admin, consumer)
        finally:
            await asyncio.gather(admin.close(), consumer.stop(), documents.close())

    async def latencies(self, rate: float, seconds: float) -> tuple[Run, Sightings]:
        """An open loop at a rate, and when each of its cases was seen. Raises TimeoutError when some never were."""
        sightings = Sightings()
        entries = self._database("scoring")["entries"]
        async with asyncio.TaskGroup() as group:
            watchers = [group.create_task(sight(await watch(entries, "$fullDocument.case"), sightings.standing))]
            places = [sightings.standing]
            if "portal" in self._services:
                portal = self._database("portal")
                cases = await watch(portal, "$documentKey._id", _CASES)
                entries = await watch(portal, "$fullDocument.case", _ENTRIES)
                watchers.append(group.create_task(sight(cases, sightings.portal)))
                watchers.append(group.create_task(sight(entries, sightings.ledger)))
                places += [sightings.portal, sightings.ledger]
            run = await self._load(rate, seconds)
            await _until(lambda: all(len(seen) >= len(run.cases) for seen in places), 60.0)
            for watcher in watchers:
                watcher.cancel()
        return run, sightings

    async def hold(self, rate: float, seconds: float) -> Held:
        """An open loop at a rate, with the backlog sampled every second, and what it took to be through."""
        samples: list[Backlog] = []
        loading = asyncio.create_task(self._load(rate, seconds))
        end = time.monotonic() + seconds
        while not loading.done() and time.monotonic() < end:
            await asyncio.wait({loading}, timeout=1.0)
            if not loading.done():
                samples.append(await self.backlog())
        run = await loading
        return Held(rate, run, samples, await self._drained(run.ended))

    async def settle(self, patience: float = 120.0) -> None:
        """Until nothing is under way. Raises TimeoutError."""
        async with asyncio.timeout(patience):
            while (await self.backlog()).total or not await self._through():  # noqa: ASYNC110  (other processes' state)
                await asyncio.sleep(0.2)

    async def backlog(self) -> Backlog:
        """What is under way now."""
        records, outbox, due = await asyncio.gather(self._records(), self._outbox(), self._due())
        return Backlog(time.monotonic(), records, outbox, due)

    def memory(self) -> dict[str, float]:
        """Resident memory of each service's process, in MB."""
        running = {process.name: process.process for process in self._bench.processes}
        return {name: each.memory_info().rss / 1e6 for name, each in running.items() if each is not None}

    async def _load(self, rate: float, seconds: float) -> Run:
        plan = Plan(self._bench.url("reports"), self._bench.bearer(), OVERDUE, seconds, rate=rate)
        run = await generate_apart(plan)
        self._filed += len(run.cases)
        return run

    async def _drained(self, since: float) -> float | None:
        """Seconds from `since` until all is through; None when it took longer than DRAIN."""
        while time.monotonic() - since <= DRAIN:
            if await self._through() and not (await self.backlog()).total:
                return time.monotonic() - since
            await asyncio.sleep(0.1)
        return None

    async def _through(self) -> bool:
        """Whether every case filed so far is in the ledger and in the portal's views of both."""
        counts = [self._database("scoring")["entries"].estimated_document_count()]
        if "portal" in self._services:
            portal = self._database("portal")
            names = await portal.list_collection_names(filter={"name": {"$regex": f"{_CASES}|{_ENTRIES}"}})
            counts += [portal[name].estimated_document_count() for name in names]
        return all(count >= self._filed for count in await asyncio.gather(*counts))

    async def _records(self) -> int:
        behind = 0
        for group, topics in self._groups:
            committed = await self._admin.list_consumer_group_offsets(self._bench.namespace + group)
            names = [self._bench.namespace + topic for topic in topics]
            places = [TopicPartition(n, number) for n in names for number in await self._partitions(n)]
            ends = await self._consumer.end_offsets(places)
            behind += sum(end - max(0, committed[p].offset if p in committed else 0) for p, end in ends.items())
        return behind

    async def _partitions(self, topic: str) -> set[int]:
        found: set[int] | None = self._consumer.partitions_for_topic(topic)
        if found is None:
            await self._consumer._client.force_metadata_update()
            await self._consumer.topics()
            found = self._consumer.partitions_for_topic(topic)
        return found or set()

    async def _outbox(self) -> int:
        waiting = (self._database(name)["outbox"].estimated_document_count() for name in self._services)
        return sum(await asyncio.gather(*waiting))

    async def _due(self) -> int:
        due = {"deadline_at": {"$lte": datetime.now(UTC)}}
        counted: int = await self._database("reports")["cases"].count_documents(due)
        return counted

    def _database(self, service: str) -> Any:
        return self._documents[self._bench.namespace + service]


_CASES, _ENTRIES = "^cases_g", "^entries_g"
"""The portal's views of cases and of ledgers, whatever their generation."""


async def highest_rate(flow: Flow, rates: Sequence[float], probe: float, full: float) -> Held | None:
    """The highest rate that holds: climb while short probes hold, then hold the best for the full time.

    Where the full time shows what the probe did not, one step down is tried, and so on; None when none holds.
    """
    held = []
    for rate in rates:
        if not (await _tried(flow, rate, probe)).ok:
            break
        held.append(rate)
    for rate in reversed(held):
        outcome = await _tried(flow, rate, full)
        if outcome.ok:
            return outcome
    return None


async def _tried(flow: Flow, rate: float, seconds: float) -> Held:
    await flow.settle()
    outcome = await flow.hold(rate, seconds)
    drained = f"{outcome.drained:.1f} s" if outcome.drained is not None else f"more than {DRAIN:.0f} s"
    tools.inform(
        f"{rate:.0f} cases/s for {seconds:.0f} s: {'held' if outcome.ok else 'not held'}; backlog "
        f"{outcome.growth:+.0f}/s up to {max(sample.total for sample in outcome.samples)}, through after {drained}; "
        f"{outcome.run.failed} failed, sent up to {outcome.run.late * 1000:.0f} ms late"
    )
    return outcome


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    """p50 and p99."""
    return percentile(values, 0.5), percentile(values, 0.99)


def present(services: Sequence[str]) -> list[str]:
    """Those of the services that there are."""
    return [name for name in services if find_spec(f"services.{name}.app")]


def _subscriptions(services: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every group of the services with its topics."""
    for name in services:
        service: Service = importlib.import_module(f"services.{name}.app").SERVICE
        feeding = [model.subscribe(Generation(1)) for model in service.read_models]
        for subscription in [*service.subscriptions, *feeding]:
            yield subscription.group, subscription.topics


async def watch(target: Any, case: str, collections: str | None = None) -> Any:
    """A stream that is already open; documents that appear or change, as the identity of their case."""
    wanted: dict[str, Any] = {"operationType": {"$in": ["insert", "replace", "update"]}}
    if collections:
        wanted["ns.coll"] = {"$regex": collections}
    return await target.watch([{"$match": wanted}, {"$project": {"case": case}}])


async def sight(stream: Any, seen: dict[str, float]) -> None:
    """Until cancelled: when each case was first told of by the stream (`time.monotonic()`)."""
    async with stream:
        async for change in stream:
            seen.setdefault(change["case"], time.monotonic())


async def _until(condition: Callable[[], bool], patience: float) -> None:
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110  (what is waited for are sightings, one by one)
            await asyncio.sleep(0.05)
