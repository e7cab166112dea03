"""A retention run in a process of its own that is killed at its n-th transaction: before it, in it or after it.

python -m tests.integration.dying_retention <settings as JSON> <now as ISO 8601> <n> before|in|after
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from datetime import datetime

from services.reports.app import SERVICE
from services.reports.commands import retention
from services.reports.handlers import on_retention_due
from services.reports.repo import RETENTION
from services.reports.settings import Settings
from shared.clock import FixedClock
from shared.deadlines import Deadline, Timekeeper
from shared.service import connect
from shared.store import Write


async def main(settings: str, now: str, fatal: int, moment: str) -> None:
    """Never returns: the process is killed on the way."""
    runtime = connect(SERVICE, Settings.model_validate(json.loads(settings)))
    runtime.clock = runtime.store.clock = FixedClock(datetime.fromisoformat(now))
    retention.BATCH = 3
    await runtime.prepare()
    driver, done = runtime.store.driver, 0
    transact = driver.transact

    async def deadly(writes: Sequence[Write]) -> None:
        nonlocal done
        done += 1
        if done == fatal and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if done == fatal and moment == "in":
            asyncio.get_running_loop().call_later(0.002, os.kill, os.getpid(), signal.SIGKILL)
        await transact(writes)
        if done == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    driver.transact = deadly  # type: ignore[method-assign]  # what kills it
    timekeeper = Timekeeper(runtime.store, Deadline(RETENTION, on_retention_due), runtime.resources)
    while await timekeeper.look():
        pass


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
