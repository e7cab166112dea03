"""Events of scoring: charges (inside the service), ledger entries and standings."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from pydantic import AwareDatetime

from shared.contracts.event_model import EventModel


class ChargeMade(EventModel):
    """A rule applies to a case: the unit is to lose points.

    Rules are decided per case, ledgers are kept per unit: this topic is the seam, partitioned by the unit so
    that one worker at a time writes a unit's ledger. The aggregate is `<case>:<unit>`.
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
    """Identity of the event that the charge rests on."""
    happened_at: AwareDatetime


class EntryPosted(EventModel):
    """One row of a unit's deduction ledger; the aggregate is the unit, `number` its row from 1.

    `hash` covers the row and the `previous` hash (see services/scoring: the ledger's docs say how).
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


class StandingChanged(EventModel):
    """Where a unit stands in a period (`YYYY-MM`); the aggregate is `<unit>:<period>`.

    `score` is 100 minus the points lost, never below 0 (Hengyang's monthly appraisal of 城管, 2019).
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
