"""The outermost layer: one pure ASGI middleware, because each further layer costs every request."""

from __future__ import annotations

import re
import secrets
import time

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import telemetry
from shared.http.problems import BodyTooLarge, Problem

BODY_LIMIT = "x-max-body-bytes"
"""Member of a route's `openapi_extra` that overrides the application's limit."""
CLIENT_GONE = "499"
"""The status that is counted when no response was begun, as nginx has it."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")

_log = telemetry.logger(__name__)


class Edge:
    """Request id, trace, body limit, protective headers, metrics, and the last resort for what nobody caught."""

    def __init__(self, app: ASGIApp, service: str, body_bytes: int) -> None:
        self._app = app
        self._service = service
        self._body_bytes = body_bytes
        self._in_flight = telemetry.HTTP_SERVER_IN_FLIGHT_REQUESTS.labels(service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = scope["request_id"] = _request_id(headers.get(b"x-request-id", b""))
        body = _BoundedBody(scope, receive, headers.get(b"content-length", b""), self._body_bytes)
        answer = _Answer(send, request_id)
        started = time.perf_counter()
        self._in_flight.inc()
        try:
            parent = headers.get(b"traceparent", b"").decode("latin-1")
            with telemetry.working_for(parent, request_id, name="request", kind="server"):
                await self._run(scope, body, answer)
                self._describe(scope, answer.status)
        finally:
            self._in_flight.dec()
            self._count(scope, answer.status, time.perf_counter() - started)

    async def _run(self, scope: Scope, body: _BoundedBody, answer: _Answer) -> None:
        try:
            await self._app(scope, body.receive, answer.send)
        except ClientDisconnect:
            _log.info("the caller is gone", method=scope["method"], route=_template(scope))
        except Exception:
            _log.exception("unexpected error", method=scope["method"], route=_template(scope))
            if answer.status is not None:
                # The client is to see a broken response, not one that looks whole.
                raise
            await Problem("internal", 500).answer(Request(scope))(scope, body.receive, answer.send)

    def _describe(self, scope: Scope, status: int | None) -> None:
        method, route = scope["method"] if scope["method"] in _METHODS else "other", _template(scope)
        attributes = {"http.request.method": method, "http.route": route, "http.response.status_code": status or 0}
        telemetry.describe_work(f"{method} {route}", attributes)

    def _count(self, scope: Scope, status: int | None, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        outcome = str(status) if status is not None else CLIENT_GONE
        route = _template(scope)
        telemetry.HTTP_SERVER_REQUEST_DURATION_SECONDS.labels(self._service, method, route, outcome).observe(seconds)
        _log.debug("request", method=method, route=route, status=outcome, seconds=round(seconds, 6))


class _Answer:
    """What goes out: notes the status and adds the headers that every response carries."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._added = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), *self._added]
            if not any(name.lower() == b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))
            message["headers"] = headers
        await self._send(message)


class _BoundedBody:
    """What comes in, up to the limit of the route: declared sizes are refused unread, others are counted."""

    def __init__(self, scope: Scope, receive: Receive, declared: bytes, limit: int) -> None:
        self._scope = scope
        self._receive = receive
        self._declared = int(declared) if declared.isdigit() else 0
        self._limit = limit
        self._read = 0

    async def receive(self) -> Message:
        """The next piece. Raises BodyTooLarge."""
        route = self._scope.get("route")
        extra = getattr(route, "openapi_extra", None) or {}
        limit = extra.get(BODY_LIMIT, self._limit)
        if self._declared > limit:
            raise BodyTooLarge(limit)
        message = await self._receive()
        self._read += len(message.get("body", b""))
        if self._read > limit:
            raise BodyTooLarge(limit)
        return message


def _request_id(given: bytes) -> str:
    return given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _template(scope: Scope) -> str:
    """The route's template, `<mount>/*`, or `unmatched`: raw paths would be labels without bound."""
    if (template := getattr(scope.get("route"), "path_format", None)) is not None:
        return str(template)
    return f"{scope['root_path']}/*" if "endpoint" in scope else "unmatched"
