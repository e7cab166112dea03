"""A person is recognised however the number is written, masked, and taken out of whatever was written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reports.domain import Person
from services.reports.domain.person import same_number, without_contacts
from shared.errors import Invalid


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
    found = repr(Person("王女士", "0734-8888888"))
    assert "王" not in found
    assert "8888" not in found


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


@pytest.mark.parametrize(
    "text",
    [
        "我叫阿依古丽•买买提",
        "我叫阿依古丽・买买提，",
        "阿依古丽 买买提",
        "阿依古丽\u200b·\u200b买买提",
        "阿依古丽买买提",
    ],
)
def test_a_name_is_found_whatever_stands_between_its_characters(text: str) -> None:
    assert "买买提" not in Person("阿依古丽·买买提").taken_out_of(text)
    assert "买买提" not in Person("阿依古丽 买买提").taken_out_of(text)


@pytest.mark.parametrize(
    ("phone", "text"),
    [
        ("13800138000", "打１３８００１３８０００"),
        ("13800138000", "打 138\u200b0013\u200b8000"),
        ("0734-8888888", "打8888888"),
        ("0734-8888888转801", "打（０７３４）8888888"),
        ("0086 13800138000", "打138-0013-8000"),
        ("+86 734 8888888", "打0734-8888888"),
    ],
)
def test_a_number_is_found_however_it_is_written(phone: str, text: str) -> None:
    left = Person(None, phone).taken_out_of(text)
    assert not any(character.isdigit() for character in left)
    assert left.startswith("打")


def test_telephones_and_addresses_of_mail_are_taken_out_whose_ever_they_are() -> None:
    text = "祥光社区北门，找王小明13800138000或0734-8888888、１３８ ００１３ ８０００，wang@example.invalid"
    left = without_contacts(text)
    assert left == "祥光社区北门，找王小明***或***、***，***"
    for kept in ("3栋2104室", "编号 20260302-7Q3KX0M4TZ", "2026-11-23 08:40", "蒸湘南路 18号、20号、22号"):
        assert without_contacts(kept) == kept


def test_an_extension_is_another_telephone_however_it_is_written() -> None:
    assert same_number("0734-8888888转801", "0734") == same_number("(0734)8888888-801", "0734") == "+867348888888#801"
    assert same_number("0734—8888888", "0734") == same_number("（0734）8888888", "0734") == "+867348888888"


@pytest.mark.parametrize(
    "phone",
    [
        "(0734)8888888",
        "（0734）8888888",
        "0734-8888888-801",
        "0734-8888888转801",
        "0734—8888888",
        "400-123-4567",
        "+86 138-0013-8000",
        "8613800138000",
        "0086 13800138000",
        "１３８００１３８０００",
    ],
)
def test_numbers_are_taken_as_people_write_them(phone: str) -> None:
    assert Person.checked(None, phone).phone


@pytest.mark.parametrize("phone", ["1.38001E+10", "无", "-", "0"])
def test_what_is_no_number_is_refused(phone: str) -> None:
    with pytest.raises(Invalid, match="phone-not-a-number"):
        Person.checked(None, phone)
