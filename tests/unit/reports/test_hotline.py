"""Work orders of the hotline as their export tells them: headings, numbers, times, consent, encodings."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.local.stack import DISTRICT
from services.reports.commands.hotline import ROWS_LIMIT, rows_of
from services.reports.district import District
from services.reports.domain.hotline import Column
from shared.district import DistrictUnusable
from shared.errors import Invalid

HENGYANG = District.load(DISTRICT)
SHEET = HENGYANG.hotline
ROW: dict[str, object] = {
    "工单号": "HY20261123000017",
    "时间": "2026-11-23 08:40",
    "类别": "市容环卫/垃圾清运",
    "经度": "112.6",
    "纬度": 26.885,
    "内容": "垃圾桶满了没人清",
    "来电人": "王女士",
    "电话": "0734-8888888",
    "是否同意回访": "是",
}


def test_a_row_is_read_by_its_headings_whatever_else_stands_there() -> None:
    order = SHEET.read({**ROW, "办结时间": "", "处理状态": "待派"})
    assert order.id == "HY20261123000017"
    assert order.received_at == datetime(2026, 11, 23, 0, 40, tzinfo=UTC)
    assert order.spot == (112.6, 26.885)
    assert (order.caller, order.phone, order.may_call, order.may_publish) == ("王女士", "0734-8888888", True, False)


def test_a_column_may_be_headed_differently() -> None:
    content = {"工单编号": "1", "诉求内容": "路灯不亮", "所属社区": "祥光社区"}
    order = SHEET.read(content)
    assert (order.id, order.text, order.community) == ("1", "路灯不亮", "祥光社区")


@pytest.mark.parametrize(
    ("expected", "read"),
    [
        (20261123000017, "20261123000017"),
        (20261123000017.0, "20261123000017"),
        ("\t20261123000017", "20261123000017"),
        ("ＨＹ２０２６", "HY2026"),
        (" HY-1 ", "HY-1"),
    ],
)
def test_numbers_of_orders_survive_a_spreadsheet(expected: object, read: str) -> None:
    assert SHEET.number({"工单号": expected}) == read
    assert SHEET.read({**ROW, "工单号": expected}).id == read


@pytest.mark.parametrize(
    "expected",
    [
        "2026-11-23 08:40:00",
        "2026/11/23 8:40",
        "2026年11月23日 08:40",
        "2026-11-23T08:40:00+08:00",
        "2026-11-23T00:40:00Z",
    ],
)
def test_times_are_local_unless_they_say_otherwise(expected: str) -> None:
    assert SHEET.read({**ROW, "时间": expected}).received_at == datetime(2026, 11, 23, 0, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expected", "agreed"),
    [
        ("是", True),
        ("同意", True),
        (" Yes ", True),
        (True, True),
        (1, True),
        ("否", False),
        (False, False),
        ("", False),
    ],
)
def test_whoever_was_not_asked_agrees_to_nothing(expected: object, agreed: bool) -> None:
    assert SHEET.read({**ROW, "是否同意回访": expected}).may_call is agreed
    assert SHEET.read({**ROW, "是否公开": expected}).may_publish is agreed


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"工单号": ""}, "cell-required", "order"),
        ({"工单号": None}, "cell-required", "order"),
        ({"工单号": ["1"]}, "cell-unreadable", "order"),
        ({"工单号": "1" * 65}, "text-too-long", "order"),
        ({"内容": "  "}, "cell-required", "text"),
        ({"经度": "东经112度"}, "cell-unreadable", "longitude"),
        ({"经度": ""}, "coordinate-missing", "longitude"),
        ({"纬度": None}, "coordinate-missing", "latitude"),
        ({"时间": "昨天"}, "cell-unreadable", "received_at"),
        ({"时间": "2026-13-01 08:00"}, "cell-unreadable", "received_at"),
        ({"时间": "0001-01-01 00:00"}, "cell-unreadable", "received_at"),
        ({"是否同意回访": "大概"}, "cell-unreadable", "may_call"),
        ({"类别": "<b>"}, "text-has-markup", "category"),
        ({"来电人": {"$ne": ""}}, "cell-unreadable", "caller"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named(change: dict[str, object], code: str, field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        SHEET.read({**ROW, **change})
    assert (refusal.value.code, refusal.value.field) == (code, field)


def test_people_are_told_headings_and_not_fields() -> None:
    assert SHEET.heading("reporter.phone") == "电话"
    assert SHEET.heading(Column.LONGITUDE) == "经度"
    assert SHEET.heading("photos.0") == "photos.0"
    assert SHEET.heading(None) is None


CSV = '工单号,内容,社区\n1,垃圾桶满了没人清,祥光社区\n\n,,\n2,"路灯不亮，\n看不见路",祥云社区\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_table_is_read_in_the_encodings_of_spreadsheets(encoding: str) -> None:
    rows = rows_of(HENGYANG, CSV.encode(encoding))
    assert {number: row["工单号"] for number, row in rows.items()} == {1: "1", 4: "2"}
    assert rows[4] == {"工单号": "2", "内容": "路灯不亮，\n看不见路", "社区": "祥云社区"}


def test_characters_beyond_gbk_and_short_lines_are_read() -> None:
    rows = rows_of(HENGYANG, "工单号,内容,社区\r\n1,𠮷野家门口 🗑\r\n".encode("gb18030"))
    assert rows == {1: {"工单号": "1", "内容": "𠮷野家门口 🗑"}}


@pytest.mark.parametrize(
    ("content", "code", "field"),
    [
        (b"", "column-missing", "工单号"),
        ("内容,社区\n垃圾,祥光社区\n".encode(), "column-missing", "工单号"),
        ("工单号,社区\n1,祥光社区\n".encode(), "column-missing", "内容"),
        ("工单号,内容\n1,垃圾\n".encode("utf-16"), "csv-unreadable", None),
        (b"\xff\xff\xff\xff", "csv-unreadable", None),
        ('工单号,内容\n1,"垃圾'.encode(), "csv-unreadable", None),
        (("工单号,内容\n" + "1,垃圾\n" * (ROWS_LIMIT + 1)).encode(), "too-many-rows", None),
        (("工单号,内容\n1," + "长" * 140_000).encode(), "csv-unreadable", None),
    ],
    ids=["empty", "no numbers", "no text", "UTF-16", "no text at all", "an open quote", "501 rows", "a huge cell"],
)
def test_a_table_that_cannot_be_used_is_refused_whole(content: bytes, code: str, field: str | None) -> None:
    with pytest.raises(Invalid) as refusal:
        rows_of(HENGYANG, content)
    assert (refusal.value.code, refusal.value.field) == (code, field)


def test_five_hundred_rows_are_not_too_many() -> None:
    assert len(rows_of(HENGYANG, ("工单号,内容\n" + "1,垃圾\n" * ROWS_LIMIT).encode())) == ROWS_LIMIT


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"categories": {"垃圾": "no-such"}}, "hotline.json: category: no-such is not known"),
        ({"otherwise": "no-such"}, "hotline.json: category: no-such is not known"),
        ({"columns": {"order": ["工单号"]}}, "columns lack"),
        ({"crs": "bd09"}, "crs must be one of"),
    ],
)
def test_a_table_of_the_office_that_leads_nowhere_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    shutil.copytree(DISTRICT, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "hotline.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(DistrictUnusable, match=said):
        District.load(tmp_path)
