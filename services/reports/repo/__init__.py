"""Where cases and the catalogue are kept and how they are looked up.

Every index costs each write that changes one of its fields, so the cases have few, and each says what it is for. The
three over arrays (`domain/lookup.py`) give any list in the order it is shown; the fields behind the order are there to
pass over cases that do not fit without reading them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.reports.domain import Case, CatalogueHead, CategoryVersion
from services.reports.domain.abuse import Ban
from services.reports.domain.channels import Origin
from services.reports.domain.documents import Document
from services.reports.domain.erasure import Erasure
from services.reports.domain.lookup import derived
from shared.audit import AuditRow
from shared.store import Collection, Index

NEWEST = (("registered_at", -1), ("_id", -1))
BY_DEADLINE = (("stage_due_at", 1), ("_id", 1))
_NARROWING = (("category", 1), ("place.community", 1), ("channel", 1))
KNOWN = {"$gt": ""}
"""What a partial index holds of a field that is often empty; queries for a value find it there."""

CASES = Collection(
    "cases",
    Case,
    [
        # The clock: what is due.
        Index((("deadline_at", 1),)),
        # What lies near: duplicates before reporting, repeats at registration.
        Index((("square", 1), ("category", 1), ("closed_at", -1)), partial={"square": KNOWN}),
        # Lists newest first, exports, and the cohort registered in a period.
        Index((("lists", 1), *NEWEST, *_NARROWING, ("kind", 1), ("repeat_of", 1))),
        # Queues and lists by deadline. Only what somebody has to act on is in it.
        Index((("duties", 1), *BY_DEADLINE, *_NARROWING, ("stage", 1), ("level", 1)), partial={"duties": KNOWN}),
        # Text search.
        Index((("words", 1), *NEWEST)),
        # The map, with its counts from the index alone.
        Index(
            (("map.longitude", 1), ("map.latitude", 1), ("map.cell", 1), ("stage", 1), ("category", 1), ("level", 1)),
            partial={"stage": KNOWN},
        ),
        # The cohort due in a period.
        Index((("target_at", 1), ("unit", 1))),
        # A code's case; a reporter's own cases, and whether they are new.
        Index((("tracking", 1),), partial={"tracking": KNOWN}),
        Index((("reporter.account", 1), ("_id", -1)), partial={"reporter.account": KNOWN}),
        Index((("reporter.phone", 1), ("_id", -1)), partial={"reporter.phone": KNOWN}),
        # What waits for moderation.
        Index((("moderation", 1), ("_id", 1)), partial={"moderation": "pending"}),
        # What has ended so long ago that it is to be made anonymous.
        Index((("erased_at", 1), ("ended_at", 1))),
    ],
    derive=derived,
)
CATALOGUES = Collection("catalogues", CatalogueHead)
CURRENT = "current"
"""Identity of the one head: which versions are in use."""
CATEGORY_VERSIONS = Collection(
    "category-versions", CategoryVersion, [Index((("category.code", 1), ("category.version", -1)), unique=True)]
)
ORIGINS = Collection("origins", Origin, [Index((("case", 1),))])


@dataclass
class Follower:
    """Somebody who wants to know how a case goes; `tracking` is the digest of their code."""

    id: str
    case: str
    tracking: str


@dataclass
class Head:
    """The end of an audit chain: its last row, None of an empty one. Whoever appends changes it: nobody forks it."""

    id: str
    last: AuditRow | None = None


@dataclass
class Retention:
    """When it is to be seen next to what has been kept long enough."""

    id: str
    deadline_at: datetime


@dataclass
class Upkeep:
    """The walk through all cases: for which calendar and form of what is derived, behind which case, and when next."""

    id: str
    calendar: str
    derived: int
    after: str
    deadline_at: datetime | None


DOCUMENTS = Collection(
    "documents",
    Document,
    [
        Index((("case", 1), ("issued_at", 1))),
        Index((("kind", 1), ("unit", 1), ("year", 1), ("number", 1)), unique=True),
    ],
)
"""Papers quote what was written into the case: what is erased there must be erased here."""
BANS_KEPT = timedelta(days=90)
"""How long one can still look up a ban that is over."""

FOLLOWERS = Collection("followers", Follower, [Index((("tracking", 1),)), Index((("case", 1),))])
HEADS = Collection("audit-heads", Head)
BANS = Collection(
    "bans",
    Ban,
    [Index((("marks", 1),)), Index((("until", 1),), expire_after_seconds=int(BANS_KEPT.total_seconds()))],
)
RETENTION = Collection("retention", Retention, [Index((("deadline_at", 1),))])
UPKEEP = Collection("upkeep", Upkeep, [Index((("deadline_at", 1),))])
ERASURES = Collection("erasures", Erasure, [Index((("number", -1),))])
