"""What can be reported, as the reports service has it now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from services.portal.district.catalogue import Catalogue
from shared.errors import Unavailable
from shared.telemetry import logger

HOLD = 5.0
"""Seconds for which a catalogue is good enough."""
PATIENCE = 1.0
"""Seconds a page waits for a newer one before it takes the one at hand."""

log = logger(__name__)

Read = Callable[[str | None], Awaitable[tuple[str, bytes] | None]]
"""Tag and content of the catalogue; None when it is still the one of the tag that is given. Raises Unavailable."""


class LiveCatalogue:
    """The newest catalogue this process knows: one question at a time, and no page waits longer than a moment."""

    def __init__(self, first: Catalogue, read: Read, hold: float = HOLD) -> None:
        self._known = first
        self._read = read
        self._hold = hold
        self._tag: str | None = None
        self._looked: float | None = None
        self._looking: asyncio.Task[None] | None = None

    async def current(self) -> Catalogue:
        """The catalogue of now, or the last one known where it cannot be had."""
        if self._looked is None or time.monotonic() - self._looked > self._hold:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look())
            await asyncio.wait([self._looking], timeout=PATIENCE)
        return self._known

    async def _look(self) -> None:
        try:
            if (answer := await self._read(self._tag)) is not None:
                tag, body = answer
                self._known, self._tag = Catalogue.parse(body), tag
        except (Unavailable, ValueError) as error:
            log.warning("the catalogue cannot be read; the last known one stands", reason=str(error)[:200])
        finally:
            self._looked = time.monotonic()
