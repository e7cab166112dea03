"""Places in a small pool, of which no one caller may hold more than a share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import TooMany, Unavailable


class Shares:
    """So many `places` at once in this process, and at most `each` of them for one holder.

    A pool that one address can fill is shut to everybody else.
    """

    def __init__(self, places: int, each: int, code: str | None = None, retry_after: int = 5) -> None:
        """`code` is that of the refusal, if a full pool is one and not an outage of a moment."""
        self._free = places
        self._each = each
        self._code, self._retry_after = code, retry_after
        self._held: Counter[str] = Counter()

    @contextmanager
    def take(self, holder: str | None) -> Iterator[None]:
        """A place as long as the context lasts; None holds no share of its own.

        Raises TooMany (`rate-limited`, or the pool's own code) for a holder of a whole share; when there is no place
        at all, TooMany with the pool's code or Unavailable.
        """
        if holder is not None and self._held[holder] >= self._each:
            raise TooMany(self._code or "rate-limited", retry_after=self._retry_after)
        if self._free <= 0 and self._code is not None:
            raise TooMany(self._code, retry_after=self._retry_after)
        if self._free <= 0:
            raise Unavailable("all places are taken")
        self._free -= 1
        if holder is not None:
            self._held[holder] += 1
        try:
            yield
        finally:
            self._free += 1
            if holder is not None:
                self._held[holder] -= 1
                if not self._held[holder]:
                    del self._held[holder]
