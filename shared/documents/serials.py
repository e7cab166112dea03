"""Numbers of official papers: 〔year〕第n号, without a gap. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Serial:
    """The last number given to papers of one kind in a year (Asia/Shanghai); the identity says of which."""

    id: str
    last: int = 0

    @staticmethod
    def id_of(*of: object) -> str:
        """One row of numbers: `<kind>/…/<year>`."""
        return "/".join(map(str, of))

    def next(self) -> int:
        """The number that follows, from 1 on and without a gap."""
        self.last += 1
        return self.last


def numbered(year: int, number: int) -> str:
    """A number as papers bear it: 〔2026〕第0001号."""
    return f"〔{year}〕第{number:04}号"
