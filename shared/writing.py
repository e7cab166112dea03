"""What people may write: plain text, no markup, nothing invisible. Pure; the one gate for every text of a service."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from shared.errors import Invalid

# A tag, a comment or a declaration. A comparison sign before a letter is none: `井盖下沉<A3纸那么大`.
_MARKUP = re.compile(r"</?[a-zA-Z][a-zA-Z0-9:-]*(?:[\s/][^<>]*)?>|</?[a-zA-Z][a-zA-Z0-9:-]*[\s/]+[\w:-]+\s*=|<[!?]")
# Control characters but line breaks and tabs; overrides of the writing direction, which make a text read as
# something else than what is stored; lone surrogates and noncharacters, which neither UTF-8 nor XML can hold.
_HIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
    "|[" + "".join(chr(plane << 16 | low) for plane in range(1, 17) for low in (0xFFFE, 0xFFFF)) + "]"
)
# Marks of direction, which move the digits beside them, and what has no width and joins nothing.
_WEIGHTLESS = re.compile(r"[\u00ad\u061c\u200b\u200e\u200f\u2060\ufeff]")
# What shows nothing by itself: format characters, fillers and the blank of Braille, besides all kinds of space.
_BLANK = re.compile(
    r"[\s\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0]*"
)
MOST_MARKS = 30
"""Combining marks on one letter (Stream-Safe Text Format, UAX 15): ordering more takes time by their square."""
_SLACK = 4
"""How many times longer than its limit a text may be before it is tidied."""


def tidy(text: str) -> str:
    """The text in NFC, line breaks as `\\n`, without blanks around it and what has no width; "" if nothing shows."""
    lines = re.sub(r"\r\n?|[\u2028\u2029]", "\n", _WEIGHTLESS.sub("", text))
    if _is_crowded(lines):
        return lines.strip()
    tidied = unicodedata.normalize("NFC", lines).strip()
    return "" if _BLANK.fullmatch(tidied) else tidied


def text_faults(field: str, text: str, limit: int, *, required: bool = False) -> Iterator[Invalid]:
    """What keeps a text from being kept; `limit` counts characters of the tidied text.

    text-required, text-too-long, text-has-markup, text-has-control-characters.
    """
    if len(text) > _SLACK * limit + _SLACK:
        yield Invalid("text-too-long", field=field, limit=limit)
        return
    tidied = tidy(text)
    if required and not tidied:
        yield Invalid("text-required", field=field)
    if len(tidied) > limit:
        yield Invalid("text-too-long", field=field, limit=limit)
    if _MARKUP.search(tidied):
        yield Invalid("text-has-markup", field=field)
    if _HIDDEN.search(tidied) or _is_crowded(tidied):
        yield Invalid("text-has-control-characters", field=field)


def plain_text(text: str, field: str, limit: int, *, required: bool = False) -> str:
    """The text as `tidy` makes it. Raises the first of its `text_faults`."""
    for fault in text_faults(field, text, limit, required=required):
        raise fault
    return tidy(text)


def _is_crowded(text: str) -> bool:
    """Whether a letter bears more marks than any writing puts on one."""
    if text.isascii():
        return False
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > MOST_MARKS:
            return True
    return False
