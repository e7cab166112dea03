"""The forms of the files that reports reads beside those of every service."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WrapValidator

from services.reports.district.soundness import loose_routes, unfit_terms, unsound_categories
from services.reports.domain.catalogue import TIMED, Category
from services.reports.domain.clocks import Terms
from services.reports.domain.hotline import Column, Sheet
from services.reports.domain.reporter import ReportingTerms
from services.reports.domain.routing import Route
from shared.district import DatedFile, DistrictFiles, Group, as_written, unknown
from shared.files import MOST_DIFFERING
from shared.geo import Crs


class CategoriesFile(DatedFile):
    """`categories.json`: what can be reported, in a tree of groups, and what takes in all that nobody knows."""

    fallback: str
    groups: list[Annotated[Group, as_written(Group)]]
    categories: list[Annotated[Category, as_written(Category)]]


class RoutingFile(DatedFile):
    """`routing.json`: which unit a problem goes to where no closer rule exists."""

    routes: list[Annotated[Route, as_written(Route)]]


class PhotosFile(DatedFile):
    """`photos.json`: in how many bits two photos of one picture may differ."""

    alike_bits: Annotated[int, Field(ge=0, le=MOST_DIFFERING)]


def _sound_terms(content: Mapping[str, Any], validate: Callable[[Any], Terms]) -> Terms:
    terms = validate(content)
    if not 0 < terms.due_soon < 1:
        raise ValueError("due_soon is a share between 0 and 1")
    if astray := {stage.value for stage in TIMED} ^ content["limits"].keys():
        raise ValueError(f"limits: missing or unknown: {', '.join(sorted(astray))}")
    return terms


def _sound_sheet(sheet: Sheet) -> Sheet:
    if unheaded := [column.value for column in Column if not sheet.columns.get(column)]:
        raise ValueError(f"columns lack {', '.join(unheaded)}")
    if sheet.crs not in frozenset(Crs):
        raise ValueError(f"crs must be one of {', '.join(Crs)}")
    return sheet


def _sound_reporting(terms: ReportingTerms) -> ReportingTerms:
    for name in ("reports_per_day", "updates_per_day", "retention_days"):
        if getattr(terms, name) < 1:
            raise ValueError(f"{name} must be at least 1")
    return terms


class Files(DistrictFiles):
    """What the files say, each by itself sound in form."""

    categories: CategoriesFile = Field(alias="categories.json")
    routing: RoutingFile = Field(alias="routing.json")
    terms: Annotated[Terms, WrapValidator(_sound_terms)] = Field(alias="terms.json")
    reporting: Annotated[ReportingTerms, AfterValidator(_sound_reporting)] = Field(alias="reporting.json")
    hotline: Annotated[Sheet, AfterValidator(_sound_sheet)] = Field(alias="hotline.json")
    photos: PhotosFile = Field(alias="photos.json")

    def loose_ends(self) -> Iterator[str]:
        """Faults between the rows: codes used twice, codes that name nothing, limits nobody can count."""
        yield from super().loose_ends()
        units = [unit.code for unit in self.units.units]
        categories = [category.code for category in self.categories.categories]
        yield from unsound_categories(self.categories.categories, self.categories.groups, units)
        yield from unknown("categories.json: fallback", self.categories.fallback, categories)
        for named in (self.hotline.otherwise, *self.hotline.categories.values()):
            yield from unknown("hotline.json: category", named, categories)
        areas = [code for code in self.district.areas if code != self.district.code]
        areas += [cell.code for cell in self.grids.cells]
        yield from loose_routes(self.routing.routes, categories, areas, units)
        yield from unfit_terms(self.terms, self.calendar)
