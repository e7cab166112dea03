"""Who is calling, and what they may do.

A caller proves who they are by a JSON Web Token of the district's identity provider. Each route declares who
it is for, by `anyone()` or `require(...)`; an application with a route that does not is refused at its start:

    async def reply(caller: Annotated[Principal, Depends(require(Role.OFFICER))]) -> Response: ...

Who may give a command of a service is declared by the command, and its roles follow from the service's own table:

    def may(command: Command) -> Access:
        return require(*roles_of(command), act=command)
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import jwt
from fastapi import FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.openapi.models import HTTPBearer
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.security.base import SecurityBase
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from shared.clock import Clock
from shared.errors import Forbidden, Unauthenticated, Unavailable
from shared.roles import UNIT, Role
from shared.telemetry import logger

ALGORITHMS = frozenset({"RS256", "ES256", "EdDSA"})
"""Signatures only: a shared secret (HS*) or no signature at all never proves anything here."""
LEEWAY = timedelta(seconds=30)
"""How far the issuer's clock and ours may be apart."""
MAX_TOKEN = 8192
"""Bytes; the header of an honest token is far smaller."""
KEYS_SECONDS = 150
"""Age at which nobody is let in by the keys that were read before new ones have been asked for."""
REMEMBERED_SECONDS = 150
"""How long a verified token is let through without being verified again.

Together: a key that the issuer withdrew lets nobody in after 300 seconds, as long as the issuer answers.
"""

_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller. `unit` is the code of the unit an officer belongs to, `team` a volunteer's team."""

    subject: str
    roles: frozenset[Role] = frozenset()
    unit: str | None = None
    team: str | None = None

    @property
    def anonymous(self) -> bool:
        """Nobody proved to be anybody."""
        return not self.subject

    def has(self, *roles: Role) -> bool:
        """Whether the caller holds one of the roles."""
        return not self.roles.isdisjoint(roles)

    def works_for(self, *units: str | None) -> bool:
        """Whether they are a person of one of the units: the claim alone, without a role of a unit, opens nothing."""
        return self.unit is not None and self.unit in units and self.has(*UNIT, Role.HEAD)


ANONYMOUS = Principal("")


class KeySet:
    """The issuer's public keys, from a file or an https address.

    Read again when a token names an unknown key and after `ttl` seconds, by then while the caller waits and from half
    of them on beside, but never twice within `floor` seconds. While the source is down the last keys stay valid.
    """

    def __init__(
        self,
        source: str,
        *,
        ttl: float = KEYS_SECONDS,
        floor: float = 10,
        timeout: float = 5,
        monotonic: Callable[[], float] = time.monotonic,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._source = source
        self._ttl, self._floor, self._timeout = ttl, floor, timeout
        self._monotonic = monotonic
        self._transport = transport
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._asked = -float("inf")
        self._lock = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> jwt.PyJWK | None:
        """The key of that name; a token without one names none. Raises Unavailable if no key was ever read."""
        if self._pick(kid) is None or self._age() > self._ttl:
            await self._refresh(kid, self._ttl)
        elif self._age() > self._ttl / 2 and not self._lock.locked():
            # Where callers are many, none of them waits for a slow issuer.
            self._refreshing = asyncio.create_task(self._refresh(kid, self._ttl / 2))
        if not self._keys:
            raise Unavailable("the key set of the token issuer cannot be read")
        return self._pick(kid)

    def _pick(self, kid: str | None) -> jwt.PyJWK | None:
        return None if kid is None else self._keys.get(kid)

    def _age(self) -> float:
        return self._monotonic() - self._asked

    async def _refresh(self, kid: str | None, ttl: float) -> None:
        async with self._lock:
            fresh = self._age() <= ttl and self._pick(kid) is not None
            if fresh or self._age() < self._floor:
                return
            self._asked = self._monotonic()
            try:
                self._keys = _usable_keys(await self._read())
            except (OSError, httpx2.HTTPError, ValueError) as error:
                _log.warning("key set not read; the last keys stay", source=self._source, why=repr(error))

    async def _read(self) -> bytes:
        if not self._source.startswith(("https://", "http://")):
            return await asyncio.to_thread(Path(self._source).read_bytes)
        async with httpx2.AsyncClient(timeout=self._timeout, transport=self._transport) as client:
            answer = await client.get(self._source)
            return answer.raise_for_status().content


def _usable_keys(document: bytes) -> dict[str | None, jwt.PyJWK]:
    """Keys that verify signatures we accept. Raises ValueError when there are none: better the old keys."""
    read = json.loads(document)
    keys: dict[str | None, jwt.PyJWK] = {}
    for entry in read.get("keys", []) if isinstance(read, dict) else []:
        try:
            key = jwt.PyJWK(entry)
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
            continue  # a key of a kind that we do not know may stand beside those that we do
        if key.algorithm_name in ALGORITHMS and entry.get("use", "sig") == "sig":
            keys[key.key_id] = key
    if not keys:
        raise ValueError("no usable key in the key set")
    return keys


class Verifier:
    """Turns a bearer token into a Principal; a verified token is remembered for a while.

    `clock` is the time tokens live in: the machine's, even where a demonstration shows another.
    """

    def __init__(self, keys: KeySet | str, issuer: str, audience: str, clock: Clock, remembered: int = 10_000):
        self._keys = KeySet(keys) if isinstance(keys, str) else keys
        self._issuer, self._audience = issuer, audience
        self._clock = clock
        self._remembered = remembered
        self._known: OrderedDict[str, tuple[float, Principal]] = OrderedDict()

    async def verify(self, token: str) -> Principal:
        """The caller.

        Raises Unauthenticated (`token-invalid`, `token-expired`, `token-without-unit`, `token-with-unit`), and
        Unavailable without keys.
        """
        now = self._clock.now().timestamp()
        if (known := self._known.get(token)) is not None and known[0] > now:
            self._known.move_to_end(token)
            return known[1]
        claims = await self._claims(token)
        until = _seconds(claims, "exp") + LEEWAY.total_seconds()
        if until <= now:
            self._known.pop(token, None)
            raise Unauthenticated("token-expired")
        if _seconds(claims, "nbf", now) - LEEWAY.total_seconds() > now:
            raise Unauthenticated("token-invalid")
        principal = _principal(claims)
        self._known[token] = (min(until, now + REMEMBERED_SECONDS), principal)
        if len(self._known) > self._remembered:
            self._known.popitem(last=False)
        return principal

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            if len(token) > MAX_TOKEN:
                raise jwt.InvalidTokenError("too long")
            header = jwt.get_unverified_header(token)
            key = await self._keys.find(header.get("kid"))
            if key is None:
                raise jwt.InvalidTokenError("unknown key")
            return jwt.decode(
                token,
                key,
                algorithms=sorted(ALGORITHMS),
                issuer=self._issuer,
                audience=self._audience,
                # Times are judged by our clock below, not by PyJWT's.
                options={
                    "require": ["exp", "iss", "aud", "sub"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise Unauthenticated("token-invalid") from error


def _seconds(claims: dict[str, Any], name: str, default: float | None = None) -> float:
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        raise Unauthenticated("token-invalid")
    return float(value)


def _principal(claims: dict[str, Any]) -> Principal:
    roles = claims.get("roles", [])
    scope = [claims.get("unit"), claims.get("team")]
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles) or not claims["sub"]:
        raise Unauthenticated("token-invalid")
    if not all(value is None or isinstance(value, str) for value in scope):
        raise Unauthenticated("token-invalid")
    if not all(_is_text(value) for value in (claims["sub"], *scope) if value is not None):
        raise Unauthenticated("token-invalid")
    held = frozenset(Role(role) for role in roles if role in _ROLES)
    refuse_contradiction(held, claims.get("unit"))
    return Principal(claims["sub"], held, *scope)


def _is_text(value: str) -> bool:
    """A lone surrogate is half a character: nothing can keep it."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


_ROLES = frozenset(Role)


def refuse_contradiction(roles: frozenset[Role], unit: str | None) -> None:
    """A head is the head of some unit, and the district's leader belongs to none.

    Raises Unauthenticated (`token-without-unit`, `token-with-unit`).
    """
    if Role.HEAD in roles and not unit:
        raise Unauthenticated("token-without-unit", role=Role.HEAD.value)
    if Role.LEADER in roles and unit:
        raise Unauthenticated("token-with-unit", role=Role.LEADER.value)


Admission = Callable[[Request, Principal], None]
"""Raises TooMany for a caller who has asked too often, or anything else that a request is to be refused with."""


class Access(SecurityBase):
    """The declaration of who a route is for; as a dependency it gives the Principal.

    Routes of `shared.http.Router` call it before they read the body, and once more as the dependency.
    """

    scheme_name = "bearer"
    model = HTTPBearer(bearerFormat="JWT", description="A token of the district's identity provider")

    def __init__(
        self,
        roles: frozenset[Role],
        anonymous: bool,
        act: str = "",
        impartial: bool = False,
        admit: Admission | None = None,
    ) -> None:
        """`act` is the command that the route gives, where a service's table says who may give it.

        `impartial`: the command is a decision that nobody takes in their own cause (see shared/own_cause.py); the
        service refuses it when it knows whom it concerns.
        `admit` is asked once for each request before anything of it is read: where callers are counted.
        """
        self.roles = roles
        self.anonymous = anonymous
        self.act = act
        self.impartial = impartial
        self._admit = admit

    async def __call__(self, request: Request) -> Principal:
        if request.scope.get("access") is self:
            admitted: Principal = request.scope["principal"]
            return admitted
        principal = await _identify(request)
        if principal.anonymous and not self.anonymous:
            raise Unauthenticated("token-missing")
        if self.roles and principal.roles.isdisjoint(self.roles):
            raise Forbidden("role-required", roles=", ".join(sorted(self.roles)))
        request.scope.update(access=self, principal=principal)
        if self._admit is not None:
            self._admit(request, principal)
        return principal


def anyone(*, act: str = "", admit: Admission | None = None) -> Access:
    """The route is for everybody; a token is not needed, but a bad one is refused."""
    return Access(frozenset(), anonymous=True, act=act, admit=admit)


def require(*roles: Role, act: str = "", impartial: bool = False, admit: Admission | None = None) -> Access:
    """The route is for callers with one of the roles, or for any known caller when none is named."""
    return Access(frozenset(roles), anonymous=False, act=act, impartial=impartial, admit=admit)


async def _identify(request: Request) -> Principal:
    given = request.headers.getlist("authorization")
    if not given:
        return ANONYMOUS
    scheme, _, token = given[0].partition(" ")
    if len(given) > 1:  # which of two counts is not for us to guess, nor for a proxy before us
        raise Unauthenticated("token-invalid")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("token-invalid")
    verifier: Verifier = request.app.state.verifier
    return await verifier.verify(token.strip())


def declared_access(dependant: Dependant) -> Access | None:
    """Who the route with these dependencies is for, or None if it does not say."""
    return next(_declarations(dependant), None)


def _declarations(dependant: Dependant) -> Iterator[Access]:
    for inner in dependant.dependencies:
        if isinstance(inner.call, Access):
            yield inner.call
        yield from _declarations(inner)


def undeclared_routes(app: FastAPI) -> list[str]:
    """Paths of routes that do not say who they are for; folders of static files need not."""
    undeclared = []
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        declared = isinstance(route, APIRoute) and declared_access(context.dependant) is not None
        static = isinstance(route, Mount) and isinstance(route.app, StaticFiles)
        if not (declared or static):
            undeclared.append(str(context.path))
    return undeclared
