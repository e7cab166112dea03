"""The report form: what is missing in it, and how it goes on."""

from __future__ import annotations

from io import BytesIO

import pytest
from starlette.datastructures import FormData, Headers, UploadFile

from services.portal.district import District
from services.portal.forms import PHOTO_BYTES, Report, at_fields, photos_of
from services.portal.reporting import Fault
from tests.platform import DISTRICT

KEY = "0123456789abcdef0123456789abcdef"
TYPED = {"key": KEY, "category": "exposed-rubbish", "longitude": "112.6", "latitude": "26.9"}


@pytest.fixture(scope="module")
def district() -> District:
    return District.load(DISTRICT)


def form(**typed: str) -> FormData:
    return FormData([*TYPED.items(), *typed.items()])


def upload(size: int = 10) -> UploadFile:
    return UploadFile(BytesIO(b""), size=size, filename="photo.jpg", headers=Headers({"content-type": "image/jpeg"}))


def test_what_was_typed_becomes_a_case(district: District) -> None:
    report = Report.read(form(text="  垃圾桶满了  ", name="王女士"))
    assert report.faults([], district) == {}
    assert report.case(district, ["one"]) == {
        "category": "exposed-rubbish",
        "longitude": 112.6,
        "latitude": 26.9,
        "crs": "wgs84",
        "address": "",
        "text": "垃圾桶满了",
        "channel": "citizen",
        "photos": ["one"],
        "reporter": {"name": "王女士", "phone": None},
    }


def test_who_says_nothing_of_themselves_is_nobody(district: District) -> None:
    assert Report.read(form()).case(district, [])["reporter"] is None


@pytest.mark.parametrize("longitude", ["", "here", "nan", "inf", "1e999", "181"])
def test_a_place_that_is_no_number_falls_back_on_the_community(district: District, longitude: str) -> None:
    report = Report.read(FormData([*TYPED.items(), ("community", "430476001208")]))
    report = Report(**{**report.__dict__, "longitude": longitude})
    spot = report.spot(district)
    inside = district.map.spot_in("430476001208")
    assert inside is not None
    assert spot == (inside.longitude, inside.latitude)


def test_what_is_missing_is_told_by_field(district: District) -> None:
    assert Report.read(FormData()).faults([], district) == {"category": "fault-category", "place": "fault-place"}


@pytest.mark.parametrize(
    ("photos", "fault"),
    [(0, "fault-photo-required"), (1, None), (3, None), (4, "fault-photos-many")],
)
def test_photos_are_as_many_as_the_category_asks_for_and_no_more_than_three(
    district: District, photos: int, fault: str | None
) -> None:
    report = Report.read(FormData({**TYPED, "category": "manhole-cover"}))
    assert report.faults([upload()] * photos, district).get("photos") == fault


def test_kept_photos_count(district: District) -> None:
    report = Report.read(FormData([*TYPED.items(), ("kept", "one"), ("kept", "two"), ("kept", "one")]))
    assert report.kept == ("one", "two")
    assert report.faults([upload(), upload()], district) == {"photos": "fault-photos-many"}


def test_a_photo_that_reports_would_refuse_is_not_sent(district: District) -> None:
    assert Report.read(form()).faults([upload(PHOTO_BYTES + 1)], district) == {"photos": "fault-photo-large"}


def test_an_empty_file_input_is_no_photo() -> None:
    assert photos_of(FormData([("photos", upload(0)), ("photos", "text")])) == []


@pytest.mark.parametrize("key", ["", "short", KEY.upper(), f"{KEY}\r\nX-Header: 1", "../" + KEY])
def test_a_key_that_is_not_ours_is_replaced(key: str) -> None:
    assert Report.read(FormData({"key": key})).key != key


def test_a_form_to_be_corrected_is_a_new_report() -> None:
    report = Report.read(form())
    assert report.key == KEY
    again = report.again(["one"])
    assert again.key != KEY
    assert (again.kept, again.category) == (("one",), report.category)


def test_names_and_numbers_do_not_show_in_logs() -> None:
    assert "王女士" not in repr(Report(name="王女士", phone="0734-8888888"))


def test_faults_stand_at_the_fields_where_people_typed() -> None:
    told = at_fields(
        [
            Fault("longitude", "outside"),
            Fault("latitude", "second"),
            Fault("photos.1", "broken"),
            Fault("reporter.phone", "no number"),
            Fault("", "something else"),
            Fault("unheard-of", "lost?"),
        ]
    )
    assert told == {"place": "outside", "photos": "broken", "phone": "no number", "": "something else"}
