"""What the caller has to act on now, by the roles they have, each kind with its count."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from services.reports.domain import lookup as by
from services.reports.repo import CASES
from services.reports.views.filters import EPOCH, Sorting
from services.reports.views.lists import Row, page_of
from shared.auth import Principal
from shared.contracts.reports import Stage
from shared.errors import NotFound
from shared.roles import Role
from shared.store import Document, Store
from shared.store.collection import Filter


@dataclass(frozen=True)
class Duty:
    """A kind of thing to do: cases that give a duty, but for those that give another one, too."""

    kind: str
    duty: str
    spared: str | None = None

    @property
    def filter(self) -> Filter:
        return {"duties": self.duty} if self.spared is None else {"duties": self.duty, **_without(self.spared)}

    async def count(self, store: Store, **rest: Document) -> int:
        """How many there are, each number from the index alone."""
        counted = await store.count(CASES, {"duties": self.duty, **rest})
        return counted - (await store.count(CASES, {"duties": self.spared, **rest}) if self.spared else 0)


class Task(BaseModel):
    """What there is to do of a kind: how many, how many of them overdue, and the first, by deadline.

    `next` is the cursor for more of this kind.
    """

    kind: str
    count: int
    overdue: int
    cases: list[Row]
    next: str | None = None


class Queue(BaseModel):
    """All that the caller has to act on now; kinds without cases are there with 0."""

    tasks: list[Task]


async def queue(store: Store, caller: Principal, limit: int) -> Queue:
    """Every kind of the caller's, with its first cases."""
    return Queue(tasks=list(await asyncio.gather(*(_task(store, each, None, limit) for each in duties_of(caller)))))


async def queue_of(store: Store, caller: Principal, kind: str, after: str | None, limit: int) -> Task:
    """One kind, page by page. Raises NotFound (queue-unknown), Invalid (cursor-malformed)."""
    for each in duties_of(caller):
        if each.kind == kind:
            return await _task(store, each, after, limit)
    raise NotFound("queue-unknown", field="kind", given=kind[:100])


def duties_of(caller: Principal) -> list[Duty]:
    """What the caller's roles have to act on. Nobody checks what their own unit has done."""
    return list(_duties(caller))


def _duties(caller: Principal) -> Iterator[Duty]:
    if caller.unit is not None and caller.has(Role.OFFICER, Role.LIAISON, Role.OFFICE, Role.DISPATCHER):
        yield Duty("acknowledge", by.leading_duty(caller.unit, Stage.ACKNOWLEDGE))
        yield Duty("rectify", by.leading_duty(caller.unit, Stage.RECTIFY))
    if caller.has(Role.VERIFIER):
        of_unit = by.duty(caller.unit, Stage.VERIFY) if caller.unit is not None else None
        yield Duty("site-check", by.duty(None, Stage.SITE_CHECK))
        yield Duty("verify", by.duty(None, Stage.VERIFY), of_unit)
    if caller.has(Role.OFFICE, Role.DISPATCHER):
        yield Duty("dispatch", by.UNDISPATCHED)
        yield Duty("returned", by.RETURNED)
        yield Duty("extension", by.EXTENSION)
        yield Duty("objection", by.OBJECTION)
        yield Duty("close", by.duty(None, Stage.CLOSE))
    if caller.has(Role.LEADER):
        yield Duty("further-extension", by.FURTHER_EXTENSION)
        yield Duty("review", by.duty(None, Stage.REVIEW))


def _without(duty: str) -> Filter:
    return {"$nor": [{"duties": duty}]}


async def _task(store: Store, duty: Duty, after: str | None, limit: int) -> Task:
    now = store.clock.now()
    count, overdue, page = await asyncio.gather(
        duty.count(store),
        duty.count(store, stage_due_at={"$gt": EPOCH, "$lte": now}),
        page_of(store, duty.filter, Sorting.DEADLINE, after, limit),
    )
    return Task(kind=duty.kind, count=count, overdue=overdue, cases=page.cases, next=page.next)
