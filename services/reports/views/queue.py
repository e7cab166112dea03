"""What the caller has to act on now, by the roles they have, each kind with its count."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from services.reports.domain import lookup as by
from services.reports.repo import CASES
from services.reports.views.lists import Row, page_of
from services.reports.views.wanted import EPOCH, Order
from shared.auth import Principal
from shared.contracts.reports import Stage
from shared.errors import NotFound
from shared.roles import Role
from shared.store import Document, Store
from shared.store.collection import Filter


@dataclass(frozen=True)
class Errand:
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
    return Queue(tasks=list(await asyncio.gather(*(_task(store, each, None, limit) for each in errands_of(caller)))))


async def queue_of(store: Store, caller: Principal, kind: str, after: str | None, limit: int) -> Task:
    """One kind, page by page. Raises NotFound (queue-unknown), Invalid (cursor-malformed)."""
    for each in errands_of(caller):
        if each.kind == kind:
            return await _task(store, each, after, limit)
    raise NotFound("queue-unknown", field="kind", given=kind[:100])


def errands_of(caller: Principal) -> list[Errand]:
    """What the caller's roles have to act on. Nobody checks what their own unit has done."""
    return list(_errands(caller))


def _errands(caller: Principal) -> Iterator[Errand]:
    if caller.unit is not None and caller.has(Role.OFFICER, Role.LIAISON, Role.OFFICE, Role.DISPATCHER):
        yield Errand("acknowledge", by.leading_duty(caller.unit, Stage.ACKNOWLEDGE))
        yield Errand("rectify", by.leading_duty(caller.unit, Stage.RECTIFY))
    if caller.has(Role.VERIFIER):
        own = by.duty(caller.unit, Stage.VERIFY) if caller.unit is not None else None
        yield Errand("site-check", by.duty(None, Stage.SITE_CHECK))
        yield Errand("verify", by.duty(None, Stage.VERIFY), own)
    if caller.has(Role.OFFICE, Role.DISPATCHER):
        yield Errand("dispatch", by.UNDISPATCHED)
        yield Errand("returned", by.RETURNED)
        yield Errand("extension", by.EXTENSION)
        yield Errand("objection", by.OBJECTION)
        yield Errand("close", by.duty(None, Stage.CLOSE))
    if caller.has(Role.LEADER):
        yield Errand("further-extension", by.FURTHER_EXTENSION)
        yield Errand("review", by.duty(None, Stage.REVIEW))


def _without(duty: str) -> Filter:
    return {"$nor": [{"duties": duty}]}


async def _task(store: Store, errand: Errand, after: str | None, limit: int) -> Task:
    now = store.clock.now()
    count, overdue, page = await asyncio.gather(
        errand.count(store),
        errand.count(store, stage_due_at={"$gt": EPOCH, "$lte": now}),
        page_of(store, errand.filter, Order.DEADLINE, after, limit),
    )
    return Task(kind=errand.kind, count=count, overdue=overdue, cases=page.cases, next=page.next)
