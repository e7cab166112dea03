"""Files that are made while they are sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from shared.auth import ANONYMOUS, Principal
from shared.errors import TooMany, Unavailable
from shared.http.limits import client_address, subscriber
from shared.http.shares import Shares


class Slots:
    """How many files may be made at once: each keeps a cursor open and a processor busy.

    One account, or one subscriber without, has at most half of them.
    """

    def __init__(self, free: int = 2) -> None:
        self._shares = Shares(free, max(1, free // 2))

    @contextmanager
    def take(self, holder: str) -> Iterator[None]:
        """Raises TooMany (export-busy)."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self._shares.take(holder))
            except (TooMany, Unavailable):
                raise TooMany("export-busy", retry_after=30) from None
            yield


def holder_of(request: Request) -> str:
    """Whose share of a small pool a request takes: the account's, or the subscriber's without one."""
    caller: Principal = request.scope.get("principal", ANONYMOUS)
    return f"account {caller.subject}" if caller.subject else subscriber(client_address(request))


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
        with self._slots.take(holder_of(Request(scope))):
            async with self._content() as pieces:
                headers = {"content-disposition": self.headers["content-disposition"]}
                await StreamingResponse(pieces, headers=headers, media_type=self.media_type)(scope, receive, send)
