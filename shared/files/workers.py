"""Threads that decode, as many as the memory of a process allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from shared.errors import Unavailable

AT_ONCE = 2
"""Photos being decoded by one process, at up to about 0.6 GB each."""
MOST_WAITING = 24
"""Photos held in memory by one process, those being decoded included; more are sent away for the moment."""

R = TypeVar("R")


class Workers:
    """Runs what takes a processor for long, off the event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="photos")
        self._waiting = 0

    async def run(self, call: Callable[[], R], *, always: bool = False) -> R:
        """What the call returns; Unavailable when too many wait, unless it is to be done `always`.

        A thread that is at it counts even when nobody waits for it any more.
        """
        if self._waiting >= MOST_WAITING and not always:
            raise Unavailable("too many photos at once")
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, call)
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def _done(self, _: asyncio.Future[R]) -> None:
        self._waiting -= 1
