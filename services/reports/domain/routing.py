"""Which unit a problem goes to: category × community → unit (条块结合)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

ANY = "*"


class Why(StrEnum):
    """The rule that decided, from the closest to the last resort."""

    EXACT = "category-and-community"
    CATEGORY = "category"
    COMMUNITY = "community"
    """属地: the unit of the community that the place lies in."""
    DISTRICT = "district"
    TRIAGE = "triage"
    """The office decides, because a rule says so."""
    NO_RULE = "no-rule"


@dataclass(frozen=True)
class Route:
    """One row of the table; `*` stands for any category or any community, unit None for "the office decides"."""

    category: str
    community: str
    unit: str | None


@dataclass(frozen=True)
class Routing:
    """The answer: the unit (None: the case waits in the office's queue) and the rule that gave it."""

    unit: str | None
    why: Why


class Router:
    """A routing table. The closest row wins: both named, then the category, then the community, then `* × *`.

    A district that has a `* × *` row never leaves a case nowhere. Raises ValueError when two rows name the
    same category and community.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._units: dict[tuple[str, str], str | None] = {}
        for route in routes:
            key = (route.category, route.community)
            if key in self._units:
                raise ValueError(f"two routes for category {route.category}, community {route.community}")
            self._units[key] = route.unit

    def route(self, category: str, community: str) -> Routing:
        """The unit for a category in a community (statistical code, "" when the place lies in none)."""
        for key, why in (
            ((category, community), Why.EXACT),
            ((category, ANY), Why.CATEGORY),
            ((ANY, community), Why.COMMUNITY),
            ((ANY, ANY), Why.DISTRICT),
        ):
            if key in self._units:
                unit = self._units[key]
                return Routing(unit, why if unit else Why.TRIAGE)
        return Routing(None, Why.NO_RULE)
