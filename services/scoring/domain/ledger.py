"""The deduction ledger of a unit: rows that are only ever added, each chained to the one before.

A row says what a rule claimed and what it came to: all claims of one bucket together cost no more than its cap in a
month. The month a row belongs to is the one in which it happened; when that is frozen already, the row is posted to
the next, and says so. A mistake is taken back by a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from shared.audit import GENESIS, chain_hash
from shared.contracts.scoring import ChargeMade, EntryPosted, FactKind, StandingChanged
from shared.months import month_of, next_month

FULL_SCORE = Decimal(100)
"""月度成绩 = 100 − 督查考核总扣分 (Hengyang 城管, 2019)."""


@dataclass
class Entry:
    """One row of a unit's ledger; the identity is `<unit>:<number>`, zero-padded so that it sorts.

    `claimed` is what the rule asked for and `points` what that came to. `period` is the month (`YYYY-MM`,
    Asia/Shanghai) in which it counts, `belongs_to` that in which it happened, where that is another.
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
    def origin(self) -> str:
        """The month it belongs to."""
        return self.belongs_to or self.period


@dataclass
class Bucket:
    """What was claimed in a month under one cap."""

    name: str
    cap: Decimal
    claimed: Decimal = Decimal(0)

    def claim(self, amount: Decimal) -> Decimal:
        """What a further claim comes to. In whatever order claims come and are taken back, the sum is the same."""
        before = self._capped()
        self.claimed += amount
        return self._capped() - before

    def _capped(self) -> Decimal:
        return max(-self.cap, min(self.cap, self.claimed))


@dataclass
class Standing:
    """What a unit lost in a month (`YYYY-MM`, Asia/Shanghai); the identity is `<unit>:<period>`.

    `rows` and `ledger_head` are set when the month is frozen: the ledger as it was then.
    """

    id: str
    unit: str
    period: str
    points_lost: Decimal = Decimal(0)
    entries: int = 0
    head: str = GENESIS
    changed_at: datetime | None = None
    buckets: list[Bucket] = field(default_factory=list)
    frozen_at: datetime | None = None
    rows: int = 0
    ledger_head: str = GENESIS

    @classmethod
    def of(cls, unit: str, period: str) -> Standing:
        """The standing of a unit that has lost nothing yet."""
        return cls(standing_id(unit, period), unit, period)

    @property
    def score(self) -> Decimal:
        """100 minus what was lost, at least 0; corrections of an earlier month may lift it above 100."""
        return score_of(self.points_lost)

    def claim(self, bucket: str | None, cap: Decimal | None, amount: Decimal) -> Decimal:
        """What a claim that belongs to this month comes to under its cap."""
        if bucket is None or cap is None:
            return amount
        found = next((each for each in self.buckets if (each.name, each.cap) == (bucket, cap)), None)
        if found is None:
            found = Bucket(bucket, cap)
            self.buckets.append(found)
        return found.claim(amount)

    def count(self, entry: Entry) -> None:
        """Take a row of the ledger into account."""
        self.points_lost += entry.points
        self.entries += 1
        self.head = entry.hash
        self.changed_at = entry.posted_at

    def freeze(self, ledger: Ledger, at: datetime) -> None:
        """Nothing counts here any more."""
        self.frozen_at, self.changed_at = at, at
        self.rows, self.ledger_head = ledger.rows, ledger.head

    def event(self) -> StandingChanged:
        """The standing as others hear of it."""
        return StandingChanged(
            unit=self.unit,
            period=self.period,
            points_lost=self.points_lost,
            score=self.score,
            entries=self.entries,
            head=self.head,
            changed_at=self.changed_at or datetime.fromtimestamp(0, UTC),
            frozen=self.frozen_at is not None,
        )


@dataclass
class Ledger:
    """The head of a unit's ledger: how many rows there are, the hash of the last, and the newest frozen month."""

    id: str
    rows: int = 0
    head: str = GENESIS
    frozen_through: str = ""

    def period_for(self, happened_at: datetime) -> str:
        """The month in which something counts: its own, or the one after the last frozen."""
        month = month_of(happened_at)
        return month if month > self.frozen_through else next_month(self.frozen_through)

    def post(self, charge: ChargeMade, origin: Standing, posted_at: datetime) -> Entry:
        """The next row, for a charge that belongs to the month of the standing `origin`."""
        amount = origin.claim(charge.bucket, charge.cap, charge.points)
        values = {name: getattr(charge, name) for name in _CARRIED}
        late = self.period_for(charge.happened_at) != origin.period
        return self._add(
            Entry(
                **values,
                id="",
                number=0,
                unit=self.id,
                period=self.period_for(charge.happened_at),
                points=amount,
                claimed=None if charge.bucket is None else charge.points,
                belongs_to=origin.period if late else None,
                posted_at=posted_at,
                previous="",
                hash="",
            )
        )

    def reverse(self, entry: Entry, origin: Standing, basis: str, happened_at: datetime, posted_at: datetime) -> Entry:
        """The row that takes `entry` back, where it counts or, when that is frozen, in the first month that is not."""
        claimed = entry.points if entry.claimed is None else entry.claimed
        amount = origin.claim(entry.bucket, entry.cap, -claimed)
        period = entry.period if entry.period > self.frozen_through else next_month(self.frozen_through)
        values = {name: getattr(entry, name) for name in _CARRIED}
        return self._add(
            Entry(
                **{**values, "basis": basis, "happened_at": happened_at},
                id="",
                number=0,
                unit=self.id,
                period=period,
                points=amount,
                claimed=None if entry.bucket is None else -claimed,
                belongs_to=origin.period if period != origin.period else None,
                reverses=entry.number,
                posted_at=posted_at,
                previous="",
                hash="",
            )
        )

    def _add(self, entry: Entry) -> Entry:
        self.rows += 1
        entry.number, entry.id = self.rows, entry_id(self.id, self.rows)
        entry.previous = self.head
        entry.hash = self.head = entry_hash(entry)
        return entry


_CARRIED = (
    *("case", "category", "rule", "rule_version", "basis", "happened_at", "kind", "indicator", "standard", "scheme"),
    *("visit", "finding", "bucket", "cap"),
)


@dataclass
class Reversal:
    """That a row was taken back, and by which; the identity is the row's."""

    id: str
    by: int


@dataclass
class ChargeCount:
    """How often something has cost a unit points; the identity is `<matter>:<unit>`."""

    id: str
    times: int = 0


@dataclass(frozen=True)
class Flaw:
    """The first row of a ledger that does not follow from the ones before, and what is wrong with it."""

    unit: str
    number: int
    what: str


def score_of(points_lost: Decimal) -> Decimal:
    """The score of a month: 100 minus the points lost, never below 0."""
    return max(Decimal(0), FULL_SCORE - points_lost)


def entry_id(unit: str, number: int) -> str:
    """Identity of a row."""
    return f"{unit}:{number:010d}"


def standing_id(unit: str, period: str) -> str:
    """Identity of a standing."""
    return f"{unit}:{period}"


_HASHED = tuple(name for name in EntryPosted.model_fields if name not in {"previous", "hash"})
_ALWAYS = frozenset(name for name in _HASHED if EntryPosted.model_fields[name].is_required())


def entry_hash(entry: Entry | EntryPosted) -> str:
    """The hash of a row: over everything it says and the hash of the row before (see shared/audit.py).

    What is None is left out, so that rows from before a field was there keep their hash.
    """
    values = {name: getattr(entry, name) for name in _HASHED}
    return chain_hash(
        entry.previous, {name: value for name, value in values.items() if name in _ALWAYS or value is not None}
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
