"""Read models are disposable: a new generation is built beside the live one from the earliest event, then swapped in.

A generation is a number; it names the collections and the consumer group. The document `read_models/<name>` says
which one is live; services look at it every second and follow.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic

from typing_extensions import TypeVar

from shared.consumer import MARKS, PARKED, Subscription, Worker
from shared.contracts import Topic
from shared.errors import Refused, Unavailable
from shared.kafka import Broker, Partition, Position
from shared.lease import held
from shared.store import Collection, Store, UnitOfWork
from shared.store.collection import T

log = logging.getLogger(__name__)

CLOSE = 10.0
"""Seconds behind the end of the log at which a rebuilt model takes over."""
LOOK_EVERY = 0.2

R_contra = TypeVar("R_contra", contravariant=True, default=object)


@dataclass(frozen=True)
class Generation:
    """One build of a read model: `collection` is where this build keeps what another keeps elsewhere."""

    number: int
    _known: dict[str, Collection[Any]] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, collection: Collection[T]) -> Collection[T]:
        """The collection as this generation names it."""
        known = self._known.get(collection.name)
        if known is None:
            known = self._known[collection.name] = collection.renamed(f"{collection.name}_g{self.number}")
        return known

    def group(self, name: str) -> str:
        """The consumer group that feeds this generation."""
        return f"{name}.g{self.number}"


@dataclass(frozen=True)
class ReadModel(Generic[R_contra]):
    """What a read model consists of, and the subscription that feeds a generation of it."""

    name: str
    collections: tuple[Collection[Any], ...]
    subscribe: Callable[[Generation], Subscription[R_contra]]


@dataclass
class Live:
    """Which generation of a read model readers see, which one they saw before, and the newest one ever begun."""

    id: str
    number: int = 1
    former: int = 0
    begun: int = 1


LIVE = Collection("read_models", Live)


class Projector(Generic[R_contra]):
    """Keeps the live generation of one read model fed, and tells readers which one it is."""

    def __init__(self, store: Store, broker: Broker, model: ReadModel[R_contra], every: float = 1.0) -> None:
        self._store = store
        self._broker = broker
        self._model = model
        self._every = every
        self._stopping = asyncio.Event()
        self.generation = Generation(1)
        self.worker: Worker[R_contra] | None = None

    async def prepare(self) -> None:
        """Find the live generation and create what it needs."""
        live = await self._store.get(LIVE, self._model.name)
        if live is not None and live.number != self.generation.number:
            self.generation = Generation(live.number)
        await create(self._store, self._model, self.generation)

    async def follow(self) -> None:
        """Until `stop`: change over when another generation is live, for a process that only reads."""
        while not self._stopping.is_set():
            await self.prepare()
            await self._watch()

    async def feed(self, resources: R_contra) -> None:
        """Until `stop`: feed the live generation; change over when another one is live."""
        while not self._stopping.is_set():
            await self.prepare()
            await self._feed(resources)

    def stop(self) -> None:
        """Let `run` end after started batches."""
        self._stopping.set()
        if self.worker is not None:
            self.worker.stop()

    async def _feed(self, resources: R_contra) -> None:
        self.worker = Worker(self._store, self._broker, self._model.subscribe(self.generation), resources)
        running = asyncio.create_task(self.worker.run())
        watching = asyncio.create_task(self._watch())
        await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
        self.worker.stop()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        try:
            await running
        finally:
            self.worker = None

    async def _watch(self) -> None:
        """Returns when another generation is live, or at the end."""
        while not self._stopping.is_set():
            try:
                async with asyncio.timeout(self._every):
                    await self._stopping.wait()
            except TimeoutError:
                pass
            try:
                live = await self._store.get(LIVE, self._model.name)
            except Unavailable:
                continue
            if live is not None and live.number != self.generation.number:
                return


async def create(store: Store, model: ReadModel[R_contra], generation: Generation) -> None:
    """The generation's collections and indexes; may be repeated."""
    for collection in map(generation, model.collections):
        await store.driver.ensure_indexes(collection.name, collection.indexes)


def dead_letters(subscription: Subscription[R_contra], owner: str) -> Topic:
    """Where the group's parked records are copied to."""
    return Topic(f"{subscription.group}.dlq", owner=owner, aggregate="as in the source", internal=True)


async def rebuild(
    store: Store, broker: Broker, model: ReadModel[R_contra], resources: R_contra, patience: float = 3600.0
) -> Generation:
    """Build the next generation from the earliest event, make it live, and drop those before the last one.

    A number is never used twice: the broker would let a second try go on where the first one gave up.
    Returns the new generation. Raises Refused (`rebuild-running`) while another rebuild holds the lease, TimeoutError
    when it has not caught up within `patience` seconds, and RuntimeError when an event cannot be handled, or a log
    does not begin at its beginning: the live one is untouched then.
    """
    async with held(store, f"rebuild-{model.name}", Refused("rebuild-running", model=model.name)) as lease:
        live = await store.run(lambda uow: _begin(uow, model.name))
        for number in {live.former, *range(live.number + 1, live.begun)}:
            await _drop(store, model, Generation(number))
        fresh = Generation(live.begun)
        await create(store, model, fresh)
        subscription = model.subscribe(fresh)
        await broker.ensure_topics([dead_letters(subscription, model.name)])
        async with asyncio.timeout(patience):
            await catch_up(Worker(store, broker, subscription, resources))
        if lease.lost:
            raise RuntimeError("the rebuild was cut off for so long that another one may have begun")
        await store.run(lambda uow: _switch(uow, model.name, fresh.number))
        return fresh


async def catch_up(worker: Worker[R_contra]) -> None:
    """Run the worker until it is close to the end of the log. Raises RuntimeError when it stops before that."""
    running = asyncio.create_task(worker.run())

    async def check() -> None:
        if running.done() or worker.broken:
            raise RuntimeError(f"the rebuild stopped: {worker.broken}")

    try:
        await until_close(worker, check)
    finally:
        worker.stop()
        await running


async def until_close(worker: Worker[R_contra], check: Callable[[], Awaitable[None]], close: float = CLOSE) -> None:
    """Returns when the running worker has handled, within `close` seconds, all that there was when they began.

    While events come there is always one that is not handled yet: what is left is no more than came in that time,
    and what runs afterwards goes on with it. Raises what `check` raises, which is called again and again, and
    RuntimeError of a log that does not begin at its beginning, or is shorter than what was read of it.
    """
    while True:
        began = time.monotonic()
        ends = {place: position.end for place, position in (await _positions(worker, check)).items()}
        while not _reached(ends, await _positions(worker, check)):  # noqa: ASYNC110  (another machine decides)
            await asyncio.sleep(LOOK_EVERY)
        if time.monotonic() - began <= close:
            return
        await asyncio.sleep(LOOK_EVERY)


def _reached(ends: Mapping[Partition, int], found: Mapping[Partition, Position]) -> bool:
    return all(position.next >= ends.get(place, 0) for place, position in found.items())


async def _positions(worker: Worker[R_contra], check: Callable[[], Awaitable[None]]) -> Mapping[Partition, Position]:
    """Once partitions of all topics are there and somebody can tell."""
    while True:
        await check()
        try:
            found = await worker.positions()
        except Unavailable:
            found = {}
        if {place.topic for place in found} >= set(worker.subscription.topics):
            break
        await asyncio.sleep(LOOK_EVERY)
    for place, position in found.items():
        if position.first > 0:
            raise RuntimeError(
                f"the log of {place.topic} {place.number} begins at {position.first}: what came before is gone"
            )
        if position.next > position.end:
            raise RuntimeError(f"the log of {place.topic} {place.number} ends before what was read of it")
    return found


async def _begin(uow: UnitOfWork, name: str) -> Live:
    live = await uow.find(LIVE, name)
    if live is None:
        live = Live(name)
        uow.insert(LIVE, live)
    live.begun = max(live.begun, live.number) + 1
    uow.save(LIVE, live)
    return live


async def _switch(uow: UnitOfWork, name: str, number: int) -> None:
    live = await uow.get(LIVE, name)
    live.former, live.number = live.number, number
    uow.save(LIVE, live)


async def _drop(store: Store, model: ReadModel[R_contra], generation: Generation) -> None:
    for collection in map(generation, model.collections):
        await store.driver.drop(collection.name)
    group = model.subscribe(generation).group
    await store.driver.delete(MARKS.name, {"_id": {"$regex": f"^{re.escape(group)}\\|"}})
    await store.driver.delete(PARKED.name, {"group": group})
