"""Who lost a race tries again in turn: of all who want to change one document, one at a time decides and commits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

from shared.store.commit import Place


class Turns:
    """Turns at documents, within this process; the first try needs none, so the usual command pays nothing."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Place, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def taken(self, places: Collection[Place]) -> AsyncIterator[None]:
        """When nobody else has a turn at any of the places. Always taken in one order, so nobody waits in a circle."""
        async with AsyncExitStack() as turns:
            for lock in [self._locks.setdefault(place, asyncio.Lock()) for place in sorted(places)]:
                await turns.enter_async_context(lock)
            yield
