"""Photos as telephones, broken connections and attackers send them."""

from __future__ import annotations

import asyncio
import time
from io import BytesIO
from typing import Any

import httpx2
import pytest
from PIL import Image

from tests.cases.world import REPORT, case_of, filed, form, got, refusal, sample
from tests.inprocess import Inside

CORNERS = {"blue": (0, 0, 255), "red": (255, 0, 0), "yellow": (255, 255, 0), "lime": (0, 255, 0)}
UPRIGHT = ["blue", "red", "yellow", "lime"]


async def upload(reports: Inside, name: str, media_type: str = "image/jpeg") -> httpx2.Response:
    headers = reports.token("service") | {"content-type": media_type}
    return await reports.http.post("/photos", content=sample(name), headers=headers)


async def shown(reports: Inside, photo: str, size: str) -> httpx2.Response:
    answer = await reports.http.get(f"/photos/{photo}/{size}", headers=reports.token("office"))
    assert answer.status_code == 200, answer.text
    return answer


async def copies(reports: Inside, photo: str) -> list[Image.Image]:
    """Both copies of a photo that is named in a new case."""
    await filed(reports, REPORT | {"photos": [photo]})
    answers = [await shown(reports, photo, size) for size in ("large", "thumb")]
    assert {answer.headers["content-type"] for answer in answers} == {"image/jpeg"}
    return [Image.open(BytesIO(answer.content)) for answer in answers]


async def looked_at(reports: Inside, photo: str, role: str = "verifier") -> dict[str, Any]:
    answer = await reports.http.get(f"/photos/{photo}", headers=reports.token(role))
    body: dict[str, Any] = got(answer)
    return body


async def kept(reports: Inside) -> int:
    """How many photos there are, whether or not a case has them."""
    return await reports.runtime.store.driver.count("photos", {})


def corners(image: Image.Image) -> list[str]:
    """The corners' colours from the top left, line by line."""
    width, height = image.size
    image = image.convert("RGB")
    places = [(x, y) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [nearest(image.getpixel(place)) for place in places]


def nearest(pixel: Any) -> str:
    return min(CORNERS, key=lambda name: sum(abs(a - b) for a, b in zip(CORNERS[name], pixel, strict=True)))


async def test_P01_a_photo_is_turned_upright_and_loses_what_its_camera_noted(reports: Inside) -> None:
    body = got(await upload(reports, "p01-exif6-gps.jpg"), 201)
    assert (body["width"], body["height"]) == (40, 60)
    for copy in await copies(reports, body["photo"]):
        assert copy.size == (40, 60)
        assert corners(copy) == UPRIGHT
        assert not copy.getexif()
    noted = (await looked_at(reports, body["photo"], "office"))["noted"]
    assert (round(noted["latitude"], 4), round(noted["longitude"], 4)) == (26.8901, 112.6012)
    assert noted["taken_at"] == "2026-10-31T16:30:00Z"
    stranger = await reports.http.get(f"/photos/{body['photo']}", headers=reports.token("citizen"))
    assert stranger.status_code == 403


@pytest.mark.parametrize(
    "name",
    [
        "p02a-gps-zero-denominator.jpg",
        "p02b-gps-null-island.jpg",
        "p02c-gps-one-rational-no-ref.jpg",
        "p02d-orientation-9-and-long.jpg",
        "p02e-exif-cut-short.jpg",
    ],
)
async def test_P02_broken_notes_of_a_place_cost_neither_the_photo_nor_the_truth(reports: Inside, name: str) -> None:
    photo = got(await upload(reports, name), 201)["photo"]
    noted = (await looked_at(reports, photo))["noted"] or {}
    if "orientation" not in name:
        assert noted.get("longitude") is None
        assert noted.get("latitude") is None
    if "zero-denominator" in name:
        assert noted["taken_at"] == "2026-10-31T16:30:00Z"
    await copies(reports, photo)


async def test_P03_a_turn_that_is_written_twice_is_done_once(reports: Inside) -> None:
    for name in ("p03a-irot-and-exif6-as-iphones.heic", "p03b-irot-only.heic"):
        body = got(await upload(reports, name, "image/heic"), 201)
        assert (body["width"], body["height"]) == (40, 60)
        for copy in await copies(reports, body["photo"]):
            assert (copy.size, corners(copy)) == ((40, 60), UPRIGHT)
    for name in ("p03c-exif6-only.heic", "p03-plain.heic"):
        body = got(await upload(reports, name, "image/heic"), 201)
        assert {copy.size for copy in await copies(reports, body["photo"])} == {(body["width"], body["height"])}


async def test_P04_a_photo_is_what_its_bytes_are_whatever_it_is_called(reports: Inside) -> None:
    photo = got(await upload(reports, "p04-heic-named.jpg"), 201)["photo"]
    assert all(copy.format == "JPEG" for copy in await copies(reports, photo))
    assert (await shown(reports, photo, "original")).headers["content-type"] == "image/heic"


async def test_P06_a_photo_that_arrived_in_part_is_refused_at_once(reports: Inside) -> None:
    before = await kept(reports)
    for name in ("p06a-cut-at-60-percent.jpg", "p06c-header-only.jpg"):
        answer = await upload(reports, name)
        assert 400 <= answer.status_code < 500
        assert answer.json()["code"] == "photo-broken"
    assert await kept(reports) == before
    whole = await upload(reports, "p06b-only-end-marker-missing.jpg")
    if whole.status_code == 201:
        await copies(reports, whole.json()["photo"])
    else:
        assert refusal(whole)[1] == "photo-broken"


async def test_P07_a_small_file_with_too_many_pixels_costs_nothing(reports: Inside) -> None:
    started = time.monotonic()
    answers = await asyncio.gather(*(upload(reports, "p07-bomb-20000x20000.png", "image/png") for _ in range(10)))
    codes = {answer.json()["code"] for answer in answers}
    assert {"photo-too-many-pixels"} <= codes <= {"photo-too-many-pixels", "rate-limited"}
    assert all(400 <= answer.status_code < 500 for answer in answers)
    assert time.monotonic() - started < 20


async def test_P08_of_a_moving_picture_the_first_frame_is_shown(reports: Inside) -> None:
    body = got(await upload(reports, "p08-animated.webp", "image/webp"), 201)
    assert (body["width"], body["height"]) == (64, 64)
    for copy in await copies(reports, body["photo"]):
        assert (copy.size, set(corners(copy))) == ((64, 64), {"red"})


async def test_P10_sixteen_bits_keep_their_ramp_and_the_transparent_lies_on_white(reports: Inside) -> None:
    photo = got(await upload(reports, "p10-16bit-grey-ramp.png", "image/png"), 201)["photo"]
    ramp = (await copies(reports, photo))[0].convert("L")
    middle = ramp.height // 2
    left, centre, right = (ramp.getpixel((x, middle)) for x in (1, ramp.width // 2, ramp.width - 2))
    assert isinstance(left, int)
    assert isinstance(centre, int)
    assert isinstance(right, int)
    assert left < 20
    assert abs(centre - 128) < 20
    assert right > 235
    photo = got(await upload(reports, "p10b-transparent.png", "image/png"), 201)["photo"]
    flat = (await copies(reports, photo))[0].convert("L")
    assert flat.getextrema() == pytest.approx((0, 255), abs=25)
    assert flat.getpixel((0, 0)) == pytest.approx(255, abs=5)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("p11a-script.svg", "image/svg+xml"), ("p11b-svg-named.jpg", "image/jpeg"), ("p12b-gif-named.jpg", "image/jpeg")],
)
async def test_P11_what_is_no_photo_is_refused_by_its_bytes(
    reports: Inside, portal: Inside, name: str, media_type: str
) -> None:
    before = await kept(reports)
    answer = await upload(reports, name, media_type)
    assert refusal(answer)[:2] == (415, "photo-kind-unsupported")
    assert all(kind in answer.json()["detail"].lower() for kind in ("jpeg", "png", "webp", "heic"))
    page = await form(portal, photo=("photo.jpg", sample(name)))
    assert page.status_code in {415, 422}
    assert "jpeg" in page.text.lower()
    assert await kept(reports) == before


async def test_P12_what_hides_in_a_picture_cannot_run(reports: Inside) -> None:
    photo = got(await upload(reports, "p12-jpeg-with-html-in-comment.jpg"), 201)["photo"]
    await copies(reports, photo)
    for size in ("large", "thumb"):
        assert b"<script" not in (await shown(reports, photo, size)).content
    original = await shown(reports, photo, "original")
    assert original.headers["content-type"] == "image/jpeg"
    assert original.headers["content-disposition"].startswith("attachment")
    assert original.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in original.headers["content-security-policy"]


async def test_P14_a_photo_belongs_to_one_case_and_stands_there_once(reports: Inside) -> None:
    photo = got(await upload(reports, "p01-exif6-gps.jpg"), 201)["photo"]
    service = reports.token("service")
    twice = await reports.http.post("/cases", json=REPORT | {"photos": [photo, photo]}, headers=service)
    assert refusal(twice) == (422, "photo-repeated", "photos.1")
    case = (await filed(reports, REPORT | {"photos": [photo]}))["case"]
    second = await reports.http.post("/cases", json=REPORT | {"photos": [photo]}, headers=service)
    assert 400 <= second.status_code < 500
    assert refusal(second)[2] == "photos.0"
    assert (await case_of(reports, case))["photos"] == [photo]


@pytest.mark.parametrize("name", ['"><svg onload=alert(1)>.jpg', "gpj.\u202eexe.jpg", "a" * 3000 + ".jpg", ""])
async def test_P15_a_files_name_is_neither_kept_nor_shown(reports: Inside, portal: Inside, name: str) -> None:
    page = await form(portal, photo=(name, sample("p01-exif6-gps.jpg")))
    assert page.status_code == 303, page.text
    if name:
        case = page.headers["location"].split("case=")[1].split("&")[0]
        assert name not in repr(await reports.runtime.store.driver.find("photos", {"claimed_by": case}))
        assert name not in (await portal.http.get(page.headers["location"])).text
