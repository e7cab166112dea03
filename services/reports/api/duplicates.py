"""Routes about problems that are on file already, and about those that come back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Annotated

from fastapi import Query, Request
from pydantic import BaseModel, Field

from services.reports.api.access import Anyone, Overseer, Staff, resources
from services.reports.commands.intake import Submission, place_of
from services.reports.domain import TEXT_LIMIT
from services.reports.domain.repeats import Spot, spots
from services.reports.domain.similarity import Similar, Why, hint, most_similar, similarity, spot_of
from services.reports.repo import CASES
from shared.clock import CHINA
from shared.contracts.reports import CaseState
from shared.errors import Invalid, NotFound
from shared.geo import Crs, Point
from shared.http import Body, Router
from shared.roles import STAFF
from shared.service import runtime_of

SPOTS_LIMIT = 200
CASES_SHOWN = 50
LONGEST_PERIOD = 366
"""Days."""
EARLIEST, LATEST = date(2000, 1, 1), date(2199, 12, 31)

router = Router(tags=["duplicates"])


class Question(Body):
    """What somebody is about to report."""

    category: str = Field(max_length=100, examples=["exposed-rubbish"])
    longitude: float = Field(ge=-180, le=180, examples=[112.6012])
    latitude: float = Field(ge=-90, le=90, examples=[26.8901])
    crs: Crs = Crs.WGS84
    text: str = Field(default="", max_length=TEXT_LIMIT, examples=["垃圾桶满了没人清"])


class SimilarCase(BaseModel):
    """An open case of the same category nearby that may be followed instead of reporting again.

    `similarity` compares the texts, 0 to 1; whoever may not read them is told quarters of it.
    """

    case: str
    state: CaseState
    unit: str | None
    metres: int
    registered_at: datetime
    age_minutes: int
    address: str
    photos: tuple[str, ...]
    similarity: float
    why: Why


class RepeatSpot(BaseModel):
    """A spot where a problem came back: the newest case's place and unit, and the cases of the period, newest first."""

    category: str
    unit: str | None
    community: str
    longitude: float
    latitude: float
    address: str
    open: bool
    count: int
    first_registered_at: datetime
    last_registered_at: datetime
    cases: list[str]


@router.post("/cases/similar", response_model=list[SimilarCase])
async def before_reporting(request: Request, body: Question, caller: Anyone) -> list[SimilarCase]:
    """相似案件 · Open cases that may tell of what somebody is about to report, best first."""
    held, staff = resources(request), caller.has(*STAFF)
    held.limits.look(request, caller)
    category = (await held.catalogue.current()).open(body.category)
    place, _ = place_of(held.district, Submission(category.code, body.longitude, body.latitude, body.crs))
    point, metres = Point(place.longitude, place.latitude), held.district.timetable.terms.duplicate_metres
    cases = await held.nearby.open_cases(category.code, point, metres, shown=not staff)
    found = most_similar(point, body.text, cases, metres, similarity if staff else hint)
    return _similar(request, found, staff=staff)


@router.get("/cases/{id}/similar", response_model=list[SimilarCase])
async def of_case(request: Request, id: str, caller: Staff) -> list[SimilarCase]:
    """疑似重复 · Open cases that may tell of the same problem as this one; none where only the community is known."""
    held = resources(request)
    case = await runtime_of(request).store.get(CASES, id)
    if case is None:
        raise NotFound("cases-not-found", id=id)
    if not case.place.exact:
        return []
    point, metres = spot_of(case), held.district.timetable.terms.duplicate_metres
    cases = await held.nearby.open_cases(case.category, point, metres, shown=False, besides=[id])
    return _similar(request, most_similar(point, case.text, cases, metres), staff=True)


@router.get("/repeats", response_model=list[RepeatSpot])
async def repeats(
    request: Request,
    caller: Overseer,
    since: Annotated[date, Query(ge=EARLIEST, le=LATEST, examples=["2026-11-01"])],
    until: Annotated[date, Query(ge=EARLIEST, le=LATEST, examples=["2026-11-30"])],
    least: Annotated[int, Query(ge=2, le=100)] = 2,
    category: Annotated[str | None, Query(max_length=100)] = None,
    unit: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=SPOTS_LIMIT)] = 50,
) -> list[RepeatSpot]:
    """反复发生点位 · Spots with so many cases of days in Asia/Shanghai, each the repeat of one before; the worst first.

    A spot is the unit's that has its newest case.
    """
    if not 0 <= (until - since).days < LONGEST_PERIOD:
        raise Invalid("period-unfit", field="until", limit=LONGEST_PERIOD)
    first = datetime.combine(since, time.min, CHINA)
    last = datetime.combine(until + timedelta(days=1), time.min, CHINA)
    found = spots(await resources(request).nearby.occurrences(first, last, category), least)
    return [_spot(spot) for spot in found if unit is None or spot.last.unit == unit][:limit]


def _similar(request: Request, found: Iterable[Similar], *, staff: bool) -> list[SimilarCase]:
    now = runtime_of(request).clock.now()
    similar = []
    for each in found:
        case, seen = each.case, each.case.snapshot()
        similar.append(
            SimilarCase(
                case=case.id,
                state=case.state,
                unit=case.unit,
                metres=round(each.metres),
                registered_at=case.registered_at,
                age_minutes=int((now - case.registered_at).total_seconds() // 60),
                address=case.place.address if staff else seen.place.address,
                photos=case.photos if staff else seen.photos,
                similarity=round(each.similarity, 2),
                why=each.why,
            )
        )
    return similar


def _spot(spot: Spot) -> RepeatSpot:
    last = spot.last
    return RepeatSpot(
        category=last.category,
        unit=last.unit,
        community=last.place.community,
        longitude=last.place.longitude,
        latitude=last.place.latitude,
        address=last.place.address,
        open=last.state is not CaseState.CLOSED,
        count=len(spot.cases),
        first_registered_at=spot.cases[-1].registered_at,
        last_registered_at=last.registered_at,
        cases=[each.id for each in spot.cases[:CASES_SHOWN]],
    )
