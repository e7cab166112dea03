"""Time is injected, kept in UTC with millisecond precision (what MongoDB keeps) and shown in Asia/Shanghai."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

CHINA = ZoneInfo("Asia/Shanghai")


class Clock(Protocol):
    """Where the present comes from."""

    def now(self) -> datetime:
        """The present: aware, UTC, whole milliseconds."""
        ...


def to_milliseconds(moment: datetime) -> datetime:
    """The moment in UTC, cut to whole milliseconds."""
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return to_milliseconds(datetime.now(UTC))


class FileClock:
    """A clock that a demonstration may speed up: `{"real": epoch, "shown": epoch, "speed": factor}` in a file.

    Without the file it is the machine's clock. The file is looked at again at most every 0.2 s, so that all
    processes of one machine follow it. Never for production.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._looked = 0.0
        self._real, self._shown, self._speed = 0.0, 0.0, 1.0

    def now(self) -> datetime:
        if time.monotonic() - self._looked > 0.2:
            self._look()
        shown = self._shown + (time.time() - self._real) * self._speed
        return to_milliseconds(datetime.fromtimestamp(shown, UTC))

    def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            setting = json.loads(self._path.read_text())
        except FileNotFoundError:
            self._real, self._shown, self._speed = 0.0, 0.0, 1.0
        else:
            self._real, self._shown, self._speed = setting["real"], setting["shown"], setting["speed"]


class FixedClock:
    """A clock that moves only when told: for tests and offline recomputation."""

    def __init__(self, start: datetime) -> None:
        self._now = to_milliseconds(start)

    def now(self) -> datetime:
        return self._now

    def advance(self, step: timedelta) -> datetime:
        self._now = to_milliseconds(self._now + step)
        return self._now

    def set(self, moment: datetime) -> None:
        self._now = to_milliseconds(moment)
