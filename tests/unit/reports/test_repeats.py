"""Spots where a problem comes back."""

from __future__ import annotations

from datetime import timedelta

from services.reports.domain import Place
from services.reports.domain.repeats import Occurrence, spots
from shared.contracts.reports import CaseState
from tests.unit.reports.spots import NOON, SPOT


def seen(id: str, day: int, repeat_of: str | None = None, unit: str | None = "huanwei") -> Occurrence:
    at = NOON + timedelta(days=day)
    place = Place(*SPOT, "430476001011")
    return Occurrence(id, CaseState.CLOSED, "exposed-rubbish", place, unit, at, repeat_of)


def ids(found: list[Occurrence], least: int) -> list[list[str]]:
    return [[case.id for case in spot.cases] for spot in spots(found, least)]


def test_a_chain_of_repeats_is_one_spot_newest_first() -> None:
    chain = [seen("a", 0), seen("b", 10, "a"), seen("c", 20, "b")]
    assert ids(chain, 2) == [["c", "b", "a"]]
    assert spots(chain, 2)[0].last.id == "c"


def test_two_repeats_of_one_case_are_one_spot() -> None:
    assert ids([seen("a", 0), seen("b", 10, "a"), seen("c", 11, "a")], 2) == [["c", "b", "a"]]


def test_cases_whose_first_lies_before_the_period_still_belong_together() -> None:
    assert ids([seen("b", 10, "a"), seen("c", 11, "a"), seen("d", 20, "c")], 2) == [["d", "c", "b"]]


def test_the_spot_with_the_most_cases_comes_first_and_small_ones_are_left_out() -> None:
    found = [
        *(seen("a", 0), seen("b", 1, "a")),
        *(seen("p", 0), seen("q", 1, "p"), seen("r", 2, "q")),
        seen("x", 3),
    ]
    assert ids(found, 2) == [["r", "q", "p"], ["b", "a"]]
    assert ids(found, 3) == [["r", "q", "p"]]
    assert ids(found, 4) == []


def test_the_order_in_which_they_are_found_does_not_matter() -> None:
    chain = [seen("a", 0), *(seen(chr(ord("a") + n), n, chr(ord("a") + n - 1)) for n in range(1, 20))]
    assert ids(chain[::-1], 2) == ids(chain, 2)
    assert len(ids(chain, 2)) == 1
