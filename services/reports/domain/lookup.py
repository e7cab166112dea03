"""What a case is looked up by: the lists it stands in, the duties it gives, the words in it, its square of the map.

Three arrays beside the case, each with one index, so that every list at any size is one walk along an index in the
order it is shown: `lists` newest first, `duties` by deadline, `words` newest first. They follow from the case and are
computed whenever it is stored; the case itself does not know them. Words are as private as the text they come from.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

from services.reports.domain.cases import Case
from shared.contracts.reports import CaseState, Channel, Kind, Level, Stage
from shared.errors import Invalid
from shared.geo import EARTH_RADIUS, Point

DERIVED = 2
"""Counts the forms of what is derived; cases stored in an earlier form are stored again (`commands/upkeep.py`)."""
WORDS_LIMIT = 200
"""Words kept of a case; what stands further behind in a very long text is not found."""
SOUGHT_LIMIT = 8
"""Words looked for at once."""
REPEATS = "repeats"
CELL = 0.002
"""Degrees: some 200 metres."""
SQUARE = 0.0005
"""Degrees: some 50 metres."""
_ROW = 1_000_000

_RUN = re.compile(r"[^\W_]+")
_PART = re.compile(r"[0-9]+|[a-z]+|.")
_NUMBER = re.compile(r"(?:\d{8}-)?[0-9a-z]{10}(?:-\d+)?")


def in_state(unit: str | None, state: CaseState) -> str:
    """The list of a state: of a unit that leads or helps, or of all (None)."""
    return f"{_scope(unit)}/state/{state.value}"


def at_level(unit: str | None, level: Level) -> str:
    """The list, and the duty, of those whose latest limit ran out so long ago."""
    return f"{_scope(unit)}/level/{level.value}"


def due_soon(unit: str | None) -> str:
    """The list, and the duty, of those of whom it was told that time is short."""
    return f"{_scope(unit)}/due-soon"


def objected(unit: str | None) -> str:
    """The list of those whose reporter has said that it is not in order."""
    return f"{_scope(unit)}/objected"


def of_category(unit: str | None, code: str) -> str:
    """The list of a category: of a unit that leads or helps, or of all (None)."""
    return f"{_scope(unit)}/category/{code}"


def of_community(code: str) -> str:
    """The list of a community."""
    return f"community/{code}"


def through(channel: Channel) -> str:
    """The list of a channel."""
    return f"channel/{channel.value}"


def of_kind(kind: Kind) -> str:
    """The list of a kind."""
    return f"kind/{kind.value}"


def duty(unit: str | None, stage: Stage | None = None) -> str:
    """What waits in a stage (None: in any): for a unit that leads or helps, or for anybody (None)."""
    return f"{_scope(unit)}/{stage.value}" if stage else _scope(unit)


def leading_duty(unit: str, stage: Stage) -> str:
    """What waits in a stage for the unit that leads."""
    return f"lead/{unit}/{stage.value}"


def duty_about(category: str) -> str:
    """What waits and is of a category."""
    return f"category/{category}"


UNDISPATCHED = "undispatched"
"""The duty to find the unit of a case that had none yet."""
RETURNED = "returned"
"""The duty to find another unit for one that was given back (退单)."""
EXTENSION = "extension"
"""The duty to decide on the standard extension, which the centre may grant."""
FURTHER_EXTENSION = "further-extension"
"""The duty to decide on any other, which is a leader's."""
OBJECTION = "objection"
"""The duty to decide what becomes of a case that was signed off and is not in order."""


def derived(case: Case) -> dict[str, Any]:
    """What is stored beside a case, so that the database finds it: `map` by what everybody may know of its place."""
    longitude, latitude = case.shown_place
    return {
        "lists": lists_of(case),
        "duties": duties_of(case),
        "words": words_of(case),
        "map": {"longitude": longitude, "latitude": latitude, "cell": cell_of(longitude, latitude)},
        "square": _square_of(case),
        "provisional": case.provisional,
        "derived": DERIVED,
    }


def squares_around(point: Point, metres: float, *, open: bool) -> list[str]:
    """The squares in which problems lie that are at most so far from a point: open ones, or signed-off ones."""
    north = math.degrees(metres / EARTH_RADIUS)
    east = north / max(math.cos(math.radians(point.latitude)), 0.01)
    columns = range(*_steps(point.longitude - east + 180, point.longitude + east + 180))
    rows = range(*_steps(point.latitude - north + 90, point.latitude + north + 90))
    return [_square(open, column * _ROW + row) for column in columns for row in rows]


def _steps(least: float, most: float) -> tuple[int, int]:
    return int(least / SQUARE), int(most / SQUARE) + 1


def _square_of(case: Case) -> str | None:
    """Where others look for it, who may tell of the same problem or of the same one again; None: nowhere."""
    if case.kind is not Kind.PROBLEM or case.parent is not None or not case.place.exact:
        return None
    if case.ended and case.state is not CaseState.CLOSED:
        return None
    column, row = int((case.place.longitude + 180) / SQUARE), int((case.place.latitude + 90) / SQUARE)
    return _square(not case.ended, column * _ROW + row)


def _square(open: bool, number: int) -> str:
    return f"{'open' if open else 'closed'}/{number}"


def cell_of(longitude: float, latitude: float) -> int:
    """The square of the map that a spot lies in, CELL degrees wide and high."""
    return int((longitude + 180) / CELL) * _ROW + int((latitude + 90) / CELL)


def middle_of(cell: int) -> tuple[float, float]:
    """The longitude and latitude of a square's middle."""
    column, row = divmod(cell, _ROW)
    return (column + 0.5) * CELL - 180, (row + 0.5) * CELL - 90


def lists_of(case: Case) -> tuple[str, ...]:
    """The lists that the case stands in."""
    return tuple(_lists(case))


def _lists(case: Case) -> Iterator[str]:
    for unit in (None, *case.in_charge):
        yield in_state(unit, case.state)
        if case.level is not None:
            yield at_level(unit, case.level)
        if case.due_soon:
            yield due_soon(unit)
        if case.objections:
            yield objected(unit)
        yield of_category(unit, case.category)
    yield of_community(case.place.community)
    yield through(case.channel)
    if case.kind is not Kind.PROBLEM:
        yield of_kind(case.kind)
    if case.repeat_of is not None:
        yield REPEATS


def duties_of(case: Case) -> tuple[str, ...]:
    """What is to be done about the case, and whose it is to know; nothing once it has ended."""
    return tuple(_duties(case))


def _duties(case: Case) -> Iterator[str]:
    if case.stage is not None:
        for unit in (None, *case.in_charge):
            yield duty(unit)
            yield duty(unit, case.stage)
            if case.level is not None:
                yield at_level(unit, case.level)
            if case.due_soon:
                yield due_soon(unit)
        if case.unit is not None:
            yield leading_duty(case.unit, case.stage)
        yield duty_about(case.category)
    if case.stage is Stage.DISPATCH:
        yield RETURNED if case.state is CaseState.RETURNED else UNDISPATCHED
    if case.extension is not None:
        yield EXTENSION if case.asks_standard_extension else FURTHER_EXTENSION
    if case.objected_at is not None:
        yield OBJECTION


def words_of(case: Case) -> tuple[str, ...]:
    """The words a case is found by: its number with and without the day, what it is a part of, its text and place.

    Chinese has no blanks between words, so every two characters that stand side by side are one; a number and a
    word of Latin letters count as one character and are also words by themselves.
    """
    id = case.id.lower()
    numbers = [id, id.partition("-")[2], *([case.parent.lower()] if case.parent else [])]
    return tuple(dict.fromkeys([*numbers, *_words(f"{case.place.address} {case.text}")]))[:WORDS_LIMIT]


def sought_words(text: str) -> list[str]:
    """The words of a question: a case has to have all of them.

    Of what is written without a blank every other word is enough. Raises Invalid (word-too-short,
    too-many-words).
    """
    sought: list[str] = []
    for asked in _normal(text).split():
        if _NUMBER.fullmatch(asked):
            sought.append(asked)
            continue
        for run in _RUN.findall(asked):
            pairs = list(_pairs(_PART.findall(run)))
            if not pairs and len(run) < 2:
                raise Invalid("word-too-short", field="text", least=2)
            sought += [*pairs[:-1:2], *pairs[-1:]] or [run]
    if not sought:
        raise Invalid("word-too-short", field="text", least=2)
    if len(sought) > SOUGHT_LIMIT:
        raise Invalid("too-many-words", field="text", limit=2 * SOUGHT_LIMIT)
    return list(dict.fromkeys(sought))


@lru_cache(maxsize=256)  # a command brings a case into line several times, and its text hardly ever changes
def _words(text: str) -> tuple[str, ...]:
    words: list[str] = []
    for run in _RUN.findall(_normal(text)):
        parts = _PART.findall(run)
        words += [part for part in parts if len(part) > 1]
        words += _pairs(parts)
    return tuple(words)


def _pairs(parts: list[str]) -> Iterator[str]:
    return (first + second for first, second in pairwise(parts))


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def _scope(unit: str | None) -> str:
    return "all" if unit is None else f"unit/{unit}"
