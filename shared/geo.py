"""Where things are: WGS-84 throughout, other datums converted where they come in.

Chinese maps draw in GCJ-02, which is off WGS-84 by some 655 m at Hengyang: a point whose datum is forgotten
breaks every fence and every search for duplicates nearby.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

from shared.errors import Invalid

Position = tuple[float, float]
"""Longitude and latitude, in this order, in degrees."""

Ring = Sequence[Position]
"""A closed line: the last position repeats the first."""

EARTH_RADIUS = 6_371_008.8
"""Mean radius in metres (IUGG)."""

# GCJ-02 is computed on the Krasovsky 1940 ellipsoid, for a box around China and not for its borders.
_SEMI_MAJOR_AXIS = 6_378_245.0
_ECCENTRICITY_SQUARED = 0.00669342162296594323
_CHINA_LONGITUDES = (72.004, 137.8347)
_CHINA_LATITUDES = (0.8293, 55.8271)


@dataclass(frozen=True)
class Point:
    """A spot in WGS-84 degrees.

    Raises Invalid `longitude-out-of-range` or `latitude-out-of-range` beyond ±180 and ±90, and for NaN.
    """

    longitude: float
    latitude: float

    def __post_init__(self) -> None:
        for field, degrees, most in (("longitude", self.longitude, 180), ("latitude", self.latitude, 90)):
            if not -most <= degrees <= most:
                raise Invalid(f"{field}-out-of-range", field=field, given=degrees, most=most)


class Crs(StrEnum):
    """The datums that input may come in."""

    WGS84 = "wgs84"
    GCJ02 = "gcj02"
    CGCS2000 = "cgcs2000"


def read_point(longitude: float, latitude: float, crs: str = Crs.WGS84) -> Point:
    """The spot that coordinates in `crs` mean.

    CGCS2000 (EPSG:4490) is taken as WGS-84, from which it differs by centimetres. Raises Invalid
    `crs-unknown` for any other datum, BD-09 included, and what `Point` raises.
    """
    if crs == Crs.GCJ02:
        return from_gcj02(longitude, latitude)
    if crs in (Crs.WGS84, Crs.CGCS2000):
        return Point(longitude, latitude)
    raise Invalid("crs-unknown", field="crs", given=crs, known=", ".join(Crs))


def to_gcj02(point: Point) -> Position:
    """The point's GCJ-02 coordinates, for drawing on Chinese maps; unchanged outside the box around China."""
    if not _around_china(point.longitude, point.latitude):
        return point.longitude, point.latitude
    east, north = _offset(point.longitude, point.latitude)
    return point.longitude + east, point.latitude + north


def from_gcj02(longitude: float, latitude: float) -> Point:
    """The spot that GCJ-02 coordinates mean, to within a millimetre; unchanged outside the box around China.

    Within a kilometre of the edge of that box, which lies abroad or at sea, it cannot be told which side was
    meant.
    """
    given = Point(longitude, latitude)
    if not _around_china(longitude, latitude):
        return given
    guess = (longitude, latitude)
    # The offset changes by far less than the position, so each step gains two to three digits.
    for _ in range(6):
        east, north = _offset(*guess)
        guess = (longitude - east, latitude - north)
    return Point(*guess)


def distance(one: Point, other: Point) -> float:
    """Metres between two points along the great circle (haversine; within 0.6 % of the ellipsoid)."""
    latitude, other_latitude = math.radians(one.latitude), math.radians(other.latitude)
    half_north = (other_latitude - latitude) / 2
    half_east = math.radians(other.longitude - one.longitude) / 2
    chord = math.sin(half_north) ** 2 + math.cos(latitude) * math.cos(other_latitude) * math.sin(half_east) ** 2
    return 2 * EARTH_RADIUS * math.asin(math.sqrt(min(chord, 1.0)))


class Grid:
    """Which community a point lies in. Immutable.

    An area is a set of closed rings under the even-odd rule: holes and separate parts are rings like any
    other. Areas that share an edge position by position share no point of it: each point is in one of them
    only. Where areas overlap, the one that was listed first wins.
    """

    def __init__(self, areas: Mapping[str, Sequence[Ring]]) -> None:
        self._areas = [_Area.of(code, rings) for code, rings in areas.items()]

    @classmethod
    def from_geojson(cls, collection: Mapping[str, Any]) -> Grid:
        """The grid of a GeoJSON FeatureCollection (RFC 7946, so WGS-84) of Polygons and MultiPolygons.

        `properties.code` names each area. Raises Invalid `grid-unreadable` or `grid-code-repeated` with the
        path of the feature at fault.
        """
        if collection.get("type") != "FeatureCollection" or not isinstance(collection.get("features"), list):
            raise Invalid("grid-unreadable", field="features")
        areas: dict[str, list[Ring]] = {}
        for number, feature in enumerate(collection["features"]):
            code, rings = _read_feature(feature, f"features.{number}")
            if code in areas:
                raise Invalid("grid-code-repeated", field=f"features.{number}.properties.code", given=code)
            areas[code] = rings
        return cls(areas)

    def middle(self, code: str) -> Point:
        """A point that surely lies in the area: the middle of its widest stretch halfway from south to north.

        Raises KeyError for an unknown code, and for an area that others cover or that is too thin to have one.
        """
        area = next((area for area in self._areas if area.code == code), None)
        middle = area.middle() if area else None
        if middle is None or self.locate(middle) != code:
            raise KeyError(code)
        return middle

    def locate(self, point: Point) -> str | None:
        """The code of the area that the point lies in, or None."""
        for area in self._areas:
            if area.contains(point.longitude, point.latitude):
                return area.code
        return None


@dataclass(frozen=True)
class _Area:
    """An area with its bounding box; `edges` run from south to north and leave out the level ones."""

    code: str
    west: float
    south: float
    east: float
    north: float
    edges: tuple[tuple[Position, Position], ...]

    @classmethod
    def of(cls, code: str, rings: Sequence[Ring]) -> _Area:
        longitudes, latitudes = zip(*(position for ring in rings for position in ring), strict=True)
        edges = (edge for ring in rings for edge in _edges(ring))
        return cls(code, min(longitudes), min(latitudes), max(longitudes), max(latitudes), tuple(edges))

    def contains(self, longitude: float, latitude: float) -> bool:
        """Whether a ray to the east crosses the rings an odd number of times."""
        if not (self.west <= longitude <= self.east and self.south <= latitude <= self.north):
            return False
        return sum(longitude < crossing for crossing in self._crossings(latitude)) % 2 == 1

    def middle(self) -> Point | None:
        """The middle of the widest stretch inside, halfway from south to north."""
        latitude = (self.south + self.north) / 2
        crossings = sorted(self._crossings(latitude))
        stretches = list(zip(crossings[::2], crossings[1::2], strict=True))
        if not stretches:
            return None
        west, east = max(stretches, key=lambda stretch: stretch[1] - stretch[0])
        return Point((west + east) / 2, latitude)

    def _crossings(self, latitude: float) -> Iterator[float]:
        """The longitudes at which the rings cross the parallel."""
        for (x1, y1), (x2, y2) in self.edges:
            # Half open, so that a corner that two edges share is crossed once.
            if y1 <= latitude < y2:
                yield x1 + (latitude - y1) / (y2 - y1) * (x2 - x1)


def _edges(ring: Ring) -> Iterator[tuple[Position, Position]]:
    """The edges, each pointing north: two neighbours then round alike, and no point falls between them."""
    for start, end in pairwise(ring):
        if start[1] < end[1]:
            yield start, end
        elif start[1] > end[1]:
            yield end, start


def _read_feature(feature: Any, field: str) -> tuple[str, list[Ring]]:
    try:
        code, geometry = feature["properties"]["code"], feature["geometry"]
        rings = [_read_ring(ring) for polygon in _polygons(geometry) for ring in polygon]
    except (KeyError, TypeError, ValueError, Invalid) as error:
        raise Invalid("grid-unreadable", field=field) from error
    if not isinstance(code, str) or not code or not rings:
        raise Invalid("grid-unreadable", field=field)
    return code, rings


def _polygons(geometry: Mapping[str, Any]) -> list[Any]:
    match geometry["type"]:
        case "Polygon":
            return [geometry["coordinates"]]
        case "MultiPolygon":
            return list(geometry["coordinates"])
        case other:
            raise ValueError(f"not an area: {other}")


def _read_ring(positions: Any) -> Ring:
    ring = [(point.longitude, point.latitude) for point in (Point(*position[:2]) for position in positions)]
    if len(ring) < 4 or ring[0] != ring[-1]:
        raise ValueError("a ring needs four positions and must be closed")
    return ring


def _around_china(longitude: float, latitude: float) -> bool:
    west, east = _CHINA_LONGITUDES
    south, north = _CHINA_LATITUDES
    return west <= longitude <= east and south <= latitude <= north


def _offset(longitude: float, latitude: float) -> Position:
    """How far GCJ-02 lies east and north of WGS-84 at a place, in degrees (the formula known since 2010)."""
    x, y = longitude - 105.0, latitude - 35.0
    root = math.sqrt(abs(x))
    ripple = 20.0 * math.sin(6.0 * math.pi * x) + 20.0 * math.sin(2.0 * math.pi * x)
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root
    east += (ripple + _waves(x, (20.0, 1), (40.0, 3), (150.0, 12), (300.0, 30))) * 2.0 / 3.0
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root
    north += (ripple + _waves(y, (20.0, 1), (40.0, 3), (160.0, 12), (320.0, 30))) * 2.0 / 3.0

    sine = math.sin(math.radians(latitude))
    magic = 1.0 - _ECCENTRICITY_SQUARED * sine * sine
    parallel = _SEMI_MAJOR_AXIS / math.sqrt(magic) * math.cos(math.radians(latitude))
    meridian = _SEMI_MAJOR_AXIS * (1.0 - _ECCENTRICITY_SQUARED) / (magic * math.sqrt(magic))
    return math.degrees(east / parallel), math.degrees(north / meridian)


def _waves(x: float, *terms: tuple[float, int]) -> float:
    return sum(height * math.sin(math.pi * x / length) for height, length in terms)
