"""Standings as a table for people."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager

from services.scoring.views.standings import Ranking
from shared.clock import CHINA
from shared.tables import Cells, TableFormat, csv_table, xlsx_table

HEADINGS = ("名次", "组内名次", "单位", "组别", "得分", "扣分", "扣分条数", "上期名次", "名次变化", "最近变动")


@asynccontextmanager
async def standings_table(
    ranking: Ranking, names: Mapping[str, str], groups: Mapping[str, str], format: TableFormat
) -> AsyncGenerator[AsyncIterator[bytes], None]:
    """The bytes of the table, best first; scores are texts, so that no digit is lost."""
    async with aclosing(_rows(ranking, names, groups)) as rows:
        making = csv_table(rows) if format is TableFormat.CSV else xlsx_table(rows, ranking.period)
        async with making as pieces:
            yield pieces


async def _rows(ranking: Ranking, names: Mapping[str, str], groups: Mapping[str, str]) -> AsyncGenerator[Cells, None]:
    yield HEADINGS
    for place in ranking.standings:
        yield (
            place.rank,
            place.group_rank or None,
            names.get(place.unit, place.unit),
            groups.get(place.group, place.group),
            f"{place.score:f}",
            f"{place.points_lost:f}",
            place.entries,
            place.rank_before,
            place.trend,
            f"{place.changed_at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}" if place.changed_at else "",
        )
