"""Who stands where: the best score first; equal scores share a rank and the next is left out (1, 2, 2, 4). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal


def ranked(scores: Mapping[str, Decimal]) -> Sequence[tuple[int, str]]:
    """Rank and unit, best first; units of equal score by their code."""
    order = sorted(scores, key=lambda unit: (-scores[unit], unit))
    ranks: list[tuple[int, str]] = []
    for position, unit in enumerate(order, start=1):
        tied = bool(ranks) and scores[ranks[-1][1]] == scores[unit]
        ranks.append((ranks[-1][0] if tied else position, unit))
    return ranks


def ranked_in_groups(scores: Mapping[str, Decimal], groups: Mapping[str, str]) -> dict[str, int]:
    """The rank of each unit among those of its group; units that `groups` does not have are a group of their own."""
    members: dict[str, dict[str, Decimal]] = {}
    for unit, score in scores.items():
        members.setdefault(groups.get(unit, ""), {})[unit] = score
    return {unit: rank for group in members.values() for rank, unit in ranked(group)}
