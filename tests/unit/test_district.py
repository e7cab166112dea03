"""The sample district is sound, and unsound files are named by file and row."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.reports.district import District
from shared.district import DistrictUnusable
from shared.geo import Point
from shared.workdays import Limit
from tests.unit.reports.cases import TERMS

SAMPLE = Path(__file__).parents[2] / "deploy" / "sample" / "hengyang"
HENGYANG = District.load(SAMPLE)
WEST, SOUTH, EAST, NORTH = 112.57, 26.86, 112.62, 26.91
MONDAY_NOON, MONDAY_NIGHT = datetime(2026, 11, 23, 3, tzinfo=UTC), datetime(2026, 11, 23, 15, tzinfo=UTC)
DISPATCHED_AT_ONCE = {"exposed-rubbish", "street-vending", "water-pipe", "manhole-cover", "other-matter"}


def test_the_district_is_the_one_of_the_statistical_codes() -> None:
    assert HENGYANG.code == "430476"
    assert len(HENGYANG.communities) == 18
    assert all(code.startswith("430476001") and len(code) == 12 for code in HENGYANG.communities)
    assert HENGYANG.communities["430476001004"].name.zh == "银光社区"
    assert HENGYANG.communities["430476001217"].name.zh == "华辉村"


@settings(deadline=None)
@given(
    st.floats(WEST, EAST, exclude_max=True, allow_nan=False),
    st.floats(SOUTH, NORTH, exclude_max=True, allow_nan=False),
)
def test_every_point_of_the_box_lies_in_exactly_one_community(longitude: float, latitude: float) -> None:
    found = [
        feature["properties"]["code"]
        for feature in HENGYANG.map["features"]
        for (west, south), _, (east, north), *_ in feature["geometry"]["coordinates"]
        if west <= longitude < east and south <= latitude < north
    ]
    assert found == [HENGYANG.community_at(Point(longitude, latitude))]


@pytest.mark.parametrize("point", [Point(112.5699, 26.88), Point(112.6201, 26.88), Point(112.6, 26.911)])
def test_outside_the_box_there_is_no_community(point: Point) -> None:
    assert HENGYANG.community_at(point) is None


@settings(deadline=None)
@given(
    st.floats(WEST, EAST, exclude_max=True, allow_nan=False),
    st.floats(SOUTH, NORTH, exclude_max=True, allow_nan=False),
)
def test_every_point_of_the_box_lies_in_a_grid_of_its_community(longitude: float, latitude: float) -> None:
    areas = HENGYANG.areas_at(Point(longitude, latitude))
    assert areas is not None
    assert areas.subdistrict == "430476001"
    assert HENGYANG.grids[areas.grid].community == areas.community


@pytest.mark.parametrize(
    ("category", "longitude", "latitude", "at", "unit"),
    [
        ("exposed-rubbish", 112.571, 26.9, MONDAY_NOON, "huanwei"),
        ("exposed-rubbish", 112.571, 26.87, MONDAY_NOON, "ertang"),
        ("alley-dirty", 112.58, 26.9, MONDAY_NIGHT, "jinshan"),
        ("food-stall", 112.601, 26.904, MONDAY_NOON, "shichang"),
        ("site-dust", 112.58, 26.9, MONDAY_NOON, "jianshe"),
        ("site-dust", 112.58, 26.9, MONDAY_NIGHT, "chengguan"),
        ("road-collapse", 112.58, 26.9, MONDAY_NIGHT, "yingji"),
        ("other-matter", 112.58, 26.9, MONDAY_NIGHT, None),
    ],
)
def test_routing_of_the_sample(category: str, longitude: float, latitude: float, at: datetime, unit: str) -> None:
    areas = HENGYANG.areas_at(Point(longitude, latitude))
    assert areas is not None
    assert HENGYANG.router.route(HENGYANG.categories[category], areas, at).unit == unit


def test_what_the_demonstration_and_the_first_steps_report_is_dispatched_at_once() -> None:
    mapping = json.loads((SAMPLE.parent / "replay" / "mapping.json").read_text(encoding="utf-8"))
    looked_at = {code for code, category in HENGYANG.categories.items() if category.site_check}
    assert looked_at
    assert not looked_at & (DISPATCHED_AT_ONCE | set(mapping["types"].values()))


def test_a_citizen_can_report_everything_with_a_form_that_does_not_ask_the_questions() -> None:
    asking = [category for category in HENGYANG.categories.values() if category.questions]
    assert len(asking) >= 10
    assert not any(question.required for category in asking for question in category.questions)


@pytest.mark.parametrize(
    ("category", "limit"),
    [
        ("exposed-rubbish", "4 work-hours"),
        ("road-cleaning", "2 work-hours"),
        ("water-logging", "4 work-hours"),
        ("building-rubble", "4 work-hours"),
        ("spoil-heap", "2 working days"),
        ("green-space", "5 working days"),
        ("dirty-road", "5 work-hours"),
        ("dirty-water", "15 working days"),
        ("illegal-building-stop", "4 work-hours"),
        ("illegal-building-removal", "20 working days"),
    ],
)
def test_the_limits_that_have_a_source(category: str, limit: str) -> None:
    found = HENGYANG.categories[category]
    assert Limit.parse(found.limit) == Limit.parse(limit)
    assert found.limit_source != "示例"


def test_every_group_of_categories_hangs_in_the_tree_and_is_used() -> None:
    used = {category.group for category in HENGYANG.categories.values()}
    parents = {group.parent for group in HENGYANG.category_groups.values()}
    assert used | parents == {*HENGYANG.category_groups, None}
    assert {group.group for group in HENGYANG.units.values()} == set(HENGYANG.unit_groups)


def test_the_calendar_knows_the_coming_year_provisionally() -> None:
    assert HENGYANG.timetable.calendar.last_known_year == 2027


Edit = Callable[[dict[str, Any]], object]


def _set(path: str, value: object) -> Edit:
    def edit(content: dict[str, Any]) -> None:
        *way, last = path.split(".")
        inner: Any = content
        for step in way:
            inner = inner[int(step)] if step.isdigit() else inner[step]
        inner[last] = value

    return edit


def _repeat(name: str) -> Edit:
    return lambda content: content[name].append(content[name][0])


@pytest.mark.parametrize(
    ("file", "edit", "problem"),
    [
        ("categories.json", _set("categories.3.limit", "2 hours"), "water-pipe: limit: limit-unreadable"),
        ("categories.json", _set("categories.0.points", 0.5), "categories.0: Value error, write in quotes"),
        ("categories.json", _set("categories.0.points", "-1"), "manhole-cover: points: points-unfit"),
        ("categories.json", _set("categories.0.photo_requried", True), "unknown: photo_requried"),
        ("categories.json", _set("categories.0.unit", "nobody"), "manhole-cover: unit: unit-unknown(given=nobody)"),
        ("categories.json", _set("categories.0.group", "nothing"), "manhole-cover: group: group-unknown"),
        ("categories.json", _set("categories.0.triage", True), "manhole-cover: triage: triage-with-unit"),
        ("categories.json", _set("categories.0.questions.0.requierd", True), "unknown: questions.requierd"),
        ("categories.json", _set("categories.0.questions.0.options.0.nmae", 1), "unknown: questions.options.nmae"),
        ("categories.json", _set("categories.0.limits", {"verify": "soon"}), "limits.verify: limit-unreadable"),
        ("categories.json", _set("categories.0.supporting", ["nobody"]), "supporting.0: unit-unknown"),
        ("categories.json", _set("groups.0.parent", "public-utilities"), "component: parent: leads back to itself"),
        ("categories.json", _set("groups.1.parent", "nothing"), "public-utilities: parent: nothing"),
        ("categories.json", _set("version", "new"), "categories.json: version"),
        ("categories.json", _repeat("categories"), "category manhole-cover is listed twice"),
        ("units.json", _set("units.0.group", "nothing"), "chuangwenban: group: nothing"),
        ("units.json", _repeat("units"), "unit chuangwenban is listed twice"),
        ("district.json", _set("communities.0.unit", "nobody"), "430476001004: unit: nobody"),
        ("district.json", _set("subdistricts.0.unit", "nobody"), "430476001: unit: nobody"),
        ("district.json", _set("subdistricts.0.code", "430476002"), "430476001004: is not of any subdistrict"),
        ("district.json", _set("communities.0.code", "430476001999"), "430476001004 is not in both"),
        ("routing.json", _set("routes.0.area", "430476001999"), "routes.0: area: 430476001999"),
        ("routing.json", _set("routes.0.category", "nothing"), "routes.0: category: nothing"),
        ("routing.json", _set("routes.0.unit", "nobody"), "routes.0: unit: nobody"),
        ("routing.json", _repeat("routes"), "holds for the same problems at the same time as routes.0"),
        ("routing.json", _set("routes.0.supporting", ["ertang"]), "routes.0: supporting: lead-among-supporting"),
        ("routing.json", _set("routes.0.when", "at night"), "routing.json: routes.0.when"),
        ("routing.json", _set("routes.0.when", []), "routes.0: when: has no window"),
        ("routing.json", _set("routes.14.when.0.days", [0]), "days are some of 1 (Monday) to 7 (Sunday)"),
        ("routing.json", _set("routes.14.when.0.open", "22:00"), "unknown: when.open"),
        ("routing.json", _set("routes.14.unit", None), "routes.14: supporting: nobody leads"),
        ("grids.geojson", _set("features.0.properties.community", "430476001999"), "430476001004001: community"),
        (
            "grids.geojson",
            _set("features.0.properties.community", "430476001005"),
            "001: lies outside of its community",
        ),
        ("grids.geojson", _set("features.0.properties.code", "430476001004"), "430476001004 is listed twice"),
        ("grids.geojson", _set("features.1.properties.name_en", None), "features.1.properties.name_en"),
        ("terms.json", _set("version", "new"), "terms.json: version"),
        ("terms.json", _set("due_soon", "1"), "due_soon is a share between 0 and 1"),
        ("terms.json", _set("due_soon", "0"), "due_soon is a share between 0 and 1"),
        ("terms.json", _set("due_soon", "most"), "terms.json: due_soon"),
        ("terms.json", _set("orange", "7 hours"), "terms.json: orange: limit-unreadable(given=7 hours)"),
        ("terms.json", _set("return_within", "0 working days"), "terms.json: return_within: limit-too-small"),
        ("terms.json", _set("reopen_within", "a week"), "terms.json: reopen_within: limit-unreadable"),
        ("terms.json", _set("limits.verify", "2 days"), "terms.json: limits.verify: limit-unreadable"),
        (
            "terms.json",
            _set("limits", {"verify": "2 working days"}),
            "missing or unknown: acknowledge, answer, close, decide",
        ),
        ("terms.json", _set("limits.mending", "2 working days"), "limits: missing or unknown: mending"),
        ("terms.json", _set("red", "7 work-hours"), "red: must come later than orange"),
        ("terms.json", _set("orange", "3 working days"), "red: must come later than orange"),
        ("terms.json", _set("red", "9999 working days"), "terms.json: orange, red: 工作日历"),
        ("terms.json", _set("repeat_days", "a month"), "terms.json: repeat_days"),
        ("terms.json", lambda found: found.pop("red"), "terms.json: red"),
        ("calendar.json", _set("years.0.holidays", ["2028-01-01"]), "calendar.json"),
        ("communities.geojson", _set("features", []), "communities.geojson"),
    ],
)
def test_faults_are_named(tmp_path: Path, file: str, edit: Edit, problem: str) -> None:
    folder = _copy(tmp_path)
    found = json.loads((folder / file).read_text(encoding="utf-8"))
    edit(found)
    (folder / file).write_text(json.dumps(found), encoding="utf-8")
    with pytest.raises(DistrictUnusable) as fault:
        District.load(folder)
    assert any(problem in found for found in fault.value.problems), fault.value.problems


def test_the_terms_of_the_sample() -> None:
    assert HENGYANG.timetable.terms == TERMS
    assert HENGYANG.versions["terms"] == TERMS.version


def test_faults_of_several_files_are_named_together(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    (folder / "units.json").unlink()
    (folder / "routing.json").write_text("{", encoding="utf-8")
    (folder / "calendar.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DistrictUnusable) as fault:
        District.load(folder)
    assert {problem.partition(":")[0] for problem in fault.value.problems} == {
        "units.json",
        "routing.json",
        "calendar.json",
    }


def test_a_district_need_not_have_grids(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    (folder / "grids.geojson").unlink()
    with pytest.raises(DistrictUnusable) as fault:
        District.load(folder)
    assert fault.value.problems == ["routing.json: routes.13: area: 430476001007002 is not known"]
    routing = json.loads((folder / "routing.json").read_text(encoding="utf-8"))
    del routing["routes"][13]
    (folder / "routing.json").write_text(json.dumps(routing), encoding="utf-8")
    areas = District.load(folder).areas_at(Point(112.6, 26.885))
    assert areas is not None
    assert (areas.community, areas.grid) == ("430476001013", "")


def test_a_grid_drawn_over_the_border_counts_within_its_own_community_only(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    grids = json.loads((folder / "grids.geojson").read_text(encoding="utf-8"))
    ring = grids["features"][1]["geometry"]["coordinates"][0]
    grids["features"][1]["geometry"]["coordinates"][0] = [[112.58 if x == 112.578 else x, y] for x, y in ring]
    (folder / "grids.geojson").write_text(json.dumps(grids), encoding="utf-8")
    district = District.load(folder)
    inside, over = district.areas_at(Point(112.577, 26.905)), district.areas_at(Point(112.579, 26.905))
    assert inside is not None
    assert over is not None
    assert (inside.grid, over.community, over.grid) == ("430476001004002", "430476001005", "430476001005001")


def _copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAMPLE, tmp_path / "district"))
