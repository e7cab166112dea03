"""The HTTP server of a process: uvicorn, with the limits on slow and endless callers that it does not have itself.

A connection that does not say what it wants, stops in the middle, or does not read what it asked for is a place in a
pool that somebody else waits for. `Patience` says how long each of that may take.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import TimerHandle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD = 64 * 1024
"""Bytes of a request's first line and headers; beyond it: 431."""
_REFUSALS = {431: b"Request Header Fields Too Large", 408: b"Request Timeout"}


@dataclass(frozen=True)
class Patience:
    """Seconds that a caller may take.

    `head`: from a connection, or the first byte of a request on it, to the end of its headers. `body`: to send the
    next `least_bytes` of a body that is waited for. `idle`: until the next request on the same connection. `write`:
    to take what is ready for it.
    """

    head: float = 10.0
    body: float = 20.0
    least_bytes: int = 4096
    idle: float = 5.0
    write: float = 30.0


class BoundedProtocol(HttpToolsProtocol):
    """One connection, with a clock on whatever its caller is waited for."""

    patience = Patience()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = 0
        self._in_head = True
        self._came = 0
        self._reading: TimerHandle | None = None
        self._writing: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_reading_clock()
        self._stop_writing_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._came += len(data)
        super().data_received(data)
        if self._in_head and self._head > MOST_HEAD and not self.transport.is_closing():
            self._refuse(431)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head, self._in_head = 0, True
        self._wait_for_head()

    def on_url(self, url: bytes) -> None:
        self._head += len(url)
        if self._head <= MOST_HEAD:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head += len(name) + len(value) + 4
        if self._head <= MOST_HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_reading_clock()
        if self._head > MOST_HEAD:
            self._refuse(431)
            return
        super().on_headers_complete()
        self._wait_for_body()

    def on_body(self, body: bytes) -> None:
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._stop_reading_clock()
        if not self.transport.is_closing():
            super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writing = self._writing or self.loop.call_later(self.patience.write, self._not_read)

    def resume_writing(self) -> None:
        self._stop_writing_clock()
        super().resume_writing()

    def _wait_for_head(self) -> None:
        self._stop_reading_clock()
        self._reading = self.loop.call_later(self.patience.head, self._refuse, 408)

    def _wait_for_body(self) -> None:
        self._came = 0
        self._reading = self.loop.call_later(self.patience.body, self._look_for_body)

    def _look_for_body(self) -> None:
        """Too little has come, unless it is us who do not read."""
        if self._came >= self.patience.least_bytes or self.flow.read_paused:
            self._wait_for_body()
        else:
            self._refuse(408)

    def _stop_reading_clock(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _stop_writing_clock(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _not_read(self) -> None:
        """The caller does not take its answer: what is written for it would only wait."""
        self.transport.abort()

    def _refuse(self, status: int) -> None:
        """Answer, if no answer was begun, and close; whoever works on the request is told that its caller is gone."""
        self._stop_reading_clock()
        begun = self.cycle is not None and not self.cycle.response_complete and self.cycle.response_started
        if not begun:
            reason = _REFUSALS[status]
            self.transport.write(b"HTTP/1.1 %d %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % (status, reason))
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()


def protocol(patience: Patience) -> type[asyncio.Protocol]:
    """The protocol of connections with this patience."""
    return type("PatientProtocol", (BoundedProtocol,), {"patience": patience})


class Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: the process decides the order of the end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server(
    app: ASGIApp | Callable[..., Any], host: str, port: int, *, graceful: int = 10, patience: Patience | None = None
) -> Server:
    """A server of the application, not started; `graceful` is how many seconds its requests have to end."""
    patience = patience or Patience()
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol(patience),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=2000,
        timeout_keep_alive=int(patience.idle),
        timeout_graceful_shutdown=graceful,
    )
    return Server(config)
