"""Where the portal keeps what it shows, which photos came with a form, and who looks at their own case."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.portal.domain.cases import CaseView
from services.portal.domain.entries import EntryView
from services.portal.domain.lists import ListView
from services.portal.domain.measures import MeasureView
from services.portal.domain.standings import StandingView
from shared.store import Collection, Index

NEWEST = (("registered_at", -1), ("_id", -1))

CASES = Collection(
    "cases",
    CaseView,
    [
        Index(NEWEST),
        Index((("unit", 1), *NEWEST)),
        Index((("community", 1), *NEWEST)),
        Index((("category", 1), *NEWEST)),
        Index((("state", 1), *NEWEST)),
        Index((("kind", 1), *NEWEST)),
        Index((("due_at", 1),), partial={"due_at": {"$type": "date"}}),
        Index((("stage_due_at", 1),), partial={"stage_due_at": {"$type": "date"}}),
        Index((("closed_at", 1),), partial={"closed_at": {"$type": "date"}}),
    ],
)
STANDINGS = Collection("standings", StandingView, [Index((("period", 1),)), Index((("unit", 1), ("period", -1)))])
ENTRIES = Collection(
    "entries",
    EntryView,
    [
        Index((("unit", 1), ("number", -1))),
        Index((("unit", 1), ("period", 1), ("number", -1))),
        Index((("case", 1),)),
        # Which entries were taken back.
        Index((("unit", 1), ("reverses", 1)), partial={"reverses": {"$gt": 0}}),
    ],
)
MEASURES = Collection("measures", MeasureView, [Index((("unit", 1),))])
LISTS = Collection("lists", ListView, [Index((("published_at", -1), ("_id", -1)))])


@dataclass
class Handed:
    """The photos that the first submission of a form brought; `id` is the form's key.

    A double click or a reload brings the same pictures again. It must file the same report, word for word, to be
    taken as the same one, so it names the photos of the first.
    """

    id: str
    photos: tuple[str, ...]
    at: datetime


HANDED = Collection("handed", Handed, [Index((("at", 1),), expire_after_seconds=7 * 24 * 3600)])

SESSION_SECONDS = 3600


@dataclass
class Session:
    """A tracking code under a seal whose key is in a browser; `id` is a digest of that key."""

    id: str
    sealed: str
    at: datetime


SESSIONS = Collection("sessions", Session, [Index((("at", 1),), expire_after_seconds=SESSION_SECONDS)])
