"""Work orders of the 12345 hotline (工单), read by the office's table of how its export names things."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from services.reports.domain.writing import plain_text
from shared.clock import CHINA
from shared.errors import Invalid

SURPLUS = "\0"
"""The heading of cells that have none: they make it doubtful which of the others is which."""
CELL_LIMIT = 8_000
"""Characters of a cell as it is sent; what a text may be is less."""
ORDER_LIMIT = 64
"""Characters of an order's number."""
NAME_LIMIT = 100
"""Characters of what the hotline calls a category or a community."""


class Column(StrEnum):
    """What a row tells."""

    ORDER = "order"
    RECEIVED_AT = "received_at"
    CATEGORY = "category"
    COMMUNITY = "community"
    ADDRESS = "address"
    LONGITUDE = "longitude"
    LATITUDE = "latitude"
    TEXT = "text"
    CALLER = "caller"
    PHONE = "phone"
    MAY_CALL = "may_call"
    MAY_PUBLISH = "may_publish"


NEEDED = (Column.ORDER, Column.TEXT)
_NOTHING = frozenset({"", "0", "-", "--", "—", "/", "无", "#n/a", "n/a", "null", "none", "nan", "#ref!", "#value!"})
"""What spreadsheets and people write where there is nothing."""
_ROUNDED = re.compile(r"[+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)|\d+\.\d*", re.IGNORECASE)
"""What a spreadsheet makes of a long number: its last digits are lost."""
_EXACT = 2**53
_COLUMNS = {column.value: column for column in Column} | {
    "reporter.name": Column.CALLER,
    "reporter.phone": Column.PHONE,
}
"""Columns by the fields of a case that they fill."""


@dataclass(frozen=True)
class Order:
    """A work order as the hotline tells it. `received_at` is UTC; `spot` is longitude and latitude.

    Whoever was not asked agrees to nothing.
    """

    id: str
    received_at: datetime | None
    category: str
    community: str
    address: str
    spot: tuple[float, float] | None
    text: str = field(repr=False)
    caller: str = field(repr=False)
    phone: str = field(repr=False)
    """As it was written: no bad number of a caller costs the order."""
    may_call: bool
    may_publish: bool


@dataclass(frozen=True)
class Sheet:
    """How the export reads here, in one version of the office's file.

    `columns` lists what each may be headed, the usual heading first. `categories` translates what the hotline calls
    a problem; `otherwise` is the category of whatever it does not list (None: such an order is refused). `crs` is
    the datum of coordinates, `times` are forms of a local time (strptime), `yes` and `no` the answers about consent.
    """

    version: int
    columns: Mapping[Column, tuple[str, ...]]
    categories: Mapping[str, str]
    otherwise: str | None
    crs: str
    times: tuple[str, ...]
    yes: tuple[str, ...]
    no: tuple[str, ...]

    def heading(self, field: str | None) -> str | None:
        """What people call the column of a field; a field of no column keeps its name."""
        return self.columns[_COLUMNS[field]][0] if field in _COLUMNS else field

    def headings(self, cells: Iterable[str]) -> list[str]:
        """The headings of a table as they are looked for. Raises Invalid (heading-twice), naming it."""
        found = [visible(cell) for cell in cells]
        for heading in found:
            if heading and found.count(heading) > 1:
                raise Invalid("heading-twice", field=heading[:NAME_LIMIT], heading=heading[:NAME_LIMIT])
        return found

    def lacks(self, headings: Iterable[str]) -> Column | None:
        """The column without which no row can be read, if it is not among the headings."""
        known = set(headings)
        return next((column for column in NEEDED if known.isdisjoint(self.columns[column])), None)

    def number(self, row: Mapping[str, object]) -> str:
        """The number of the order, "" if there is none, however wide it is written and whatever invisible is in it.

        Raises Invalid (order-number-rounded, cell-unreadable, and as `plain_text`).
        """
        number = plain_text(visible(self._cell(row, Column.ORDER)), Column.ORDER, ORDER_LIMIT)
        if _ROUNDED.fullmatch(number):
            raise Invalid("order-number-rounded", field=Column.ORDER)
        return "" if number.casefold() in _NOTHING else number

    def read(self, row: Mapping[str, object]) -> Order:
        """The order of a row; columns that the table does not list are left alone.

        Raises Invalid, naming the column: cell-required (number and text of the order), cell-unreadable,
        cell-ambiguous (two headings of one column, filled differently), coordinate-missing, order-number-rounded, and
        what `plain_text` raises; without a column cells-surplus (more cells than headings).
        """
        if SURPLUS in row:
            raise Invalid("cells-surplus")
        cells = {column: self._cell(row, column) for column in Column}
        number = self.number(row)
        for needed, filled in ((Column.ORDER, number), (Column.TEXT, cells[Column.TEXT])):
            if not filled:
                raise Invalid("cell-required", field=needed)
        return Order(
            id=number,
            received_at=self._moment(_folded(cells[Column.RECEIVED_AT])),
            category=plain_text(cells[Column.CATEGORY], Column.CATEGORY, NAME_LIMIT),
            community=plain_text(cells[Column.COMMUNITY], Column.COMMUNITY, NAME_LIMIT),
            address=cells[Column.ADDRESS],
            spot=_spot(_folded(cells[Column.LONGITUDE]), _folded(cells[Column.LATITUDE])),
            text=cells[Column.TEXT],
            caller=_unless_nothing(cells[Column.CALLER]),
            phone=_unless_nothing(visible(cells[Column.PHONE])),
            may_call=self._agreed(cells, Column.MAY_CALL),
            may_publish=self._agreed(cells, Column.MAY_PUBLISH),
        )

    def _cell(self, row: Mapping[str, object], column: Column) -> str:
        """What stands under any of the column's headings. Raises Invalid (cell-unreadable, cell-ambiguous)."""
        cells = [self._text(row[heading], column) for heading in self.columns[column] if heading in row]
        filled = list(dict.fromkeys(cell for cell in cells if cell))
        if len(filled) > 1:
            raise Invalid("cell-ambiguous", field=column)
        return filled[0] if filled else ""

    def _text(self, cell: object, column: Column) -> str:
        if isinstance(cell, float) and cell.is_integer():
            if column is Column.ORDER and abs(cell) >= _EXACT:
                raise Invalid("order-number-rounded", field=column)
            cell = int(cell)  # what a spreadsheet makes of the number of an order
        if not isinstance(cell, str | int | float | None):
            raise Invalid("cell-unreadable", field=column)
        text = "" if cell is None else str(cell)
        if len(text) > CELL_LIMIT:
            raise Invalid("text-too-long", field=column, limit=CELL_LIMIT)
        return text.strip()

    def _moment(self, text: str) -> datetime | None:
        for form in self.times if text else ():
            with suppress(ValueError, OverflowError):
                moment = datetime.strptime(text, form)  # noqa: DTZ007  (what names no zone is local time)
                return (moment if moment.tzinfo else moment.replace(tzinfo=CHINA)).astimezone(UTC)
        if text:
            raise Invalid("cell-unreadable", field=Column.RECEIVED_AT)
        return None

    def _agreed(self, cells: Mapping[Column, str], column: Column) -> bool:
        answer = _folded(cells[column]).casefold()
        if answer not in {"", *self.yes, *self.no}:
            raise Invalid("cell-unreadable", field=column)
        return answer in self.yes


def _spot(longitude: str, latitude: str) -> tuple[float, float] | None:
    for column, text, other in ((Column.LONGITUDE, longitude, latitude), (Column.LATITUDE, latitude, longitude)):
        if other and not text:
            raise Invalid("coordinate-missing", field=column)
    return (_number(longitude, Column.LONGITUDE), _number(latitude, Column.LATITUDE)) if longitude else None


def _number(text: str, column: Column) -> float:
    try:
        return float(text)
    except ValueError:
        raise Invalid("cell-unreadable", field=column) from None


def _unless_nothing(text: str) -> str:
    return "" if text.casefold() in _NOTHING else text


def visible(text: str) -> str:
    """The text folded, without what nobody sees: marks of direction, joiners, blanks of no width."""
    return "".join(each for each in _folded(text) if unicodedata.category(each) != "Cf").strip()


def _folded(text: str) -> str:
    """The text with full-width letters and digits as plain ones."""
    return unicodedata.normalize("NFKC", text).strip()
