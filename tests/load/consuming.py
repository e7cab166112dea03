"""Events per second through a worker of the engine, against a bare loop that writes the same documents.

    python -m tests.load.consuming engine|bare GROUP EVENTS
    python -m tests.load.consuming member GROUP PARTITIONS

Both read the same topic in a process of their own and write, per batch of 200, one view document per event and
one mark per aggregate in one transaction. The bare loop knows no marks (it writes them without reading them), no
order, no poison, no metrics. Prints the rate between the first transaction and the last one as JSON. A member
shares the group with others: it says `ready` once it has its partitions, and ends when nothing comes any more.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ReplaceOne
from pymongo.read_concern import ReadConcern

from deploy.local import tools
from shared.clock import SystemClock
from shared.consumer import MARKS, PARKED, Subscription, Worker, on
from shared.contracts import TOPICS
from shared.contracts.reports import (
    CaseAcknowledged,
    CaseEvent,
    CaseRegistered,
    CaseReplied,
    CaseSnapshot,
    CaseState,
    CaseVerified,
    Channel,
    Place,
)
from shared.event import Event
from shared.kafka import Connection, KafkaBroker, KafkaFeed
from shared.store import Collection, Store, UnitOfWork
from shared.store.mongo import CODEC, MAJORITY, MongoDriver

TOPIC = CaseEvent.TOPIC
STEPS = (CaseRegistered, CaseAcknowledged, CaseReplied, CaseVerified)
PARTITIONS = 6
BATCH = 200


@dataclass
class View:
    """What a page shows of a case."""

    id: str
    state: str
    category: str
    community: str
    unit: str | None
    points: Decimal
    registered_at: datetime
    due_at: datetime | None
    sequence: int


VIEWS = Collection("views", View)


class Meter:
    """Counts events from the first transaction, itself left out, to the last one (`time.monotonic()`)."""

    def __init__(self, expected: float) -> None:
        self._left = expected
        self.counted = 0
        self.first = self.last = 0.0
        self.done = asyncio.Event()

    def count(self, events: int) -> None:
        """A transaction with so many events is committed."""
        self.last = time.monotonic()
        if self.first:
            self.counted += events
        else:
            self.first = self.last
        self._left -= events
        if self._left <= 0:
            self.done.set()

    @property
    def rate(self) -> float:
        return self.counted / (self.last - self.first)

    async def quiet(self, seconds: float) -> None:
        """Returns when nothing has come for so long after the first transaction."""
        while not self.first or time.monotonic() - self.last < seconds:  # noqa: ASYNC110  (silence sets no event)
            await asyncio.sleep(0.1)


async def create_topic(bootstrap: str, namespace: str, partitions: int = PARTITIONS) -> None:
    """The topic, empty."""
    await KafkaBroker(Connection(bootstrap, namespace), partitions).ensure_topics([TOPICS[TOPIC]])


async def fill(bootstrap: str, namespace: str, cases: int) -> int:
    """Every step of so many cases into the topic, all cases' first step first; the number of events."""
    broker = KafkaBroker(Connection(bootstrap, namespace))
    publisher = broker.publisher()
    now = datetime.now(UTC)
    try:
        for sequence, model in enumerate(STEPS, start=1):
            events = [_event(model, number, sequence, now) for number in range(cases)]
            for start in range(0, cases, 2000):
                await publisher.publish(events[start : start + 2000])
    finally:
        await publisher.stop()
    return cases * len(STEPS)


def _event(model: type[CaseEvent], number: int, sequence: int, now: datetime) -> Event:
    snapshot = CaseSnapshot(
        case=f"20260101-{number:010d}",
        state=CaseState.DISPATCHED,
        channel=Channel.HOTLINE,
        category="exposed-rubbish",
        category_version=1,
        place=Place(longitude=112.6, latitude=26.9, community="430476001007", address="华兴街道 12 号"),
        unit="xiangguang",
        points=Decimal("0.5"),
        registered_at=now,
        dispatched_at=now,
        due_at=now,
    )
    return Event.new(model(case=snapshot), snapshot.case, sequence, now)


async def project(uow: UnitOfWork, event: Event[CaseEvent], _: object) -> None:
    """The handler: one view document per event."""
    uow.put(VIEWS, _view(event.data.case, event.sequence))


def _view(case: CaseSnapshot, sequence: int) -> View:
    place, state = case.place.community, case.state.value
    return View(
        case.case, state, case.category, place, case.unit, case.points, case.registered_at, case.due_at, sequence
    )


class _Keeping(KafkaBroker):
    """Keeps the feed it gives out, to be asked for its partitions."""

    def feed(self, group: str, topics: Sequence[str]) -> KafkaFeed:
        self.given = super().feed(group, topics)
        return self.given


@asynccontextmanager
async def _working(
    mongodb_uri: str, bootstrap: str, namespace: str, group: str, meter: Meter
) -> AsyncIterator[KafkaFeed]:
    store = Store(MongoDriver(mongodb_uri, namespace + group), SystemClock(), [VIEWS, MARKS, PARKED])
    await store.ensure_indexes()
    store.on_commit(lambda uow: meter.count(len(uow.changed(VIEWS))))
    broker = _Keeping(Connection(bootstrap, namespace))
    subscription = Subscription(group, (TOPIC,), [on(step, project) for step in STEPS], batch=BATCH)
    worker = Worker(store, broker, subscription, None)
    running = asyncio.create_task(worker.run())
    yield broker.given
    worker.stop()
    await running
    await store.close()


async def engine(mongodb_uri: str, bootstrap: str, namespace: str, group: str, expected: int) -> float:
    """Events per second through a worker."""
    meter = Meter(expected)
    async with _working(mongodb_uri, bootstrap, namespace, group, meter):
        await meter.done.wait()
    return meter.rate


async def member(
    mongodb_uri: str, bootstrap: str, namespace: str, group: str, partitions: int
) -> tuple[float, float, int]:
    """One of several workers of a group: when it began and ended, and how many events were its own."""
    meter = Meter(float("inf"))
    async with _working(mongodb_uri, bootstrap, namespace, group, meter) as feed:
        while len(feed.assignment()) != partitions:  # noqa: ASYNC110  (the feed has no event for it)
            await asyncio.sleep(0.05)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await meter.quiet(3.0)
    return meter.first, meter.last, meter.counted


async def bare(mongodb_uri: str, bootstrap: str, namespace: str, group: str, expected: int) -> float:
    """Events per second through a loop: read, write, commit the offsets once a second."""
    client: Any = AsyncIOMotorClient(mongodb_uri, maxPoolSize=24)
    database = client.get_database(namespace + group, codec_options=CODEC, write_concern=MAJORITY)
    for name in ("views", "marks"):
        await database.create_collection(name)
    consumer = AIOKafkaConsumer(
        namespace + TOPIC,
        bootstrap_servers=bootstrap,
        group_id=namespace + group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=512 * 1024,
        fetch_max_wait_ms=100,
    )
    await consumer.start()
    meter = Meter(expected)
    committed = time.monotonic()
    while not meter.done.is_set():
        fetched = await consumer.getmany(timeout_ms=500, max_records=BATCH)
        records = [record for found in fetched.values() for record in found]
        if records:
            await _write(client, database, group, records)
            meter.count(len(records))
        if time.monotonic() - committed >= 1:
            await consumer.commit({TopicPartition(r.topic, r.partition): r.offset + 1 for r in records})
            committed = time.monotonic()
    await consumer.stop()
    client.close()
    return meter.rate


async def _write(client: Any, database: Any, group: str, records: Sequence[Any]) -> None:
    views, marks = [], []
    for record in records:
        headers = dict(record.headers)
        subject, sequence = headers["ce_subject"].decode(), int(headers["ce_sequence"])
        case = MODEL_BY_TYPE[headers["ce_type"].decode()].model_validate_json(record.value).case
        view = dict(vars(_view(case, sequence)), _id=case.case, v=1, s=0)
        del view["id"]
        mark = {"_id": f"{group}|{TOPIC}|{subject}", "v": sequence, "s": 0, "sequence": sequence, "parked_to": 0}
        views.append(ReplaceOne({"_id": view["_id"]}, view, upsert=True))
        marks.append(ReplaceOne({"_id": mark["_id"]}, mark, upsert=True))

    async def apply(session: Any) -> None:
        await database["views"].bulk_write(views, session=session)
        await database["marks"].bulk_write(marks, session=session)

    async with await client.start_session() as session:
        await session.with_transaction(apply, read_concern=ReadConcern("snapshot"), write_concern=MAJORITY)


MODEL_BY_TYPE = {model.TYPE: model for model in STEPS}


@dataclass(frozen=True)
class Apart:
    """Consumers in processes of their own, on these servers. Its methods raise RuntimeError and TimeoutError."""

    mongodb_uri: str
    bootstrap: str
    namespace: str

    async def rate(self, kind: str, group: str, events: int) -> float:
        """The rate of one consumer, `engine` or `bare`."""
        async with self._process(kind, group, events) as process:
            return float(await _last_line(process))

    async def rate_of_members(self, group: str, members: int, partitions: int, cases: int) -> float:
        """The rate of several workers that share the topic; it is filled once they have divided it."""
        async with AsyncExitStack() as stack:
            opened = [self._process("member", group, partitions // members) for _ in range(members)]
            processes = [await stack.enter_async_context(each) for each in opened]
            for process in processes:
                await _line(process)
            await fill(self.bootstrap, self.namespace, cases)
            found = [json.loads(await _last_line(process)) for process in processes]
        first, last = min(each[0] for each in found), max(each[1] for each in found)
        return float(sum(each[2] for each in found) / (last - first))

    @asynccontextmanager
    async def _process(self, kind: str, group: str, number: int) -> AsyncIterator[Process]:
        servers = {
            "MONGODB_URI": self.mongodb_uri,
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "NAMESPACE": self.namespace,
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.load.consuming", kind, group, str(number)),
            env={**os.environ, **servers},
            stdout=asyncio.subprocess.PIPE,
            cwd=tools.ROOT,
        )
        try:
            async with asyncio.timeout(300):
                yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _line(process: Process) -> bytes:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("a consumer ended early")
    return line


async def _last_line(process: Process) -> bytes:
    line = await _line(process)
    await process.wait()
    return line


if __name__ == "__main__":
    kind, group, number = sys.argv[1:]
    servers = os.environ["MONGODB_URI"], os.environ["KAFKA_BOOTSTRAP_SERVERS"], os.environ["NAMESPACE"]
    consumers: dict[str, Callable[..., Coroutine[Any, Any, object]]] = {
        "engine": engine,
        "bare": bare,
        "member": member,
    }
    sys.stdout.write(json.dumps(uvloop.run(consumers[kind](*servers, group, int(number)))) + "\n")
