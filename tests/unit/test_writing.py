"""The gate for every text: what people write passes, what shows nothing or something else does not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Invalid
from shared.writing import plain_text, tidy

LIMIT = 2000


def refused(text: str, *, required: bool = False) -> str | None:
    try:
        plain_text(text, "text", LIMIT, required=required)
    except Invalid as refusal:
        return refusal.code
    return None


HONEST = [
    "井盖下沉<A3纸那么大",
    "深度<B级，宽度>30",
    "a < b 且 c > d",
    "👨‍👩‍👧 在路口",
    "第一行\n第二行\t三",
    "ü 与 é",
    "क्षि नमस्ते",
    "阿卜杜拉·买买提",
    "x<y",
    "I <3 创文",
]


@pytest.mark.parametrize("text", HONEST)
def test_what_people_write_passes_unchanged(text: str) -> None:
    assert plain_text(text, "text", LIMIT) == text


@pytest.mark.parametrize(
    "text",
    [
        "<b>甲</b>",
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<img src=x",
        "<svg/onload=alert(1)",
        "</p>",
        "<br/>",
        "<!-- x",
        "<?xml",
        "<x-a>",
    ],
)
def test_markup_is_refused(text: str) -> None:
    assert refused(f"前{text}后") == "text-has-markup"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "\u200b", "\u200b\u200d\ufeff", "\u3164", "\u115f\u1160", "\u2800", "\u00ad", "\u034f", "\u2060\u200e",
        "\ufe0f", "\u3000", "\u00a0\u200b",
    ],
)  # fmt: skip
def test_what_shows_nothing_is_nothing(text: str) -> None:
    assert refused(text, required=True) == "text-required"
    assert plain_text(text, "text", LIMIT) == ""


ODD = ["\x00", "\x0b", "\x7f", "\x85", "\u202e", "\u2066", "\ufffe", "\uffff", "\ufdd0", "\U0001ffff"]


@pytest.mark.parametrize("odd", ODD)
def test_what_cannot_be_kept_or_turns_a_text_round_is_refused(odd: str) -> None:
    assert refused(f"文{odd}字") == "text-has-control-characters"


def test_half_a_character_is_refused() -> None:
    assert refused("文\ud800字") == "text-has-control-characters"


@pytest.mark.parametrize("mark", ["\u200e", "\u200f", "\u061c", "\u200b", "\ufeff", "\u00ad"])
def test_marks_that_show_nothing_and_move_digits_go(mark: str) -> None:
    assert plain_text(f"{mark}江东路12{mark}-3号", "text", LIMIT) == "江东路12-3号"


def test_line_breaks_are_one_kind() -> None:
    assert tidy("一\r\n二\r三\u2028四") == "一\n二\n三\n四"


@pytest.mark.parametrize("pair", ["\u0301\u0327", "\u0327\u0301", "\u0301"])
@pytest.mark.parametrize("times", [500, 20_000, 500_000])
def test_marks_without_end_cost_nothing(pair: str, times: int) -> None:
    began = time.process_time()
    assert refused("a" + pair * times) in {"text-too-long", "text-has-control-characters"}
    tidy("a" + pair * times)
    assert time.process_time() - began < 1


def test_a_text_is_measured_as_it_is_kept() -> None:
    assert refused("字" * LIMIT) is None
    assert refused("字" * (LIMIT + 1)) == "text-too-long"
    assert refused("e\u0301" * LIMIT) is None
    assert refused(" " * LIMIT + "字") is None


@given(st.text(max_size=60))
def test_what_passes_once_passes_again_unchanged(text: str) -> None:
    if refused(text) is None:
        kept = plain_text(text, "text", LIMIT)
        assert refused(kept) is None
        assert plain_text(kept, "text", LIMIT) == kept
