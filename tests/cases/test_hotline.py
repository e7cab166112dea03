"""Tables of the hotline as spreadsheets leave them."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.cases.world import body, case_of, got, imported, sample, sent_table
from tests.inprocess import Inside


def counts(done: dict[str, Any]) -> tuple[int, int, int]:
    return done["filed"], done["already_filed"], done["refused"]


def outcomes(done: dict[str, Any]) -> list[tuple[str, str | None]]:
    """What became of each row, and the column at fault."""
    return [(row["outcome"], row["field"]) for row in done["rows"]]


async def case_of_row(reports: Inside, row: dict[str, Any]) -> dict[str, Any]:
    assert row["outcome"] == "filed", row
    return await case_of(reports, row["case"])


async def test_H01_tables_in_the_encoding_of_chinese_spreadsheets(reports: Inside) -> None:
    done = await imported(reports, "h01-gbk.csv")
    assert counts(done) == (2, 0, 0)
    assert (await case_of_row(reports, done["rows"][1]))["address"] == "祥光社区镕鑫酒店旁"
    done = await imported(reports, "h01b-gb18030-rare.csv")
    assert counts(done) == (1, 0, 0)
    case = await case_of_row(reports, done["rows"][0])
    assert case["text"] == "㛃园小区垃圾"
    office = reports.token("office")
    opened = await reports.http.post(
        f"/cases/{done['rows'][0]['case']}/reporter", json={"reason": "核实"}, headers=office
    )
    assert got(opened)["name"] == "𠮷女士"


async def test_H02_a_byte_order_mark_is_no_part_of_the_first_heading(reports: Inside) -> None:
    assert counts(await imported(reports, "h02-utf8-bom.csv")) == (1, 0, 0)


async def test_H09_line_breaks_quotes_and_empty_rows_stay_where_they_are(reports: Inside) -> None:
    done = await imported(reports, "h09-newlines-quotes-empty-lines.csv")
    assert counts(done) == (2, 0, 0)
    first, second = done["rows"]
    assert (first["row"], second["row"]) == (1, 3)
    assert (await case_of_row(reports, first))["text"] == '第一行\n第二行 "带引号"，逗号,也有'
    assert counts(await imported(reports, "h09b-cr-only.csv")) == (1, 0, 0)


async def test_H11_a_time_that_is_not_certain_is_refused_by_name(reports: Inside) -> None:
    done = await imported(reports, "h11-excel-serial-dates.csv")
    told = outcomes(done)
    assert [told[n] for n in (0, 1, 2, 4)] == [("refused", "时间")] * 4
    assert "2026-11-03 08:40" in (await case_of_row(reports, done["rows"][3]))["timeline"][0]["note"]
    for number in (5, 6):
        row = done["rows"][number]
        if row["outcome"] == "refused":
            assert row["field"] == "时间"
        else:
            assert "2026-11-23 08:40" in (await case_of_row(reports, row))["timeline"][0]["note"]


async def test_H12_a_bad_coordinate_costs_its_own_row_only(reports: Inside) -> None:
    done = await imported(reports, "h12-some-bad-coordinates.csv")
    told = outcomes(done)
    assert [told[n][0] for n in (0, 5)] == ["filed", "filed"]
    for outcome, field in (told[n] for n in (1, 2, 3, 4, 6, 7, 8)):
        assert outcome == "refused"
        assert field in {"经度", "纬度"}


async def test_H16_a_table_sent_again_files_each_order_once(reports: Inside) -> None:
    answers = await asyncio.gather(*(sent_table(reports, sample("h16-send-twice.csv")) for _ in range(5)))
    done = [got(answer) for answer in (*answers, await sent_table(reports, sample("h16-send-twice.csv")))]
    assert sum(each["filed"] for each in done) == 2
    assert sum(each["already_filed"] for each in done) == 10
    assert len({row["case"] for each in done for row in each["rows"]}) == 2


def test_the_floats_are_what_they_claim_to_be() -> None:
    rows = body("h05-order-numbers-as-floats.json")["rows"]
    assert len({row["工单号"] for row in rows}) < len(rows)
