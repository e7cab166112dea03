"""A month's archive and the ledgers as lines, streamed: what is held is a batch of rows, and a month's standings."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from services.scoring.domain.archive import ArchiveWriter, frozen_line, header_line, row_line, rule_lines
from services.scoring.domain.ledger import Entry, entry_id, standing_id
from services.scoring.domain.periods import (
    PeriodState,
    SealedStanding,
    Text,
    seal_line,
    sealed_standings,
    standing_lines,
)
from services.scoring.repo import (
    CALENDARS,
    CURRENT,
    ENTRIES,
    PERIODS,
    REVERSALS,
    RULE_BOOKS,
    SEALS,
    STANDINGS,
    TEXTS,
)
from services.scoring.views.periods import progress
from shared.contracts.scoring import EntryPosted
from shared.errors import NotFound, Refused
from shared.months import next_month
from shared.store import Store
from shared.store.collection import Filter

_PIECE = 64 * 1024


@dataclass(frozen=True)
class Contents:
    """What goes into the archive of a month, and that it can be made."""

    period: str
    first: str
    sealed: bool
    rules: Sequence[str]
    scheme: Sequence[str]


async def contents(store: Store, period: str, *, unsealed: bool = False) -> Contents:
    """What the archive of a published month is made of; with `unsealed`, of one that is frozen only.

    Raises NotFound (`periods-not-found`) for an open month, and Refused (`period-not-published`, `period-freezing`).
    """
    found, calendar = await store.get(PERIODS, period), await store.get(CALENDARS, CURRENT)
    if found is None or calendar is None:
        raise NotFound("periods-not-found", id=period)
    seal = await store.get(SEALS, period)
    if seal is not None:
        scheme = await _text(store, seal.scheme_text) if seal.scheme_text else ()
        return Contents(period, calendar.first, True, await _text(store, seal.rules), scheme)
    if not unsealed:
        raise Refused("period-not-published", period=period)
    far = await progress(store, found)
    if far.state is PeriodState.FREEZING:
        raise Refused("period-freezing", period=period, confirmed=far.confirmed, units=far.units)
    book = await store.get(RULE_BOOKS, CURRENT)
    return Contents(period, calendar.first, False, Text.of(rule_lines(book.rules if book else ())).lines, ())


async def _text(store: Store, id: str) -> Sequence[str]:
    text = await store.get(TEXTS, id)
    if text is None:
        raise NotFound("texts-not-found", id=id)
    return text.lines


async def archive(store: Store, contents: Contents, groups: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
    """The archive (see domain/archive.py) in pieces of whole lines; `groups` is for months that have no seal yet."""
    writer, batch = ArchiveWriter(), bytearray()
    async with aclosing(_lines(store, contents, groups)) as lines:
        async for line in lines:
            batch += writer.add(line)
            if len(batch) > _PIECE:
                yield bytes(batch)
                batch.clear()
    yield bytes(batch + writer.end())


async def _lines(store: Store, contents: Contents, groups: Mapping[str, str]) -> AsyncGenerator[str, None]:
    yield header_line(contents.period, sealed=contents.sealed)
    for line in (*contents.rules, *contents.scheme):
        yield line
    places: Sequence[SealedStanding] = ()
    month = contents.first
    while month <= contents.period:
        seal = await store.get(SEALS, month)
        places = seal.places if seal else await _frozen(store, month, groups)
        yield seal_line(seal) if seal else frozen_line(month, len(places))
        for line in standing_lines(month, places):
            yield line
        month = next_month(month)
    for place in places:
        async with aclosing(_rows(store, place.unit, place.rows)) as rows:
            async for line in rows:
                yield line


async def _frozen(store: Store, month: str, groups: Mapping[str, str]) -> Sequence[SealedStanding]:
    period = await store.get(PERIODS, month)
    units = period.units if period else []
    found = await store.find(STANDINGS, {"_id": {"$in": [standing_id(unit, month) for unit in units]}})
    return sealed_standings(SealedStanding.of(standing, groups.get(standing.unit, "")) for standing in found)


async def _rows(store: Store, unit: str, last: int) -> AsyncGenerator[str, None]:
    """The unit's rows up to `last`, each with the row that takes it back, where that is among them."""
    wanted = {"_id": {"$gte": entry_id(unit, 0), "$lte": entry_id(unit, last)}}
    async with (
        aclosing(_entries(store, {"unit": unit, "number": {"$lte": last}})) as rows,
        aclosing(store.stream(REVERSALS, wanted, [("_id", 1)])) as reversals,
    ):
        reversal = await anext(reversals, None)
        async for entry in rows:
            by = None
            if reversal is not None and reversal["_id"] == entry.id:
                by = reversal["by"] if reversal["by"] <= last else None
                reversal = await anext(reversals, None)
            yield row_line(entry, by)


async def _entries(store: Store, filter: Filter) -> AsyncGenerator[Entry, None]:
    async with aclosing(store.stream(ENTRIES, filter, [("unit", 1), ("number", 1)])) as documents:
        async for document in documents:
            yield ENTRIES.to_entity(document)


async def ledgers(store: Store, unit: str | None) -> AsyncGenerator[bytes, None]:
    """The rows of a unit's ledger, or of all, by unit and number: a line of JSON each, as events tell them."""
    batch = bytearray()
    filter: Filter = {} if unit is None else {"unit": unit}
    async with aclosing(_entries(store, filter)) as rows:
        async for entry in rows:
            event = EntryPosted.model_validate(entry, from_attributes=True)
            batch += event.model_dump_json(exclude_none=True).encode() + b"\n"
            if len(batch) > _PIECE:
                yield bytes(batch)
                batch.clear()
    if batch:
        yield bytes(batch)
