"""Work orders of the 12345 hotline (工单), read by the office's table of how its export names things."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from services.reports.domain.writing import plain_text
from shared.clock import CHINA
from shared.errors import Invalid

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

    def lacks(self, headings: Iterable[str]) -> Column | None:
        """The column without which no row can be read, if it is not among the headings."""
        known = set(headings)
        return next((column for column in NEEDED if known.isdisjoint(self.columns[column])), None)

    def number(self, row: Mapping[str, object]) -> str:
        """The number of the order, "" if there is none. Raises Invalid (cell-unreadable, and as `plain_text`)."""
        return plain_text(_folded(self._cell(row, Column.ORDER)), Column.ORDER, ORDER_LIMIT)

    def read(self, row: Mapping[str, object]) -> Order:
        """The order of a row; columns that the table does not list are left alone.

        Raises Invalid, naming the column: cell-required (number and text of the order), cell-unreadable,
        coordinate-missing, and what `plain_text` raises.
        """
        told = {column: self._cell(row, column) for column in Column}
        for needed in NEEDED:
            if not told[needed]:
                raise Invalid("cell-required", field=needed)
        return Order(
            id=self.number(row),
            received_at=self._moment(_folded(told[Column.RECEIVED_AT])),
            category=plain_text(told[Column.CATEGORY], Column.CATEGORY, NAME_LIMIT),
            community=plain_text(told[Column.COMMUNITY], Column.COMMUNITY, NAME_LIMIT),
            address=told[Column.ADDRESS],
            spot=_spot(_folded(told[Column.LONGITUDE]), _folded(told[Column.LATITUDE])),
            text=told[Column.TEXT],
            caller=told[Column.CALLER],
            phone=_folded(told[Column.PHONE]),
            may_call=self._agreed(told, Column.MAY_CALL),
            may_publish=self._agreed(told, Column.MAY_PUBLISH),
        )

    def _cell(self, row: Mapping[str, object], column: Column) -> str:
        cell = next((row[heading] for heading in self.columns[column] if heading in row), None)
        if isinstance(cell, float) and cell.is_integer():
            cell = int(cell)  # what a spreadsheet makes of the number of an order
        if not isinstance(cell, str | int | float | None):
            raise Invalid("cell-unreadable", field=column)
        return "" if cell is None else str(cell).strip()

    def _moment(self, told: str) -> datetime | None:
        for form in self.times if told else ():
            with suppress(ValueError, OverflowError):
                moment = datetime.strptime(told, form)  # noqa: DTZ007  (what names no zone is local time)
                return (moment if moment.tzinfo else moment.replace(tzinfo=CHINA)).astimezone(UTC)
        if told:
            raise Invalid("cell-unreadable", field=Column.RECEIVED_AT)
        return None

    def _agreed(self, told: Mapping[Column, str], column: Column) -> bool:
        answer = _folded(told[column]).casefold()
        if answer not in {"", *self.yes, *self.no}:
            raise Invalid("cell-unreadable", field=column)
        return answer in self.yes


def _spot(longitude: str, latitude: str) -> tuple[float, float] | None:
    for column, told, other in ((Column.LONGITUDE, longitude, latitude), (Column.LATITUDE, latitude, longitude)):
        if other and not told:
            raise Invalid("coordinate-missing", field=column)
    return (_number(longitude, Column.LONGITUDE), _number(latitude, Column.LATITUDE)) if longitude else None


def _number(told: str, column: Column) -> float:
    try:
        return float(told)
    except ValueError:
        raise Invalid("cell-unreadable", field=column) from None


def _folded(text: str) -> str:
    """The text with full-width letters and digits as plain ones."""
    return unicodedata.normalize("NFKC", text).strip()
