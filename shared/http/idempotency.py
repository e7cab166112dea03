"""Commands over HTTP: decided, committed and answered once, however often they are sent.

The answer is remembered in the transaction of the command. Nothing is looked up beforehand: only a command that
fails asks whether it had succeeded before, so the usual request pays nothing.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from string import Formatter
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from shared import telemetry
from shared.auth import ANONYMOUS, Principal
from shared.errors import Conflict, DomainError, Duplicate, Invalid, Unavailable
from shared.http.limits import client_address, subscriber
from shared.http.problems import problem_of
from shared.store import Remembered, Store, UnitOfWork, remember
from shared.vault import Vault

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
UNGUESSABLE = 22
"""Characters of 128 random bits in base 64; a UUID has 36."""
IDEMPOTENT: dict[str, Any] = {
    "parameters": [
        {
            "name": HEADER,
            "in": "header",
            "required": False,
            "description": "同一请求重发时使用同一键，只生效一次 · Sent again with the same key, "
            "a request takes effect once and is answered as the first time (7 days).",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
            "example": "0b6cf3b2-6a4f-4a0e-9d53-4f1f3b1c2a11",
        }
    ]
}
"""`openapi_extra` of a route that answers by `answer`."""
_KEY = re.compile(r"[!-~]{1,200}")
_PURPOSE = "request"

Command = Callable[[UnitOfWork], Awaitable[BaseModel]]


async def answer(
    request: Request,
    command: Command,
    status: int = 201,
    location: str | None = None,
    *,
    vault: Vault | None = None,
) -> Response:
    """Run the command and answer with the model it returns; the route documents it as `response_model`.

    `location` is a template over the members of the answer (`/cases/{id}`). With a `vault`, what is remembered of
    request and answer is sealed: for requests that carry personal data, and answers that hold a secret. Raises what
    the command and the commit raise, and Invalid (`idempotency-key-malformed`, `idempotency-key-reused`).
    """
    store: Store = request.app.state.store
    given = request.headers.get(HEADER)
    if given is None:
        return _response(await store.run(lambda uow: _serialised(command, uow)), status, location)
    key, memory = _scoped(request, given), _Memory(_fingerprint(request, await request.body()), vault)

    async def remembered(uow: UnitOfWork) -> bytes:
        body = await _serialised(command, uow)
        remember(uow, key, memory.fingerprint(), status, memory.kept(body))
        return body

    try:
        return _response(await store.run(remembered), status, location)
    except (DomainError, Conflict):
        earlier = await store.recall(key)
        if earlier is None:
            raise
        return _replayed(earlier, memory, location)


@dataclass(frozen=True)
class _Memory:
    """In which form a request is recognised and its answer kept."""

    asked: str
    vault: Vault | None

    def fingerprint(self) -> str:
        return self.vault.digest(_PURPOSE, self.asked) if self.vault else self.asked

    def fits(self, fingerprint: str) -> bool:
        known = self.vault.digests(_PURPOSE, self.asked) if self.vault else [self.asked]
        return fingerprint in known

    def kept(self, body: bytes) -> bytes:
        return self.vault.seal(body.decode()).encode() if self.vault else body

    def opened(self, kept: bytes) -> bytes:
        return self.vault.open(kept.decode()).encode() if self.vault else kept


async def answer_each(request: Request, commands: Mapping[str, Command]) -> Response:
    """Run several commands by name, each in a transaction of its own; answer with what became of each, in order.

    `[{"id": name, "answer": {…}}, {"id": name, "problem": {…}}]`: a command takes effect or is refused by itself. Sent
    again with the same key, those that took effect are answered the same and the others are tried again. Raises
    Invalid (`idempotency-key-malformed`, `idempotency-key-reused`).
    """
    store: Store = request.app.state.store
    key = await _claimed(request, store)

    async def run(name: str, command: Command) -> dict[str, object]:
        part = key and f"{key}/{name}"

        async def remembered(uow: UnitOfWork) -> bytes:
            body = await _serialised(command, uow)
            if part:
                remember(uow, part, "", 200, body)
            return body

        try:
            body = await store.run(remembered)
        except (DomainError, Conflict, Unavailable) as error:
            earlier = await store.recall(part) if part and not isinstance(error, Unavailable) else None
            if earlier is None:
                return {"id": name, "problem": problem_of(error).content(request)}
            body = earlier.body
        return {"id": name, "answer": json.loads(body)}

    done = await asyncio.gather(*(run(name, command) for name, command in commands.items()))
    return Response(json.dumps(done, ensure_ascii=False, default=str), media_type="application/json")


async def _claimed(request: Request, store: Store) -> str | None:
    """The scoped key of the request, kept with its fingerprint before anything is done; None without one."""
    given = request.headers.get(HEADER)
    if given is None:
        return None
    key, fingerprint = _scoped(request, given), _fingerprint(request, await request.body())

    async def claim(uow: UnitOfWork) -> None:
        remember(uow, key, fingerprint, 200, b"")

    try:
        await store.run(claim)
    except Duplicate:
        earlier = await store.recall(key)
        if earlier is not None and earlier.fingerprint != fingerprint:
            raise Invalid("idempotency-key-reused", field=HEADER) from None
    return key


async def _serialised(command: Command, uow: UnitOfWork) -> bytes:
    result = await command(uow)
    return result.__pydantic_serializer__.to_json(result)


def _replayed(earlier: Remembered, memory: _Memory, location: str | None) -> Response:
    if not memory.fits(earlier.fingerprint):
        raise Invalid("idempotency-key-reused", field=HEADER)
    telemetry.IDEMPOTENT_REPLAYS.inc()
    response = _response(memory.opened(earlier.body), earlier.status, location)
    response.headers[REPLAYED] = "true"
    return response


def _response(body: bytes, status: int, location: str | None) -> Response:
    if location is None:
        return Response(body, status, media_type="application/json")
    found = json.loads(body)
    members = {name: quote(str(found[name]), safe="") for name in _members(location)}
    return Response(body, status, {"location": location.format_map(members)}, "application/json")


@lru_cache(maxsize=100)
def _members(template: str) -> tuple[str, ...]:
    return tuple(name for _, name, _, _ in Formatter().parse(template) if name)


def _scoped(request: Request, given: str) -> str:
    """One caller's key on one route; another caller's equal key is another key.

    Of callers without an account only a key too long to be guessed tells one from another, wherever they are by the
    time they ask again; a shorter one counts for the subscriber it came from.
    """
    if not _KEY.fullmatch(given):
        raise Invalid("idempotency-key-malformed", field=HEADER)
    caller: Principal = request.scope.get("principal", ANONYMOUS)
    route = f"{request.method} {request.scope['route'].path_format}"
    scope = [caller.subject, route, given]
    if caller.anonymous and len(given) < UNGUESSABLE:
        scope.append(subscriber(client_address(request)))
    return sha256("\n".join(scope).encode()).hexdigest()


def _fingerprint(request: Request, body: bytes) -> str:
    scope = request.scope
    asked = f"{scope['method']}\n{scope['path']}?".encode() + scope["query_string"]
    return sha256(asked + b"\n" + body).hexdigest()
