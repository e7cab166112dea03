"""The scheme as an Excel table: what is written is read back, and what is wrong is told by its cell."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from openpyxl.worksheet.worksheet import Worksheet

from deploy.local.stack import DISTRICT
from services.scoring.api import workbook
from services.scoring.district import District
from services.scoring.domain.marking import Marking, RuleKind
from services.scoring.domain.scheme_table import Column, headings
from services.scoring.domain.schemes import STANDARDS_LIMIT, Method, Tree
from shared.errors import DomainError, Invalid, Several
from tests.unit.scoring.schemes import SLOW, TEXTS, WORDS, a_standard, a_tree, trees


@SLOW
@given(trees(), TEXTS, TEXTS | st.just(""))
@example(a_tree(a_standard(text='=HYPERLINK("http://x")', source="@SUM(1)")), "+1", "-1")
@example(a_tree(a_standard("007"), a_standard("1e5"), a_standard("2026-12-31")), "1", "2")
def test_a_table_that_is_exported_and_imported_says_the_same(tree: Tree, name: str, source: str) -> None:
    assert workbook.read(workbook.written(name, source, 7, tree, WORDS), WORDS) == (name, source, tree)


def test_the_sample_goes_there_and_back() -> None:
    district = District.load(DISTRICT)
    wanted = district.edition.wanted
    content = workbook.written(wanted.name, wanted.source, 1, wanted.tree, district.words)
    assert workbook.read(content, district.words) == (wanted.name, wanted.source, wanted.tree)


def test_the_workbook_is_one_that_people_can_work_with() -> None:
    """Looked at with all of openpyxl, as a spreadsheet would."""
    dangerous = a_tree(
        a_standard(text="=1+1", source="@x", venues=("mall", "cinema"), supporting=("dangqun", "same-1"))
    )
    book = load_workbook(io.BytesIO(workbook.written("体系", "=2+2", 3, dangerous, WORDS)))
    sheet = book["责任分解表"]
    assert [cell.value for cell in sheet[1]] == headings()
    row = dict(zip(headings(), sheet[2], strict=True))
    assert (row["测评标准"].value, row["测评标准"].data_type, row["测评标准"].quotePrefix) == ("=1+1", "s", True)
    assert (row["分值"].value, row["分值"].data_type) == (20, "n")
    assert row["完成时间"].value == datetime(2026, 12, 31)  # noqa: DTZ001  (a day of a spreadsheet)
    assert (row["责任单位"].value, row["配合单位"].value) == ("公交公司", "党群工作部；same-1")
    assert row["点位类型"].value == "商场、超市；电影院"
    assert row["计分方式"].value == "每少一处扣分"
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", "A1:Q2")
    assert [cell.data_type for line in sheet for cell in line if cell.data_type == "f"] == []
    assert (book["说明"]["B2"].value, book["说明"]["B2"].data_type) == ("=2+2", "s")


def a_book(change: Callable[[Worksheet, dict[str, int]], object] = lambda *_: None, rows: int = 1) -> bytes:
    """A workbook as people make them, with so many good rows, then changed."""
    book = Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    sheet.append(headings())
    for number in range(rows):
        content: dict[str, Any] = {
            "测评类别": "公益宣传",
            "项目编码": "k-1",
            "测评项目": "公益宣传",
            "内容编码": "c-1",
            "测评内容": "公益广告",
            "标准编码": f"s-{number + 1}",
            "测评标准": "少一条扣4分",
            "测评方法": "实地考察",
            "分值": 20,
            "计分方式": "每少一处扣分",
            "每处扣分": 4,
            "目标数": 6,
        }
        sheet.append([content.get(heading) for heading in headings()])
    change(sheet, {heading: place for place, heading in enumerate(headings(), 1)})
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def refused(content: bytes) -> list[tuple[str | None, str]]:
    with pytest.raises(DomainError) as error:
        workbook.read(content, WORDS)
    text = error.value.faults if isinstance(error.value, Several) else (error.value,)
    return [(fault.field, fault.code) for fault in text]


def put(column: str, value: object, row: int = 2) -> Callable[[Worksheet, dict[str, int]], object]:
    def change(sheet: Worksheet, places: dict[str, int]) -> None:
        sheet.cell(row, places[column]).value = value  # type: ignore[assignment]  # what people put there

    return change


@pytest.mark.parametrize(
    ("column", "value", "read"),
    [
        ("点位类型", "商场、超市、电影院", {"venues": ("mall", "cinema")}),
        ("点位类型", "电影院，商场、超市\n公交站台", {"venues": ("cinema", "mall", "bus-stop")}),
        ("点位类型", "bus-stop;cinema", {"venues": ("bus-stop", "cinema")}),
        ("责任单位", "公交公司", {"lead": "gongjiao"}),
        ("责任单位", "same-2", {"lead": "same-2"}),
        ("配合单位", "公交公司、党群工作部", {"supporting": ("gongjiao", "dangqun")}),
        ("测评方法", "材料审核,field", {"methods": (Method.MATERIAL, Method.FIELD)}),
        ("完成时间", "2026年3月1日", {"due": "2026-03-01"}),
        ("完成时间", "2026/3/1", {"due": "2026-03-01"}),
        ("完成时间", "２０２６．３．１", {"due": "2026-03-01"}),
        ("分值", "１２．５", {"points": Decimal("12.5")}),
        ("分值", 0.1, {"points": Decimal("0.1")}),
        ("目标数", 6.0, {"marking": Marking(RuleKind.SHORTFALL, Decimal(4), 6)}),
        ("标准编码", 7, {"code": "7"}),
    ],
)
def test_tables_are_read_as_people_write_them(column: str, value: object, read: dict[str, Any]) -> None:
    _, _, tree = workbook.read(a_book(put(column, value)), WORDS)
    standard = tree[0].contents[0].standards[0]
    assert {name: getattr(standard, name) for name in read} == read


@pytest.mark.parametrize(
    ("column", "value", "faults"),
    [
        ("测评标准", "=1+1", [("G2", "cell-has-formula")]),
        ("来源", '=HYPERLINK("http://x")', [("Q2", "cell-has-formula")]),
        ("分值", "二十", [("I2", "cell-unreadable")]),
        ("分值", "NaN", [("I2", "cell-unreadable")]),
        ("分值", "1e999999", [("I2", "points-unfit")]),
        ("分值", 0, [("I2", "points-unfit")]),
        ("分值", None, [("I2", "cell-required")]),
        ("每处扣分", None, [("K2", "marking-lacks-each")]),
        ("目标数", 2.5, [("L2", "cell-unreadable")]),
        ("目标数", "1e999999", [("L2", "cell-unreadable")]),
        ("计分方式", "随便扣", [("J2", "cell-not-offered")]),
        ("测评方法", "电话", [("H2", "cell-not-offered")]),
        ("点位类型", "月球、公交站台、火星", [("M2", "venue-type-unknown"), ("M2", "venue-type-unknown")]),
        ("责任单位", "同名单位", [("N2", "unit-unknown")]),
        ("配合单位", "没有的单位", [("O2", "unit-unknown")]),
        ("完成时间", "年底", [("P2", "cell-unreadable")]),
        ("完成时间", datetime(1999, 1, 1), [("P2", "day-unfit")]),  # noqa: DTZ001
        ("标准编码", datetime(2026, 1, 2), [("F2", "cell-unreadable"), ("F2", "cell-unreadable")]),  # noqa: DTZ001
        ("标准编码", "a b", [("F2", "scheme-code-malformed")]),
        ("测评标准", True, [("G2", "cell-unreadable")]),
        ("测评标准", "<script>", [("G2", "text-has-markup")]),
        ("测评内容", None, [("E2", "cell-required")]),
    ],
)
def test_a_bad_cell_is_refused_by_its_name(column: str, value: object, faults: list[tuple[str, str]]) -> None:
    assert sorted(set(refused(a_book(put(column, value))))) == sorted(set(faults))


def test_every_fault_of_every_row_is_told_at_once_in_order() -> None:
    def spoil(sheet: Worksheet, places: dict[str, int]) -> None:
        put("分值", "x", 3)(sheet, places)
        put("测评内容", "别的内容", 3)(sheet, places)
        put("责任单位", "?", 2)(sheet, places)
        put("标准编码", "s-1", 4)(sheet, places)
        sheet.cell(4, 30, "没有标题")
        sheet.merge_cells("A5:A6")
        sheet.merge_cells("G5:H6")

    assert refused(a_book(spoil, 5)) == [
        ("N2", "unit-unknown"),
        ("E3", "cell-differs"),
        ("I3", "cell-unreadable"),
        ("F4", "listed-twice"),
        ("AD4", "column-without-heading"),
        ("A5", "cells-merged"),
        ("G5", "cells-merged"),
    ]


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (lambda sheet, places: sheet.delete_cols(places["分值"]), [("A1", "column-missing")]),
        (put("来源", "备注", 1), [("Q1", "column-unknown")]),
        (put("来源", "分值", 1), [("Q1", "listed-twice")]),
        (put("来源", "=1", 1), [("Q1", "cell-has-formula")]),
        (lambda sheet, places: sheet.delete_rows(1, 9), [("A1", "column-missing")]),
        (lambda sheet, places: sheet.delete_rows(2), [(None, "table-empty")]),
    ],
)
def test_columns_are_known_by_their_headings(
    change: Callable[[Worksheet, dict[str, int]], object], faults: list[tuple[str | None, str]]
) -> None:
    assert sorted(set(refused(a_book(change)))) == faults


def test_the_columns_may_stand_in_any_order_and_empty_rows_are_left_out() -> None:
    def change(sheet: Worksheet, places: dict[str, int]) -> None:
        sheet.move_range("A1:Q2", cols=3)
        sheet.insert_rows(2, 3)

    _, _, tree = workbook.read(a_book(change), WORDS)
    assert tree[0].contents[0].standards[0].code == "s-1"


def test_a_table_has_limits() -> None:
    _, _, tree = workbook.read(a_book(rows=STANDARDS_LIMIT), WORDS)
    assert len(tree[0].contents[0].standards) == STANDARDS_LIMIT
    assert refused(a_book(rows=STANDARDS_LIMIT + 1)) == [(None, "too-many-rows")]
    assert refused(a_book(lambda sheet, _: sheet.cell(1_000_000, 1, "x"))) == [(None, "too-many-rows")]


def _with_part(content: bytes, name: str, part: bytes) -> bytes:
    """The file with one of its parts put in the place of what it was."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, part if info.filename == name else old.read(info))
    return made.getvalue()


def _renamed(content: bytes, name: str, other: str) -> bytes:
    """The file with one of its parts under another name, wherever it is named."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            part = old.read(info).replace(name.rpartition("/")[2].encode(), other.rpartition("/")[2].encode())
            new.writestr(other if info.filename == name else info.filename, part)
    return made.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
OTHER = "xl/worksheets/sheet1.dat"
HEAD = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1">'
ENTITIES = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><worksheet>&b;</worksheet>'


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "workbook-unreadable"),
        (b"PK\x03\x04", "workbook-unreadable"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"0" * 1000, "workbook-unreadable"),
        (_with_part(a_book(), SHEET, b"<worksheet"), "workbook-unreadable"),
        (_with_part(a_book(), SHEET, ENTITIES), "workbook-unreadable"),
        (_with_part(a_book(), SHEET, HEAD + b"<c/>" * 400_000), "workbook-too-large"),
        (_with_part(a_book(), SHEET, HEAD + b" " * 30_000_000), "workbook-too-large"),
        (_with_part(_renamed(a_book(), SHEET, OTHER), OTHER, HEAD + b"<c/>" * 400_000), "workbook-too-large"),
        (_with_part(_renamed(a_book(), SHEET, OTHER), OTHER, ENTITIES), "workbook-unreadable"),
        (_with_part(a_book(), SHEET, HEAD + b'<c r="A1" t="s"><v>999</v></c></row></sheetData></worksheet>'), None),
        (_with_part(a_book(), "xl/workbook.xml", b"<workbook/>"), "workbook-unreadable"),
    ],
)
def test_what_is_no_workbook_or_unpacks_to_too_much_is_refused(content: bytes, code: str | None) -> None:
    with pytest.raises(Invalid) as error:
        workbook.read(content, WORDS)
    assert error.value.code == (code or "workbook-unreadable")


WHOLE = a_book()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=8), st.booleans())
def test_a_damaged_file_is_read_or_refused_and_never_breaks_anything(place: int, noise: bytes, cut: bool) -> None:
    content = WHOLE[:place] + noise + (b"" if cut else WHOLE[place + len(noise) :])
    with contextlib.suppress(Invalid):
        workbook.read(content, WORDS)


def test_every_column_has_a_place_of_its_own() -> None:
    assert len(set(headings())) == len(Column)
