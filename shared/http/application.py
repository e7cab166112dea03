"""The web application of a service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from shared import telemetry
from shared.auth import Verifier, anyone, undeclared_routes
from shared.http.edge import Edge
from shared.http.limits import Network
from shared.http.openapi import describe
from shared.http.problems import HANDLERS
from shared.http.routing import Router, StrictRoute
from shared.messages import Messages

Probe = Callable[[], Awaitable[Mapping[str, bool]]]
"""Parts that must be well, by name; none at all is well."""


@dataclass(frozen=True)
class Limits:
    """What a request may cost. `trusted_proxies` are the networks whose `X-Forwarded-For` is believed."""

    body_bytes: int = 1_048_576
    trusted_proxies: tuple[Network, ...] = ()


class UndeclaredRoute(Exception):
    """A route does not say who it is for, or reads its input in another way than all others."""


async def _nothing() -> Mapping[str, bool]:
    return {}


def create_app(
    service: str,
    routers: Sequence[Router],
    *,
    verifier: Verifier,
    messages: Messages,
    limits: Limits | None = None,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
    state: Mapping[str, object] | None = None,
    live: Probe = _nothing,
    ready: Probe = _nothing,
    mounts: Sequence[BaseRoute] = (),
    description: str = "",
    version: str = "1",
) -> FastAPI:
    """The application, with everything each route needs around it.

    `state` becomes `request.app.state`; `answer` needs its `store`. Raises UndeclaredRoute.
    """
    limits = limits or Limits()
    app = FastAPI(
        title=f"chuangwen {service}",
        version=version,
        description=description,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Edge measures and traces; FastAPI's own would look for a provider at every request.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        lifespan=lifespan,
        exception_handlers=HANDLERS,
    )
    app.add_middleware(Edge, service=service, body_bytes=limits.body_bytes)
    for name, value in {**(state or {}), "verifier": verifier, "messages": messages, "limits": limits}.items():
        setattr(app.state, name, value)
    for router in [*routers, _about(app, live, ready)]:
        # Routes are taken over rather than included: an inclusion matches every request twice.
        app.router.routes.extend(router.routes)
    app.router.routes.extend(mounts)
    _refuse_undeclared(app)
    app.openapi = lambda: _described(app, messages)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def operations_app(live: Probe = _nothing, ready: Probe = _nothing) -> Starlette:
    """What the platform's own operation asks for, for a port that nobody else reaches: metrics and probes."""

    async def metrics(_: Request) -> Response:
        content, media_type = telemetry.exposition()
        return Response(content, media_type=media_type)

    async def livez(_: Request) -> Response:
        return await _probe(live)()

    async def readyz(_: Request) -> Response:
        return await _probe(ready)()

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)])


def _about(app: FastAPI, live: Probe, ready: Probe) -> Router:
    """What a service tells of itself; a gateway must publish none but `/openapi.json`."""
    router = Router()

    async def openapi() -> Response:
        return JSONResponse(app.openapi())

    answers = {"/livez": _probe(live), "/readyz": _probe(ready), "/openapi.json": openapi}
    for path, answer in answers.items():
        router.add_api_route(path, answer, include_in_schema=False, dependencies=[Depends(anyone())])
    return router


def _probe(check: Probe) -> Callable[[], Awaitable[Response]]:
    async def probe() -> Response:
        parts = dict(await check())
        return JSONResponse(parts, 200 if all(parts.values()) else 503)

    return probe


def _refuse_undeclared(app: FastAPI) -> None:
    if undeclared := undeclared_routes(app):
        raise UndeclaredRoute(f"declare anyone() or require(...) on {', '.join(undeclared)}")
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, APIRoute) and not isinstance(context.original_route, StrictRoute):
            raise UndeclaredRoute(f"collect {context.path} in a shared.http.Router")


def _described(app: FastAPI, messages: Messages) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = describe(app, messages)
    return app.openapi_schema
