"""Reports over HTTP on a real database: the life of a case, and input that must leave no trace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from fastapi.routing import APIRoute

from deploy.local import issuer
from services.reports.api import cases, handling
from services.reports.app import SERVICE
from services.reports.commands.handling import mark_overdue
from services.reports.domain import TRANSITIONS
from services.reports.repo import CASES
from shared.clock import FixedClock
from shared.consumer import MARKS
from shared.contracts.reports import CaseEvent, CaseOverdue, Level
from shared.store import IDEMPOTENCY, OUTBOX, Collection
from tests.inprocess import Inside, inside

MONDAY = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
REPORT: dict[str, Any] = {
    "category": "exposed-rubbish",
    "longitude": 112.6,
    "latitude": 26.885,
    "text": "垃圾桶满了没人清 🗑️",
    "reporter": {"name": "王女士", "phone": "0734-8888888"},
}


@pytest.fixture
async def reports(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(SERVICE, FixedClock(MONDAY), tmp_path, mongodb_uri, namespace) as service:
        yield service


async def filed(reports: Inside, **change: object) -> dict[str, Any]:
    answer = await reports.http.post("/cases", json={**REPORT, **change})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def traces(reports: Inside) -> int:
    """Documents of any kind."""
    collections: list[Collection[Any]] = [CASES, OUTBOX, IDEMPOTENCY, MARKS]
    counts = [await reports.runtime.store.count(each, {}) for each in collections]
    return sum(counts)


async def test_a_report_is_on_file_with_its_unit_and_deadline(reports: Inside) -> None:
    made = await filed(reports)
    assert made["state"] == "dispatched"
    assert made["unit"] == "huanwei"
    assert made["due_at"] == "2026-11-23T07:00:00Z"  # 9:00 plus 4 work-hours, with the noon break
    assert made["sequence"] == 1
    case = await reports.runtime.store.get(CASES, made["case"])
    assert case is not None
    assert case.text == REPORT["text"]
    assert reports.runtime.resources.reporters.person(case.reporter).phone == "0734-8888888"


async def test_nothing_of_the_reporter_is_in_the_event_or_the_public_view(reports: Inside) -> None:
    case = await filed(reports)
    [row] = await reports.runtime.store.find(OUTBOX, {})
    public = (await reports.http.get(f"/cases/{case['case']}")).text
    for private in ("王女士", "8888888", "垃圾桶满了"):
        assert private not in row.value.decode()
        assert private not in public


async def test_a_case_runs_from_filing_to_sign_off(reports: Inside) -> None:
    id = (await filed(reports))["case"]
    officer, verifier = reports.token("officer", unit="huanwei"), reports.token("verifier")
    steps = [
        ("acknowledge", None, officer, "acknowledged"),
        ("reply", {"text": "已清运"}, officer, "replied"),
        ("verify", {"passed": False, "note": "还有散落"}, verifier, "rework"),
        ("reply", {"text": "再次清运"}, officer, "replied"),
        ("verify", {"passed": True}, verifier, "verified"),
        ("close", None, reports.token("office"), "closed"),
    ]
    for number, (step, body, caller, state) in enumerate(steps, start=2):
        answer = await reports.http.post(f"/cases/{id}/{step}", json=body, headers=caller)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["state"], answer.json()["sequence"]) == (state, number)
    rows = await reports.runtime.store.find(OUTBOX, {"subject": id}, [("sequence", 1)])
    assert [row.sequence for row in rows] == list(range(1, 8))
    view = (await reports.http.get(f"/cases/{id}", headers=officer)).json()
    assert view["text"] == REPORT["text"]
    assert [fact["command"] for fact in view["timeline"]][-1] == "close"


async def test_a_deadline_missed_is_told_once(reports: Inside) -> None:
    id = (await filed(reports))["case"]
    reports.clock.advance(timedelta(hours=7))
    for _ in range(2):
        await reports.runtime.store.run(lambda uow: mark_overdue(uow, reports.runtime.resources.district, id))
    rows = await reports.runtime.store.find(OUTBOX, {"subject": id}, [("sequence", 1)])
    assert [row.type.split(".")[2] for row in rows] == ["case-registered", "case-overdue"]


async def test_a_place_given_in_gcj02_is_kept_in_wgs84(reports: Inside) -> None:
    id = (await filed(reports, crs="gcj02"))["case"]
    place = (await reports.http.get(f"/cases/{id}")).json()["snapshot"]["place"]
    assert abs(place["longitude"] - 112.6) > 0.004
    assert place["community"].startswith("430476001")


BAD: dict[str, tuple[dict[str, Any], int, str, str | None]] = {
    "unknown category": ({**REPORT, "category": "no-such"}, 422, "category-unknown", "category"),
    "outside the district": ({**REPORT, "longitude": 116.39}, 422, "place-outside-district", "longitude"),
    "no latitude": ({k: v for k, v in REPORT.items() if k != "latitude"}, 422, "validation", "latitude"),
    "latitude too large": ({**REPORT, "latitude": 91}, 422, "validation", "latitude"),
    "text too long": ({**REPORT, "text": "长" * 2001}, 422, "validation", "text"),
    "markup": ({**REPORT, "text": "<script>alert(1)</script>"}, 422, "text-has-markup", "text"),
    "invisible characters": ({**REPORT, "text": "a\u202eb"}, 422, "text-has-control-characters", "text"),
    "a misspelt field": ({**REPORT, "catgory": "x"}, 422, "validation", "catgory"),
    "an unknown datum": ({**REPORT, "crs": "bd09"}, 422, "validation", "crs"),
    "four photos": ({**REPORT, "photos": ["a", "b", "c", "d"]}, 422, "validation", "photos"),
    "a photo nobody uploaded": ({**REPORT, "photos": ["0" * 32]}, 422, "photo-unknown", "photos.0"),
    "a missing photo": ({**REPORT, "category": "manhole-cover"}, 422, "photo-required", "photos"),
    "a reserved channel": ({**REPORT, "channel": "hotline"}, 403, "channel-reserved", "channel"),
    "a query for a name": ({**REPORT, "category": {"$ne": ""}}, 422, "validation", "category"),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_input_is_refused_by_name_and_leaves_no_trace(reports: Inside, name: str) -> None:
    body, status, code, field = BAD[name]
    answer = await reports.http.post("/cases", json=body, headers={"Idempotency-Key": "k"})
    content = answer.json()
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert (answer.status_code, content["code"], content.get("field")) == (status, code, field)
    assert content["request_id"]
    assert await traces(reports) == 0


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"{" + b" " * 10_000_000 + b"}", {"content-type": "application/json"}, 413, "body-too-large"),
        (b"category=x", {"content-type": "application/x-www-form-urlencoded"}, 415, "content-type-unsupported"),
        (b'{"category": ', {"content-type": "application/json"}, 400, "body-malformed"),
        (b'{"longitude": NaN}', {"content-type": "application/json"}, 400, "body-malformed"),
        ('{"text": "\u5783"}'.encode("gb18030"), {"content-type": "application/json"}, 400, "body-malformed"),
        (b"[" * 100_000, {"content-type": "application/json"}, 400, "body-malformed"),
    ],
    ids=["10 MB", "a form", "cut off", "NaN", "GB 18030", "nested without end"],
)
async def test_bodies_that_cannot_be_read(
    reports: Inside, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await reports.http.post("/cases", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await traces(reports) == 0


async def test_the_same_key_with_the_same_body_is_answered_the_same_and_files_once(reports: Inside) -> None:
    key = {"Idempotency-Key": "4d1f"}
    first, *others = [await reports.http.post("/cases", json=REPORT, headers=key) for _ in range(3)]
    assert first.status_code == 201
    for other in others:
        assert (other.status_code, other.content) == (201, first.content)
        assert other.headers["idempotency-replayed"] == "true"
    assert await reports.runtime.store.count(CASES, {}) == 1


async def test_the_same_key_at_the_same_time_files_once(reports: Inside) -> None:
    key = {"Idempotency-Key": "at-once"}
    answers = await asyncio.gather(*(reports.http.post("/cases", json=REPORT, headers=key) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["case"] for answer in answers}) == 1
    assert await reports.runtime.store.count(CASES, {}) == 1


async def test_the_same_key_with_another_body_is_refused(reports: Inside) -> None:
    key = {"Idempotency-Key": "4d1f"}
    await reports.http.post("/cases", json=REPORT, headers=key)
    before = await traces(reports)
    answer = await reports.http.post("/cases", json={**REPORT, "text": "别的"}, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")
    assert await traces(reports) == before


async def test_a_command_sent_again_after_it_took_effect_is_answered_as_the_first_time(reports: Inside) -> None:
    id = (await filed(reports))["case"]
    headers = {**reports.token("officer", unit="huanwei"), "Idempotency-Key": "ack-1"}
    first = await reports.http.post(f"/cases/{id}/acknowledge", headers=headers)
    again = await reports.http.post(f"/cases/{id}/acknowledge", headers=headers)
    assert (again.status_code, again.content) == (200, first.content)


async def test_who_may_not_is_told_so_and_changes_nothing(reports: Inside) -> None:
    id = (await filed(reports))["case"]
    before = await traces(reports)
    expired = jwt.encode(
        {"iss": issuer.NAME, "aud": issuer.AUDIENCE, "sub": "o", "roles": ["officer"], "exp": 1, "unit": "huanwei"},
        (reports.issuer.jwks.parent / "key.pem").read_bytes(),
        "EdDSA",
        headers={"kid": jwt.get_unverified_header(reports.issuer.token("x", []))["kid"]},
    )
    attempts = [
        ("acknowledge", {}, 401, "token-missing"),
        ("acknowledge", {"Authorization": f"Bearer {expired}"}, 401, "token-expired"),
        ("acknowledge", reports.token("officer", unit="chengguan"), 403, "case-of-another-unit"),
        ("acknowledge", reports.token("citizen"), 403, "role-required"),
        ("close", reports.token("officer", unit="huanwei"), 403, "role-required"),
        ("close", reports.token("office"), 409, "transition-not-allowed"),
    ]
    for step, headers, status, code in attempts:
        answer = await reports.http.post(f"/cases/{id}/{step}", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code), step
    assert await traces(reports) == before


async def test_a_unit_cannot_verify_its_own_work(reports: Inside) -> None:
    id = (await filed(reports))["case"]
    officer = reports.token("officer", unit="huanwei")
    await reports.http.post(f"/cases/{id}/acknowledge", headers=officer)
    await reports.http.post(f"/cases/{id}/reply", json={"text": "已清运"}, headers=officer)
    own = reports.token("verifier", unit="huanwei")
    answer = await reports.http.post(f"/cases/{id}/verify", json={"passed": True}, headers=own)
    assert (answer.status_code, answer.json()["code"]) == (403, "decision-on-own-unit")


async def test_an_unrouted_case_waits_for_the_office_which_dispatches_it(reports: Inside) -> None:
    made = await filed(reports, category="other-matter")
    assert (made["state"], made["unit"], made["due_at"]) == ("registered", None, None)
    office = reports.token("office")
    queue = (await reports.http.get("/cases?state=registered", headers=office)).json()
    assert [case["case"] for case in queue["cases"]] == [made["case"]]
    unknown = await reports.http.post(f"/cases/{made['case']}/dispatch", json={"unit": "nobody"}, headers=office)
    assert unknown.json()["code"] == "unit-unknown"
    answer = await reports.http.post(f"/cases/{made['case']}/dispatch", json={"unit": "chengguan"}, headers=office)
    assert (answer.json()["state"], answer.json()["unit"]) == ("dispatched", "chengguan")


async def test_an_officer_sees_the_cases_of_the_own_unit_only(reports: Inside) -> None:
    mine = (await filed(reports))["case"]
    await filed(reports, category="street-vending")
    officer = reports.token("officer", unit="huanwei")
    for query, seen in (("", [mine]), ("?unit=huanwei", [mine]), ("?unit=chengguan", [])):
        page = (await reports.http.get(f"/cases{query}", headers=officer)).json()
        assert [case["case"] for case in page["cases"]] == seen


async def test_pages_follow_each_other_without_gap_or_repeat(reports: Inside) -> None:
    ids = {(await filed(reports))["case"] for _ in range(5)}
    seen: list[str] = []
    after = ""
    while True:
        page = (
            await reports.http.get("/cases", params={"limit": 2, "after": after}, headers=reports.token("office"))
        ).json()
        seen += [case["case"] for case in page["cases"]]
        after = page["next"]
        if not after:
            break
    assert (len(seen), set(seen)) == (5, ids)


async def test_strangers_are_limited_and_told_when_to_come_back(reports: Inside) -> None:
    reports.runtime.resources.limits.__init__(reports.runtime.settings.model_copy(update={"reports_per_minute": 2}))
    answers = [await reports.http.post("/cases", json=REPORT) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert int(answers[-1].headers["retry-after"]) > 0
    staff = await reports.http.post(
        "/cases", json={**REPORT, "channel": "hotline"}, headers=reports.token("dispatcher")
    )
    assert staff.status_code == 201


# ---- every way a case can take ----


class Hands:
    """Who acts on the one case of a test, and what the routes answer."""

    def __init__(self, reports: Inside, id: str, unit: str = "huanwei") -> None:
        self.reports, self.id = reports, id
        self.unit = reports.token("officer", unit=unit)
        self.verifier = reports.token("verifier")
        self.centre = reports.token("dispatcher")
        self.leader = reports.token("leader")

    async def ask(self, step: str, by: dict[str, str], **body: object) -> httpx2.Response:
        return await self.reports.http.post(f"/cases/{self.id}/{step}", json=body or None, headers=by)

    async def do(self, step: str, by: dict[str, str], **body: object) -> dict[str, Any]:
        answer = await self.ask(step, by, **body)
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    async def refused(self, step: str, by: dict[str, str], **body: object) -> tuple[int, str]:
        """Status and code, of a refusal that leaves no trace."""
        before = await traces(self.reports)
        answer = await self.ask(step, by, **body)
        assert await traces(self.reports) == before
        return answer.status_code, answer.json()["code"]

    async def view(self, by: dict[str, str] | None = None) -> dict[str, Any]:
        body: dict[str, Any] = (await self.reports.http.get(f"/cases/{self.id}", headers=by or {})).json()
        return body

    async def events(self) -> list[str]:
        rows = await self.reports.runtime.store.find(OUTBOX, {"subject": self.id}, [("sequence", 1)])
        assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))
        return [row.type.removeprefix("chuangwen.reports.case-").removesuffix(".v1") for row in rows]


async def a_case(reports: Inside, **change: object) -> Hands:
    case = await filed(reports, **change)
    return Hands(reports, case["case"], case["unit"] or "chengguan")


async def replied(reports: Inside) -> Hands:
    case = await a_case(reports)
    await case.do("acknowledge", case.unit)
    await case.do("reply", case.unit, text="已清运")
    return case


async def closed(reports: Inside) -> Hands:
    case = await replied(reports)
    await case.do("verify", case.verifier, passed=True)
    await case.do("close", case.centre)
    return case


async def test_a_citizens_report_is_found_on_the_spot_filed_and_sent_on(reports: Inside) -> None:
    live = reports.runtime.resources.catalogue
    held = await live.current()
    checked = replace(held.categories["exposed-rubbish"], site_check=True)
    live._held = replace(held, categories={**held.categories, checked.code: checked})
    case = await a_case(reports)
    assert (await case.view())["snapshot"]["stage"] == "site-check"
    assert await case.refused("file", case.centre) == (409, "site-check-owed")
    assert await case.refused("dispatch", case.centre, unit="huanwei") == (409, "site-check-owed")
    assert (await case.do("confirm", case.verifier, note="属实"))["state"] == "site-verified"
    found = await case.do("file", case.centre)
    assert (found["state"], found["unit"], found["due_at"]) == ("dispatched", "huanwei", "2026-11-23T07:00:00Z")
    assert await case.events() == ["registered", "site-verified", "filed", "dispatched"]


async def test_the_office_files_and_dispatches_what_nobody_routed(reports: Inside) -> None:
    case = await a_case(reports, category="other-matter")
    assert (await case.do("confirm", case.verifier, note=""))["state"] == "site-verified"
    assert (await case.do("file", case.centre))["state"] == "filed"
    body = {"unit": "chengguan", "supporting": ["chengguan"]}
    assert await case.refused("dispatch", case.centre, **body) == (422, "lead-among-supporting")
    body = {"unit": "chengguan", "supporting": ["nobody"]}
    assert await case.refused("dispatch", case.centre, **body) == (422, "unit-unknown")
    found = await case.do("dispatch", case.centre, unit="chengguan", supporting=["huanwei"])
    assert (found["state"], found["unit"]) == ("dispatched", "chengguan")


async def test_the_reason_for_turning_a_case_down_is_there_for_everybody(reports: Inside) -> None:
    case = await a_case(reports, category="other-matter")
    assert await case.refused("reject", case.centre, reason="") == (422, "validation")
    assert await case.refused("reject", case.centre, reason="  ") == (422, "text-required")
    assert (await case.do("reject", case.centre, reason="属于个人纠纷"))["state"] == "rejected"
    assert (await case.view())["timeline"][-1]["note"] == "属于个人纠纷"
    assert await case.refused("file", case.centre) == (409, "transition-not-allowed")


async def test_work_begins_and_a_case_of_the_wrong_unit_goes_back(reports: Inside) -> None:
    case = await a_case(reports)
    await case.do("acknowledge", case.unit)
    found = await case.do("return", case.unit, reason="属市政设施")
    assert (found["state"], found["unit"], found["due_at"]) == ("returned", None, None)
    assert (await case.view())["timeline"][-1]["note"] == "", "reasons stay among those inside"
    await case.do("dispatch", case.centre, unit="shizheng")
    assert await case.refused("acknowledge", case.unit) == (403, "case-of-another-unit")
    other = reports.token("liaison", unit="shizheng")
    await case.do("acknowledge", other)
    assert (await case.do("start", other))["state"] == "rectifying"
    assert await case.refused("return", other, reason="也不归我们") == (409, "transition-not-allowed")


async def test_it_is_too_late_to_give_a_case_back_after_a_working_day(reports: Inside) -> None:
    case = await a_case(reports, category="street-light")
    reports.clock.set(MONDAY + timedelta(hours=33, milliseconds=1))
    assert await case.refused("return", case.unit, reason="不归我们") == (409, "return-too-late")


async def test_more_time_is_asked_for_and_granted_by_who_may(reports: Inside) -> None:
    case = await a_case(reports)
    assert await case.refused("extension/decision", case.centre, granted=True) == (409, "extension-not-asked")
    assert await case.refused("extension", case.unit, reason="难", limit="soon") == (422, "limit-unreadable")
    assert await case.refused("extension", case.unit, reason="难", limit="9999个工作日") == (422, "limit-too-far")
    await case.do("extension", case.unit, reason="车辆故障")
    assert await case.refused("extension", case.unit, reason="车辆故障") == (409, "extension-asked-already")
    found = await case.do("extension/decision", case.centre, granted=True)
    assert found["due_at"] == "2026-11-24T02:00:00Z"  # 15:00 plus 4 work-hours
    await case.do("extension", case.unit, reason="还差一点", limit="2个工作日")
    assert await case.refused("extension/decision", case.centre, granted=True, reason="可") == (
        403,
        "extension-needs-leader",
    )
    assert await case.refused("extension/decision", case.leader, granted=True) == (422, "text-required")
    found = await case.do("extension/decision", case.leader, granted=True, reason="情况属实")
    assert found["due_at"] == "2026-11-26T10:00:00Z"
    assert (await case.view())["snapshot"]["extensions"] == 2


async def test_more_time_refused_leaves_the_limit_as_it_was(reports: Inside) -> None:
    case = await a_case(reports)
    reports.clock.advance(timedelta(hours=1))
    await case.do("extension", case.unit, reason="车辆故障")
    reports.clock.set(MONDAY + timedelta(hours=6, minutes=30))
    await reports.runtime.store.run(lambda uow: mark_overdue(uow, reports.runtime.resources.district, case.id))
    assert "overdue" not in await case.events(), "nothing runs out until somebody has decided"
    found = await case.do("extension/decision", case.centre, granted=False, reason="理由不充分")
    assert found["due_at"] == "2026-11-23T07:00:00Z"
    assert (await case.events())[-2:] == ["overdue", "changed"]
    assert await case.refused("extension", case.unit, reason="再次申请") == (409, "extension-too-late")


async def test_a_case_rests_until_its_review_and_its_limit_comes_later(reports: Inside) -> None:
    case = await a_case(reports)
    rest = {"reason": "等待设备", "review_at": "2026-12-01T09:00:00+08:00"}
    for moment, expected in (
        ("2026-11-23T09:00:00+08:00", (422, "review-past")),
        ("2200-12-31T23:59:59-12:00", (422, "review-too-far")),
        ("9999-12-31T23:59:59-12:00", (422, "validation")),
        ("2026-12-01T09:00:00", (422, "validation")),
        ("tomorrow", (422, "validation")),
    ):
        assert await case.refused("suspend", case.leader, reason="等待", review_at=moment) == expected
    found = await case.do("suspend", case.leader, **rest)
    assert (found["state"], found["due_at"]) == ("suspended", None)
    assert await case.refused("reply", case.unit, text="好了") == (409, "transition-not-allowed")
    assert await case.refused("resume", case.unit, note="") == (403, "command-of-another-side")
    reports.clock.set(MONDAY + timedelta(days=1))
    found = await case.do("resume", case.leader, note="设备已到")
    assert (found["state"], found["due_at"]) == ("dispatched", "2026-11-24T07:00:00Z")
    assert (await case.events())[1:] == ["suspended", "resumed"]


async def test_the_reporter_is_asked_and_the_limit_stands_still_meanwhile(reports: Inside) -> None:
    case = await a_case(reports)
    await case.do("acknowledge", case.unit)
    assert (await case.do("ask-reporter", case.unit, question="在几号楼？"))["state"] == "waiting"
    reports.clock.advance(timedelta(hours=1))
    found = await case.do("resume", case.unit, note="来电答复：3号楼")
    assert (found["state"], found["due_at"]) == ("acknowledged", "2026-11-23T08:00:00Z")
    view = await case.view()
    assert "几号楼" not in str(view)
    assert "3号楼" not in str(view)
    await case.do("ask-reporter", case.centre, question="能否补一张照片？")
    reports.clock.advance(timedelta(days=7))
    for _ in range(2):
        await reports.runtime.store.run(lambda uow: mark_overdue(uow, reports.runtime.resources.district, case.id))
    # Three working days for the answer, to Thursday evening; then the four hours that were left.
    assert (await case.events())[-4:] == ["waiting", "overdue", "resumed", "overdue"]
    assert (await case.view())["snapshot"]["overdue_at"] == "2026-11-27T07:00:00Z"


async def test_what_was_signed_off_is_opened_again_by_the_office(reports: Inside) -> None:
    case = await closed(reports)
    assert await case.refused("reopen", case.centre, reason=" ") == (422, "text-required")
    reports.clock.advance(timedelta(days=1))
    found = await case.do("reopen", case.centre, reason="回访不属实")
    assert (found["state"], found["unit"], found["due_at"]) == ("dispatched", "huanwei", "2026-11-24T07:00:00Z")
    assert (await case.view())["snapshot"]["reopens"] == 1


async def test_what_is_written_into_a_case_is_seen_by_whom_it_is_for(reports: Inside) -> None:
    case = await a_case(reports)
    sequence = (await case.do("comment", case.unit, text="已联系物业"))["sequence"]
    await case.do("comment", case.centre, text="将于今晚清运", public=True)
    assert sequence == (await case.do("comment", case.leader, text="抓紧"))["sequence"] == 1, "no event carries a note"
    notes = ["", "", "已联系物业", "将于今晚清运", "抓紧"]
    assert [line["note"] for line in (await case.view(case.unit))["timeline"]][2:] == notes[2:]
    assert [line["note"] for line in (await case.view())["timeline"]][2:] == ["", "将于今晚清运", ""]
    stranger = reports.token("officer", unit="chengguan")
    assert await case.refused("comment", stranger, text="看看") == (403, "case-of-another-unit")
    assert await case.refused("comment", reports.token("officer"), text="看看") == (403, "command-of-another-side")
    assert await case.refused("comment", case.unit, text="<b>急</b>") == (422, "text-has-markup")
    assert await case.refused("comment", case.unit, text="x", photos=["0" * 32]) == (422, "photo-unknown")


async def test_two_reports_of_one_problem_are_merged_and_parted_again(reports: Inside) -> None:
    case, other = await a_case(reports), await a_case(reports)
    for into, expected in (
        (case.id, (409, "merge-into-itself")),
        ("20261123-NOBODY0000", (422, "case-unknown")),
    ):
        assert await case.refused("merge", case.centre, into=into) == expected
    found = await case.do("merge", case.centre, into=other.id)
    assert (found["state"], found["due_at"]) == ("merged", None)
    assert (await case.view())["snapshot"]["merged_into"] == other.id
    line = (await other.view(other.centre))["timeline"][-1]
    assert (line["command"], line["by"], line["note"]) == ("merge", "centre", case.id)
    third = await a_case(reports)
    assert await third.refused("merge", case.centre, into=case.id) == (409, "merge-into-ended")
    assert await other.refused("merge", case.centre, into=third.id) == (409, "merged-has-merged")
    reports.clock.advance(timedelta(hours=1))
    found = await case.do("unmerge", case.centre)
    assert (found["state"], found["due_at"]) == ("dispatched", "2026-11-23T08:00:00Z")
    assert (await case.view())["snapshot"]["merged_into"] is None
    assert await case.refused("unmerge", case.centre) == (409, "transition-not-allowed")


async def test_several_units_have_a_part_each_and_the_whole_closes_with_the_last(reports: Inside) -> None:
    case = await a_case(reports)
    assert await case.refused("split", case.centre, units=["huanwei"]) == (422, "validation")
    assert await case.refused("split", case.centre, units=["huanwei", "huanwei"]) == (422, "split-needs-units")
    assert await case.refused("split", case.centre, units=["huanwei", "nobody"]) == (422, "unit-unknown")
    assert (await case.do("split", case.centre, units=["huanwei", "chengguan"]))["state"] == "split"
    parts = [
        Hands(reports, id, unit)
        for id, unit in zip((await case.view())["snapshot"]["children"], ("huanwei", "chengguan"), strict=True)
    ]
    for part in parts:
        snapshot = (await part.view())["snapshot"]
        assert (snapshot["parent"], snapshot["state"]) == (case.id, "dispatched")
        assert (await part.view(part.unit))["text"] == REPORT["text"]
        await part.do("acknowledge", part.unit)
        await part.do("reply", part.unit, text="已处理")
        await part.do("verify", part.verifier, passed=True)
        assert (await case.view())["snapshot"]["state"] == "split"
        await part.do("close", part.centre)
    assert (await case.view())["snapshot"]["state"] == "closed"
    assert await case.refused("reopen", case.centre, reason="没好") == (409, "reopen-the-parts")
    assert await parts[0].refused("split", case.centre, units=["huanwei", "chengguan"]) == (
        409,
        "transition-not-allowed",
    )
    await parts[0].do("reopen", case.centre, reason="没好")
    assert (await case.view())["snapshot"]["state"] == "split"
    assert (await case.events())[1:] == ["split", "closed", "reopened"]


CENTRE, UNIT = {"office", "dispatcher"}, {"officer", "liaison", "office", "dispatcher"}
MAY: dict[str, tuple[dict[str, object] | None, set[str]]] = {
    "confirm": ({"note": ""}, {"verifier", *CENTRE}),
    "file": (None, CENTRE),
    "reject": ({"reason": "不属实"}, CENTRE),
    "dispatch": ({"unit": "huanwei"}, CENTRE),
    "split": ({"units": ["huanwei", "chengguan"]}, CENTRE),
    "acknowledge": (None, UNIT),
    "start": (None, UNIT),
    "return": ({"reason": "不归我们"}, UNIT),
    "extension": ({"reason": "来不及"}, UNIT),
    "extension/decision": ({"granted": True}, {"leader", *CENTRE}),
    "suspend": ({"reason": "等待", "review_at": "2026-12-01T09:00:00+08:00"}, {"leader"}),
    "ask-reporter": ({"question": "几号楼？"}, UNIT),
    "resume": ({"note": ""}, {"leader", *UNIT}),
    "reply": ({"text": "已清运"}, UNIT),
    "verify": ({"passed": True}, {"verifier", *CENTRE}),
    "close": (None, CENTRE),
    "reopen": ({"reason": "没好"}, CENTRE),
    "comment": ({"text": "在办"}, {"verifier", "leader", *UNIT}),
    "merge": ({"into": "20261123-0000000000"}, CENTRE),
    "unmerge": (None, CENTRE),
}
ROLES = (
    "citizen",
    "officer",
    "liaison",
    "verifier",
    "office",
    "dispatcher",
    "leader",
    "discipline",
    "service",
    "operator",
)


def test_every_way_of_a_case_is_looked_at() -> None:
    routes = [*cases.router.routes, *handling.router.routes]
    paths = {route.path for route in routes if isinstance(route, APIRoute) and route.methods == {"POST"}}
    assert paths == {"/cases"} | {f"/cases/{{id}}/{step}" for step in MAY}


@pytest.mark.parametrize("step", MAY)
async def test_who_may_do_it_and_who_may_not(reports: Inside, step: str) -> None:
    case = await a_case(reports)
    body, allowed = MAY[step]
    before = await traces(reports)
    assert await case.refused(step, {}, **(body or {})) == (401, "token-missing")
    for role in ROLES:
        answer = await case.ask(step, reports.token(role, unit="xingzheng"), **(body or {}))
        assert (answer.json().get("code") == "role-required") is (role not in allowed), role
    if step not in {"split", "comment", "suspend", "resume"}:
        assert await traces(reports) == before


@pytest.mark.parametrize("step", [step for step, (body, _) in MAY.items() if body])
async def test_what_is_sent_is_taken_literally(reports: Inside, step: str) -> None:
    case = await a_case(reports)
    body, _ = MAY[step]
    assert body is not None
    office = reports.token("leader" if step == "suspend" else "office", unit="huanwei")
    assert await case.refused(step, office, **body, surprise=1) == (422, "validation")
    texts = [name for name, each in body.items() if isinstance(each, str) and name not in {"review_at"}]
    for name in texts:
        assert await case.refused(step, office, **{**body, name: "长" * 2001}) == (422, "validation")
        assert await case.refused(step, office, **{**body, name: None}) == (422, "validation")


async def test_a_refusal_is_told_in_words_of_the_caller(reports: Inside) -> None:
    case = await a_case(reports)
    for language, sentence in (
        ("zh", "案件处于“已派遣”状态（dispatched），不能“销号”（close）"),
        ("en", "A case that is dispatched (已派遣) does not allow close (销号)"),
    ):
        answer = await case.ask("close", case.centre | {"Accept-Language": language})
        assert answer.json()["detail"] == sentence


async def test_the_ladder_of_a_case_is_told_once_whoever_looks_how_often(reports: Inside) -> None:
    case, district = await a_case(reports), reports.runtime.resources.district
    found = []
    for days in (0, 0, 1, 1, 3, 3, 10):
        reports.clock.set(MONDAY + timedelta(days=days, hours=6))
        await asyncio.gather(
            *(reports.runtime.store.run(lambda uow: mark_overdue(uow, district, case.id)) for _ in range(3))
        )
        found.append(len(await case.events()) - 1)
    assert found == [1, 1, 2, 2, 3, 3, 3], "blue, orange a day later, red three days later"
    rows = await reports.runtime.store.find(OUTBOX, {"subject": case.id}, [("sequence", 1)])
    levels = [(data.level, data.elapsed_minutes) for row in rows if isinstance(data := row.event.data, CaseOverdue)]
    assert levels == [(Level.BLUE, 0), (Level.ORANGE, 420), (Level.RED, 1260)]


Step = tuple[str, dict[str, object], dict[str, str]]


def everything(case: Hands) -> list[Step]:
    """What is done to a case, one after the other, by those who may."""
    rest: dict[str, object] = {"reason": "等待", "review_at": "2026-12-01T09:00:00+08:00"}
    return [
        ("acknowledge", {}, case.unit),
        ("suspend", rest, case.leader),
        ("resume", {"note": ""}, case.leader),
        ("start", {}, case.unit),
        ("reply", {"text": "已清运"}, case.unit),
        ("verify", {"passed": False}, case.verifier),
        ("reply", {"text": "再次清运"}, case.unit),
        ("verify", {"passed": True}, case.verifier),
        ("close", {}, case.centre),
        ("reopen", {"reason": "没好"}, case.centre),
    ]


async def assert_legal(case: Hands, answers: list[httpx2.Response]) -> int:
    """One event and one line for each command that was answered 200, and each led where the table says. How many."""
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert "conflict" not in {answer.json().get("code") for answer in answers}, "who loses a race tries again"
    done = [answer.json()["sequence"] for answer in answers if answer.status_code == 200]
    rows = await case.reports.runtime.store.find(OUTBOX, {"subject": case.id}, [("sequence", 1)])
    assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))
    assert sorted(done) == list(range(2, len(rows) + 1)), "each answer tells of an event of its own"
    stored = await case.reports.runtime.store.get(CASES, case.id)
    assert stored is not None
    commands = [fact.command for fact in stored.timeline if fact.by is not None and fact.command != "comment"][1:]
    states = [data.case.state for row in rows if isinstance(data := row.event.data, CaseEvent)]
    for (before, after), command in zip(pairwise(states), commands, strict=True):
        row = TRANSITIONS[before, command]
        assert row.target in {after, "earlier"}, (before, command, after)
    assert stored.state is states[-1]
    return len(done)


async def test_two_hundred_commands_at_once_leave_a_legal_history(reports: Inside) -> None:
    case = await a_case(reports)
    steps = [step for _ in range(10) for step in everything(case)]
    asked = [case.ask(step, by, **body) for step, body, by in steps]
    notes = [case.ask("comment", case.unit, text=f"第 {n} 条") for n in range(100)]
    answers = await asyncio.gather(*(each for pair in zip(asked, notes, strict=True) for each in pair))
    assert await assert_legal(case, list(answers[::2])) >= 1
    assert {answer.status_code for answer in answers[1::2]} == {200}, "to write is always allowed"
    lines = (await case.view(case.unit))["timeline"]
    assert sum(line["command"] == "comment" for line in lines) == 100


async def test_many_callers_who_go_on_and_on_leave_a_legal_history(reports: Inside) -> None:
    case = await a_case(reports)

    async def caller(first: int) -> list[httpx2.Response]:
        steps = everything(case)
        return [await case.ask(step, by, **body) for step, body, by in steps[first:] + steps[:first]]

    answers = [answer for each in await asyncio.gather(*map(caller, 2 * [*range(10)])) for answer in each]
    assert len(answers) == 200
    assert await assert_legal(case, answers) >= 1


async def test_nobody_who_writes_into_a_busy_case_is_turned_away(reports: Inside) -> None:
    case = await a_case(reports)
    answers = await asyncio.gather(*(case.ask("comment", case.unit, text=f"第 {n} 条") for n in range(200)))
    assert {answer.status_code for answer in answers} == {200}
    view = await case.view(case.unit)
    notes = [line["note"] for line in view["timeline"] if line["command"] == "comment"]
    assert sorted(notes) == sorted(f"第 {n} 条" for n in range(200)), "no update is lost"
