"""What a case is told and remembers: where, by whom, what happened."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from services.reports.domain.words import Command
from services.reports.domain.writing import ADDRESS_LIMIT, plain_text


class Moderation(StrEnum):
    """Whether the public may see what a reporter handed in; the handling does not wait for it."""

    APPROVED = "approved"
    PENDING = "pending"
    WITHHELD = "withheld"


@dataclass(frozen=True)
class Place:
    """A spot: WGS-84 degrees, the community and grid ("" for none) it lies in, and the datum it was given in.

    One that is not `exact` is the middle of its community, because nothing closer is known.
    """

    longitude: float
    latitude: float
    community: str
    address: str = ""
    crs: str = "wgs84"
    grid: str = ""
    exact: bool = True


@dataclass(frozen=True)
class Fact:
    """One line of a case's history: what happened, when (UTC), and by whom.

    `by` is the unit acted for, or the side; None: the clock. `note` is for those who see the inside of the case,
    unless it is `public`. `photos` came with it.
    """

    at: datetime
    command: Command
    by: str | None = None
    note: str = field(default="", repr=False)
    who: str = ""
    public: bool = False
    photos: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExtensionRequest:
    """More time, asked for while there was some left; `limit` None asks for the standard extension."""

    asked_at: datetime
    limit: str | None


def checked_place(place: Place) -> Place:
    """The place with its address as plain text. Raises what `plain_text` raises."""
    return replace(place, address=plain_text(place.address, "address", ADDRESS_LIMIT))
