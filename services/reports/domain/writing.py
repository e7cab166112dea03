"""What people may write into a case: plain text, no markup, no invisible control characters."""

from __future__ import annotations

import re

from shared import writing
from shared.errors import Invalid

TEXT_LIMIT = 2_000
ADDRESS_LIMIT = 200
NAME_LIMIT = 50

_PHONE = re.compile(
    r"\+?\(?[0-9][0-9() ./\-\u2010-\u2015\u2212]{3,22}[0-9](?:\s*(?:转|轉|分机|內線|内线|ext\.?|x|#)\s*[0-9]{1,6})?",
    re.IGNORECASE,
)
_MOST_DIGITS = 20


def plain_text(text: str, field: str, limit: int = TEXT_LIMIT, *, required: bool = False) -> str:
    """A text of a case, as long as one may be: see `shared.writing.plain_text`, whose faults it raises."""
    return writing.plain_text(text, field, limit, required=required)


def phone_number(text: str, field: str) -> str:
    """A telephone number as typed: 5 to 20 digits, perhaps after a plus, with blanks, brackets, dashes, an extension.

    Raises Invalid: phone-not-a-number.
    """
    text = text.strip()
    if not _PHONE.fullmatch(text) or sum(character.isdigit() for character in text) > _MOST_DIGITS:
        raise Invalid("phone-not-a-number", field=field)
    return text
