"""What people read for codes: of the contracts, and of the district's units, areas and categories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.reports.district import District
from services.reports.domain import Catalogue
from shared.contracts.reports import Channel, Kind, Level

CHANNELS_ZH: Mapping[Channel, str] = {
    Channel.CITIZEN: "群众随手拍",
    Channel.STAFF: "工作人员",
    Channel.HOTLINE: "12345热线",
    Channel.PATROL: "巡查",
    Channel.INSPECTION: "测评督查",
    Channel.MEDIA: "媒体",
    Channel.OTHER: "其他",
}
KINDS_ZH: Mapping[Kind, str] = {Kind.PROBLEM: "曝光", Kind.PRAISE: "点赞", Kind.OTHER: "其他"}
LEVELS_ZH: Mapping[Level, str] = {
    Level.BLUE: "蓝色督查",
    Level.ORANGE: "橙色督查",
    Level.RED: "红色督查",
    Level.OTHER: "其他",
}


@dataclass(frozen=True)
class Names:
    """The Chinese names of the district's codes; a code that it has no more stands for itself."""

    units: Mapping[str, str]
    communities: Mapping[str, str]
    categories: Mapping[str, str]

    @classmethod
    def of(cls, district: District, catalogue: Catalogue) -> Names:
        """The names as they are now."""
        return cls(
            {unit.code: unit.name.zh for unit in district.units.values()},
            {community.code: community.name.zh for community in district.communities.values()},
            {category.code: category.name.zh for category in catalogue.categories.values()},
        )

    def unit(self, code: str) -> str:
        return self.units.get(code, code)

    def community(self, code: str) -> str:
        return self.communities.get(code, code)

    def category(self, code: str) -> str:
        return self.categories.get(code, code)
