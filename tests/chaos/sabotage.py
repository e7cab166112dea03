"""A service without one of its protections, crashing once where that protection is needed: the negative controls.

    python -m tests.chaos.sabotage marks-off scoring worker

The parts are replaced in this process only; the product has no switch for any of this.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from shared.consumer import Inbox, Mark, Worker
from shared.contracts.reports import CaseOverdue, Level, Stage
from shared.contracts.scoring import ChargeMade
from shared.kafka import Partition, Record
from shared.store import OUTBOX, Change, OutboxRow, Store, UnitOfWork, Write

COMMITS_BEFORE_CRASH = 10


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

    patch.object(Mark, "seen", property(lambda _: 0)).start()
    patch.object(Inbox, "apply", apply_and_crash).start()


WEAKNESSES: dict[str, Callable[[], None]] = {
    "offsets-before-processing": offsets_before_processing,
    "outbox-outside-transaction": outbox_outside_transaction,
    "marks-off": marks_off,
}


def crash_once() -> None:
    """End this process as SIGKILL does, unless an earlier one of this place has already done so."""
    crashed = Path(os.environ["SABOTAGE_CRASHED"])
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
