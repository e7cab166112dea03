"""Processes that decode photos, as many as the memory of one service allows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import IO, Any, TypeVar

from shared.errors import DomainError, Invalid, Unavailable, Unsupported
from shared.http.shares import Shares
from shared.pictures.decoder import read_header, write_frame
from shared.pictures.picture import Picture, Region

AT_ONCE = 2
"""Photos being decoded for one process, at up to about 0.6 GB each."""
MOST_WAITING = 24
"""Photos held in memory by one process, those being decoded included; more are sent away for the moment."""
EACH_WAITING = 6
"""How many of them may be of one address or account."""
PATIENCE = 60.0
"""Seconds until a photo is given up on whatever it waits for; one that computes is ended after a third of them."""
_DEADLY = frozenset({signal.SIGXCPU, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})
"""What ends a decoder by the photo's own fault. Anything else may not happen again."""

R = TypeVar("R")


class Decoders:
    """Decodes photos in processes of their own; one that dies takes one photo with it."""

    def __init__(self, command: Sequence[str] = (sys.executable, "-m", "shared.pictures.decoder")) -> None:
        self._command = command
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="photos")
        self._mine = threading.local()
        self._waiting = Shares(MOST_WAITING, EACH_WAITING)

    async def read(self, content: bytes, blackened: Sequence[Region] = (), *, by: str | None = None) -> Picture:
        """The photo; `by` is whose share of the places it takes.

        Raises what `Picture.read` does, TooMany (`rate-limited`) when too many of theirs wait, and Unavailable.
        """
        with self._waiting.take(by or str(id(content))):
            return await self.redraw(content, blackened)

    async def redraw(self, content: bytes, blackened: Sequence[Region]) -> Picture:
        """The same for a photo that is kept already: it waits however many others do."""
        return await self._run(lambda: self._decoded(content, blackened))

    async def _run(self, call: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _decoded(self, content: bytes, blackened: Sequence[Region]) -> Picture:
        child: _Child | None = getattr(self._mine, "child", None)
        if child is None or not child.alive:
            child = self._mine.child = _Child(self._command)
        return child.read(content, blackened)


class _Child:
    """One decoder, used by one thread."""

    def __init__(self, command: Sequence[str]) -> None:
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LANG": "C.UTF-8"}
        self._process = subprocess.Popen(  # noqa: S603  (our own module)
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        assert self._process.stdin is not None  # noqa: S101  (asked for above)
        assert self._process.stdout is not None  # noqa: S101
        self._stdin: IO[bytes] = self._process.stdin
        self._stdout: IO[bytes] = self._process.stdout

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def read(self, content: bytes, blackened: Sequence[Region]) -> Picture:
        """Raises what `Picture.read` does, and Unavailable when the process ends without an answer."""
        edges = [(each.left, each.top, each.right, each.bottom) for each in blackened]
        late = threading.Timer(PATIENCE, self._process.kill)
        late.start()
        try:
            write_frame(self._stdin, {"bytes": len(content), "blackened": edges}, content)
            header = read_header(self._stdout)
            if header is not None:
                return self._answer(header)
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._process.kill()
            raise self._death() from error
        finally:
            late.cancel()
        raise self._death()

    def _answer(self, header: dict[str, Any]) -> Picture:
        """Raises DomainError for a refusal, and ValueError, KeyError or TypeError for what no decoder writes."""
        if (refused := header.get("refused")) is not None:
            kind: type[DomainError] = Unsupported if refused["status"] == Unsupported.status else Invalid
            raise kind(str(refused["code"]), **refused["params"])
        return Picture.unpacked(header, self._stdout.read)

    def _death(self) -> Exception:
        """The process is gone or of no more use: what that says of the photo."""
        with contextlib.suppress(OSError):
            self._stdin.close()
        self._stdout.close()
        ended = self._process.wait()
        if -ended in _DEADLY:
            return Invalid("photo-broken")
        return Unavailable("a photo could not be decoded")


@cache
def decoders() -> Decoders:
    """Those of this process: however many services it runs, its memory is one."""
    return Decoders()
