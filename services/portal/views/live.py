"""The ranking as it moves: one look at the database per period and change, however many browsers follow it.

Who lets somebody follow sees to it that the period is one of few.

Each message is the whole ranking, and its identity is a digest of the content. So a browser that comes back with
the last identity it saw misses nothing and gets nothing twice, whichever process it reaches.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from hashlib import sha256
from typing import NamedTuple

from services.portal.views.standings import Ranking
from shared.errors import Unavailable
from shared.http import Shares
from shared.months import months_until, next_month
from shared.telemetry import logger

MONTHS = 12
"""This month and those before it whose ranking is offered."""
SHORTEST = 0.25
"""Seconds between two looks, however fast scores move."""

log = logger(__name__)


def followed(current: str) -> list[str]:
    """The months whose ranking can be followed: those offered, and the next, so that nobody is cut off by its turn."""
    return months_until(next_month(current), MONTHS + 1)


Read = Callable[[str], Awaitable[Ranking]]


class Message(NamedTuple):
    """A ranking as JSON; `id` is equal for equal content."""

    id: str
    json: str


class Live:
    """Who follows which period. Looks again when this process has committed something, and every `every` seconds."""

    def __init__(self, read: Read, seats: Shares, every: float = 1.0) -> None:
        self._read = read
        self._seats = seats
        self._every = every
        self._watches: dict[str, _Watch] = {}

    def stir(self) -> None:
        """Something was committed: scores may have moved."""
        for watch in self._watches.values():
            watch.stirred.set()

    @contextlib.contextmanager
    def following(self, period: str, subscriber: str) -> Iterator[Follower]:
        """A seat among the followers of a period. Raises what `Shares.take` raises."""
        with self._seats.take(subscriber):
            watch = self._watches.get(period)
            if watch is None:
                watch = self._watches[period] = _Watch(self._read, period, self._every)
            watch.followers += 1
            try:
                yield Follower(watch)
            finally:
                watch.followers -= 1
                if not watch.followers:
                    del self._watches[period]
                    watch.end()


class Follower:
    """One browser's view of a period."""

    def __init__(self, watch: _Watch) -> None:
        self._watch = watch

    async def messages(self, seen: str | None) -> AsyncIterator[Message]:
        """The ranking now, unless it is the one already seen, and then each time it has changed. Has no end."""
        while True:
            changed = self._watch.changed
            newest = self._watch.newest
            if newest is not None and newest.id != seen:
                seen = newest.id
                yield newest
            else:
                await changed.wait()


class _Watch:
    def __init__(self, read: Read, period: str, every: float) -> None:
        self._read = read
        self._period = period
        self._every = every
        self.followers = 0
        self.stirred = asyncio.Event()
        self.changed = asyncio.Event()
        self.newest: Message | None = None
        self._task = asyncio.create_task(self._run())

    def end(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            self.stirred.clear()
            try:
                self._publish(await self._read(self._period))
            except Unavailable as error:
                log.warning("the ranking cannot be read", reason=str(error))
            await asyncio.sleep(SHORTEST)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self.stirred.wait()

    def _publish(self, ranking: Ranking) -> None:
        json = ranking.model_dump_json()
        message = Message(sha256(json.encode()).hexdigest()[:16], json)
        if self.newest is None or self.newest.id != message.id:
            self.newest = message
            self.changed.set()
            self.changed = asyncio.Event()
