"""The forms of the district's files, and how they are read."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from services.reports.domain.areas import Community, GridCell, Subdistrict
from services.reports.domain.catalogue import TIMED, Category, Group, Name, Unit
from services.reports.domain.clocks import Terms
from services.reports.domain.hotline import Column, Sheet
from services.reports.domain.reporter import ReportingTerms
from services.reports.domain.routing import Route
from shared.errors import DomainError
from shared.files import MOST_DIFFERING
from shared.geo import Crs, Grid, Point
from shared.workdays import WorkCalendar


class DistrictUnusable(Exception):
    """The files cannot be used as they are; `problems` names each fault by file and row."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _as_written(kind: type) -> BeforeValidator:
    """Rows must not have misspelt fields, and amounts must be in quotes, or binary fractions would creep in."""

    def check(row: Any) -> Any:
        if isinstance(row, dict):
            if unknown := sorted(_misspelt(kind, row)):
                raise ValueError(f"unknown: {', '.join(unknown)}")
            if inexact := sorted(name for name, told in row.items() if isinstance(told, float)):
                raise ValueError(f'write in quotes, like "0.5": {", ".join(inexact)}')
        return row

    return BeforeValidator(check)


def _misspelt(kind: Any, row: Mapping[str, Any]) -> Iterator[str]:
    """Names that are no field of the kind, also in the rows within the row."""
    hints = get_type_hints(kind)
    for name, told in row.items():
        if name not in hints:
            yield name
        for inner in filter(is_dataclass, (hints.get(name), *_parts(hints.get(name)))):
            for part in told if isinstance(told, list) else [told]:
                if isinstance(part, dict):
                    yield from (f"{name}.{unknown}" for unknown in _misspelt(inner, part))


def _parts(hint: Any) -> Iterator[Any]:
    """What a type is put together from, all the way down: `Window` of `Hours | tuple[Window, ...]`."""
    for part in get_args(hint):
        yield part
        yield from _parts(part)


class _File(BaseModel):
    """What every file says of itself; notes and sources beside the data are for people."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: int
    effective_from: date


class _DistrictFile(_File):
    code: str
    name: Name
    subdistricts: list[Annotated[Subdistrict, _as_written(Subdistrict)]]
    communities: list[Annotated[Community, _as_written(Community)]]


class _UnitsFile(_File):
    groups: list[Annotated[Group, _as_written(Group)]]
    units: list[Annotated[Unit, _as_written(Unit)]]


class _CategoriesFile(_File):
    fallback: str
    groups: list[Annotated[Group, _as_written(Group)]]
    categories: list[Annotated[Category, _as_written(Category)]]


class _Cell(BaseModel):
    code: str
    name: str
    name_en: str
    community: str


class _CellFeature(BaseModel):
    properties: _Cell


class _GridsFile(_File):
    features: list[_CellFeature]


class _RoutingFile(_File):
    routes: list[Annotated[Route, _as_written(Route)]]


class _PhotosFile(_File):
    alike_bits: Annotated[int, Field(ge=0, le=MOST_DIFFERING)]


@dataclass(frozen=True)
class Grids:
    """The grids, and where they are drawn, by community; version 0 is a district without any."""

    version: int
    cells: Sequence[GridCell]
    drawn: Mapping[str, Grid]
    spots: Mapping[str, Sequence[Point]]
    """Some spots just inside each grid's corners."""


@dataclass(frozen=True)
class Files:
    """What the files say, each by itself sound in form."""

    district: _DistrictFile
    units: _UnitsFile
    categories: _CategoriesFile
    routing: _RoutingFile
    terms: Terms
    reporting: ReportingTerms
    hotline: Sheet
    photos: _PhotosFile
    calendar: WorkCalendar
    grids: Grids
    grid: Grid
    map: Mapping[str, Any]


_TERMS = TypeAdapter(Terms)
_TERMS_FIELDS = tuple(field.name for field in fields(Terms))
_REPORTING = TypeAdapter(ReportingTerms)
_SHEET = TypeAdapter(Sheet)
_SHEET_FIELDS = tuple(field.name for field in fields(Sheet))
FileT = TypeVar("FileT", bound=_File)
ReadT = TypeVar("ReadT")


def read_files(folder: Path) -> Files:
    """The files of a folder. Raises DistrictUnusable with every fault of form."""
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
    terms = read("terms.json", _terms)
    reporting = read("reporting.json", _reporting)
    hotline = read("hotline.json", _sheet)
    photos = read("photos.json", rows(_PhotosFile))
    calendar = read("calendar.json", WorkCalendar.from_file)
    grids = read("grids.geojson", _grids)
    areas = read("communities.geojson", _areas)
    if not (district and units and categories and routing and terms and reporting and hotline and photos):
        raise DistrictUnusable(problems)
    if not (calendar and grids and areas):
        raise DistrictUnusable(problems)
    return Files(district, units, categories, routing, terms, reporting, hotline, photos, calendar, grids, *areas)


def _terms(path: Path) -> Terms:
    """The terms as far as their form goes. Raises ValidationError, ValueError."""
    told = json.loads(path.read_bytes())
    terms = _TERMS.validate_python({name: told[name] for name in _TERMS_FIELDS if name in told})
    if not 0 < terms.due_soon < 1:
        raise ValueError("due_soon is a share between 0 and 1")
    if astray := {stage.value for stage in TIMED} ^ told["limits"].keys():
        raise ValueError(f"limits: missing or unknown: {', '.join(sorted(astray))}")
    return terms


def _sheet(path: Path) -> Sheet:
    """The hotline's table, every column of it headed. Raises ValidationError, ValueError."""
    told = json.loads(path.read_bytes())
    sheet = _SHEET.validate_python({name: told[name] for name in _SHEET_FIELDS})
    if unheaded := [column.value for column in Column if not sheet.columns.get(column)]:
        raise ValueError(f"columns lack {', '.join(unheaded)}")
    if sheet.crs not in frozenset(Crs):
        raise ValueError(f"crs must be one of {', '.join(Crs)}")
    return sheet


def _reporting(path: Path) -> ReportingTerms:
    """The rules for reporters. Raises ValidationError, ValueError, KeyError."""
    told = json.loads(path.read_bytes())
    terms = _REPORTING.validate_python({field.name: told[field.name] for field in fields(ReportingTerms)})
    for name in ("reports_per_day", "updates_per_day", "retention_days"):
        if getattr(terms, name) < 1:
            raise ValueError(f"{name} must be at least 1")
    return terms


def _areas(path: Path) -> tuple[Grid, dict[str, Any]]:
    collection = json.loads(path.read_bytes())
    return Grid.from_geojson(collection), collection


def _grids(path: Path) -> Grids:
    """The grids of the communities; a district need not have any. Raises what `_areas` raises, and ValidationError."""
    if not path.exists():
        return Grids(0, (), {}, {})
    _, collection = _areas(path)
    told = _GridsFile.model_validate(collection)
    cells = [feature.properties for feature in told.features]
    features: dict[str, list[Any]] = defaultdict(list)
    for cell, feature in zip(cells, collection["features"], strict=True):
        features[cell.community].append(feature)
    return Grids(
        told.version,
        [GridCell(cell.code, Name(cell.name, cell.name_en), cell.community) for cell in cells],
        {code: Grid.from_geojson({**collection, "features": its}) for code, its in features.items()},
        {each["properties"]["code"]: list(_inner_spots(each["geometry"])) for each in collection["features"]},
    )


def _inner_spots(geometry: Mapping[str, Any]) -> Iterator[Point]:
    """The corners of the outer rings, each moved a little towards the middle of its ring."""
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    for outer, *_ in polygons:
        ring = outer[:-1]
        x, y = (sum(spot[axis] for spot in ring) / len(ring) for axis in (0, 1))
        yield from (Point(spot[0] + (x - spot[0]) / 100, spot[1] + (y - spot[1]) / 100) for spot in ring)
