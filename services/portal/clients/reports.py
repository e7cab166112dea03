"""Reports of citizens on their way to the reports service, and what it tells their reporters. Nothing is kept here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx2
from pydantic import BaseModel, Field, TypeAdapter
from starlette.datastructures import UploadFile

from shared.contracts.reports import CaseState, Kind
from shared.errors import Unavailable
from shared.http.peer import Peer

PATIENCE = 30.0
"""Seconds. It decodes photos before it answers."""
SHORT = 3.0
"""Seconds for what a page can do without."""
PIECE = 65_536
MOST_COPY = 8 * 1024 * 1024
"""Bytes of a photo's public copy; the largest known ones stay below 2 MB."""


class Receipt(BaseModel):
    """A case on file; `sequence` is the number of its first event, `tracking` the code that is shown only here."""

    case: str
    sequence: int
    tracking: str = Field(default="", repr=False)


class Following(BaseModel):
    """A case that somebody follows from now on, and the code that shows it to them."""

    case: str
    tracking: str = Field(default="", repr=False)


class Similar(BaseModel):
    """An open case of the same category nearby; address and photos are those that everybody may see."""

    case: str
    state: CaseState
    unit: str | None = None
    metres: int
    registered_at: datetime
    address: str = ""
    photos: tuple[str, ...] = ()


class TrackedLine(BaseModel):
    """Something that happened, in words; `by` is a unit or a side, `mine`: the reader did it."""

    at: datetime
    command: str
    words: str
    by: str | None = None
    note: str = ""
    photos: tuple[str, ...] = ()
    mine: bool = False


class Tracked(BaseModel):
    """A case as its reporter or a follower sees it, in their language; `may` is what they may do now.

    `part` is reporter, follower or, of a case merged into this one, merged. `moderation` is approved, pending or
    withheld: whether the public sees address and photos.
    """

    case: str
    part: str = "reporter"
    merged: str | None = None
    kind: Kind = Kind.PROBLEM
    state: CaseState
    words: str
    category: str
    unit: str | None = None
    address: str = ""
    moderation: str = "approved"
    registered_at: datetime
    due_at: datetime | None = None
    question: str | None = None
    answer_until: datetime | None = None
    object_until: datetime | None = None
    resolved: bool | None = None
    satisfied: bool | None = None
    may: tuple[str, ...] = ()
    timeline: tuple[TrackedLine, ...] = ()


class Reports:
    """The reports service. Every method raises Unavailable when it does not answer, or not sensibly."""

    def __init__(self, url: str, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._peer = Peer("reports", url, patience=PATIENCE, transport=transport)

    async def upload(self, photo: UploadFile, headers: Mapping[str, str]) -> str:
        """The identity of the photo there. Raises Rejected."""
        await photo.seek(0)
        described = {**headers, "content-length": str(photo.size), "content-type": "application/octet-stream"}
        answer = await self._peer.call("POST", "/photos", headers=described, content=_pieces(photo))
        return str(answer.json().get("photo", ""))

    async def file(self, case: Mapping[str, Any], key: str, headers: Mapping[str, str]) -> Receipt:
        """Put the case on file; sent again with the same key, it is on file once. Raises Rejected."""
        return (await self._peer.call("POST", "/cases", headers=headers, key=key, json=case)).read_as(_RECEIPT)

    async def similar(self, problem: Mapping[str, Any], headers: Mapping[str, str]) -> Sequence[Similar]:
        """Open cases that may tell of what somebody is about to report, best first. Raises Rejected."""
        answer = await self._peer.call("POST", "/cases/similar", headers=headers, json=problem, patience=SHORT)
        return answer.read_as(_SIMILAR)

    async def follow(self, case: str, key: str, headers: Mapping[str, str]) -> Following:
        """Follow a case; with the same key it is the same follower. Raises Rejected."""
        answer = await self._peer.call("POST", f"/cases/{case}/follow", headers=headers, key=f"{key}-{case}")
        return answer.read_as(_FOLLOWING)

    async def tracked(self, code: str, headers: Mapping[str, str]) -> Tracked:
        """The case of a tracking code. Raises Rejected for a code that is none."""
        return (await self._peer.call("POST", "/tracking", headers=headers, json={"code": code})).read_as(_TRACKED)

    async def give_feedback(
        self, action: str, feedback: Mapping[str, Any], key: str, headers: Mapping[str, str]
    ) -> None:
        """Update, rate, object or withdraw; with the same key once. Raises Rejected."""
        (await self._peer.call("POST", f"/tracking/{action}", headers=headers, key=key, json=feedback)).json()

    async def catalogue(self, tag: str | None) -> tuple[str, bytes] | None:
        """What can be reported, and what could be, with its tag; None while it is still the one of `tag`."""
        known = {"if-none-match": tag} if tag else {}
        answer = await self._peer.call("GET", "/categories?retired=true", headers=known, patience=SHORT)
        response = answer.response
        if response.status_code == 304:
            return None
        if not response.is_success:
            raise Unavailable(f"the reports service answers {response.status_code} for its catalogue")
        return response.headers.get("etag", ""), response.content

    async def photo(self, id: str, size: str, known: str | None, headers: Mapping[str, str]) -> httpx2.Response:
        """The public copy: 200, 304 when the browser's is `known` to be the same, or 404."""
        asked = {**headers, "if-none-match": known} if known else headers
        response = (await self._peer.call("GET", f"/photos/{id}/{size}", headers=asked)).response
        if response.status_code not in {200, 304, 404} or len(response.content) > MOST_COPY:
            raise Unavailable(f"the reports service answers {response.status_code} for a photo")
        return response

    async def close(self) -> None:
        await self._peer.close()


_RECEIPT = TypeAdapter(Receipt)
_FOLLOWING = TypeAdapter(Following)
_SIMILAR = TypeAdapter(list[Similar])
_TRACKED = TypeAdapter(Tracked)


async def _pieces(photo: UploadFile) -> AsyncIterator[bytes]:
    while piece := await photo.read(PIECE):
        yield piece
