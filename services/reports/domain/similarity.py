"""Whether two reports tell of the same problem: how far apart they lie, and how alike their words are."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from services.reports.domain.cases import Case
from shared.geo import Point, distance

MOST_OFFERED = 10
COMPARED = 40
"""Of more cases nearby only the words of the nearest are compared."""
COMPARED_CHARACTERS = 400
"""What a report is about stands at its beginning."""
ALIKE_FROM = 0.5
"""Similarity from which two texts are said to be alike."""
HINT_STEPS = 4
HINT_PAIRS = 6

_PERSONAL = re.compile(r"\d{7,}")
"""Telephone and identity numbers: they tell who, not what."""


def similarity(one: str, other: str) -> float:
    """How alike two texts are, 0 to 1: the share of pairs of neighbouring characters that they have in common (Dice).

    Chinese does not part its words, so pairs of characters stand for them. Case, width, blanks and punctuation do
    not count, nor do long numbers. A text without anything in it is like no other.
    """
    ones, others = _pairs(one), _pairs(other)
    total = ones.total() + others.total()
    return 2 * (ones & others).total() / total if total else 0.0


def hint(own: str, hidden: str) -> float:
    """The similarity as somebody may know it who may not read `hidden`: in quarters, and 0 for short texts.

    Otherwise asking for a few characters at a time would read a hidden text aloud: a guess of one or two pairs
    among HINT_PAIRS never reaches a quarter.
    """
    if min(_pairs(own).total(), _pairs(hidden).total()) < HINT_PAIRS:
        return 0.0
    return int(similarity(own, hidden) * HINT_STEPS) / HINT_STEPS


class Why(StrEnum):
    """For which reason a case is offered."""

    NEAR = "near"
    NEAR_AND_ALIKE = "near-and-alike"


@dataclass(frozen=True)
class Similar:
    """A case of the same category nearby: metres away, and the similarity of its text (0 to 1)."""

    case: Case
    metres: float
    similarity: float

    @property
    def why(self) -> Why:
        """The reason it is offered."""
        return Why.NEAR_AND_ALIKE if self.similarity >= ALIKE_FROM else Why.NEAR


def most_similar(
    point: Point, text: str, cases: Iterable[Case], within: float, compare: Callable[[str, str], float] = similarity
) -> list[Similar]:
    """The cases at most `within` metres away, at most MOST_OFFERED, best first: nearness and words count the same.

    `compare` is `hint` for somebody who may not read what others wrote.
    """
    near = [(metres, case) for case in cases if (metres := distance(point, spot_of(case))) <= within]
    near.sort(key=lambda each: (each[0], each[1].id))
    found = [Similar(case, metres, compare(text, case.text)) for metres, case in near[:COMPARED]]
    found.sort(key=lambda each: (each.metres / within - each.similarity, each.case.id))
    return found[:MOST_OFFERED]


def spot_of(case: Case) -> Point:
    """Where a case is."""
    return Point(case.place.longitude, case.place.latitude)


def _pairs(text: str) -> Counter[str]:
    folded = unicodedata.normalize("NFKC", text[:COMPARED_CHARACTERS]).casefold()
    letters = _PERSONAL.sub("", "".join(character for character in folded if _counts(character)))
    return Counter(map("".join, pairwise(letters))) if len(letters) > 1 else Counter(letters)


def _counts(character: str) -> bool:
    """Letters, digits, and pictures like emoji."""
    category = unicodedata.category(character)
    return category[0] in "LN" or category == "So"
