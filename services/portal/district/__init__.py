"""The district's names and its map, read from the folder that the office edits. What is decided there is not ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field

from services.portal.district.catalogue import Catalogue, CategoriesFile
from services.portal.district.map import Map
from shared.district import (
    Community,
    DatedFile,
    DistrictFiles,
    DistrictUnusable,
    File,
    Group,
    Name,
    Named,
    Unit,
    VenueTypesFile,
    by_code,
    read,
)
from shared.messages import Language


@dataclass(frozen=True)
class Rung:
    """A rung of the ladder of consequences; only one that is `public` is shown."""

    code: str
    name: Name
    public: bool = False


class Imprint(DatedFile):
    """`portal.json`: who runs the portal, and the numbers it is registered under (备案号、网站标识码)."""

    host: Name
    contact: Name
    icp: str = ""
    identifier: str = ""


class _RulesFile(File):
    rules: list[Named]


class _ListsFile(File):
    issuers: list[Named]


class _LadderFile(BaseModel):
    rungs: Sequence[Rung] = ()


class _Files(DistrictFiles):
    categories: CategoriesFile = Field(alias="categories.json")
    rules: _RulesFile = Field(alias="scoring-rules.json")
    lists: _ListsFile = Field(alias="lists.json")
    venue_types: VenueTypesFile = Field(alias="venue-types.json")
    ladder: _LadderFile = Field(alias="ladder.json", default=_LadderFile())
    imprint: Imprint | None = Field(alias="portal.json", default=None)


@dataclass(frozen=True)
class District:
    """Names by code, in the order of the files, and what can be reported. Immutable; load it once per process."""

    name: Name
    communities: Mapping[str, Community]
    units: Mapping[str, Unit]
    unit_groups: Mapping[str, Group]
    map: Map
    areas: Mapping[str, Name]
    catalogue: Catalogue
    rules: Mapping[str, Named]
    issuers: Mapping[str, Named]
    venue_types: Mapping[str, Named]
    rungs: Mapping[str, Rung]
    imprint: Imprint | None = None

    @classmethod
    def load(cls, folder: Path) -> District:
        """Raises DistrictUnusable with every fault. Without a `ladder.json`, no rung is known.

        Without a `portal.json`, nobody is named as running the portal.
        """
        files = read(folder, _Files)
        if faults := list(files.loose_ends()):
            raise DistrictUnusable(faults)
        return cls(
            name=files.district.name,
            communities=by_code(files.district.communities),
            units=by_code(files.units.units),
            unit_groups=by_code(files.units.groups),
            map=Map.of(files.outline),
            areas=files.district.areas,
            catalogue=files.categories.catalogue(),
            rules=by_code(files.rules.rules),
            issuers=by_code(files.lists.issuers),
            venue_types=by_code(files.venue_types.venue_types),
            rungs=by_code(files.ladder.rungs),
            imprint=files.imprint,
        )

    def where(self, area: str, language: Language) -> str:
        """The area as addresses have it: in Chinese from the district down, in English the other way round.

        The code of an area begins with that of the area it lies in (统计用区划代码).
        """
        names = [name.text(language) for code, name in sorted(self.areas.items()) if area.startswith(code)]
        return "".join(names) if language == "zh" else ", ".join(reversed(names))
