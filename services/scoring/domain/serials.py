"""Numbers of official papers: 〔year〕第n号, without a gap."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Serial:
    """The last number given to papers of one kind in a year (Asia/Shanghai); the identity is `<kind>/<year>`."""

    id: str
    last: int = 0

    @staticmethod
    def id_of(kind: str, year: int) -> str:
        """One row of numbers."""
        return f"{kind}/{year}"

    def next(self) -> int:
        """The number that follows, from 1 on and without a gap."""
        self.last += 1
        return self.last
