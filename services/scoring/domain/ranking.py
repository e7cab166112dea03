"""Who stands where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal


def ranked(scores: Mapping[str, Decimal]) -> Sequence[tuple[int, str]]:
    """Units by score, best first; equal scores share a rank and the next one is left out (1, 2, 2, 4)."""
    order = sorted(scores, key=lambda unit: (-scores[unit], unit))
    ranks: list[tuple[int, str]] = []
    for place, unit in enumerate(order, start=1):
        tied = bool(ranks) and scores[ranks[-1][1]] == scores[unit]
        ranks.append((ranks[-1][0] if tied else place, unit))
    return ranks
