"""How the units stand in a month."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel

from services.portal.district import District
from services.portal.domain.standings import FULL_SCORE, StandingView
from shared.district import Name
from shared.ranking import ranked, ranked_in_groups
from shared.store import Collection, Store


class Rank(BaseModel):
    """A unit's rank in a period: among all units, and among those of its group."""

    rank: int
    group_rank: int
    unit: str
    name: Name
    group: str
    score: Decimal
    points_lost: Decimal
    entries: int
    changed_at: datetime | None
    frozen: bool = False


class Ranking(BaseModel):
    """All units of the district in a period, best first; `frozen` when nothing is posted to it any more."""

    period: str
    frozen: bool = False
    standings: list[Rank]


class Standings:
    """The standings of a generation of the board."""

    def __init__(self, store: Store, standings: Collection[StandingView], district: District) -> None:
        self._store, self._standings, self._district = store, standings, district

    async def ranking(self, period: str) -> Ranking:
        """The ranking of a period; a unit without deductions has the full score."""
        found = {each.unit: each for each in await self._store.find(self._standings, {"period": period})}
        frozen = bool(found) and all(each.frozen for each in found.values())
        return Ranking(period=period, frozen=frozen, standings=list(self._ranks(found)))

    async def of(self, unit: str, limit: int = 12) -> list[StandingView]:
        """The unit's months with deductions, newest first."""
        return await self._store.find(self._standings, {"unit": unit}, [("period", -1)], limit)

    def _ranks(self, found: Mapping[str, StandingView]) -> Iterable[Rank]:
        units = self._district.units
        scores = {unit: found[unit].score if unit in found else FULL_SCORE for unit in {*units, *found}}
        groups = {unit.code: unit.group for unit in units.values()}
        in_group = ranked_in_groups(scores, groups)
        for rank, unit in ranked(scores):
            standing = found.get(unit)
            yield Rank(
                rank=rank,
                group_rank=in_group[unit],
                unit=unit,
                name=units[unit].name if unit in units else Name(zh=unit, en=unit),
                group=groups.get(unit, ""),
                score=plain(scores[unit]),
                points_lost=plain(standing.points_lost) if standing else Decimal(0),
                entries=standing.entries if standing else 0,
                changed_at=standing.changed_at if standing else None,
                frozen=standing is not None and standing.frozen,
            )


def plain(amount: Decimal) -> Decimal:
    """The same amount without zeros that say nothing: 1.50 as 1.5, 1E+2 as 100."""
    return Decimal(f"{amount.normalize():f}")
