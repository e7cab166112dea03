"""Service processes by fork: importing a service costs seconds of a core, and a run starts dozens of them.

One process imports the services once and forks a child for every line it reads; the child takes its environment,
its log and its arguments, and is from then on a process like any other: it has its own pid and is killed, frozen
and missed alone. All children end with their parent, and it with its starter.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from deploy.local import tools
from deploy.local.servers import PR_SET_PDEATHSIG, Server, answers

SERVICES = ("reports", "scoring", "portal")


@dataclass(frozen=True)
class Start:
    """What a child is to be: `module` run with `arguments`, as by `python -m`."""

    module: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: str


class Forks:
    """The process that forks, from `open` to `close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def open(self) -> None:
        """Let it begin to import; `start` waits until it has."""
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.forks"],
            cwd=tools.ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def start(self, start: Start) -> psutil.Process:
        """The running child."""
        order, answer = self._parent.stdin, self._parent.stdout
        assert order is not None
        assert answer is not None
        with self._lock:
            order.write(json.dumps(asdict(start)) + "\n")
            order.flush()
            return psutil.Process(int(answer.readline()))

    def close(self) -> None:
        """Ends the parent, and with it every child."""
        self._parent.communicate()


class Forked(Server):
    """A server process that is started by a fork."""

    def __init__(self, forks: Forks, name: str, start: Start, address: str, folder: Path) -> None:
        super().__init__(
            name,
            lambda: [start.module, *start.arguments],
            address=address,
            folder=folder,
            is_ready=lambda: answers(f"{address}/readyz"),
            log=Path(start.log),
        )
        self._forks = forks
        self._start = start

    @property
    def process(self) -> psutil.Process | None:
        try:
            return super().process
        except psutil.NoSuchProcess:  # ended between two looks: not being its parent, we keep no remains of it
            return None

    def _end(self, how: signal.Signals, seconds: float) -> None:
        try:
            super()._end(how, seconds)
        except psutil.NoSuchProcess:  # as above
            super()._end(how, seconds)

    def _spawn(self, command: Sequence[str]) -> psutil.Process:
        return self._forks.start(self._start)


def main() -> None:
    """Fork a child for each line of standard input, and tell its pid, until the input ends."""
    for service in SERVICES:
        if importlib.util.find_spec(f"services.{service}.app"):
            importlib.import_module(f"services.{service}.app")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getpid()
    while line := sys.stdin.readline():
        start = Start(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            _be(start, parent)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _be(start: Start, parent: int) -> None:
    """Become the child; never returns."""
    status = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        os.setsid()
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        log = os.open(start.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(start.environment)
        random.seed()
        sys.argv = [start.module, *start.arguments]
        runpy.run_module(start.module, run_name="__main__", alter_sys=False)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
