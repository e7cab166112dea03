"""The sample district is sound, and unsound files are named by file and row."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reports.district import District, DistrictUnusable
from services.reports.domain import Why
from shared.geo import Point
from shared.workdays import Limit

SAMPLE = Path(__file__).parents[2] / "deploy" / "sample" / "hengyang"
HENGYANG = District.load(SAMPLE)
WEST, SOUTH, EAST, NORTH = 112.57, 26.86, 112.62, 26.91


def test_the_district_is_the_one_of_the_statistical_codes() -> None:
    assert HENGYANG.code == "430476"
    assert len(HENGYANG.communities) == 18
    assert all(code.startswith("430476001") and len(code) == 12 for code in HENGYANG.communities)
    assert HENGYANG.communities["430476001004"].name.zh == "银光社区"
    assert HENGYANG.communities["430476001217"].name.zh == "华辉村"


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


def test_no_case_of_the_district_is_left_nowhere() -> None:
    for category in HENGYANG.categories.values():
        for community in [*HENGYANG.communities, ""]:
            routing = HENGYANG.router.route(category.code, community)
            if category.triage:
                assert routing.why is Why.TRIAGE
            else:
                assert routing.unit in HENGYANG.units


@pytest.mark.parametrize(
    ("category", "community", "unit"),
    [
        ("exposed-rubbish", "430476001004", "huanwei"),
        ("exposed-rubbish", "430476001208", "ertang"),
        ("alley-dirty", "430476001005", "jinshan"),
        ("alley-dirty", "", "huaxing"),
    ],
)
def test_routing_of_the_sample(category: str, community: str, unit: str) -> None:
    assert HENGYANG.router.route(category, community).unit == unit


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
    assert HENGYANG.calendar.last_known_year == 2027


Edit = Callable[[dict[str, Any]], None]


def _set(path: str, value: object) -> Edit:
    def edit(told: dict[str, Any]) -> None:
        *way, last = path.split(".")
        inner: Any = told
        for step in way:
            inner = inner[int(step)] if step.isdigit() else inner[step]
        inner[last] = value

    return edit


def _repeat(name: str) -> Edit:
    return lambda told: told[name].append(told[name][0])


@pytest.mark.parametrize(
    ("file", "edit", "problem"),
    [
        ("categories.json", _set("categories.3.limit", "2 hours"), "categories.json: water-pipe: limit"),
        ("categories.json", _set("categories.0.points", 0.5), "categories.0: Value error, write in quotes"),
        ("categories.json", _set("categories.0.points", "-1"), "manhole-cover: points must lie between 0 and 100"),
        ("categories.json", _set("categories.0.photo_requried", True), "unknown: photo_requried"),
        ("categories.json", _set("categories.0.unit", "nobody"), "manhole-cover: unit: nobody is not known"),
        ("categories.json", _set("categories.0.group", "nothing"), "manhole-cover: group: nothing"),
        ("categories.json", _set("categories.0.triage", True), "also left to the office"),
        ("categories.json", _set("groups.1.parent", "nothing"), "public-utilities: parent: nothing"),
        ("categories.json", _set("version", "new"), "categories.json: version"),
        ("categories.json", _repeat("categories"), "category manhole-cover is listed twice"),
        ("units.json", _set("units.0.group", "nothing"), "chuangwenban: group: nothing"),
        ("units.json", _repeat("units"), "unit chuangwenban is listed twice"),
        ("district.json", _set("communities.0.unit", "nobody"), "430476001004: unit: nobody"),
        ("district.json", _set("subdistrict.unit", "nobody"), "subdistrict: unit: nobody"),
        ("district.json", _set("communities.0.code", "430476001999"), "430476001004 is not in both"),
        ("routing.json", _set("routes.0.community", "430476001999"), "routes.0: community: 430476001999"),
        ("routing.json", _set("routes.0.category", "nothing"), "routes.0: category: nothing"),
        ("routing.json", _set("routes.0.unit", "nobody"), "routes.0: unit: nobody"),
        ("routing.json", _repeat("routes"), "is listed twice"),
        ("calendar.json", _set("years.0.holidays", ["2028-01-01"]), "calendar.json"),
        ("communities.geojson", _set("features", []), "communities.geojson"),
    ],
)
def test_faults_are_named(tmp_path: Path, file: str, edit: Edit, problem: str) -> None:
    folder = _copy(tmp_path)
    told = json.loads((folder / file).read_text(encoding="utf-8"))
    edit(told)
    (folder / file).write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(DistrictUnusable) as fault:
        District.load(folder)
    assert any(problem in told for told in fault.value.problems), fault.value.problems


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


def test_an_exception_takes_the_place_of_the_rule(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    routing = json.loads((folder / "routing.json").read_text(encoding="utf-8"))
    routing["routes"] = [
        {"category": "noise", "community": "*", "unit": "shengtai"},
        {"category": "*", "community": "430476001004", "unit": "huaxing"},
        {"category": "graffiti", "community": "*", "unit": None},
    ]
    (folder / "routing.json").write_text(json.dumps(routing), encoding="utf-8")
    router = District.load(folder).router
    assert router.route("noise", "430476001005").unit == "shengtai"
    assert router.route("alley-dirty", "430476001004").unit == "huaxing"
    assert router.route("graffiti", "430476001004").why is Why.TRIAGE


def _copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAMPLE, tmp_path / "district"))
