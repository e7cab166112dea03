"""Reports over HTTP on a real database: the life of a case, and input that must leave no trace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from deploy.local import issuer
from services.reports.app import SERVICE
from services.reports.commands import mark_overdue
from services.reports.repo import CASES
from shared.clock import FixedClock
from shared.consumer import MARKS
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
    told: dict[str, Any] = answer.json()
    return told


async def traces(reports: Inside) -> int:
    """Documents of any kind."""
    collections: list[Collection[Any]] = [CASES, OUTBOX, IDEMPOTENCY, MARKS]
    counts = [await reports.runtime.store.count(each, {}) for each in collections]
    return sum(counts)


async def test_a_report_is_on_file_with_its_unit_and_deadline(reports: Inside) -> None:
    told = await filed(reports)
    assert told["state"] == "dispatched"
    assert told["unit"] == "huanwei"
    assert told["due_at"] == "2026-11-23T07:00:00Z"  # 9:00 plus 4 work-hours, with the noon break
    assert told["sequence"] == 1
    case = await reports.runtime.store.get(CASES, told["case"])
    assert case is not None
    assert case.text == REPORT["text"]
    assert case.reporter is not None
    assert case.reporter.phone == "0734-8888888"


async def test_nothing_of_the_reporter_is_in_the_event_or_the_public_view(reports: Inside) -> None:
    told = await filed(reports)
    [row] = await reports.runtime.store.find(OUTBOX, {})
    public = (await reports.http.get(f"/cases/{told['case']}")).text
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
        await reports.runtime.store.run(lambda uow: mark_overdue(uow, id))
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
    told = answer.json()
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert (answer.status_code, told["code"], told.get("field")) == (status, code, field)
    assert told["request_id"]
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
    assert (answer.status_code, answer.json()["code"]) == (403, "verifier-of-the-rectifying-unit")


async def test_an_unrouted_case_waits_for_the_office_which_dispatches_it(reports: Inside) -> None:
    told = await filed(reports, category="other-matter")
    assert (told["state"], told["unit"], told["due_at"]) == ("registered", None, None)
    office = reports.token("office")
    queue = (await reports.http.get("/cases?state=registered", headers=office)).json()
    assert [case["case"] for case in queue["cases"]] == [told["case"]]
    unknown = await reports.http.post(f"/cases/{told['case']}/dispatch", json={"unit": "nobody"}, headers=office)
    assert unknown.json()["code"] == "unit-unknown"
    answer = await reports.http.post(f"/cases/{told['case']}/dispatch", json={"unit": "chengguan"}, headers=office)
    assert (answer.json()["state"], answer.json()["unit"]) == ("dispatched", "chengguan")


async def test_an_officer_sees_the_cases_of_the_own_unit_only(reports: Inside) -> None:
    mine = (await filed(reports))["case"]
    await filed(reports, category="street-vending")
    officer = reports.token("officer", unit="huanwei")
    page = (await reports.http.get("/cases?unit=chengguan", headers=officer)).json()
    assert [case["case"] for case in page["cases"]] == [mine]


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
    reports.runtime.own.intake.__init__(reports.runtime.settings.model_copy(update={"reports_per_minute": 2}))
    answers = [await reports.http.post("/cases", json=REPORT) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert int(answers[-1].headers["retry-after"]) > 0
    staff = await reports.http.post(
        "/cases", json={**REPORT, "channel": "hotline"}, headers=reports.token("dispatcher")
    )
    assert staff.status_code == 201


async def test_many_commands_on_one_case_leave_a_legal_history(reports: Inside) -> None:
    id = (await filed(reports))["case"]
    officer, verifier = reports.token("officer", unit="huanwei"), reports.token("verifier")
    requests = [
        reports.http.post(f"/cases/{id}/{step}", json=body, headers=caller)
        for _ in range(15)
        for step, body, caller in (
            ("acknowledge", None, officer),
            ("reply", {"text": "已清运"}, officer),
            ("verify", {"passed": False}, verifier),
        )
    ]
    answers = await asyncio.gather(*requests)
    assert {answer.status_code for answer in answers} <= {200, 409}
    rows = await reports.runtime.store.find(OUTBOX, {"subject": id}, [("sequence", 1)])
    taken = sum(answer.status_code == 200 for answer in answers)
    assert [row.sequence for row in rows] == list(range(1, taken + 2))
