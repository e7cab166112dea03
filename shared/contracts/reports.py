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
    SITE_VERIFIED = "site-verified"
    FILED = "filed"
    DISPATCHED = "dispatched"
    ACKNOWLEDGED = "acknowledged"
    RECTIFYING = "rectifying"
    REPLIED = "replied"
    REWORK = "rework"
    VERIFIED = "verified"
    CLOSED = "closed"
    REJECTED = "rejected"
    RETURNED = "returned"
    SUSPENDED = "suspended"
    WAITING = "waiting"
    MERGED = "merged"
    SPLIT = "split"
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


class Kind(OpenEnum):
    """Whether something is to be put right (曝光) or was done well (点赞)."""

    PROBLEM = "problem"
    PRAISE = "praise"
    OTHER = "other"


class ReporterKind(OpenEnum):
    """In which capacity somebody reported."""

    CITIZEN = "citizen"
    VOLUNTEER = "volunteer"
    STAFF = "staff"
    INSPECTOR = "inspector"
    JOURNALIST = "journalist"
    OTHER = "other"


class Stage(OpenEnum):
    """A part of a case's life with a time limit of its own, and who has to act in it.

    The centre: site-check, dispatch, decide (whether the unit gets more time), verify, close. The unit: acknowledge,
    rectify. A leader: review (of a suspension). The reporter: answer.
    """

    SITE_CHECK = "site-check"
    DISPATCH = "dispatch"
    ACKNOWLEDGE = "acknowledge"
    RECTIFY = "rectify"
    DECIDE = "decide"
    VERIFY = "verify"
    CLOSE = "close"
    REVIEW = "review"
    ANSWER = "answer"
    OTHER = "other"


class Level(OpenEnum):
    """How long a limit has run out (三色督查): reminded, warned, last warning."""

    BLUE = "blue"
    ORANGE = "orange"
    RED = "red"
    OTHER = "other"


class Place(EventPart):
    """A spot: WGS-84 degrees, and the community (statistical code) it lies in."""

    longitude: Annotated[float, Field(ge=-180, le=180)]
    latitude: Annotated[float, Field(ge=-90, le=90)]
    community: str
    address: str = ""


class CaseSnapshot(EventPart):
    """The public facts of a case. Times are UTC; `points` is what an overdue case costs its unit.

    `due_at` is when the unit has to have rectified; `stage` is what the case waits for, `stage_due_at` until
    when, and `level` how late the latest of its running limits is. `unit` leads, `supporting` units help.
    """

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
    kind: Kind = Kind.PROBLEM
    reporter_kind: ReporterKind = ReporterKind.CITIZEN
    stage: Stage | None = None
    stage_due_at: AwareDatetime | None = None
    level: Level | None = None
    supporting: tuple[str, ...] = ()
    indicators: tuple[str, ...] = ()
    reply_photos: tuple[str, ...] = ()
    parent: str | None = None
    children: tuple[str, ...] = ()
    merged_into: str | None = None
    repeat_of: str | None = None
    returns: int = 0
    extensions: int = 0
    reopens: int = 0
    satisfied: bool | None = None


class CaseEvent(EventModel):
    """What every event of a case tells."""

    TOPIC: ClassVar[str] = "reports.case"

    case: CaseSnapshot


class CaseRegistered(CaseEvent):
    """A problem is on file; when routing found a unit, it is dispatched already."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-registered.v1"


class CaseSiteVerified(CaseEvent):
    """Somebody looked and found what a citizen had reported."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-site-verified.v1"


class CaseFiled(CaseEvent):
    """The centre takes the case on (立案); which unit has it is still to be said."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-filed.v1"


class CaseRejected(CaseEvent):
    """The centre does not take the case on; it ends here."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-rejected.v1"


class CaseDispatched(CaseEvent):
    """The centre gave the case to a unit."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-dispatched.v1"


class CaseAcknowledged(CaseEvent):
    """The unit confirmed that the case is its own to handle."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-acknowledged.v1"


class CaseReturned(CaseEvent):
    """The unit gave the case back as not its own (退单); the centre has it again."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-returned.v1"

    returned_by: str


class CaseWorkStarted(CaseEvent):
    """The unit is at it."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-work-started.v1"


class CaseExtended(CaseEvent):
    """The unit has more time than its category gives (延期)."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-extended.v1"


class CaseSuspended(CaseEvent):
    """A leader lets the case rest until `review_at` (挂账); no limit runs."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-suspended.v1"

    review_at: AwareDatetime


class CaseWaiting(CaseEvent):
    """The reporter was asked something; the unit's limits do not run meanwhile."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-waiting.v1"


class CaseResumed(CaseEvent):
    """A suspended or waiting case goes on; its limits end later by the working time it rested."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-resumed.v1"


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


class CaseReopened(CaseEvent):
    """What was signed off is not in order: the unit has it again with a new limit, or one of its parts is open."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-reopened.v1"


class CaseMerged(CaseEvent):
    """The case tells of the same problem as `merged_into`, where it is followed from now on."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-merged.v1"


class CaseUnmerged(CaseEvent):
    """The merge was a mistake; the case goes on by itself."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-unmerged.v1"


class CaseSplit(CaseEvent):
    """Several units have a part of it each; it closes when all `children` have."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-split.v1"


class CaseRated(CaseEvent):
    """The reporter said whether the result satisfies."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-rated.v1"


class CaseChanged(CaseEvent):
    """Something was done that has no event of its own: published or withdrawn, a photo hidden, more time asked for."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-changed.v1"


class CaseDueSoon(CaseEvent):
    """A limit is about to run out; once per limit, and not at all for one that has run out already."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-due-soon.v1"

    stage: Stage
    due_at: AwareDatetime
    elapsed_minutes: int
    """Working minutes since the limit began."""


class CaseOverdue(CaseEvent):
    """A limit passed: once when it did (blue), and once more for each level (orange, red)."""

    TYPE: ClassVar[str] = "chuangwen.reports.case-overdue.v1"

    stage: Stage = Stage.RECTIFY
    level: Level = Level.BLUE
    due_at: AwareDatetime | None = None
    reached_at: AwareDatetime | None = None
    """When the level was reached, whenever that was noticed."""
    elapsed_minutes: int = 0
    """Working minutes from the limit's end to `reached_at`."""
