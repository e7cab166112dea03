"""Faults between the rows of the files that are reports' own: codes that name nothing, rules that clash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from services.reports.domain.catalogue import Category, faults, supporting_faults
from services.reports.domain.clocks import Terms
from services.reports.domain.routing import ANY, Route, clashes
from shared.clock import CHINA
from shared.district import Group, repeated, unknown
from shared.errors import DomainError
from shared.workdays import CalendarEnds, Limit, WorkCalendar


def unsound_categories(categories: Sequence[Category], groups: Sequence[Group], units: Sequence[str]) -> Iterator[str]:
    """What is wrong with the tree of groups and the categories in it."""
    yield from repeated("categories.json: group", groups)
    yield from repeated("categories.json: category", categories)
    nodes = {group.code: group.parent for group in groups}
    for code, parent in nodes.items():
        yield from unknown(f"categories.json: {code}: parent", parent, nodes)
        if _circles(code, nodes):
            yield f"categories.json: {code}: parent: leads back to itself"
    for category in categories:
        where = f"categories.json: {category.code}"
        yield from (f"{where}: {fault.field}: {fault}" for fault in faults(category, nodes, units))


def loose_routes(
    routes: Sequence[Route], categories: Sequence[str], areas: Sequence[str], units: Sequence[str]
) -> Iterator[str]:
    """Rules of routing that name nothing, or clash."""
    for number, route in enumerate(routes):
        where = f"routing.json: routes.{number}"
        yield from unknown(f"{where}: category", route.category, [*categories, ANY])
        yield from unknown(f"{where}: area", route.area, [*areas, ANY])
        yield from unknown(f"{where}: unit", route.unit, units)
        for fault in supporting_faults(route.unit, route.supporting or (), units):
            yield f"{where}: {fault.field}: {fault}"
        if route.unit is None and route.supporting:
            yield f"{where}: supporting: nobody leads whom they could help"
        if route.when == ():
            yield f"{where}: when: has no window"
    for one, other in clashes(routes):
        yield f"routing.json: routes.{other}: holds for the same problems at the same time as routes.{one}"


def unfit_terms(terms: Terms, calendar: WorkCalendar) -> Iterator[str]:
    """Limits that nobody can count, or that come in the wrong order."""
    limits = {name: getattr(terms, name) for name in ("orange", "red", "return_within", "reopen_within")}
    limits |= {f"limits.{stage}": limit for stage, limit in terms.limits.items()}
    unreadable = [fault for name, limit in limits.items() for fault in _unreadable(f"terms.json: {name}", limit)]
    yield from unreadable or _unfit_levels(terms, calendar)


def _unfit_levels(terms: Terms, calendar: WorkCalendar) -> Iterator[str]:
    """Orange comes before red: counted from the start of the last year that the calendar knows."""
    start = datetime(calendar.last_known_year, 1, 1, tzinfo=CHINA)
    try:
        orange, red = (calendar.add(start, Limit.parse(limit)) for limit in (terms.orange, terms.red))
    except CalendarEnds as error:
        yield f"terms.json: orange, red: {error}"
    else:
        if red <= orange:
            yield "terms.json: red: must come later than orange"


def _unreadable(where: str, limit: str) -> Iterator[str]:
    try:
        Limit.parse(limit)
    except DomainError as error:
        yield f"{where}: {error}"


def _circles(code: str, parents: Mapping[str, str | None]) -> bool:
    above, steps = parents.get(code), 0
    while above is not None and above != code and steps < len(parents):
        above, steps = parents.get(above), steps + 1
    return above == code
