"""A service behind the portal over HTTP: time limits, and its problems as errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2
from pydantic import TypeAdapter, ValidationError

from shared.errors import Unavailable

CONNECTIONS = 32
T = TypeVar("T")


@dataclass(frozen=True)
class Fault:
    """What a service does not accept, in the caller's language; `field` as it names its input."""

    field: str
    message: str


class Rejected(Exception):
    """A service refused the request: the same request would be refused again.

    Unless `retry_after` says in how many seconds it may not be.
    """

    def __init__(self, code: str, faults: tuple[Fault, ...], retry_after: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.faults = faults
        self.retry_after = retry_after


class Peer:
    """The service; who asks it gets an answer that makes sense, or an exception."""

    def __init__(
        self, name: str, url: str, timeout: httpx2.Timeout, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        limits = httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS // 2)
        self._name = name
        self._client = httpx2.AsyncClient(
            base_url=url, timeout=timeout, limits=limits, trust_env=False, transport=transport
        )

    async def ask(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """The answer, refusals included. Raises Unavailable when there is none, or only that something is broken."""
        try:
            answer = await self._client.request(method, path, **request)
        except httpx2.HTTPError as error:
            raise Unavailable(f"the {self._name} service does not answer: {error!r}") from error
        if answer.status_code >= 500:
            raise Unavailable(f"the {self._name} service answers {answer.status_code}")
        return answer

    async def close(self) -> None:
        await self._client.aclose()


def read_as(form: TypeAdapter[T], answer: httpx2.Response) -> T:
    """The answer as what it is expected to be. Raises Rejected and Unavailable."""
    try:
        return form.validate_python(content_of(answer))
    except ValidationError as error:
        raise Unavailable(_OTHER_FORM) from error


def content_of(answer: httpx2.Response) -> Any:
    """The answer's JSON. Raises Rejected for a refusal and Unavailable for what is not JSON."""
    try:
        content = answer.json()
    except ValueError as error:
        raise Unavailable(_OTHER_FORM) from error
    if answer.is_success:
        return content
    later = answer.headers.get("retry-after", "")
    raise Rejected(str(content.get("code", "")), _faults(content), int(later) if later.isdecimal() else None)


def _faults(problem: Mapping[str, Any]) -> tuple[Fault, ...]:
    faults = (Fault(str(each.get("field", "")), str(each.get("message", ""))) for each in problem.get("errors", ()))
    single = Fault(str(problem.get("field") or ""), str(problem.get("detail") or problem.get("title") or ""))
    return tuple(faults) or (single,)


_OTHER_FORM = "the service answers in another form than expected"
