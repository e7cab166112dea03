"""A service without one of its protections, crashing once where that protection is needed: the negative controls.

And a service as others may be beside it: of a later version, on a machine with a wrong clock, with a fault of its own.

    python -m tests.chaos.sabotage marks-off scoring worker

The parts are replaced in this process only; the product has no switch for any of this.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pymongo import ReplaceOne

from services.reports.repo import CASES
from services.scoring.domain.ledger import Ledger
from shared.consumer import Inbox, Mark, Worker
from shared.contracts import EventModel
from shared.contracts.reports import CaseOverdue, Level, Stage
from shared.contracts.scoring import ChargeMade
from shared.event import Event
from shared.kafka import Partition, Record
from shared.outbox import Relay
from shared.store import OUTBOX, Change, Collection, Document, OutboxRow, Store, UnitOfWork, Write, mongo

COMMITS_BEFORE_CRASH = 10
POISONED = "02468ACEG"
SKEW = timedelta(minutes=2)
MACHINE_TIME = ("shared.store", "shared.outbox")
"""Modules that ask the machine what time it is, to compare it with what another machine has written."""


def offsets_before_processing() -> None:
    """Offsets are committed before what was polled is processed: what a crash interrupts is never read again."""
    work_together = Worker._work_together

    async def commit_first(self: Worker, works: Any, left: dict[Partition, Sequence[Record]]) -> None:
        committed = await self._feed.commit({place: records[-1].offset + 1 for place, records in left.items()})
        if committed and any(map(_costs_points, left.values())):
            crash_once()
        await work_together(self, works, left)

    patch.object(Worker, "_work_together", commit_first).start()


def outbox_outside_transaction() -> None:
    """Outbox rows are written after the transaction of what they tell: a crash in between loses the events."""
    commits = 0

    async def commit(self: Store, uow: UnitOfWork) -> None:
        nonlocal commits
        if writes := uow.writes():
            await self._commits.commit(writes)
        if not uow.events:
            return
        commits += 1
        if commits == COMMITS_BEFORE_CRASH:
            crash_once()
        documents = [(event.id, OutboxRow.document(event)) for event in uow.events]
        await self._commits.commit([Write(OUTBOX.name, id, Change.INSERT, row, 0) for id, row in documents])
        for listener in self._listeners:
            listener(uow)

    patch.object(Store, "commit", commit).start()


def marks_off() -> None:
    """No event counts as seen: what a crash has delivered again takes effect again.

    The crash comes after a row was posted: a fact is known by its identity and kept once even without marks.
    """
    apply = Inbox.apply

    async def apply_and_crash(self: Inbox, batch: Sequence[Record]) -> None:
        await apply(self, batch)
        if any(isinstance(record.event().data, ChargeMade) for record in batch):
            crash_once()

    patch.object(Mark, "has", lambda mark, number: False).start()
    patch.object(Inbox, "apply", apply_and_crash).start()


def sweeper_off() -> None:
    """Nobody publishes what a process has lost from its memory: here every second commit, as a crash would lose it."""
    _forget_each(2)

    async def sweep_nothing(self: Relay) -> int:
        return 0

    patch.object(Relay, "sweep", sweep_nothing).start()


def predecessor_check_off() -> None:
    """Events go out in the order in which their commits are heard of, behind a predecessor that is out or not."""
    _forget_each(3)

    async def as_offered(self: Relay, batch: Sequence[Event]) -> list[Event]:
        return list(batch)

    patch.object(Relay, "_in_order", as_offered).start()


def version_guard_off() -> None:
    """A document is written over whatever is there, and a deadline decides on the case as it was read before."""
    operation = mongo._operation
    read, known, found = Store._read, dict[str, Document](), set[str]()

    def unguarded(write: Write) -> Any:
        replaces = write.change is Change.REPLACE
        return ReplaceOne({"_id": write.id}, write.document) if replaces else operation(write)

    async def read_late(self: Store, collection: str, ids: list[str]) -> list[Document]:
        documents = await read(self, collection, ids)
        for place, document in enumerate(documents if collection == CASES.name else ()):
            id, due = document["_id"], document.get("deadline_at")
            before = known.setdefault(id, document)
            if due is not None and due <= self.clock.now() and before["v"] != document["v"] and id not in found:
                found.add(id)
                documents[place] = before
        return documents

    patch.object(mongo, "_operation", unguarded).start()
    patch.object(Store, "_read", read_late).start()


def poison() -> None:
    """Charges for some cases are more than the ledger can bear, until somebody has put that right."""
    post = Ledger.post

    def choke(self: Ledger, charge: ChargeMade, *others: Any, **named: Any) -> Any:
        if not Path(os.environ["SABOTAGE_FILE"]).exists() and charge.case[-1] in POISONED:
            raise ValueError("this case is poison")
        return post(self, charge, *others, **named)

    patch.object(Ledger, "post", choke).start()


def newer() -> None:
    """A process of a later version: every case begins with an event that no reader of today knows."""

    class CaseGreeted(EventModel):
        TOPIC = CaseOverdue.TOPIC
        TYPE = "chuangwen.reports.case-greeted.v1"
        words: str

    insert = UnitOfWork.insert

    def greet(self: UnitOfWork, collection: Collection[Any], entity: Any, *events: EventModel) -> None:
        more = [CaseGreeted(words="你好")] if collection is CASES else []
        insert(self, collection, entity, *events, *more)

    patch.object(UnitOfWork, "insert", greet).start()


def clock_ahead() -> None:
    """The machine's clock is minutes ahead of the others'."""
    _shift_clock(SKEW)


def clock_behind() -> None:
    """The machine's clock is minutes behind the others'."""
    _shift_clock(-SKEW)


def _shift_clock(by: timedelta) -> None:
    """What the process reads from its machine's clock; the clock that the district is shown stays as it is."""

    class Shifted(datetime):
        @classmethod
        def now(cls, zone: tzinfo | None = None) -> datetime:  # type: ignore[override]  # plain, as others read it
            return datetime.now(zone) + by

    for module in MACHINE_TIME:
        if getattr(sys.modules.get(module), "datetime", None) is datetime:
            patch(f"{module}.datetime", Shifted).start()


def _forget_each(so_many: int) -> None:
    """The process's own memory loses one commit of so many; its rows stay in the outbox."""
    offer, commits = Relay._offer, count(1)

    def offer_some(self: Relay, uow: UnitOfWork) -> None:
        if next(commits) % so_many:
            offer(self, uow)

    patch.object(Relay, "_offer", offer_some).start()


WEAKNESSES: dict[str, Callable[[], None]] = {
    "offsets-before-processing": offsets_before_processing,
    "outbox-outside-transaction": outbox_outside_transaction,
    "marks-off": marks_off,
    "sweeper-off": sweeper_off,
    "predecessor-check-off": predecessor_check_off,
    "version-guard-off": version_guard_off,
    "poison": poison,
    "newer": newer,
    "clock-ahead": clock_ahead,
    "clock-behind": clock_behind,
}


def crash_once() -> None:
    """End this process as SIGKILL does, unless an earlier one of this place has already done so."""
    crashed = Path(os.environ["SABOTAGE_FILE"])
    if not crashed.exists():
        crashed.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def _costs_points(batch: Sequence[Record]) -> bool:
    """Whether a unit's limit has just run out in the batch: what is lost or doubled then shows in the ledger."""
    events = (record.event().data for record in batch)
    return any(
        isinstance(each, CaseOverdue) and (each.stage, each.level) == (Stage.RECTIFY, Level.BLUE) for each in events
    )


def main() -> None:
    _, weakness, service, role = sys.argv
    WEAKNESSES[weakness]()
    sys.argv = [service, role]
    runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=False)


if __name__ == "__main__":
    main()
