"""The way of a case as impatient, curious and forgetful people go it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from tests.cases.world import MONDAY, REPORT, TYPED, UNIT, acknowledged, case_of, filed, got, refusal, sample, step
from tests.inprocess import Inside
from tests.integration.portal_world import opened

PERSON = {"name": "王女士", "phone": "0734-8765432"}


async def photo(reports: Inside) -> str:
    answer = await reports.http.post("/photos", content=sample("p01-exif6-gps.jpg"), headers=reports.token("service"))
    uploaded: str = got(answer, 201)["photo"]
    return uploaded


async def closed(reports: Inside, case: str) -> None:
    await step(reports, case, "acknowledge", None, "officer", unit=UNIT)
    await step(reports, case, "reply", {"text": "已清运"}, "officer", unit=UNIT)
    await step(reports, case, "verify", {"passed": True}, "verifier")
    await step(reports, case, "close", None, "office")


async def tracked(reports: Inside, code: str, language: str = "zh") -> dict[str, Any]:
    answer = await reports.http.post("/tracking", json={"code": code}, headers={"accept-language": language})
    body: dict[str, Any] = got(answer)
    return body


async def feedback(reports: Inside, kind: str, code: str, **content: object) -> httpx2.Response:
    return await reports.http.post(f"/tracking/{kind}", json={"code": code, **content})


async def test_S01_a_form_sent_ten_times_files_one_case(reports: Inside, portal: Inside) -> None:
    fields = {**await opened(portal), **TYPED}
    answers = await asyncio.gather(*(portal.http.post("/report", data=fields) for _ in range(10)))
    taken = {answer.headers["location"] for answer in answers if answer.status_code == 303}
    assert len(taken) == 1
    assert {answer.status_code for answer in answers} <= {303, 409, 429, 503}
    assert (await portal.http.post("/report", data=fields)).headers["location"] in taken


async def test_S01_one_key_is_one_case_and_no_key_is_two(reports: Inside) -> None:
    headers = reports.token("service") | {"idempotency-key": "s01"}
    answers = await asyncio.gather(*(reports.http.post("/cases", json=REPORT, headers=headers) for _ in range(10)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    receipts = {answer.text for answer in answers if answer.status_code == 201}
    assert len(receipts) == 1
    other = await reports.http.post("/cases", json=REPORT | {"text": "别的"}, headers=headers)
    assert refusal(other)[1] == "idempotency-key-reused"
    first, second = (await filed(reports))["case"], (await filed(reports))["case"]
    assert first != second
    similar = got(await reports.http.get(f"/cases/{second}/similar", headers=reports.token("office")))
    assert similar


async def test_S03_a_merge_keeps_the_photos_and_shows_no_more_than_before(reports: Inside) -> None:
    picture = await photo(reports)
    citizen = await reports.http.post("/cases", json=REPORT | {"photos": [picture], "reporter": PERSON})
    one = got(citizen, 201)["case"]
    other = (await filed(reports, REPORT | {"reporter": {"name": "李先生"}}))["case"]
    assert (await reports.http.get(f"/photos/{picture}/large")).status_code == 404
    await step(reports, one, "merge", {"into": other}, "office")
    assert (await reports.http.get(f"/photos/{picture}/large")).status_code == 404
    for case in (one, other):
        assert picture not in (await reports.http.get(f"/cases/{case}")).text
    office = reports.token("office")
    assert (await reports.http.get(f"/photos/{picture}/large", headers=office)).status_code == 200
    assert one in str(await case_of(reports, other))
    assert (await case_of(reports, one))["photos"] == [picture]
    await step(reports, one, "erase", {"reason": "本人要求"}, "office")
    left = await reports.http.post(f"/cases/{other}/reporter", json={"reason": "核实"}, headers=office)
    assert got(left)["name"] == "李先生"
    gone = await reports.http.post(f"/cases/{one}/reporter", json={"reason": "核实"}, headers=office)
    assert "王女士" not in gone.text


async def test_S04_a_rating_reopens_nothing_and_an_objection_leaves_a_line(reports: Inside) -> None:
    receipt = await filed(reports, REPORT | {"reporter": PERSON})
    case, code = receipt["case"], receipt["tracking"]
    await closed(reports, case)
    rated = await feedback(reports, "rate", code, resolved=False, satisfied=False)
    assert got(rated)["state"] == "closed"
    bare = await feedback(reports, "object", code, text="没清完")
    assert refusal(bare)[:2] == (422, "objection-needs-photo")
    before = len((await case_of(reports, case))["timeline"])
    answer = await feedback(reports, "object", code, text="没清完", photos=[await photo(reports)])
    assert got(answer)["state"] != "closed"
    assert len((await case_of(reports, case))["timeline"]) > before
    await closed(reports, case)
    again = await feedback(reports, "object", code, photos=[await photo(reports)])
    assert got(again)["state"] == "closed"
    reports.clock.advance(timedelta(days=20))
    late = await feedback(reports, "object", code, photos=[await photo(reports)])
    reports.clock.set(MONDAY)
    assert refusal(late)[:2] == (409, "objection-too-late")


async def test_S05_what_was_not_repaired_is_neither_called_nor_counted_so(reports: Inside) -> None:
    report = REPORT | {"category": "other-matter"}
    before = await rates(reports)
    receipts = [await filed(reports, report) for _ in range(4)]
    rejected, merged, withdrawn, suspended = (receipt["case"] for receipt in receipts)
    await step(reports, rejected, "reject", {"reason": "不属受理范围"}, "office")
    await step(reports, merged, "merge", {"into": suspended}, "office")
    got(await feedback(reports, "withdraw", receipts[2]["tracking"], reason="已自行解决"))
    await step(reports, suspended, "file", {"note": ""}, "office")
    await step(reports, suspended, "dispatch", {"unit": UNIT}, "office")
    rest = {"reason": "等待设备", "review_at": "2026-12-01T09:00:00+08:00"}
    await step(reports, suspended, "suspend", rest, "leader")
    for receipt in receipts:
        for language, words in (("zh", ("已解决", "已修复", "已整改")), ("en", ("resolved", "repaired", "fixed"))):
            view = await tracked(reports, receipt["tracking"], language)
            assert not any(word in view["words"].lower() for word in words), view["words"]
    after = await rates(reports)
    for name in ("closed", "solved"):
        assert after.get(name, 0) == before.get(name, 0), name
    assert withdrawn


async def rates(reports: Inside) -> dict[str, Any]:
    """The figures of this category."""
    wanted = {"from": "2026-11-01", "to": "2026-11-30", "by": "category"}
    body = got(await reports.http.get("/figures", params=wanted, headers=reports.token("office")))
    lines = body.get("rows") or body.get("groups") or []
    [line] = [line for line in lines if "other-matter" in str(line)] or [{}]
    found: dict[str, Any] = line
    return found


async def test_S06_a_category_out_of_use_keeps_its_cases(reports: Inside) -> None:
    lights = REPORT | {"category": "cable-tv"}
    case = (await filed(reports, lights))["case"]
    version = got(await reports.http.get("/categories/cable-tv", headers=reports.token("office")))["versions"][0]
    office = reports.token("office")
    retired = await reports.http.post(
        "/categories/cable-tv/retire", json={"based_on": version["version"]}, headers=office
    )
    assert got(retired)["retired"] is True
    new = await reports.http.post("/cases", json=lights, headers=reports.token("service"))
    assert refusal(new)[:2] == (422, "category-retired")
    unit = (await case_of(reports, case))["snapshot"]["unit"]
    await step(reports, case, "acknowledge", None, "officer", unit=unit)
    await step(reports, case, "reply", {"text": "已修复"}, "officer", unit=unit)
    exported = await reports.http.get("/cases/export", params={"format": "csv", "category": "cable-tv"}, headers=office)
    assert "广电线路破损" in exported.text
    row = {"工单号": "HY-S06", "类别": "cable-tv", "社区": "祥光社区", "内容": "线路破损"}
    done = got(await reports.http.post("/imports/hotline", json={"rows": [row]}, headers=reports.token("service")))
    [order] = done["rows"]
    if order["outcome"] == "filed":
        found = await case_of(reports, order["case"])
        assert found["snapshot"]["category"] == "other-matter"
        assert "cable-tv" in str(found["timeline"]) or "广电" in str(found["timeline"])
    else:
        assert order["field"] == "类别"


@pytest.mark.parametrize(
    ("role", "unit"), [("officer", UNIT), ("liaison", UNIT), ("officer", "yuanlin"), ("verifier", None)]
)
async def test_S09_who_must_not_call_sees_no_number(reports: Inside, role: str, unit: str | None) -> None:
    case = await acknowledged(reports, REPORT | {"reporter": PERSON | {"may_call": False}})
    caller = reports.token(role, unit=unit)
    addresses = [f"/cases/{case}", "/cases", "/queue", "/cases/export?format=csv", f"/cases/{case}/documents"]
    for address in addresses:
        assert "8765432" not in (await reports.http.get(address, headers=caller)).text
    answer = await reports.http.post(f"/cases/{case}/reporter", json={"reason": "电话核实"}, headers=caller)
    assert "8765432" not in answer.text


async def test_S09_the_office_gives_a_reason_and_leaves_a_trace(reports: Inside) -> None:
    case = await acknowledged(reports, REPORT | {"reporter": PERSON | {"may_call": False}})
    office = reports.token("office")
    assert (await reports.http.post(f"/cases/{case}/reporter", json={}, headers=office)).status_code == 422
    opened_case = got(await reports.http.post(f"/cases/{case}/reporter", json={"reason": "电话核实"}, headers=office))
    assert "8765432" in opened_case["phone"].replace("-", "")
    audit = await reports.http.get("/audit", params={"subject": case}, headers=reports.token("discipline"))
    assert opened_case["audit"] in str(got(audit)) or case in str(got(audit)["rows"])
