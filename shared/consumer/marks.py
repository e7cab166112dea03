"""How far a group has come with an aggregate, and with whatever its events are ordered by."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.event import Event
from shared.store import Collection


@dataclass
class Mark:
    """How far a group has come: `sequence` is handled, up to `parked_to` is parked.

    Of numbers between the two, those in `resolved` were handled or given up, and others may not have come yet.
    """

    id: str
    sequence: int = 0
    parked_to: int = 0
    resolved: list[int] = field(default_factory=list)

    @property
    def seen(self) -> int:
        return max(self.sequence, self.parked_to)

    def has(self, number: int) -> bool:
        """Whether the event of this number was handled, or given up."""
        return number <= self.sequence or number in self.resolved

    def advance(self, number: int) -> None:
        """Everything up to the number is handled, or will not be."""
        self.sequence = max(self.sequence, number)
        if self.resolved:
            self._absorb()

    def done(self, number: int) -> None:
        """The number is handled or given up, in its turn or not."""
        self.resolved.append(number)
        self._absorb()

    def free(self) -> None:
        """Nothing is parked any more: whatever has not come is given up."""
        self.sequence, self.parked_to, self.resolved = self.seen, 0, []

    def _absorb(self) -> None:
        while self.sequence + 1 in self.resolved:
            self.sequence += 1
        self.resolved = sorted(each for each in self.resolved if each > self.sequence)


MARKS = Collection("marks", Mark)


def mark_id(group: str, event: Event) -> str:
    """The mark of the event's aggregate."""
    return f"{group}|{event.topic}|{event.subject}"


def lane_id(group: str, event: Event) -> str:
    """The mark of the key, for groups that are ordered by it: it numbers what is parked of the key."""
    return f"{group}|{event.topic}|key={event.key}"
