"""Rules of the office, as data: when a fact matches, so many points, by a table."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property

from services.scoring.domain.facts import Fact
from services.scoring.domain.writing import day_of
from shared.contracts.inspections import Severity
from shared.contracts.reports import Level, Stage
from shared.contracts.scoring import ChargeMade, FactKind
from shared.district.names import Name
from shared.errors import Invalid
from shared.writing import text_faults

MATCHED = ("category", "stage", "level", "severity", "item", "indicator", "standard", "times")
"""Fields of a fact that a rule may ask about, and that its table may go by."""
POINTS_LIMIT = 100
"""A unit's score starts at 100, so nothing can cost more."""
POINTS_DECIMALS = 4
VERSIONS_LIMIT = 500
"""The book is one document, read with each batch of facts: so many versions take some 20 ms."""
NAMELESS = Name("")
NAME_LIMIT = 200
SOURCE_LIMIT = 500
ALWAYS = "0001-01-01"


@dataclass(frozen=True)
class Table:
    """How many points: those of the row whose value the fact has in the field `by`, else `otherwise`.

    With `of_stake` the numbers are shares of what the source says is at stake, otherwise points.
    """

    otherwise: Decimal = Decimal(0)
    by: str | None = None
    rows: Mapping[str, Decimal] = field(default_factory=dict)
    of_stake: bool = False

    def points(self, fact: Fact) -> Decimal:
        """What the fact costs by this table."""
        value = self.otherwise if self.by is None else self.rows.get(_value(fact, self.by), self.otherwise)
        return value * fact.at_stake if self.of_stake else value


@dataclass(frozen=True)
class Rule:
    """A rule in one version: facts of the kind `when` that have one of the values in each field of `match`.

    In force from `effective_from` (`YYYY-MM-DD`, Asia/Shanghai) until a later version of the same code is; a version
    without points ends a rule. With a `cap`, all that the rule costs a unit in a month comes to no more than that;
    `earns` turns the points into a bonus.
    """

    code: str
    version: int
    effective_from: str
    when: FactKind
    table: Table
    match: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cap: Decimal | None = None
    earns: bool = False
    name: Name = NAMELESS
    source: str = ""

    def fits(self, fact: Fact) -> bool:
        """Whether the fact is one that the rule is about."""
        return self.when is fact.kind and all(_value(fact, name) in values for name, values in self.match.items())

    def charge(self, fact: Fact) -> ChargeMade | None:
        """What the fact costs by this rule; None when that is nothing.

        A charge is capped once: by the rule's cap where that is the smaller, otherwise together with all that is
        charged for the same standard, whatever rule it is by, by the points of the standard.
        """
        points = self.table.points(fact)
        if not points:
            return None
        bucket, cap = self._bucket(fact)
        return ChargeMade(
            unit=fact.unit,
            case=fact.case,
            category=fact.category,
            rule=self.code,
            rule_version=self.version,
            points=-points if self.earns else points,
            basis=fact.id,
            happened_at=fact.happened_at,
            kind=fact.kind,
            indicator=fact.indicator,
            standard=fact.standard,
            scheme=fact.scheme,
            visit=fact.visit,
            finding=fact.finding,
            bucket=bucket,
            cap=cap,
        )

    def _bucket(self, fact: Fact) -> tuple[str | None, Decimal | None]:
        worth = fact.standard_points
        if worth is not None and (self.cap is None or worth <= self.cap):
            return f"standard:{fact.standard}@{fact.scheme}", worth
        return (None, None) if self.cap is None else (f"rule:{self.code}", self.cap)


@dataclass(frozen=True)
class RuleBook:
    """All rules of the office, every version; `version` counts the office's editions of the book."""

    id: str
    version: int
    rules: Sequence[Rule]

    def in_force(self, happened_at: datetime) -> list[Rule]:
        """The newest version of each rule that was in force at that moment, by code."""
        return self.in_force_on(day_of(happened_at))

    def in_force_on(self, day: str) -> list[Rule]:
        """The newest version of each rule that is in force on a day (`YYYY-MM-DD`, Asia/Shanghai), by code."""
        held = self._held(day)
        return sorted((rule for rules in held.values() for rule in rules), key=lambda rule: rule.code)

    def charges(self, fact: Fact) -> list[ChargeMade]:
        """What a fact costs its unit by the rules in force when it happened; nothing while nobody is responsible."""
        if not fact.unit:
            return []
        asked = self._held(day_of(fact.happened_at)).get(fact.kind, ())
        made = (rule.charge(fact) for rule in asked if rule.fits(fact))
        return [charge for charge in made if charge is not None]

    def newest(self, code: str) -> int:
        """The highest version of a rule, in force or not yet; 0 of one that is not there."""
        return max((rule.version for rule in self.rules if rule.code == code), default=0)

    def edited(self, wanted: Iterable[Rule], today: str) -> RuleBook:
        """The next edition: one more version of each of the rules, numbered on from those that are there.

        They take effect tomorrow or later: what happened today has cost what it costs, and anybody must be able to
        recompute that. Raises Invalid: the first of `faults`, rule-retroactive, rule-day-twice, rule-book-full.
        """
        further: list[Rule] = []
        for rule in wanted:
            number = self.newest(rule.code) + sum(each.code == rule.code for each in further) + 1
            further.append(replace(rule, version=number))
        checked(further)
        _require_days_to_come(further, today)
        if len(self.rules) + len(further) > VERSIONS_LIMIT:
            raise Invalid("rule-book-full", field="rules", limit=VERSIONS_LIMIT)
        return RuleBook(self.id, self.version + 1, [*self.rules, *further])

    def as_if(self, wanted: Iterable[Rule]) -> RuleBook:
        """The book as it would be had these rules, in the place of all versions of theirs, always been in force."""
        last = {rule.code: rule for rule in sorted(wanted, key=_age)}
        others = [rule for rule in self.rules if rule.code not in last]
        return RuleBook(
            self.id, self.version, [*others, *(replace(each, effective_from=ALWAYS) for each in last.values())]
        )

    def _held(self, day: str) -> Mapping[FactKind, Sequence[Rule]]:
        """What is in force on a day, by kind; sorted once for all days between two changes."""
        turn = bisect_right(self._turns, day)
        if turn not in self._sorted:
            newest = {rule.code: rule for rule in sorted(self.rules, key=_age) if rule.effective_from <= day}
            kinds: dict[FactKind, list[Rule]] = {}
            for code in sorted(newest):
                kinds.setdefault(newest[code].when, []).append(newest[code])
            self._sorted[turn] = kinds
        return self._sorted[turn]

    @cached_property
    def _turns(self) -> list[str]:
        return sorted({rule.effective_from for rule in self.rules})

    @cached_property
    def _sorted(self) -> dict[int, Mapping[FactKind, Sequence[Rule]]]:
        return {}


def _age(rule: Rule) -> tuple[str, int]:
    return rule.effective_from, rule.version


def _require_days_to_come(rules: Sequence[Rule], today: str) -> None:
    days: set[tuple[str, str]] = set()
    for place, rule in enumerate(rules):
        where = f"rules.{place}.effective_from"
        if rule.effective_from <= today:
            first = date.fromisoformat(today) + timedelta(days=1)
            raise Invalid("rule-retroactive", field=where, given=rule.effective_from, first=first.isoformat())
        if (rule.code, rule.effective_from) in days:
            raise Invalid("rule-day-twice", field=where, rule=rule.code, given=rule.effective_from)
        days.add((rule.code, rule.effective_from))


def checked(rules: Iterable[Rule]) -> list[Rule]:
    """The rules, when they make sense: a slip in a code would silently cost nothing. Raises the first of `faults`."""
    ordered = list(rules)
    for fault in faults(ordered):
        raise fault
    return ordered


def faults(rules: Iterable[Rule]) -> Iterator[Invalid]:
    """Everything that is wrong with an edition of the rules."""
    seen: set[tuple[str, int]] = set()
    for place, rule in enumerate(rules):
        if (rule.code, rule.version) in seen:
            yield Invalid("rule-twice", field=f"rules.{place}.version", rule=rule.code, version=rule.version)
        seen.add((rule.code, rule.version))
        yield from _faults(rule, f"rules.{place}")


def _faults(rule: Rule, where: str) -> Iterator[Invalid]:
    if not _is_day(rule.effective_from):
        yield Invalid("rule-day-unreadable", field=f"{where}.effective_from", given=rule.effective_from)
    if rule.when is FactKind.OTHER:
        yield Invalid("rule-kind-unknown", field=f"{where}.when", known=", ".join(_KINDS))
    yield from text_faults(f"{where}.name.zh", rule.name.zh, NAME_LIMIT)
    yield from text_faults(f"{where}.name.en", rule.name.en, NAME_LIMIT)
    yield from text_faults(f"{where}.source", rule.source, SOURCE_LIMIT)
    yield from _match_faults(rule, where)
    if rule.table.by is None and rule.table.rows:
        yield Invalid("rule-rows-without-field", field=f"{where}.table.by")
    for points in (rule.table.otherwise, *rule.table.rows.values(), *(() if rule.cap is None else (rule.cap,))):
        if not _is_fit(points):
            yield Invalid("rule-points-unfit", field=f"{where}.table", given=points, limit=POINTS_LIMIT)


def _match_faults(rule: Rule, where: str) -> Iterator[Invalid]:
    """What is asked of a fact that no fact has."""
    by = rule.table.by
    for name in (*rule.match, *([by] if by else [])):
        if name not in MATCHED:
            yield Invalid("rule-field-unknown", field=f"{where}.match.{name}", given=name, known=", ".join(MATCHED))
    for name, values in rule.match.items():
        if not values:
            yield Invalid("rule-match-empty", field=f"{where}.match.{name}")
    for name, known in _KNOWN.items():
        for value in _asked(rule, name):
            if value not in known:
                yield Invalid(
                    "rule-value-unknown", field=f"{where}.{name}", given=value, known=", ".join(sorted(known))
                )
    for value in _asked(rule, "times"):
        if not _TIMES.fullmatch(value):
            yield Invalid("rule-times-unfit", field=f"{where}.times", given=value)


def _asked(rule: Rule, name: str) -> tuple[str, ...]:
    """The values that a rule and its table know of a field."""
    return (*rule.match.get(name, ()), *(rule.table.rows if rule.table.by == name else ()))


def _is_fit(points: Decimal) -> bool:
    if not (points.is_finite() and 0 <= points <= POINTS_LIMIT):
        return False
    return points == round(points, POINTS_DECIMALS)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


_TIMES = re.compile(r"[1-9][0-9]{0,3}")
_KINDS = tuple(kind.value for kind in FactKind if kind is not FactKind.OTHER)
_KNOWN: Mapping[str, frozenset[str]] = {
    "stage": frozenset(stage.value for stage in Stage if stage is not Stage.OTHER),
    "level": frozenset(level.value for level in Level if level is not Level.OTHER),
    "severity": frozenset(severity.value for severity in Severity if severity is not Severity.OTHER),
}


def _value(fact: Fact, name: str) -> str:
    value = getattr(fact, name)
    return "" if value is None else str(value)
