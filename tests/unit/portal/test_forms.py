"""The report form: what is missing in it, and how it goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO

import pytest
from starlette.datastructures import FormData, Headers, UploadFile

from deploy.local.stack import DISTRICT
from services.portal.district import District
from services.portal.district.catalogue import Catalogue
from services.portal.forms import PHOTO_BYTES, Report, at_fields, photos_of
from shared.contracts.reports import Kind
from shared.http.peer import Fault
from tests.unit.portal.categories import asked, category

KEY = "0123456789abcdef0123456789abcdef"
TYPED = {"key": KEY, "category": "bins", "longitude": "112.6", "latitude": "26.9", "may_publish": "1"}
CATALOGUE = Catalogue.parse(
    json.dumps(
        [
            category("bins"),
            category("covers", photo_required=True),
            category(
                "toilets",
                questions=[asked("where", required=True), asked("faults", "choices"), asked("open", "yes-no")],
            ),
            category("stalls", retired=True),
        ]
    ).encode()
)
ASKED = {"category": "toilets", "asked": "toilets"}


@pytest.fixture(scope="module")
def district() -> District:
    return District.load(DISTRICT)


def form(**typed: str) -> FormData:
    return FormData([*{**TYPED, **typed}.items()])


def filled(typed: Mapping[str, str], *answers: tuple[str, str]) -> Report:
    return Report.read(FormData([*{**TYPED, **typed}.items(), *answers]))


def upload(size: int = 10) -> UploadFile:
    return UploadFile(BytesIO(b""), size=size, filename="photo.jpg", headers=Headers({"content-type": "image/jpeg"}))


def test_what_was_typed_becomes_a_case(district: District) -> None:
    report = Report.read(form(text="  垃圾桶满了  ", name="王女士", may_call="1")).with_photos(["one"])
    assert report.faults([], district, CATALOGUE) == {}
    assert report.case(district, CATALOGUE) == {
        "category": "bins",
        "longitude": 112.6,
        "latitude": 26.9,
        "crs": "wgs84",
        "exact": True,
        "address": "",
        "text": "垃圾桶满了",
        "channel": "citizen",
        "kind": "problem",
        "answers": {},
        "photos": ["one"],
        "reporter": {"name": "王女士", "phone": None, "may_call": True, "may_publish": True},
    }


def test_who_says_nothing_of_themselves_is_nobody(district: District) -> None:
    assert Report.read(form()).case(district, CATALOGUE)["reporter"] is None


def test_who_wants_nothing_published_says_so_without_a_name(district: District) -> None:
    report = Report.read(FormData({name: value for name, value in TYPED.items() if name != "may_publish"}))
    assert report.case(district, CATALOGUE)["reporter"] == {
        "name": None,
        "phone": None,
        "may_call": False,
        "may_publish": False,
    }


@pytest.mark.parametrize("longitude", ["", "here", "nan", "inf", "1e999", "181"])
def test_a_place_that_is_no_number_falls_back_on_the_community(district: District, longitude: str) -> None:
    report = Report.read(form(community="430476001208", longitude=longitude))
    inside = district.map.spot_in("430476001208")
    assert inside is not None
    assert report.spot(district) == (inside.longitude, inside.latitude)
    assert report.case(district, CATALOGUE)["exact"] is False


def test_what_is_missing_is_told_by_field(district: District) -> None:
    faults = Report.read(FormData()).faults([], district, CATALOGUE)
    assert faults == {"category": "fault-category", "place": "fault-place"}


def test_a_category_that_takes_no_new_cases_is_none(district: District) -> None:
    assert Report.read(form(category="stalls")).faults([], district, CATALOGUE) == {"category": "fault-category"}


@pytest.mark.parametrize(
    ("photos", "fault"),
    [(0, "fault-photo-required"), (1, None), (3, None), (4, "fault-photos-many")],
)
def test_photos_are_as_many_as_the_category_asks_for_and_no_more_than_three(
    district: District, photos: int, fault: str | None
) -> None:
    report = Report.read(form(category="covers"))
    assert report.faults([upload()] * photos, district, CATALOGUE).get("photos") == fault


def test_kept_photos_count(district: District) -> None:
    report = Report.read(FormData([*TYPED.items(), ("kept", "one"), ("kept", "two"), ("kept", "one")]))
    assert report.kept == ("one", "two")
    assert report.faults([upload(), upload()], district, CATALOGUE) == {"photos": "fault-photos-many"}


def test_a_photo_that_reports_would_refuse_is_not_sent(district: District) -> None:
    report = Report.read(form())
    assert report.faults([upload(PHOTO_BYTES + 1)], district, CATALOGUE) == {"photos": "fault-photo-large"}


def test_an_empty_file_input_is_no_photo() -> None:
    assert photos_of(FormData([("photos", upload(0)), ("photos", "text")])) == []


# ---- questions ---------------------------------------------------------------------------------------------


def test_answers_go_along_as_their_kind_takes_them(district: District) -> None:
    answers = [("answer.where", " 北门 "), ("answer.faults", "one"), ("answer.faults", "two"), ("answer.open", "")]
    report = filled(ASKED, *answers)
    assert report.faults([], district, CATALOGUE) == {}
    assert report.case(district, CATALOGUE)["answers"] == {"where": "北门", "faults": ["one", "two"]}


def test_answers_to_what_is_not_asked_stay_here(district: District) -> None:
    report = filled({"category": "bins", "asked": "toilets"}, ("answer.where", "北门"))
    assert report.case(district, CATALOGUE)["answers"] == {}


def test_what_must_be_answered_is_told_once_it_has_been_asked(district: District) -> None:
    unasked = filled({"category": "toilets"})
    assert unasked.faults([], district, CATALOGUE) == {}
    assert not unasked.has_seen_questions(CATALOGUE)
    assert not filled({"category": "toilets", "asked": "bins"}).has_seen_questions(CATALOGUE)
    blank = filled(ASKED, ("answer.where", " "))
    assert blank.faults([], district, CATALOGUE) == {"answer.where": "fault-answer"}
    assert blank.has_seen_questions(CATALOGUE)
    assert filled({"category": "bins"}).has_seen_questions(CATALOGUE)


# ---- praise ------------------------------------------------------------------------------------------------


def test_praise_needs_no_photo_no_answers_and_is_like_no_problem(district: District) -> None:
    praise = filled({"kind": "praise", "category": "covers"})
    assert praise.faults([], district, CATALOGUE) == {}
    assert praise.problem() is None
    asked_nothing = filled({**ASKED, "kind": "praise"}, ("answer.where", "北门"))
    assert asked_nothing.has_seen_questions(CATALOGUE)
    assert asked_nothing.faults([], district, CATALOGUE) == {}
    body = asked_nothing.case(district, CATALOGUE)
    assert (body["kind"], body["answers"]) == ("praise", {})


@pytest.mark.parametrize("kind", ["", "problem", "other", "nonsense"])
def test_what_is_no_praise_is_a_problem(kind: str) -> None:
    assert Report.read(form(kind=kind)).kind is Kind.PROBLEM


# ---- duplicates --------------------------------------------------------------------------------------------


def test_a_problem_is_looked_for_where_it_is(district: District) -> None:
    assert Report.read(form(text="垃圾桶满了", name="王女士", phone="0734-8888888")).problem() == {
        "category": "bins",
        "longitude": 112.6,
        "latitude": 26.9,
        "crs": "wgs84",
        "text": "垃圾桶满了",
    }


def test_where_only_the_community_is_known_nothing_is_near() -> None:
    assert Report.read(form(longitude="", community="430476001208")).problem() is None


# ---- keys and faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "short", KEY.upper(), f"{KEY}\r\nX-Header: 1", "../" + KEY])
def test_a_key_that_is_not_ours_is_replaced(key: str) -> None:
    assert Report.read(FormData({"key": key})).key != key


def test_a_form_to_be_corrected_is_a_new_report() -> None:
    report = Report.read(form(alone="1", same="20261103-ABCDEFGHJK"))
    assert report.key == KEY
    again = report.again(["one"])
    assert again.key != KEY
    assert (again.kept, again.category, again.same) == (("one",), report.category, "")
    assert again.alone  # whether a case on file is the same has been asked


def test_names_numbers_and_answers_do_not_show_in_logs() -> None:
    shown = repr(Report(name="王女士", phone="0734-8888888", answers={"where": ("3 栋 502",)}))
    assert "王女士" not in shown
    assert "8888" not in shown
    assert "502" not in shown


def test_faults_stand_at_the_fields_where_people_typed() -> None:
    faults = at_fields(
        [
            Fault("longitude", "outside"),
            Fault("latitude", "second"),
            Fault("photos.1", "broken"),
            Fault("reporter.phone", "no number"),
            Fault("body.answers.since", "no date"),
            Fault("answers.faults.2", "not offered"),
            Fault("", "something else"),
            Fault("unheard-of", "lost?"),
        ]
    )
    assert faults == {
        "place": "outside",
        "photos": "broken",
        "phone": "no number",
        "answer.since": "no date",
        "answer.faults": "not offered",
        "": "something else",
    }
