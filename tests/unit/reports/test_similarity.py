"""How alike two reports are, and how little somebody learns who may not read one of them."""

from __future__ import annotations

import pytest

from services.reports.domain.similarity import (
    ALIKE_FROM,
    COMPARED,
    HINT_PAIRS,
    MOST_OFFERED,
    Why,
    hint,
    most_similar,
    similarity,
)
from shared.geo import Point
from tests.unit.reports.spots import SPOT, a_case

HERE = Point(*SPOT)
RUBBISH = "垃圾桶满了没人清，气味很大"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("垃圾桶满了", "垃圾桶满了", 1.0),
        ("垃圾桶满了", "垃圾桶 满了！", 1.0),  # blanks and punctuation do not count
        ("ＡＢ路３号", "ab路3号", 1.0),  # nor do width and case
        ("垃圾桶满了", "垃圾桶倒了", 2 * 2 / 8),  # 垃圾, 圾桶 of four pairs each
        ("垃圾", "路灯", 0.0),
        ("脏", "脏", 1.0),
        ("脏", "脏乱", 0.0),
        ("", "", 0.0),
        ("", "垃圾", 0.0),
        ("，。！ \n", "，。！ \n", 0.0),  # nothing in either
        ("🗑️🗑️🤢", "🗑🗑🤢", 1.0),  # with and without the selector of its form
        ("👨‍👩‍👧", "👨‍👩‍👧", 1.0),
        ("🗑️", "🚽", 0.0),
        ("请联系 138-1234-5678", "请联系 139 8765 4321", 1.0),  # numbers tell who, not what
        ("3栋502漏水", "3栋502漏水", 1.0),
    ],
)
def test_similarity(one: str, other: str, expected: float) -> None:
    assert similarity(one, other) == pytest.approx(expected)


def test_the_same_problem_in_other_words_is_more_alike_than_another_problem() -> None:
    same = similarity(RUBBISH, "小区门口垃圾桶满了好几天没人清理")
    other = similarity(RUBBISH, "路灯不亮，晚上看不见路")
    assert same > 0.4
    assert other < 0.1


def test_a_hint_is_told_in_quarters() -> None:
    assert hint(RUBBISH, RUBBISH) == 1.0
    exact = similarity(RUBBISH, "门口垃圾桶满了没人清理")
    assert hint(RUBBISH, "门口垃圾桶满了没人清理") == int(exact * 4) / 4 != exact


@pytest.mark.parametrize("guess", ["王女士", "王女士住", "垃圾", "没人清"])
def test_a_few_characters_cannot_be_asked_for(guess: str) -> None:
    hidden = "王女士住三栋，垃圾没人清"
    assert similarity(guess, hidden) > 0
    assert hint(guess, hidden) == 0.0
    assert hint(guess + "啊" * 20, hidden) == 0.0
    assert hint(hidden, guess) == 0.0


def test_a_short_hidden_text_is_never_told() -> None:
    hidden = "甲" * HINT_PAIRS
    assert hint(hidden, hidden) == 0.0


def test_cases_beyond_the_radius_are_left_out_at_hengyangs_latitude() -> None:
    # A degree of longitude is 99.2 km there, and one of latitude 111.2 km.
    cases = [
        a_case("99 m east", east=0.001),
        a_case("101 m east", east=0.00102),
        a_case("99 m north", north=0.00089),
        a_case("101 m north", north=0.00091),
    ]
    found = most_similar(HERE, "", cases, 100)
    assert {each.case.id for each in found} == {"99 m east", "99 m north"}
    assert found[0].metres == pytest.approx(99, abs=0.5)


def test_the_best_comes_first_and_nearness_and_words_count_the_same() -> None:
    cases = [
        a_case("far and alike", RUBBISH, east=0.0009),
        a_case("near and other", "路灯不亮", east=0.0001),
        a_case("near and alike", RUBBISH, east=0.0001),
        a_case("far and other", "路灯不亮", east=0.0009),
    ]
    found = most_similar(HERE, RUBBISH, cases, 100)
    assert [each.case.id for each in found] == ["near and alike", "far and alike", "near and other", "far and other"]
    assert [each.why for each in found] == [Why.NEAR_AND_ALIKE, Why.NEAR_AND_ALIKE, Why.NEAR, Why.NEAR]
    assert found[0].similarity >= ALIKE_FROM


def test_without_words_the_nearest_comes_first() -> None:
    cases = [a_case("b", RUBBISH, east=0.0005), a_case("a", east=0.0001), a_case("c", east=0.0009)]
    assert [each.case.id for each in most_similar(HERE, "", cases, 100)] == ["a", "b", "c"]


def test_few_are_offered() -> None:
    cases = [a_case(f"{number:02}", east=number / 100_000) for number in range(30)]
    found = most_similar(HERE, "", cases, 100)
    assert [each.case.id for each in found] == [f"{number:02}" for number in range(MOST_OFFERED)]


def test_of_many_long_reports_at_one_spot_few_are_compared_and_only_their_beginnings() -> None:
    compared: list[str] = []

    def compare(one: str, other: str) -> float:
        compared.append(other)
        return similarity(one, other)

    cases = [a_case(f"{number:04}") for number in range(200)]
    assert len(most_similar(HERE, RUBBISH, cases, 100, compare)) == MOST_OFFERED
    assert len(compared) == COMPARED
    assert similarity(RUBBISH * 100, RUBBISH * 100 + "别的" * 900) == 1.0
