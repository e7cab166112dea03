"""What people may write: plain text, no markup, nothing invisible. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from shared.errors import Invalid

_MARKUP = re.compile(r"<[a-zA-Z/!?]")
# Control characters but line breaks and tabs; overrides of the writing direction, which make a text read as
# something else than what is stored; lone surrogates, which cannot be encoded at all.
_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def tidy(text: str) -> str:
    """The text in NFC, line breaks as `\\n`, without blanks around it."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def text_faults(field: str, text: str, limit: int, *, required: bool = False) -> Iterator[Invalid]:
    """What keeps a text from being kept; `limit` counts characters of the tidied text.

    text-required, text-too-long, text-has-markup, text-has-control-characters.
    """
    tidied = tidy(text)
    if required and not tidied:
        yield Invalid("text-required", field=field)
    if len(tidied) > limit:
        yield Invalid("text-too-long", field=field, limit=limit)
    if _MARKUP.search(tidied):
        yield Invalid("text-has-markup", field=field)
    if _HIDDEN.search(tidied):
        yield Invalid("text-has-control-characters", field=field)


def plain_text(text: str, field: str, limit: int, *, required: bool = False) -> str:
    """The text as `tidy` makes it. Raises the first of its `text_faults`."""
    for fault in text_faults(field, text, limit, required=required):
        raise fault
    return tidy(text)
