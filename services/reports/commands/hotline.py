"""How work orders of the 12345 hotline become cases: each once, whatever is wrong with the others."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from services.reports.commands.intake import Reference, Submission, place_of, register
from services.reports.district import District
from services.reports.domain import Actor, Catalogue, Category, Moderation, Person
from services.reports.domain.channels import Origin
from services.reports.domain.hotline import SURPLUS, Column, Order, Sheet, visible
from services.reports.repo import ORIGINS
from services.reports.repo.reporters import Reporters, Sender
from shared import telemetry
from shared.clock import CHINA
from shared.contracts.reports import Channel
from shared.errors import DomainError, Duplicate, Invalid, Refused, Unavailable
from shared.geo import Crs
from shared.store import Store, UnitOfWork

ROWS_LIMIT = 500
PHONE_FIELD = "reporter.phone"
UNREADABLE_PHONE = "来电号码无法识别，未登记"
DELIMITERS = (",", ";", "\t")
HEADINGS_LIMIT = 10_000
"""Characters of the first line that are looked at to find out what parts the cells."""
AT_ONCE = 100
"""Orders that are filed at the same time, so that the store commits them together."""

log = telemetry.logger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of an order: a new case with its unit, the case it has already, or why it was refused."""

    order: str
    case: str | None = None
    unit: str | None = None
    is_new: bool = False
    note: str = ""
    """What was left out, for whoever sent it to look at."""
    error: DomainError | None = None


def rows_of(district: District, content: bytes) -> dict[int, Mapping[str, object]]:
    """The rows of a CSV file by number, from 1 below the headings; UTF-8 or GB 18030, as spreadsheets write it.

    Cells are parted by commas, semicolons or tabs. Empty rows are left out. Raises Invalid: csv-unreadable,
    column-missing, heading-twice, too-many-rows.
    """
    lines = _lines(content, district.hotline)
    headings = district.hotline.headings(next(lines, []))
    if lacking := district.hotline.lacks(headings):
        raise Invalid("column-missing", field=district.hotline.heading(lacking))
    rows: dict[int, Mapping[str, object]] = {}
    for number, line in enumerate(lines, 1):
        if any(cell.strip() for cell in line):
            rows[number] = _row(headings, line)
        if len(rows) > ROWS_LIMIT:
            raise Invalid("too-many-rows", limit=ROWS_LIMIT)
    return rows


def _row(headings: Sequence[str], line: Sequence[str]) -> dict[str, object]:
    row: dict[str, object] = {heading: cell for heading, cell in zip(headings, line, strict=False) if heading}
    surplus = [cell for cell in line[len(headings) :] if cell.strip()]
    return row | ({SURPLUS: surplus} if surplus else {})


async def import_orders(
    store: Store, reporters: Reporters, reference: Reference, rows: Iterable[Mapping[str, object]], by: Actor
) -> list[Outcome]:
    """File the orders of the rows, each in a transaction of its own; the outcomes in the order of the rows.

    A row that fails for a fault of ours is refused like any other (row-failed), and logged: it never costs the others.

    Raises Unavailable when the database does not answer: whatever was filed is known when the rows come again.
    """
    turn = asyncio.Semaphore(AT_ONCE)

    async def in_turn(row: Mapping[str, object]) -> Outcome:
        async with turn:
            return await _import(store, reporters, reference, row, by)

    rows = list(rows)
    done = await asyncio.gather(*(in_turn(row) for row in rows), return_exceptions=True)
    return [
        outcome if isinstance(outcome, Outcome) else _failed(number, outcome) for number, outcome in enumerate(done, 1)
    ]


def _failed(row: int, fault: BaseException) -> Outcome:
    if isinstance(fault, Unavailable) or not isinstance(fault, Exception):
        raise fault
    log.error("a work order of the hotline failed", row=row, exc_info=fault)
    return Outcome("", error=Refused("row-failed"))


async def file_order(uow: UnitOfWork, reporters: Reporters, reference: Reference, order: Order, by: Actor) -> Outcome:
    """A case for the order, unless it has one.

    Raises Invalid: category-unknown, community-unknown, place-missing, time-in-future, and what `intake.register`
    and `place_of` raise.
    """
    origin = f"hotline/{order.id}"
    if (known := await uow.find(ORIGINS, origin)) is not None:
        return Outcome(order.id, known.case)
    if order.received_at is not None and order.received_at > uow.now:
        raise Invalid("time-in-future", field=Column.RECEIVED_AT)
    district = reference.district
    category, note = _category(district, await reference.catalogue.current(), order)
    person, doubt = _caller(order)
    note = "；".join(filter(None, (note, doubt)))
    sender = Sender(person, may_call=order.may_call, may_publish=order.may_publish, stranger=False)
    reporter = reporters.kept(sender, district.reporting)
    submission = replace(_submission(district, order, category), reporter=reporter, person=person)
    place, areas = place_of(district, submission)
    routing = district.router.route(category, areas, uow.now)
    moderation = Moderation.APPROVED if order.may_publish else Moderation.WITHHELD
    case = await register(uow, reference, submission, by, category, place, routing, moderation=moderation, note=note)
    uow.insert(ORIGINS, Origin(origin, case.id, order.received_at or uow.now))
    return Outcome(order.id, case.id, case.unit, is_new=True, note=doubt)


async def _import(
    store: Store, reporters: Reporters, reference: Reference, row: Mapping[str, object], by: Actor
) -> Outcome:
    number, hotline = "", reference.district.hotline
    try:
        number = hotline.number(row)
        order = hotline.read(row)
        try:
            return await store.run(lambda uow: file_order(uow, reporters, reference, order, by))
        except Duplicate:  # somebody else has just filed it
            return await store.run(lambda uow: file_order(uow, reporters, reference, order, by))
    except DomainError as error:
        error.field = hotline.heading(error.field)
        return Outcome(number, error=error)


def _caller(order: Order) -> tuple[Person, str]:
    """Who called, and what cannot be read of the number: no bad number costs the order."""
    try:
        return Person.checked(order.caller, order.phone), ""
    except Invalid as error:
        if error.field != PHONE_FIELD:
            raise
    return Person.checked(order.caller, None), UNREADABLE_PHONE


def _category(district: District, catalogue: Catalogue, order: Order) -> tuple[Category, str]:
    """The category here, and what is to be noted of how the hotline told it."""
    note = f"12345 热线工单 {order.id}"
    if order.received_at is not None:
        note += f"，{order.received_at.astimezone(CHINA):%Y-%m-%d %H:%M} 受理"
    taken = {code: category for code, category in catalogue.categories.items() if not category.retired}
    named = {category.name.zh: code for code, category in taken.items()}
    code = named.get(order.category) or district.hotline.categories.get(order.category, order.category)
    if (category := taken.get(code)) is not None:
        return category, note
    if district.hotline.otherwise is None:
        raise Invalid("category-unknown", field=Column.CATEGORY, given=order.category)
    return catalogue.open(district.hotline.otherwise), f"{note}；类别“{order.category}”未对应"


def _submission(district: District, order: Order, category: Category) -> Submission:
    longitude, latitude = order.spot or _middle(district, order)
    return Submission(
        category=category.code,
        longitude=longitude,
        latitude=latitude,
        crs=district.hotline.crs if order.spot else Crs.WGS84,
        exact=order.spot is not None,
        address=order.address,
        text=order.text,
        channel=Channel.HOTLINE,
    )


def _middle(district: District, order: Order) -> tuple[float, float]:
    """The middle of the community that is told, or else the only one that the address names."""
    communities = district.communities.values()
    if order.community:
        found = [each for each in communities if order.community in {each.code, each.name.zh}]
    else:
        found = [each for each in communities if each.name.zh in order.address]
    if order.community and not found:
        raise Invalid("community-unknown", field=Column.COMMUNITY, given=order.community)
    if len(found) != 1:
        raise Invalid("place-missing", field=Column.COMMUNITY)
    middle = district.grid.middle(found[0].code)
    return middle.longitude, middle.latitude


def _lines(content: bytes, sheet: Sheet) -> Iterator[list[str]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode("gb18030")
        except UnicodeDecodeError:
            raise Invalid("csv-unreadable") from None
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text, sheet), strict=True)
    except csv.Error:
        raise Invalid("csv-unreadable") from None


def _delimiter(text: str, sheet: Sheet) -> str:
    """What parts the headings into the columns that are needed; a comma where nothing does."""
    first = re.split(r"[\r\n]", text, maxsplit=1)[0][:HEADINGS_LIMIT]
    fitting = (each for each in DELIMITERS if not sheet.lacks(map(visible, first.replace('"', "").split(each))))
    return next(fitting, DELIMITERS[0])
