"""What is stored is brought up to date by a job: earlier forms, and limits that rested on a guess of the calendar."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from services.reports.commands import upkeep
from services.reports.district import District
from services.reports.domain import SYSTEM, Act, Case, Timetable
from services.reports.domain.lookup import DERIVED
from services.reports.repo import CASES, UPKEEP
from shared.clock import CHINA, FixedClock
from shared.contracts.reports import Channel
from shared.store import OUTBOX, Store, UnitOfWork
from shared.testing.memory_store import MemoryDriver
from shared.workdays import WorkCalendar
from tests.unit.reports.cases import LAMP, PLACE, TO_UNIT

HENGYANG = District.load(Path(__file__).parents[3] / "deploy" / "sample" / "hengyang")
LAST_DAYS = datetime(2026, 12, 30, 17, tzinfo=CHINA)


def district(*holidays: str, known: bool) -> District:
    """Hengyang, with the year 2027 described by the office or not yet."""
    year = {"year": 2027, "holidays": list(holidays), "make_up_days": [], "provisional": False}
    calendar = WorkCalendar.from_json({"years": [year] if known else []})
    return replace(HENGYANG, timetable=Timetable(calendar, HENGYANG.timetable.terms))


@pytest.fixture
def store() -> Store:
    clock = FixedClock(LAST_DAYS)
    return Store(MemoryDriver(clock), clock, [CASES, UPKEEP])


async def filed(store: Store, district: District, number: int = 0) -> Case:
    act = Act(SYSTEM, LAST_DAYS, district.timetable)
    id = f"20261230-{number:010}"
    case, events = Case.register(id=id, category=LAMP, channel=Channel.CITIZEN, place=PLACE, routing=TO_UNIT, act=act)

    async def command(uow: UnitOfWork) -> None:
        uow.insert(CASES, case, *events)

    await store.run(command)
    return case


async def walk(store: Store, district: District) -> int:
    """Do the job until nothing is left of it; how many batches it took."""
    batches = 0
    while (job := await store.get(UPKEEP, upkeep.JOB)) and job.deadline_at is not None:
        await store.run(lambda uow: upkeep.keep_up(uow, store, district, upkeep.JOB))
        batches += 1
    return batches


async def test_limits_are_counted_again_when_the_calendar_is_another(store: Store) -> None:
    guessed = district(known=False)
    await upkeep.plan(store, guessed)
    await walk(store, guessed)
    case = await filed(store, guessed)
    assert case.due_at == datetime(2027, 1, 1, 18, tzinfo=CHINA)
    await upkeep.plan(store, guessed)
    assert await walk(store, guessed) == 0, "the same calendar gives no work"
    known = district("2027-01-01", known=True)
    await upkeep.plan(store, known)
    assert await walk(store, known) == 1
    again = await store.get(CASES, case.id)
    assert again is not None
    assert (again.due_at, again.provisional) == (datetime(2027, 1, 4, 18, tzinfo=CHINA), False)
    assert b"case-changed" in b"".join(str(row).encode() for row in await store.find(OUTBOX, {}))


async def test_cases_of_an_earlier_form_are_stored_again_batch_by_batch(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "BATCH", 2)
    known = district(known=True)
    for number in range(5):
        case = await filed(store, known, number)
        store.driver._documents["cases"][case.id] |= {"derived": 1, "square": None}  # type: ignore[attr-defined]
    await upkeep.plan(store, known)
    assert await walk(store, known) == 3
    stored = await store.driver.find(CASES.name, {}, fields=("derived", "square"))
    assert {document["derived"] for document in stored} == {DERIVED}
    assert all(document["square"] for document in stored)
