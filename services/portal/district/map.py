"""The district's map as a drawing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.district import Outline
from shared.geo import Point

MAP_WIDTH = 400.0
MARGIN = 4.0
NEAR = 1e-5
"""Degrees: about a metre."""


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
    def of(cls, outline: Outline) -> Map:
        """The map of the communities. Raises KeyError for one without a middle."""
        areas = {each["properties"]["code"]: list(_rings(each["geometry"])) for each in outline.drawing["features"]}
        spots = [spot for rings in areas.values() for ring in rings for spot in ring]
        west, east = min(x for x, _ in spots), max(x for x, _ in spots)
        south, north = min(y for _, y in spots), max(y for _, y in spots)
        scale_x = (MAP_WIDTH - 2 * MARGIN) / (east - west)
        scale_y = scale_x / math.cos(math.radians((south + north) / 2))
        blank = cls((), west, north, scale_x, scale_y, MAP_WIDTH, round((north - south) * scale_y + 2 * MARGIN, 1))
        shapes = [blank._drawn(code, rings, outline.grid.middle(code)) for code, rings in areas.items()]
        return cls(shapes, west, north, scale_x, scale_y, MAP_WIDTH, blank.height)

    def at(self, longitude: float, latitude: float) -> tuple[float, float]:
        """Where a spot lies on the drawing."""
        x, y = (longitude - self.west) * self.scale_x, (self.north - latitude) * self.scale_y
        return round(x + MARGIN, 1), round(y + MARGIN, 1)

    def spot_in(self, code: str) -> Point | None:
        """A spot in the community, for a report that names nothing closer."""
        return next((shape.inside for shape in self.shapes if shape.code == code), None)

    def is_middle(self, code: str, longitude: float, latitude: float) -> bool:
        """Whether this is the spot that stands for the whole community, to a metre or so."""
        middle = self.spot_in(code)
        return middle is not None and max(abs(middle.longitude - longitude), abs(middle.latitude - latitude)) < NEAR

    def _drawn(self, code: str, rings: Sequence[Sequence[tuple[float, float]]], inside: Point) -> Shape:
        lines = (" L".join("{} {}".format(*self.at(*spot)) for spot in ring) for ring in rings)
        label = self.at(inside.longitude, inside.latitude)
        return Shape(code, " ".join(f"M{line} Z" for line in lines), label, inside)


def _rings(geometry: Mapping[str, Any]) -> Iterator[list[tuple[float, float]]]:
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    for polygon in polygons:
        for ring in polygon:
            yield [(spot[0], spot[1]) for spot in ring]
