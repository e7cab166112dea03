"""Tables for people: CSV as it is read, or an Excel file, made row by row."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from enum import StrEnum
from typing import IO

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

XLSX_ROWS = 1_048_576
"""Rows of a sheet, the heading's among them: Excel's own limit."""
BATCH = 500
_PIECE = 64 * 1024
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")

_NO_CHARACTER = re.compile(r"[\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_LIKE_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")

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
    """Rows go to a temporary file of the writer's, in a folder of ours, until the book is put together."""
    with tempfile.TemporaryDirectory() as folder:
        book = Workbook(file, {"constant_memory": True, "tmpdir": folder})
        sheet = book.add_worksheet(title)
        sheet.freeze_panes(1, 1)
        write = _Writer(sheet, book.add_format({"quote_prefix": True}))
        batch: list[Cells] = []
        async for number, row in _numbered(rows):
            batch.append(row)
            if number % BATCH == 0:
                await asyncio.to_thread(write.rows, batch)
                batch = []
        await asyncio.to_thread(write.rows, batch)
        await asyncio.to_thread(book.close)


class _Writer:
    """Writes row below row. A text is a text: never a formula, a link or a number, whatever it looks like."""

    def __init__(self, sheet: Worksheet, quoted: Format) -> None:
        self._sheet = sheet
        self._quoted = quoted
        self._row = 0

    def rows(self, batch: Sequence[Cells]) -> None:
        for row in batch:
            for column, cell in enumerate(row):
                self._write(column, cell)
            self._row += 1

    def _write(self, column: int, cell: Cell) -> None:
        if isinstance(cell, str):
            # Excel keeps the mark of a text that looks like a formula beside it, not in it.
            form = (self._quoted,) if cell.startswith(_FORMULA) else ()
            self._sheet.write_string(self._row, column, _storable(cell), *form)
        elif cell is not None:
            self._sheet.write_number(self._row, column, cell)


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    file.seek(0)
    while piece := await asyncio.to_thread(file.read, _PIECE):
        yield piece


def _safe(cell: Cell) -> Cell:
    """In CSV a text that a spreadsheet would take for a formula begins with an apostrophe, so that it stays a text."""
    if not isinstance(cell, str):
        return cell
    return f"'{_storable(cell)}" if cell.startswith(_FORMULA) else _storable(cell)


def _storable(text: str) -> str:
    """Without what neither XML nor UTF-8 can hold: one odd character never costs a whole table."""
    return _NO_CHARACTER.sub("\ufffd", text)


def escaped(text: str) -> str:
    """As a cell of an Excel file has it: `_x0041_` would be read as A."""
    return _LIKE_ESCAPE.sub("_x005F_", text)


def unescaped(text: str) -> str:
    """What a cell of an Excel file says: `_x000D_` is a carriage return, `_x005F_x0041_` is `_x0041_`."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
