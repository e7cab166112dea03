"""Faults between the rows of the district's files: codes used twice, codes that name nothing, rules that clash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from services.reports.district.files import Files
from services.reports.domain.areas import Community, GridCell, Subdistrict
from services.reports.domain.catalogue import Category, Group, Unit, faults, supporting_faults
from services.reports.domain.clocks import Terms
from services.reports.domain.routing import ANY, clashes
from shared.clock import CHINA
from shared.errors import DomainError
from shared.workdays import CalendarEnds, Limit, WorkCalendar

Coded = Subdistrict | Community | GridCell | Group | Unit | Category


def loose_ends(files: Files) -> Iterator[str]:
    """Faults between the rows: codes used twice, codes that name nothing, limits nobody can count."""
    units = [unit.code for unit in files.units.units]
    yield from _repeated(files)
    yield from _loose_areas(files, units)
    groups = [group.code for group in files.units.groups]
    for unit in files.units.units:
        yield from _unknown(f"units.json: {unit.code}: group", unit.group, groups)
    nodes = {group.code: group.parent for group in files.categories.groups}
    for code, parent in nodes.items():
        yield from _unknown(f"categories.json: {code}: parent", parent, nodes)
        if _circles(code, nodes):
            yield f"categories.json: {code}: parent: leads back to itself"
    for category in files.categories.categories:
        where = f"categories.json: {category.code}"
        yield from (f"{where}: {fault.field}: {fault}" for fault in faults(category, nodes, units))
    codes = [category.code for category in files.categories.categories]
    yield from _unknown("categories.json: fallback", files.categories.fallback, codes)
    for named in (files.hotline.otherwise, *files.hotline.categories.values()):
        yield from _unknown("hotline.json: category", named, codes)
    yield from _loose_routes(files, units)
    yield from _unfit_terms(files.terms, files.calendar)


def _repeated(files: Files) -> Iterator[str]:
    district = files.district
    listed: dict[str, Sequence[Coded]] = {
        "district.json, grids.geojson: area": [*district.subdistricts, *district.communities, *files.grids.cells],
        "units.json: group": files.units.groups,
        "units.json: unit": files.units.units,
        "categories.json: group": files.categories.groups,
        "categories.json: category": files.categories.categories,
    }
    for what, rows in listed.items():
        counted = Counter(row.code for row in rows)
        yield from (f"{what} {code} is listed twice" for code, times in counted.items() if times > 1)


def _loose_areas(files: Files, units: Sequence[str]) -> Iterator[str]:
    district = files.district
    answerable: list[Subdistrict | Community] = [*district.subdistricts, *district.communities]
    for area in answerable:
        yield from _unknown(f"district.json: {area.code}: unit", area.unit, units)
    communities = [community.code for community in district.communities]
    for code in communities:
        if not any(code.startswith(subdistrict.code) for subdistrict in district.subdistricts):
            yield f"district.json: {code}: is not of any subdistrict, whose code it would begin with"
    drawn = {feature["properties"]["code"] for feature in files.map["features"]}
    for code in sorted(drawn.symmetric_difference(communities)):
        yield f"communities.geojson: {code} is not in both this file and district.json"
    for code in sorted(drawn):
        try:
            files.grid.middle(code)
        except KeyError:
            yield f"communities.geojson: {code} has no middle that lies in it"
    for cell in files.grids.cells:
        yield from _unknown(f"grids.geojson: {cell.code}: community", cell.community, communities)
        if cell.community not in {files.grid.locate(spot) for spot in files.grids.spots[cell.code]}:
            yield f"grids.geojson: {cell.code}: lies outside of its community {cell.community}"


def _loose_routes(files: Files, units: Sequence[str]) -> Iterator[str]:
    routes, district = files.routing.routes, files.district
    categories = [category.code for category in files.categories.categories]
    areas = [*(area.code for area in district.subdistricts), *(area.code for area in district.communities)]
    areas += [cell.code for cell in files.grids.cells]
    for number, route in enumerate(routes):
        where = f"routing.json: routes.{number}"
        yield from _unknown(f"{where}: category", route.category, [*categories, ANY])
        yield from _unknown(f"{where}: area", route.area, [*areas, ANY])
        yield from _unknown(f"{where}: unit", route.unit, units)
        for fault in supporting_faults(route.unit, route.supporting or (), units):
            yield f"{where}: {fault.field}: {fault}"
        if route.unit is None and route.supporting:
            yield f"{where}: supporting: nobody leads whom they could help"
        if route.when == ():
            yield f"{where}: when: has no window"
    for one, other in clashes(routes):
        yield f"routing.json: routes.{other}: holds for the same problems at the same time as routes.{one}"


def _unfit_terms(terms: Terms, calendar: WorkCalendar) -> Iterator[str]:
    limits = {name: getattr(terms, name) for name in ("orange", "red", "return_within", "reopen_within")}
    limits |= {f"limits.{stage}": limit for stage, limit in terms.limits.items()}
    faults = [fault for name, limit in limits.items() for fault in _unreadable(f"terms.json: {name}", limit)]
    yield from faults or _unfit_ladder(terms, calendar)


def _unfit_ladder(terms: Terms, calendar: WorkCalendar) -> Iterator[str]:
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


def _unknown(where: str, code: str | None, known: Iterable[str]) -> Iterator[str]:
    if code is not None and code not in known:
        yield f"{where}: {code} is not known"


def _circles(code: str, parents: Mapping[str, str | None]) -> bool:
    above, steps = parents.get(code), 0
    while above is not None and above != code and steps < len(parents):
        above, steps = parents.get(above), steps + 1
    return above == code
