"""What everybody may see of cases: the list, a case, its photos."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from fastapi import Request, Response
from starlette.responses import HTMLResponse

from services.portal.api.access import Anyone
from services.portal.forms import PHOTO_ID
from services.portal.pages.page import CASE_ID, PAGES, forwarded, page, render
from services.portal.resources import resources_of
from services.portal.views.cases import CaseFilter
from shared.contracts.reports import CaseState, Kind
from shared.errors import NotFound
from shared.http import Router
from shared.service import runtime_of

router = Router(tags=["pages"], responses=PAGES)

_TAGS = re.compile(r"[\x20-\x7e]{1,1000}")
"""What may stand in `If-None-Match`; whatever else does is no tag of ours."""
_PHOTO_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
        "description": "照片 · The photo",
    }
}


@router.get("/cases", response_class=HTMLResponse)
@page
async def cases(request: Request, caller: Anyone) -> Response:
    """案件列表 · Cases, newest first, by kind, unit, community, category, state."""
    now, asked = runtime_of(request).clock.now(), request.query_params
    wanted = CaseFilter(
        state=CaseState(asked["state"]) if asked.get("state") in set(CaseState) else None,
        kind=Kind(asked["kind"]) if asked.get("kind") in set(Kind) else None,
        unit=asked.get("unit", ""),
        community=asked.get("community", ""),
        category=asked.get("category", ""),
        overdue=asked.get("overdue") == "1",
        after=asked.get("after", ""),
    )
    resources = resources_of(request)
    found = await resources.board.cases.page(wanted, now)
    catalogue = await resources.catalogue.current()
    found = replace(found, items=[catalogue.shown(case) for case in found.items])
    states = [state for state in CaseState if state is not CaseState.OTHER]
    kinds = [kind for kind in Kind if kind is not Kind.OTHER]
    return await render(request, "cases", found=found, wanted=wanted, states=states, kinds=kinds, now=now)


@router.get("/cases/{id}", response_class=HTMLResponse)
@page
async def case(request: Request, id: str, caller: Anyone) -> Response:
    """案件详情 · A case: place, state, deadline, photos, history. `?sequence=` waits for a view that is as new."""
    resources, sequence = resources_of(request), request.query_params.get("sequence", "")
    board = resources.board
    least = int(sequence) if sequence.isdecimal() and len(sequence) < 10 else 0
    view = await (board.cases.one_as_new_as(id, least) if least else board.cases.one(id))
    if view is None and CASE_ID.fullmatch(id) and "sequence" in request.query_params:
        return await render(request, "waiting", status=202, id=id)
    if view is None:
        raise NotFound("case-not-shown", id=id[:40])
    catalogue = await resources.catalogue.current()
    charges, taken_back = await board.entries.of_case(view.id)
    return await render(
        request,
        "case",
        case=catalogue.shown(view),
        charges=charges,
        taken_back=taken_back,
        hidden=catalogue.hides_place(view.category),
        now=runtime_of(request).clock.now(),
    )


@router.get("/photos/{id}/{size}", response_class=Response, responses=_PHOTO_ANSWERS)
async def photo(request: Request, id: str, size: str, caller: Anyone) -> Response:
    """照片 · The public copy of a photo, as long as the reports service shows it."""
    if not PHOTO_ID.fullmatch(id) or size not in {"thumb", "large"}:
        raise NotFound("photo-not-shown", id=id[:40])
    known = request.headers.get("if-none-match", "")
    answer = await resources_of(request).reports.photo(
        id, size, known if _TAGS.fullmatch(known) else None, forwarded(request)
    )
    if answer.status_code == 404:
        raise NotFound("photo-not-shown", id=id)
    headers = {name: answer.headers[name] for name in ("cache-control", "etag") if name in answer.headers}
    if answer.status_code == 304:
        return Response(status_code=304, headers=headers)
    return Response(answer.content, headers=headers, media_type="image/jpeg")
