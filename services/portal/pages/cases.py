"""What everybody may see of cases: the first page, the list, a case, its photos."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from starlette.responses import HTMLResponse

from services.portal import waiting
from services.portal.domain import CaseView, period_of
from services.portal.forms import PHOTO_ID
from services.portal.pages.page import CASE_ID, Anyone, page
from services.portal.portal import Portal, forwarded, portal_of
from services.portal.views import Wanted
from shared.contracts.reports import CaseState, Kind
from shared.errors import NotFound
from shared.http import Router
from shared.service import runtime_of

router = Router(tags=["pages"])

EXCERPT = 5
_PHOTO_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
        "description": "照片 · The photo",
    }
}


@router.get("/", response_class=HTMLResponse)
@page
async def home(request: Request, caller: Anyone) -> Response:
    """首页 · What this is, how the units stand, what was reported last."""
    portal, now = portal_of(request), runtime_of(request).clock.now()
    return await portal.page(
        request,
        "home",
        figures=await portal.figures(),
        ranking=await portal.views.ranking(period_of(now)),
        excerpt=EXCERPT,
        cases=(await portal.views.cases(Wanted(), now, 8)).cases,
        now=now,
    )


@router.get("/cases", response_class=HTMLResponse)
@page
async def cases(request: Request, caller: Anyone) -> Response:
    """案件列表 · Cases, newest first, by kind, unit, community, category, state."""
    portal, now = portal_of(request), runtime_of(request).clock.now()
    asked = request.query_params
    wanted = Wanted(
        state=CaseState(asked["state"]) if asked.get("state") in set(CaseState) else None,
        kind=Kind(asked["kind"]) if asked.get("kind") in set(Kind) else None,
        unit=asked.get("unit", ""),
        community=asked.get("community", ""),
        category=asked.get("category", ""),
        overdue=asked.get("overdue") == "1",
        after=asked.get("after", ""),
    )
    found = await portal.views.cases(wanted, now)
    states = [state for state in CaseState if state is not CaseState.OTHER]
    kinds = [kind for kind in Kind if kind is not Kind.OTHER]
    return await portal.page(request, "cases", found=found, wanted=wanted, states=states, kinds=kinds, now=now)


@router.get("/cases/{id}", response_class=HTMLResponse)
@page
async def case(request: Request, id: str, caller: Anyone) -> Response:
    """案件详情 · A case: place, state, deadline, photos, history. `?sequence=` waits for a view that is as new."""
    portal, now = portal_of(request), runtime_of(request).clock.now()
    view = await _awaited(portal, id, request.query_params.get("sequence", ""))
    if view is None and CASE_ID.fullmatch(id) and "sequence" in request.query_params:
        return await portal.page(request, "waiting", status=202, id=id)
    if view is None:
        raise NotFound("case-not-shown", id=id[:40])
    catalogue = await portal.catalogue.current()
    charges, taken_back = await portal.views.charges(view.id)
    return await portal.page(
        request,
        "case",
        case=view,
        charges=charges,
        taken_back=taken_back,
        hidden=catalogue.hides_place(view.category),
        now=now,
    )


async def _awaited(portal: Portal, id: str, sequence: str) -> CaseView | None:
    """The case; when the address names a sequence, as soon as the view has come that far, or after two seconds."""
    least = int(sequence) if sequence.isdecimal() and len(sequence) < 10 else 0

    async def look() -> CaseView | None:
        return await portal.views.case(id)

    return await waiting.until(look, lambda view: view is not None and view.sequence >= least, patient=least > 0)


@router.get("/photos/{id}/{size}", response_class=Response, responses=_PHOTO_ANSWERS)
async def photo(request: Request, id: str, size: str, caller: Anyone) -> Response:
    """照片 · The public copy of a photo, as long as the reports service shows it."""
    if not PHOTO_ID.fullmatch(id) or size not in {"thumb", "large"}:
        raise NotFound("photo-not-shown", id=id[:40])
    known = request.headers.get("if-none-match")
    answer = await portal_of(request).reports.photo(id, size, known, forwarded(request))
    if answer.status_code == 404:
        raise NotFound("photo-not-shown", id=id)
    told = {name: answer.headers[name] for name in ("cache-control", "etag") if name in answer.headers}
    if answer.status_code == 304:
        return Response(status_code=304, headers=told)
    return Response(answer.content, headers=told, media_type="image/jpeg")
