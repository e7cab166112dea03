"""Excel files of the assessment scheme. What openpyxl does is kept here; what cells mean, the domain knows."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import IO, cast
from xml.parsers import expat
from zipfile import BadZipFile, ZipFile

from openpyxl import Workbook, load_workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter, range_boundaries
from openpyxl.worksheet._read_only import ReadOnlyWorksheet
from openpyxl.worksheet._write_only import WriteOnlyWorksheet
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from services.scoring.domain.scheme_table import (
    COLUMNS_LIMIT,
    Broken,
    Cell,
    Column,
    Dictionary,
    TableReader,
    headings,
    rows_of,
)
from services.scoring.domain.schemes import STANDARDS_LIMIT, Tree
from shared.errors import Invalid, Several
from shared.tables import escaped, unescaped

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOST_BYTES = 4 * 1024 * 1024
UNPACKED_LIMIT = 24 * 1024 * 1024
ELEMENTS_LIMIT = 300_000
"""Bytes and elements that the parts of a file may come to together: a small file can hold very much of the same."""
ROWS_LIMIT = 20_000
"""Rows down to which a table is read, empty ones among them."""
MERGES_LIMIT = 500
TABLE, ABOUT = "责任分解表", "说明"
NAME, SOURCE, VERSION = "名称", "来源", "版本"
_WIDTHS = {Column.TEXT: 48, Column.CONTENT: 32, Column.VENUES: 32, Column.SUPPORTING: 24}
_UNREADABLE = (
    *(BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError),
    *(expat.ExpatError, SyntaxError),
    *(KeyError, IndexError, ValueError, TypeError, AttributeError, OverflowError),
)
"""What the reader of a damaged file meets: of the archive, of the XML, of what the XML says."""


def written(name: str, source: str, version: int, tree: Tree, words: Dictionary) -> bytes:
    """The workbook: the table, and a sheet that says what it is a table of. Texts stay texts, however they begin."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(TABLE)
    sheet.freeze_panes = "A2"
    for place, column in enumerate(Column, 1):
        sheet.column_dimensions[get_column_letter(place)].width = _WIDTHS.get(column, 14)
    sheet.page_setup.orientation, sheet.page_setup.paperSize = "landscape", Worksheet.PAPERSIZE_A3
    sheet.page_setup.fitToHeight = 0
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    sheet.print_title_rows = "1:1"
    rows = 1
    sheet.append([_heading(sheet, heading) for heading in headings()])
    for row in rows_of(tree, words):
        sheet.append([_cell(sheet, value) for value in row])
        rows += 1
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(Column))}{rows}"
    about = book.create_sheet(ABOUT)
    about.column_dimensions["B"].width = 60
    for label, named in ((NAME, name), (SOURCE, source), (VERSION, str(version))):
        about.append([label, _cell(about, named)])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def read(content: bytes, words: Dictionary) -> tuple[str, str, Tree]:
    """Name, source and tree of a workbook; name and source are empty where it does not tell them.

    The first sheet is the table, whatever it is called. Raises Invalid (workbook-unreadable, workbook-too-large,
    too-many-rows, table-empty) and Several (table-faulty): every fault, each with its cell.
    """
    try:
        opened = _opened(content)
    except _UNREADABLE:
        raise Invalid("workbook-unreadable") from None
    reader = TableReader(words)
    tree = reader.read(opened.rows)
    for cells in opened.merged[:MERGES_LIMIT]:
        reader.complain(Invalid("cells-merged", given=cells), cells.partition(":")[0])
    if reader.faults:
        raise Several("table-faulty", reader.faults)
    if not tree:
        raise Invalid("table-empty")
    return opened.name, opened.source, tree


@dataclass(frozen=True)
class _Opened:
    """What is in a workbook: the rows of its table that are not empty, and which cells of it are merged."""

    name: str
    source: str
    rows: list[tuple[int, list[Cell]]]
    merged: list[str]


def _opened(content: bytes) -> _Opened:
    merged = _looked_through(content)
    book = load_workbook(io.BytesIO(content), read_only=True)
    table = book.worksheets[0]
    path: str = table._worksheet_path  # type: ignore[attr-defined]  # only books that are whole in memory tell merges
    about = {}
    if ABOUT in book.sheetnames and len(book.worksheets) > 1:
        lines = book[ABOUT].iter_rows(max_row=10, max_col=2, values_only=True)
        about = {str(row[0]): unescaped(str(row[1])) for row in lines if len(row) == 2 and row[1] is not None}
    rows = dict(islice(_rows(table), STANDARDS_LIMIT + 2))
    found = merged.get(path, [])
    _spoil(rows, found[:MERGES_LIMIT])
    return _Opened(about.get(NAME, ""), about.get(SOURCE, ""), list(rows.items()), found)


def _spoil(rows: Mapping[int, list[Cell]], merged: Iterable[str]) -> None:
    """Have nothing else said of cells that are merged: what they show stands in one of them only."""
    for cells in merged:
        left, top, right, bottom = range_boundaries(cells)
        for number in range(top or 1, min(bottom or 1, ROWS_LIMIT) + 1):
            for place in range((left or 1) - 1, min(right or 1, len(rows.get(number, ())))):
                rows[number][place] = Broken(None)


def _parse(parser: expat.XMLParserType, file: IO[bytes], name: str) -> None:
    """Raises ExpatError for what is damaged; a picture is no XML, and counts as far as it looks like it."""
    try:
        parser.ParseFile(file)
    except expat.ExpatError:
        if name.endswith((".xml", ".rels")):
            raise


def _looked_through(content: bytes) -> dict[str, list[str]]:
    """What is merged, by part of the file. Nothing is kept of the parts meanwhile, however large they unpack.

    A part is XML by what the workbook says of it, whatever it is called: all of them are counted.

    Raises Invalid (workbook-too-large), and what damaged files raise; a document type is refused as one.
    """
    merged: dict[str, list[str]] = {}
    with ZipFile(io.BytesIO(content)) as parts:
        if sum(part.file_size for part in parts.infolist()) > UNPACKED_LIMIT:
            raise Invalid("workbook-too-large", limit=UNPACKED_LIMIT)
        count = 0
        for part in parts.infolist():
            found = merged[part.filename] = []

            def begin(name: str, attributes: dict[str, str], found: list[str] = found) -> None:
                nonlocal count
                count += 1
                if count > ELEMENTS_LIMIT:
                    raise Invalid("workbook-too-large", limit=UNPACKED_LIMIT)
                if name.endswith(" mergeCell"):
                    found.append(attributes.get("ref", "A1"))

            parser = expat.ParserCreate(namespace_separator=" ")
            parser.StartElementHandler = begin
            parser.StartDoctypeDeclHandler = _refuse_document_type
            with parts.open(part) as file:
                _parse(parser, file, part.filename)
    return merged


def _refuse_document_type(*_: object) -> None:
    raise ValueError("a part of a workbook has no document type")


def _rows(sheet: Worksheet) -> Iterator[tuple[int, list[Cell]]]:
    cast(ReadOnlyWorksheet, sheet).reset_dimensions()  # what the file says of its size need not be true
    for number, row in enumerate(sheet.iter_rows(max_row=ROWS_LIMIT + 1, max_col=COLUMNS_LIMIT), 1):
        if number > ROWS_LIMIT:
            raise Invalid("too-many-rows", limit=ROWS_LIMIT)
        if any(cell.value is not None for cell in row):
            yield number, [_value(cell.data_type, cell.value) for cell in row]


def _value(kind: str, value: Cell) -> Cell:
    if kind == "f":
        return Broken(Invalid("cell-has-formula"))
    if kind == "e":
        return Broken(Invalid("cell-unreadable"))
    return unescaped(value) if isinstance(value, str) else value


def _cell(sheet: WriteOnlyWorksheet, value: Cell) -> Cell:
    said = escaped(value) if isinstance(value, str) else value
    cell = WriteOnlyCell(sheet, cast(str | None, said or None))
    cell.alignment = _WRAPPED
    if isinstance(value, str):
        cell.data_type = "s"
        cell.number_format = "@"
        # Else a spreadsheet would take the text for a formula as soon as somebody edits it.
        cell.quotePrefix = value.startswith(("=", "+", "-", "@"))
    elif isinstance(value, date):
        cell.number_format = "yyyy-mm-dd"
    return cell


def _heading(sheet: WriteOnlyWorksheet, heading: str) -> Cell:
    cell = WriteOnlyCell(sheet, heading)
    cell.font = _BOLD
    return cell


_WRAPPED = Alignment(wrap_text=True, vertical="top")
_BOLD = Font(bold=True)
