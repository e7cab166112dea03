"""What readers see of cases and of the catalogue."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from services.reports.district import District
from services.reports.domain import Case
from services.reports.repo import CASES
from shared.auth import Principal
from shared.contracts.reports import CaseSnapshot, CaseState
from shared.errors import NotFound
from shared.store import Store
from shared.store.collection import Filter

PAGE_LIMIT = 200
STAFF = ("office", "dispatcher", "verifier", "leader", "discipline", "admin")


class Happened(BaseModel):
    """One line of a case's history."""

    at: datetime
    command: str
    by: str | None = None
    note: str = ""


class CaseView(BaseModel):
    """A case as the caller may see it: `text` and the notes only for staff and the unit in charge."""

    snapshot: CaseSnapshot
    timeline: list[Happened]
    text: str | None = None


class Page(BaseModel):
    """Some cases, newest first; `next` is the cursor of the following page, if there is one."""

    cases: list[CaseSnapshot]
    next: str | None = None


class CategoryView(BaseModel):
    """A kind of problem that can be reported."""

    code: str
    version: int
    name: str
    name_en: str
    group: str
    guidance: str
    limit: str
    points: str
    photo_required: bool


async def case_view(store: Store, id: str, caller: Principal) -> CaseView:
    """Raises NotFound(`cases-not-found`)."""
    case = await store.get(CASES, id)
    if case is None:
        raise NotFound("cases-not-found", id=id)
    inside = sees_inside(case, caller)
    timeline = [
        Happened(at=fact.at, command=fact.command, by=fact.by, note=fact.note if inside else "")
        for fact in case.timeline
    ]
    return CaseView(snapshot=case.snapshot(), timeline=timeline, text=case.text if inside else None)


def sees_inside(case: Case, caller: Principal) -> bool:
    """Whether the caller may read what was written: staff of the campaign, and the unit in charge."""
    return caller.has(*STAFF) or (case.unit is not None and caller.unit == case.unit)


async def case_page(
    store: Store, caller: Principal, unit: str | None, state: CaseState | None, after: str | None, limit: int
) -> Page:
    """Cases the caller is responsible for: a unit's officers see their unit's, staff sees all."""
    filter: Filter = {}
    scope = unit if caller.has(*STAFF) else caller.unit or ""
    if scope is not None:
        filter["unit"] = scope
    if state is not None:
        filter["state"] = state.value
    if after:
        filter["_id"] = {"$lt": after}
    found = await store.find(CASES, filter, [("_id", -1)], limit + 1)
    more = found[limit - 1].id if len(found) > limit else None
    return Page(cases=[case.snapshot() for case in found[:limit]], next=more)


def categories(district: District) -> list[CategoryView]:
    """The catalogue in the order of the district's file."""
    return [
        CategoryView(
            code=category.code,
            version=category.version,
            name=category.name.zh,
            name_en=category.name.en,
            group=category.group,
            guidance=category.guidance.zh,
            limit=category.limit,
            points=str(category.points),
            photo_required=category.photo_required,
        )
        for category in district.categories.values()
    ]
