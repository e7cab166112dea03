"""Tables as Excel and others read them: what was written is what is shown, and nothing of it runs."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from shared.tables import BATCH, Cells, csv_table, escaped, unescaped, xlsx_table

FORMULAS = ["=1+1", "+86 734", "-5号楼", "@A1", "＝1+1", "－3", "\t=1"]
LOOKING_LIKE = ["https://example.org", "mailto:x", "1e5", "007", "TRUE", "2026-01-01"]
ODD = [
    "_x0041_",
    "祥光社区_x0041_栋_x000D_口",
    "第一行\n第二行",
    "<b>&\"'",
    "👨‍👩‍👧",
    " 两边 ",
    "a\tb",
]


async def _rows(*rows: Cells) -> AsyncIterator[Cells]:
    for row in rows:
        yield row


async def _xlsx(*rows: Cells) -> bytes:
    async with xlsx_table(_rows(*rows), "表") as pieces:
        return b"".join([piece async for piece in pieces])


async def _csv(*rows: Cells) -> list[list[str]]:
    async with csv_table(_rows(*rows)) as pieces:
        written = b"".join([piece async for piece in pieces])
    return list(csv.reader(io.StringIO(written.decode("utf-8-sig"), newline="")))


def _shown(content: bytes) -> list[list[object]]:
    """The cells as Excel shows them: openpyxl leaves its escapes in place."""
    sheet = load_workbook(io.BytesIO(content)).worksheets[0]
    return [
        [unescaped(cell) if isinstance(cell, str) else cell for cell in row]
        for row in sheet.iter_rows(values_only=True)
    ]


@pytest.mark.parametrize("text", [*FORMULAS, *LOOKING_LIKE, *ODD])
async def test_a_text_is_shown_as_it_was_written_and_never_runs(text: str) -> None:
    content = await _xlsx([text, "beside"])
    assert _shown(content) == [[text, "beside"]]
    cell = load_workbook(io.BytesIO(content)).worksheets[0]["A1"]
    assert (cell.data_type, cell.hyperlink) == ("s", None)
    assert cell.quotePrefix is (text in FORMULAS)


async def test_numbers_stay_numbers_and_nothing_is_empty() -> None:
    assert _shown(await _xlsx([-0.5, 3, None, "x"])) == [[-0.5, 3, None, "x"]]
    assert await _csv([-0.5, 3, None, "x"]) == [["-0.5", "3", "", "x"]]


@pytest.mark.parametrize("text", FORMULAS)
async def test_a_formula_in_csv_is_a_text_behind_an_apostrophe(text: str) -> None:
    assert await _csv([text]) == [[f"'{text}"]]


@pytest.mark.parametrize("odd", ["\ufffe", "\uffff", "\ud800", "\ufdd0", "\x00", "\x0b", "\x1f"])
async def test_one_odd_character_never_costs_a_table(odd: str) -> None:
    content = await _xlsx([f"前{odd}后", "beside"], ["next"])
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        for name in parts.namelist():
            ElementTree.fromstring(parts.read(name))  # noqa: S314  (our own)
    shown = _shown(content)
    assert (shown[0][1], shown[1][0]) == ("beside", "next")
    assert (await _csv([f"前{odd}后"]))[0][0].startswith("前")


async def test_many_rows_are_all_there() -> None:
    rows: list[Cells] = [[number, f"行{number}"] for number in range(2 * BATCH + 3)]
    assert _shown(await _xlsx(*rows)) == rows


async def test_a_table_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    async def failing() -> AsyncIterator[Cells]:
        for number in range(BATCH + 1):
            yield [number]
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError):
        async with xlsx_table(failing(), "表"):
            pass
    assert os.listdir(tmp_path) == []


@settings(max_examples=50)
@given(st.text(alphabet=st.sampled_from("_x0041FDn甲"), max_size=30))
def test_escapes_go_both_ways(text: str) -> None:
    assert unescaped(escaped(text)) == text
