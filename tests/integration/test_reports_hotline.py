"""The import of the hotline's work orders: each once, a bad one never in the way of the others."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from services.reports.app import SERVICE
from services.reports.domain import Category, Moderation, Person, Router
from services.reports.repo import CASES, ORIGINS
from shared.clock import FixedClock
from shared.contracts.reports import Channel, ReporterKind
from shared.store import OUTBOX
from tests.inprocess import Inside, inside
from tests.integration.reports_world import MONDAY, case_of, signed_off

GOOD: dict[str, Any] = {
    "工单号": "HY-1",
    "时间": "2026-11-23 08:40",
    "类别": "市容环卫/垃圾清运",
    "地址": "祥光社区北门",
    "经度": "112.6",
    "纬度": "26.885",
    "内容": "垃圾桶满了没人清",
    "来电人": "王女士",
    "电话": "0734-8888888",
    "是否同意回访": "是",
}


@pytest.fixture
async def reports(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(SERVICE, FixedClock(MONDAY), tmp_path, mongodb_uri, namespace) as service:
        yield service


async def imported(reports: Inside, *rows: object) -> dict[str, Any]:
    answer = await reports.http.post("/imports/hotline", json={"rows": rows}, headers=reports.token("service"))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def counts(content: Mapping[str, Any]) -> tuple[int, int, int]:
    return content["filed"], content["already_filed"], content["refused"]


def a_table(rows: Sequence[Mapping[str, Any]]) -> str:
    written = io.StringIO()
    writer = csv.DictWriter(written, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


async def test_an_order_becomes_a_case_with_all_that_the_hotline_told(reports: Inside) -> None:
    found = await imported(reports, GOOD)
    [row] = found["rows"]
    assert counts(found) == (1, 0, 0)
    assert (row["row"], row["order"], row["outcome"], row["unit"]) == (1, "HY-1", "filed", "huanwei")
    case = await case_of(reports, row["case"])
    assert (case.channel, case.reporter_kind, case.category) == (
        Channel.HOTLINE,
        ReporterKind.CITIZEN,
        "exposed-rubbish",
    )
    assert (case.text, case.place.address, case.place.exact) == ("垃圾桶满了没人清", "祥光社区北门", True)
    assert case.reporter is not None
    assert reports.runtime.resources.reporters.person(case.reporter) == Person("王女士", "0734-8888888")
    assert (case.reporter.may_call, case.reporter.may_publish) == (True, False)
    assert case.moderation is Moderation.WITHHELD, "nobody agreed to anything being shown"
    assert case.timeline[0].note == "12345 热线工单 HY-1，2026-11-23 08:40 受理"
    rows = await reports.runtime.store.find(OUTBOX, {})
    assert not any(secret in row.value.decode() for row in rows for secret in ("王女士", "8888888", "HY-1", "北门"))


async def test_what_the_caller_agreed_to_is_shown(reports: Inside) -> None:
    [row] = (await imported(reports, {**GOOD, "是否公开": "是"}))["rows"]
    assert (await reports.http.get(f"/cases/{row['case']}")).json()["snapshot"]["place"]["address"] == "祥光社区北门"


BAD: dict[str, tuple[object, str, str | None]] = {
    "no number": ({**GOOD, "工单号": ""}, "cell-required", "工单号"),
    "no row at all": ([1, 2], "cell-required", "工单号"),
    "no text": ({**GOOD, "内容": ""}, "cell-required", "内容"),
    "outside": ({**GOOD, "经度": "116.39", "纬度": "39.9"}, "place-outside-district", "经度"),
    "the wrong way round": ({**GOOD, "经度": "26.885", "纬度": "112.6"}, "latitude-out-of-range", "纬度"),
    "no number there": ({**GOOD, "纬度": "北"}, "cell-unreadable", "纬度"),
    "not a number": ({**GOOD, "经度": "nan"}, "longitude-out-of-range", "经度"),
    "no place": ({**GOOD, "经度": "", "纬度": "", "地址": "菜市场门口"}, "place-missing", "社区"),
    "two places": ({**GOOD, "经度": "", "纬度": "", "地址": "祥光社区与祥云社区之间"}, "place-missing", "社区"),
    "no such community": ({**GOOD, "经度": "", "纬度": "", "社区": "远方社区"}, "community-unknown", "社区"),
    "from tomorrow": ({**GOOD, "时间": "2026-11-24 08:40"}, "time-in-future", "时间"),
    "no time": ({**GOOD, "时间": "早上"}, "cell-unreadable", "时间"),
    "no answer": ({**GOOD, "是否同意回访": "看情况"}, "cell-unreadable", "是否同意回访"),
    "markup": ({**GOOD, "内容": "<script>"}, "text-has-markup", "内容"),
    "too long": ({**GOOD, "内容": "长" * 2001}, "text-too-long", "内容"),
    "a long address": ({**GOOD, "地址": "长" * 201}, "text-too-long", "地址"),
    "a query": ({**GOOD, "来电人": {"$ne": ""}}, "cell-unreadable", "来电人"),
}


async def test_a_bad_row_is_refused_by_name_and_never_stops_the_others(reports: Inside) -> None:
    rows: list[object] = []
    for number, (bad, _, _) in enumerate(BAD.values()):
        rows += [{**GOOD, "工单号": f"HY-{number}"}, bad]
    found = await imported(reports, *rows)
    assert counts(found) == (len(BAD), 0, len(BAD))
    refused = [row for row in found["rows"] if row["outcome"] == "refused"]
    assert [(row["code"], row["field"]) for row in refused] == [(code, field) for _, code, field in BAD.values()]
    assert [row["row"] for row in refused] == list(range(2, 2 * len(BAD) + 1, 2))
    assert all(row["message"] and row["message"] != row["code"] and row["case"] is None for row in refused)
    assert await reports.runtime.store.count(CASES, {}) == len(BAD)
    assert await reports.runtime.store.count(ORIGINS, {}) == len(BAD)


async def test_no_bad_number_of_a_caller_costs_the_order(reports: Inside) -> None:
    [row] = (await imported(reports, {**GOOD, "电话": "保密"}))["rows"]
    assert (row["outcome"], row["message"]) == ("filed", "来电号码无法识别，未登记")
    case = await case_of(reports, row["case"])
    assert case.timeline[0].note.endswith("；来电号码无法识别，未登记")
    assert reports.runtime.resources.reporters.person(case.reporter) == Person("王女士", None)


async def test_a_fault_of_ours_in_one_row_never_costs_the_others(
    reports: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = Router.route

    def fail(self: Router, category: Category, *rest: Any) -> Any:
        if category.code == "graffiti":
            raise ZeroDivisionError
        return route(self, category, *rest)

    monkeypatch.setattr(Router, "route", fail)
    found = await imported(reports, GOOD, {**GOOD, "工单号": "HY-2", "类别": "graffiti"}, {**GOOD, "工单号": "HY-3"})
    assert [row["outcome"] for row in found["rows"]] == ["filed", "refused", "filed"]
    assert found["rows"][1]["code"] == "row-failed"


async def test_a_refused_row_put_right_is_filed_and_the_others_stay_as_they_are(reports: Inside) -> None:
    first = await imported(reports, GOOD, {**GOOD, "工单号": "HY-2", "内容": ""})
    again = await imported(reports, {**GOOD, "内容": "别的"}, {**GOOD, "工单号": "HY-2"})
    assert (counts(first), counts(again)) == ((1, 0, 1), (1, 1, 0))
    assert again["rows"][0]["case"] == first["rows"][0]["case"]
    assert (await case_of(reports, again["rows"][0]["case"])).text == GOOD["内容"]


async def test_five_hundred_rows_sent_by_two_at_once_are_filed_once_each(reports: Inside) -> None:
    rows = [{**GOOD, "工单号": f"HY-{number}", "纬度": 26.87 + number / 100_000} for number in range(250)] * 2
    one, other = await asyncio.gather(imported(reports, *rows), imported(reports, *rows))
    assert await reports.runtime.store.count(CASES, {}) == 250
    assert one["filed"] + other["filed"] == 250
    assert one["already_filed"] + other["already_filed"] == 750
    assert (one["refused"], other["refused"]) == (0, 0)
    cases = [{row["order"]: row["case"] for row in each["rows"]} for each in (one, other)]
    assert cases[0] == cases[1]
    assert await reports.runtime.store.count(OUTBOX, {}) == 250


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8-sig"])
async def test_a_table_of_a_spreadsheet_is_imported(reports: Inside, encoding: str) -> None:
    rows = [{**GOOD, "工单号": "HY-1", "来电人": "𠮷先生"}, {**GOOD, "工单号": "HY-2", "内容": ""}]
    headers = {**reports.token("office"), "content-type": "text/csv"}
    answer = await reports.http.post("/imports/hotline.csv", content=a_table(rows).encode(encoding), headers=headers)
    assert answer.status_code == 200, answer.text
    assert counts(answer.json()) == (1, 0, 1)
    case = await case_of(reports, answer.json()["rows"][0]["case"])
    assert case.reporter is not None
    assert reports.runtime.resources.reporters.person(case.reporter).name == "𠮷先生"


async def test_without_coordinates_the_middle_of_the_community_stands_for_the_place(reports: Inside) -> None:
    bare = {**GOOD, "经度": "", "纬度": ""}
    found = await imported(
        reports,
        {**bare, "工单号": "by name", "社区": "祥光社区", "地址": ""},
        {**bare, "工单号": "by code", "社区": "430476001007", "地址": ""},
        {**bare, "工单号": "by address", "地址": "华兴街道祥光社区3栋"},
    )
    assert counts(found) == (3, 0, 0)
    district = reports.runtime.resources.district
    for row in found["rows"]:
        place = (await case_of(reports, row["case"])).place
        assert (place.community, place.exact, place.crs) == ("430476001007", False, "wgs84")
        assert district.grid.middle("430476001007").longitude == place.longitude


async def test_cases_in_the_middle_of_a_community_are_no_repeats_and_no_duplicates_of_each_other(
    reports: Inside,
) -> None:
    bare = {**GOOD, "经度": "", "纬度": "", "社区": "祥光社区"}
    first = (await imported(reports, bare))["rows"][0]["case"]
    await signed_off(reports, first)
    second = (await imported(reports, {**bare, "工单号": "HY-2"}))["rows"][0]["case"]
    third = (await imported(reports, {**bare, "工单号": "HY-3"}))["rows"][0]["case"]
    assert (await case_of(reports, second)).repeat_of is None
    assert (await reports.http.get(f"/cases/{third}/similar", headers=reports.token("office"))).json() == []


@pytest.mark.parametrize(
    ("expected", "category", "unit", "noted"),
    [
        ("市政设施/路灯", "street-light", "zhaoming", False),
        ("路灯不亮", "street-light", "zhaoming", False),
        ("street-light", "street-light", "zhaoming", False),
        ("劳动保障/工资", "other-matter", None, True),
        ("", "other-matter", None, True),
    ],
)
async def test_the_hotlines_categories_are_translated_and_unknown_ones_go_to_the_office(
    reports: Inside, expected: str, category: str, unit: str | None, noted: bool
) -> None:
    [row] = (await imported(reports, {**GOOD, "类别": expected}))["rows"]
    case = await case_of(reports, row["case"])
    assert (case.category, case.unit) == (category, unit)
    assert ("未对应" in case.timeline[0].note) is noted


async def test_messages_are_in_the_callers_language(reports: Inside) -> None:
    headers = {**reports.token("service"), "accept-language": "en"}
    body = {"rows": [{**GOOD, "工单号": ""}]}
    [row] = (await reports.http.post("/imports/hotline", json=body, headers=headers)).json()["rows"]
    assert (row["message"], row["field"]) == ("is required", "工单号")


@pytest.mark.parametrize(
    ("roles", "body", "status", "code"),
    [
        ((), {"rows": [GOOD]}, 401, "token-missing"),
        (("citizen",), {"rows": [GOOD]}, 403, "role-required"),
        (("officer",), {"rows": [GOOD]}, 403, "role-required"),
        (("service",), {"rows": []}, 422, "validation"),
        (("service",), {"rows": [GOOD] * 501}, 422, "validation"),
        (("service",), {"lines": [GOOD]}, 422, "validation"),
    ],
)
async def test_who_may_not_or_sends_too_much_is_refused_whole(
    reports: Inside, roles: tuple[str, ...], body: object, status: int, code: str
) -> None:
    headers = reports.token(*roles) if roles else {}
    answer = await reports.http.post("/imports/hotline", json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await reports.runtime.store.count(CASES, {}) == 0


async def test_a_table_must_say_that_it_is_one(reports: Inside) -> None:
    content, staff = a_table([GOOD]).encode(), reports.token("service")
    for sent in ({}, {"content-type": "application/json"}):
        answer = await reports.http.post("/imports/hotline.csv", content=content, headers={**staff, **sent})
        assert (answer.status_code, answer.json()["code"]) == (415, "content-type-unsupported")
    headers = {**staff, "content-type": "text/csv"}
    large = await reports.http.post("/imports/hotline.csv", content=content + b" " * 5_000_000, headers=headers)
    assert large.status_code == 413
