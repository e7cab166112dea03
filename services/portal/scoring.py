"""The office's questions on their way to the scoring service. Nothing is kept here, the caller's token least of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import httpx
from pydantic import BaseModel, TypeAdapter

from services.portal.district import Name
from services.portal.reporting import read_as
from shared.errors import Unavailable

TIMEOUT = httpx.Timeout(connect=2, read=60, write=10, pool=5)
"""Seconds. A month of many facts takes its time."""


class Table(BaseModel):
    """How many points, by the values of the field `by`; `of_stake`: shares of what is at stake."""

    otherwise: Decimal
    by: str | None = None
    rows: dict[str, Decimal] = {}
    of_stake: bool = False


class Rule(BaseModel):
    """A rule in force."""

    code: str
    name: Name
    when: str
    match: dict[str, list[str]] = {}
    table: Table
    cap: Decimal | None = None
    earns: bool = False
    source: str = ""


class Book(BaseModel):
    """The rules in force on a day, and the edition of the book they stand in."""

    edition: int
    rules: list[Rule]


class Place(BaseModel):
    """A unit's score and ranks."""

    score: Decimal
    rank: int
    rank_in_group: int


class Move(BaseModel):
    """Where a unit stands, and would stand."""

    unit: str
    group: str
    before: Place
    after: Place


class Tally(BaseModel):
    """How often a rule applied, and what it came to."""

    times: int
    points: Decimal


class RuleTotal(BaseModel):
    """What a rule came to, and would come to."""

    rule: str
    before: Tally
    after: Tally


class Outcome(BaseModel):
    """Who would move where: all units, best first by the other rules; how many facts there were and would differ."""

    facts: int
    moves: list[Move]
    differing: int
    rules: list[RuleTotal]


class Tried(BaseModel):
    """A month by other rules."""

    period: str
    outcome: Outcome


class Scoring:
    """The scoring service. Every method raises Unavailable when it does not answer, or not sensibly."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=TIMEOUT, trust_env=False, transport=transport)

    async def rules(self, day: str, headers: Mapping[str, str]) -> Book:
        """The rules in force on a day (`YYYY-MM-DD`). Raises Rejected."""
        return read_as(_BOOK, await self._send("GET", "/rules", params={"on": day}, headers=headers))

    async def what_if(self, period: str, rules: Sequence[Rule], token: str, headers: Mapping[str, str]) -> Tried:
        """The month by these rules in place of those with the same codes, for whose token it is. Raises Rejected."""
        body = {"period": period, "rules": [rule.model_dump(mode="json") for rule in rules]}
        known = {**headers, "authorization": f"Bearer {token}"}
        return read_as(_TRIED, await self._send("POST", "/what-if", json=body, headers=known))

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = await self._client.request(method, path, **request)
        except httpx.HTTPError as error:
            raise Unavailable(f"the scoring service does not answer: {error!r}") from error
        if answer.status_code >= 500:
            raise Unavailable(f"the scoring service answers {answer.status_code}")
        return answer


_BOOK = TypeAdapter(Book)
_TRIED = TypeAdapter(Tried)
