"""What scoring needs of the district's data: which units are ranked, and all that the office decides beforehand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from services.scoring.domain import negative, responsibility
from services.scoring.domain.appeals import AppealTerms
from services.scoring.domain.ladder import Ladder
from services.scoring.domain.ladder import checked as sound
from services.scoring.domain.lists import Terms
from services.scoring.domain.negative import NegativeList
from services.scoring.domain.responsibility import FileRow
from services.scoring.domain.rules import Name, Rule, RuleBook, checked
from services.scoring.domain.scheme import DistrictCodes, Edition, SchemeContent, Tree
from services.scoring.domain.scheme_table import Dictionary
from services.scoring.domain.standings import Formula
from services.scoring.repo import CURRENT
from shared.workdays import Limit, WorkCalendar


@dataclass(frozen=True)
class Unit:
    """A unit of the district, and the group of units that it is ranked among."""

    code: str
    name: Name
    group: str


@dataclass(frozen=True)
class _Group:
    code: str
    name: Name


class _UnitsFile(BaseModel):
    groups: list[_Group] = []
    units: list[Unit]


class _Named(BaseModel):
    code: str
    name: Name


class _DistrictFile(_Named):
    subdistricts: list[_Named]
    communities: list[_Named]


class _ListsFile(BaseModel):
    reason_limit: int
    items_limit: int
    issuers: list[_Named]


class _VenueTypesFile(BaseModel):
    venue_types: list[_Named]


class _SchemeFile(BaseModel):
    version: int
    name: str
    source: str
    effective_from: date
    categories: Tree


class _RulesFile(BaseModel):
    version: int
    rules: list[Rule]


class _AppealsFile(BaseModel):
    appeal_within: str
    decide_within: str


class _MatrixFile(BaseModel):
    rows: list[FileRow]


class _NegativeFile(BaseModel):
    version: int
    warn_days: int
    situations: list[negative.Situation]
    items: list[negative.Item]


class _CategoriesFile(BaseModel):
    categories: list[_Named]


_LADDER = TypeAdapter(Ladder)
_FORMULA = TypeAdapter(Formula)


@dataclass(frozen=True)
class District:
    """The district's units, and what the office decides beforehand, each as its file says; see the folder's README."""

    name: Name
    units: dict[str, Unit]
    groups: dict[str, str]
    """Chinese names of the groups of units, by code."""
    rule_book: RuleBook
    formula: Formula
    lists: Terms
    ladder: Ladder
    calendar: WorkCalendar
    appeals: AppealTerms
    categories: dict[str, Name]
    edition: Edition
    matrix: list[FileRow]
    negative_list: NegativeList

    @classmethod
    def load(cls, folder: Path) -> District:
        """Read the office's files.

        Raises OSError, ValueError, KeyError, Invalid (what rules, ladder, limits, scheme, matrix and list get wrong).
        """
        read = _UnitsFile.model_validate_json((folder / "units.json").read_bytes())
        book = _RulesFile.model_validate_json((folder / "scoring-rules.json").read_bytes())
        district = _DistrictFile.model_validate_json((folder / "district.json").read_bytes())
        lists = _ListsFile.model_validate_json((folder / "lists.json").read_bytes())
        appeals = _AppealsFile.model_validate_json((folder / "appeals.json").read_bytes())
        units = {unit.code: unit for unit in read.units}
        matrix = _MatrixFile.model_validate_json((folder / "matrix.json").read_bytes()).rows
        negative_list = _NegativeFile.model_validate_json((folder / "negative-list.json").read_bytes())
        categories = _CategoriesFile.model_validate_json((folder / "categories.json").read_bytes()).categories
        calendar = WorkCalendar.from_file(folder / "calendar.json")
        venue_types = _by_code(
            _VenueTypesFile.model_validate_json((folder / "venue-types.json").read_bytes()).venue_types
        )
        scheme = _SchemeFile.model_validate_json((folder / "scheme.json").read_bytes())
        known = DistrictCodes({unit.code for unit in read.units}, venue_types)
        wanted = SchemeContent(scheme.name, scheme.source, scheme.categories).checked(known)
        return cls(
            name=district.name,
            units=units,
            groups={group.code: group.name.zh for group in read.groups},
            rule_book=RuleBook(CURRENT, book.version, checked(book.rules)),
            formula=_FORMULA.validate_json((folder / "standings.json").read_bytes()),
            lists=Terms(
                areas=_by_code([district, *district.subdistricts, *district.communities]),
                units={unit.code: unit.name for unit in read.units},
                venue_types=venue_types,
                issuers=_by_code(lists.issuers),
                reason_limit=lists.reason_limit,
                items_limit=lists.items_limit,
            ),
            ladder=sound(_LADDER.validate_json((folder / "ladder.json").read_bytes())),
            calendar=calendar,
            appeals=AppealTerms(
                appeal_within=Limit.parse(appeals.appeal_within),
                decide_within=Limit.parse(appeals.decide_within),
                calendar=calendar,
            ),
            matrix=responsibility.checked_file(matrix, units),
            negative_list=negative.checked(NegativeList(CURRENT, **dict(negative_list)), units),
            categories=_by_code(categories),
            edition=Edition(scheme.version, scheme.effective_from.isoformat(), wanted),
        )

    @cached_property
    def words(self) -> Dictionary:
        """What the table of a scheme calls units and types of venues."""
        units = {unit.code: unit.name.zh for unit in self.units.values()}
        return Dictionary(units, {code: name.zh for code, name in self.lists.venue_types.items()})

    @property
    def office(self) -> str:
        """The campaign office as it signs."""
        return f"{self.name.zh}创建办"

    @property
    def ranked_among(self) -> dict[str, str]:
        """The group of each unit."""
        return {unit.code: unit.group for unit in self.units.values()}

    def name_of(self, unit: str) -> str:
        """What people call a unit; the code itself when the files do not know it any more."""
        return self.units[unit].name.zh if unit in self.units else unit

    def category_of(self, code: str) -> str:
        """What people call a category; the code itself when the files do not know it any more."""
        return self.categories[code].zh if code in self.categories else code

    def group_of(self, unit: str) -> tuple[str, ...]:
        """The units that a unit is ranked among, itself included; none for one that the files do not know."""
        return self._members.get(self.units[unit].group, ()) if unit in self.units else ()

    @cached_property
    def _members(self) -> dict[str, tuple[str, ...]]:
        codes = {unit.group for unit in self.units.values()}
        return {code: tuple(sorted(each.code for each in self.units.values() if each.group == code)) for code in codes}


def _by_code(coded: Iterable[_Named]) -> dict[str, Name]:
    return {each.code: each.name for each in coded}
