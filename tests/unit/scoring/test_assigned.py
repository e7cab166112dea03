"""A worker's batch of findings: laid to who answered, with everything read beforehand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from deploy.local.stack import DISTRICT
from services.scoring.app import SERVICE
from services.scoring.commands.responsibility import adopt
from services.scoring.commands.rules import adopt as adopt_rules
from services.scoring.district import District
from services.scoring.handlers.facts import load_facts, on_fact
from services.scoring.repo import FACTS
from shared.clock import FixedClock
from shared.consumer import MARKS, PARKED
from shared.contracts.inspections import FindingRecorded, Severity
from shared.contracts.reports import Place
from shared.event import Event
from shared.store import OUTBOX, Store
from shared.testing.memory_store import MemoryDriver

NOON = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)
HENGYANG = District.load(DISTRICT)


def finding(visit: str, indicator: str, unit: str | None = None) -> Event:
    found = FindingRecorded(
        visit=visit,
        finding=1,
        site="P-0042",
        place=Place(longitude=112.6, latitude=26.89, community="430476001007"),
        category="public-toilet",
        severity=Severity.MINOR,
        found_at=NOON,
        indicators=(indicator,),
        unit=unit,
    )
    return Event.new(found, visit, 1, NOON)


async def test_a_batch_is_read_at_once_and_laid_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FixedClock(NOON)
    driver = MemoryDriver(clock)
    store = Store(driver, clock, [*SERVICE.collections, MARKS, PARKED])
    await store.run(lambda uow: adopt_rules(uow, HENGYANG.rule_book))
    await store.run(lambda uow: adopt(uow, HENGYANG.responsibility))
    events = [
        finding("V1", "示例-环境-02", unit="huaxing"),
        finding("V2", "示例-设施-02", unit="huaxing"),
        finding("V3", "示例-设施-02"),
    ]
    uow = store.unit()
    await load_facts(uow, events, None)
    with monkeypatch.context() as sealed:
        sealed.delattr(MemoryDriver, "find")  # whatever is not there yet cannot be had
        for event in events:
            await on_fact(uow, event, None)
    await store.commit(uow)
    units = {fact.visit: fact.unit for fact in await store.find(FACTS, {})}
    assert units == {"V1": "gongce", "V2": "huaxing", "V3": ""}
    charged = await store.find(OUTBOX, {"topic": "scoring.charge"}, [("_id", 1)])
    assert [row.subject for row in charged] == ["V1:gongce", "V2:huaxing"]
