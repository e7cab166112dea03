"""Cases at a spot, for the tests of duplicates: they are stored, so they need no history."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from services.reports.domain import Case, Place
from shared.contracts.reports import CaseState, Channel

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
SPOT = (112.6, 26.885)


def a_case(id: str, text: str = "", east: float = 0.0, north: float = 0.0, exact: bool = True) -> Case:
    """An open case so many degrees from the spot."""
    longitude, latitude = SPOT
    return Case(
        id=id,
        state=CaseState.DISPATCHED,
        category="exposed-rubbish",
        category_version=1,
        channel=Channel.CITIZEN,
        place=Place(longitude + east, latitude + north, "430476001011", exact=exact),
        limits={},
        points=Decimal(1),
        public=True,
        registered_at=NOON,
        text=text,
    )
