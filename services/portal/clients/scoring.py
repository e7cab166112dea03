"""The office's questions on their way to the scoring service. Nothing is kept here, the caller's token least of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import httpx2
from pydantic import BaseModel, TypeAdapter

from shared.district import Name
from shared.http.peer import Peer

PATIENCE = 60.0
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


class RuleBook(BaseModel):
    """The rules in force on a day, and the edition of the book they stand in."""

    edition: int
    rules: list[Rule]


class Rank(BaseModel):
    """A unit's score and ranks."""

    score: Decimal
    rank: int
    rank_in_group: int


class Move(BaseModel):
    """Where a unit stands, and would stand."""

    unit: str
    group: str
    before: Rank
    after: Rank


class RuleSum(BaseModel):
    """How often a rule applied, and what it came to."""

    times: int
    points: Decimal


class RuleTotal(BaseModel):
    """What a rule came to, and would come to."""

    rule: str
    before: RuleSum
    after: RuleSum


class Outcome(BaseModel):
    """Who would move where: all units, best first by the other rules; how many facts there were and would differ."""

    facts: int
    moves: list[Move]
    differing: int
    rules: list[RuleTotal]


class WhatIf(BaseModel):
    """A month by other rules."""

    period: str
    outcome: Outcome


class Scoring:
    """The scoring service. Every method raises Unavailable when it does not answer, or not sensibly."""

    def __init__(self, url: str, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._peer = Peer("scoring", url, patience=PATIENCE, transport=transport)

    async def rules(self, day: str, headers: Mapping[str, str]) -> RuleBook:
        """The rules in force on a day (`YYYY-MM-DD`). Raises Rejected."""
        return (await self._peer.call("GET", "/rules", params={"on": day}, headers=headers)).read_as(_BOOK)

    async def what_if(self, period: str, rules: Sequence[Rule], token: str, headers: Mapping[str, str]) -> WhatIf:
        """The month by these rules in place of those with the same codes, for whose token it is. Raises Rejected."""
        body = {"period": period, "rules": [rule.model_dump(mode="json") for rule in rules]}
        known = {**headers, "authorization": f"Bearer {token}"}
        return (await self._peer.call("POST", "/what-if", json=body, headers=known)).read_as(_WHAT_IF)

    async def close(self) -> None:
        await self._peer.close()


_BOOK = TypeAdapter(RuleBook)
_WHAT_IF = TypeAdapter(WhatIf)
