"""What people may write."""

from __future__ import annotations

import pytest

from services.reports.domain import TEXT_LIMIT, phone_number, plain_text
from shared.errors import Invalid


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("  井盖破损 \n", "井盖破损"),
        ("第一行\r\n第二行\r第三行\t完", "第一行\n第二行\n第三行\t完"),
        ("水位 < 0，宽 <3 米", "水位 < 0，宽 <3 米"),
        ("e\u0301", "é"),
        ("👨\u200d👩\u200d👧 一家人", "👨\u200d👩\u200d👧 一家人"),
        ("", ""),
    ],
)
def test_plain_text_is_kept(written: str, kept: str) -> None:
    assert plain_text(written, "text") == kept


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("<script>alert(1)</script>", "text-has-markup"),
        ("看这里</p>", "text-has-markup"),
        ("<!-- 注释 -->", "text-has-markup"),
        ("a\x00b", "text-has-control-characters"),
        ("a\x1b[31m", "text-has-control-characters"),
        ("a\x85b", "text-has-control-characters"),
        ("\u202e倒写", "text-has-control-characters"),
        ("\ud800", "text-has-control-characters"),
        ("字" * (TEXT_LIMIT + 1), "text-too-long"),
    ],
)
def test_other_text_is_refused(written: str, code: str) -> None:
    with pytest.raises(Invalid) as refusal:
        plain_text(written, "text")
    assert (refusal.value.code, refusal.value.field) == (code, "text")


def test_the_limit_itself_is_allowed_and_told() -> None:
    assert len(plain_text("字" * TEXT_LIMIT, "text")) == TEXT_LIMIT == 2_000
    with pytest.raises(Invalid) as refusal:
        plain_text("四个字符", "note", limit=3)
    assert refusal.value.params == {"limit": 3}


def test_a_required_text_is_more_than_blanks() -> None:
    with pytest.raises(Invalid) as refusal:
        plain_text(" \n", "text", required=True)
    assert refusal.value.code == "text-required"


@pytest.mark.parametrize("number", ["13800000000", "+86 138 0000 0000", "0734-8867000", "12345"])
def test_telephone_numbers(number: str) -> None:
    assert phone_number(f" {number} ", "phone") == number


@pytest.mark.parametrize(
    "number", ["", "1234", "电话", "138-0000-0000-0000-0000-0000", "--------", "１３８００００００００"]
)
def test_not_telephone_numbers(number: str) -> None:
    with pytest.raises(Invalid) as refusal:
        phone_number(number, "phone")
    assert refusal.value.code == "phone-not-a-number"
