"""How many measures go on against a unit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from services.portal.district import District
from services.portal.domain.measures import MeasureView
from shared.contracts.scoring import MeasureState
from shared.store import Collection, Store

OPEN = (MeasureState.ISSUED, MeasureState.RECEIVED, MeasureState.REPLIED, MeasureState.HELD)
"""States of a measure that goes on."""


class Measures:
    """The measures of a generation of the board."""

    def __init__(self, store: Store, measures: Collection[MeasureView], district: District) -> None:
        self._store, self._measures, self._district = store, measures, district

    async def open(self, unit: str) -> Mapping[str, int]:
        """How many measures against the unit go on, by rung of the ladder from the lowest; public rungs only."""
        found = await self._store.find(self._measures, {"unit": unit})
        counted = Counter(each.rung for each in found if each.state in OPEN)
        shown = (rung.code for rung in self._district.rungs.values() if rung.public)
        return {code: counted[code] for code in shown if counted[code]}
