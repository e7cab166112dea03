"""Events of the case: `reports.case`, one aggregate per case.

Every event carries the public snapshot of the case after the fact, so that a reader needs no other event to
show it. The reporter and the reporter's words never leave the reports service.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from shared.contracts.event_model import EventModel, EventPart, OpenEnum


class CaseState(OpenEnum):
    """Where a case stands between registration and sign-off."""

    REGISTERED = "registered"
    DISPATCHED = "dispatched"
    ACKNOWLEDGED = "acknowledged"
    REPLIED = "replied"
    REWORK = "rework"
    VERIFIED = "verified"
    CLOSED = "closed"
    OTHER = "other"


class Channel(OpenEnum):
    """How a case reached the district."""

    CITIZEN = "citizen"
    STAFF = "staff"
    HOTLINE = "hotline"
    PATROL = "patrol"
    INSPECTION = "inspection"
    MEDIA = "media"
    OTHER = "other"


class Place(EventPart):
    """A spot: WGS-84 degrees, and the community (statistical code) it lies in."""

    longitude: Annotated[float, Field(ge=-180, le=180)]
    latitude: Annotated[float, Field(ge=-90, le=90)]
    community: str
    address: str = ""


class CaseSnapshot(EventPart):
    """The public facts of a case. Times are UTC; `points` is what an overdue case costs its unit."""

    case: str
    state: CaseState
    channel: Channel
    category: str
    category_version: int
    place: Place
    photos: tuple[str, ...] = ()
    unit: str | None = None
    points: Decimal = Decimal(0)
    registered_at: AwareDatetime
    dispatched_at: AwareDatetime | None = None
    due_at: AwareDatetime | None = None
    acknowledged_at: AwareDatetime | None = None
    replied_at: AwareDatetime | None = None
    verified_at: AwareDatetime | None = None
    closed_at: AwareDatetime | None = None
    overdue_at: AwareDatetime | None = None
    reworks: int = 0


class CaseEvent(EventModel):
    """What every event of a case tells."""

    TOPIC: ClassVar[str] = "reports.case"

    case: CaseSnapshot


class CaseRegistered(CaseEvent):
    """A problem is on file; when routing found a unit, it is dispatched already."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-registered.v1"


class CaseDispatched(CaseEvent):
    """The office gave the case to a unit that routing had not found."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-dispatched.v1"


class CaseAcknowledged(CaseEvent):
    """The unit confirmed that the case is its own to handle."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-acknowledged.v1"


class CaseReplied(CaseEvent):
    """The unit says that the work is done; nobody has checked it yet."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-replied.v1"


class CaseVerified(CaseEvent):
    """Somebody outside the unit found the work done."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-verified.v1"


class CaseReworkOrdered(CaseEvent):
    """Somebody outside the unit found the work not done; a new time limit runs."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-rework-ordered.v1"


class CaseClosed(CaseEvent):
    """The case is signed off (销号)."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-closed.v1"


class CaseOverdue(CaseEvent):
    """The unit's time limit passed without a reply; once per limit."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-overdue.v1"
