"""Tracking codes: what a reporter holds in the hand, so that no account is needed to follow a case.

A code can be read out, typed and misheard. It has 85 unpredictable bits in Crockford's base 32 (no I, L, O, U) and a
check character over GF(32) that finds any one wrong character and any two exchanged.
"""

from __future__ import annotations

import re
import unicodedata

from shared.errors import Invalid

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_RANDOM_BYTES = 11
CODE_LIMIT = 64
"""Characters of a code as typed, blanks and hyphens included."""
_DRAWN = 17
_GROUP = 3
_MISHEARD = str.maketrans("ILO", "110")


def new_tracking_code(random: bytes) -> str:
    """Six groups of three characters: `7Q3-KX0-M4T-ZA9-2RC-5NE`. `random` holds CODE_RANDOM_BYTES bytes."""
    number = int.from_bytes(random[:CODE_RANDOM_BYTES], "big")
    drawn = [number >> 5 * place & 31 for place in range(_DRAWN)]
    code = "".join(CROCKFORD[value] for value in [*drawn, _check(drawn)])
    return "-".join(code[start : start + _GROUP] for start in range(0, len(code), _GROUP))


def read_tracking_code(typed: str) -> str:
    """The code's characters without hyphens, however it was typed. Raises Invalid (`tracking-code-mistyped`)."""
    code = unicodedata.normalize("NFKC", typed).upper().translate(_MISHEARD)
    code = re.sub(r"[\s\u2010-\u2015\u2212_-]", "", code)
    values = [CROCKFORD.find(character) for character in code]
    if len(values) != _DRAWN + 1 or min(values) < 0 or _check(values[:-1]) != values[-1]:
        raise Invalid("tracking-code-mistyped", field="code")
    return code


def _check(values: list[int]) -> int:
    """The values as coefficients of a polynomial, at 2: no two places weigh the same, as 2 generates GF(32)*."""
    check = 0
    for value in values:
        check = _doubled(check ^ value)
    return check


def _doubled(value: int) -> int:
    """Times 2 in GF(32), modulo x^5 + x^2 + 1."""
    value <<= 1
    return value ^ 0b100101 if value & 0b100000 else value
