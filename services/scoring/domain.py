"""The rules of scoring, without I/O: which facts cost points, the ledger that nobody can edit unseen, standings.

Score of a month: 100 minus the points lost, never below 0 (月度成绩 = 100 − 督查考核总扣分, Hengyang 城管, 2019).
Amounts are decimals throughout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from shared.audit import GENESIS, chain_hash
from shared.clock import CHINA
from shared.contracts.reports import Level, Stage
from shared.contracts.scoring import ChargeMade, EntryPosted, StandingChanged

FULL_SCORE = Decimal(100)


@dataclass(frozen=True)
class Rule:
    """A rule of the office, in one version: when an event of type `when` is told, `factor` × the points at stake.

    An overdue limit counts where it is one of `stage` that has reached `level`. In force from `effective_from`
    (`YYYY-MM-DD`, Asia/Shanghai) until a later version of the same code is.
    """

    code: str
    version: int
    effective_from: str
    when: str
    factor: Decimal = Decimal(1)
    stage: str = Stage.RECTIFY
    level: str = Level.BLUE


@dataclass
class RuleBook:
    """All rules of the office, every version; `version` counts the office's editions of the book."""

    id: str
    version: int
    rules: list[Rule]

    def in_force(self, event_type: str, happened_at: datetime) -> list[Rule]:
        """The newest version of each rule about this type of event that was in force when it happened."""
        day = f"{happened_at.astimezone(CHINA):%Y-%m-%d}"
        ordered = sorted(self.rules, key=lambda rule: (rule.effective_from, rule.version))
        newest = {rule.code: rule for rule in ordered if rule.when == event_type and rule.effective_from <= day}
        return [newest[code] for code in sorted(newest)]


@dataclass
class Charges:
    """How often a case has cost a unit points; the identity is `<case>:<unit>`."""

    id: str
    times: int = 0


@dataclass
class Entry:
    """One row of a unit's ledger; the identity is `<unit>:<number>`, zero-padded so that it sorts."""

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


@dataclass
class Ledger:
    """The head of a unit's ledger: how many rows there are and the hash of the last one."""

    id: str
    rows: int = 0
    head: str = GENESIS

    def post(self, charge: ChargeMade, posted_at: datetime) -> Entry:
        """The next row. Rows are only ever added; a correction is a row of its own."""
        number = self.rows + 1
        entry = Entry(
            id=entry_id(self.id, number),
            unit=self.id,
            number=number,
            period=period_of(charge.happened_at),
            case=charge.case,
            category=charge.category,
            rule=charge.rule,
            rule_version=charge.rule_version,
            points=charge.points,
            basis=charge.basis,
            happened_at=charge.happened_at,
            posted_at=posted_at,
            previous=self.head,
            hash="",
        )
        entry.hash = entry_hash(entry)
        self.rows, self.head = number, entry.hash
        return entry


@dataclass
class Standing:
    """What a unit lost in a period (`YYYY-MM`, Asia/Shanghai); the identity is `<unit>:<period>`."""

    id: str
    unit: str
    period: str
    points_lost: Decimal = Decimal(0)
    entries: int = 0
    head: str = GENESIS
    changed_at: datetime | None = None

    @property
    def score(self) -> Decimal:
        return max(Decimal(0), FULL_SCORE - self.points_lost)

    def count(self, entry: Entry) -> None:
        """Take a row of the ledger into account."""
        self.points_lost += entry.points
        self.entries += 1
        self.head = entry.hash
        self.changed_at = entry.posted_at

    def told(self) -> StandingChanged:
        """The standing as others hear of it."""
        return StandingChanged(
            unit=self.unit,
            period=self.period,
            points_lost=self.points_lost,
            score=self.score,
            entries=self.entries,
            head=self.head,
            changed_at=self.changed_at or datetime.fromtimestamp(0, UTC),
        )


@dataclass(frozen=True)
class Flaw:
    """The first row of a ledger that does not follow from the one before, and what is wrong with it."""

    unit: str
    number: int
    what: str


def period_of(moment: datetime) -> str:
    """The month a moment counts in, in Asia/Shanghai."""
    return f"{moment.astimezone(CHINA):%Y-%m}"


def entry_id(unit: str, number: int) -> str:
    """Identity of a row."""
    return f"{unit}:{number:010d}"


def standing_id(unit: str, period: str) -> str:
    """Identity of a standing."""
    return f"{unit}:{period}"


def entry_hash(entry: Entry | EntryPosted) -> str:
    """The hash of a row: over everything it says and the hash of the row before (see shared/audit.py)."""
    return chain_hash(
        entry.previous,
        {
            "unit": entry.unit,
            "number": entry.number,
            "period": entry.period,
            "case": entry.case,
            "category": entry.category,
            "rule": entry.rule,
            "rule_version": entry.rule_version,
            "points": entry.points,
            "basis": entry.basis,
            "happened_at": entry.happened_at,
            "posted_at": entry.posted_at,
        },
    )


def find_flaw(unit: str, rows: Iterable[Entry | EntryPosted], head: str | None = None) -> Flaw | None:
    """The first row of the unit's ledger, given in order, that was edited, left out or put in.

    Rows cut off at the end are found only with the `head` they should lead to.
    """
    number, previous = 0, GENESIS
    for row in rows:
        number += 1
        if row.unit != unit or row.number != number:
            return Flaw(unit, number, "missing-or-misplaced")
        if row.previous != previous:
            return Flaw(unit, number, "does-not-follow")
        if row.hash != entry_hash(row):
            return Flaw(unit, number, "edited")
        previous = row.hash
    if head is not None and head != previous:
        return Flaw(unit, number + 1, "cut-off")
    return None


def recompute(rows: Iterable[Entry | EntryPosted]) -> dict[str, Decimal]:
    """Points lost by standing (`<unit>:<period>`), from the ledgers alone."""
    lost: dict[str, Decimal] = {}
    for row in rows:
        id = standing_id(row.unit, row.period)
        lost[id] = lost.get(id, Decimal(0)) + row.points
    return lost


def ranked(scores: Mapping[str, Decimal]) -> Sequence[tuple[int, str]]:
    """Units by score, best first; equal scores share a rank and the next one is left out (1, 2, 2, 4)."""
    order = sorted(scores, key=lambda unit: (-scores[unit], unit))
    ranks: list[tuple[int, str]] = []
    for place, unit in enumerate(order, start=1):
        tied = bool(ranks) and scores[ranks[-1][1]] == scores[unit]
        ranks.append((ranks[-1][0] if tied else place, unit))
    return ranks
