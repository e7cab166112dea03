"""A case as JSON."""

from __future__ import annotations

from fastapi import Request

from services.portal.api.access import Anyone
from services.portal.domain.cases import CaseView
from services.portal.resources import resources_of
from shared.errors import NotFound
from shared.http import Router

router = Router(tags=["portal"])


@router.get("/api/cases/{id}", response_model=CaseView)
async def case(request: Request, id: str, caller: Anyone) -> CaseView:
    """案件 · One case with its history."""
    resources = resources_of(request)
    view = await resources.board.cases.one(id)
    if view is None:
        raise NotFound("case-not-shown", id=id[:40])
    return (await resources.catalogue.current()).shown(view)
