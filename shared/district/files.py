"""The forms of the files that every service reads: areas, units and working time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from shared.district.names import Coded, Community, GridCell, Group, Name, Named, Subdistrict, Unit
from shared.district.reading import as_written, made_by
from shared.geo import Grid, Point
from shared.workdays import WorkCalendar


class File(BaseModel):
    """What every file says of itself; notes and sources beside the data are for people."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: int


class DatedFile(File):
    """A file that says from when on it holds."""

    effective_from: date


class DistrictFile(DatedFile):
    """`district.json`: the district and its areas."""

    code: str
    name: Name
    subdistricts: list[Annotated[Subdistrict, as_written(Subdistrict)]]
    communities: list[Annotated[Community, as_written(Community)]]

    @property
    def areas(self) -> dict[str, Name]:
        """Names by code: the district, its subdistricts, its communities."""
        lesser: list[Subdistrict | Community] = [*self.subdistricts, *self.communities]
        return {self.code: self.name} | {area.code: area.name for area in lesser}


class UnitsFile(DatedFile):
    """`units.json`: the units, and the groups they are ranked in."""

    groups: list[Annotated[Group, as_written(Group)]]
    units: list[Annotated[Unit, as_written(Unit)]]


class CategoryNamesFile(DatedFile):
    """`categories.json` for whoever needs only what the categories are called."""

    categories: list[Named]


class VenueTypesFile(File):
    """`venue-types.json`: the types of venues (点位类型)."""

    venue_types: list[Annotated[Named, as_written(Named)]]


@dataclass(frozen=True)
class Outline:
    """`communities.geojson`: where the communities lie; `drawing` is the file itself (GeoJSON, WGS-84)."""

    grid: Grid
    drawing: Mapping[str, Any]

    @classmethod
    def of(cls, drawing: Mapping[str, Any]) -> Outline:
        """Raises what `Grid.from_geojson` raises."""
        return cls(Grid.from_geojson(drawing), drawing)


@dataclass(frozen=True)
class Grids:
    """`grids.geojson`: the grids, and where they are drawn, by community; version 0 is a district without any."""

    version: int
    cells: Sequence[GridCell]
    drawn: Mapping[str, Grid]
    spots: Mapping[str, Sequence[Point]]
    """Some spots just inside each grid's corners."""

    @classmethod
    def of(cls, drawing: Mapping[str, Any]) -> Grids:
        """Raises what `Grid.from_geojson` raises, and ValidationError."""
        Grid.from_geojson(drawing)
        file = _GridsFile.model_validate(drawing)
        cells = [feature.properties for feature in file.features]
        features: dict[str, list[Any]] = defaultdict(list)
        for cell, feature in zip(cells, drawing["features"], strict=True):
            features[cell.community].append(feature)
        return cls(
            file.version,
            [GridCell(cell.code, Name(cell.name, cell.name_en), cell.community) for cell in cells],
            {code: Grid.from_geojson({**drawing, "features": its}) for code, its in features.items()},
            {each["properties"]["code"]: list(_inner_spots(each["geometry"])) for each in drawing["features"]},
        )


class _Cell(BaseModel):
    code: str
    name: str
    name_en: str
    community: str


class _CellFeature(BaseModel):
    properties: _Cell


class _GridsFile(DatedFile):
    features: list[_CellFeature]


class DistrictFiles(BaseModel):
    """The files that every service reads with one rigour. A service adds fields for its own, aliased by file name."""

    model_config = ConfigDict(frozen=True)

    district: DistrictFile = Field(alias="district.json")
    units: UnitsFile = Field(alias="units.json")
    calendar: Annotated[WorkCalendar, made_by(WorkCalendar.from_json)] = Field(alias="calendar.json")
    outline: Annotated[Outline, made_by(Outline.of)] = Field(alias="communities.geojson")
    grids: Annotated[Grids, made_by(Grids.of)] = Field(alias="grids.geojson", default=Grids(0, (), {}, {}))

    def loose_ends(self) -> Iterator[str]:
        """Faults between the rows: codes used twice, codes that name nothing, areas that are not drawn."""
        district, units = self.district, self.units
        areas: list[Coded] = [*district.subdistricts, *district.communities, *self.grids.cells]
        yield from repeated("district.json, grids.geojson: area", areas)
        yield from repeated("units.json: group", units.groups)
        yield from repeated("units.json: unit", units.units)
        yield from self._loose_areas([unit.code for unit in units.units])
        groups = [group.code for group in units.groups]
        for unit in units.units:
            yield from unknown(f"units.json: {unit.code}: group", unit.group, groups)

    def _loose_areas(self, units: Sequence[str]) -> Iterator[str]:
        district = self.district
        answerable: list[Subdistrict | Community] = [*district.subdistricts, *district.communities]
        for area in answerable:
            yield from unknown(f"district.json: {area.code}: unit", area.unit, units)
        communities = [community.code for community in district.communities]
        for code in communities:
            if not any(code.startswith(subdistrict.code) for subdistrict in district.subdistricts):
                yield f"district.json: {code}: is not of any subdistrict, whose code it would begin with"
        yield from self._badly_drawn(communities)

    def _badly_drawn(self, communities: Sequence[str]) -> Iterator[str]:
        drawn = {feature["properties"]["code"] for feature in self.outline.drawing["features"]}
        for code in sorted(drawn.symmetric_difference(communities)):
            yield f"communities.geojson: {code} is not in both this file and district.json"
        for code in sorted(drawn):
            try:
                self.outline.grid.middle(code)
            except KeyError:
                yield f"communities.geojson: {code} has no middle that lies in it"
        for cell in self.grids.cells:
            yield from unknown(f"grids.geojson: {cell.code}: community", cell.community, communities)
            if cell.community not in {self.outline.grid.locate(spot) for spot in self.grids.spots[cell.code]}:
                yield f"grids.geojson: {cell.code}: lies outside of its community {cell.community}"


def repeated(what: str, rows: Iterable[Coded]) -> Iterator[str]:
    """A fault for each code that stands in more than one row."""
    counted = Counter(row.code for row in rows)
    return (f"{what} {code} is listed twice" for code, times in counted.items() if times > 1)


def unknown(where: str, code: str | None, known: Iterable[str]) -> Iterator[str]:
    """A fault, if the code is none of those known; None names nothing and is right."""
    if code is not None and code not in known:
        yield f"{where}: {code} is not known"


def _inner_spots(geometry: Mapping[str, Any]) -> Iterator[Point]:
    """The corners of the outer rings, each moved a little towards the middle of its ring."""
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    for outer, *_ in polygons:
        ring = outer[:-1]
        x, y = (sum(spot[axis] for spot in ring) / len(ring) for axis in (0, 1))
        yield from (Point(spot[0] + (x - spot[0]) / 100, spot[1] + (y - spot[1]) / 100) for spot in ring)
