"""The case (案件): one problem from registration to sign-off, with the time limits everybody works under.

`transitions.py` has the table of what may be done when and by whom. What a case is made of is in `record.py`; the
chapters of its life are `registration`, `handling`, `review` and, for cases that belong together, `family`.
"""

from __future__ import annotations

from datetime import datetime

from services.reports.domain.cases.family import Family
from services.reports.domain.cases.handling import Handling
from services.reports.domain.cases.record import FACTS_LIMIT, PHOTO_LIMIT, TALK, TALK_LIMIT, Act, Events
from services.reports.domain.cases.registration import Registration
from services.reports.domain.cases.review import Review
from services.reports.domain.tracking import CROCKFORD
from shared.clock import CHINA

__all__ = [
    "FACTS_LIMIT",
    "ID_RANDOM_BYTES",
    "PHOTO_LIMIT",
    "TALK",
    "TALK_LIMIT",
    "Act",
    "Case",
    "Events",
    "new_case_id",
]

ID_RANDOM_BYTES = 7


class Case(Registration, Handling, Review, Family):
    """A problem and what was done about it; `CaseRecord` says what its fields mean."""


def new_case_id(now: datetime, random: bytes) -> str:
    """`YYYYMMDD-` (Asia/Shanghai) and ten Crockford base-32 characters: 50 of the random bits.

    `random` holds ID_RANDOM_BYTES unpredictable bytes, so that nobody finds a case by counting.
    """
    number = int.from_bytes(random[:ID_RANDOM_BYTES], "big")
    characters = (CROCKFORD[number >> 5 * place & 31] for place in range(10))
    return f"{now.astimezone(CHINA):%Y%m%d}-{''.join(characters)}"
