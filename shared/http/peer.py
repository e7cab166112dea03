"""The client of another service of the platform: it answers, or it refuses with a problem of its own, or it is away.

    reports = Peer("reports", url)
    answer = await reports.call("POST", "/cases", json=case, key=key, headers=onward(request))
    receipt = answer.read_as(TypeAdapter(Receipt))

A refusal there becomes `Rejected`, with the words that the service chose for the caller; whatever else goes wrong is
`Unavailable`, so that the same request may be sent again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from shared import telemetry
from shared.errors import Unavailable
from shared.http.idempotency import HEADER
from shared.http.limits import client_address
from shared.messages import Language, language

CONNECTIONS = 32
"""Connections to one service from one process."""
CONNECT, POOL = 2.0, 5.0
"""Seconds to connect, and to wait for a connection that is free."""
PATIENCE = 10.0
"""Seconds between two pieces of an answer, unless a call says otherwise."""

T = TypeVar("T")


@dataclass(frozen=True)
class Fault:
    """One thing a service does not accept, in the caller's language; `field` as that service names its input."""

    field: str
    message: str


class Rejected(Exception):
    """The service refused the request and would refuse it again; if `retry_after` is told, only for so many seconds.

    `code` is the stable one of its problem, `status` that of its answer.
    """

    def __init__(self, code: str, faults: tuple[Fault, ...], retry_after: int | None = None, status: int = 422) -> None:
        super().__init__(code)
        self.code = code
        self.faults = faults
        self.retry_after = retry_after
        self.status = status


@dataclass(frozen=True)
class Answer:
    """What a service answered; below 500."""

    service: str
    response: httpx2.Response

    def json(self) -> Any:
        """Its JSON. Raises Rejected for a refusal, and Unavailable for what is not JSON."""
        try:
            read = self.response.json()
        except ValueError as error:
            raise self._odd() from error
        if self.response.is_success:
            return read
        raise _rejected(read if isinstance(read, dict) else {}, self.response)

    def read_as(self, form: TypeAdapter[T]) -> T:
        """The answer as what it is expected to be. Raises Rejected and Unavailable."""
        try:
            return form.validate_python(self.json())
        except ValidationError as error:
            raise self._odd() from error

    def _odd(self) -> Unavailable:
        return Unavailable(f"{self.service} answers in another form than expected")


class Peer:
    """One other service. Its calls raise Unavailable when it does not answer in time, or answers 500 or above."""

    def __init__(
        self,
        service: str,
        url: str,
        *,
        patience: float = PATIENCE,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._service = service
        self._client = httpx2.AsyncClient(
            base_url=url,
            timeout=_timeout(patience),
            limits=httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS // 2),
            trust_env=False,
            transport=transport,
        )

    async def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        json: Any = None,
        content: AsyncIterator[bytes] | bytes | None = None,
        params: Mapping[str, str] | None = None,
        patience: float | None = None,
    ) -> Answer:
        """Its answer, a refusal included; with an idempotency `key` it takes effect once. Raises Unavailable."""
        sent = {**(headers or {}), **({HEADER.lower(): key} if key else {})}
        asked: dict[str, Any] = {"headers": sent, "params": params, "content": content}
        if json is not None:
            asked["json"] = json
        if patience is not None:
            asked["timeout"] = _timeout(patience)
        try:
            response = await self._client.request(method, path, **asked)
        except httpx2.HTTPError as error:
            raise Unavailable(f"{self._service} does not answer: {error!r}") from error
        if response.status_code >= 500:
            raise Unavailable(f"{self._service} answers {response.status_code}")
        return Answer(self._service, response)

    async def close(self) -> None:
        """No calls after this."""
        await self._client.aclose()


def onward(request: Request, spoken: Language | None = None, token: str | None = None) -> dict[str, str]:
    """Headers that carry a request's caller on: their address, the trace, and a token if one is given.

    And the language: `spoken`, or what the request itself prefers.
    """
    preferred = language(request.headers.get("accept-language", ""))
    address = client_address(request)
    # What a proxy passed on from outside may be anything; what is no address would not even go into a header.
    carried = {"x-forwarded-for": address if address.isascii() else "", "accept-language": spoken or preferred}
    if (trace := telemetry.current_traceparent()) is not None:
        carried["traceparent"] = trace
    return {**carried, "authorization": f"Bearer {token}"} if token else carried


def _timeout(patience: float) -> httpx2.Timeout:
    return httpx2.Timeout(patience, connect=min(CONNECT, patience), pool=min(POOL, patience))


def _rejected(problem: Mapping[str, Any], response: httpx2.Response) -> Rejected:
    errors = problem.get("errors")
    found = [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
    faults = tuple(Fault(str(each.get("field", "")), str(each.get("message", ""))) for each in found)
    single = Fault(str(problem.get("field") or ""), str(problem.get("detail") or problem.get("title") or ""))
    later = response.headers.get("retry-after", "")
    wait = int(later) if later.isascii() and later.isdecimal() else None
    return Rejected(str(problem.get("code", "")), faults or (single,), wait, response.status_code)
