"""Which unit a problem goes to: category × area × time → a lead unit and those that help (条块结合).

Whoever reads a case can see why it went where it went: every rule that was asked says so in words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import combinations

from services.reports.domain.areas import Areas
from services.reports.domain.catalogue import Category
from services.reports.domain.hours import Hours, When, closeness, collide, holds, in_words
from shared.district.names import Name
from shared.workdays import WorkCalendar

ANY = "*"


class Why(StrEnum):
    """The kind of rule that decided. In which order they are asked is written in `Router._rules`, and only there."""

    CATEGORY_AND_GRID = "category-and-grid"
    EXACT = "category-and-community"
    CATEGORY_AND_SUBDISTRICT = "category-and-subdistrict"
    CATEGORY = "category"
    GRID = "grid"
    COMMUNITY = "community"
    """属地: the unit of the community that the place lies in, or a rule for all that happens there."""
    SUBDISTRICT = "subdistrict"
    DISTRICT = "district"
    TRIAGE = "triage"
    """The office decides, because a rule says so."""
    NO_RULE = "no-rule"


@dataclass(frozen=True)
class Route:
    """One row of the office's table. `*` stands for any category or any area, unit None for "the office decides".

    `area` is the code of a grid (网格), a community or a subdistrict. `supporting` takes the place of the category's;
    None leaves those.
    """

    category: str
    area: str
    unit: str | None
    supporting: tuple[str, ...] | None = None
    when: When = Hours.ALWAYS


@dataclass(frozen=True)
class Routing:
    """The answer: the lead unit (None: the case waits in the office's queue), the kind of rule that gave it, who helps.

    `reasons` are the rules that were asked, in order; the last one decided.
    """

    unit: str | None
    why: Why
    supporting: tuple[str, ...] = ()
    reasons: tuple[Name, ...] = ()


def clashes(routes: Sequence[Route]) -> Iterator[tuple[int, int]]:
    """Places of rows that hold for the same category and area at the same time, none closer than the other."""
    alike: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, route in enumerate(routes):
        alike[route.category, route.area].append(place)
    for places in alike.values():
        pairs = combinations(places, 2)
        yield from ((one, other) for one, other in pairs if collide(routes[one].when, routes[other].when))


class Router:
    """The office's table, the areas' own units (属地), and the names that reasons are told in.

    `answerable` gives the unit of an area that has one, `names` those of all units and areas. A unit that has no
    name is none of the district, and no case goes to it. Raises ValueError for rows that clash.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        answerable: Mapping[str, str],
        names: Mapping[str, Name],
        calendar: WorkCalendar,
    ) -> None:
        for one, other in clashes(routes):
            raise ValueError(f"routes {one} and {other} hold for the same problems at the same time")
        self._rows: dict[tuple[str, str], list[Route]] = defaultdict(list)
        for route in sorted(routes, key=lambda route: closeness(route.when)):
            self._rows[route.category, route.area].append(route)
        self._answerable, self._names, self._calendar = answerable, names, calendar

    def route(self, category: Category, areas: Areas, at: datetime) -> Routing:
        """Where a problem that is reported at `at` (aware) goes.

        Raises CalendarEnds when a rule for working hours is asked about a year that the work calendar lacks.
        """
        reasons: list[Name] = []
        for rule in self._rules(category, areas):
            if not holds(rule.when, at, self._calendar):
                reasons.append(_reason(rule.subject, _NOT_NOW))
                continue
            reasons.append(_reason(rule.subject, self._verdict(rule)))
            if rule.triage:
                return Routing(None, Why.TRIAGE, (), tuple(reasons))
            if rule.unit in self._names:
                helpers = category.supporting if rule.supporting is None else rule.supporting
                supporting = tuple(unit for unit in helpers if unit != rule.unit and unit in self._names)
                return Routing(rule.unit, rule.why, supporting, tuple(reasons))
        return Routing(None, Why.NO_RULE, (), (*reasons, _NO_RULE))

    def _rules(self, category: Category, areas: Areas) -> Iterator[_Rule]:
        """The rules about a problem in the order in which they are asked: the precedence.

        What names the category comes before what does not, a smaller area before a larger one; among rows for the
        same area, windows of the week before working hours, and those before a row for all hours. The category's own
        unit follows the rows that name the category; the areas' own units are the last resort.
        """
        around = (areas.grid, areas.community, areas.subdistrict, ANY)
        for area, why in zip(around, _OF_CATEGORY, strict=True):
            yield from self._by_rows(category.code, category.name, area, why)
        yield _Rule(Why.CATEGORY, _quoted(category.name), category.unit, category.triage)
        for area, why in zip(around, _OF_AREA, strict=True):
            yield from self._by_rows(ANY, None, area, why)
        for area, why in ((areas.community, Why.COMMUNITY), (areas.subdistrict, Why.SUBDISTRICT)):
            if area in self._answerable:
                name = self._name(area)
                subject = Name(f"{name.zh}（属地）", f"{name.en or name.zh} (the area's own unit)")
                yield _Rule(why, subject, self._answerable[area])

    def _by_rows(self, category: str, name: Name | None, area: str, why: Why) -> Iterator[_Rule]:
        for row in self._rows.get((category, area), ()):
            what = _quoted(name) if name else _ANYTHING
            where, hours = _ANYWHERE if area == ANY else self._name(area), in_words(row.when)
            subject = Name(f"{what.zh}在{where.zh}{hours.zh}", f"{what.en} in {where.en or where.zh}{hours.en}")
            yield _Rule(why, subject, row.unit, row.unit is None, row.supporting, row.when)

    def _verdict(self, rule: _Rule) -> Name:
        if rule.triage:
            return Name("由创建办指定责任单位", "the campaign office decides")
        if rule.unit is None:
            return Name("未指定责任单位，由属地负责", "no unit of its own, so the area is asked")
        unit = self._name(rule.unit)
        if rule.unit not in self._names:
            return Name(f"{unit.zh}已不在责任单位之列", f"{unit.en} is not a unit any more")
        return Name(f"由{unit.zh}负责", f"{unit.en or unit.zh} answers for it")

    def _name(self, code: str) -> Name:
        return self._names.get(code) or Name(code, code)


@dataclass(frozen=True)
class _Rule:
    """What a row, a category or an area says of a problem; `subject` are the words for what the rule is about."""

    why: Why
    subject: Name
    unit: str | None
    triage: bool = False
    supporting: tuple[str, ...] | None = None
    when: When = Hours.ALWAYS


_OF_CATEGORY = (Why.CATEGORY_AND_GRID, Why.EXACT, Why.CATEGORY_AND_SUBDISTRICT, Why.CATEGORY)
_OF_AREA = (Why.GRID, Why.COMMUNITY, Why.SUBDISTRICT, Why.DISTRICT)
_ANYTHING = Name("各类问题", "Anything")
_ANYWHERE = Name("全区", "the whole district")
_NOT_NOW = Name("此时不适用", "does not hold at this time")
_NO_RULE = Name("没有适用的规则：由创建办指定责任单位", "No rule holds: the campaign office decides")


def _quoted(name: Name) -> Name:
    return Name(f"“{name.zh}”", f"“{name.en or name.zh}”")


def _reason(subject: Name, verdict: Name) -> Name:
    return Name(f"{subject.zh}：{verdict.zh}", f"{subject.en}: {verdict.en}")
