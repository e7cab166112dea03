"""Routes that read JSON strictly, and commands without the detour.

FastAPI solves a route's parameters by walking its dependency tree at every request. A command needs none of that: a
caller, path parameters that are text, at most one model, and it answers by itself. Such a route is recognised when
it is declared and called directly, at less than half the cost; FastAPI documents it all the same.
"""

from __future__ import annotations

import typing
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.types import Receive, Scope, Send

from shared.auth import Access


class StrictRequest(Request):
    """A request whose JSON has neither NaN nor Infinity nor broken text, and is not nested without end."""

    async def json(self) -> Any:
        """The body. Raises ValueError, which becomes 400 `body-malformed`."""
        return from_json(await self.body(), allow_inf_nan=False)


@dataclass(frozen=True)
class _Direct:
    """How a command is called without FastAPI's dependency solver."""

    endpoint: Callable[..., Awaitable[Response]]
    request: str
    caller: str
    access: Access
    path: tuple[str, ...]
    body: tuple[str, type[BaseModel]] | None

    @classmethod
    def of(cls, route: APIRoute) -> _Direct | None:
        """None for a route that has more to it than a command."""
        dependant = route.dependant
        request = dependant.request_param_name
        if request is None or dependant.call is None or not _is_plain(dependant):
            return None
        hints = typing.get_type_hints(dependant.call)
        body = dependant.body_params[0] if dependant.body_params else None
        model = hints[body.name] if body is not None else None
        [caller] = dependant.dependencies
        if not (isinstance(caller.call, Access) and caller.name and hints.get("return") is Response):
            return None
        if any(hints[param.name] is not str for param in dependant.path_params):
            return None
        if body is not None and not (isinstance(model, type) and issubclass(model, BaseModel)):
            return None
        return cls(
            endpoint=dependant.call,
            request=request,
            caller=caller.name,
            access=caller.call,
            path=tuple(param.name for param in dependant.path_params),
            body=(body.name, model) if body is not None and model is not None else None,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        told: dict[str, Any] = {name: scope["path_params"][name] for name in self.path}
        told[self.caller] = await self.access(request)
        told[self.request] = request
        if self.body is not None:
            name, model = self.body
            told[name] = await _read(request, model)
        response = await self.endpoint(**told)
        await response(scope, receive, send)


def _is_plain(dependant: Dependant) -> bool:
    other = (dependant.query_params, dependant.header_params, dependant.cookie_params)
    return not any(other) and len(dependant.body_params) <= 1 and len(dependant.dependencies) == 1


async def _read(request: Request, model: type[BaseModel]) -> BaseModel:
    """The body as the model. Raises what FastAPI would: HTTPException 400, RequestValidationError."""
    body = await request.body()
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and sent != "application/json" and not (sent.startswith("application/") and sent.endswith("+json")):
        raise RequestValidationError([])
    if not body:
        raise RequestValidationError([{"type": "missing", "loc": ("body",)}])
    try:
        told = from_json(body, allow_inf_nan=False)
    except ValueError:
        raise HTTPException(400) from None
    try:
        return model.model_validate(told)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        raise RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in faults]) from None


class StrictRoute(APIRoute):
    """A route of ours."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if (direct := _Direct.of(self)) is not None:
            self.app = direct

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler behind our request."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictRequest(request.scope, request.receive))

        return strict


class Router(APIRouter):
    """Where a service collects its routes; the prefix belongs to it, not to its inclusion."""

    def __init__(
        self,
        prefix: str = "",
        tags: list[str] | None = None,
        responses: dict[int | str, dict[str, Any]] | None = None,
    ) -> None:
        """`responses` are described for every route of it."""
        super().__init__(prefix=prefix, tags=list(tags or []), responses=responses, route_class=StrictRoute)
