"""Printing off the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

from shared.documents.paper import Paper
from shared.documents.pdf import to_pdf
from shared.documents.word import to_docx
from shared.errors import Unavailable

MOST_WAITING = 20
"""Papers one process has in hand; at about half a second each, more would wait longer than people do."""


class Format(StrEnum):
    """What a paper can be printed as."""

    PDF = "pdf"
    DOCX = "docx"

    @property
    def media_type(self) -> str:
        if self is Format.PDF:
            return "application/pdf"
        return "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


_PRINTERS = {Format.PDF: to_pdf, Format.DOCX: to_docx}


class Press:
    """Prints one paper after the other in a thread, so that a process goes on answering meanwhile."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="press")
        self._most_waiting = most_waiting
        self._waiting = 0

    async def print(self, paper: Paper, format: Format) -> bytes:
        """The printed paper. Raises Unavailable when too many are waiting."""
        if self._waiting >= self._most_waiting:
            raise Unavailable("too many papers at once")
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._worker, _PRINTERS[format], paper)
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def _done(self, _: asyncio.Future[bytes]) -> None:
        self._waiting -= 1
