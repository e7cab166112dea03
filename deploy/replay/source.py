"""Service requests as the City of Los Angeles publishes them (MyLA311), read row by row."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

COLUMNS = (
    "CreatedDate",
    "ClosedDate",
    "RequestType",
    "Status",
    "RequestSource",
    "Address",
    "Latitude",
    "Longitude",
    "NCName",
)
LOS_ANGELES = ZoneInfo("America/Los_Angeles")
_TIME = "%m/%d/%Y %I:%M:%S %p"


class NotARequestFile(Exception):
    """The file has not the columns of the city's requests."""


@dataclass(frozen=True)
class Request:
    """One request; times are on the city's wall clock, `spot` is (longitude, latitude), None when not published."""

    line: int
    created: datetime
    closed: datetime | None
    kind: str
    status: str
    channel: str
    address: str
    neighbourhood: str
    spot: tuple[float, float] | None


@dataclass(frozen=True)
class Skipped:
    """A row that is not replayed: its line in the file and why."""

    line: int
    reason: str


def read_requests(lines: Iterable[str]) -> Iterator[Request | Skipped]:
    """The rows of a file in its order; one that cannot be read is Skipped, never an end.

    Needs COLUMNS, in any order, among others. Raises NotARequestFile.
    """
    line = 0

    def counted() -> Iterator[str]:
        # The reader's own count leaves out lines that it failed on.
        nonlocal line
        for text in lines:
            line += 1
            yield text

    reader = csv.DictReader(counted())
    missing = set(COLUMNS).difference(reader.fieldnames or ())
    if missing:
        raise NotARequestFile(f"columns are missing: {', '.join(sorted(missing))}")
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield Skipped(line, str(error))
            continue
        if row is None:
            return
        yield _read(line, row)


def _read(line: int, row: Mapping[str | None, str | list[str] | None]) -> Request | Skipped:
    if None in row or None in row.values():
        return Skipped(line, "has not as many fields as the header")
    fields = {name: str(row[name]).strip() for name in COLUMNS}
    try:
        created = _moment(fields["CreatedDate"])
        closed = _moment(fields["ClosedDate"]) if fields["ClosedDate"] else None
        spot = _spot(fields["Longitude"], fields["Latitude"])
    except ValueError as error:
        return Skipped(line, str(error))
    if closed and closed < created:
        return Skipped(line, "closed before it was created")
    return Request(
        line=line,
        created=created,
        closed=closed,
        kind=fields["RequestType"],
        status=fields["Status"],
        channel=fields["RequestSource"],
        address=fields["Address"],
        neighbourhood=fields["NCName"],
        spot=spot,
    )


def _moment(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=LOS_ANGELES)


def _spot(longitude: str, latitude: str) -> tuple[float, float] | None:
    if not longitude and not latitude:
        return None
    spot = (float(longitude), float(latitude))
    if not all(map(math.isfinite, spot)):
        raise ValueError(f"not a place: {longitude}, {latitude}")
    return spot
