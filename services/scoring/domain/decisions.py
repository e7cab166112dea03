"""What one person proposes and another decides, and the rule that they are two."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import Refused


@dataclass(frozen=True)
class Person:
    """Who acts, and the unit that they belong to, if any."""

    subject: str
    unit: str | None = None


def require_second(by: Person, first: str, unit: str) -> None:
    """A decision about a unit is taken by somebody else than the person who asked for it, and not of that unit.

    Raises Refused (second-person-required, decision-on-own-unit).
    """
    if by.subject == first:
        raise Refused("second-person-required")
    if by.unit == unit:
        raise Refused("decision-on-own-unit", unit=unit)
