"""Waiting for a fact, never for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T | None]], seconds: float = 30.0) -> T:
    """What `look` finds, as soon as it finds something. Raises AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = await look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {seconds:.0f} s: {found!r}")
        await asyncio.sleep(0.02)
