"""How an inspector's finding becomes a case. None is ever refused: what is wrong with it is noted for the office."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from services.reports.commands.intake import Reference, Submission, register
from services.reports.district import District
from services.reports.domain import SYSTEM, TEXT_LIMIT, Areas, Case, Category, Place, Routing, Why
from services.reports.domain.channels import Origin
from services.reports.domain.writing import ADDRESS_LIMIT
from services.reports.repo import ORIGINS
from shared.clock import CHINA
from shared.contracts.inspections import FindingRecorded
from shared.contracts.reports import Channel, ReporterKind
from shared.geo import Point
from shared.store import UnitOfWork

LAST_RESORTS = frozenset({Why.GRID, Why.COMMUNITY, Why.SUBDISTRICT, Why.DISTRICT, Why.NO_RULE})
"""Rules that know the category no better than the inspector does."""
NOTED = 100
"""Characters of a code or name of another service that are noted."""


def origin_of(finding: FindingRecorded) -> str:
    """The identity that the finding is known by here."""
    return f"{finding.TOPIC}/{finding.visit}/{finding.finding}"


async def open_case(uow: UnitOfWork, reference: Reference, finding: FindingRecorded) -> Case | None:
    """A case for the finding, or None if it has one. What the district does not know goes to the office's queue."""
    origin = origin_of(finding)
    if await uow.find(ORIGINS, origin) is not None:
        return None
    district = reference.district
    categories = (await reference.catalogue.current()).categories
    known = categories.get(finding.category)
    category = known or categories[district.fallback]
    category = replace(category, indicators=tuple(dict.fromkeys((*category.indicators, *finding.indicators))))
    areas = district.areas_at(Point(finding.place.longitude, finding.place.latitude))
    place = _place(finding, areas)
    routing = Routing(None, Why.TRIAGE)
    if known is not None and areas is not None:
        routing = _routed(district, finding, known, areas, uow.now)
    submission = Submission(
        category=category.code,
        longitude=place.longitude,
        latitude=place.latitude,
        text=_plain(finding.summary, TEXT_LIMIT),
        channel=Channel.INSPECTION,
        reporter_kind=ReporterKind.INSPECTOR,
    )
    faults = [] if known else [f"类别 {_plain(finding.category, NOTED)} 不在目录中"]
    if areas is None:
        faults.append(f"地点不在{district.name.zh}范围内")
    note = "；".join([*_noted(finding, min(finding.found_at, uow.now)), *faults])
    case = await register(uow, reference, submission, SYSTEM, category, place, routing, note=note)
    uow.insert(ORIGINS, Origin(origin, case.id, finding.found_at, finding.photos))
    return case


def _place(finding: FindingRecorded, areas: Areas | None) -> Place:
    spot, address = finding.place, _plain(finding.place.address, ADDRESS_LIMIT)
    community, grid = (areas.community, areas.grid) if areas else ("", "")
    return Place(spot.longitude, spot.latitude, community, address, grid=grid)


def _routed(district: District, finding: FindingRecorded, category: Category, areas: Areas, at: datetime) -> Routing:
    routing = district.router.route(category, areas, at)
    if routing.why in LAST_RESORTS and finding.unit in district.units:
        return replace(routing, unit=finding.unit)
    return routing


def _noted(finding: FindingRecorded, at: datetime) -> Iterator[str]:
    """What staff should know of where the case came from."""
    yield f"督查 {_plain(finding.visit, NOTED)} 第 {finding.finding} 项，{at.astimezone(CHINA):%Y-%m-%d %H:%M} 发现"
    yield f"程度 {finding.severity}"
    yield f"点位 {_plain(finding.site, NOTED)}"
    if finding.standard:
        yield f"标准 {_plain(finding.standard, NOTED)}"
    if finding.unit:
        yield f"建议单位 {_plain(finding.unit, NOTED)}"
    if finding.photos:
        yield f"照片 {len(finding.photos)} 张，存于督查系统"


def _plain(text: str, limit: int) -> str:
    """What is left of a text from elsewhere without anything that nobody may write here."""
    composed = unicodedata.normalize("NFC", text)
    readable = (character for character in composed if character.isprintable() or character in "\n\t")
    return "".join(readable).replace("<", "＜")[:limit]
