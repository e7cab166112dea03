"""What people may write into a case: plain text, no markup, no invisible control characters."""

from __future__ import annotations

import re

from shared import writing
from shared.errors import Invalid

TEXT_LIMIT = 2_000
ADDRESS_LIMIT = 200
NAME_LIMIT = 50

_PHONE = re.compile(r"\+?[0-9][0-9 -]{4,19}")


def plain_text(text: str, field: str, limit: int = TEXT_LIMIT, *, required: bool = False) -> str:
    """A text of a case, as long as one may be: see `shared.writing.plain_text`, whose faults it raises."""
    return writing.plain_text(text, field, limit, required=required)


def phone_number(text: str, field: str) -> str:
    """A telephone number as typed: digits, blanks and hyphens, 5 to 20 of them, perhaps after a plus.

    Raises Invalid: phone-not-a-number.
    """
    text = text.strip()
    if not _PHONE.fullmatch(text):
        raise Invalid("phone-not-a-number", field=field)
    return text
