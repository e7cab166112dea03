"""The district's names and its map, read from the folder that the office edits. What is decided there is not ours."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from shared.geo import Grid, Point
from shared.messages import Language

MAP_WIDTH = 400.0
MARGIN = 4.0


class Name(BaseModel):
    """What users read."""

    zh: str
    en: str = ""

    def text(self, language: Language) -> str:
        return self.zh if language == "zh" else self.en or self.zh


class Named(BaseModel):
    """Anything with a code and a name; `group` is what it is listed under."""

    code: str
    name: Name
    group: str = ""
    parent: str | None = None


class Rung(Named):
    """A rung of the ladder of consequences; only one that is `public` is shown."""

    public: bool = False


class _DistrictFile(Named):
    subdistricts: list[Named]
    communities: list[Named]


class _UnitsFile(BaseModel):
    groups: list[Named]
    units: list[Named]


class _RulesFile(BaseModel):
    rules: list[Named]


class _ListsFile(BaseModel):
    issuers: list[Named]


class _VenueTypesFile(BaseModel):
    venue_types: list[Named]


class _LadderFile(BaseModel):
    rungs: list[Rung]


@dataclass(frozen=True)
class Shape:
    """A community on the map: an SVG path, where its label goes, and a spot (degrees) that surely lies in it."""

    code: str
    path: str
    label: tuple[float, float]
    inside: Point


@dataclass(frozen=True)
class Map:
    """The communities drawn to scale, north up; `west` and `north` are degrees, scales are units per degree."""

    shapes: Sequence[Shape]
    west: float
    north: float
    scale_x: float
    scale_y: float
    width: float
    height: float

    @classmethod
    def of(cls, collection: Mapping[str, Any]) -> Map:
        """The map of a GeoJSON FeatureCollection (WGS-84). Raises DomainError for what is none, and ValueError."""
        grid = Grid.from_geojson(collection)
        areas = {each["properties"]["code"]: list(_rings(each["geometry"])) for each in collection["features"]}
        spots = [spot for rings in areas.values() for ring in rings for spot in ring]
        west, east = min(x for x, _ in spots), max(x for x, _ in spots)
        south, north = min(y for _, y in spots), max(y for _, y in spots)
        scale_x = (MAP_WIDTH - 2 * MARGIN) / (east - west)
        scale_y = scale_x / math.cos(math.radians((south + north) / 2))
        blank = cls((), west, north, scale_x, scale_y, MAP_WIDTH, round((north - south) * scale_y + 2 * MARGIN, 1))
        shapes = [blank._drawn(code, rings, grid) for code, rings in areas.items()]
        return cls(shapes, west, north, scale_x, scale_y, MAP_WIDTH, blank.height)

    def at(self, longitude: float, latitude: float) -> tuple[float, float]:
        """Where a spot lies on the drawing."""
        x, y = (longitude - self.west) * self.scale_x, (self.north - latitude) * self.scale_y
        return round(x + MARGIN, 1), round(y + MARGIN, 1)

    def spot_in(self, code: str) -> Point | None:
        """A spot in the community, for a report that names nothing closer."""
        return next((shape.inside for shape in self.shapes if shape.code == code), None)

    def _drawn(self, code: str, rings: Sequence[Sequence[tuple[float, float]]], grid: Grid) -> Shape:
        lines = (" L".join("{} {}".format(*self.at(*spot)) for spot in ring) for ring in rings)
        inside = _spot_inside(code, rings, grid)
        label = self.at(inside.longitude, inside.latitude)
        return Shape(code, " ".join(f"M{line} Z" for line in lines), label, inside)


@dataclass(frozen=True)
class District:
    """Names by code, in the order of the files. Immutable; load it once per process."""

    name: Name
    communities: Mapping[str, Named]
    units: Mapping[str, Named]
    unit_groups: Mapping[str, Named]
    map: Map
    areas: Mapping[str, Named]
    rules: Mapping[str, Named]
    issuers: Mapping[str, Named]
    venue_types: Mapping[str, Named]
    rungs: Mapping[str, Rung]

    @classmethod
    def load(cls, folder: Path) -> District:
        """Raises OSError, ValueError, KeyError. Without a `ladder.json`, no rung is known."""
        district = _DistrictFile.model_validate_json((folder / "district.json").read_bytes())
        units = _UnitsFile.model_validate_json((folder / "units.json").read_bytes())
        rules = _RulesFile.model_validate_json((folder / "scoring-rules.json").read_bytes())
        lists = _ListsFile.model_validate_json((folder / "lists.json").read_bytes())
        venues = _VenueTypesFile.model_validate_json((folder / "venue-types.json").read_bytes())
        return cls(
            name=district.name,
            communities=_by_code(district.communities),
            units=_by_code(units.units),
            unit_groups=_by_code(units.groups),
            map=Map.of(json.loads((folder / "communities.geojson").read_bytes())),
            areas=_by_code([district, *district.subdistricts, *district.communities]),
            rules=_by_code(rules.rules),
            issuers=_by_code(lists.issuers),
            venue_types=_by_code(venues.venue_types),
            rungs=_by_code(_rungs(folder / "ladder.json")),
        )

    def where(self, area: str, language: Language) -> str:
        """The area as addresses have it: in Chinese from the district down, in English the other way round.

        The code of an area begins with that of the area it lies in (统计用区划代码).
        """
        names = [each.name.text(language) for code, each in sorted(self.areas.items()) if area.startswith(code)]
        return "".join(names) if language == "zh" else ", ".join(reversed(names))


_N = TypeVar("_N", bound=Named)


def _by_code(told: Iterable[_N]) -> dict[str, _N]:
    return {each.code: each for each in told}


def _rungs(file: Path) -> list[Rung]:
    return _LadderFile.model_validate_json(file.read_bytes()).rungs if file.exists() else []


def _rings(geometry: Mapping[str, Any]) -> Iterator[list[tuple[float, float]]]:
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    for polygon in polygons:
        for ring in polygon:
            yield [(spot[0], spot[1]) for spot in ring]


def _spot_inside(code: str, rings: Sequence[Sequence[tuple[float, float]]], grid: Grid) -> Point:
    """The middle of the first ring's box, or the spot nearest to it that the grid finds in the community."""
    xs, ys = [x for x, _ in rings[0]], [y for _, y in rings[0]]
    steps = sorted(range(1, 32), key=lambda step: abs(step - 16))
    for spread in range(1, len(steps) + 1):
        for one in steps[:spread]:
            for x, y in ((one, steps[spread - 1]), (steps[spread - 1], one)):
                spot = Point(_between(xs, x), _between(ys, y))
                if grid.locate(spot) == code:
                    return spot
    raise ValueError(f"no spot of the community {code} can be found")


def _between(values: Sequence[float], step: int) -> float:
    return round(min(values) + (max(values) - min(values)) * step / 32, 6)
