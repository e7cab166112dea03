"""Where lines of Chinese text break (避头尾): between any two characters, but not before a closing mark, not after
an opening one, and not inside a word or number."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_NEVER_FIRST = frozenset("、。，．；：？！）〕］｝》〉」』】〗’”…—～·％‰℃°,.;:?!)]}%")
_NEVER_LAST = frozenset("（〔［｛《〈「『【〖‘“￥＄№([{")
# A word or number in Latin, Greek or Cyrillic script with its marks; blanks; any other character by itself, with the
# marks that combine with it.
_PIECE = re.compile(r"[!-~\u00a1-\u1fff]+|[ \u00a0\u3000]+|.[\u0300-\u036f\ufe00-\ufe0f\u200d]*", re.DOTALL)


def wrap(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """The lines of a paragraph, each at most `width` as `measure` tells; an empty text is one empty line.

    Blanks at a break belong to neither line. What is wider than a line by itself is broken anywhere.
    """
    lines, line = [], ""
    for unit in _units(text):
        if line and measure(line + unit.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line = line + unit if line or not lines else unit.lstrip()
        while measure(line.rstrip()) > width and len(line) > 1:
            fitting = _fitting(line, width, measure)
            lines.append(line[:fitting].rstrip())
            line = line[fitting:].lstrip()
    return [*lines, line.rstrip()]


def _units(text: str) -> Iterator[str]:
    """Stretches of text that are not to be parted."""
    unit = ""
    for piece in _PIECE.findall(text):
        if unit and piece[0] not in _NEVER_FIRST and unit[-1] not in _NEVER_LAST and not piece.isspace():
            yield unit
            unit = ""
        unit += piece
    if unit:
        yield unit


def _fitting(line: str, width: float, measure: Callable[[str], float]) -> int:
    """How many characters fit, one at least."""
    count = 1
    while measure(line[: count + 1]) <= width:
        count += 1
    return count
