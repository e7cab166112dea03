"""Open cases on the map: one by one, or, where they are too many, counted by the squares of a grid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from pydantic import BaseModel

from services.reports.domain import Case
from services.reports.domain import lookup as by
from services.reports.repo import CASES
from shared.auth import Principal
from shared.contracts.reports import CaseState, Level
from shared.errors import Invalid
from shared.geo import Point
from shared.roles import STAFF
from shared.store import Store
from shared.store.collection import Filter

SPOTS_LIMIT = 300
"""Cases that are shown one by one."""
GRID = 12
"""Squares along each side of the box, in which they are counted when they are more."""


@dataclass(frozen=True)
class Box:
    """A part of the map, its edges included: WGS-84 degrees."""

    west: float
    south: float
    east: float
    north: float

    @classmethod
    def parse(cls, text: str) -> Box:
        """`minlon,minlat,maxlon,maxlat`. Raises Invalid (bbox-malformed)."""
        try:
            west, south, east, north = map(float, text.split(","))
            Point(west, south), Point(east, north)
        except ValueError:
            raise Invalid("bbox-malformed", field="bbox") from None
        if not (west < east and south < north):
            raise Invalid("bbox-malformed", field="bbox")
        return cls(west, south, east, north)

    @property
    def filter(self) -> Filter:
        return {
            "map.longitude": {"$gte": self.west, "$lte": self.east},
            "map.latitude": {"$gte": self.south, "$lte": self.north},
        }

    def square_of(self, longitude: float, latitude: float) -> tuple[int, int]:
        """In which square of the grid a spot lies; one beyond an edge counts as at the edge."""
        column = (longitude - self.west) / (self.east - self.west) * GRID
        row = (latitude - self.south) / (self.north - self.south) * GRID
        return min(max(int(column), 0), GRID - 1), min(max(int(row), 0), GRID - 1)


class Spot(BaseModel):
    """A case on the map: what its public snapshot shows."""

    case: str
    longitude: float
    latitude: float
    address: str
    category: str
    state: CaseState
    unit: str | None
    level: Level | None


class Cluster(BaseModel):
    """Cases that lie together: how many, and about where the middle of them is (to some 100 metres)."""

    cases: int
    longitude: float
    latitude: float


class Map(BaseModel):
    """The open cases in a box: `cases` of them, each as a spot or, where they are too many, all of them in clusters."""

    cases: int
    spots: list[Spot] = []
    clusters: list[Cluster] = []


async def case_map(store: Store, caller: Principal, box: Box, categories: list[str], overdue: bool) -> Map:
    """What the box shows: to a unit's officers the cases of their unit, to everybody else all, in either case no more
    than the snapshot of a case shows to everybody.
    """
    filter: Filter = {**box.filter, "stage": {"$gt": ""}}
    if categories:
        filter["category"] = {"$in": categories}
    if overdue:
        filter["level"] = {"$gt": ""}
    if caller.unit is not None and not caller.has(*STAFF):
        filter["duties"] = by.duty(caller.unit)
    elif categories:
        filter["duties"] = {"$in": [by.duty_about(code) for code in categories]}
    counted = await store.aggregate(CASES, [{"$match": filter}, {"$group": {"_id": "$map.cell", "cases": {"$sum": 1}}}])
    cases = sum(each["cases"] for each in counted)
    if cases > SPOTS_LIMIT:
        return Map(cases=cases, clusters=_clusters(box, {each["_id"]: each["cases"] for each in counted}))
    documents = await store.driver.find(CASES.name, filter, limit=SPOTS_LIMIT, fields=_SHOWN)
    spots = [_spot(CASES.to_entity(document)) for document in documents]
    return Map(cases=len(spots), spots=spots)


def _clusters(box: Box, cells: Mapping[int, int]) -> list[Cluster]:
    """The cases of the cells, by squares of the box."""
    squares: dict[tuple[int, int], list[tuple[int, float, float]]] = defaultdict(list)
    for cell, cases in cells.items():
        longitude, latitude = by.middle_of(cell)
        squares[box.square_of(longitude, latitude)].append((cases, longitude, latitude))
    return [_cluster(parts) for parts in squares.values()]


def _cluster(parts: Sequence[tuple[int, float, float]]) -> Cluster:
    cases = sum(part[0] for part in parts)
    return Cluster(
        cases=cases,
        longitude=round(sum(part[0] * part[1] for part in parts) / cases, 6),
        latitude=round(sum(part[0] * part[2] for part in parts) / cases, 6),
    )


_UNSEEN = {"id", "text", "answers", "timeline", "clocks", "routing"}
_SHOWN = tuple(field.name for field in fields(Case) if field.name not in _UNSEEN)
"""What a snapshot may be made of: the rest of a case is large, and nothing of it is shown."""


def _spot(case: Case) -> Spot:
    shown = case.snapshot()
    return Spot(
        case=shown.case,
        longitude=shown.place.longitude,
        latitude=shown.place.latitude,
        address=shown.place.address,
        category=shown.category,
        state=shown.state,
        unit=shown.unit,
        level=shown.level,
    )
