"""A ladder in memory: its store, what it hears, and its clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from deploy.local.stack import DISTRICT
from services.scoring.app import SERVICE
from services.scoring.district import District
from services.scoring.domain.ladder import Matter
from services.scoring.domain.ledger import Standing
from services.scoring.domain.measures import Measure
from services.scoring.handlers.deadlines import on_matter_due
from services.scoring.repo import MATTERS, MEASURES, STANDINGS
from services.scoring.resources import Resources
from shared.clock import FixedClock
from shared.consumer import Inbox
from shared.contracts.event_model import EventModel
from shared.contracts.reports import (
    CaseClosed,
    CaseEvent,
    CaseOverdue,
    CaseReworkOrdered,
    CaseSnapshot,
    CaseState,
    Channel,
    Level,
    Place,
    Stage,
)
from shared.deadlines import Deadline, Timekeeper
from shared.event import Event
from shared.kafka import Partition, Record
from shared.signing import Signer, new_key
from shared.store import Store
from shared.testing.memory_store import MemoryDriver

SAMPLE = District.load(DISTRICT)
MONDAY = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
"""09:00 in Asia/Shanghai on an ordinary Monday."""
CASE = "20261123-ABCDEFGHJK"
UNIT = "huanwei"
[LADDER] = [each for each in SERVICE.subscriptions if each.group == "scoring.ladder"]


def snapshot(case: str = CASE, unit: str | None = UNIT, **fields: Any) -> CaseSnapshot:
    content: dict[str, Any] = {
        "case": case,
        "state": CaseState.DISPATCHED,
        "channel": Channel.CITIZEN,
        "category": "exposed-rubbish",
        "category_version": 1,
        "place": Place(longitude=112.6, latitude=26.89, community="430476001007"),
        "unit": unit,
        "registered_at": MONDAY - timedelta(days=3),
        **fields,
    }
    return CaseSnapshot(**content)


def overdue(level: Level = Level.BLUE, stage: Stage = Stage.RECTIFY, **fields: Any) -> CaseOverdue:
    return CaseOverdue(case=snapshot(**fields), stage=stage, level=level)


def rework(times: int, **fields: Any) -> CaseReworkOrdered:
    return CaseReworkOrdered(case=snapshot(reworks=times, **fields))


def closed(**fields: Any) -> CaseClosed:
    return CaseClosed(case=snapshot(**fields))


@dataclass
class World:
    """The ladder on a store in memory; its group is told events through the engine's inbox."""

    store: Store
    clock: FixedClock
    sequences: dict[str, int]
    resources: Resources

    @classmethod
    def new(cls) -> World:
        clock = FixedClock(MONDAY)
        store = Store(MemoryDriver(clock), clock, SERVICE.collections)
        resources = Resources(SAMPLE, Signer.of(new_key()), "https://chuangwen.example/", store)
        return cls(store, clock, {}, resources)

    def event(self, model: EventModel, subject: str = "") -> Event:
        """The next event of its aggregate, now."""
        if isinstance(model, CaseEvent):
            subject = model.case.case
        number = self.sequences[subject] = self.sequences.get(subject, 0) + 1
        return Event.new(model, subject, number, self.clock.now())

    async def hear(self, *models: EventModel) -> list[Event]:
        """Have the events handled as the worker does."""
        events = [self.event(model) for model in models]
        await self.deliver(events)
        return events

    async def deliver(self, events: Sequence[Event]) -> None:
        records = [
            Record(Partition(event.topic, 0), place, 0.0, event.key.encode(), event.value, event.headers())
            for place, event in enumerate(events)
        ]
        await Inbox(self.store, LADDER, self.resources, longest_pause=0.0).apply(records)

    async def tick(self, step: timedelta = timedelta()) -> int:
        """Let time pass and the clock look once; how many matters it saw to."""
        self.clock.advance(step)
        return await Timekeeper(self.store, Deadline(MATTERS, on_matter_due), self.resources).look()

    async def measures(self) -> list[Measure]:
        """All, in the order of the ladder within a matter."""
        found = await self.store.find(MEASURES, {})
        return sorted(found, key=lambda each: (each.matter, SAMPLE.ladder.place(each.rung)))

    async def rungs(self) -> list[str]:
        return [measure.rung for measure in await self.measures()]

    async def matter(self, id: str = f"case:{CASE}:{UNIT}") -> Matter:
        matter = await self.store.get(MATTERS, id)
        assert matter is not None
        return matter

    async def stands(self, unit: str, period: str, lost: str, *, frozen: bool = False) -> None:
        """Keep a standing, and have the ladder hear of it."""
        standing = Standing.of(unit, period)
        standing.points_lost, standing.changed_at = Decimal(lost), self.clock.now()
        standing.frozen_at = self.clock.now() if frozen else None

        async def keep(uow: Any) -> None:
            uow.put(STANDINGS, standing)

        await self.store.run(keep)
        await self.deliver([self.event(standing.event(), standing.id)])
