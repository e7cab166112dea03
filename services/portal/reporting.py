"""Reports of citizens on their way to the reports service. Nothing of them is kept here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from shared.errors import Unavailable

TIMEOUT = httpx.Timeout(connect=2, read=30, write=30, pool=5)
"""Seconds. Reading is long because the reports service decodes photos before it answers."""
CONNECTIONS = 32
PIECE = 65_536
MOST_COPY = 8 * 1024 * 1024
"""Bytes of a photo's public copy; the largest known ones stay below 2 MB."""


class Receipt(BaseModel):
    """A case on file; `sequence` is the number of its first event."""

    case: str
    sequence: int


@dataclass(frozen=True)
class Fault:
    """What the reports service does not accept, in the caller's language; `field` as it names its input."""

    field: str
    message: str


class Rejected(Exception):
    """The reports service refused the request: the same request would be refused again."""

    def __init__(self, code: str, faults: tuple[Fault, ...]) -> None:
        super().__init__(code)
        self.code = code
        self.faults = faults


class Reports:
    """The reports service. Every method raises Unavailable when it does not answer, or not sensibly."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS // 2)
        self._client = httpx.AsyncClient(
            base_url=url, timeout=TIMEOUT, limits=limits, trust_env=False, transport=transport
        )

    async def upload(self, photo: UploadFile, headers: Mapping[str, str]) -> str:
        """The identity of the photo there. Raises Rejected."""
        await photo.seek(0)
        described = {**headers, "content-length": str(photo.size), "content-type": "application/octet-stream"}
        answer = await self._send("POST", "/photos", headers=described, content=_pieces(photo))
        return str(_told(answer).get("photo", ""))

    async def file(self, case: Mapping[str, Any], key: str, headers: Mapping[str, str]) -> Receipt:
        """Put the case on file; sent again with the same key, it is on file once. Raises Rejected."""
        answer = await self._send("POST", "/cases", headers={**headers, "idempotency-key": key}, json=case)
        try:
            return Receipt.model_validate(_told(answer))
        except ValidationError as error:
            raise Unavailable("the reports service answers in another form than expected") from error

    async def photo(self, id: str, size: str, known: str | None, headers: Mapping[str, str]) -> httpx.Response:
        """The public copy: 200, 304 when the browser's is `known` to be the same, or 404."""
        asked = {**headers, "if-none-match": known} if known else headers
        answer = await self._send("GET", f"/photos/{id}/{size}", headers=asked)
        if answer.status_code not in {200, 304, 404} or len(answer.content) > MOST_COPY:
            raise Unavailable(f"the reports service answers {answer.status_code} for a photo")
        return answer

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = await self._client.request(method, path, **request)
        except httpx.HTTPError as error:
            raise Unavailable(f"the reports service does not answer: {error!r}") from error
        if answer.status_code >= 500:
            raise Unavailable(f"the reports service answers {answer.status_code}")
        return answer


async def _pieces(photo: UploadFile) -> AsyncIterator[bytes]:
    while piece := await photo.read(PIECE):
        yield piece


def _told(answer: httpx.Response) -> dict[str, Any]:
    """The answer's JSON. Raises Rejected for a refusal and Unavailable for what is not JSON."""
    try:
        told: dict[str, Any] = answer.json()
    except ValueError as error:
        raise Unavailable("the reports service answers in another form than expected") from error
    if answer.is_success:
        return told
    faults = tuple(Fault(str(each.get("field", "")), str(each.get("message", ""))) for each in told.get("errors", ()))
    single = Fault(str(told.get("field") or ""), str(told.get("detail") or told.get("title") or ""))
    raise Rejected(str(told.get("code", "")), faults or (single,))
