"""Which faults pass by themselves, and how long to wait for that."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator

from shared.consumer.breaker import Broken
from shared.errors import Conflict, DomainError, Duplicate, Unavailable
from shared.event import Undecodable

log = logging.getLogger(__name__)

TRIES = 5
"""Of a fault that nobody knows to pass."""
LONGEST_PAUSE = 30.0


def passes(error: Exception) -> bool:
    """A server that is away, or a lost race. An identity that is taken stays taken, but for the race for a mark."""
    return isinstance(error, (Conflict, Unavailable)) and not isinstance(error, Duplicate)


def pauses(longest: float) -> Iterator[float]:
    """Growing pauses with full jitter: up to 0.2 s, 0.4 s, … `longest` seconds."""
    most = min(0.2, longest)
    while True:
        yield random.uniform(0, most)  # noqa: S311  (jitter, no secret)
        most = min(longest, 2 * most)


async def patiently(step: Callable[[], Awaitable[None]], who: str, longest: float, tries: int = TRIES) -> None:
    """Until the step is done. Raises what it raises: poison at once, a fault that nobody knows after `tries`."""
    rests, failures = pauses(longest), 0
    while True:
        try:
            return await step()
        except (Broken, DomainError, Undecodable):
            raise
        except Exception as error:
            failures += not passes(error)
            if failures >= tries:
                raise
            log.warning("%s tries again: %r", who, error)
            await asyncio.sleep(next(rests))
