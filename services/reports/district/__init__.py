"""The district's own data: areas, units, categories, routing and working time, read from one folder.

The office edits these files (`deploy/sample/hengyang` shows the form), so faults are reported together, by file and
row, and nothing is used until all of it is sound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.reports.district.files import Files
from services.reports.domain.areas import Areas
from services.reports.domain.catalogue import Category
from services.reports.domain.clocks import Timetable
from services.reports.domain.hotline import Sheet
from services.reports.domain.reporter import ReportingTerms
from services.reports.domain.routing import Router
from shared.district import (
    Community,
    DistrictUnusable,
    GridCell,
    Group,
    Name,
    Subdistrict,
    Unit,
    by_code,
    read,
)
from shared.geo import Grid, Point


@dataclass(frozen=True)
class District:
    """Everything the office decides about the district in its files. Immutable; load it once per process.

    `categories` are those of the file, which the catalogue starts from (`commands/catalogue.py`). `map` is the
    GeoJSON of the communities as the file gives it (WGS-84), `grid_cells` has the grids of each; `versions` are those
    of the files. What comes in under a category that nobody knows goes to the office as `fallback`. `alike_bits`: in
    how many bits two photos of one picture may differ (`shared.files.likeness`).
    """

    code: str
    name: Name
    subdistricts: Mapping[str, Subdistrict]
    communities: Mapping[str, Community]
    grids: Mapping[str, GridCell]
    unit_groups: Mapping[str, Group]
    units: Mapping[str, Unit]
    category_groups: Mapping[str, Group]
    categories: Mapping[str, Category]
    fallback: str
    hotline: Sheet
    router: Router
    timetable: Timetable
    reporting: ReportingTerms
    grid: Grid
    middles: Mapping[str, tuple[float, float]]
    grid_cells: Mapping[str, Grid]
    map: Mapping[str, Any]
    alike_bits: int
    versions: Mapping[str, int]

    @classmethod
    def load(cls, folder: Path) -> District:
        """The district that the files of `folder` describe.

        Raises DistrictUnusable: first with every fault of form, then with every name that leads nowhere.
        """
        files = read(folder, Files)
        if problems := list(files.loose_ends()):
            raise DistrictUnusable(problems)
        areas: list[Subdistrict | Community] = [*files.district.subdistricts, *files.district.communities]
        named: list[Unit | Subdistrict | Community | GridCell] = [*files.units.units, *areas, *files.grids.cells]
        return cls(
            code=files.district.code,
            name=files.district.name,
            subdistricts=by_code(files.district.subdistricts),
            communities=by_code(files.district.communities),
            grids=by_code(files.grids.cells),
            unit_groups=by_code(files.units.groups),
            units=by_code(files.units.units),
            category_groups=by_code(files.categories.groups),
            categories=by_code(files.categories.categories),
            fallback=files.categories.fallback,
            hotline=files.hotline,
            router=Router(
                files.routing.routes,
                {area.code: area.unit for area in areas},
                {each.code: each.name for each in named},
                files.calendar,
            ),
            timetable=Timetable(files.calendar, files.terms),
            reporting=files.reporting,
            grid=files.outline.grid,
            middles={area.code: _middle(files.outline.grid, area.code) for area in files.district.communities},
            grid_cells=files.grids.drawn,
            map=files.outline.drawing,
            alike_bits=files.photos.alike_bits,
            versions={
                "district": files.district.version,
                "units": files.units.version,
                "categories": files.categories.version,
                "routing": files.routing.version,
                "grids": files.grids.version,
                "terms": files.terms.version,
                "reporting": files.reporting.version,
                "hotline": files.hotline.version,
                "photos": files.photos.version,
            },
        )

    def community_at(self, point: Point) -> str | None:
        """The statistical code of the community the point lies in; None outside the district."""
        return self.grid.locate(point)

    def middle_of(self, community: str) -> tuple[float, float] | None:
        """The longitude and latitude of a spot in the middle of a community; None of one that is not drawn."""
        return self.middles.get(community)

    def areas_at(self, point: Point) -> Areas | None:
        """The areas the point lies in; None outside the district. A grid counts within its own community only."""
        community = self.community_at(point)
        if community is None:
            return None
        subdistrict = next(code for code in self.subdistricts if community.startswith(code))
        cells = self.grid_cells.get(community)
        return Areas(community, subdistrict, (cells.locate(point) if cells else None) or "")

    def path_of(self, group: str) -> list[Group]:
        """The groups above a category, from the top of the tree; none for a group that the files do not have."""
        path: list[Group] = []
        while (node := self.category_groups.get(group)) is not None:
            path.insert(0, node)
            group = node.parent or ""
        return path


def _middle(grid: Grid, community: str) -> tuple[float, float]:
    middle = grid.middle(community)
    return middle.longitude, middle.latitude
