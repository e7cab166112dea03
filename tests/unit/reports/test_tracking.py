"""Tracking codes survive being read out, typed and misheard, and cannot be guessed."""

from __future__ import annotations

import math
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reports.domain.tracking import CODE_RANDOM_BYTES, CROCKFORD, new_tracking_code, read_tracking_code
from shared.errors import Invalid

RANDOM = st.binary(min_size=CODE_RANDOM_BYTES, max_size=CODE_RANDOM_BYTES)
CODES = RANDOM.map(new_tracking_code)


@given(CODES)
def test_a_code_is_read_as_it_was_made(code: str) -> None:
    assert read_tracking_code(code) == code.replace("-", "")
    assert [len(group) for group in code.split("-")] == [3] * 6


@given(CODES, st.sampled_from([str.lower, str.upper, lambda code: code.replace("-", " "), lambda code: f" {code}\n"]))
def test_a_code_may_be_typed_in_any_way(code: str, typed: object) -> None:
    assert callable(typed)
    assert read_tracking_code(typed(code)) == read_tracking_code(code)


@given(CODES)
def test_letters_that_look_like_digits_are_those_digits(code: str) -> None:
    for letter, digit in (("I", "1"), ("l", "1"), ("O", "0"), ("o", "0")):
        assert read_tracking_code(code.replace(digit, letter)) == read_tracking_code(code)


def test_full_width_characters_are_understood() -> None:
    code = new_tracking_code(secrets.token_bytes(CODE_RANDOM_BYTES))
    wide = "".join(chr(ord(character) + 0xFEE0) for character in code)
    assert read_tracking_code(wide) == read_tracking_code(code)


@given(CODES, st.integers(0, 17), st.integers(1, 31))
def test_one_wrong_character_is_found(code: str, place: int, step: int) -> None:
    characters = list(code.replace("-", ""))
    characters[place] = CROCKFORD[(CROCKFORD.index(characters[place]) + step) % 32]
    with pytest.raises(Invalid, match="tracking-code-mistyped"):
        read_tracking_code("".join(characters))


@given(CODES, st.integers(0, 17), st.integers(0, 17))
def test_two_characters_exchanged_are_found(code: str, one: int, other: int) -> None:
    characters = list(code.replace("-", ""))
    characters[one], characters[other] = characters[other], characters[one]
    if "".join(characters) == code.replace("-", ""):
        return
    with pytest.raises(Invalid, match="tracking-code-mistyped"):
        read_tracking_code("".join(characters))


@pytest.mark.parametrize("typed", ["", "-", "7Q3", "U" * 18, "查" * 18, "0" * 19, "1" * 64])
def test_what_is_no_code_is_refused(typed: str) -> None:
    with pytest.raises(Invalid, match="tracking-code-mistyped"):
        read_tracking_code(typed)


def test_every_random_bit_that_is_used_makes_another_code() -> None:
    bits = 8 * CODE_RANDOM_BYTES
    codes = {new_tracking_code((1 << bit).to_bytes(CODE_RANDOM_BYTES, "big")) for bit in range(bits)}
    assert math.log2(32**17) == 85
    assert len(codes) == 85 + 1, "all bits but the three that are left over, which make the code of zero"
