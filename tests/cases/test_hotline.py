"""Tables of the hotline as spreadsheets leave them."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.cases.world import REPORT, body, case_of, form, got, imported, sample, sent_table
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


async def test_H04_a_number_in_scientific_notation_is_no_order_number(reports: Inside) -> None:
    done = await imported(reports, "h04-scientific-order-numbers.csv")
    assert outcomes(done) == [("refused", "工单号")] * 2


async def test_H05_numbers_whose_last_digits_are_lost_are_never_one_order(reports: Inside) -> None:
    answer = await reports.http.post(
        "/imports/hotline",
        content=sample("h05-order-numbers-as-floats.json"),
        headers=reports.token("service") | {"content-type": "application/json"},
    )
    assert outcomes(got(answer)) == [("refused", "工单号")] * 3


async def test_H06_a_heading_twice_loses_no_cell_unsaid(reports: Inside) -> None:
    answer = await sent_table(reports, sample("h06-heading-twice.csv"))
    if answer.status_code == 200:
        [row] = answer.json()["rows"]
        assert (await case_of_row(reports, row))["text"] == "垃圾桶满了"
        assert "内容" in (row["message"] or "")
    else:
        assert answer.status_code == 422
        assert "内容" in answer.json()["detail"]


async def test_H07_of_two_headings_for_one_field_the_filled_one_counts(reports: Inside) -> None:
    answer = await sent_table(reports, sample("h07-two-headings-one-field.csv"))
    if answer.status_code == 200:
        [row] = answer.json()["rows"]
        note = (await case_of_row(reports, row))["timeline"][0]["note"]
        assert "2026-11-23 08:40" in note
    else:
        assert answer.status_code == 422
        assert "时间" in answer.json()["detail"]


async def test_H08_surplus_and_missing_cells_shift_nothing(reports: Inside) -> None:
    first, second, third = (await imported(reports, "h08-unquoted-comma.csv"))["rows"]
    assert first["outcome"] == "refused"
    assert first["field"] != "电话", "whoever called, the cells do not fit their headings"
    assert (await case_of_row(reports, second))["text"] == "路灯不亮"
    if third["outcome"] == "filed":
        assert (await case_of_row(reports, third))["text"] == "井盖松动"
    else:
        assert third["field"]


async def test_H09_line_breaks_quotes_and_empty_rows_stay_where_they_are(reports: Inside) -> None:
    done = await imported(reports, "h09-newlines-quotes-empty-lines.csv")
    assert counts(done) == (2, 0, 0)
    first, second = done["rows"]
    assert (first["row"], second["row"]) == (1, 3)
    assert (await case_of_row(reports, first))["text"] == '第一行\n第二行 "带引号"，逗号,也有'
    assert counts(await imported(reports, "h09b-cr-only.csv")) == (1, 0, 0)


async def test_H11_a_time_that_is_not_certain_is_refused_by_name(reports: Inside) -> None:
    done = await imported(reports, "h11-excel-serial-dates.csv")
    text = outcomes(done)
    assert [text[n] for n in (0, 1, 2, 4)] == [("refused", "时间")] * 4
    assert "2026-11-03 08:40" in (await case_of_row(reports, done["rows"][3]))["timeline"][0]["note"]
    for number in (5, 6):
        row = done["rows"][number]
        if row["outcome"] == "refused":
            assert row["field"] == "时间"
        else:
            assert "2026-11-23 08:40" in (await case_of_row(reports, row))["timeline"][0]["note"]


async def test_H12_a_bad_coordinate_costs_its_own_row_only(reports: Inside) -> None:
    done = await imported(reports, "h12-some-bad-coordinates.csv")
    text = outcomes(done)
    assert [text[n][0] for n in (0, 5)] == ["filed", "filed"]
    for outcome, field in (text[n] for n in (1, 2, 3, 4, 6, 7, 8)):
        assert outcome == "refused"
        assert field in {"经度", "纬度"}


async def test_H13_one_order_in_five_writings_is_one_case(reports: Inside) -> None:
    assert counts(await imported(reports, "h13-invisible-in-order-number.csv")) == (1, 4, 0)
    answer = await sent_table(reports, sample("h13b-invisible-in-heading.csv"))
    if answer.status_code == 200:
        assert counts(answer.json()) == (1, 0, 0)
    else:
        assert any(word in answer.json()["detail"] for word in ("不可见", "U+200B"))


PHONES = [
    "(0734)8888888",
    "（0734）8888888",
    "0734-8888888-801",
    "0734-8888888转801",
    "400-123-4567",
    "0734—8888888",
]
MOBILES = ["+86 138-0013-8000", "8613800138000", "0086 13800138000", "１３８００１３８０００", "138 0013 8000"]


async def test_H15_telephone_numbers_as_people_write_them(reports: Inside, portal: Inside) -> None:
    done = await imported(reports, "h15-phones.csv")
    assert [row["outcome"] for row in done["rows"][:10]] == ["filed"] * 10
    assert [done["rows"][n]["outcome"] for n in (11, 12, 13)] == ["filed"] * 3
    for number in (10, 14, 15, 16):
        row = done["rows"][number]
        assert row["outcome"] == "filed" or row["field"] == "电话"
    for phone in (*PHONES, *MOBILES):
        answer = await reports.http.post(
            "/cases", json=REPORT | {"reporter": {"phone": phone}}, headers=reports.token("service")
        )
        assert answer.status_code == 201, (phone, answer.text)
        page = await form(portal, {"phone": phone})
        assert page.status_code == 303, phone


async def test_H16_a_table_sent_again_files_each_order_once(reports: Inside) -> None:
    answers = await asyncio.gather(*(sent_table(reports, sample("h16-send-twice.csv")) for _ in range(5)))
    done = [got(answer) for answer in (*answers, await sent_table(reports, sample("h16-send-twice.csv")))]
    assert sum(each["filed"] for each in done) == 2
    assert sum(each["already_filed"] for each in done) == 10
    assert len({row["case"] for each in done for row in each["rows"]}) == 2


def test_the_floats_are_what_they_claim_to_be() -> None:
    rows = body("h05-order-numbers-as-floats.json")["rows"]
    assert len({row["工单号"] for row in rows}) < len(rows)
