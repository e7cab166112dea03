"""Who stands where, among all and in groups."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from shared.ranking import ranked, ranked_in_groups


def test_equal_scores_share_a_rank_and_the_next_is_left_out() -> None:
    scores = {"a": Decimal(90), "b": Decimal("99.5"), "c": Decimal(90), "d": Decimal(80)}
    assert ranked(scores) == [(1, "b"), (2, "a"), (2, "c"), (4, "d")]


SCORES = st.dictionaries(st.sampled_from("abcdefgh"), st.decimals(0, 100, places=2), min_size=1)


@given(SCORES)
def test_units_above_and_below_and_equal_are_ranked_so(scores: dict[str, Decimal]) -> None:
    rank = {unit: place for place, unit in ranked(scores)}
    for unit, score in scores.items():
        assert rank[unit] == 1 + sum(other > score for other in scores.values())


def test_units_are_ranked_among_their_like() -> None:
    scores = {"a": Decimal(90), "b": Decimal(95), "c": Decimal(90), "d": Decimal(80), "e": Decimal(70)}
    groups = {"a": "streets", "b": "bureaus", "c": "streets", "d": "streets"}
    assert ranked_in_groups(scores, groups) == {"b": 1, "a": 1, "c": 1, "d": 3, "e": 1}
