"""The district's names and its map."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from deploy.local.stack import DISTRICT
from services.portal.district import District
from services.portal.district.map import MAP_WIDTH, MARGIN, Map
from shared.district import Outline
from shared.geo import Grid

CRESCENT = [[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0], [0.0, 9.0], [9.0, 9.0], [9.0, 1.0], [0.0, 1.0]]


@pytest.fixture(scope="module")
def district() -> District:
    return District.load(DISTRICT)


def test_every_community_has_a_name_and_a_place_on_the_map(district: District) -> None:
    assert {shape.code for shape in district.map.shapes} == set(district.communities)


def test_the_spot_that_stands_for_a_community_lies_in_it(district: District) -> None:
    grid = Grid.from_geojson(json.loads((DISTRICT / "communities.geojson").read_bytes()))
    for code in district.communities:
        inside = district.map.spot_in(code)
        assert inside is not None
        assert grid.locate(inside) == code


def test_also_where_the_middle_of_a_community_is_somewhere_else() -> None:
    geometry = {"type": "Polygon", "coordinates": [[*CRESCENT, CRESCENT[0]]]}
    area = {"type": "Feature", "properties": {"code": "crescent"}, "geometry": geometry}
    collection = {"type": "FeatureCollection", "features": [area]}
    inside = Map.of(Outline.of(collection)).spot_in("crescent")
    assert inside is not None
    assert Grid.from_geojson(collection).locate(inside) == "crescent"


def test_north_is_up_and_the_drawing_fits(district: District) -> None:
    drawing = district.map
    assert drawing.at(drawing.west, drawing.north) == (MARGIN, MARGIN)
    for shape in district.map.shapes:
        x, y = drawing.at(shape.inside.longitude, shape.inside.latitude)
        assert 0 < x < MAP_WIDTH
        assert 0 < y < drawing.height


def test_only_rungs_that_the_ladder_calls_public_are_public(tmp_path: Path) -> None:
    folder = tmp_path / "district"
    shutil.copytree(DISTRICT, folder)
    ladder = folder / "ladder.json"
    ladder.unlink(missing_ok=True)
    assert District.load(folder).rungs == {}
    reminder = {
        "code": "reminder",
        "name": {"zh": "提醒函", "en": "Reminder"},
        "public": True,
        "reply": "3 working days",
    }
    referral = {"code": "referral", "name": {"zh": "问责移交", "en": "Referral"}}
    ladder.write_text(json.dumps({"version": 1, "rungs": [reminder, referral]}), encoding="utf-8")
    assert {code: rung.public for code, rung in District.load(folder).rungs.items()} == {
        "reminder": True,
        "referral": False,
    }
