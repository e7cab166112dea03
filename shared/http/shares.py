"""Seats that all callers share, of which one subscriber has a few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import TooMany, Unavailable


class Shares:
    """`seats` for what one process can do at once for everybody, `each` of them at most for one subscriber."""

    def __init__(self, seats: int, each: int) -> None:
        self._free = seats
        self._each = each
        self._taken: Counter[str] = Counter()

    @contextmanager
    def take(self, subscriber: str) -> Iterator[None]:
        """A seat, given back at the end.

        Raises TooMany (`rate-limited`) when the subscriber has all of theirs, and Unavailable when none is left.
        """
        if self._taken[subscriber] >= self._each:
            raise TooMany("rate-limited", retry_after=RETRY_AFTER)
        if self._free == 0:
            raise Unavailable("all seats are taken")
        self._free -= 1
        self._taken[subscriber] += 1
        try:
            yield
        finally:
            self._free += 1
            self._taken[subscriber] -= 1
            if not self._taken[subscriber]:
                del self._taken[subscriber]


RETRY_AFTER = 5
"""Seconds after which one of one's own seats may be free again."""
