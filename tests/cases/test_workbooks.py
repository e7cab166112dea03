"""Workbooks of the assessment scheme as people keep them."""

from __future__ import annotations

import io
from typing import Any

import httpx2
from openpyxl import load_workbook

from tests.cases.world import XLSX, body, got, sample
from tests.inprocess import Inside


async def imported(scoring: Inside, name: str) -> httpx2.Response:
    headers = scoring.token("office") | {"content-type": XLSX}
    return await scoring.http.post("/schemes/import", params={"name": "试"}, content=sample(name), headers=headers)


async def standards(scoring: Inside, answer: httpx2.Response) -> list[dict[str, Any]]:
    """The standards of the draft that an import made."""
    version = got(answer, 201)["version"]
    scheme = got(await scoring.http.get(f"/schemes/{version}", headers=scoring.token("office")))
    return [
        standard
        for category in scheme["categories"]
        for content in category["contents"]
        for standard in content["standards"]
    ]


def refused(answer: httpx2.Response) -> str:
    """All that a refusal says."""
    assert answer.status_code == 422, answer.text
    return answer.text


async def test_X00_a_sound_workbook_becomes_a_draft(scoring: Inside) -> None:
    assert len(await standards(scoring, await imported(scoring, "x00-good.xlsx"))) == 2


async def test_X01_every_merged_range_is_named_and_nothing_else(scoring: Inside) -> None:
    answer = await imported(scoring, "x01-merged-cells.xlsx")
    body = refused(answer)
    for column in "ABCDE":
        assert f"{column}2:{column}4" in body
    assert len(answer.json()["errors"]) == 5


async def test_X02_formulas_and_errors_are_named_by_cell(scoring: Inside) -> None:
    text = refused(await imported(scoring, "x02-formulas-and-errors.xlsx"))
    assert all(cell in text for cell in ("I2", "G3", "K2"))


async def test_X04_dates_of_the_1904_system_are_the_days_they_show(scoring: Inside) -> None:
    found = await standards(scoring, await imported(scoring, "x04-date-system-1904.xlsx"))
    assert {standard["due"] for standard in found} == {"2026-12-31"}


async def test_X05_escapes_in_cells_are_read_as_a_spreadsheet_shows_them(scoring: Inside) -> None:
    found = await standards(scoring, await imported(scoring, "x05-escaped-carriage-return.xlsx"))
    assert [standard["text"] for standard in found] == ["第一行\n第二行", "编号_x0041_保留"]


async def test_X06_headings_with_blanks_around_them_are_known(scoring: Inside) -> None:
    answer = await imported(scoring, "x06-headings-with-blanks.xlsx")
    if answer.status_code == 201:
        [standard] = await standards(scoring, answer)
        assert standard["code"] == "示例-试-01-1"
    else:
        assert all(cell in refused(answer) for cell in ("A1", "B1", "C1"))


async def test_X07_only_what_is_surely_a_day_is_one(scoring: Inside) -> None:
    found = refused(await imported(scoring, "x07-dates-as-text-and-number.xlsx"))
    assert all(cell in found for cell in ("P3", "P4", "P6", "P7"))
    assert not any(cell in found for cell in ("P2", "P5"))


async def test_T02_a_noncharacter_never_costs_the_schemes_table(scoring: Inside) -> None:
    office = scoring.token("office")
    answer = await scoring.http.post("/schemes", json=body("x08-noncharacter-in-standard.json"), headers=office)
    if answer.status_code == 201:
        table = await scoring.http.get(f"/schemes/{answer.json()['version']}/table", headers=office)
        assert table.status_code == 200
        load_workbook(io.BytesIO(table.content))
    else:
        assert answer.status_code == 422
