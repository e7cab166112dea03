"""What people may write: plain text, no markup, nothing invisible."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime

from shared.clock import CHINA
from shared.errors import Invalid

CODE_LIMIT = 60
YEARS = range(2000, 2100)
"""Years that a day may lie in; another one is a slip."""

_CODE = re.compile(r"\w[\w.·-]*")
_MARKUP = re.compile(r"<[a-zA-Z/!?]")
# Control characters but line breaks and tabs; overrides of the writing direction; lone surrogates.
_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain_text(text: str, field: str, limit: int, *, required: bool = False) -> str:
    """The text in NFC, line breaks as `\\n`, without blanks around it; `limit` counts characters.

    Raises Invalid: text-required, text-too-long, text-has-markup, text-has-control-characters.
    """
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if required and not text:
        raise Invalid("text-required", field=field)
    if len(text) > limit:
        raise Invalid("text-too-long", field=field, limit=limit)
    if _MARKUP.search(text):
        raise Invalid("text-has-markup", field=field)
    if _HIDDEN.search(text):
        raise Invalid("text-has-control-characters", field=field)
    return text


def code(text: str, field: str) -> str:
    """A code of the scheme: letters of any script, digits and `.·-_`. Raises Invalid (code-malformed)."""
    if len(text) > CODE_LIMIT or not _CODE.fullmatch(text):
        raise Invalid("code-malformed", field=field, limit=CODE_LIMIT)
    return text


def day(text: str, field: str) -> str:
    """A day as `YYYY-MM-DD`. Raises Invalid (day-unfit)."""
    try:
        told = date.fromisoformat(text)
    except ValueError:
        told = None
    if told is None or told.isoformat() != text or told.year not in YEARS:
        raise Invalid("day-unfit", field=field, least=YEARS.start, limit=YEARS.stop - 1)
    return text


def day_of(moment: datetime) -> str:
    """The day (`YYYY-MM-DD`) of a moment in Asia/Shanghai."""
    return f"{moment.astimezone(CHINA):%Y-%m-%d}"
