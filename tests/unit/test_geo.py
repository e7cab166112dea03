"""Datums, distances and the community grid, on places whose answer is known."""

from __future__ import annotations

import math
from typing import Any

import pytest

from shared.errors import Invalid
from shared.geo import Grid, Point, Position, distance, from_gcj02, read_point, to_gcj02

HENGYANG = Point(112.60, 26.89)


@pytest.mark.parametrize(
    ("longitude", "latitude", "field"),
    [
        (180.1, 0.0, "longitude"),
        (-180.1, 0.0, "longitude"),
        (0.0, 90.1, "latitude"),
        (26.89, 112.60, "latitude"),
        (math.nan, 0.0, "longitude"),
        (0.0, math.inf, "latitude"),
    ],
)
def test_a_point_off_the_globe_is_refused(longitude: float, latitude: float, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        Point(longitude, latitude)
    assert (refused.value.code, refused.value.field) == (f"{field}-out-of-range", field)


def test_gcj02_lies_655_metres_off_at_hengyang() -> None:
    assert distance(HENGYANG, Point(*to_gcj02(HENGYANG))) == pytest.approx(655, abs=2)


@pytest.mark.parametrize(
    ("wgs84", "gcj02"),
    [
        # From the tests of googollee/eviltransform: Shanghai, Shenzhen, Beijing.
        ((121.5272106, 31.1774276), (121.531541859215, 31.17530398364597)),
        ((113.912316, 22.543847), (113.9171764808363, 22.540796131694766)),
        ((116.377817, 39.911954), (116.38404722455657, 39.91334545536069)),
        # From those of wandergis/coordtransform.
        ((116.404, 39.915), (116.41024449916938, 39.91640428150164)),
    ],
)
def test_gcj02_agrees_with_the_published_conversions(wgs84: Position, gcj02: Position) -> None:
    assert to_gcj02(Point(*wgs84)) == pytest.approx(gcj02, abs=1e-9)
    assert distance(from_gcj02(*gcj02), Point(*wgs84)) < 0.001


@pytest.mark.parametrize("abroad", [Point(-0.1276, 51.5072), Point(151.2, -33.87), Point(-180, 90)])
def test_gcj02_abroad_is_wgs84(abroad: Point) -> None:
    assert to_gcj02(abroad) == (abroad.longitude, abroad.latitude)
    assert from_gcj02(abroad.longitude, abroad.latitude) == abroad


def test_a_point_is_read_in_its_own_datum() -> None:
    longitude, latitude = to_gcj02(HENGYANG)
    assert distance(read_point(longitude, latitude, "gcj02"), HENGYANG) < 0.001
    assert read_point(112.60, 26.89, "wgs84") == HENGYANG
    assert read_point(112.60, 26.89, "cgcs2000") == HENGYANG
    assert read_point(112.60, 26.89) == HENGYANG


@pytest.mark.parametrize("crs", ["bd09", "", "WGS84", "epsg:3857"])
def test_another_datum_is_refused(crs: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_point(112.60, 26.89, crs)
    assert (refused.value.code, refused.value.field) == ("crs-unknown", "crs")
    assert refused.value.params["known"] == "wgs84, gcj02, cgcs2000"


def test_a_point_in_another_datum_is_checked_too() -> None:
    with pytest.raises(Invalid) as refused:
        read_point(112.60, 91, "gcj02")
    assert refused.value.field == "latitude"


@pytest.mark.parametrize(
    ("one", "other", "metres"),
    [
        (HENGYANG, HENGYANG, 0),
        (Point(0, 0), Point(1, 0), 111_195.08),
        (Point(0, 0), Point(0, 1), 111_195.08),
        (Point(0, 60), Point(1, 60), 55_597.01),
        (Point(179.5, 0), Point(-179.5, 0), 111_195.08),
        (Point(0, 90), Point(0, -90), math.pi * 6_371_008.8),
    ],
)
def test_distances(one: Point, other: Point, metres: float) -> None:
    assert distance(one, other) == pytest.approx(metres, abs=0.5)


def square(west: float, south: float, size: float = 1.0) -> list[list[float]]:
    east, north = west + size, south + size
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def feature(code: Any, kind: str, coordinates: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"code": code},
        "geometry": {"type": kind, "coordinates": coordinates},
    }


def collection(*features: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features)}


GRID = Grid.from_geojson(
    collection(
        feature("ring", "Polygon", [square(0, 0, 3), square(1, 1)]),
        feature("island", "Polygon", [square(1, 1)]),
        feature("parts", "MultiPolygon", [[square(10, 0)], [square(12, 0)]]),
        feature("triangle", "Polygon", [[[20, 0, 5], [22, 0, 5], [20, 2, 5], [20, 0, 5]]]),
    )
)


@pytest.mark.parametrize(
    ("longitude", "latitude", "code"),
    [
        (0.5, 0.5, "ring"),
        (2.5, 1.5, "ring"),
        (1.5, 1.5, "island"),
        (10.5, 0.5, "parts"),
        (11.5, 0.5, None),
        (12.5, 0.5, "parts"),
        (20.5, 0.5, "triangle"),
        (21.9, 1.9, None),
        (0, 0, "ring"),
        (1, 1, "island"),
        (3, 3, None),
        (-1, 1, None),
        (1, 4, None),
    ],
)
def test_a_point_is_found_in_its_area(longitude: float, latitude: float, code: str | None) -> None:
    assert GRID.locate(Point(longitude, latitude)) == code


def test_where_areas_overlap_the_first_wins() -> None:
    one, other = [[(0, 0), (2, 0), (2, 2), (0, 0)]], [[(0, 0), (4, 0), (4, 4), (0, 0)]]
    assert Grid({"one": one, "other": other}).locate(Point(1, 0.5)) == "one"
    assert Grid({"other": other, "one": one}).locate(Point(1, 0.5)) == "other"


def test_an_empty_grid_finds_nothing() -> None:
    assert Grid({}).locate(HENGYANG) is None


@pytest.mark.parametrize(
    "broken",
    [
        None,
        {},
        feature(None, "Polygon", [square(0, 0)]),
        feature("", "Polygon", [square(0, 0)]),
        feature("a", "Point", [0, 0]),
        feature("a", "Polygon", []),
        feature("a", "Polygon", [square(0, 0)[:-1]]),
        feature("a", "Polygon", [[[0, 0], [1, 1], [0, 0]]]),
        feature("a", "Polygon", [[[0, 0], [1], [1, 1], [0, 0]]]),
        feature("a", "Polygon", [square(0, 90)]),
        feature("a", "Polygon", [[["0", "0"]] * 4]),
    ],
)
def test_a_broken_area_is_refused_with_its_place(broken: Any) -> None:
    with pytest.raises(Invalid) as refused:
        Grid.from_geojson(collection(feature("first", "Polygon", [square(5, 5)]), broken))
    assert (refused.value.code, refused.value.field) == ("grid-unreadable", "features.1")


@pytest.mark.parametrize("expected", [{}, {"type": "Feature"}, {"type": "FeatureCollection", "features": {}}])
def test_what_is_no_collection_is_refused(expected: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        Grid.from_geojson(expected)
    assert (refused.value.code, refused.value.field) == ("grid-unreadable", "features")


def test_a_code_names_one_area() -> None:
    with pytest.raises(Invalid) as refused:
        Grid.from_geojson(collection(feature("a", "Polygon", [square(0, 0)]), feature("a", "Polygon", [square(5, 5)])))
    assert (refused.value.code, refused.value.field) == (
        "grid-code-repeated",
        "features.1.properties.code",
    )


@pytest.mark.parametrize(
    ("rings", "middle"),
    [
        ([[(0, 0), (4, 0), (4, 2), (0, 2), (0, 0)]], (2, 1)),
        # A U: its centre of gravity lies in the gap, so the middle of one arm is taken.
        ([[(0, 0), (6, 0), (6, 4), (4, 4), (4, 1), (1, 1), (1, 4), (0, 4), (0, 0)]], (5, 2)),
        # A ring with a hole in the middle: the wider side.
        ([[(0, 0), (9, 0), (9, 4), (0, 4), (0, 0)], [(1, 1), (4, 1), (4, 3), (1, 3), (1, 1)]], (6.5, 2)),
    ],
    ids=["box", "U", "ring"],
)
def test_the_middle_of_an_area_lies_in_it(rings: list[list[tuple[float, float]]], middle: tuple[float, float]) -> None:
    grid = Grid({"a": rings})
    found = grid.middle("a")
    assert (found.longitude, found.latitude) == middle
    assert grid.locate(found) == "a"


def test_an_area_that_is_not_there_or_covered_has_no_middle() -> None:
    box = [(0.0, 0.0), (4.0, 0.0), (4.0, 2.0), (0.0, 2.0), (0.0, 0.0)]
    grid = Grid({"above": [box], "below": [box]})
    for code in ("below", "nowhere"):
        with pytest.raises(KeyError):
            grid.middle(code)
