"""Cases near a spot: those that may tell of the same problem, and those that it comes back after."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.reports.domain import Case, Moderation, Place, Terms
from services.reports.domain.lookup import REPEATS, squares_around
from services.reports.domain.repeats import Occurrence
from services.reports.repo import CASES, NEWEST
from shared.contracts.reports import CaseState
from shared.errors import Invalid
from shared.geo import Point, distance
from shared.store import Collection, Store
from shared.store.collection import Document, Filter

CANDIDATES = 200
"""Cases around one spot that were signed off lately, as far as they are looked at; of more, the newest."""
OFFERED_FROM = 60
"""Open cases around one spot that are looked at; of more, the newest."""
TOGETHER = 50
"""Reports whose neighbours are asked for in one round trip."""
OCCURRENCES = 5_000
"""Repeats of one period that can be looked at."""


@dataclass(frozen=True)
class _Neighbourhood:
    """Where something is looked for that was signed off lately."""

    squares: frozenset[str]
    category: str
    since: datetime


class Nearby:
    """Looks cases up by where they are. Reads only, outside any unit of work."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asked: list[_Neighbourhood] = []
        self._next: asyncio.Task[list[Document]] | None = None
        self._last: asyncio.Task[list[Document]] | None = None

    async def open_cases(
        self, category: str, point: Point, metres: float, *, shown: bool, besides: Iterable[str] = ()
    ) -> list[Case]:
        """Open problems of a category, about as near as that; `shown`: only those whose place everybody may
        know: how far they are away would tell it.
        """
        filter: Filter = {
            "square": {"$in": squares_around(point, metres, open=True)},
            "category": category,
            "_id": {"$nin": list(besides)},
        }
        if shown:
            filter |= {"public": True, "moderation": Moderation.APPROVED.value}
        return await self._store.find(CASES, filter, [("registered_at", -1)], OFFERED_FROM)

    async def closed_lately(self, category: str, place: Place, terms: Terms, now: datetime) -> str | None:
        """The case that one in this place is the repeat of: signed off last, near enough and lately enough."""
        if not place.exact:
            return None
        point, since = Point(place.longitude, place.latitude), now - timedelta(days=terms.repeat_days)
        squares = frozenset(squares_around(point, terms.repeat_metres, open=False))
        found = await self._together(_Neighbourhood(squares, category, since))
        near = (
            case["_id"]
            for case in found
            if case["category"] == category
            and case["closed_at"] >= since
            and distance(point, Point(case["place"]["longitude"], case["place"]["latitude"])) <= terms.repeat_metres
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

    async def _together(self, asked: _Neighbourhood) -> list[Document]:
        """Closed cases, the newest first, of this neighbourhood and of those that are asked for meanwhile.

        Every report asks; under load a round trip for each would cost a third of what can be filed.
        """
        if self._next is None or len(self._asked) >= TOGETHER:
            self._asked = []
            self._next = self._last = asyncio.create_task(self._ask(self._asked, self._last))
        self._asked.append(asked)
        return await asyncio.shield(self._next)

    async def _ask(self, asked: list[_Neighbourhood], before: asyncio.Task[list[Document]] | None) -> list[Document]:
        if before is not None:
            await asyncio.wait([before])
        if self._asked is asked:
            self._next = None
        filter: Filter = {
            "square": {"$in": sorted({square for each in asked for square in each.squares})},
            "category": {"$in": sorted({each.category for each in asked})},
            "closed_at": {"$gte": min(each.since for each in asked)},
        }
        fields, most = ("place.longitude", "place.latitude", "category", "closed_at"), CANDIDATES * len(asked)
        return await self._store.driver.find(CASES.name, filter, [("closed_at", -1)], most, fields=fields)

    async def _occurrences(self, filter: Filter, limit: int = 0) -> list[Occurrence]:
        fields = ("state", "category", "place", "unit", "registered_at", "repeat_of")
        found = await self._store.driver.find(CASES.name, filter, NEWEST, limit, fields=fields)
        return [_OCCURRENCES.to_entity(document) for document in found]


_OCCURRENCES = Collection(CASES.name, Occurrence)
