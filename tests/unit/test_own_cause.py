"""Nobody decides in what concerns their unit, nor in what they took part in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Forbidden
from shared.own_cause import EVERY_UNIT, Person, require_impartial

SUBJECTS = st.sampled_from(["wang", "li", "zhao", "office", ""])
UNITS = st.sampled_from(["chengguan", "huanwei", "yuanlin", None])
PEOPLE = st.builds(Person, SUBJECTS, UNITS)


@given(PEOPLE, st.lists(UNITS), st.lists(st.one_of(SUBJECTS, st.none())))
def test_who_decides_is_neither_of_the_unit_nor_had_a_part_in_it(
    by: Person, units: list[str | None], people: list[str | None]
) -> None:
    involved = (by.unit is not None and by.unit in units) or (by.subject != "" and by.subject in people)
    if not involved:
        require_impartial(by, units=units, people=people)
        return
    with pytest.raises(Forbidden):
        require_impartial(by, units=units, people=people)


@given(PEOPLE)
def test_what_concerns_every_unit_is_decided_by_people_of_none(by: Person) -> None:
    if by.unit is None:
        require_impartial(by, units=EVERY_UNIT)
        return
    with pytest.raises(Forbidden, match="decision-on-own-unit"):
        require_impartial(by, units=EVERY_UNIT)


def test_what_names_nobody_concerns_nobody() -> None:
    require_impartial(Person("wang"), units=[None], people=[None])
    require_impartial(Person(""), people=["", None])
    with pytest.raises(Forbidden, match="second-person-required"):
        require_impartial(Person("wang", "huanwei"), units=["chengguan"], people=["wang"])
