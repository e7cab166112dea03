"""Waiting, within bounds, for a view to show what its reader has just done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PAUSES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5)
"""Seconds between looks: two in all. A view is usually there at the second look."""


async def until(look: Callable[[], Awaitable[T]], enough: Callable[[T], bool], *, patient: bool) -> T:
    """What `look` finds as soon as it is enough, or in the end anyway; without patience the first find."""
    found = await look()
    for pause in PAUSES if patient else ():
        if enough(found):
            break
        await asyncio.sleep(pause)
        found = await look()
    return found
