"""Whatever is reported wherever and whenever goes to a unit of the district or to the office's queue, with a reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from services.reports.district import District
from services.reports.domain import ANY, Areas, Category, Route, Router, Routing, Why
from services.reports.domain.hours import Hours, Window
from services.reports.domain.routing import clashes
from shared.geo import Point

HENGYANG = District.load(Path(__file__).parents[2] / "deploy" / "sample" / "hengyang")
UNITS, CATEGORIES = sorted(HENGYANG.units), list(HENGYANG.categories.values())
NAMES = {code: unit.name for code, unit in HENGYANG.units.items()}
OFFICE = {Why.TRIAGE, Why.NO_RULE}

moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
points = st.builds(
    Point,
    st.floats(112.57, 112.62, exclude_max=True, allow_nan=False),
    st.floats(26.86, 26.91, exclude_max=True, allow_nan=False),
)
categories = st.sampled_from(CATEGORIES)
edited = st.builds(
    replace,
    categories,
    unit=st.sampled_from([*UNITS, None, "dissolved"]),
    triage=st.booleans(),
    supporting=st.lists(st.sampled_from([*UNITS, "dissolved"]), max_size=4, unique=True).map(tuple),
)
minutes = st.integers(0, 24 * 60 - 1).map(lambda minute: time(minute // 60, minute % 60))
windows = st.builds(Window, st.sets(st.integers(1, 7), min_size=1).map(tuple), minutes, minutes)
some_areas = ["430476001", "430476001004", "430476001004001", ANY]
routes = st.builds(
    Route,
    st.sampled_from(["noise", "graffiti", ANY]),
    st.sampled_from(some_areas),
    st.sampled_from([*UNITS[:3], None]),
    supporting=st.none() | st.lists(st.sampled_from(UNITS), max_size=3, unique=True).map(tuple),
    when=st.sampled_from(Hours) | st.lists(windows, min_size=1, max_size=2).map(tuple),
)


def without_clashes(rows: list[Route]) -> list[Route]:
    while worse := {other for _, other in clashes(rows)}:
        rows = [row for place, row in enumerate(rows) if place not in worse]
    return rows


def is_sound(found: Routing) -> bool:
    """It names a unit of the district, or leaves it to the office and says so; helpers are units and not the lead."""
    led = found.unit in HENGYANG.units and found.why not in OFFICE
    left = found.unit is None and found.why in OFFICE and not found.supporting
    helped = set(found.supporting) <= set(UNITS) - {found.unit}
    result = bool(found.reasons) and all(reason.zh and reason.en for reason in found.reasons)
    return (led or left) and helped and result


@settings(deadline=None)
@given(categories, points, moments)
def test_everything_in_the_district_goes_somewhere(category: Category, point: Point, at: datetime) -> None:
    areas = HENGYANG.areas_at(point)
    assert areas is not None
    found = HENGYANG.router.route(category, areas, at)
    assert is_sound(found)
    assert (found.unit is None) is category.triage


@settings(deadline=None)
@given(edited, points, moments)
def test_whatever_the_office_edits(category: Category, point: Point, at: datetime) -> None:
    areas = HENGYANG.areas_at(point)
    assert areas is not None
    assert is_sound(HENGYANG.router.route(category, areas, at))


@settings(deadline=None)
@given(
    st.lists(routes, max_size=12).map(without_clashes),
    st.dictionaries(st.sampled_from(["430476001", "430476001004"]), st.sampled_from(UNITS)),
    edited,
    st.sampled_from([Areas("430476001004", "430476001", "430476001004001"), Areas("430476001005", "430476001")]),
    moments,
)
def test_whatever_the_table_says(
    rows: list[Route], own: dict[str, str], category: Category, areas: Areas, at: datetime
) -> None:
    asked = Router(rows, own, NAMES, HENGYANG.timetable.calendar)
    found = asked.route(category, areas, at)
    assert is_sound(found)
    assert found == Router(rows[::-1], own, NAMES, HENGYANG.timetable.calendar).route(category, areas, at)
