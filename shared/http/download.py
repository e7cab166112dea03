"""Files that are made while they are sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from shared.errors import TooMany


class Slots:
    """How many files may be made at once: each keeps a cursor open and a processor busy."""

    def __init__(self, free: int = 2) -> None:
        self._free = free

    @contextmanager
    def take(self) -> Iterator[None]:
        """Raises TooMany (export-busy)."""
        if self._free == 0:
            raise TooMany("export-busy", retry_after=30)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


class Download(Response):
    """A file that is made while it is sent; nothing is made while too many others are."""

    def __init__(
        self,
        slots: Slots,
        content: Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes]]],
        media_type: str,
        name: str,
    ) -> None:
        self._slots, self._content = slots, content
        headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
        super().__init__(None, headers=headers, media_type=media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises TooMany (export-busy) and what the content raises, before anything is sent."""
        with self._slots.take():
            async with self._content() as pieces:
                headers = {"content-disposition": self.headers["content-disposition"]}
                await StreamingResponse(pieces, headers=headers, media_type=self.media_type)(scope, receive, send)
