"""A minimal HTTP/1.1 client for load: one keep-alive connection, one request at a time, nothing it can do without.

General clients spend about a millisecond of processor time per request, which on a small machine would be
measured instead of the service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple, cast
from urllib.parse import urlsplit

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class Unreadable(ConnectionError):
    """An answer without a length: these services always send one."""


def request_bytes(method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """The request as it goes over the wire."""
    address = urlsplit(url)
    target = f"{address.path or '/'}{f'?{address.query}' if address.query else ''}"
    content = {"Host": address.netloc, **headers, "Content-Length": str(len(body))}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in content.items())]
    return "\r\n".join(lines).encode() + _END + body


def parse(received: bytes | bytearray) -> tuple[Answer, int] | None:
    """The answer at the beginning of what was received, and its size; None while it is incomplete.

    Raises Unreadable.
    """
    head = received.find(_END)
    if head < 0:
        return None
    lowered = bytes(received[:head]).lower()
    place = lowered.find(_LENGTH)
    if place < 0:
        raise Unreadable("an answer without Content-Length")
    length = int(lowered[place + len(_LENGTH) :].split(b"\r\n", 1)[0])
    end = head + len(_END) + length
    if len(received) < end:
        return None
    return Answer(int(received[9:12]), bytes(received[head + len(_END) : end])), end


class Connection(asyncio.Protocol):
    """One connection to a service. `request` raises ConnectionError when the service hangs up."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._waiting: asyncio.Future[Answer] | None = None

    @classmethod
    async def open(cls, url: str) -> Connection:
        """A connection to the host of the address. Raises OSError."""
        address = urlsplit(url)
        _, connection = await asyncio.get_running_loop().create_connection(
            cls, str(address.hostname), address.port or 80
        )
        return connection

    async def request(self, request: bytes) -> Answer:
        """Send and wait for the answer; never two at once."""
        if self._transport is None:
            raise ConnectionError("the connection is closed")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is one, but does not derive from it

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            found = parse(self._received)
        except Unreadable as error:
            self.connection_lost(error)
            return
        if found is not None and self._waiting is not None and not self._waiting.done():
            answer, size = found
            del self._received[:size]
            self._waiting.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error or ConnectionResetError("the service hung up"))
