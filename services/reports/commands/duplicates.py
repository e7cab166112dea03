"""Cases near a spot: those that may tell of the same problem, and those that it comes back after."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

from services.reports.domain import Case, Moderation, Place, Terms
from services.reports.domain.lookup import REPEATS
from services.reports.domain.repeats import Occurrence
from services.reports.domain.transitions import FINAL
from services.reports.repo import CASES, NEWEST
from shared.contracts.reports import CaseState, Kind
from shared.errors import Invalid
from shared.geo import EARTH_RADIUS, Point, distance
from shared.store import Collection, Store
from shared.store.collection import Document, Filter

CANDIDATES = 200
"""Cases around one spot that are looked at; of more, the newest."""
TOGETHER = 50
"""Spots that are asked for in one round trip."""
OCCURRENCES = 5_000
"""Repeats of one period that can be looked at."""

_OPEN = {"$nin": sorted(state.value for state in FINAL)}
_EXACT = {"$ne": False}
_MARGIN = 1.001
"""The database searches a little further, so that `distance` alone decides what is near enough."""


class Nearby:
    """Looks cases up by where they are. Reads only, outside any unit of work."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._filters: list[Filter] = []
        self._next: asyncio.Task[list[Document]] | None = None
        self._last: asyncio.Task[list[Document]] | None = None

    async def open_cases(
        self, category: str, point: Point, metres: float, *, shown: bool, besides: Iterable[str] = ()
    ) -> list[Case]:
        """Open problems of a category, about as near as that; `shown`: only those that everybody may know of."""
        filter: Filter = {
            "location": _around(point, metres),
            "category": category,
            "state": _OPEN,
            "kind": Kind.PROBLEM.value,
            "parent": None,
            "place.exact": _EXACT,
            "_id": {"$nin": list(besides)},
        }
        if shown:
            filter |= {"public": True, "moderation": {"$ne": Moderation.WITHHELD.value}}
        return await self._store.find(CASES, filter, [("registered_at", -1)], CANDIDATES)

    async def closed_lately(self, category: str, place: Place, terms: Terms, now: datetime) -> str | None:
        """The case that one in this place is the repeat of: signed off last, near enough and lately enough."""
        if not place.exact:
            return None
        point, since = Point(place.longitude, place.latitude), now - timedelta(days=terms.repeat_days)
        found = await self._together(
            {
                "location": _around(point, terms.repeat_metres),
                "category": category,
                "state": CaseState.CLOSED.value,
                "kind": Kind.PROBLEM.value,
                "parent": None,
                "place.exact": _EXACT,
                "closed_at": {"$gte": since},
            }
        )
        near = (
            case["_id"]
            for case in found
            if case["category"] == category
            and case["closed_at"] >= since
            and distance(point, Point(*case["location"]["coordinates"])) <= terms.repeat_metres
        )
        return next(near, None)

    async def occurrences(self, since: datetime, until: datetime, category: str | None) -> list[Occurrence]:
        """Problems that came back and those they came back after, registered from `since` to before `until`.

        Raises Invalid (period-too-busy) when there are more than can be looked at.
        """
        wanted: Filter = {
            "lists": REPEATS,
            "registered_at": {"$gte": since, "$lt": until},
            "state": {"$nin": [CaseState.MERGED.value, CaseState.REJECTED.value]},
            **({"category": category} if category else {}),
        }
        repeats = await self._occurrences(wanted, OCCURRENCES + 1)
        if len(repeats) > OCCURRENCES:
            raise Invalid("period-too-busy", field="since", limit=OCCURRENCES)
        before = {each.repeat_of for each in repeats if each.repeat_of} - {each.id for each in repeats}
        first = await self._occurrences({"_id": {"$in": sorted(before)}, "registered_at": {"$gte": since}})
        return [*repeats, *first]

    async def _together(self, filter: Filter) -> list[Document]:
        """Closed cases, the newest first, that this filter finds or one of those that are asked for meanwhile.

        Every report asks; under load a round trip for each would cost a third of what can be filed.
        """
        if self._next is None or len(self._filters) >= TOGETHER:
            self._filters = []
            self._next = self._last = asyncio.create_task(self._ask(self._filters, self._last))
        self._filters.append(filter)
        return await asyncio.shield(self._next)

    async def _ask(self, filters: list[Filter], before: asyncio.Task[list[Document]] | None) -> list[Document]:
        if before is not None:
            await asyncio.wait([before])
        if self._filters is filters:
            self._next = None
        fields, most = ("location", "category", "closed_at"), CANDIDATES * len(filters)
        return await self._store.driver.find(CASES.name, {"$or": filters}, [("closed_at", -1)], most, fields=fields)

    async def _occurrences(self, filter: Filter, limit: int = 0) -> list[Occurrence]:
        fields = ("state", "category", "place", "unit", "registered_at", "repeat_of")
        found = await self._store.driver.find(CASES.name, filter, NEWEST, limit, fields=fields)
        return [_OCCURRENCES.to_entity(document) for document in found]


_OCCURRENCES = Collection(CASES.name, Occurrence)


def _around(point: Point, metres: float) -> Filter:
    angle = metres * _MARGIN / EARTH_RADIUS
    return {"$geoWithin": {"$centerSphere": [[point.longitude, point.latitude], angle]}}
