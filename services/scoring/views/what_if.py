"""A month tried by other rules: the facts are read once, in order, and nothing is written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager

from services.scoring.domain.facts import Fact
from services.scoring.domain.rules import Rule
from services.scoring.domain.what_if import Outcome, WhatIf
from services.scoring.repo import CURRENT, FACTS, RULE_BOOKS
from shared.errors import TooLarge, TooMany, Unavailable
from shared.months import bounds
from shared.store import Store
from shared.store.collection import Filter

FACTS_LIMIT = 100_000
"""Facts of a month that are tried; beyond that it takes a machine of its own."""
LISTED = 200
"""Differences that are told one by one."""
BATCH = 500
IN_ORDER = (("happened_at", 1), ("_id", 1))


class WhatIfSlot:
    """How many questions are worked on at once in this process: each keeps a cursor open and a processor busy."""

    def __init__(self, free: int = 1) -> None:
        self._free = free

    @contextmanager
    def take(self) -> Iterator[None]:
        """Raises TooMany (what-if-busy)."""
        if self._free == 0:
            raise TooMany("what-if-busy", retry_after=10)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


async def recomputed(
    store: Store, groups: Mapping[str, str], period: str, rules: Sequence[Rule], limit: int = FACTS_LIMIT
) -> Outcome:
    """Who would stand where in the month by these rules, in the place of theirs in the book.

    Raises Unavailable, TooLarge (what-if-too-large) for more than `limit` facts.
    """
    book = await store.get(RULE_BOOKS, CURRENT)
    if book is None:
        raise Unavailable("the rule book is not there yet")
    first, last = bounds(period)
    filter: Filter = {"happened_at": {"$gte": first, "$lt": last}}
    if await store.find(FACTS, filter, IN_ORDER, limit=1, skip=limit):
        raise TooLarge("what-if-too-large", field="period", limit=limit)
    what_if = WhatIf(book, book.as_if(rules), groups, LISTED)
    batch: list[Fact] = []
    async with aclosing(store.stream(FACTS, filter, IN_ORDER)) as documents:
        async for document in documents:
            batch.append(FACTS.to_entity(document))
            if len(batch) == BATCH:
                await asyncio.to_thread(what_if.take, batch)
                batch = []
    await asyncio.to_thread(what_if.take, batch)
    return await asyncio.to_thread(what_if.outcome)
