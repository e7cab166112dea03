"""Routes that ask who calls before they read, read strictly, and run commands without the detour.

FastAPI reads a body before it asks who sent it; here a caller is admitted first, and what is counted by caller is
counted by then.

FastAPI solves a route's parameters by walking its dependency tree at every request. A command needs none of that: a
caller, path parameters that are text, at most one model, and it answers by itself. Such a route is recognised when
it is declared and called directly, at less than half the cost; FastAPI documents it all the same.
"""

from __future__ import annotations

import typing
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.params import Body as BodyParam
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.types import Receive, Scope, Send

from shared.auth import Access, declared_access
from shared.http.body import Overloaded, loose, parsed
from shared.http.problems import BodyTooComplex
from shared.http.query import Query


class _Reader:
    """Reads the one JSON body of a route: counted, then strictly, as what the route declares."""

    def __init__(self, annotation: Any, required: bool) -> None:
        self._adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        self._required = required

    @classmethod
    def of(cls, route: APIRoute) -> _Reader | None:
        """None for a route that reads nothing, a form, or bytes of its own."""
        params = route.dependant.body_params
        if len(params) != 1 or isinstance(params[0].field_info, Form):
            return None
        field = params[0].field_info
        embedded = isinstance(field, BodyParam) and bool(field.embed)
        return None if embedded else cls(field.annotation, field.is_required())

    async def read(self, request: Request) -> Any:
        """Raises what FastAPI would: HTTPException (400, 413), RequestValidationError."""
        body = await request.body()
        sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if body and sent != "application/json" and not (sent.startswith("application/") and sent.endswith("+json")):
            raise RequestValidationError([])
        if not body and self._required:
            raise RequestValidationError([{"type": "missing", "loc": ("body",)}])
        if not body:
            return None
        try:
            raw = parsed(body)
        except Overloaded:
            raise BodyTooComplex from None
        except ValueError:
            raise HTTPException(400) from None
        try:
            read = self._adapter.validate_json(body, strict=True)
        except ValidationError as error:
            raise _refusal(error.errors(include_url=False, include_input=False)) from None
        if faults := list(loose(raw, read)):
            raise _refusal(faults)
        return read


def _refusal(faults: Iterable[Mapping[str, Any]]) -> RequestValidationError:
    return RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in faults])


class StrictRequest(Request):
    """A request whose JSON body was read already."""

    read: Any

    async def json(self) -> Any:
        """What the body says, as the model that the route declares."""
        return self.read


@dataclass(frozen=True)
class _Direct:
    """How a command is called without FastAPI's dependency solver."""

    endpoint: Callable[..., Awaitable[Response]]
    request: str
    caller: str
    access: Access
    path: tuple[str, ...]
    query: Query
    body: tuple[str, _Reader] | None

    @classmethod
    def of(cls, route: APIRoute) -> _Direct | None:
        """None for a route that has more to it than a command."""
        dependant = route.dependant
        request = dependant.request_param_name
        if request is None or dependant.call is None or not _is_plain(dependant):
            return None
        hints = typing.get_type_hints(dependant.call)
        reader = _Reader.of(route)
        [caller] = dependant.dependencies
        if not (isinstance(caller.call, Access) and caller.name and hints.get("return") is Response):
            return None
        if any(hints[param.name] is not str for param in dependant.path_params):
            return None
        if dependant.body_params and (reader is None or not dependant.body_params[0].field_info.is_required()):
            return None
        return cls(
            endpoint=dependant.call,
            request=request,
            caller=caller.name,
            access=caller.call,
            path=tuple(param.name for param in dependant.path_params),
            query=Query(dependant),
            body=(dependant.body_params[0].name, reader) if reader is not None else None,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        arguments: dict[str, Any] = {name: scope["path_params"][name] for name in self.path}
        arguments[self.caller] = await self.access(request)
        arguments[self.request] = request
        self.query.refuse(request)
        if self.body is not None:
            name, reader = self.body
            arguments[name] = await reader.read(request)
        response = await self.endpoint(**arguments)
        await response(scope, receive, send)


def _is_plain(dependant: Dependant) -> bool:
    other = (dependant.query_params, dependant.header_params, dependant.cookie_params)
    return not any(other) and len(dependant.body_params) <= 1 and len(dependant.dependencies) == 1


class StrictRoute(APIRoute):
    """A route of ours."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if (direct := _Direct.of(self)) is not None:
            self.app = direct

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, behind the caller's admission and our reading."""
        handler = super().get_route_handler()
        access, query, reader = declared_access(self.dependant), Query(self.dependant), _Reader.of(self)

        async def strict(request: Request) -> Response:
            if access is not None:
                await access(request)
            query.refuse(request)
            ours = StrictRequest(request.scope, request.receive)
            if reader is not None:
                ours.read = await reader.read(ours)
            return await handler(ours)

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
