"""What holds for every place: datums go both ways, distances are distances, a tiling leaves no gaps."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from shared.geo import Grid, Point, Position, distance, from_gcj02, to_gcj02

anywhere = st.builds(Point, st.floats(-180, 180), st.floats(-90, 90))
# A kilometre inside the box around China: across its edge it cannot be told which datum was meant.
in_china = st.builds(Point, st.floats(72.02, 137.82), st.floats(0.84, 55.81))
abroad = anywhere.filter(lambda point: not (71.9 <= point.longitude <= 137.9 and 0.8 <= point.latitude <= 55.9))


@given(in_china)
@example(Point(112.60, 26.89))
def test_gcj02_goes_both_ways(point: Point) -> None:
    assert distance(from_gcj02(*to_gcj02(point)), point) < 0.001
    again = to_gcj02(from_gcj02(point.longitude, point.latitude))
    assert distance(Point(*again), point) < 0.001


@given(in_china)
def test_gcj02_is_off_by_less_than_a_kilometre_and_more(point: Point) -> None:
    assert distance(Point(*to_gcj02(point)), point) < 1_500


@given(abroad)
def test_gcj02_leaves_the_rest_of_the_world_alone(point: Point) -> None:
    assert to_gcj02(point) == (point.longitude, point.latitude)
    assert from_gcj02(point.longitude, point.latitude) == point


@given(anywhere, anywhere, anywhere)
def test_distance_is_a_metric(one: Point, two: Point, three: Point) -> None:
    assert distance(one, one) == 0
    assert distance(one, two) == pytest.approx(distance(two, one), abs=0.001)
    assert distance(one, three) <= distance(one, two) + distance(two, three) + 0.1
    assert distance(one, two) <= math.pi * 6_371_008.8 + 0.001


SIDE = 4
CORNERS = {
    (column, row): (
        112.5 + 0.01 * column + 0.003 * math.sin(5 * column + 3 * row) * (0 < column < SIDE),
        26.8 + 0.01 * row + 0.003 * math.cos(7 * column + 2 * row) * (0 < row < SIDE),
    )
    for column in range(SIDE + 1)
    for row in range(SIDE + 1)
}
"""Corners of skewed cells that tile a rectangle without gaps."""

CELLS: dict[str, list[list[Position]]] = {
    f"{column}-{row}": [
        [CORNERS[column + east, row + north] for east, north in ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0))]
    ]
    for column in range(SIDE)
    for row in range(SIDE)
}
ALONE = [Grid({code: rings}) for code, rings in CELLS.items()]

within = st.builds(Point, st.floats(112.5, 112.54), st.floats(26.8, 26.84))
corners = st.sampled_from(sorted(CORNERS.values())).map(lambda position: Point(*position))


@st.composite
def on_edges(draw: st.DrawFn) -> Point:
    ring = draw(st.sampled_from(sorted(CELLS.items())))[1][0]
    start = draw(st.integers(0, 3))
    part = draw(st.floats(0, 1))
    (x1, y1), (x2, y2) = ring[start], ring[start + 1]
    return Point(x1 + part * (x2 - x1), y1 + part * (y2 - y1))


@given(within | corners | on_edges())
def test_every_point_of_a_tiling_lies_in_exactly_one_cell(point: Point) -> None:
    assume(112.5 <= point.longitude < 112.54 and 26.8 <= point.latitude < 26.84)
    found = [code for grid in ALONE if (code := grid.locate(point))]
    assert len(found) == 1
    assert Grid(CELLS).locate(point) == found[0]


@given(st.floats(0, 2 * math.pi), st.floats(0.1, 3), st.integers(3, 30))
def test_a_regular_polygon_holds_what_is_nearer_than_its_sides(angle: float, away: float, sides: int) -> None:
    corners = [(math.cos(2 * math.pi * k / sides), math.sin(2 * math.pi * k / sides)) for k in range(sides)]
    grid = Grid({"polygon": [[*corners, corners[0]]]})
    inner = math.cos(math.pi / sides)
    assume(not inner - 1e-9 <= away <= 1 + 1e-9)
    found = grid.locate(Point(away * math.cos(angle), away * math.sin(angle)))
    assert found == ("polygon" if away < inner else None)
