"""Nobody decides in their own cause (回避): not in what concerns their unit, nor in what they had a part in. Pure.

    require_impartial(by, units=[event.unit], people=[event.reported_by])

A decision is whatever changes what a unit answers for, owes or gains: granting, confirming, clearing, approving,
recording, publishing, withdrawing. It names the units that it concerns and the people who asked for it, wrote it or
carried it out before; whoever calls is none of them, whichever roles the token bears. What concerns every unit alike
(`EVERY_UNIT`) is decided by people who belong to none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol

from shared.errors import Forbidden


class Everyone(Enum):
    """See `EVERY_UNIT`."""

    EVERY_UNIT = "every-unit"


EVERY_UNIT: Literal[Everyone.EVERY_UNIT] = Everyone.EVERY_UNIT
"""All units are concerned: the rules, the scheme."""


class Decider(Protocol):
    """Who decides: the subject of a token, and the unit it names, if any."""

    @property
    def subject(self) -> str: ...

    @property
    def unit(self) -> str | None: ...


@dataclass(frozen=True)
class Person:
    """A decider by itself, where no token is at hand."""

    subject: str
    unit: str | None = None


def require_impartial(
    by: Decider,
    *,
    units: Iterable[str | None] | Literal[Everyone.EVERY_UNIT] = (),
    people: Iterable[str | None] = (),
) -> None:
    """The rule. None may stand for no unit and for nobody; a caller without a token is nobody, too.

    Raises Forbidden (second-person-required, decision-on-own-unit).
    """
    if by.subject and by.subject in set(people):
        raise Forbidden("second-person-required")
    if by.unit is not None and (units is EVERY_UNIT or by.unit in set(units)):
        raise Forbidden("decision-on-own-unit", unit=by.unit)
