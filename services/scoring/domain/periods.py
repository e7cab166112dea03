"""The seal of a month: what every unit stood at, bound to the month before, so that nobody can tell it otherwise.

A seal covers the standings of all units, each with the number of rows and the head of its ledger when the month was
frozen, and the rules and the scheme it was scored by. Whoever holds the newest seal can prove everything before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import reduce

from services.scoring.domain.ledger import Standing
from shared.audit import GENESIS, canonical, chain_hash
from shared.ranking import ranked, ranked_in_groups

_SIGNED = "chuangwen/seal/1"


class PeriodState(StrEnum):
    """Where a month stands; `freezing` until the ledgers of all units have confirmed."""

    OPEN = "open"
    FREEZING = "freezing"
    FROZEN = "frozen"
    PUBLISHED = "published"


@dataclass
class Period:
    """A month (`YYYY-MM`, Asia/Shanghai) that is no longer open; `units` are those whose ledgers were told so.

    Who froze, proposed and published it are subjects of accounts: for staff only.
    """

    id: str
    units: list[str]
    frozen_at: datetime
    frozen_by: str
    proposed_at: datetime | None = None
    proposed_by: str | None = None
    published_at: datetime | None = None
    published_by: str | None = None

    @property
    def state(self) -> PeriodState:
        """As far as the month itself knows: only one that is frozen everywhere is proposed."""
        if self.published_at:
            return PeriodState.PUBLISHED
        return PeriodState.FROZEN if self.proposed_at else PeriodState.FREEZING


@dataclass
class ClosedMonths:
    """How far months are frozen and published; there is one. Months follow each other, so both are the last such."""

    id: str
    first: str = ""
    frozen_through: str = ""
    published_through: str = ""
    seals: int = 0
    head: str = GENESIS


@dataclass(frozen=True)
class SealedStanding:
    """Where a unit stood in a month for good.

    `head` is the hash of the last row that counted, `rows` and `ledger_head` are the whole ledger's when it was
    frozen; a unit is ranked among all (`rank`) and in its group (`group_rank`).
    """

    unit: str
    group: str
    points_lost: Decimal
    score: Decimal
    entries: int
    head: str
    rows: int
    ledger_head: str
    rank: int = 0
    group_rank: int = 0

    @classmethod
    def of(cls, standing: Standing, group: str) -> SealedStanding:
        """The place of a standing that is frozen, not ranked yet."""
        return cls(
            unit=standing.unit,
            group=group,
            points_lost=standing.points_lost,
            score=standing.score,
            entries=standing.entries,
            head=standing.head,
            rows=standing.rows,
            ledger_head=standing.ledger_head,
        )


@dataclass(frozen=True)
class Seal:
    """The seal of a month; the identity is the month, `number` its place in the chain of seals, from 1.

    `standings`, `rules` and `scheme_text` are digests (see `digest`) of the places, of the rule book in `edition` and
    of the scheme in version `scheme`, each written out in lines. `key` is the public key that `signature` fits.
    """

    id: str
    number: int
    sealed_at: datetime
    units: int
    standings: str
    edition: int
    rules: str
    scheme: int | None
    scheme_text: str | None
    key: str
    previous: str
    hash: str = ""
    signature: str = ""
    places: tuple[SealedStanding, ...] = field(default=(), repr=False)

    def summary(self) -> dict[str, object]:
        """What the hash covers, besides the seal before."""
        fields = {name: getattr(self, name) for name in SUMMARY if name != "period"}
        return {"period": self.id, **fields}

    def hashed(self) -> Seal:
        """The seal with the hash that it should have."""
        return replace(self, hash=chain_hash(self.previous, self.summary()))

    def message(self) -> bytes:
        """What is signed: the hash stands for all that the seal says."""
        return f"{_SIGNED}\n{self.hash}".encode()


SUMMARY = (
    *("period", "number", "sealed_at", "units", "standings", "edition", "rules", "scheme", "scheme_text", "key"),
)


@dataclass(frozen=True)
class Text:
    """Something that seals refer to, written out in lines, as it was; the identity is its digest."""

    id: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, lines: Iterable[str]) -> Text:
        """The text of these lines."""
        whole = tuple(lines)
        return cls(digest(whole), whole)


@dataclass(frozen=True)
class SealedScheme:
    """The assessment scheme that a month was scored by: its version, and all its standards in their order.

    A standard is a mapping with `code` and `points` among what it says.
    """

    version: int
    standards: Sequence[Mapping[str, object]]

    def lines(self) -> Iterator[str]:
        """The scheme, written out."""
        for standard in self.standards:
            yield written("scheme", {**standard, "version": self.version})


def sealed_standings(places: Iterable[SealedStanding]) -> list[SealedStanding]:
    """The places with their ranks, by unit. Units without a group are ranked among all only (`group_rank` 0)."""
    by_unit = sorted(places, key=lambda place: place.unit)
    scores = {place.unit: place.score for place in by_unit}
    overall = {unit: rank for rank, unit in ranked(scores)}
    in_group = ranked_in_groups(scores, {place.unit: place.group for place in by_unit})
    return [
        replace(place, rank=overall[place.unit], group_rank=in_group[place.unit] if place.group else 0)
        for place in by_unit
    ]


def digest(lines: Iterable[str]) -> str:
    """One hash for lines in their order (a chain as in shared/audit.py over `{"line": …}`)."""
    return reduce(lambda previous, line: chain_hash(previous, {"line": line}), lines, GENESIS)


def written(kind: str, fields: Mapping[str, object]) -> str:
    """A line of a text or an archive: what it is, and its fields in their one spelling."""
    return canonical({"line": kind, **fields})


def standing_lines(period: str, places: Iterable[SealedStanding]) -> Iterator[str]:
    """The standings of a month, written out."""
    for place in places:
        yield written("standing", {"period": period, **asdict(place)})


def seal_line(seal: Seal) -> str:
    """The seal, written out; its places have lines of their own."""
    proof = {"previous": seal.previous, "hash": seal.hash, "signature": seal.signature}
    return written("seal", {**seal.summary(), **proof})
