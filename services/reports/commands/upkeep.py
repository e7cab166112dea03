"""What is stored is brought up to date: cases in an earlier form, and limits that rested on a guess of the calendar.

One job walks all cases by their numbers, batch by batch. It starts when the office's calendar or the form of what is
stored beside a case is another than when it last ended.
"""

from __future__ import annotations

import contextlib

from services.reports.district import District
from services.reports.domain import SYSTEM, Act
from services.reports.domain.lookup import DERIVED
from services.reports.repo import CASES, UPKEEP, Upkeep
from shared.errors import Duplicate
from shared.store import Store, UnitOfWork
from shared.store.collection import Filter

JOB = "cases"
BATCH = 50


async def plan(store: Store, district: District) -> None:
    """Have the job there; due at once when something is other than it was."""
    calendar = district.timetable.calendar.fingerprint

    async def command(uow: UnitOfWork) -> None:
        job = await uow.find(UPKEEP, JOB)
        if job is None:
            uow.insert(UPKEEP, Upkeep(JOB, calendar, DERIVED, "", uow.now))
        elif (job.calendar, job.derived) != (calendar, DERIVED):
            job.calendar, job.derived, job.after, job.deadline_at = calendar, DERIVED, "", uow.now
            uow.save(UPKEEP, job)

    with contextlib.suppress(Duplicate):
        await store.run(command)


async def keep_up(uow: UnitOfWork, store: Store, district: District, id: str) -> None:
    """The next cases of the walk, stored again as they are stored now, their limits counted by the present calendar."""
    job = await uow.find(UPKEEP, id)
    if job is None or job.deadline_at is None or job.deadline_at > uow.now:
        return
    stale: Filter = {"$or": [{"provisional": True}, {"derived": {"$ne": DERIVED}}]}
    found = await store.driver.find(CASES.name, {"_id": {"$gt": job.after}, **stale}, [("_id", 1)], BATCH, fields=())
    cases = await uow.load(CASES, [document["_id"] for document in found])
    for case in cases.values():
        uow.save(CASES, case, *case.recount(Act(SYSTEM, uow.now, district.timetable)))
    job.after = found[-1]["_id"] if found else job.after
    job.deadline_at = uow.now if len(found) == BATCH else None
    uow.save(UPKEEP, job)
