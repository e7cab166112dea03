"""Events of scoring: what a unit's ledger is told (inside the service), its entries, standings, schemes and measures.

And the red and black lists (红黑榜).

Points are what a unit loses: a bonus and a correction have less than nothing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from pydantic import AwareDatetime

from shared.contracts.event_model import EventModel, EventPart, OpenEnum


class FactKind(OpenEnum):
    """What kind of fact may cost or earn a unit points."""

    OVERDUE = "overdue"
    REWORK = "rework"
    REOPENED = "reopened"
    RETURNED = "returned"
    FALSE_REPLY = "false-reply"
    FINDING = "finding"
    MEASUREMENT = "measurement"
    NEGATIVE = "negative"
    MANUAL = "manual"
    BONUS = "bonus"
    OTHER = "other"


class MeasureState(OpenEnum):
    """Where a measure of the ladder stands."""

    ISSUED = "issued"
    RECEIVED = "received"
    REPLIED = "replied"
    HELD = "held"
    ENDED = "ended"
    OTHER = "other"


class ListKind(OpenEnum):
    """What a list is for: to commend (红榜) or to expose (黑榜)."""

    RED = "red"
    BLACK = "black"
    OTHER = "other"


class ChargeMade(EventModel):
    """A rule applies to a fact: the unit is to lose points.

    Rules are decided per case, ledgers are kept per unit: this topic is the seam, partitioned by the unit so
    that one worker at a time writes a unit's ledger. The aggregate is `<what the fact is about>:<unit>`. `case` and
    `category` are empty where the fact is not about a case. All charges of one `bucket` together cost a unit at most
    `cap` in a period (or, below nothing, earn it).
    """

    TOPIC: ClassVar[str] = "scoring.charge"
    TYPE: ClassVar[str] = "chuangwen.scoring.charge-made.v1"
    PARTITION_BY: ClassVar[str | None] = "unit"

    unit: str
    case: str
    category: str
    rule: str
    rule_version: int
    points: Decimal
    basis: str
    """Identity of the event or decision that the charge rests on."""
    happened_at: AwareDatetime
    kind: FactKind | None = None
    indicator: str | None = None
    standard: str | None = None
    scheme: int | None = None
    """Version of the assessment scheme that `indicator` and `standard` are of."""
    visit: str | None = None
    finding: int | None = None
    bucket: str | None = None
    cap: Decimal | None = None


class ReversalOrdered(EventModel):
    """Row `number` of the unit's ledger was a mistake and is to be taken back by a row of its own.

    `basis` is the decision it rests on; the aggregate is `<decision>:<unit>`.
    """

    TOPIC: ClassVar[str] = "scoring.charge"
    TYPE: ClassVar[str] = "chuangwen.scoring.charge-reversal-ordered.v1"
    PARTITION_BY: ClassVar[str | None] = "unit"

    unit: str
    number: int
    basis: str
    happened_at: AwareDatetime


class PeriodFrozen(EventModel):
    """Nothing is posted to this period (`YYYY-MM`) or an earlier one of the unit any more.

    What still happened in it counts in the next. The aggregate is `<period>:<unit>`.
    """

    TOPIC: ClassVar[str] = "scoring.charge"
    TYPE: ClassVar[str] = "chuangwen.scoring.charge-period-frozen.v1"
    PARTITION_BY: ClassVar[str | None] = "unit"

    unit: str
    period: str
    frozen_at: AwareDatetime


class EntryPosted(EventModel):
    """One row of a unit's deduction ledger; the aggregate is the unit, `number` its row from 1.

    `hash` covers the row and the `previous` hash (see services/scoring: the ledger's docs say how). `claimed` is
    what the rule asked for and `points` what it came to under the cap; `belongs_to` is the period in which a late row
    happened, `reverses` the row that this one takes back. What is None is not covered by the hash.
    """

    TOPIC: ClassVar[str] = "scoring.entry"
    TYPE: ClassVar[str] = "chuangwen.scoring.entry-posted.v1"

    unit: str
    number: int
    period: str
    case: str
    category: str
    rule: str
    rule_version: int
    points: Decimal
    basis: str
    happened_at: AwareDatetime
    posted_at: AwareDatetime
    previous: str
    hash: str
    kind: FactKind | None = None
    indicator: str | None = None
    standard: str | None = None
    scheme: int | None = None
    visit: str | None = None
    finding: int | None = None
    bucket: str | None = None
    cap: Decimal | None = None
    claimed: Decimal | None = None
    belongs_to: str | None = None
    reverses: int | None = None


class StandingChanged(EventModel):
    """Where a unit stands in a period (`YYYY-MM`); the aggregate is `<unit>:<period>`.

    `score` is 100 minus the points lost, never below 0 (Hengyang's monthly appraisal of 城管, 2019). `frozen` is
    whether nothing is posted to it any more.
    """

    TOPIC: ClassVar[str] = "scoring.standing"
    TYPE: ClassVar[str] = "chuangwen.scoring.standing-changed.v1"
    ONLY_LAST: ClassVar[bool] = True

    unit: str
    period: str
    points_lost: Decimal
    score: Decimal
    entries: int
    head: str
    """Hash of the unit's newest ledger row that counts here."""
    changed_at: AwareDatetime
    frozen: bool = False


class SchemePublished(EventModel):
    """A version of the assessment scheme is in force from `effective_from` (`YYYY-MM-DD`, Asia/Shanghai).

    The aggregate is the version.
    """

    TOPIC: ClassVar[str] = "scoring.scheme"
    TYPE: ClassVar[str] = "chuangwen.scoring.scheme-published.v1"

    version: int
    name: str
    effective_from: str
    standards: int
    """How many standards it has."""


class SchemeRetired(EventModel):
    """A version of the assessment scheme is no longer in force; the aggregate is the version."""

    TOPIC: ClassVar[str] = "scoring.scheme"
    TYPE: ClassVar[str] = "chuangwen.scoring.scheme-retired.v1"

    version: int


class MeasureChanged(EventModel):
    """A rung of the ladder of consequences, as it stands: a numbered paper to a unit; the aggregate is the measure.

    `rung` is a code of the district's ladder, `cause` what it is about (a case, a standing, a decision), and `due_at`
    until when the unit has to reply. `period` is where a cause that is a standing lies.
    """

    TOPIC: ClassVar[str] = "scoring.measure"
    TYPE: ClassVar[str] = "chuangwen.scoring.measure-changed.v1"

    measure: str
    number: str
    rung: str
    unit: str
    cause: str
    state: MeasureState
    issued_at: AwareDatetime
    due_at: AwareDatetime | None = None
    case: str | None = None
    period: str | None = None
    """`YYYY-MM`."""


class ListItem(EventPart):
    """Who stands on a list and why: a venue in an `area` (district, subdistrict or community), or a unit.

    `reason` is one official sentence, fit to be read by everybody, that names no person. `case` and `visit` are what it
    rests on.
    """

    reason: str
    area: str | None = None
    venue_type: str | None = None
    venue: str | None = None
    unit: str | None = None
    case: str | None = None
    visit: str | None = None


class ListPublished(EventModel):
    """A red or black list of a month (`YYYY-MM`, Asia/Shanghai) is public; the aggregate is the list.

    `number` is that of its paper, `issuer` a code of the district's supervision groups (督导组), who sign it.
    """

    TOPIC: ClassVar[str] = "scoring.list"
    TYPE: ClassVar[str] = "chuangwen.scoring.list-published.v1"

    list: str
    number: str
    kind: ListKind
    period: str
    issuer: str
    items: tuple[ListItem, ...]
    published_at: AwareDatetime


class ListWithdrawn(EventModel):
    """A list that was public is withdrawn: that it was there may still be shown, who stood on it may not."""

    TOPIC: ClassVar[str] = "scoring.list"
    TYPE: ClassVar[str] = "chuangwen.scoring.list-withdrawn.v1"

    list: str
    number: str
    kind: ListKind
    period: str
    issuer: str
    published_at: AwareDatetime
    withdrawn_at: AwareDatetime
