"""What the portal shows: a case with its history, a unit's standing, ledger and measures, lists. No personal data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from shared.clock import CHINA
from shared.contracts.reports import CaseState, Channel, Kind, Level, Stage
from shared.contracts.scoring import FactKind, ListItem, ListKind, MeasureState

FULL_SCORE = Decimal(100)
"""Of a unit that has lost nothing in a period (see shared.contracts.scoring.StandingChanged)."""


@dataclass(frozen=True)
class Happened:
    """One line of a case's history; `kind` is the event's name without prefix and version (`case-overdue`)."""

    kind: str
    at: datetime
    unit: str | None = None


@dataclass
class CaseView:
    """A case as the public sees it. Times are UTC; `sequence` is the number of the newest event taken in.

    All else as in `shared.contracts.reports.CaseSnapshot`. The spot is None for those who may not know it.
    """

    id: str
    sequence: int
    state: CaseState
    channel: Channel
    category: str
    community: str
    longitude: float | None
    latitude: float | None
    address: str
    photos: tuple[str, ...]
    unit: str | None
    registered_at: datetime
    due_at: datetime | None
    closed_at: datetime | None
    overdue_at: datetime | None
    reworks: int
    timeline: list[Happened] = field(default_factory=list)
    kind: Kind = Kind.PROBLEM
    stage: Stage | None = None
    stage_due_at: datetime | None = None
    level: Level | None = None
    supporting: tuple[str, ...] = ()
    reply_photos: tuple[str, ...] = ()
    parent: str | None = None
    children: tuple[str, ...] = ()
    merged_into: str | None = None
    repeat_of: str | None = None
    reopens: int = 0
    satisfied: bool | None = None

    def is_overdue(self, now: datetime) -> bool:
        """Whether a limit has run out and the unit has not replied yet."""
        return self.due_at is not None and self.due_at < now

    @property
    def step(self) -> int | None:
        """How far along STEPS the case is; None for one that is not on that way."""
        return None if self.kind is Kind.PRAISE else step_of(self.state)


STEPS = ("registered", "dispatched", "acknowledged", "replied", "verified", "closed")
"""The ordinary way of a case, as people see it."""
_STEP = {
    CaseState.REGISTERED: 0,
    CaseState.SITE_VERIFIED: 0,
    CaseState.FILED: 0,
    CaseState.RETURNED: 0,
    CaseState.DISPATCHED: 1,
    CaseState.ACKNOWLEDGED: 2,
    CaseState.RECTIFYING: 2,
    CaseState.REWORK: 2,
    CaseState.REPLIED: 3,
    CaseState.VERIFIED: 4,
    CaseState.CLOSED: 5,
}


def step_of(state: CaseState) -> int | None:
    """How far along STEPS a case in this state is; None for one that rests, or is handled elsewhere or not at all."""
    return _STEP.get(state)


@dataclass
class StandingView:
    """Where a unit stands in a period (`YYYY-MM`, Asia/Shanghai); the identity is `<unit>:<period>`."""

    id: str
    unit: str
    period: str
    points_lost: Decimal
    score: Decimal
    entries: int
    head: str
    changed_at: datetime
    frozen: bool = False


@dataclass
class EntryView:
    """One row of a unit's deduction ledger; the identity is `<unit>:<number>`, zero-padded so that it sorts.

    What each field means: `shared.contracts.scoring.EntryPosted`. A row from before a field was there has None.
    """

    id: str
    unit: str
    number: int
    period: str
    case: str
    category: str
    rule: str
    rule_version: int
    points: Decimal
    basis: str
    happened_at: datetime
    posted_at: datetime
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

    @property
    def capped(self) -> bool:
        """Whether the row came to something else than was claimed, because all claims together have a cap."""
        return self.claimed is not None and self.claimed != self.points

    @property
    def kind_shown(self) -> FactKind:
        """Of what kind it is; OTHER when its event did not tell."""
        return self.kind or FactKind.OTHER


@dataclass
class MeasureView:
    """A rung of the ladder of consequences taken against a unit, as far as the portal needs it."""

    id: str
    unit: str
    rung: str
    state: MeasureState
    issued_at: datetime


@dataclass
class ListView:
    """A red or black list that is or was public; `items` of one that was withdrawn are none.

    `issuer` is a code of the supervision groups, `period` a month (`YYYY-MM`, Asia/Shanghai).
    """

    id: str
    number: str
    kind: ListKind
    period: str
    issuer: str
    published_at: datetime
    items: tuple[ListItem, ...] = ()
    withdrawn_at: datetime | None = None


def entry_id(unit: str, number: int) -> str:
    """Identity of a row."""
    return f"{unit}:{number:010d}"


def period_of(moment: datetime) -> str:
    """The month a moment counts in, in Asia/Shanghai."""
    return f"{moment.astimezone(CHINA):%Y-%m}"


def months_until(period: str, count: int) -> list[str]:
    """The period and those before it, newest first."""
    last = int(period[:4]) * 12 + int(period[5:]) - 1
    return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(last, last - count, -1)]


def ranked(scores: Mapping[str, Decimal]) -> Sequence[tuple[int, str]]:
    """Units by score, best first; equal scores share a rank and the next one is left out (1, 2, 2, 4)."""
    order = sorted(scores, key=lambda unit: (-scores[unit], unit))
    ranks: list[tuple[int, str]] = []
    for place, unit in enumerate(order, start=1):
        tied = bool(ranks) and scores[ranks[-1][1]] == scores[unit]
        ranks.append((ranks[-1][0] if tied else place, unit))
    return ranks
