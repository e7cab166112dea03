"""Coordinates as people and programs send them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cases.world import REPORT, case_of, filed, form, got, refusal, sample
from tests.inprocess import Inside

TURNED = {"longitude": 26.8901, "latitude": 112.6012}


async def count(reports: Inside) -> int:
    return await reports.runtime.store.driver.count("cases", {})


async def test_G01_longitude_and_latitude_exchanged(reports: Inside) -> None:
    before = await count(reports)
    office = reports.token("office")
    for spot in (TURNED, {name: str(value) for name, value in TURNED.items()}):
        answers = [
            await reports.http.post("/cases", json=REPORT | spot, headers=office),
            await reports.http.post("/cases/similar", json=REPORT | spot, headers=office),
            await reports.http.get("/routing", params={"category": "exposed-rubbish", **spot}, headers=office),
        ]
        for answer in answers:
            assert answer.status_code == 422
            assert "latitude" in answer.text
    assert await count(reports) == before


async def test_G02_one_spot_in_every_datum(reports: Inside) -> None:
    spots = {"wgs84": (112.6012, 26.8901), "gcj02": (112.60642253, 26.88649917), "cgcs2000": (112.6012, 26.8901)}
    for crs, (longitude, latitude) in spots.items():
        receipt = await filed(reports, REPORT | {"longitude": longitude, "latitude": latitude, "crs": crs})
        place = await stored_place(reports, receipt["case"])
        assert place["longitude"] == pytest.approx(112.6012, abs=1e-5)
        assert place["latitude"] == pytest.approx(26.8901, abs=1e-5)
        assert place["community"] == "430476001013"
    body = REPORT | {"longitude": 112.61299015, "latitude": 26.89224474, "crs": "bd09"}
    answer = await reports.http.post("/cases", json=body, headers=reports.token("service"))
    assert answer.status_code == 422
    assert all(known in answer.text for known in ("wgs84", "gcj02", "cgcs2000"))
    again = REPORT | {"longitude": 112.61164712, "latitude": 26.88289897, "crs": "gcj02"}
    place = await stored_place(reports, (await filed(reports, again))["case"])
    assert (round(place["longitude"], 3), round(place["latitude"], 3)) == (112.606, 26.886)


async def stored_place(reports: Inside, case: str) -> dict[str, Any]:
    [document] = await reports.runtime.store.driver.find("cases", {"_id": case})
    place: dict[str, Any] = document["place"]
    return place


async def test_G04_just_outside_is_told_in_words_and_the_form_keeps_what_was_typed(
    reports: Inside, portal: Inside
) -> None:
    outside = {"longitude": 112.6200001, "latitude": 26.9}
    answer = await reports.http.post("/cases", json=REPORT | outside, headers=reports.token("service"))
    assert refusal(answer)[:2] == (422, "place-outside-district")
    assert "石鼓" in answer.json()["detail"] or "区" in answer.json()["detail"]
    spot = {name: str(value) for name, value in outside.items()}
    page = await form(portal, {**spot, "community": "", "text": "井盖松动"}, ("a.jpg", sample("p01-exif6-gps.jpg")))
    assert page.status_code == 422
    assert "井盖松动" in page.text
    assert 'name="kept" value="' in page.text


@pytest.mark.parametrize("number", ["NaN", "1e400", "57983", '"1_12.6"', "true", "null"])
async def test_G05_what_is_no_coordinate_is_refused(reports: Inside, number: str) -> None:
    headers = reports.token("service") | {"content-type": "application/json"}
    for longitude, latitude in ((number, "26.89"), ("112.6", number)):
        content = f'{{"category":"exposed-rubbish","text":"x","longitude":{longitude},"latitude":{latitude}}}'
        answer = await reports.http.post("/cases", content=content, headers=headers)
        assert 400 <= answer.status_code < 500, answer.text


BOXES = ["nan,0,1,1", "112.6，26.8，112.7，26.9", "112.62,26.91,112.57,26.86", "1,2,3", "170,-10,-170,10"]


@pytest.mark.parametrize("box", BOXES)
async def test_G05_what_is_no_box_is_refused(reports: Inside, box: str) -> None:
    answer = await reports.http.get("/cases/map", params={"bbox": box})
    assert 400 <= answer.status_code < 500, answer.text


async def test_G05_a_true_or_an_underscore_is_no_number(reports: Inside) -> None:
    for longitude in (True, "1_12.6"):
        answer = await reports.http.post("/cases", json=REPORT | {"longitude": longitude})
        assert (answer.status_code, refusal(answer)[2]) == (422, "longitude")
    case = (await filed(reports))["case"]
    assert (await case_of(reports, case))["snapshot"]["case"] == case
    got(await reports.http.get("/cases/map", params={"bbox": "112.57,26.86,112.62,26.91"}))
