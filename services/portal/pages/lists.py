"""The red and black lists."""

from __future__ import annotations

from fastapi import Request, Response
from starlette.responses import HTMLResponse

from services.portal.api.access import Anyone
from services.portal.pages.page import PAGES, page, render
from services.portal.resources import resources_of
from shared.contracts.scoring import ListKind
from shared.errors import NotFound
from shared.http import Router

router = Router(tags=["pages"], responses=PAGES)

EXCERPT = 5
"""Items of a list that the page of all lists shows."""


@router.get("/lists", response_class=HTMLResponse)
@page
async def lists(request: Request, caller: Anyone) -> Response:
    """红黑榜 · Red and black lists, the last published first."""
    asked = request.query_params
    kind = ListKind(asked["kind"]) if asked.get("kind") in {ListKind.RED, ListKind.BLACK} else None
    found = await resources_of(request).board.lists.page(kind, asked.get("after", ""))
    return await render(request, "lists", found=found, kind=kind, after="after" in asked, excerpt=EXCERPT)


@router.get("/lists/{id}", response_class=HTMLResponse)
@page
async def one_list(request: Request, id: str, caller: Anyone) -> Response:
    """榜单 · One list, whole."""
    found = await resources_of(request).board.lists.one(id)
    if found is None:
        raise NotFound("list-not-shown", id=id[:40])
    return await render(request, "list", listed=found)
