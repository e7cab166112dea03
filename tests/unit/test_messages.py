"""The catalogue of sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.messages import SHARED, Messages, language


def test_a_sentence_is_filled_in_either_language() -> None:
    messages = Messages({"too-long": {"zh": "最多 {limit} 字", "en": "at most {limit} characters"}})
    assert messages.text("too-long", "zh", {"limit": 5}) == "最多 5 字"
    assert messages.text("too-long", "en", {"limit": 5}) == "at most 5 characters"


def test_a_missing_parameter_or_sentence_never_fails() -> None:
    messages = Messages({"too-long": {"zh": "最多 {limit} 字", "en": "at most {limit}"}})
    assert messages.text("too-long", "zh") == "最多 … 字"
    assert messages.text("unheard-of") == "unheard-of"


def test_parameters_are_data_not_templates() -> None:
    messages = Messages({"odd": {"zh": "{what}", "en": "{what}"}})
    assert messages.text("odd", "zh", {"what": "{limit.__class__}"}) == "{limit.__class__}"


@pytest.mark.parametrize(
    "expected",
    [{"zh": "只有中文"}, {"zh": "", "en": "empty"}, {"zh": "{limit}", "en": "no parameter"}],
    ids=["one language", "empty", "other parameters"],
)
def test_an_incomplete_message_is_refused(expected: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="message odd"):
        Messages({"odd": expected})


def test_a_code_is_given_once(tmp_path: Path) -> None:
    twice = next(iter(json.loads(SHARED.read_text(encoding="utf-8"))))
    file = tmp_path / "messages.json"
    file.write_text(json.dumps({twice: {"zh": "又一次", "en": "again"}}), encoding="utf-8")
    with pytest.raises(ValueError, match=twice):
        Messages.load(file)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", "zh"),
        ("*", "zh"),
        ("fr", "zh"),
        ("en", "en"),
        ("en-GB,en;q=0.9", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("fr, en;q=0.5, zh;q=0.4", "en"),
        ("zh;q=0.1, en;q=x", "zh"),
        ("en;q=0", "zh"),
        (";;,,=q", "zh"),
    ],
)
def test_the_language_is_the_preferred_of_the_two(header: str, expected: str) -> None:
    assert language(header) == expected
