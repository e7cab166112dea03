"""What keeps abuse out: limits that cannot be walked round, bans that end, a look at what newcomers hand in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.reports.repo import BANS, CASES
from shared.audit.log import AUDIT
from shared.store import OUTBOX
from tests.inprocess import Inside
from tests.photo_samples import from_telephone
from tests.reporting import (
    MONDAY,
    PEOPLE,
    REPORT,
    UNIT,
    WANG,
    case_of,
    closed,
    done,
    filed,
    kept,
    pictured,
    reports_with,
)

FRIDAY = (MONDAY + timedelta(days=4)).isoformat()


@pytest.fixture
async def reports(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with reports_with(tmp_path, mongodb_uri, namespace, trusted_proxies="127.0.0.0/8") as service:
        yield service


def account(reports: Inside, subject: str = "li") -> dict[str, str]:
    return {"Authorization": f"Bearer {reports.issuer.token(subject, ['citizen'])}"}


async def sent(reports: Inside, caller: dict[str, str] | None = None, **change: Any) -> httpx2.Response:
    return await reports.http.post("/cases", json={**REPORT, **change}, headers=caller or {})


def refusal_of(answer: httpx2.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["detail"] != body["code"], "the catalogue has no sentence for it"
    return answer.status_code, body["code"]


async def moderated(reports: Inside, case: str, verdict: str = "approve", reason: str = "") -> httpx2.Response:
    body = {"verdict": verdict, "reason": reason}
    return await reports.http.post(f"/cases/{case}/moderation", json=body, headers=reports.token("office"))


async def banned(reports: Inside, kind: str, **whom: str) -> httpx2.Response:
    body = {"kind": kind, "until": FRIDAY, "reason": "多次虚假上报", **whom}
    return await reports.http.post("/bans", json=body, headers=reports.token("office"))


async def shown(reports: Inside, case: str) -> tuple[str, list[str]]:
    snapshot = (await reports.http.get(f"/cases/{case}")).json()["snapshot"]
    return snapshot["place"]["address"], snapshot["photos"]


# --- a look before the public sees it -----------------------------------------------------------------------
async def test_a_newcomers_photo_waits_for_the_office_and_the_handling_does_not(reports: Inside) -> None:
    photo = await pictured(reports)
    case = await filed(reports, photos=[photo])
    assert (case["state"], case["unit"]) == ("dispatched", UNIT)
    assert await shown(reports, case["case"]) == ("", [])
    assert (await reports.http.get(f"/photos/{photo}/large")).status_code == 404
    officer = reports.token("officer", unit=UNIT)
    assert (await reports.http.get(f"/photos/{photo}/large", headers=officer)).status_code == 200
    [waiting] = (await reports.http.get("/moderation", headers=reports.token("office"))).json()["cases"]
    assert (waiting["case"], waiting["photos"], waiting["text"]) == (case["case"], [photo], REPORT["text"])
    answer = await moderated(reports, case["case"])
    assert answer.json() == {"case": case["case"], "moderation": "approved", "sequence": 2}
    assert await shown(reports, case["case"]) == (REPORT["address"], [photo])
    assert (await reports.http.get(f"/photos/{photo}/large")).status_code == 200
    assert (await reports.http.get("/moderation", headers=reports.token("office"))).json()["cases"] == []
    rows = await reports.runtime.store.find(OUTBOX, {"subject": case["case"]}, [("sequence", 1)])
    assert [row.type.split(".")[2] for row in rows] == ["case-registered", "case-changed"]
    [row] = await reports.runtime.store.find(AUDIT, PEOPLE)
    assert (row.action, row.subject, row.detail) == ("moderate", case["case"], {"moderation": "approved"})


async def test_what_is_withheld_stays_out_of_sight_with_the_photos_of_the_work(reports: Inside) -> None:
    photo, work = await pictured(reports), await pictured(reports)
    case = (await filed(reports, photos=[photo]))["case"]
    await moderated(reports, case)
    officer = reports.token("officer", unit=UNIT)
    await done(reports, case, "acknowledge", by=officer)
    await done(reports, case, "reply", {"text": "已清运", "photos": [work]}, by=officer)
    assert (await reports.http.get(f"/photos/{work}/large")).status_code == 200
    assert refusal_of(await moderated(reports, case, "withhold")) == (422, "text-required")
    assert (await moderated(reports, case, "withhold", "含他人面部")).json()["moderation"] == "withheld"
    assert await shown(reports, case) == ("", [])
    for id in (photo, work):
        assert (await reports.http.get(f"/photos/{id}/large")).status_code == 404


async def test_whoever_was_approved_once_is_known_by_account_or_number(reports: Inside) -> None:
    async def pending(caller: dict[str, str] | None = None, **change: Any) -> bool:
        case = await filed(reports, caller, photos=[await pictured(reports)], **change)
        return (await case_of(reports, case["case"])).moderation == "pending"

    first = await filed(reports, account(reports), photos=[await pictured(reports)], reporter=WANG)
    assert await pending(account(reports))
    await moderated(reports, first["case"])
    assert not await pending(account(reports))
    assert not await pending(reporter={"phone": "+86 734 8765432"})
    assert await pending(account(reports, "zhao"))
    assert await pending(reporter={"phone": "0734-1111111"})
    assert await pending()


async def test_a_report_that_needed_no_look_makes_nobody_known(reports: Inside) -> None:
    await filed(reports, account(reports))
    case = await filed(reports, account(reports), photos=[await pictured(reports)])
    assert (await case_of(reports, case["case"])).moderation == "pending"


async def test_staff_and_other_channels_are_not_looked_at(reports: Inside) -> None:
    case = await filed(reports, reports.token("verifier"), channel="patrol", photos=[await pictured(reports)])
    assert (await case_of(reports, case["case"])).moderation == "approved"


async def test_what_waits_is_the_districts_to_say(mongodb_uri: str, namespace: str, tmp_path: Path) -> None:
    async with reports_with(tmp_path, mongodb_uri, namespace, {"moderated": "all"}) as reports:
        assert (await case_of(reports, (await filed(reports))["case"])).moderation == "pending"


async def test_nothing_is_published_against_the_reporters_will(reports: Inside) -> None:
    case = (await filed(reports, reporter={"may_publish": False}))["case"]
    assert await shown(reports, case) == ("", [])
    assert refusal_of(await moderated(reports, case)) == (409, "reporter-does-not-agree")
    assert (await reports.http.get("/moderation", headers=reports.token("office"))).json()["cases"] == []


async def test_many_are_published_at_once_or_none(reports: Inside) -> None:
    cases = [(await filed(reports, photos=[await pictured(reports)]))["case"] for _ in range(3)]
    office = reports.token("office")
    body: dict[str, Any] = {"verdict": "approve", "cases": [*cases, "20260101-0000000000"]}
    answer = await reports.http.post("/moderation", json=body, headers=office)
    assert (*refusal_of(answer), answer.json()["field"]) == (422, "case-unknown", "cases.3")
    assert await reports.runtime.store.count(CASES, {"moderation": "pending"}) == 3
    answer = await reports.http.post("/moderation", json={**body, "cases": cases}, headers=office)
    assert [(content["case"], content["moderation"]) for content in answer.json()["cases"]] == [
        (case, "approved") for case in cases
    ]
    assert await reports.runtime.store.count(AUDIT, PEOPLE) == 3
    too_many = {**body, "cases": [f"20260101-{number}" for number in range(101)]}
    assert refusal_of(await reports.http.post("/moderation", json=too_many, headers=office)) == (422, "validation")


async def test_the_parts_of_a_case_are_published_with_it(reports: Inside) -> None:
    case = await filed(reports, category="other-matter", photos=[await pictured(reports)])
    office = reports.token("office")
    await done(reports, case["case"], "split", {"units": ["chengguan", UNIT]}, by=office)
    [waiting] = (await reports.http.get("/moderation", headers=office)).json()["cases"]
    assert waiting["case"] == case["case"]
    await moderated(reports, case["case"])
    parts = await reports.runtime.store.find(CASES, {"parent": case["case"]})
    assert {part.moderation for part in parts} == {"approved"}


async def test_the_queue_is_read_in_pages_the_oldest_first(reports: Inside) -> None:
    cases = sorted([(await filed(reports, photos=[await pictured(reports)]))["case"] for _ in range(3)])
    office = reports.token("office")
    page = (await reports.http.get("/moderation?limit=2", headers=office)).json()
    assert ([case["case"] for case in page["cases"]], page["next"]) == (cases[:2], cases[1])
    rest = (await reports.http.get(f"/moderation?limit=2&after={page['next']}", headers=office)).json()
    assert ([case["case"] for case in rest["cases"]], rest["next"]) == (cases[2:], None)


async def test_only_the_office_moderates_and_bans(reports: Inside) -> None:
    case = (await filed(reports, photos=[await pictured(reports)]))["case"]
    for role in ("citizen", "officer", "verifier", "leader", "operator"):
        by = reports.token(role, unit=UNIT if role == "officer" else None)
        answers = [
            await reports.http.post(f"/cases/{case}/moderation", json={"verdict": "approve"}, headers=by),
            await reports.http.get("/moderation", headers=by),
            await reports.http.get("/bans", headers=by),
            await reports.http.post(
                "/bans", json={"kind": "phone", "value": "1", "until": FRIDAY, "reason": "x"}, headers=by
            ),
        ]
        assert {refusal_of(answer) for answer in answers} == {(403, "role-required")}


# --- bans ---------------------------------------------------------------------------------------------------
async def test_a_banned_account_number_or_address_is_told_until_when(reports: Inside) -> None:
    for kind, value in (("account", "li"), ("phone", "0734 8765432"), ("address", "203.0.113.0/24")):
        answer = await banned(reports, kind, value=value)
        assert answer.status_code == 201, answer.text
    attempts = [
        await sent(reports, account(reports)),
        await sent(reports, reporter={"phone": "+86 734 8765432"}),
        await sent(reports, {"X-Forwarded-For": "203.0.113.77"}),
        await sent(reports, {"X-Forwarded-For": "::ffff:203.0.113.77"}),
        await sent(reports, {"X-Forwarded-For": "198.51.100.1, 203.0.113.77"}),
    ]
    for answer in attempts:
        assert refusal_of(answer) == (403, "reporter-banned")
        assert answer.json()["until"] == "2026-11-27 09:00+08:00"
    assert await reports.runtime.store.count(CASES, {}) == 0
    for caller in ({"X-Forwarded-For": "198.51.100.1"}, {"X-Forwarded-For": "203.0.113.77, 198.51.100.1"}):
        assert (await sent(reports, caller)).status_code == 201


async def test_who_is_banned_hands_in_no_photos_either(reports: Inside) -> None:
    await banned(reports, "account", value="li")
    await banned(reports, "address", value="203.0.113.0/24")
    for caller in (account(reports), {"X-Forwarded-For": "203.0.113.77"}):
        answer = await reports.http.post("/photos", content=from_telephone(), headers=caller)
        assert refusal_of(answer) == (403, "reporter-banned")
    for caller in (account(reports, "zhao"), {"X-Forwarded-For": "198.51.100.1"}):
        assert (await reports.http.post("/photos", content=from_telephone(), headers=caller)).status_code == 201


async def test_a_ban_ends_by_itself_or_when_it_is_lifted(reports: Inside) -> None:
    made = (await banned(reports, "account", value="li")).json()
    office = reports.token("office")
    assert (await sent(reports, account(reports))).status_code == 403
    lifted = await reports.http.post(f"/bans/{made['ban']}/lift", json={"reason": "申诉成立"}, headers=office)
    assert lifted.status_code == 200
    assert (await sent(reports, account(reports))).status_code == 201
    again = await reports.http.post(f"/bans/{made['ban']}/lift", json={"reason": "x"}, headers=office)
    assert refusal_of(again) == (409, "ban-over")
    await banned(reports, "account", value="zhao")
    reports.clock.advance(timedelta(days=4))
    assert (await sent(reports, account(reports, "zhao"))).status_code == 201
    actions = [row.action for row in await reports.runtime.store.find(AUDIT, PEOPLE, [("number", 1)])]
    assert actions == ["ban", "lift-ban", "ban"]


async def test_whoever_reported_a_case_is_banned_without_being_opened(reports: Inside) -> None:
    case = await filed(reports, account(reports), reporter=WANG)
    for kind in ("account", "phone"):
        assert (await banned(reports, kind, case=case["case"])).status_code == 201
    assert refusal_of(await sent(reports, account(reports)))[1] == "reporter-banned"
    assert refusal_of(await sent(reports, reporter={"phone": WANG["phone"]}))[1] == "reporter-banned"
    answer = await reports.http.post("/tracking/update", json={"code": case["tracking"], "text": "x"})
    assert refusal_of(answer)[1] == "reporter-banned"
    assert (await reports.http.post("/tracking", json={"code": case["tracking"]})).status_code == 200
    nobody = (await filed(reports))["case"]
    assert refusal_of(await banned(reports, "phone", case=nobody)) == (409, "ban-of-nobody")


@pytest.mark.parametrize(
    ("kind", "whom", "status", "code"),
    [
        ("address", {"value": "0.0.0.0/0"}, 422, "network-too-wide"),
        ("address", {"value": "no address"}, 422, "network-malformed"),
        ("phone", {"value": "不是号码"}, 422, "phone-not-a-number"),
        ("phone", {}, 422, "ban-of-whom"),
        ("phone", {"value": "12345", "case": "x"}, 422, "ban-of-whom"),
        ("phone", {"case": "20260101-0000000000"}, 404, "cases-not-found"),
        ("account", {"value": "li", "until": "2026-11-23T00:59:00Z"}, 422, "ban-past"),
        ("person", {"value": "li"}, 422, "validation"),
    ],
)
async def test_bans_that_cannot_be_meant_are_refused(
    reports: Inside, kind: str, whom: dict[str, str], status: int, code: str
) -> None:
    assert refusal_of(await banned(reports, kind, **whom)) == (status, code)
    assert await reports.runtime.store.count(BANS, {}) == 0
    assert await reports.runtime.store.count(AUDIT, PEOPLE) == 0


async def test_a_ban_tells_nobody_whom_it_meets(reports: Inside) -> None:
    await banned(reports, "phone", value=WANG["phone"], reason="0734 8765432 多次骚扰")
    case = await filed(reports, reporter={**WANG, "phone": "0734-1111111"})
    await banned(reports, "phone", case=case["case"], reason="王桂花女士多次骚扰")
    await moderated(reports, case["case"], "withhold", "王桂花女士要求不公开")
    await banned(reports, "address", value="203.0.113.7")
    page = await reports.http.get("/bans", headers=reports.token("office"))
    assert {ban["network"] for ban in page.json()["bans"]} == {None, "203.0.113.7/32"}
    for private in ("8765432", "王桂花"):
        assert private not in page.text
        assert private not in await kept(reports)
    rows = await reports.runtime.store.find(AUDIT, PEOPLE)
    assert "203.0.113" not in repr(rows)


async def test_staff_file_for_whoever_calls(reports: Inside) -> None:
    await banned(reports, "phone", value=WANG["phone"])
    case = await filed(reports, reports.token("dispatcher"), channel="hotline", reporter=WANG)
    assert case["state"] == "dispatched"


# --- limits -------------------------------------------------------------------------------------------------
async def test_one_reporter_files_so_many_a_day_whatever_process_they_meet(
    mongodb_uri: str, namespace: str, tmp_path: Path
) -> None:
    async with (
        reports_with(tmp_path, mongodb_uri, namespace, {"reports_per_day": 2}) as first,
        reports_with(tmp_path, mongodb_uri, namespace, district=tmp_path / "district") as second,
    ):
        for process in (first, second):
            await filed(process, reporter=WANG)
        for process in (first, second):
            answer = await sent(process, reporter={"phone": "07348765432"})
            assert refusal_of(answer) == (429, "reports-per-day")
            assert answer.headers["retry-after"] == str(15 * 3600)
        assert (await sent(first, reporter={"phone": "0734-1111111"})).status_code == 201
        for process in (first, second):
            assert (await sent(process, account(process))).status_code == 201
        assert refusal_of(await sent(first, account(first))) == (429, "reports-per-day")
        first.clock.advance(timedelta(hours=15))
        assert (await sent(first, reporter=WANG)).status_code == 201


async def test_a_report_sent_again_is_answered_as_the_first_time_although_the_day_is_full(
    mongodb_uri: str, namespace: str, tmp_path: Path
) -> None:
    async with reports_with(tmp_path, mongodb_uri, namespace, {"reports_per_day": 1}) as reports:
        body, key = {**REPORT, "reporter": WANG}, {"Idempotency-Key": "k"}
        first, again = [await reports.http.post("/cases", json=body, headers=key) for _ in range(2)]
        assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)


async def test_all_strangers_together_have_a_limit(mongodb_uri: str, namespace: str, tmp_path: Path) -> None:
    async with reports_with(
        tmp_path, mongodb_uri, namespace, reports_per_minute_overall=5, trusted_proxies="127.0.0.0/8"
    ) as reports:
        callers = [{"X-Forwarded-For": f"203.0.113.{number}"} for number in range(7)]
        answers = await asyncio.gather(*(sent(reports, caller) for caller in callers))
        assert sorted(answer.status_code for answer in answers) == [201] * 5 + [429] * 2
        staff = await sent(reports, reports.token("dispatcher"), channel="hotline")
        assert staff.status_code == 201


FORGED = [
    {"X-Forwarded-For": "{}"},
    {"X-Forwarded-For": "{}, 10.0.0.1"},
    {"X-Real-IP": "{}"},
    {"Forwarded": "for={}"},
    {"X-Client-IP": "{}", "True-Client-IP": "{}"},
]


@pytest.mark.parametrize("forged", FORGED, ids=str)
@pytest.mark.parametrize("trusted", ["", "127.0.0.0/8"])
async def test_a_forged_address_does_not_walk_round_the_limit(
    mongodb_uri: str, namespace: str, tmp_path: Path, forged: dict[str, str], trusted: str
) -> None:
    """Behind a proxy that is believed, what a caller forges stands left of what the proxy adds."""
    async with reports_with(tmp_path, mongodb_uri, namespace, reports_per_minute=3, trusted_proxies=trusted) as reports:
        statuses = []
        for number in range(5):
            headers = {name: value.format(f"198.51.100.{number}") for name, value in forged.items()}
            if trusted:
                before = headers.get("X-Forwarded-For")
                headers["X-Forwarded-For"] = f"{before}, 203.0.113.7" if before else "203.0.113.7"
            statuses.append((await sent(reports, headers)).status_code)
        assert statuses == [201] * 3 + [429] * 2


async def test_addresses_of_one_subscriber_count_together(mongodb_uri: str, namespace: str, tmp_path: Path) -> None:
    async with reports_with(
        tmp_path, mongodb_uri, namespace, reports_per_minute=3, trusted_proxies="127.0.0.0/8"
    ) as reports:
        callers = [{"X-Forwarded-For": f"2408:8456:1:2::{number:x}"} for number in range(5)]
        assert [(await sent(reports, caller)).status_code for caller in callers] == [201] * 3 + [429] * 2


async def test_a_merged_report_is_published_by_itself(reports: Inside) -> None:
    photo = await pictured(reports)
    mine, other = await filed(reports, photos=[photo]), await filed(reports)
    await done(reports, mine["case"], "merge", {"into": other["case"]}, by=reports.token("office"))
    assert (await moderated(reports, mine["case"])).status_code == 200
    assert (await reports.http.get(f"/photos/{photo}/large")).status_code == 200
    await closed(reports, other["case"])
