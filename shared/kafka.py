"""Kafka behind a narrow port: the only importer of aiokafka, and the place where its traps are answered.

* A poll is never cancelled: cancelling leaks aiokafka's fetch count and the group never misses the member again.
* A send is bounded, and the producer rebuilt after a failure: with the brokers away an idempotent one waits for ever.
* A commit of offsets is bounded, for the same reason.
* Offsets are committed explicitly; a bare commit would commit everything that was merely fetched.
* No static membership: with it `stop` would not leave the group, and its partitions would idle after a scale-down.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.abc import AbstractTokenProvider
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    TopicAlreadyExistsError,
    for_code,
)

from shared import telemetry
from shared.certificates import ClientContext
from shared.contracts import Topic
from shared.errors import Unavailable
from shared.event import Event
from shared.settings import KafkaSettings, Misconfigured
from shared.tokens import ClientCredentials

log = logging.getLogger(__name__)

STOP_PATIENCE = 5.0
METADATA_PATIENCE = 3.0
"""Seconds to find out that a topic is there."""
JOIN_PATIENCE = 90.0
COMMIT_PATIENCE = 5.0
"""Seconds for one commit of offsets: aiokafka would try for as long as the brokers are away, and hold up the poll."""


class NotPublished(Unavailable):
    """Of some topics it is not known that the log has their events.

    `acknowledged`: events that are surely there, each with all before it of its aggregate; `topics`: those that took
    none.
    """

    def __init__(self, reason: str, acknowledged: list[Event], topics: frozenset[str]) -> None:
        super().__init__(reason)
        self.acknowledged = acknowledged
        self.topics = topics


class Partition(NamedTuple):
    """One partition of a topic, by the topic's name in the contracts."""

    topic: str
    number: int


class Record(NamedTuple):
    """One record as it lies in the log."""

    partition: Partition
    offset: int
    timestamp: float
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

    def event(self) -> Event:
        """The event in the record. Raises Undecodable."""
        return Event.from_kafka(self.partition.topic, self.key, self.value, self.headers)


class Position(NamedTuple):
    """Offsets of one partition: the first record there is, the one after the last, and the next one to handle."""

    first: int
    end: int
    next: int


Moved = Callable[[frozenset[Partition]], Awaitable[None]]


class Publisher(Protocol):
    """Writes events to the log."""

    async def publish(self, events: Sequence[Event]) -> None:
        """Append in order, per key; returns when all replicas that must have them do.

        Raises NotPublished when that is not known of all in time; of the others some may be in the log, too.
        """
        ...

    async def stop(self) -> None: ...


class Feed(Protocol):
    """One member of a consumer group."""

    async def start(self, revoked: Moved, assigned: Moved) -> None:
        """Join. `revoked` is awaited before partitions are given up, `assigned` after they are taken."""
        ...

    def assignment(self) -> frozenset[Partition]: ...

    async def poll(self, partitions: Iterable[Partition], patience: float) -> Mapping[Partition, Sequence[Record]]:
        """New records of these partitions (of all, if none is named), waiting up to `patience` seconds."""
        ...

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        """Store the next offsets to read. False when the partitions are no longer ours."""
        ...

    async def positions(self) -> Mapping[Partition, Position]:
        """How far the group has come in the assigned partitions. Raises Unavailable."""
        ...

    async def stop(self) -> None: ...


class Broker(Protocol):
    """Where publishers and feeds come from."""

    def publisher(self) -> Publisher: ...

    def feed(self, group: str, topics: Sequence[str]) -> Feed: ...

    async def ensure_topics(self, topics: Iterable[Topic]) -> None:
        """Create what is missing. Never changes a topic that exists."""
        ...


class Connection(NamedTuple):
    """How to reach the brokers; `namespace` prefixes topics and groups."""

    bootstrap_servers: str
    namespace: str = ""
    session_timeout: float = 30.0
    heartbeat_interval: float = 1.0
    sasl_mechanism: str | None = None
    username: str = ""
    password: str = ""
    tokens: ClientCredentials | None = None
    """Of OAUTHBEARER, which needs neither name nor password then."""
    tls: ClientContext | None = None

    @classmethod
    def of(cls, settings: KafkaSettings) -> Connection:
        """As the settings say. Raises Misconfigured when a certificate is none."""
        protocol, files = settings.kafka_security_protocol, (settings.kafka_ca_file, settings.kafka_certificate_file)
        username, password = settings.kafka_username or "", settings.kafka_password or ""
        url, mechanism = settings.kafka_token_url, settings.kafka_sasl_mechanism if "SASL" in protocol else None
        if mechanism and not (username and password):
            raise Misconfigured(f"set KAFKA_USERNAME and KAFKA_PASSWORD: KAFKA_SECURITY_PROTOCOL is {protocol}")
        if mechanism == "OAUTHBEARER" and not url:
            raise Misconfigured("set KAFKA_TOKEN_URL: KAFKA_SASL_MECHANISM is OAUTHBEARER")
        try:
            tls = ClientContext(*files, settings.kafka_key_file) if "SSL" in protocol else None
        except OSError as error:
            raise Misconfigured(f"KAFKA_CA_FILE, KAFKA_CERTIFICATE_FILE, KAFKA_KEY_FILE: {error}") from error
        return cls(
            settings.kafka_bootstrap_servers,
            settings.namespace,
            settings.kafka_session_timeout,
            sasl_mechanism=mechanism,
            username=username,
            password=password,
            tokens=ClientCredentials(url, username, password) if url and mechanism == "OAUTHBEARER" else None,
            tls=tls,
        )

    def options(self) -> dict[str, Any]:
        """What every client of aiokafka is given."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "security_protocol": f"{'SASL_' if self.sasl_mechanism else ''}{'SSL' if self.tls else 'PLAINTEXT'}",
        }
        if self.tls is not None:
            options["ssl_context"] = self.tls
        if self.sasl_mechanism is not None:
            options["sasl_mechanism"] = self.sasl_mechanism
            options |= {"sasl_plain_username": self.username, "sasl_plain_password": self.password}
        if self.tokens is not None:
            options["sasl_oauth_token_provider"] = _Tokens(self.tokens)
        return options


class _Tokens(AbstractTokenProvider):  # type: ignore[misc]  # untyped base
    """aiokafka's way to ask for a token."""

    def __init__(self, source: ClientCredentials) -> None:
        self._source = source

    async def token(self) -> str:
        try:
            return await self._source.token()
        except (OSError, ValueError) as error:
            raise KafkaConnectionError(f"no token: {error!r}") from error


class KafkaBroker:
    """Apache Kafka 3.5 or newer."""

    def __init__(
        self, connection: Connection, partitions: int | None = None, replicas: int = 1, *, creates: bool = True
    ) -> None:
        """`partitions` overrides the contracts' number where topics are created (small machines).

        Without `creates`, missing topics are waited for: somebody else keeps them.
        """
        self._connection = connection
        self._creates = creates
        self._partitions = partitions
        self._replicas = replicas

    def publisher(self) -> KafkaPublisher:
        return KafkaPublisher(self._connection)

    def feed(self, group: str, topics: Sequence[str]) -> KafkaFeed:
        return KafkaFeed(self._connection, group, topics)

    async def ensure_topics(self, topics: Iterable[Topic]) -> None:
        topics = list(topics)
        admin = AIOKafkaAdminClient(**self._connection.options())
        try:
            await admin.start()
            there = set(await admin.list_topics())  # those that we may see: who creates none needs no right to
            missing = [topic for topic in topics if self._connection.namespace + topic.name not in there]
            if missing and not self._creates:
                raise Unavailable(f"topics are missing in Kafka: {', '.join(topic.name for topic in missing)}")
            answer = await admin.create_topics(list(map(self._new, missing)))
            for _, code, *_ in answer.topic_errors:
                if code and for_code(code) is not TopicAlreadyExistsError:
                    raise for_code(code)
            names = [self._connection.namespace + topic.name for topic in topics]
            self._compare(list(map(self._new, topics)), await admin.describe_topics(names))
        except KafkaError as error:
            raise Unavailable(f"Kafka: {error}") from error
        finally:
            await admin.close()

    def _new(self, topic: Topic) -> NewTopic:
        return NewTopic(
            self._connection.namespace + topic.name,
            self._partitions or topic.partitions,
            self._replicas,
            topic_configs={"retention.ms": "-1", "min.insync.replicas": str(min(2, self._replicas))},
        )

    def _compare(self, wanted: Sequence[NewTopic], found: Sequence[Mapping[str, Any]]) -> None:
        """Tell of topics with another number of partitions than they are created with."""
        there = {topic["topic"]: len(topic["partitions"]) for topic in found}
        for topic in wanted:
            count, name = there.get(topic.name, 0), topic.name.removeprefix(self._connection.namespace)
            surplus = count - topic.num_partitions if count else 0
            telemetry.TOPIC_PARTITIONS_UNEXPECTED.labels(name).set(surplus)
            if surplus:
                log.error("%s has %d partitions instead of %d", name, count, topic.num_partitions)


class KafkaPublisher:
    """An idempotent producer that is thrown away when it does not answer."""

    def __init__(self, connection: Connection, patience: float = 20.0) -> None:
        """`patience`: seconds to wait for the acknowledgement of one call."""
        self._connection = connection
        self._patience = patience
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def publish(self, events: Sequence[Event]) -> None:
        try:
            async with asyncio.timeout(self._patience):
                producer = await self._started()
        except (TimeoutError, KafkaError, OSError) as error:
            raise NotPublished(f"no producer: {error!r}", [], frozenset(event.topic for event in events)) from error
        by_topic: dict[str, list[Event]] = {}
        for event in events:
            by_topic.setdefault(event.topic, []).append(event)
        outcomes = await asyncio.gather(*(self._publish_to(producer, *each) for each in by_topic.items()))
        faults = {topic: fault for topic, (_, fault) in zip(by_topic, outcomes, strict=True) if fault is not None}
        if not faults:
            return
        if len(faults) == len(by_topic) or any(isinstance(fault, TimeoutError) for fault in faults.values()):
            await self._give_up(producer)
        taken = [event for acknowledged, _ in outcomes for event in acknowledged]
        closed = frozenset(faults) - {event.topic for event in taken}
        raise NotPublished("; ".join(f"{topic}: {fault!r}" for topic, fault in faults.items()), taken, closed)

    async def _publish_to(
        self, producer: AIOKafkaProducer, topic: str, events: Sequence[Event]
    ) -> tuple[list[Event], Exception | None]:
        """What the topic surely has of the events, each with all before it of its aggregate, and why not all."""
        name = self._connection.namespace + topic
        waiting: list[asyncio.Future[Any]] = []
        fault: Exception | None = None
        try:
            async with asyncio.timeout(METADATA_PATIENCE):
                await producer.partitions_for(name)  # of a topic that is not there a send would wait much longer
            async with asyncio.timeout(self._patience):
                for event in events:
                    headers = event.headers()
                    waiting.append(await producer.send(name, event.value, event.key.encode(), headers=headers))
                    waiting[-1].add_done_callback(_seen)
                await asyncio.wait(waiting)
        except TimeoutError as error:
            fault = error if waiting else Unavailable(f"no topic {topic}")
        except (KafkaError, OSError) as error:
            fault = error
        sure, broken = [], set()
        for event, done in zip_longest(events, waiting):
            failed = done is None or not done.done() or done.cancelled() or done.exception() is not None
            if failed or event.subject in broken:
                broken.add(event.subject)
                fault = fault or _fault_of(done)
            else:
                sure.append(event)
        return sure, fault

    async def stop(self) -> None:
        if self._producer is not None:
            await self._give_up(self._producer)

    async def _give_up(self, producer: AIOKafkaProducer) -> None:
        """End this one; one that has come in its place meanwhile goes on."""
        if self._producer is producer:
            self._producer = None
            await _end(producer)

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._connection.options(), enable_idempotence=True, acks="all", max_batch_size=256 * 1024
                )
                try:
                    await producer.start()
                except BaseException:
                    await _end(producer)
                    raise
                self._producer = producer
            return self._producer


class KafkaFeed(ConsumerRebalanceListener):  # type: ignore[misc]  # untyped base
    """A member of a consumer group that reads from the earliest event."""

    def __init__(self, connection: Connection, group: str, topics: Sequence[str]) -> None:
        self._connection = connection
        self._namespace = connection.namespace
        self._group = group
        self._topics = [connection.namespace + topic for topic in topics]
        self._consumer: Any = None
        self._revoked: Moved = _nothing
        self._assigned: Moved = _nothing

    async def start(self, revoked: Moved, assigned: Moved) -> None:
        self._revoked, self._assigned = revoked, assigned
        self._consumer = self._new_consumer()  # one that failed to start cannot be started again
        self._consumer.subscribe(topics=self._topics, listener=self)
        try:
            async with asyncio.timeout(JOIN_PATIENCE):
                await self._consumer.start()
        except (TimeoutError, KafkaError, OSError) as error:
            await self.stop()
            raise Unavailable(f"Kafka: {error!r}") from error

    def _new_consumer(self) -> AIOKafkaConsumer:
        connection = self._connection
        return AIOKafkaConsumer(
            **connection.options(),
            group_id=connection.namespace + self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=int(connection.session_timeout * 1000),
            rebalance_timeout_ms=int(max(60.0, 2 * connection.session_timeout) * 1000),
            heartbeat_interval_ms=int(connection.heartbeat_interval * 1000),
            max_partition_fetch_bytes=512 * 1024,
            fetch_max_wait_ms=100,
            metadata_max_age_ms=30_000,
        )

    def assignment(self) -> frozenset[Partition]:
        return frozenset(map(self._ours, self._consumer.assignment())) if self._consumer else frozenset()

    async def poll(self, partitions: Iterable[Partition], patience: float) -> Mapping[Partition, Sequence[Record]]:
        fetched = await self._consumer.getmany(*map(self._theirs, partitions), timeout_ms=int(patience * 1000))
        return {self._ours(place): self._records(self._ours(place), found) for place, found in fetched.items()}

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        try:
            async with asyncio.timeout(COMMIT_PATIENCE):
                await self._consumer.commit({self._theirs(place): next for place, next in offsets.items()})
        except (CommitFailedError, IllegalStateError):
            telemetry.CONSUMER_COMMIT_FAILURES.labels(self._group).inc()
            return False
        except (TimeoutError, KafkaError) as error:
            telemetry.CONSUMER_COMMIT_FAILURES.labels(self._group).inc()
            log.warning("offsets not committed: %r", error)
            return False
        return True

    async def positions(self) -> Mapping[Partition, Position]:
        consumer = self._consumer
        places = list(consumer.assignment()) if consumer is not None else []
        if not places:
            return {}
        try:
            async with asyncio.timeout(COMMIT_PATIENCE):
                ends, starts = await consumer.end_offsets(places), await consumer.beginning_offsets(places)
                done = {place: await consumer.committed(place) for place in places}
        except (TimeoutError, KafkaError) as error:
            raise Unavailable(f"Kafka: {error!r}") from error
        return {
            self._ours(place): Position(int(starts[place]), int(ends[place]), int(done[place] or starts[place]))
            for place in places
        }

    async def stop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None and not await _bounded(consumer.stop(), "consumer"):
            await _bounded(consumer._client.close(), "connection")  # or it would stay a member that never polls

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._tell(self._revoked, revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._tell(self._assigned, assigned)

    async def _tell(self, moved: Moved, places: Iterable[TopicPartition]) -> None:
        try:
            await moved(frozenset(map(self._ours, places)))
        except Exception:  # aiokafka would log and swallow it unseen by any metric
            telemetry.CONSUMER_LISTENER_FAILURES.labels(self._group).inc()
            log.exception("rebalance listener of %s failed", self._group)

    def _ours(self, place: TopicPartition) -> Partition:
        return Partition(place.topic.removeprefix(self._namespace), place.partition)

    def _theirs(self, partition: Partition) -> TopicPartition:
        return TopicPartition(self._namespace + partition.topic, partition.number)

    def _records(self, partition: Partition, found: Iterable[Any]) -> list[Record]:
        return [Record(partition, r.offset, r.timestamp / 1000, r.key, r.value, r.headers) for r in found]


def _seen(done: asyncio.Future[Any]) -> None:
    """Look at the outcome, also if it comes when nobody waits for it any more."""
    if not done.cancelled():
        done.exception()


def _fault_of(done: asyncio.Future[Any] | None) -> Exception:
    error = done.exception() if done is not None and done.done() and not done.cancelled() else None
    return error if isinstance(error, Exception) else TimeoutError("not acknowledged in time")


async def _nothing(_: frozenset[Partition]) -> None:
    return


async def _end(producer: Any) -> None:
    """Stop it. One that cannot flush loses its sender: left alone it would go on trying for as long as we live."""
    if not await _bounded(producer.stop(), "producer") and producer._sender is not None:
        await _bounded(producer._sender.close(), "sender")
        producer._message_accumulator.fail_all(KafkaError("the producer is given up"))
        await _bounded(producer.client.close(), "connection")


async def _bounded(stopping: Awaitable[None], what: str) -> bool:
    try:
        async with asyncio.timeout(STOP_PATIENCE):
            await stopping
    except (TimeoutError, KafkaError, OSError) as error:
        log.warning("the Kafka %s did not stop in order: %r", what, error)
        return False
    return True
