"""What scoring needs of the district's data: which units are ranked, and all that the office decides beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import Field

from services.scoring.domain import negative, responsibility
from services.scoring.domain.appeals import AppealTerms
from services.scoring.domain.ladder import Ladder
from services.scoring.domain.ladder import checked as sound_ladder
from services.scoring.domain.lists import Terms
from services.scoring.domain.negative import NegativeList
from services.scoring.domain.responsibility import FileRow
from services.scoring.domain.rules import Rule, RuleBook
from services.scoring.domain.rules import checked as sound_rules
from services.scoring.domain.scheme_table import Dictionary
from services.scoring.domain.schemes import DistrictCodes, Edition, SchemeContent, Tree
from services.scoring.domain.standings import Formula
from services.scoring.repo import CURRENT
from shared.district import (
    CategoryNamesFile,
    DatedFile,
    DistrictFiles,
    DistrictUnusable,
    File,
    Name,
    Named,
    Unit,
    VenueTypesFile,
    by_code,
    read,
)
from shared.errors import DomainError
from shared.workdays import Limit, WorkCalendar


class _ListsFile(File):
    reason_limit: int
    items_limit: int
    issuers: list[Named]


class _SchemeFile(DatedFile):
    name: str
    source: str
    categories: Tree


class _RulesFile(File):
    rules: list[Rule]


class _AppealsFile(File):
    appeal_within: str
    decide_within: str


class _ResponsibilityFile(File):
    rows: list[FileRow]


class _NegativeFile(File):
    warn_days: int
    situations: list[negative.Situation]
    items: list[negative.Item]


class _Files(DistrictFiles):
    """What the files say, each by itself sound in form."""

    categories: CategoryNamesFile = Field(alias="categories.json")
    venue_types: VenueTypesFile = Field(alias="venue-types.json")
    rules: _RulesFile = Field(alias="scoring-rules.json")
    formula: Formula = Field(alias="standings.json")
    ladder: Ladder = Field(alias="ladder.json")
    lists: _ListsFile = Field(alias="lists.json")
    appeals: _AppealsFile = Field(alias="appeals.json")
    scheme: _SchemeFile = Field(alias="scheme.json")
    responsibility: _ResponsibilityFile = Field(alias="matrix.json")
    negative: _NegativeFile = Field(alias="negative-list.json")

    @property
    def codes(self) -> DistrictCodes:
        """What a scheme may name."""
        return DistrictCodes({unit.code for unit in self.units.units}, _names(self.venue_types.venue_types))

    def loose_ends(self) -> Iterator[str]:
        """Also what the files of scoring get wrong, alone and together."""
        yield from super().loose_ends()
        units = by_code(self.units.units)
        for name, check in (
            ("scoring-rules.json", lambda: sound_rules(self.rules.rules)),
            ("ladder.json", lambda: sound_ladder(self.ladder)),
            ("scheme.json", lambda: self.content.checked(self.codes)),
            (
                "appeals.json",
                lambda: [Limit.parse(self.appeals.appeal_within), Limit.parse(self.appeals.decide_within)],
            ),
            ("matrix.json", lambda: responsibility.checked_file(self.responsibility.rows, units)),
            ("negative-list.json", lambda: negative.checked(self.negative_list, units)),
        ):
            try:
                check()
            except DomainError as error:
                yield f"{name}: {error.field or ''}: {error}"

    @property
    def content(self) -> SchemeContent:
        """The scheme that the file has."""
        return SchemeContent(self.scheme.name, self.scheme.source, self.scheme.categories)

    @property
    def negative_list(self) -> NegativeList:
        """The negative list that the file has."""
        return NegativeList(
            CURRENT, self.negative.version, self.negative.warn_days, self.negative.items, self.negative.situations
        )


@dataclass(frozen=True)
class District:
    """The district's units, and what the office decides beforehand, each as its file says; see the folder's README."""

    name: Name
    units: Mapping[str, Unit]
    groups: Mapping[str, str]
    """Chinese names of the groups of units, by code."""
    rule_book: RuleBook
    formula: Formula
    lists: Terms
    ladder: Ladder
    calendar: WorkCalendar
    appeals: AppealTerms
    categories: Mapping[str, Named]
    edition: Edition
    responsibility: list[FileRow]
    negative_list: NegativeList

    @classmethod
    def load(cls, folder: Path) -> District:
        """Read the office's files. Raises DistrictUnusable with every fault, named by file and row."""
        files = read(folder, _Files)
        if faults := list(files.loose_ends()):
            raise DistrictUnusable(faults)
        units, limits = by_code(files.units.units), files.appeals
        return cls(
            name=files.district.name,
            units=units,
            groups={group.code: group.name.zh for group in files.units.groups},
            rule_book=RuleBook(CURRENT, files.rules.version, sound_rules(files.rules.rules)),
            formula=files.formula,
            lists=Terms(
                areas=files.district.areas,
                units=_names(files.units.units),
                venue_types=_names(files.venue_types.venue_types),
                issuers=_names(files.lists.issuers),
                reason_limit=files.lists.reason_limit,
                items_limit=files.lists.items_limit,
            ),
            ladder=files.ladder,
            calendar=files.calendar,
            appeals=AppealTerms(
                appeal_within=Limit.parse(limits.appeal_within),
                decide_within=Limit.parse(limits.decide_within),
                calendar=files.calendar,
            ),
            responsibility=responsibility.checked_file(files.responsibility.rows, units),
            negative_list=negative.checked(files.negative_list, units),
            categories=by_code(files.categories.categories),
            edition=Edition(
                files.scheme.version, files.scheme.effective_from.isoformat(), files.content.checked(files.codes)
            ),
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
        return self.categories[code].name.zh if code in self.categories else code

    def group_of(self, unit: str) -> tuple[str, ...]:
        """The units that a unit is ranked among, itself included; none for one that the files do not know."""
        return self._members.get(self.units[unit].group, ()) if unit in self.units else ()

    @cached_property
    def _members(self) -> dict[str, tuple[str, ...]]:
        codes = {unit.group for unit in self.units.values()}
        return {code: tuple(sorted(each.code for each in self.units.values() if each.group == code)) for code in codes}


def _names(rows: Iterable[Named | Unit]) -> dict[str, Name]:
    return {row.code: row.name for row in rows}
