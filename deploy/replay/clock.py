"""The demonstration's clock: jumps ahead, runs fast, and goes on at the ordinary pace afterwards."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.clock import FileClock


class Backwards(Exception):
    """The platform's time must not run backwards: limits and ledgers rest on it."""


class SpedClock:
    """Sets the file that `shared.clock.FileClock` reads in every service of the machine.

    `real` is the machine's time in seconds since the epoch.
    """

    def __init__(self, path: Path, real: Callable[[], float] = time.time) -> None:
        self._path = path
        self._time = real
        self._real = self._time()
        self._shown = FileClock(path).now().timestamp()
        self._speed = _speed_in(path)

    def now(self) -> datetime:
        """The platform's present, UTC."""
        shown = self._shown + (self._time() - self._real) * self._speed
        return datetime.fromtimestamp(shown, UTC)

    def start(self, at: datetime, speed: float) -> None:
        """Jump ahead to `at` and run at `speed`. Raises Backwards."""
        if at < self.now():
            raise Backwards(f"{at} has passed already, it is {self.now()}")
        self._set(at.timestamp(), speed)

    def settle(self) -> None:
        """Go on from the present at the machine's pace."""
        self._set(self.now().timestamp(), 1.0)

    def seconds_until(self, moment: datetime) -> float:
        """How long the machine has to wait for a moment of the platform; negative when it has passed."""
        return (moment - self.now()) / timedelta(seconds=1) / self._speed

    def _set(self, shown: float, speed: float) -> None:
        self._real, self._shown, self._speed = self._time(), shown, speed
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Replaced in one step: a service that looks meanwhile must not find half a file.
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps({"real": self._real, "shown": self._shown, "speed": self._speed}))
        os.replace(draft, self._path)


def _speed_in(path: Path) -> float:
    try:
        return float(json.loads(path.read_text())["speed"])
    except FileNotFoundError:
        return 1.0
