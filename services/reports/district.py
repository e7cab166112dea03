"""The district's own data: communities, units, categories, routing and working time, read from one folder.

The office edits these files (`deploy/sample/hengyang` shows the form), so faults are reported together, by file and
row, and nothing is used until all of it is sound.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from services.reports.domain.catalogue import Category, Group, Name, Unit
from services.reports.domain.routing import ANY, Route, Router
from shared.errors import DomainError
from shared.geo import Grid, Point
from shared.workdays import Limit, WorkCalendar

POINTS_LIMIT = 100
"""A unit's score starts at 100, so no single case can cost more."""


class DistrictUnusable(Exception):
    """The files cannot be used as they are; `problems` names each fault by file and row."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Community:
    """A community or village (社区、村) by its statistical code, and the unit that answers for it (属地)."""

    code: str
    name: Name
    unit: str


@dataclass(frozen=True)
class District:
    """Everything the office decides about the district. Immutable; load it once per process.

    `map` is the GeoJSON of the communities as the file gives it (WGS-84); `versions` are those of the files.
    """

    code: str
    name: Name
    communities: Mapping[str, Community]
    unit_groups: Mapping[str, Group]
    units: Mapping[str, Unit]
    category_groups: Mapping[str, Group]
    categories: Mapping[str, Category]
    router: Router
    calendar: WorkCalendar
    grid: Grid
    map: Mapping[str, Any]
    versions: Mapping[str, int]

    @classmethod
    def load(cls, folder: Path) -> District:
        """The district that the files of `folder` describe.

        Raises DistrictUnusable: first with every fault of form, then with every name that leads nowhere.
        """
        files = _read(folder)
        if problems := list(_loose_ends(files)):
            raise DistrictUnusable(problems)
        return cls(
            code=files.district.code,
            name=files.district.name,
            communities={community.code: community for community in files.district.communities},
            unit_groups={group.code: group for group in files.units.groups},
            units={unit.code: unit for unit in files.units.units},
            category_groups={group.code: group for group in files.categories.groups},
            categories={category.code: category for category in files.categories.categories},
            router=Router(_table(files)),
            calendar=files.calendar,
            grid=files.grid,
            map=files.map,
            versions={
                "district": files.district.version,
                "units": files.units.version,
                "categories": files.categories.version,
                "routing": files.routing.version,
            },
        )

    def community_at(self, point: Point) -> str | None:
        """The statistical code of the community the point lies in; None outside the district."""
        return self.grid.locate(point)


def _as_written(kind: type) -> BeforeValidator:
    """Rows must not have misspelt fields, and amounts must be in quotes, or binary fractions would creep in."""
    known = {field.name for field in fields(kind)}

    def check(row: Any) -> Any:
        if isinstance(row, dict):
            if unknown := sorted(row.keys() - known):
                raise ValueError(f"unknown: {', '.join(unknown)}")
            if inexact := sorted(name for name, told in row.items() if isinstance(told, float)):
                raise ValueError(f'write in quotes, like "0.5": {", ".join(inexact)}')
        return row

    return BeforeValidator(check)


class _File(BaseModel):
    """What every file says of itself; notes and sources beside the data are for people."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: int
    effective_from: date


class _Subdistrict(BaseModel):
    code: str
    name: Name
    unit: str


class _DistrictFile(_File):
    code: str
    name: Name
    subdistrict: _Subdistrict
    communities: list[Annotated[Community, _as_written(Community)]]


class _UnitsFile(_File):
    groups: list[Annotated[Group, _as_written(Group)]]
    units: list[Annotated[Unit, _as_written(Unit)]]


class _CategoriesFile(_File):
    groups: list[Annotated[Group, _as_written(Group)]]
    categories: list[Annotated[Category, _as_written(Category)]]


class _RoutingFile(_File):
    routes: list[Annotated[Route, _as_written(Route)]]


@dataclass(frozen=True)
class _Files:
    district: _DistrictFile
    units: _UnitsFile
    categories: _CategoriesFile
    routing: _RoutingFile
    calendar: WorkCalendar
    grid: Grid
    map: Mapping[str, Any]


FileT = TypeVar("FileT", bound=_File)
ReadT = TypeVar("ReadT")


def _read(folder: Path) -> _Files:
    problems: list[str] = []

    def read(name: str, reader: Callable[[Path], ReadT]) -> ReadT | None:
        try:
            return reader(folder / name)
        except ValidationError as error:
            problems.extend(f"{name}: {'.'.join(map(str, at['loc']))}: {at['msg']}" for at in error.errors())
        except (OSError, ValueError, KeyError, TypeError, DomainError) as error:
            problems.append(f"{name}: {error!r}")
        return None

    def rows(kind: type[FileT]) -> Callable[[Path], FileT]:
        return lambda path: kind.model_validate_json(path.read_bytes())

    district = read("district.json", rows(_DistrictFile))
    units = read("units.json", rows(_UnitsFile))
    categories = read("categories.json", rows(_CategoriesFile))
    routing = read("routing.json", rows(_RoutingFile))
    calendar = read("calendar.json", WorkCalendar.from_file)
    areas = read("communities.geojson", _areas)
    if not (district and units and categories and routing and calendar and areas):
        raise DistrictUnusable(problems)
    return _Files(district, units, categories, routing, calendar, *areas)


def _areas(path: Path) -> tuple[Grid, dict[str, Any]]:
    collection = json.loads(path.read_bytes())
    return Grid.from_geojson(collection), collection


def _loose_ends(files: _Files) -> Iterator[str]:
    """Faults between the rows: codes used twice, codes that name nothing, limits nobody can count."""
    communities = [community.code for community in files.district.communities]
    groups = [group.code for group in files.units.groups]
    units = [unit.code for unit in files.units.units]
    nodes = [group.code for group in files.categories.groups]
    categories = [category.code for category in files.categories.categories]
    for what, codes in (
        ("district.json: community", communities),
        ("units.json: group", groups),
        ("units.json: unit", units),
        ("categories.json: group", nodes),
        ("categories.json: category", categories),
        ("routing.json: route", [f"{route.category} × {route.community}" for route in files.routing.routes]),
    ):
        yield from (f"{what} {code} is listed twice" for code, times in Counter(codes).items() if times > 1)

    def unknown(where: str, code: str | None, known: Iterable[str]) -> Iterator[str]:
        if code is not None and code not in known:
            yield f"{where}: {code} is not known"

    yield from unknown("district.json: subdistrict: unit", files.district.subdistrict.unit, units)
    for community in files.district.communities:
        yield from unknown(f"district.json: {community.code}: unit", community.unit, units)
    for unit in files.units.units:
        yield from unknown(f"units.json: {unit.code}: group", unit.group, groups)
    for group in files.categories.groups:
        yield from unknown(f"categories.json: {group.code}: parent", group.parent, nodes)
    for category in files.categories.categories:
        where = f"categories.json: {category.code}"
        yield from unknown(f"{where}: group", category.group, nodes)
        yield from unknown(f"{where}: unit", category.unit, units)
        yield from _unfit(where, category)
    for number, route in enumerate(files.routing.routes):
        where = f"routing.json: routes.{number}"
        yield from unknown(f"{where}: category", route.category, [*categories, ANY])
        yield from unknown(f"{where}: community", route.community, [*communities, ANY])
        yield from unknown(f"{where}: unit", route.unit, units)
    drawn = {feature["properties"]["code"] for feature in files.map["features"]}
    for code in sorted(drawn.symmetric_difference(communities)):
        yield f"communities.geojson: {code} is not in both this file and district.json"


def _unfit(where: str, category: Category) -> Iterator[str]:
    try:
        Limit.parse(category.limit)
    except DomainError as error:
        yield f"{where}: limit: {error}"
    if not 0 <= category.points <= POINTS_LIMIT:
        yield f"{where}: points must lie between 0 and {POINTS_LIMIT}"
    if category.triage and category.unit is not None:
        yield f"{where}: names a unit and is also left to the office"


def _table(files: _Files) -> Iterator[Route]:
    """All rules as one table: the office's exceptions, the categories' units, the communities', the last resort.

    An exception for a whole category or community takes the place of the rule it contradicts.
    """
    exceptions = {(route.category, route.community): route for route in files.routing.routes}
    rules = [
        *(
            Route(category.code, ANY, category.unit)
            for category in files.categories.categories
            if category.unit is not None or category.triage
        ),
        *(Route(ANY, community.code, community.unit) for community in files.district.communities),
        Route(ANY, ANY, files.district.subdistrict.unit),
    ]
    yield from exceptions.values()
    yield from (rule for rule in rules if (rule.category, rule.community) not in exceptions)
