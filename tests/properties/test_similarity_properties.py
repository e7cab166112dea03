"""What holds for any two texts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.reports.domain.similarity import HINT_PAIRS, HINT_STEPS, hint, similarity

TEXTS = st.text() | st.text(alphabet="垃圾桶满了没人清路灯不亮🗑️🤢3栋 ，", max_size=40)


@given(TEXTS, TEXTS)
def test_it_is_the_same_both_ways_and_between_nothing_and_all(one: str, other: str) -> None:
    found = similarity(one, other)
    assert found == similarity(other, one)
    assert 0.0 <= found <= 1.0


@given(TEXTS)
def test_a_text_is_like_itself_unless_nothing_is_in_it(text: str) -> None:
    assert similarity(text, text) in {0.0, 1.0}
    assert similarity(text + "垃圾", text + "垃圾") == 1.0


@given(TEXTS, TEXTS)
def test_a_hint_never_tells_more_than_the_similarity(one: str, other: str) -> None:
    found = hint(one, other)
    assert found == hint(other, one)
    assert found <= similarity(one, other)
    assert (found * HINT_STEPS).is_integer()


@given(st.text(alphabet="甲乙丙丁", min_size=1, max_size=2), st.text(alphabet="ABCDEFGH", min_size=HINT_PAIRS))
def test_a_guess_of_one_pair_is_never_confirmed(guess: str, hidden: str) -> None:
    assert hint(guess + "zyxwvutsr", f"{hidden}{guess}{hidden}") == 0.0
