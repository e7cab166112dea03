"""What is asked for at an address where nothing is: people get a page, programs problem details."""

from __future__ import annotations

from fastapi import Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import Match

from services.portal.api.access import Anyone
from services.portal.pages.page import problem
from shared.http import Router

router = Router()


@router.api_route(
    "/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], include_in_schema=False
)
async def unknown(request: Request, caller: Anyone) -> Response:
    """没有这个页面 · Fits every address, so it has to be the last route."""
    path = request.url.path
    if request.method in {"GET", "HEAD"} and path.endswith("/") and _best(request, path.rstrip("/")) is Match.FULL:
        return RedirectResponse(path.rstrip("/"), 308)
    status = 405 if _best(request, path) is Match.PARTIAL else 404
    if "text/html" not in request.headers.get("accept", ""):
        raise HTTPException(status)
    return await problem(request, "method-not-allowed" if status == 405 else "page-unknown", status, {})


def _best(request: Request, path: str) -> Match:
    """How well the path fits any other route: wholly, or but for the method."""
    others = (route for route in request.app.router.routes if route not in router.routes)
    fits = (route.matches({**request.scope, "path": path})[0] for route in others)
    return max(fits, key=lambda match: match.value, default=Match.NONE)
