"""From the outbox to Kafka: what this process commits goes out at once, what anybody left behind is swept up.

Rows are the truth; memory only saves the look into the database. Order per aggregate holds without a lock between
processes: an event is sent only behind its predecessor. When this process did not send the predecessor itself, it
reads all pending rows of the aggregate and sends them in sequence. Sending twice is harmless, consumers mark what
they have seen; sending out of order is not.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from shared import telemetry
from shared.errors import Unavailable
from shared.event import Event
from shared.kafka import Publisher
from shared.store import OUTBOX, Store, UnitOfWork

log = logging.getLogger(__name__)

Aggregate = tuple[str, str]

BATCH = 500
MEMORY = 20_000
LEASE = "outbox-sweeper"


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
        self._sent: OrderedDict[Aggregate, int] = OrderedDict()
        self._gone: list[str] = []
        self._deleting: asyncio.Task[None] | None = None
        self._stopping = False
        store.on_commit(self._offer)

    async def run(self) -> None:
        """Until `stop`: publish own commits, sweep what is left over. Raises what is not a passing fault."""
        parts = {asyncio.create_task(self._publish_on()), asyncio.create_task(self._sweep_on())}
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
        """Publish rows older than the grace, oldest first; the number published. Needs no lease to be correct."""
        before = datetime.now(UTC) - self._grace
        left = await self._store.find(OUTBOX, {"created_at": {"$lte": before}}, [("created_at", 1)], BATCH)
        pending = await self._pending({(row.topic, row.subject) for row in left})
        if pending:
            await self._send(pending)
            await self._delete_sent()
        return len(pending)

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
            batch = [self._offered.popleft() for _ in range(min(BATCH, len(self._offered)))]
            try:
                await self._send(await self._in_order(batch))
            except Unavailable as error:
                telemetry.OUTBOX_PUBLISHED.labels("failed").inc(len(batch))
                log.warning("events stay in the outbox: %s", error)
                self._offered.clear()
                if self._stopping:
                    return
                await asyncio.sleep(random.uniform(0.1, 1.0))  # noqa: S311  (jitter, no secret)
            if self._deleting is None or self._deleting.done():
                self._deleting = asyncio.create_task(self._delete_sent())

    async def _in_order(self, batch: Sequence[Event]) -> list[Event]:
        """The batch, with every event behind its predecessor."""
        last: dict[Aggregate, int] = {}
        doubtful: set[Aggregate] = set()
        for event in batch:
            aggregate = (event.topic, event.subject)
            before = last.get(aggregate, self._sent.get(aggregate, 0))
            if event.sequence != before + 1:
                doubtful.add(aggregate)
            last[aggregate] = event.sequence
        if not doubtful:
            return list(batch)
        sure = [event for event in batch if (event.topic, event.subject) not in doubtful]
        return sure + await self._pending(doubtful)

    async def _pending(self, aggregates: Iterable[Aggregate]) -> list[Event]:
        by_topic: dict[str, list[str]] = {}
        for topic, subject in aggregates:
            by_topic.setdefault(topic, []).append(subject)
        rows = [
            row
            for topic, subjects in by_topic.items()
            for row in await self._store.find(
                OUTBOX, {"topic": topic, "subject": {"$in": subjects}}, [("subject", 1), ("sequence", 1)]
            )
        ]
        return [row.event for row in rows]

    async def _send(self, events: Sequence[Event]) -> None:
        if not events:
            return
        with telemetry.OUTBOX_PUBLISH_SECONDS.time():
            await self._publisher.publish(events)
        telemetry.OUTBOX_PUBLISHED.labels("ok").inc(len(events))
        for event in events:
            aggregate = (event.topic, event.subject)
            self._sent[aggregate] = max(event.sequence, self._sent.pop(aggregate, 0))
        while len(self._sent) > MEMORY:
            self._sent.popitem(last=False)
        self._gone.extend(event.id for event in events)

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
                await self._measure()
                if await self._store.driver.lease(LEASE, self._holder, 5 * self._sweep_every + 5):
                    while await self.sweep() >= BATCH:
                        pass
            except Unavailable as error:
                log.warning("outbox not swept: %s", error)
            await asyncio.sleep(self._sweep_every)

    async def _hand_over(self) -> None:
        try:
            await self._store.driver.release(LEASE, self._holder)
        except Unavailable as error:
            log.warning("the sweeper's lease will run out by itself: %s", error)

    async def _measure(self) -> None:
        oldest = await self._store.find(OUTBOX, {}, [("created_at", 1)], 1)
        age = (datetime.now(UTC) - oldest[0].created_at).total_seconds() if oldest else 0.0
        telemetry.OUTBOX_OLDEST_AGE_SECONDS.set(max(0.0, age))
        telemetry.OUTBOX_PENDING.set(await self._store.count(OUTBOX, {}) if oldest else 0)
