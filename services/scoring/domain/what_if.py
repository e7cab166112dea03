"""What a month would have come to by other rules: the same facts, charged and posted twice, in memory.

Facts are the basis, so decisions that are facts (entries by hand, false replies, bonuses, measurements, negative
list) are priced by both books. Left out are rows taken back and what a frozen month pushed into the next: on both
sides every fact counts in the month in which it happened. What a unit comes to does not depend on the order of the
facts, but under a cap it does which of its facts cost something: they are taken by the time they happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from services.scoring.domain.facts import Fact
from services.scoring.domain.ledger import Ledger, Standing
from services.scoring.domain.rules import RuleBook
from shared.contracts.scoring import FactKind
from shared.months import month_of
from shared.ranking import ranked, ranked_in_groups

NOTHING = Decimal(0)


@dataclass
class Cost:
    """How often a rule applied, and what that came to."""

    times: int = 0
    points: Decimal = NOTHING


@dataclass
class Side:
    """A month by one book of rules."""

    book: RuleBook
    ledgers: dict[str, Ledger] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)

    def take(self, fact: Fact) -> dict[str, Decimal]:
        """Post what the fact costs; answers what each rule made of it."""
        points: dict[str, Decimal] = {}
        for charge in self.book.charges(fact):
            ledger = self.ledgers.setdefault(fact.unit, Ledger(fact.unit))
            standing = self.standings.setdefault(fact.unit, Standing.of(fact.unit, month_of(fact.happened_at)))
            entry = ledger.post(charge, standing, fact.told_at)
            standing.count(entry)
            cost = self.costs.setdefault(charge.rule, Cost())
            cost.times += 1
            cost.points += entry.points
            points[charge.rule] = entry.points
        return points

    def standing(self, unit: str) -> Standing:
        """Where a unit stands."""
        return self.standings.get(unit) or Standing.of(unit, "")


@dataclass(frozen=True)
class Rank:
    """A unit's score and its rank, among all and in its group."""

    score: Decimal
    points_lost: Decimal
    rank: int
    rank_in_group: int


@dataclass(frozen=True)
class Move:
    """Where a unit stands by the present rules and would stand by the others."""

    unit: str
    group: str
    before: Rank
    after: Rank


@dataclass(frozen=True)
class Difference:
    """A fact of which a rule makes something else."""

    fact: str
    kind: FactKind
    unit: str
    matter: str
    case: str
    category: str
    happened_at: datetime
    rule: str
    before: Decimal
    after: Decimal


@dataclass(frozen=True)
class RuleTotal:
    """What a rule came to before and would come to."""

    rule: str
    before: Cost
    after: Cost


@dataclass(frozen=True)
class Outcome:
    """Who moves where: all units, best first by the other rules; the first of the `differing` entries; all rules."""

    facts: int
    moves: list[Move]
    differing: int
    differences: list[Difference]
    rules: list[RuleTotal]


class WhatIf:
    """Facts of one month are taken one by one, in the order in which they happened; `outcome` tells what it came to.

    `groups` are the groups of the units that are ranked; `listed` is how many differences are kept.
    """

    def __init__(self, present: RuleBook, other: RuleBook, groups: Mapping[str, str], listed: int) -> None:
        self._before, self._after = Side(present), Side(other)
        self._groups = groups
        self._listed = listed
        self._facts = self._differing = 0
        self._differences: list[Difference] = []

    def take(self, facts: Iterable[Fact]) -> None:
        """More facts."""
        for fact in facts:
            self._facts += 1
            before, after = self._before.take(fact), self._after.take(fact)
            if before != after:
                self._compare(fact, before, after)

    def outcome(self) -> Outcome:
        """What all facts so far come to."""
        units = {*self._groups, *self._before.standings, *self._after.standings}
        before, after = (self._ranks(side, units) for side in (self._before, self._after))
        moves = [Move(unit, self._groups.get(unit, ""), before[unit], after[unit]) for unit in after]
        return Outcome(self._facts, moves, self._differing, self._differences, self._totals())

    def _compare(self, fact: Fact, before: Mapping[str, Decimal], after: Mapping[str, Decimal]) -> None:
        for rule in sorted({*before, *after}):
            one, other = before.get(rule, NOTHING), after.get(rule, NOTHING)
            if one == other:
                continue
            self._differing += 1
            if len(self._differences) < self._listed:
                about = (fact.id, fact.kind, fact.unit, fact.matter, fact.case, fact.category, fact.happened_at)
                self._differences.append(Difference(*about, rule, one, other))

    def _ranks(self, side: Side, units: Iterable[str]) -> dict[str, Rank]:
        """By unit, best first."""
        scores = {unit: side.standing(unit).score for unit in units}
        among = ranked_in_groups(scores, self._groups)
        return {
            unit: Rank(scores[unit], side.standing(unit).points_lost, rank, among[unit])
            for rank, unit in ranked(scores)
        }

    def _totals(self) -> list[RuleTotal]:
        """All rules that there are, so that one that never applies is seen, too."""
        before, after = self._before, self._after
        codes = sorted({rule.code for side in (before, after) for rule in side.book.rules})
        return [RuleTotal(code, before.costs.get(code, Cost()), after.costs.get(code, Cost())) for code in codes]
