"""What is left after a run, as plain data: databases, topics, groups, the clients' memory. Nothing is judged here."""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx2
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError

from services.reports.domain import Case
from services.reports.repo import CASES
from services.scoring.domain.ledger import Entry, Ledger, Standing
from services.scoring.domain.measures import Measure
from services.scoring.repo import CHARGES, ENTRIES, LEDGERS, LISTS, MATTERS, MEASURES, SCHEMES, STANDINGS
from shared.clock import FileClock
from shared.consumer import MARKS, PARKED, Mark, Parked, Subscription
from shared.event import Event
from shared.readmodel import LIVE, Generation
from shared.service import Service
from shared.store import IDEMPOTENCY, OUTBOX, Collection
from shared.store.mongo import CODEC
from tests.chaos.clients import Sending
from tests.chaos.fleet import LOOK_SECONDS, Fleet

Subject = tuple[str, str]
"""Topic and aggregate."""


@dataclass(frozen=True)
class Sent:
    """A record of a topic, by the topic's name in the contracts."""

    partition: int
    offset: int
    event: Event


@dataclass(frozen=True)
class Letter:
    """A paper of the ladder: its rung, what it is about, and its number in the rung's series of a year."""

    rung: str
    case: str | None
    year: int
    number: int

    @classmethod
    def of(cls, measure: Measure) -> Letter:
        """As the measure has it: `〔2026〕第0001号`."""
        return cls(measure.rung, measure.cause.case, measure.year, int(re.sub(r"^.*第|号$", "", measure.number)))


@dataclass
class Evidence:
    """Everything the checker looks at. `sequences`: the number of the last event of each aggregate, as stored."""

    deeds: Mapping[tuple[int, str], Sending]
    cases: Sequence[Case]
    remembered: int
    records: Mapping[str, Sequence[Sent]]
    sequences: Mapping[Subject, int]
    entries: Sequence[Entry]
    ledgers: Sequence[Ledger]
    standings: Sequence[Standing]
    marks: Mapping[str, Mark]
    subscriptions: Sequence[Subscription]
    parked: Sequence[Parked] = ()
    replayed: bool = False
    """What had been parked was replayed: the dead letters' copies prove nothing any more."""
    letters: Sequence[Letter] = ()
    pending: Sequence[str] = ()
    """What had not come to rest when patience ended."""
    views: Mapping[str, Mapping[str, Any]] | None = None
    """The JSON that the portal answers for each case, empty where it has none; None without a portal."""
    rankings: Mapping[str, Decimal] = field(default_factory=dict)
    """Points lost by standing, as the portal's rankings tell them."""


def subscriptions(service: str, live: Mapping[str, int]) -> list[Subscription]:
    """The groups of a service, those of its read models' live generations included."""
    found: Service = importlib.import_module(f"services.{service}.app").SERVICE
    models = [model.subscribe(Generation(live.get(model.name, 1))) for model in found.read_models]
    return [*found.subscriptions, *models]


class Observer:
    """Looks at the services of a run from outside, through drivers of its own."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._services = sorted({process.name.partition("-")[0] for process in fleet.processes})
        self._client: MongoClient[dict[str, Any]] = MongoClient(fleet.mongodb_uri, serverSelectionTimeoutMS=2000)

    def close(self) -> None:
        self._client.close()

    async def wait_until_quiet(self, patience: float) -> list[str]:
        """Until nothing has been pending twice in a row; what still is when `patience` seconds are over."""
        deadline = asyncio.get_running_loop().time() + patience
        quiet = 0
        while quiet < 2:
            pending = await self._pending()
            quiet = 0 if pending else quiet + 1
            if pending and asyncio.get_running_loop().time() > deadline:
                return pending
            await asyncio.sleep(LOOK_SECONDS)
        return []

    async def collect(self, deeds: Mapping[tuple[int, str], Sending], pending: Sequence[str]) -> Evidence:
        """Everything, once nothing moves."""
        topics = {topic for each in self._groups() for topic in (*each.topics, f"{each.group}.dlq")}
        records = await self._read({*topics, "reports.case", "scoring.charge", "scoring.entry", "scoring.standing"})
        evidence = await asyncio.to_thread(self._stored, deeds, pending, records)
        if "portal" in self._services:
            await self._look_at_portal(evidence)
        return evidence

    async def _look_at_portal(self, evidence: Evidence) -> None:
        limits = httpx2.Limits(max_connections=10)
        async with httpx2.AsyncClient(base_url=self._fleet.url("portal"), timeout=30, limits=limits) as client:
            paths = {case.id: f"/api/cases/{case.id}" for case in evidence.cases}
            answers = await asyncio.gather(*map(client.get, paths.values()))
            evidence.views = {
                id: answer.json() if answer.is_success else {} for id, answer in zip(paths, answers, strict=True)
            }
            for period in {standing.period for standing in evidence.standings}:
                ranking = (await client.get("/api/ranking", params={"period": period})).raise_for_status().json()
                evidence.rankings = {
                    **evidence.rankings,
                    **{f"{place['unit']}:{period}": Decimal(place["points_lost"]) for place in ranking["standings"]},
                }

    def _stored(
        self, deeds: Mapping[tuple[int, str], Sending], pending: Sequence[str], records: Mapping[str, Sequence[Sent]]
    ) -> Evidence:
        reports, scoring = self._database("reports"), self._database("scoring")
        kept = (
            ("reports.case", reports, CASES),
            ("scoring.charge", scoring, CHARGES),
            ("scoring.entry", scoring, LEDGERS),
            ("scoring.standing", scoring, STANDINGS),
            ("scoring.measure", scoring, MEASURES),
            ("scoring.scheme", scoring, SCHEMES),
            ("scoring.list", scoring, LISTS),
        )
        marks = [mark for name in self._services for mark in _all(self._database(name), MARKS)]
        return Evidence(
            deeds=deeds,
            cases=_all(reports, CASES),
            remembered=reports[IDEMPOTENCY.name].count_documents({}),
            records=records,
            sequences={
                (topic, document["_id"]): document["s"]
                for topic, database, collection in kept
                for document in database[collection.name].find({}, {"s": 1})
            },
            entries=_all(scoring, ENTRIES),
            ledgers=_all(scoring, LEDGERS),
            letters=[Letter.of(measure) for measure in _all(scoring, MEASURES)],
            standings=_all(scoring, STANDINGS),
            marks={mark.id: mark for mark in marks},
            subscriptions=self._groups(),
            parked=[row for name in self._services for row in _all(self._database(name), PARKED)],
            pending=pending,
        )

    async def _pending(self) -> list[str]:
        """Upstream first: what is at rest stays so once everything before it is."""
        try:
            return [
                *await asyncio.to_thread(self._waiting, ["reports"]),
                *await self._lags(),
                *await asyncio.to_thread(self._waiting, self._services),
            ]
        except (PyMongoError, KafkaError, OSError) as error:
            return [f"cannot look: {error!r}"]

    def _waiting(self, services: Iterable[str]) -> list[str]:
        due = self._database("reports")[CASES.name].count_documents({"deadline_at": {"$ne": None}})
        shown = FileClock(self._fleet.folder / "clock.json").now()
        called = self._database("scoring")[MATTERS.name].count_documents({"deadline_at": {"$lte": shown}})
        outboxes = {name: self._database(name)[OUTBOX.name].count_documents({}) for name in services}
        text = [f"{name}: {rows} outbox rows" for name, rows in outboxes.items() if rows]
        if called:
            text.append(f"scoring: {called} measures to be issued")
        return [*([f"reports: {due} deadlines"] if due else []), *text]

    async def _lags(self) -> list[str]:
        async with _kafka(self._fleet.kafka) as (admin, consumer):
            found = []
            for each in self._groups():
                ends = await consumer.end_offsets(await self._partitions(admin, each.topics))
                done = await admin.list_consumer_group_offsets(self._fleet.namespace + each.group)
                behind = sum(end - max(0, done[place].offset if place in done else 0) for place, end in ends.items())
                found += [f"{each.group}: {behind} records behind"] if behind else []
            return found

    async def _read(self, topics: Iterable[str]) -> dict[str, list[Sent]]:
        """All records of the topics, from the first to those that are there now."""
        found: dict[str, list[Sent]] = {topic: [] for topic in topics}
        async with _kafka(self._fleet.kafka) as (admin, consumer):
            places = await self._partitions(admin, found)
            consumer.assign(places)
            await consumer.seek_to_beginning()
            ends = await consumer.end_offsets(places)
            while any([await consumer.position(place) < end for place, end in ends.items()]):
                for place, fetched in (await consumer.getmany(timeout_ms=500)).items():
                    topic = place.topic.removeprefix(self._fleet.namespace)
                    found[topic] += [
                        Sent(r.partition, r.offset, Event.from_kafka(topic, r.key, r.value, r.headers)) for r in fetched
                    ]
        return found

    async def _partitions(self, admin: AIOKafkaAdminClient, topics: Iterable[str]) -> list[TopicPartition]:
        """Raises KafkaError when a topic is missing: what is not there must not pass for empty."""
        found = await admin.describe_topics([self._fleet.namespace + topic for topic in topics])
        for topic in found:
            if topic["error_code"]:
                raise for_code(topic["error_code"])(topic["topic"])
        return [TopicPartition(topic["topic"], each["partition"]) for topic in found for each in topic["partitions"]]

    def _groups(self) -> list[Subscription]:
        found = []
        for name in self._services:
            live = {model.id: model.number for model in _all(self._database(name), LIVE)}
            found += subscriptions(name, live)
        return found

    def _database(self, service: str) -> Database[dict[str, Any]]:
        return self._client.get_database(f"{self._fleet.namespace}{service}", codec_options=CODEC)


def _all(database: Database[dict[str, Any]], collection: Collection[Any]) -> list[Any]:
    return [collection.to_entity(document) for document in database[collection.name].find()]


@asynccontextmanager
async def _kafka(bootstrap: str) -> AsyncIterator[tuple[AIOKafkaAdminClient, AIOKafkaConsumer]]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await admin.start()
        await consumer.start()
        yield admin, consumer
    finally:
        await consumer.stop()
        await admin.close()
