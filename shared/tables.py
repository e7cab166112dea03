"""Tables for people: CSV as it is read, or an Excel file, made row by row."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from enum import StrEnum
from typing import IO

from openpyxl import Workbook

XLSX_ROWS = 1_048_576
"""Rows of a sheet, the heading's among them: Excel's own limit."""
BATCH = 500
_PIECE = 64 * 1024
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")

Cell = str | int | float | None
Cells = Sequence[Cell]


class TableFormat(StrEnum):
    """How the table comes."""

    CSV = "csv"
    XLSX = "xlsx"

    @property
    def media_type(self) -> str:
        return {
            TableFormat.CSV: "text/csv; charset=utf-8",
            TableFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }[self]


@asynccontextmanager
async def csv_table(rows: AsyncIterator[Cells]) -> AsyncGenerator[AsyncIterator[bytes], None]:
    """UTF-8 with the mark by which Excel knows it; lines end as RFC 4180 has it."""
    async with aclosing(_csv(rows)) as pieces:
        yield pieces


@asynccontextmanager
async def xlsx_table(rows: AsyncIterator[Cells], title: str) -> AsyncGenerator[AsyncIterator[bytes], None]:
    """One sheet of this title, its heading and first column frozen; made before its first byte, removed after."""
    with tempfile.TemporaryFile() as file:
        await _write_xlsx(rows, title, file)
        yield _pieces(file)


async def _csv(rows: AsyncIterator[Cells]) -> AsyncGenerator[bytes, None]:
    buffer = io.StringIO("\ufeff")
    buffer.seek(0, io.SEEK_END)
    write = csv.writer(buffer).writerow
    async for number, row in _numbered(rows):
        write([_safe(cell) for cell in row])
        if number % BATCH == 0:
            yield _taken(buffer)
            await asyncio.sleep(0)  # what is at hand is taken without waiting: let others have their turn
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    written = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return written


async def _numbered(rows: AsyncIterator[Cells]) -> AsyncIterator[tuple[int, Cells]]:
    number = 0
    async for row in rows:
        number += 1
        yield number, row


async def _write_xlsx(rows: AsyncIterator[Cells], title: str, file: IO[bytes]) -> None:
    """Rows go to a temporary file of openpyxl's, which it removes when it saves the book, and only then."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "B2"
    batch: list[Cells] = []
    saved = False
    try:
        async for number, row in _numbered(rows):
            batch.append([_safe(cell) for cell in row])
            if number % BATCH == 0:
                await asyncio.to_thread(_append, sheet.append, batch)
                batch = []
        await asyncio.to_thread(_append, sheet.append, batch)
        saved = True
        await asyncio.to_thread(book.save, file)
    finally:
        if not saved:
            book.save(os.devnull)


def _append(append: Callable[[Cells], object], batch: Sequence[Cells]) -> None:
    for row in batch:
        append(list(row))


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    file.seek(0)
    while piece := await asyncio.to_thread(file.read, _PIECE):
        yield piece


def _safe(cell: Cell) -> Cell:
    """A text that a spreadsheet would take for a formula begins with an apostrophe, so that it stays a text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
