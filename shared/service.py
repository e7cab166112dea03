"""What runs a service: one process, one role, an orderly end.

`api` answers requests, `worker` reacts to events and deadlines, `all` does both (small machines). Every role
publishes what it commits and answers `/livez`, `/readyz` and `/metrics`. Requests need the database alone: while Kafka
is away they are answered, and events wait in the outbox. On SIGTERM: not ready any more, requests finished, started
batches finished and committed, outbox flushed, connections closed; within 45 s, each step bounded.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, Literal

import uvloop
from fastapi import FastAPI, Request
from starlette.routing import BaseRoute
from typing_extensions import TypeVar

from shared import telemetry, traces
from shared.auth import KeySet, Verifier
from shared.clock import Clock, SystemClock
from shared.consumer import MARKS, PARKED, Subscription, Worker
from shared.contracts import TOPICS, Topic
from shared.deadlines import DEFERRED, Deadline, Timekeeper, clock_ahead
from shared.errors import Unavailable
from shared.http import Limits, Probe, Router, create_app, operations_app
from shared.http.server import Server, server
from shared.kafka import Broker, Connection, KafkaBroker
from shared.messages import Messages
from shared.outbox import Relay
from shared.readmodel import LIVE, Generation, Live, Projector, ReadModel, dead_letters, rebuild
from shared.settings import KafkaSettings, Misconfigured, Settings, StoreSettings
from shared.store import Collection, Store, migration
from shared.store.mongo import MongoDriver

log = logging.getLogger(__name__)

Role = Literal["api", "worker", "all"]
R = TypeVar("R", default=object)
"""What a service holds besides its store."""

CLOCK_EVERY = 10.0
CLOCK_OFF = 5.0
"""Seconds by which this machine's clock may differ from the database's, before requests are sent elsewhere."""
COLLECT = 50_000, 20, 50
"""How seldom garbage is looked for: what a process starts with stays, and a full look stops every request."""
FINISH_DRAIN = 10.0
FINISH_REQUESTS = 10
FINISH_BATCHES = 20.0
FINISH_RELAY = 10.0


@dataclass(frozen=True)
class Service(Generic[R]):
    """What a service is made of; its `app.py` builds exactly one.

    `prepare` is called once the store is there. What it returns, the service's resources, is handed to every handler,
    prefetch and deadline command, and routes ask for it by `resources_of`.
    """

    name: str
    prepare: Callable[[Runtime[R]], Awaitable[R]]
    routers: Sequence[Router] = ()
    collections: Sequence[Collection[Any]] = ()
    subscriptions: Sequence[Subscription[R]] = ()
    read_models: Sequence[ReadModel[R]] = ()
    deadlines: Sequence[Deadline[R]] = ()
    settings: type[Settings] = Settings
    messages: Sequence[Path] = ()
    mounts: Sequence[BaseRoute] = ()
    """Folders of static files, and routes that come after all others."""

    def topics(self, generations: Mapping[str, Generation] = MappingProxyType({})) -> list[Topic]:
        """The topics this service writes or reads, the dead letters of its groups included.

        Read ones too: whoever comes first creates them, so that services may start in any order. `generations`: those
        that are live, by read model; the first of those that are not named.
        """
        models = [model.subscribe(generations.get(model.name, Generation(1))) for model in self.read_models]
        subscriptions = [*self.subscriptions, *models]
        read = {name for subscription in subscriptions for name in subscription.topics}
        dead = [dead_letters(subscription, self.name) for subscription in subscriptions]
        return [topic for topic in TOPICS.values() if topic.owner == self.name or topic.name in read] + dead


@dataclass
class Runtime(Generic[R]):
    """The running parts of a service, for its routes and its composition root."""

    service: Service[R]
    settings: Settings
    clock: Clock
    store: Store
    broker: Broker
    projectors: dict[str, Projector[R]] = field(default_factory=dict)
    prepared: R | None = None

    async def prepare(self) -> R:
        """Let the service prepare itself; its resources. Raises what its `prepare` raises."""
        self.prepared = await self.service.prepare(self)
        return self.prepared

    @property
    def resources(self) -> R:
        """What `prepare` returned. Raises Unavailable until then."""
        if self.prepared is None:
            raise Unavailable("the service is starting")
        return self.prepared

    def generation(self, model: str) -> Generation:
        """The live generation of a read model."""
        return self.projectors[model].generation


def runtime_of(request: Request) -> Runtime:
    """The runtime behind a request. Raises Unavailable until the service has started."""
    runtime: Runtime | None = getattr(request.app.state, "runtime", None)
    if runtime is None:
        raise Unavailable("the service is starting")
    return runtime


def resources_of(request: Request, kind: type[R]) -> R:
    """The service's resources behind a request, of the kind its `prepare` returns. Raises Unavailable until then."""
    resources = runtime_of(request).resources
    if not isinstance(resources, kind):
        raise TypeError(f"the service's resources are {type(resources).__name__}, not {kind.__name__}")
    return resources


def connect(service: Service[R], settings: Settings) -> Runtime[R]:
    """The parts of a service, connected but not started."""
    store = open_store(service, settings)
    return Runtime(service, settings, store.clock, store, open_broker(settings))


def open_store(service: Service[R], settings: StoreSettings) -> Store:
    """A service's database by itself, as commands need it that run no handler."""
    driver = MongoDriver.of(settings, service.name)
    return Store(driver, settings.clock(), [*service.collections, MARKS, PARKED, LIVE, DEFERRED])


def open_broker(settings: KafkaSettings) -> KafkaBroker:
    """The event log by itself."""
    return KafkaBroker(
        Connection.of(settings),
        settings.kafka_partitions,
        settings.kafka_replicas,
        creates=settings.kafka_create_topics,
    )


def application(
    runtime: Runtime[R], *, serves: bool = True, live: Probe | None = None, ready: Probe | None = None
) -> FastAPI:
    """The service's HTTP application; without `serves` only its probes."""
    service, settings = runtime.service, runtime.settings
    return create_app(
        service.name,
        service.routers if serves else (),
        verifier=Verifier(KeySet(settings.auth_jwks), settings.auth_issuer, settings.auth_audience, SystemClock()),
        messages=Messages.load(*service.messages),
        limits=Limits(trusted_proxies=settings.networks()),
        state={"store": runtime.store},
        live=live or _well,
        ready=ready or _well,
        mounts=service.mounts if serves else (),
    )


async def _well() -> dict[str, bool]:
    return {}


class Process(Generic[R]):
    """One running process of a service."""

    def __init__(self, runtime: Runtime[R], role: Role) -> None:
        self._runtime = runtime
        self._role = role
        self._stopping = asyncio.Event()
        self._topics_there = asyncio.Event()
        self._works = role in {"worker", "all"}
        self._clock_right = True
        service, store, broker = runtime.service, runtime.store, runtime.broker
        self._relay = Relay(store, broker.publisher())
        self._workers: list[Worker[R]] = []
        self._timekeepers: list[Timekeeper[R]] = []
        runtime.projectors = {model.name: Projector(store, broker, model) for model in service.read_models}

    async def run(self) -> int:
        """Until SIGTERM, SIGINT or the first part that fails; the exit code."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stopping.set)
        server, operations = self._servers()
        parts = _Parts(
            asyncio.create_task(server.serve()),
            asyncio.create_task(operations.serve()),
            asyncio.create_task(telemetry.watch_event_loop()),
        )
        starting = asyncio.create_task(self._start())
        failed = await self._until_stopped(starting, parts)
        if not failed and not self._stopping.is_set():
            self._start_parts(parts, starting.result())
            failed = await self._until_stopped(None, parts)
        await self._finish(server, parts)
        return 1 if failed else 0

    async def _start(self) -> R:
        """Wait for the database, create what is missing, let the service prepare itself."""
        while True:
            try:
                await self._runtime.store.ensure_indexes()
                for projector in self._runtime.projectors.values():
                    await projector.prepare()
                resources = await self._runtime.prepare()
            except Unavailable as error:
                log.warning("waiting for the database: %s", error)
                await asyncio.sleep(0.5)
            else:
                self._app.state.runtime = self._runtime
                gc.collect()
                gc.freeze()
                gc.set_threshold(*COLLECT)
                return resources

    def _start_parts(self, parts: _Parts, resources: R) -> None:
        service, store, broker = self._runtime.service, self._runtime.store, self._runtime.broker
        parts.relay = asyncio.create_task(self._relay.run())
        parts.topics = asyncio.create_task(self._keep_topics())
        parts.clock = asyncio.create_task(self._watch_clock())
        projectors = self._runtime.projectors.values()
        if self._works:
            self._workers = [Worker(store, broker, each, resources) for each in service.subscriptions]
            self._timekeepers = [Timekeeper(store, each, resources) for each in service.deadlines]
        fed = [partial(projector.feed, resources) for projector in projectors]
        parts.work = [
            *(asyncio.create_task(timekeeper.run()) for timekeeper in self._timekeepers),
            *(asyncio.create_task(self._once_topics_are_there(worker.run)) for worker in self._workers),
            *(asyncio.create_task(self._once_topics_are_there(feed)) for feed in fed if self._works),
            *(asyncio.create_task(projector.follow()) for projector in projectors if not self._works),
        ]

    async def _keep_topics(self) -> None:
        """Create what is missing, as soon as Kafka answers; then there is nothing left to do."""
        generations = {name: projector.generation for name, projector in self._runtime.projectors.items()}
        while not self._topics_there.is_set():
            try:
                await self._runtime.broker.ensure_topics(self._runtime.service.topics(generations))
                self._topics_there.set()
            except Unavailable as error:
                log.warning("waiting for Kafka: %s", error)
                await asyncio.sleep(0.5)
        await self._stopping.wait()

    async def _once_topics_are_there(self, run: Callable[[], Awaitable[None]]) -> None:
        ready = [asyncio.create_task(event.wait()) for event in (self._topics_there, self._stopping)]
        await asyncio.wait(ready, return_when=asyncio.FIRST_COMPLETED)
        for each in ready:
            each.cancel()
        if not self._stopping.is_set():
            await run()

    async def _watch_clock(self) -> None:
        while True:
            with contextlib.suppress(Unavailable):
                ahead = await clock_ahead(self._runtime.store.driver)
                telemetry.CLOCK_AHEAD_SECONDS.set(ahead)
                self._clock_right = abs(ahead) <= CLOCK_OFF
                if not self._clock_right:
                    log.critical("this clock is %.1f s ahead of the database's: not ready", ahead)
            await asyncio.sleep(CLOCK_EVERY)

    async def _until_stopped(self, first: asyncio.Task[R] | None, parts: _Parts) -> bool:
        """Until told to stop, a part ends (True: it should not), or `first` is done."""
        stopping = asyncio.create_task(self._stopping.wait())
        waited: set[asyncio.Task[Any]] = {stopping, *parts, *([first] if first else [])}
        done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if stopping in done:
            if first:
                first.cancel()
            return False
        stopping.cancel()
        if first in done and first is not None and first.exception() is None:
            return False
        for task in done:
            log.critical("a part of the service ended: %r", task, exc_info=task.exception())
        return True

    async def _finish(self, server: Server, parts: _Parts) -> None:
        self._stopping.set()
        await asyncio.sleep(self._runtime.settings.unready_seconds)
        server.should_exit = True
        await _within(FINISH_REQUESTS + 2.0, [parts.serving])
        stops = [part.stop for part in self._workers]
        stops += [part.stop for part in self._timekeepers]
        stops += [part.stop for part in self._runtime.projectors.values()]
        for stop in stops:
            stop()
        await _within(FINISH_BATCHES, parts.work)
        await _within(FINISH_DRAIN, [asyncio.create_task(self._runtime.store.drain())])
        self._relay.stop()
        await _within(FINISH_RELAY, [parts.relay] if parts.relay else [])
        left = [part for part in parts if part is not parts.serving]
        for part in left:
            part.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        with contextlib.suppress(Unavailable):
            await self._runtime.store.driver.close()

    async def _ready(self) -> dict[str, bool]:
        """Whoever answers requests does so whatever becomes of its consumers; a mere worker is what they are."""
        parts = {
            "started": self._runtime.prepared is not None,
            "staying": not self._stopping.is_set(),
            "clock": self._clock_right,
        }
        if self._role != "worker":
            return parts
        return parts | {worker.subscription.group: worker.ready() for worker in self._all_workers()}

    async def _live(self) -> dict[str, bool]:
        return {worker.subscription.group: worker.alive() for worker in self._all_workers()}

    def _all_workers(self) -> list[Worker[R]]:
        feeding = [each.worker for each in self._runtime.projectors.values() if each.worker is not None]
        return [*self._workers, *feeding]

    def _servers(self) -> tuple[Server, Server]:
        """The one for everybody and the one for those who operate the platform, which answers to the end."""
        settings = self._runtime.settings
        serves = self._role in {"api", "all"}
        self._app = application(self._runtime, serves=serves, live=self._live, ready=self._ready)
        operations = operations_app(self._live, self._ready)
        return (
            server(self._app, settings.http_host, settings.http_port, graceful=FINISH_REQUESTS),
            server(operations, settings.http_host, settings.metrics_port, graceful=1),
        )


@dataclass
class _Parts:
    """The tasks of a process, by what the end does with them: each is stopped before those above it."""

    serving: asyncio.Task[None]
    operating: asyncio.Task[None]
    watching: asyncio.Task[None]
    relay: asyncio.Task[None] | None = None
    topics: asyncio.Task[None] | None = None
    clock: asyncio.Task[None] | None = None
    work: list[asyncio.Task[None]] = field(default_factory=list)

    def __iter__(self) -> Iterator[asyncio.Task[None]]:
        alone = (self.relay, self.topics, self.clock)
        tasks = (self.serving, self.operating, self.watching, *self.work)
        yield from (*tasks, *(part for part in alone if part is not None))


async def _within(seconds: float, tasks: Sequence[asyncio.Task[Any]]) -> None:
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            log.error("not finished in time: %r", task)


def main(service: Service[R]) -> None:
    """The command line of a service: `api | worker | all | migrate | indexes | rebuild MODEL`."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{service.name}")
    roles = parser.add_subparsers(dest="role", required=True)
    for role in ("api", "worker", "all"):
        roles.add_parser(role)
    roles.add_parser("migrate", help="make missing indexes, and topics if KAFKA_CREATE_TOPICS, and end")
    indexes = roles.add_parser("indexes", help="tell which indexes are not as this version declares them")
    indexes.add_argument("--yes", action="store_true", help="change them; takes long where there is much")
    if service.read_models:
        models = roles.add_parser("rebuild", help="build a read model anew beside the live one and swap it in")
        models.add_argument("model", choices=[model.name for model in service.read_models])
    options = parser.parse_args()
    try:
        settings = service.settings.read()
        telemetry.configure_logging(service.name, options.role, settings.log_level)
        if options.role == "migrate":
            uvloop.run(_migrate(service, settings))
        elif options.role == "indexes":
            uvloop.run(_indexes(service, settings, options.yes))
        elif options.role == "rebuild":
            uvloop.run(_rebuild(service, settings, options.model))
        else:
            sys.exit(uvloop.run(_run(service, settings, options.role)))
    except Misconfigured as error:
        sys.exit(str(error))


async def _run(service: Service[R], settings: Settings, role: Role) -> int:
    version = telemetry.introduce(service.name, role)
    tracing = traces.start(service.name, role, version)
    telemetry.trace_with(tracing)
    try:
        return await Process(connect(service, settings), role).run()
    finally:
        if tracing is not None:
            await asyncio.to_thread(tracing.stop)


async def _rebuild(service: Service[R], settings: Settings, name: str) -> None:
    runtime = connect(service, settings)
    model = next(model for model in service.read_models if model.name == name)
    try:
        await runtime.store.ensure_indexes()
        generation = await rebuild(runtime.store, runtime.broker, model, await runtime.prepare())
        log.info("read model %s is rebuilt; generation %d is live", name, generation.number)
    finally:
        await runtime.store.close()


async def _migrate(service: Service[R], settings: Settings) -> None:
    """Make what a release needs before its processes start, waiting for the servers; nothing of it is ever changed."""
    store = open_store(service, settings)
    broker = open_broker(settings) if settings.kafka_create_topics else None
    try:
        while True:
            try:
                await store.ensure_indexes()
                if broker is not None:
                    await broker.ensure_topics(service.topics())
            except Unavailable as error:
                log.warning("waiting for the servers: %s", error)
                await asyncio.sleep(2)
            else:
                log.info("indexes%s are there", " and topics" if broker else "")
                return
    finally:
        with contextlib.suppress(Unavailable):
            await store.close()


async def _indexes(service: Service[R], settings: StoreSettings, yes: bool) -> None:
    """Tell what is not as declared, the live generations of read models included; change it only if told to."""
    store = open_store(service, settings)
    try:
        live = [
            generation(collection)
            for model in service.read_models
            for generation in [Generation((await store.get(LIVE, model.name) or Live(model.name)).number)]
            for collection in model.collections
        ]
        changes = await migration.plan(store.driver, [*store.collections, *live])
        for change in changes:
            sys.stdout.write(f"{change.step.value}  {change.collection}  {change.name}\n")
        if not changes:
            sys.stdout.write("索引与声明一致 · every index is as declared\n")
        elif yes:
            await migration.carry_out(store.driver, changes)
            sys.stdout.write("完成 · done\n")
        else:
            sys.stdout.write("未作改动，加 --yes 执行 · nothing was changed; add --yes to do it\n")
    finally:
        await store.close()
