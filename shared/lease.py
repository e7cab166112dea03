"""Held by one process at a time, for as long as it lives: renewed while it works, free soon after it died."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.errors import Refused, Unavailable
from shared.store import Store

log = logging.getLogger(__name__)


@dataclass
class Lease:
    """`lost` once somebody else may have it: what only its holder may do must not be done any more."""

    name: str
    lost: bool = False


@asynccontextmanager
async def held(store: Store, name: str, refusal: Refused, seconds: float = 60.0) -> AsyncIterator[Lease]:
    """The lease, renewed every quarter of `seconds`. Raises the refusal while another holds it, and Unavailable."""
    holder, lease = uuid.uuid4().hex, Lease(name)
    if not await store.driver.lease(name, holder, seconds):
        raise refusal
    renewing = asyncio.create_task(_renew(store, lease, holder, seconds))
    try:
        yield lease
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        with contextlib.suppress(Unavailable):
            await store.driver.release(name, holder)


async def _renew(store: Store, lease: Lease, holder: str, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    sure_until = loop.time() + seconds
    while not lease.lost:
        await asyncio.sleep(seconds / 4)
        try:
            asked = loop.time()
            if await store.driver.lease(lease.name, holder, seconds):
                sure_until = asked + seconds
            else:
                lease.lost = True
        except Unavailable as error:
            log.warning("the lease %s is not renewed: %s", lease.name, error)
            lease.lost = loop.time() > sure_until
