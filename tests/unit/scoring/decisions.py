"""A scoring service in memory with its ledger's worker, for tests of what people decide."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from deploy.local.stack import DISTRICT
from services.scoring.app import POSTING, SERVICE
from services.scoring.commands.rules import adopt, record
from services.scoring.district import District
from services.scoring.domain.facts import Fact
from services.scoring.domain.ledger import Entry, Ledger, Standing
from services.scoring.repo import ENTRIES, LEDGERS, STANDINGS
from shared.clock import FixedClock
from shared.consumer import MARKS, PARKED, Inbox
from shared.contracts.scoring import FactKind
from shared.own_cause import Person
from shared.store import OUTBOX, Store
from shared.testing.memory_store import MemoryDriver
from tests.engine import records

SAMPLE = District.load(DISTRICT)
TERMS = SAMPLE.appeals
MONDAY = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
"""10:00 in Asia/Shanghai on an ordinary Monday."""
ZHANG, LI = Person("zhang"), Person("li")
"""Two of the office."""
WANG = Person("wang", "huanwei")
"""Of the unit that everything is about."""
UNIT = "huanwei"


@dataclass
class World:
    """The service in memory; `settle` does what the ledger's worker does with what was told since."""

    store: Store
    clock: FixedClock

    @classmethod
    async def new(cls) -> World:
        clock = FixedClock(MONDAY)
        store = Store(MemoryDriver(clock), clock, [*SERVICE.collections, MARKS, PARKED])
        await store.run(lambda uow: adopt(uow, SAMPLE.rule_book))
        return cls(store, clock)

    async def happen(
        self,
        id: str,
        kind: FactKind = FactKind.REWORK,
        at: datetime = MONDAY,
        *,
        settle: bool = True,
        **fields: object,
    ) -> None:
        """Something costs or earns the unit points."""
        fact = Fact(id, kind, UNIT, f"matter-{id}", at, self.clock.now(), **fields)  # type: ignore[arg-type]
        await self.store.run(lambda uow: record(uow, fact))
        if settle:
            await self.settle()

    async def settle(self, again: bool = False) -> None:
        """Post everything; with `again`, all of it is delivered a second time."""
        found = [row for row in await self.store.find(OUTBOX, {}) if row.topic == "scoring.charge"]
        in_order = sorted(found, key=lambda row: (row.time, row.subject, row.sequence))
        inbox = Inbox(self.store, POSTING, None)
        for _ in range(1 + again):
            await inbox.apply(records(*(row.event for row in in_order)))

    async def rows(self) -> list[Entry]:
        return await self.store.find(ENTRIES, {"unit": UNIT}, [("number", 1)])

    async def lost(self) -> dict[str, Decimal]:
        """Points lost by month; months without any left out."""
        found = await self.store.find(STANDINGS, {"unit": UNIT})
        return {standing.period: standing.points_lost for standing in found if standing.points_lost}

    async def standings(self) -> dict[str, Standing]:
        return {each.period: each for each in await self.store.find(STANDINGS, {"unit": UNIT})}

    async def ledger(self) -> Ledger:
        found, rows = await asyncio.gather(self.store.get(LEDGERS, UNIT), self.rows())
        assert found is not None
        assert found.rows == len(rows)
        return found
