"""Spots where a problem comes back (反复发生): each case there is the repeat of one signed off shortly before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.reports.domain.facts import Place
from shared.contracts.reports import CaseState


@dataclass
class Occurrence:
    """A case as far as it tells that a problem was there. Times are UTC."""

    id: str
    state: CaseState
    category: str
    place: Place
    unit: str | None
    registered_at: datetime
    repeat_of: str | None = None


@dataclass(frozen=True)
class Spot:
    """Cases that go back to the same first one, the newest first."""

    cases: tuple[Occurrence, ...]

    @property
    def last(self) -> Occurrence:
        """The newest case."""
        return self.cases[0]


def spots(occurrences: Iterable[Occurrence], least: int) -> list[Spot]:
    """The spots with at least so many of the cases, those with the most first."""
    known = {each.id: each for each in occurrences}
    chains: dict[str, list[Occurrence]] = defaultdict(list)
    for each in known.values():
        chains[_first(each, known)].append(each)
    found = [
        Spot(tuple(sorted(chain, key=lambda each: (each.registered_at, each.id), reverse=True)))
        for chain in chains.values()
        if len(chain) >= least
    ]
    return sorted(found, key=lambda spot: (len(spot.cases), spot.last.registered_at, spot.last.id), reverse=True)


def _first(occurrence: Occurrence, known: Mapping[str, Occurrence]) -> str:
    """The identity of the case that it goes back to; that one need not be known itself."""
    while occurrence.repeat_of is not None:
        if occurrence.repeat_of not in known:
            return occurrence.repeat_of
        occurrence = known[occurrence.repeat_of]
    return occurrence.id
