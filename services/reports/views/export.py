"""Cases as a table for the office's own work: CSV as it is read, or an Excel file.

Neither who reported nor what they wrote is in it: a file can go anywhere (docs/decisions/0006). Cases come newest
first, in one walk along the index the list takes, so a case is in the table once whatever is done meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from services.reports.domain.words import STATES_ZH
from services.reports.repo import CASES, NEWEST
from services.reports.views.names import CHANNELS_ZH, KINDS_ZH, LEVELS_ZH, Names
from shared.clock import CHINA
from shared.contracts.reports import CaseState, Channel, Kind, Level
from shared.errors import TooLarge
from shared.store import Document, Store
from shared.store.collection import Filter
from shared.tables import XLSX_ROWS, Cell, Cells, TableFormat, csv_table, xlsx_table


@asynccontextmanager
async def table(
    store: Store, names: Names, filter: Filter, format: TableFormat
) -> AsyncGenerator[AsyncIterator[bytes], None]:
    """The bytes of the table. An Excel file is made before the first of them, and removed after the last.

    Raises TooLarge (export-too-large) for more cases than an Excel sheet has rows, before anything is made.
    """
    async with aclosing(_rows(store, names, filter)) as rows:
        if format is TableFormat.CSV:
            async with csv_table(rows) as pieces:
                yield pieces
        else:
            await _require_to_fit(store, filter)
            async with xlsx_table(rows, "案件") as pieces:
                yield pieces


async def _rows(store: Store, names: Names, filter: Filter) -> AsyncGenerator[Cells, None]:
    yield [column.heading for column in COLUMNS]
    async with aclosing(store.stream(CASES, filter, NEWEST, _FIELDS)) as documents:
        async for document in documents:
            yield [column.cell(document, names) for column in COLUMNS]


async def _require_to_fit(store: Store, filter: Filter) -> None:
    most = XLSX_ROWS - 1
    counted = await store.aggregate(CASES, [{"$match": filter}, {"$limit": most + 1}, {"$count": "cases"}])
    if counted and counted[0]["cases"] > most:
        raise TooLarge("export-too-large", field="format", limit=most)


@dataclass(frozen=True)
class Column:
    """A column: its heading, and its cell for a case as stored."""

    heading: str
    cell: Callable[[Document, Names], Cell]


def _time(field: str) -> Callable[[Document, Names], Cell]:
    """A moment in Asia/Shanghai."""

    def cell(case: Document, _: Names) -> Cell:
        moment: datetime | None = case[field]
        return "" if moment is None else f"{moment.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"

    return cell


def _as_it_is(field: str) -> Callable[[Document, Names], Cell]:
    def cell(case: Document, _: Names) -> Cell:
        value: str | int | None = case[field]
        return "" if value is None else value

    return cell


def _yes_no(field: str) -> Callable[[Document, Names], Cell]:
    return lambda case, _: {True: "是", False: "否", None: ""}[case[field]]


COLUMNS = (
    Column("案件编号", lambda case, _: str(case["_id"])),
    Column("状态", lambda case, _: STATES_ZH[CaseState(case["state"])]),
    Column("性质", lambda case, _: KINDS_ZH[Kind(case["kind"])]),
    Column("渠道", lambda case, _: CHANNELS_ZH[Channel(case["channel"])]),
    Column("问题类别", lambda case, names: names.category(case["category"])),
    Column("社区（村）", lambda case, names: names.community(case["place"]["community"])),
    Column("地址", lambda case, _: case["place"]["address"]),
    Column("经度（WGS-84）", lambda case, _: case["place"]["longitude"]),
    Column("纬度（WGS-84）", lambda case, _: case["place"]["latitude"]),
    Column("牵头单位", lambda case, names: names.unit(case["unit"] or "")),
    Column("配合单位", lambda case, names: "、".join(map(names.unit, case["supporting"]))),
    Column("受理时间", _time("registered_at")),
    Column("立案时间", _time("filed_at")),
    Column("派遣时间", _time("dispatched_at")),
    Column("签收时间", _time("acknowledged_at")),
    Column("整改期限", _time("target_at")),
    Column("回执时间", _time("replied_at")),
    Column("核查时间", _time("verified_at")),
    Column("销号时间", _time("closed_at")),
    Column("超期时间", _time("overdue_at")),
    Column("督查级别", lambda case, _: LEVELS_ZH[Level(case["level"])] if case["level"] else ""),
    Column("返工次数", _as_it_is("reworks")),
    Column("退单次数", _as_it_is("returns")),
    Column("延期次数", _as_it_is("extensions")),
    Column("重新办理次数", _as_it_is("reopens")),
    Column("重复于", _as_it_is("repeat_of")),
    Column("所属案件", _as_it_is("parent")),
    Column("是否解决", _yes_no("resolved")),
    Column("是否满意", _yes_no("satisfied")),
)
_FIELDS = (
    "state",
    "kind",
    "channel",
    "category",
    "place",
    "unit",
    "supporting",
    "registered_at",
    "filed_at",
    "dispatched_at",
    "acknowledged_at",
    "target_at",
    "replied_at",
    "verified_at",
    "closed_at",
    "overdue_at",
    "level",
    "reworks",
    "returns",
    "extensions",
    "reopens",
    "repeat_of",
    "parent",
    "resolved",
    "satisfied",
)
