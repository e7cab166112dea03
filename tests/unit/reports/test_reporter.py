"""Who reported: recognised however the number is written, masked by role, never told by accident."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reports.domain.reporter import (
    SIGHTS,
    Moderated,
    Person,
    ReportingTerms,
    Sight,
    next_day,
    same_number,
    sight_of,
)
from shared.contracts.reports import Channel
from shared.errors import Invalid

TERMS = ReportingTerms(
    version=1,
    area_code="0734",
    reports_per_day=20,
    updates_per_day=10,
    moderated_channels=(Channel.CITIZEN,),
    moderated=Moderated.PHOTOS,
    retention_days=365,
)


@pytest.mark.parametrize(
    ("same", "writings"),
    [
        ("+8613812345678", ["13812345678", "138 1234 5678", "138-1234-5678", "+86 138 1234 5678", "8613812345678"]),
        ("+8613812345678", ["0086 13812345678", "013812345678", "１３８１２３４５６７８"]),
        ("+867348888888", ["0734-8888888", "8888888", "+86 734 8888888", "0734 888 8888", "+86-0734-8888888"]),
        ("+8653188888888", ["0531-88888888"]),
        ("+8612345", ["12345"]),
        ("+864008001234", ["400-800-1234"]),
        ("+12025550123", ["+1 202-555-0123", "001 202 555 0123"]),
    ],
)
def test_a_number_is_the_same_however_it_is_written(same: str, writings: list[str]) -> None:
    assert {same_number(writing, "0734") for writing in writings} == {same}


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True))
def test_no_two_mobile_numbers_are_taken_for_one(number: str) -> None:
    assert same_number(number, "0734") == f"+86{number}"


@pytest.mark.parametrize(
    ("phone", "masked"),
    [
        ("0734-8888888", "073****8888"),
        ("13812345678", "138****5678"),
        ("8888888", "****8888"),
        ("12345", "****"),
        (None, None),
    ],
)
def test_a_masked_number_shows_its_ends(phone: str | None, masked: str | None) -> None:
    assert Person(None, phone).masked_phone == masked


@pytest.mark.parametrize(("name", "masked"), [("王女士", "王**"), ("王", "王**"), ("欧阳先生", "欧**"), (None, None)])
def test_a_masked_name_shows_the_surname_and_not_its_length(name: str | None, masked: str | None) -> None:
    assert Person(name).masked_name == masked


@given(st.from_regex(r"\+?[0-9][0-9 -]{4,19}", fullmatch=True))
def test_a_mask_never_shows_more_than_seven_digits(phone: str) -> None:
    masked = Person(None, phone).masked_phone
    assert masked is not None
    assert sum(character.isdigit() for character in masked) <= 7
    assert "****" in masked


def test_neither_name_nor_number_is_in_a_repr() -> None:
    told = repr(Person("王女士", "0734-8888888"))
    assert "王" not in told
    assert "8888" not in told


def test_what_people_say_of_themselves_is_checked() -> None:
    assert Person.checked(" 王女士 ", " ０７３４-8888888 ") == Person("王女士", "0734-8888888")
    assert Person.checked("", "") == Person()
    for name, phone, code in (("<b>", None, "text-has-markup"), (None, "不告诉你", "phone-not-a-number")):
        with pytest.raises(Invalid, match=code):
            Person.checked(name, phone)


@pytest.mark.parametrize(
    "text",
    ["请致电王女士0734-8888888。", "王女士，电话07348888888", "王女士 (0734) 888-8888", "王女士 0734 8888888 说还没清"],
)
def test_a_person_is_taken_out_of_what_others_wrote(text: str) -> None:
    left = Person("王女士", "0734-8888888").taken_out_of(text)
    assert "王女士" not in left
    assert "888" not in left


@pytest.mark.parametrize("text", ["王桂花说还没清", "已联系王桂花女士"])
def test_a_name_is_taken_out_with_or_without_its_title(text: str) -> None:
    assert "桂花" not in Person("王桂花女士").taken_out_of(text)


def test_taking_out_leaves_the_rest_alone() -> None:
    text = "王村路 3 号，编号 20260302-7Q3KX0M4TZ"
    assert Person("王", "0734-8888888").taken_out_of(text) == text
    assert Person().taken_out_of(text) == text
    assert Person(None, "+86 138 1234 5678").taken_out_of("打 13812345678") == "打 ***"


def test_only_who_has_to_call_may_open_a_reporter() -> None:
    openers = {role for role in SIGHTS if sight_of([role], in_charge=True, may_call=True).opens}
    assert openers == {"office", "dispatcher", "liaison"}
    openers = {role for role in SIGHTS if sight_of([role], in_charge=False, may_call=True).opens}
    assert openers == {"office", "dispatcher"}
    openers = {role for role in SIGHTS if sight_of([role], in_charge=True, may_call=False).opens}
    assert openers == {"office", "dispatcher"}


@pytest.mark.parametrize("role", ["citizen", "leader", "discipline", "operator", "service", "nobody"])
def test_who_has_nothing_to_do_with_reporters_sees_nothing(role: str) -> None:
    assert sight_of([role], in_charge=True, may_call=True) == Sight()


def test_a_unit_sees_the_reporters_of_its_own_cases_only() -> None:
    assert sight_of(["officer", "liaison"], in_charge=False, may_call=True) == Sight()
    assert sight_of(["officer"], in_charge=True, may_call=True) == Sight(name=True)
    assert sight_of(["liaison"], in_charge=True, may_call=False) == Sight(name=True)


def test_what_newcomers_hand_in_waits_as_the_terms_say() -> None:
    assert TERMS.waits(Channel.CITIZEN, with_photos=True)
    assert not TERMS.waits(Channel.CITIZEN, with_photos=False)
    assert not TERMS.waits(Channel.HOTLINE, with_photos=True)
    assert replace(TERMS, moderated=Moderated.ALL).waits(Channel.CITIZEN, with_photos=False)
    assert not replace(TERMS, moderated=Moderated.NONE).waits(Channel.CITIZEN, with_photos=True)


def test_days_begin_in_shanghai() -> None:
    assert next_day(datetime(2026, 3, 2, 15, 59, 59, tzinfo=UTC)) == datetime(2026, 3, 2, 16, tzinfo=UTC)
    assert next_day(datetime(2026, 3, 2, 16, tzinfo=UTC)) == datetime(2026, 3, 3, 16, tzinfo=UTC)
