"""Standings of quarters, years and a cycle: made of months, or of the parts of an assessment. Decimals throughout.

How they are made is the district's data (`standings.json`). What is rounded is rounded half up, and so says each
function; ranks are those of the rounded scores, as they are shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from services.scoring.domain.ledger import FULL_SCORE
from shared.district.names import Name
from shared.months import month_of, next_month
from shared.ranking import ranked, ranked_in_groups

MONTHS = "months"
"""The scheme by which a longer period is made of its months."""
NEGATIVE = "negative-list"
"""The part of a composite that is taken off: points of the negative list."""
PERIOD = r"^((19|20|21)\d\d(-(0[1-9]|1[0-2]|Q[1-4]))?|cycle)$"
"""What may be asked for."""
_SPAN = re.compile(r"\d{4}(-(0[1-9]|1[0-2]|Q[1-4]))?")

_MOST = Decimal(100)


@dataclass(frozen=True)
class Span:
    """A period by its name: `2026-11`, `2026-Q4` or `2026`; `first` and `last` are its first and last month."""

    name: str
    kind: Literal["month", "quarter", "year"]
    first: str
    last: str

    @classmethod
    def of(cls, name: str) -> Span:
        """The period of this name. Raises ValueError for what is none (`cycle` among them)."""
        if not _SPAN.fullmatch(name):
            raise ValueError(f"no period: {name}")
        year, _, part = name.partition("-")
        if not part:
            return cls(name, "year", f"{year}-01", f"{year}-12")
        if part.startswith("Q"):
            last = 3 * int(part[1])
            return cls(name, "quarter", f"{year}-{last - 2:02}", f"{year}-{last:02}")
        return cls(name, "month", name, name)

    @property
    def months(self) -> list[str]:
        """Its months in order."""
        months = [self.first]
        while months[-1] < self.last:
            months.append(next_month(months[-1]))
        return months

    @property
    def before(self) -> Span:
        """The period of the same kind before it."""
        year = int(self.name[:4])
        if self.kind == "year":
            return Span.of(f"{year - 1:04}")
        number, most = (int(self.name[-1]), 4) if self.kind == "quarter" else (int(self.name[-2:]), 12)
        year, number = (year, number - 1) if number > 1 else (year - 1, most)
        return Span.of(f"{year:04}-Q{number}" if self.kind == "quarter" else f"{year:04}-{number:02}")


@dataclass(frozen=True)
class Part:
    """A part of an assessment and what it is worth in full."""

    code: str
    name: Name
    points: Decimal


@dataclass(frozen=True)
class Composite:
    """An assessment made of parts: the score is what each part is worth times its rate, less the negative list.

    It is made once a `per`. Below `least` the unit may not apply for the title.
    """

    code: str
    name: Name
    per: Literal["year", "quarter"]
    parts: tuple[Part, ...]
    least: Decimal | None = None
    source: str = ""

    def part(self, code: str) -> Part | None:
        """The part of this code."""
        return next((part for part in self.parts if part.code == code), None)


@dataclass(frozen=True)
class Cycle:
    """How the score of a cycle comes from its years: `weights`, one a year, from `first_year` on and so again."""

    first_year: int
    weights: tuple[Decimal, ...]
    source: str = ""

    def years(self, year: int) -> list[int]:
        """The years of the cycle that a year is in."""
        length = len(self.weights)
        first = year - (year - self.first_year) % length
        return list(range(first, first + length))


@dataclass(frozen=True)
class Formula:
    """How standings are made, in one version. Weights of months need not come to 1: the mean is weighted by them.

    `places` are the decimal places of scores. Raises ValueError when it cannot be reckoned with.
    """

    version: int
    places: int
    quarter: tuple[Decimal, ...]
    year: tuple[Decimal, ...]
    composites: tuple[Composite, ...]
    cycle: Cycle
    source: str = ""

    def __post_init__(self) -> None:
        if (len(self.quarter), len(self.year)) != (3, 12):
            raise ValueError("a quarter has 3 weights of months, a year 12")
        if not 0 <= self.places <= 6:
            raise ValueError("scores have 0 to 6 decimal places")
        for weights in (self.quarter, self.year, self.cycle.weights):
            if not weights or not all(weight.is_finite() and weight > 0 for weight in weights):
                raise ValueError("weights are above 0")
        for composite in self.composites:
            if sum((part.points for part in composite.parts), Decimal(0)) != _MOST:
                raise ValueError(f"the parts of {composite.code} do not come to 100")
        if len({composite.code for composite in self.composites} | {MONTHS}) != len(self.composites) + 1:
            raise ValueError("two composites have the same code")

    def composite(self, code: str) -> Composite | None:
        """The composite of this code."""
        return next((composite for composite in self.composites if composite.code == code), None)

    def rounded(self, value: Decimal) -> Decimal:
        """To the places of scores; a half goes up (ROUND_HALF_UP)."""
        return value.quantize(Decimal(1).scaleb(-self.places), ROUND_HALF_UP)

    def of_months(self, span: Span, scores: Mapping[str, Decimal]) -> Decimal:
        """The score of a period from those of its months that count, as a weighted mean, rounded once.

        A month is its own score, not rounded; a period none of whose months counts yet has 100.
        """
        if span.kind == "month":
            return scores.get(span.name, FULL_SCORE)
        weights = dict(zip(span.months, self.quarter if span.kind == "quarter" else self.year, strict=True))
        known = [month for month in weights if month in scores]
        if not known:
            return FULL_SCORE
        total = sum((weights[month] * scores[month] for month in known), Decimal(0))
        return self.rounded(total / sum((weights[month] for month in known), Decimal(0)))

    def of_parts(
        self, composite: Composite, rates: Mapping[str, Decimal], negative: Decimal = Decimal(0)
    ) -> Decimal | None:
        """Each part's points times its rate (0 to 1), rounded part by part, less the points of the negative list.

        Never below 0. None as long as a part is missing.
        """
        if any(part.code not in rates for part in composite.parts):
            return None
        got = sum((self.rounded(part.points * rates[part.code]) for part in composite.parts), Decimal(0))
        return max(Decimal(0), got - negative)

    def of_years(self, scores: Mapping[int, Decimal], years: Sequence[int]) -> Decimal | None:
        """The score of a cycle: the weighted sum of its years, rounded once; of an unfinished one, of those there are.

        The weights of the years that are there then count as the whole. None without any year.
        """
        known = [
            (weight, scores[year]) for weight, year in zip(self.cycle.weights, years, strict=True) if year in scores
        ]
        if not known:
            return None
        total = sum((weight * score for weight, score in known), Decimal(0))
        return self.rounded(total / sum((weight for weight, _ in known), Decimal(0)))

    def mean(self, scores: Iterable[Decimal]) -> Decimal:
        """The plain mean, rounded; of nothing 0."""
        known = list(scores)
        return self.rounded(sum(known, Decimal(0)) / len(known)) if known else Decimal(0)


@dataclass(frozen=True)
class Rank:
    """Where a unit stands among all (`rank`) and in its group, and where it stood in the period before.

    `trend` is by how many ranks it went up (below 0: down). Both are None where there was no period before.
    """

    unit: str
    rank: int
    group_rank: int
    rank_before: int | None = None
    trend: int | None = None


def ranks(
    scores: Mapping[str, Decimal], groups: Mapping[str, str], before: Mapping[str, Decimal] | None = None
) -> list[Rank]:
    """All units by rank, best first; equal scores share a rank. A unit without a group has the rank 0 in it."""
    in_group = ranked_in_groups(scores, groups)
    earlier = {unit: rank for rank, unit in ranked(before)} if before else {}
    return [
        Rank(
            unit,
            rank,
            in_group[unit] if groups.get(unit) else 0,
            earlier.get(unit),
            earlier[unit] - rank if unit in earlier else None,
        )
        for rank, unit in ranked(scores)
    ]


def counting(span: Span, first: str | None, now: datetime) -> list[str]:
    """The months of the period that count: from the first in which the district kept score until the present one."""
    present = month_of(now)
    return [month for month in span.months if first is not None and first <= month <= present]
