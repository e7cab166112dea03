"""From the outbox to Kafka: what this process commits goes out at once, what anybody left behind is swept up.

Rows are the truth; memory only saves the look into the database. Order per aggregate holds without a lock between
processes: an event is sent only behind its predecessor. When this process did not send the predecessor itself, it
reads all pending rows of the aggregate and sends them in sequence. Sending twice is harmless, consumers mark what
they have seen; sending out of order is not.

Faults are kept apart by topic: one that cannot be written to is left alone for a while, longer each time, and its rows
wait in the database. A sweeper that is cut off from Kafka gives its lease to another process.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from shared import telemetry
from shared.errors import Unavailable
from shared.event import Event
from shared.kafka import NotPublished, Publisher
from shared.store import OUTBOX, Store, UnitOfWork
from shared.store.collection import Filter

log = logging.getLogger(__name__)

Aggregate = tuple[str, str]

BATCH = 500
MEMORY = 20_000
PENDING = 2_000
"""Rows of one topic that are read at a time: what is cut off is sent after these."""
LEASE = "outbox-sweeper"
GATHER = 0.003
"""Seconds that a busy process waits for more events before it publishes."""
BUSY = 0.05
DELETE_EVERY = 0.5
MEASURE_EVERY = 5.0
FUTURE = timedelta(seconds=5)
"""Rows of a machine whose clock ran further ahead than this are swept as if they were old."""
CUT_OFF = 5.0
"""Seconds without anything published after which a sweeper whose sweep fails lets another one try."""
SUSPENDED = 0.5, 30.0
"""Seconds for which a topic is left alone after a fault: at first, and at most."""


class Suspensions:
    """Topics that could not be written to, and until when nobody tries them again."""

    def __init__(self) -> None:
        self._rests: dict[str, float] = {}
        self._until: dict[str, float] = {}

    def failed(self, topics: Iterable[str], alone: bool) -> None:
        """`alone`: others were written to, so that it is not Kafka that is away; only then pauses grow."""
        first, most = SUSPENDED
        for topic in topics:
            self._rests[topic] = min(most, 2 * self._rests.get(topic, first / 2)) if alone else first
            self._until[topic] = time.monotonic() + self._rests[topic]

    def succeeded(self, topics: Iterable[str]) -> None:
        for topic in topics:
            self._rests.pop(topic, None)
            self._until.pop(topic, None)

    def now(self) -> list[str]:
        """Topics that are to be left alone."""
        return [topic for topic, until in self._until.items() if until > time.monotonic()]


class Relay:
    """Publishes the store's events. Construct it before the first commit, then keep `run` running."""

    def __init__(self, store: Store, publisher: Publisher, grace: float = 3.0, sweep_every: float = 1.0) -> None:
        """`grace`: seconds a row may wait for its own process before the sweeper takes it."""
        self._store = store
        self._publisher = publisher
        self._grace = timedelta(seconds=grace)
        self._sweep_every = sweep_every
        self._holder = uuid.uuid4().hex
        self._offered: deque[Event] = deque(maxlen=MEMORY)
        self._bell = asyncio.Event()
        self._sending = asyncio.Lock()
        self._sent: OrderedDict[Aggregate, int] = OrderedDict()
        self._gone: list[str] = []
        self._suspended = Suspensions()
        self._rest_until = 0.0
        self._measured = float("-inf")
        self._last_sent = 0.0
        self._last_taken = float("-inf")
        self._stopping = False
        store.on_commit(self._offer)

    async def run(self) -> None:
        """Until `stop`: publish own commits, sweep what is left over. Raises what is not a passing fault."""
        parts = {
            asyncio.create_task(self._publish_on()),
            asyncio.create_task(self._sweep_on()),
            asyncio.create_task(self._delete_on()),
        }
        try:
            ended, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in ended:
                part.result()
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            await self._delete_sent()
            await self._hand_over()
            await self._publisher.stop()

    def stop(self) -> None:
        """Let `run` end after what has been offered is published, or could not be."""
        self._stopping = True
        self._bell.set()

    async def sweep(self) -> int:
        """Publish rows older than the grace, oldest first; the number published. Needs no lease to be correct.

        Raises Unavailable when Kafka took none of them.
        """
        now = datetime.now(UTC)
        late: Filter = {"$or": [{"created_at": {"$lte": now - self._grace}}, {"created_at": {"$gt": now + FUTURE}}]}
        suspended = self._suspended.now()
        if suspended:
            late["topic"] = {"$nin": suspended}
        left = await self._store.find(OUTBOX, late, [("created_at", 1)], BATCH)
        async with self._sending:
            pending = await self._pending({(row.topic, row.subject) for row in left})
            sent = await self._send(pending)
        await self._delete_sent()
        return sent

    def _offer(self, uow: UnitOfWork) -> None:
        if uow.events:
            self._offered.extend(uow.events)
            self._bell.set()

    async def _publish_on(self) -> None:
        while not self._stopping or self._offered:
            await self._bell.wait()
            self._bell.clear()
            await self._publish_offered()

    async def _publish_offered(self) -> None:
        while self._offered:
            if len(self._offered) < BATCH and time.monotonic() - self._last_sent < BUSY and not self._stopping:
                await asyncio.sleep(GATHER)
            batch = [self._offered.popleft() for _ in range(min(BATCH, len(self._offered)))]
            suspended = set(self._suspended.now())
            try:
                async with self._sending:
                    await self._send(await self._in_order([event for event in batch if event.topic not in suspended]))
            except Unavailable as error:
                telemetry.OUTBOX_PUBLISHED.labels("failed").inc(len(batch))
                log.warning("events stay in the outbox: %s", error)
                if self._stopping:
                    self._offered.clear()
            self._last_sent = time.monotonic()

    async def _in_order(self, batch: Sequence[Event]) -> list[Event]:
        """The batch, with every event behind its predecessor."""
        last: dict[Aggregate, int] = {}
        doubtful: set[Aggregate] = set()
        for event in batch:
            aggregate = (event.topic, event.subject)
            before = last.get(aggregate, self._sent.get(aggregate, 0))
            if event.sequence > before + 1:
                doubtful.add(aggregate)
            last[aggregate] = max(before, event.sequence)
        sure = [
            event
            for event in batch
            if (event.topic, event.subject) not in doubtful
            and event.sequence > self._sent.get((event.topic, event.subject), 0)
        ]
        return sure + await self._pending(doubtful) if doubtful else sure

    async def _pending(self, aggregates: Iterable[Aggregate]) -> list[Event]:
        """Rows of the aggregates in sequence that this process has not sent; of each the first, if there are many."""
        by_topic: dict[str, list[str]] = {}
        for topic, subject in aggregates:
            by_topic.setdefault(topic, []).append(subject)
        rows = [
            row
            for topic, subjects in by_topic.items()
            for row in await self._store.find(
                OUTBOX,
                {"topic": topic, "subject": {"$in": sorted(subjects)}},
                [("subject", 1), ("sequence", 1)],
                PENDING,
            )
        ]
        self._gone.extend(row.id for row in rows if self._was_sent(row.topic, row.subject, row.sequence))
        return [row.event for row in rows if not self._was_sent(row.topic, row.subject, row.sequence)]

    def _was_sent(self, topic: str, subject: str, sequence: int) -> bool:
        return sequence <= self._sent.get((topic, subject), 0)

    async def _send(self, events: Sequence[Event]) -> int:
        """How many Kafka took; topics that did not take theirs are left alone. Raises Unavailable when it took none."""
        if not events:
            return 0
        served = [event.traceparent for event in events if event.traceparent is not None]
        with (
            telemetry.OUTBOX_PUBLISH_SECONDS.time(),
            telemetry.working_for(None, name="publish", kind="producer", links=served),
        ):
            try:
                await self._publisher.publish(events)
                taken = list(events)
            except NotPublished as error:
                taken = error.acknowledged
                self._suspended.failed(error.topics, alone=bool(taken))
                telemetry.OUTBOX_PUBLISHED.labels("failed").inc(len(events) - len(taken))
                log.warning("events stay in the outbox: %s", error)
                if not taken:
                    raise
        self._suspended.succeeded({event.topic for event in taken} - set(self._suspended.now()))
        self._last_taken = time.monotonic()
        telemetry.OUTBOX_PUBLISHED.labels("ok").inc(len(taken))
        for event in taken:
            aggregate = (event.topic, event.subject)
            self._sent[aggregate] = max(event.sequence, self._sent.pop(aggregate, 0))
        while len(self._sent) > MEMORY:
            self._sent.popitem(last=False)
        self._gone.extend(event.id for event in taken)
        return len(taken)

    async def _delete_on(self) -> None:
        while True:
            await asyncio.sleep(DELETE_EVERY)
            await self._delete_sent()

    async def _delete_sent(self) -> None:
        while self._gone:
            ids, self._gone = self._gone, []
            try:
                await self._store.driver.delete(OUTBOX.name, {"_id": {"$in": ids}})
            except Unavailable as error:
                log.warning("%d sent events will be sent again: %s", len(ids), error)

    async def _sweep_on(self) -> None:
        while True:
            try:
                if time.monotonic() >= self._rest_until and await self._holds_lease():
                    await self._measure()
                    await self._sweep_all()
                else:
                    telemetry.OUTBOX_PENDING.set(0)  # told by who holds the lease
                    telemetry.OUTBOX_OLDEST_AGE_SECONDS.set(0)
            except Unavailable as error:
                log.warning("outbox not swept: %s", error)
            await asyncio.sleep(self._sweep_every)

    async def _holds_lease(self) -> bool:
        return await self._store.driver.lease(LEASE, self._holder, 5 * self._sweep_every + 5)

    async def _sweep_all(self) -> None:
        try:
            while await self.sweep() >= BATCH and await self._holds_lease():
                pass
        except NotPublished:
            if time.monotonic() - self._last_taken > CUT_OFF:  # perhaps another process still reaches Kafka
                self._rest_until = time.monotonic() + 3 * self._sweep_every
                await self._hand_over()
            raise

    async def _hand_over(self) -> None:
        try:
            await self._store.driver.release(LEASE, self._holder)
        except Unavailable as error:
            log.warning("the sweeper's lease will run out by itself: %s", error)

    async def _measure(self) -> None:
        if time.monotonic() - self._measured < MEASURE_EVERY:
            return
        self._measured = time.monotonic()
        oldest = await self._store.find(OUTBOX, {}, [("created_at", 1)], 1)
        age = (datetime.now(UTC) - oldest[0].created_at).total_seconds() if oldest else 0.0
        telemetry.OUTBOX_OLDEST_AGE_SECONDS.set(max(0.0, age))
        telemetry.OUTBOX_PENDING.set(await self._store.driver.size(OUTBOX.name) if oldest else 0)
