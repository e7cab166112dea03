"""A wire between one process and a server, to be cut: nothing arrives while it is, and what was open is lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress

PIECE = 65_536


class Wire:
    """A port of 127.0.0.1 that leads to another; it lives in the running event loop."""

    def __init__(self, port: int, to: int) -> None:
        self.port = port
        self._to = to
        self._whole = asyncio.Event()
        self._whole.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Lead from now on."""
        self._server = await asyncio.start_server(self._lead, "127.0.0.1", self.port)

    async def cut(self, seconds: float) -> None:
        """Let nothing through for so long, then drop every connection that there was."""
        self._whole.clear()
        await asyncio.sleep(seconds)
        for writer in list(self._open):
            writer.transport.abort()
        self._whole.set()

    async def close(self) -> None:
        """Lead no more."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._whole.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
            self._open.add(back)
            try:
                await asyncio.gather(self._carry(reader, back), self._carry(there, writer))
            finally:
                self._open.discard(back)
                back.close()
        except OSError:
            pass  # the server is down: so is the wire
        finally:
            self._open.discard(writer)
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                await self._whole.wait()
                writer.write(piece)
                await writer.drain()
        writer.close()
