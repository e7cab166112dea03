"""Who runs the site, how to reach them, and what becomes of what people tell it."""

from __future__ import annotations

from fastapi import Request, Response
from starlette.responses import HTMLResponse

from services.portal.api.access import Anyone
from services.portal.pages.page import page, render
from shared.http import Router

router = Router(tags=["pages"])


@router.get("/about", response_class=HTMLResponse)
@page
async def about(request: Request, caller: Anyone) -> Response:
    """关于本站 · Who runs it, the privacy statement and the accessibility statement."""
    return await render(request, "about")
