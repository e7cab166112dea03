"""Days, hours and numbers at the edges of calendars and types."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest

from shared.clock import CHINA
from tests.cases.world import REPORT, acknowledged, case_of, filed, got, refusal, step
from tests.inprocess import Inside
from tests.integration.scoring_world import charged, settled

EARLIEST, LATEST = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"
HUGE = "1" + "0" * 30


def china(text: str) -> datetime:
    """A moment of the wall clock in Asia/Shanghai."""
    return datetime.fromisoformat(text).replace(tzinfo=CHINA)


@contextmanager
def shown(service: Inside, moment: datetime) -> Iterator[None]:
    """The service's clock stands at another moment for a while."""
    before = service.clock.now()
    service.clock.set(moment)
    try:
        yield
    finally:
        service.clock.set(before)


async def due(reports: Inside, category: str, moment: str) -> datetime:
    """When a report that is filed then has to be put right."""
    with shown(reports, china(moment)):
        receipt = await filed(reports, REPORT | {"category": category})
    return datetime.fromisoformat(receipt["due_at"])


@pytest.mark.parametrize(
    ("category", "filed_at", "expected"),
    [
        ("exposed-rubbish", "2026-02-14T17:30:00", "2026-02-24T14:30:00"),
        ("exposed-rubbish", "2026-01-02T10:00:00", "2026-01-04T15:00:00"),
        ("pavement", "2026-09-30T10:00:00", "2026-10-10T18:00:00"),
    ],
)
async def test_D01_made_up_saturdays_count_and_long_holidays_do_not(
    reports: Inside, category: str, filed_at: str, expected: str
) -> None:
    assert await due(reports, category, filed_at) == china(expected)


@pytest.mark.parametrize(
    ("filed_at", "expected"),
    [
        ("2026-03-02T12:00:00", "2026-03-02T18:00:00"),
        ("2026-03-02T17:59:59.999", "2026-03-03T14:59:59.999"),
        ("2026-03-02T18:00:00", "2026-03-03T15:00:00"),
        ("2026-03-03T00:00:00", "2026-03-03T15:00:00"),
    ],
)
async def test_D02_at_an_edge_of_opening_hours_no_minute_is_lost(reports: Inside, filed_at: str, expected: str) -> None:
    assert await due(reports, "exposed-rubbish", filed_at) == china(expected)


@pytest.mark.parametrize(
    ("category", "filed_at"),
    [
        ("street-light", "2027-12-30T17:00:00"),
        ("exposed-rubbish", "2027-12-31T17:00:00"),
        ("exposed-rubbish", "2028-02-29T09:00:00"),
    ],
)
async def test_D03_a_report_is_taken_and_handled_in_a_year_without_a_calendar(
    reports: Inside, category: str, filed_at: str
) -> None:
    with shown(reports, china(filed_at)):
        receipt = await filed(reports, REPORT | {"category": category})
        case, tracking = receipt["case"], {"code": receipt["tracking"]}
        await step(reports, case, "acknowledge", None, "officer", unit=receipt["unit"])
        await step(reports, case, "reply", {"text": "已处理"}, "officer", unit=receipt["unit"])
        await step(reports, case, "verify", {"passed": False, "note": "未修好"}, "verifier")
        await step(reports, case, "reply", {"text": "已处理"}, "officer", unit=receipt["unit"])
        await step(reports, case, "verify", {"passed": True}, "verifier")
        await step(reports, case, "close", None, "office")
        await step(reports, case, "reopen", {"reason": "又坏了"}, "office")
        got(await reports.http.post("/tracking", json=tracking))


async def test_D03_orders_of_the_hotline_are_taken_in_a_year_without_a_calendar(reports: Inside) -> None:
    row = {"时间": "2027-12-30 08:40", "类别": "市政设施/路灯", "社区": "祥光社区", "内容": "路灯不亮"}
    rows = [row | {"工单号": f"HY-D03-{number}"} for number in range(2)]
    with shown(reports, china("2027-12-30T17:00:00")):
        answer = await reports.http.post("/imports/hotline", json={"rows": rows}, headers=reports.token("service"))
    assert [each["outcome"] for each in got(answer)["rows"]] == ["filed", "filed"]


async def test_D03_a_unit_may_appeal_in_a_year_without_a_calendar(scoring: Inside) -> None:
    moment = china("2027-12-31T17:00:00")
    with shown(scoring, moment):
        await charged(scoring, "yuanlin", "1", "D03", moment)
        await settled(scoring)
        liaison = scoring.token("liaison", unit="yuanlin")
        [row] = got(await scoring.http.get("/units/yuanlin/rows", headers=liaison))["rows"]
        grounds = {"reason": "不属本单位", "evidence": "附权属说明", "references": ["权属函1号"]}
        got(await scoring.http.post(f"/units/yuanlin/rows/{row['number']}/appeal", json=grounds, headers=liaison), 201)


async def test_D04_a_rest_across_a_holiday_costs_no_working_time(reports: Inside) -> None:
    with shown(reports, china("2026-02-13T16:00:00")):
        case = (await filed(reports))["case"]
        reports.clock.set(china("2026-02-13T17:00:00"))
        rest = {"reason": "等待设备", "review_at": "2026-02-25T09:00:00+08:00"}
        await step(reports, case, "suspend", rest, "leader")
        reports.clock.set(china("2026-02-16T12:00:00"))
        receipt = await step(reports, case, "resume", {"note": "设备已到"}, "leader")
    assert datetime.fromisoformat(receipt["due_at"]) == china("2026-02-24T12:00:00")


async def test_D06_a_month_ends_at_midnight_in_china(scoring: Inside) -> None:
    moments = {"2026-10": "2026-10-31T15:59:59.999Z", "2026-11": "2026-10-31T16:00:00Z"}
    office = scoring.token("office")
    for period, moment in moments.items():
        body = {"unit": "gongjiao", "standard": "示例-公益-01-1", "measured": {"found": 4}, "measured_at": moment}
        answer = await scoring.http.post("/measurements", json=body, headers=office)
        got(answer, 201)
        await charged(scoring, "yuanlin", "1", f"D06-{period}", datetime.fromisoformat(moment))
    await settled(scoring)
    for period in moments:
        ranking = got(await scoring.http.get("/standings", params={"period": period}))
        lost = {each["unit"]: each["points_lost"] for each in ranking["standings"]}
        assert {unit: float(lost[unit]) for unit in ("gongjiao", "yuanlin")} == {"gongjiao": 8, "yuanlin": 1}
    entries = got(await scoring.http.get("/units/yuanlin/ledger"))["entries"]
    found = {entry["case"]: entry["period"] for entry in entries if entry["case"].startswith("D06-")}
    assert found == {f"D06-{period}": period for period in moments}


async def test_D08_a_leap_day_begins_and_ends_a_period(reports: Inside, scoring: Inside) -> None:
    office = reports.token("office")
    for first, last, status in (
        ("2028-02-29", "2029-02-27", 200),
        ("2027-02-29", "2028-02-27", 422),
        ("2028-02-29", "2029-02-28", 200),
    ):
        answer = await reports.http.get("/figures", params={"from": first, "to": last}, headers=office)
        assert answer.status_code == status
    got(await scoring.http.get("/standings", params={"period": "2028-02"}))
    draft = got(await scoring.http.post("/schemes/1/copy", json={"name": "草稿"}, headers=office), 201)
    answer = await scoring.http.post(
        f"/schemes/{draft['version']}/publish",
        json={"based_on": 1, "effective_from": "2027-02-29"},
        headers=scoring.token("leader"),
    )
    assert answer.status_code == 422


async def test_D08_retention_runs_on_a_leap_day(reports: Inside) -> None:
    with shown(reports, china("2028-02-29T10:00:00")):
        got(await reports.http.post("/retention/runs", headers=reports.token("operator")))


ENDS: list[tuple[str, str, dict[str, Any] | None, str]] = [
    ("GET", "/figures?from=9999-12-01&to=9999-12-31", None, "from"),
    ("GET", "/figures?from=0001-01-01&to=0001-01-02", None, "from"),
    ("GET", "/cases?registered_after=0001-01-01T00:00:00%2B14:00", None, "registered_after"),
    ("GET", "/cases?due_before=9999-12-31T23:59:59-12:00", None, "due_before"),
    (
        "POST",
        "/bans",
        {"kind": "account", "value": "li", "until": LATEST, "reason": "多次虚假上报"},
        "until",
    ),
    (
        "GET",
        "/routing?category=exposed-rubbish&longitude=112.6&latitude=26.885&at=0001-01-01T00:00:00%2B14:00",
        None,
        "at",
    ),
]


@pytest.mark.parametrize(("method", "address", "content", "field"), ENDS, ids=[f"{m} {a[:40]}" for m, a, _, _ in ENDS])
async def test_D09_the_ends_of_the_calendar_are_refused_by_name(
    reports: Inside, method: str, address: str, content: dict[str, Any] | None, field: str
) -> None:
    answer = await reports.http.request(method, address, json=content, headers=reports.token("office"))
    assert answer.status_code == 422, answer.text
    assert field in answer.text


async def test_D09_the_ends_of_the_calendar_are_refused_by_scoring_too(scoring: Inside) -> None:
    for moment in (EARLIEST, LATEST):
        for address, field in (("/standings/changes", "since"), ("/schemes/in-force", "at")):
            answer = await scoring.http.get(address, params={field: moment})
            assert (answer.status_code, refusal(answer)[2]) == (422, field), answer.text
    entry = {"unit": "huanwei", "kind": "manual", "points": "2", "reason": "通报", "evidence": "通报第3条"}
    event = {"item": "G15", "text": "认定为重大安全事故", "unit": "huanwei"}
    measured = {"unit": "gongjiao", "standard": "示例-公益-01-1", "measured": {"found": 4}}
    for moment in (EARLIEST, LATEST):
        for address, content, field in (
            ("/measurements", measured, "measured_at"),
            ("/negative-list/events", event, "occurred_at"),
            ("/proposals/entries", entry, "happened_at"),
        ):
            answer = await scoring.http.post(address, json=content | {field: moment}, headers=scoring.token("office"))
            assert answer.status_code == 422, (address, moment, answer.text)
            assert field in answer.text or "standard-not-in-force" in answer.text


def cursor(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


NUMBERS = [
    f"/audit?before={HUGE}",
    f"/retention/reports?before={HUGE}",
    f"/audit?limit={HUGE}",
    f"/queue?limit={HUGE}",
    f"/cases?limit={HUGE}",
    f"/repeats?since=2026-11-01&until=2026-11-30&least={HUGE}",
    f"/cases?after={cursor('newest', 1e30, 'x')}",
    f"/cases?after={cursor('newest', int(HUGE), 'x')}",
]


@pytest.mark.parametrize("address", NUMBERS)
async def test_D10_an_integer_beyond_64_bits_is_refused(reports: Inside, address: str) -> None:
    role = "discipline" if address.startswith(("/audit", "/retention")) else "office"
    answer = await reports.http.get(address, headers=reports.token(role))
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.status_code != 403


SCORING_NUMBERS = [
    f"/units/huanwei/ledger?limit={HUGE}",
    f"/units/huanwei/ledger?after={HUGE}",
    f"/schemes/{HUGE}",
    f"/schemes/1/differences?since={HUGE}",
    f"/measurements?limit={HUGE}",
]


@pytest.mark.parametrize("address", SCORING_NUMBERS)
async def test_D10_an_integer_beyond_64_bits_is_refused_by_scoring_too(scoring: Inside, address: str) -> None:
    answer = await scoring.http.get(address, headers=scoring.token("office"))
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.status_code != 403


async def test_D11_a_number_is_no_moment_and_no_day(reports: Inside) -> None:
    case = await acknowledged(reports)
    for moment in (1798761600, "1798761600000", 1798761600.5):
        answer = await reports.http.post(
            f"/cases/{case}/suspend",
            json={"review_at": moment, "reason": "等待设备"},
            headers=reports.token("leader"),
        )
        assert (answer.status_code, refusal(answer)[2]) == (422, "review_at"), moment
    answer = await reports.http.get(
        "/figures", params={"from": "1767225600", "to": "1769817600"}, headers=reports.token("office")
    )
    assert answer.status_code == 422


async def test_D12_a_plus_that_became_a_blank_is_understood_or_explained(reports: Inside) -> None:
    answer = await reports.http.get(
        "/cases?registered_after=2026-11-01T00:00:00+08:00&limit=1", headers=reports.token("office")
    )
    if answer.status_code != 200:
        assert answer.status_code == 422
        assert "registered_after" in answer.text
        assert "%2B" in answer.text or "+" in answer.json()["detail"]


@pytest.mark.parametrize("written", ["1988-07-10 12:00", "1991-09-15 00:30"])
async def test_D13_an_order_of_old_summer_time_is_filed(reports: Inside, written: str) -> None:
    row = {"工单号": f"HY-{written}", "时间": written, "社区": "祥光社区", "内容": "路灯不亮"}
    answer = await reports.http.post("/imports/hotline", json={"rows": [row]}, headers=reports.token("service"))
    [done] = got(answer)["rows"]
    assert done["outcome"] == "filed"
    assert (await case_of(reports, done["case"]))["timeline"]
