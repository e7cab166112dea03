"""What people may write into a case: plain text, no markup, no invisible control characters."""

from __future__ import annotations

import re
import unicodedata

from shared.errors import Invalid

TEXT_LIMIT = 2_000
ADDRESS_LIMIT = 200
NAME_LIMIT = 50

_MARKUP = re.compile(r"<[a-zA-Z/!?]")
# Control characters but line breaks and tabs; overrides of the writing direction, which make a text read as
# something else than what is stored; lone surrogates, which cannot be encoded at all.
_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_PHONE = re.compile(r"\+?[0-9][0-9 -]{4,19}")


def plain_text(text: str, field: str, limit: int = TEXT_LIMIT, *, required: bool = False) -> str:
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


def phone_number(text: str, field: str) -> str:
    """A telephone number as typed: digits, blanks and hyphens, 5 to 20 of them, perhaps after a plus.

    Raises Invalid: phone-not-a-number.
    """
    text = text.strip()
    if not _PHONE.fullmatch(text):
        raise Invalid("phone-not-a-number", field=field)
    return text
