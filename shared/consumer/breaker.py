"""When parking becomes the rule, something else is wrong than single events."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


class Broken(Exception):
    """The worker stopped itself; somebody has to look before it goes on."""


@dataclass
class Breaker:
    """Trips after `in_a_row` poisonous events, or when more than `share` of the last `window` were."""

    in_a_row: int = 20
    share: float = 0.05
    window: int = 1000
    _row: int = 0
    _recent: deque[bool] = field(default_factory=deque)

    def handled(self, poison: bool) -> None:
        """Count one event. Raises Broken when parking it would be one too many."""
        self._row = self._row + 1 if poison else 0
        self._recent.append(poison)
        if len(self._recent) > self.window:
            self._recent.popleft()
        if self._row > self.in_a_row:
            raise Broken(f"{self._row} poisonous events in a row")
        if len(self._recent) == self.window and sum(self._recent) > self.share * self.window:
            raise Broken(f"{sum(self._recent)} of the last {self.window} events were poisonous")

    def passed(self, count: int) -> None:
        """Count good events."""
        for _ in range(min(count, self.window)):
            self.handled(poison=False)
