"""Time as an input: a document whose `deadline_at` has passed gets an ordinary command, once.

The command moves or clears `deadline_at` in the transaction of its other effects; its guard on the version is what
makes it fire once. The lease only spares several processes the same work.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic

from typing_extensions import TypeVar

from shared import telemetry
from shared.errors import Conflict, Unavailable
from shared.store import Collection, Store, UnitOfWork

log = logging.getLogger(__name__)

R_contra = TypeVar("R_contra", contravariant=True, default=object)
Command = Callable[[UnitOfWork, str, R_contra], Awaitable[None]]

BATCH = 100


@dataclass(frozen=True)
class Deadline(Generic[R_contra]):
    """Documents of `collection`, indexed by `deadline_at`, and the command for one that is due.

    The command gets the identity and the service's resources.
    """

    collection: Collection[Any]
    command: Command[R_contra]


class Timekeeper(Generic[R_contra]):
    """Runs one deadline: looks every `every` seconds, and at once when this process commits something due."""

    def __init__(
        self, store: Store, deadline: Deadline[R_contra], resources: R_contra, every: float = 1.0, at_once: int = 4
    ) -> None:
        self._store = store
        self._deadline = deadline
        self._resources = resources
        self._name = deadline.collection.name
        self._every = every
        self._at_once = at_once
        self._holder = uuid.uuid4().hex
        self._sure_until = 0.0
        self._bell = asyncio.Event()
        self._stopping = False
        store.on_commit(self._listen)

    async def run(self) -> None:
        """Until `stop`."""
        while not self._stopping:
            try:
                if await self._holds_lease():
                    while not self._stopping and await self.look():
                        pass
            except (Conflict, Unavailable) as error:
                log.warning("deadlines of %s wait: %r", self._name, error)
            await self._rest()
        await self._hand_over()

    async def _holds_lease(self) -> bool:
        """Whether this process is the one that looks; asked of the server only when half of the lease is over."""
        now = time.monotonic()
        if now >= self._sure_until:
            lease = 5 * self._every + 5
            held = await self._store.driver.lease(f"deadline-{self._name}", self._holder, lease)
            self._sure_until = now + lease / 2 if held else now
            return held
        return True

    def stop(self) -> None:
        """Let `run` end after what it has begun."""
        self._stopping = True
        self._bell.set()

    async def look(self) -> int:
        """Give everything due its command; how many took effect. Those that lost a race are due again next time."""
        due = await self._store.driver.find(
            self._name,
            {"deadline_at": {"$lte": self._store.clock.now()}},
            [("deadline_at", 1)],
            BATCH * self._at_once,
            fields=(),
        )
        ids = [document["_id"] for document in due]
        batches = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
        fired = sum(await asyncio.gather(*map(self._fire, batches)))
        telemetry.DEADLINES_FIRED.labels(self._name).inc(fired)
        return fired

    async def _fire(self, ids: list[str]) -> int:
        """One unit of work for all; when one of them spoils it, each on its own."""
        uow = self._store.unit()
        try:
            await uow.load(self._deadline.collection, ids)
            for id in ids:
                await self._deadline.command(uow, id, self._resources)
            await self._store.commit(uow)
        except Unavailable:
            raise
        except Exception as error:  # one document must not keep the others from their deadline
            log.warning("deadlines of %s are taken one by one: %r", self._name, error)
            return sum([await self._fire_alone(id) for id in ids])
        return 0 if uow.is_empty() else len(ids)

    async def _fire_alone(self, id: str) -> int:
        async def command(uow: UnitOfWork) -> bool:
            await self._deadline.command(uow, id, self._resources)
            return not uow.is_empty()

        try:
            return int(await self._store.run(command))
        except Unavailable:
            raise
        except Exception:  # as above; it stays due and visible
            log.exception("the deadline of %s %s cannot be met", self._name, id)
            return 0

    def _listen(self, uow: UnitOfWork) -> None:
        soon = self._store.clock.now() + timedelta(seconds=self._every)
        if any(
            getattr(entity, "deadline_at", None) is not None and entity.deadline_at <= soon
            for entity in uow.changed(self._deadline.collection)
        ):
            self._bell.set()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._every):
                await self._bell.wait()
        except TimeoutError:
            return
        finally:
            self._bell.clear()

    async def _hand_over(self) -> None:
        try:
            await self._store.driver.release(f"deadline-{self._name}", self._holder)
        except Unavailable:
            return
