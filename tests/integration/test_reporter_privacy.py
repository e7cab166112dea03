"""Names and numbers: nowhere in plain, masked by role, opened only with a reason that stays in the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.local.personal import personal_key
from services.reports.repo import CASES, HEADS
from services.reports.settings import Settings
from shared.audit.log import AUDIT
from shared.errors import Unavailable
from shared.settings import Misconfigured
from shared.store import OUTBOX, UnitOfWork
from shared.vault import Vault, new_key
from tests.inprocess import Inside
from tests.reporting import PEOPLE, REPORT, UNIT, WANG, case_of, closed, done, filed, kept, pictured, reports_with

PLAIN = ("王桂花", "8765432", "07348765432", "wang-guihua-account")
"""What must stand nowhere; the last is the subject of a citizen's token."""


@pytest.fixture
async def reports(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with reports_with(tmp_path, mongodb_uri, namespace) as service:
        yield service


def citizen(reports: Inside, subject: str = "wang-guihua-account") -> dict[str, str]:
    return {"Authorization": f"Bearer {reports.issuer.token(subject, ['citizen'])}"}


async def opened(reports: Inside, case: str, by: dict[str, str], reason: str = "电话核实位置") -> Any:
    return await reports.http.post(f"/cases/{case}/reporter", json={"reason": reason}, headers=by)


async def test_neither_name_nor_number_stands_anywhere(
    reports: Inside, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    me = citizen(reports)
    body = {**REPORT, "reporter": WANG, "photos": [await pictured(reports)]}
    receipt = (await reports.http.post("/cases", json=body, headers={**me, "Idempotency-Key": "k1"})).json()
    case, code = receipt["case"], receipt["tracking"]
    await closed(reports, case)
    for path, more in (("update", {"text": "谢谢"}), ("rate", {"resolved": True, "satisfied": True})):
        answer = await reports.http.post(
            f"/tracking/{path}", json={"code": code, **more}, headers={"Idempotency-Key": path}
        )
        assert answer.status_code == 200, answer.text
    assert (await opened(reports, case, reports.token("office"), "回访 王桂花女士 0734 8765432")).status_code == 200
    banned = {"kind": "phone", "value": "07348765432", "until": "2027-01-01T00:00:00Z", "reason": "测试"}
    answer = await reports.http.post("/bans", json=banned, headers={**reports.token("office"), "Idempotency-Key": "b"})
    assert answer.status_code == 201, answer.text
    refused = await reports.http.post("/cases", json={**body, "photos": []}, headers=me)
    assert refused.status_code == 403
    bad = await reports.http.post("/cases", json={**body, "reporter": {**WANG, "phone": "王桂花8765432x"}})
    assert bad.status_code == 422
    stored = await case_of(reports, case)
    output = [
        await kept(reports),
        repr(stored),
        repr(stored.reporter),
        caplog.text,
        "".join(repr(vars(record)) for record in caplog.records),
        *capsys.readouterr(),
        refused.text,
        bad.text,
    ]
    for place, text in enumerate(output):
        assert not [plain for plain in PLAIN if plain in text], place
    assert REPORT["text"] in output[0], "what is kept in plain is seen by this test"
    assert code not in output[0]
    assert code.replace("-", "") not in output[0]


async def test_nothing_of_the_reporter_is_in_the_events_or_the_public_view(reports: Inside) -> None:
    case = (await filed(reports, reporter=WANG))["case"]
    answer = await reports.http.get(f"/cases/{case}")
    events = b"".join(row.value for row in await reports.runtime.store.find(OUTBOX, {})).decode()
    for private in (*PLAIN, "王**", REPORT["text"]):
        assert private not in events
        assert private not in answer.text
    inside = {name: body for name, body in answer.json().items() if name not in {"snapshot", "timeline", "provisional"}}
    assert set(inside.values()) == {None}


SEEN = {
    "office": ("王**", "073****5432"),
    "dispatcher": ("王**", "073****5432"),
    "liaison": ("王**", "073****5432"),
    "officer": ("王**", None),
    "verifier": ("王**", None),
    "leader": None,
    "discipline": None,
    "operator": None,
    "citizen": None,
}


@pytest.mark.parametrize("role", SEEN)
async def test_every_role_sees_as_much_as_it_needs(reports: Inside, role: str) -> None:
    case = (await filed(reports, reporter=WANG))["case"]
    unit = UNIT if role in {"officer", "liaison"} else None
    view = (await reports.http.get(f"/cases/{case}", headers=reports.token(role, unit=unit))).json()
    seen = view["reporter"] and (view["reporter"]["name"], view["reporter"]["phone"])
    assert seen == SEEN[role]


async def test_a_unit_that_only_helps_does_not_see_the_reporter(reports: Inside) -> None:
    case = (await filed(reports, reporter=WANG, category="other-matter"))["case"]
    office = reports.token("office")
    await done(reports, case, "dispatch", {"unit": "chengguan", "supporting": [UNIT]}, by=office)
    view = (await reports.http.get(f"/cases/{case}", headers=reports.token("liaison", unit=UNIT))).json()
    assert view["text"] == REPORT["text"]
    assert view["reporter"] is None


async def test_opening_a_reporter_leaves_a_row_that_does_not_hold_what_was_opened(reports: Inside) -> None:
    case = (await filed(reports, reporter=WANG))["case"]
    answer = await opened(reports, case, reports.token("office"), "回电王桂花女士")
    body = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert (body["name"], body["phone"], body["audit"]) == (WANG["name"], WANG["phone"], "people:1")
    page = (await reports.http.get("/audit", headers=reports.token("discipline"))).json()
    [row] = page["rows"]
    assert (row["who"], row["action"], row["subject"], row["reason"]) == ("office", "open-reporter", case, "回电***")


async def test_who_may_not_open_is_refused_and_leaves_no_row(reports: Inside) -> None:
    case = (await filed(reports, reporter={**WANG, "may_call": False}))["case"]
    attempts = [
        ({}, 401, "token-missing"),
        (reports.token("officer", unit=UNIT), 403, "role-required"),
        (reports.token("operator"), 403, "role-required"),
        (reports.token("liaison", unit="chengguan"), 403, "reporter-not-for-you"),
        (reports.token("liaison", unit=UNIT), 403, "reporter-not-for-you"),
    ]
    for headers, status, code in attempts:
        answer = await opened(reports, case, headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    nameless = (await filed(reports))["case"]
    for id, code in ((nameless, "reporter-not-named"), ("20260101-0000000000", "cases-not-found")):
        answer = await opened(reports, id, reports.token("office"))
        assert (answer.status_code, answer.json()["code"]) == (404, code)
    answer = await opened(reports, case, reports.token("office"), "   ")
    assert (answer.status_code, answer.json()["code"]) == (422, "text-required")
    assert await reports.runtime.store.count(AUDIT, PEOPLE) == 0


async def test_a_liaison_opens_the_reporter_who_agreed_to_be_called(reports: Inside) -> None:
    case = (await filed(reports, reporter=WANG))["case"]
    answer = await opened(reports, case, reports.token("liaison", unit=UNIT))
    assert answer.json()["phone"] == WANG["phone"]


async def test_no_answer_is_given_when_the_row_cannot_be_written(
    reports: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = (await filed(reports, reporter=WANG))["case"]

    async def broken(writes: object) -> None:
        raise Unavailable("the primary is away")

    monkeypatch.setattr(reports.runtime.store.driver, "transact", broken)
    answer = await opened(reports, case, reports.token("office"))
    assert answer.status_code == 503
    assert WANG["phone"] not in answer.text


async def test_many_look_at_once_and_every_look_is_in_the_log(reports: Inside) -> None:
    cases = [(await filed(reports, reporter=WANG))["case"] for _ in range(3)]
    looks = [opened(reports, cases[number % 3], reports.token("office")) for number in range(12)]
    answers = await asyncio.gather(*looks)
    assert {answer.status_code for answer in answers} <= {200, 409}
    seen = sorted(answer.json()["audit"] for answer in answers if answer.status_code == 200)
    rows = await reports.runtime.store.find(AUDIT, PEOPLE)
    assert seen == sorted(row.id for row in rows)
    assert len(seen) >= 6
    verdict = (await reports.http.get("/audit/verify", headers=reports.token("discipline"))).json()
    assert (verdict["rows"], verdict["flaw"]) == (len(seen), None)


async def test_the_log_shows_what_was_done_to_it(reports: Inside) -> None:
    case = (await filed(reports, reporter=WANG))["case"]
    for _ in range(4):
        await opened(reports, case, reports.token("office"))
    auditor = reports.token("discipline")
    sound = (await reports.http.get("/audit/verify", headers=auditor)).json()
    assert (sound["rows"], sound["flaw"]) == (4, None)
    store = reports.runtime.store
    rows = await store.find(AUDIT, PEOPLE, [("number", 1)])
    assert (await reports.http.get(f"/audit/verify?head={rows[1].hash}", headers=auditor)).json()["flaw"] is None
    assert (await reports.http.get(f"/audit/verify?head={'0' * 64}", headers=auditor)).json()["flaw"] == "truncated"

    async def edit(uow: UnitOfWork) -> None:
        uow.put(AUDIT, replace(rows[1], who="somebody-else"))

    async def cut(uow: UnitOfWork) -> None:
        uow.put(AUDIT, rows[1])
        uow.delete(AUDIT, await uow.get(AUDIT, rows[3].id))

    for change, flaw in ((edit, ("edited", 2)), (cut, ("truncated", 4))):
        await store.run(change)
        verdict = (await reports.http.get("/audit/verify", headers=auditor)).json()
        assert (verdict["flaw"], verdict["flaw_at"]) == flaw


async def test_the_log_is_read_in_pages_and_by_what_one_looks_for(reports: Inside) -> None:
    first, second = [(await filed(reports, reporter=WANG))["case"] for _ in range(2)]
    for case in (first, second, first):
        await opened(reports, case, reports.token("office"))
    auditor = reports.token("operator")
    page = (await reports.http.get("/audit?limit=2", headers=auditor)).json()
    assert ([row["number"] for row in page["rows"]], page["next"]) == ([3, 2], 2)
    page = (await reports.http.get("/audit?limit=2&before=2", headers=auditor)).json()
    assert ([row["number"] for row in page["rows"]], page["next"]) == ([1], None)
    page = (await reports.http.get(f"/audit?subject={first}", headers=auditor)).json()
    assert [row["number"] for row in page["rows"]] == [3, 1]
    for role in ("office", "citizen", "leader"):
        answer = await reports.http.get("/audit", headers=reports.token(role))
        assert answer.json()["code"] == "role-required"


async def test_a_new_key_takes_over_without_anybody_noticing(reports: Inside) -> None:
    filed_case = await filed(reports, citizen(reports), reporter=WANG)
    its = reports.runtime.resources.reporters
    old = personal_key(reports.issuer.jwks.parent / "personal.key")
    its.vault = Vault.of(f"{new_key()},{old}")
    assert (await opened(reports, filed_case["case"], reports.token("office"))).json()["phone"] == WANG["phone"]
    assert (await reports.http.post("/tracking", json={"code": filed_case["tracking"]})).status_code == 200
    mine = (await reports.http.get("/my/cases", headers=citizen(reports))).json()["cases"]
    assert [case["case"] for case in mine] == [filed_case["case"]]
    newer = await filed(reports, citizen(reports), reporter=WANG)
    its.vault = Vault.of(new_key())
    answer = await reports.http.get(f"/cases/{newer['case']}", headers=reports.token("office"))
    assert answer.json()["reporter"] == {"name": None, "phone": None, "may_call": True}


async def test_erasing_on_request_leaves_the_case_to_be_handled(reports: Inside) -> None:
    filed_case = await filed(reports, reporter=WANG, text="垃圾无人清理，请联系王桂花女士 0734 8765432")
    case, office = filed_case["case"], reports.token("office")
    receipt = await done(reports, case, "erase", {"reason": "王桂花女士要求删除"}, by=office)
    assert receipt["state"] == "dispatched"
    stored = await case_of(reports, case)
    assert (stored.reporter, stored.tracking, stored.erased_at) == (None, None, None)
    assert stored.text == "垃圾无人清理，请联系*** ***"
    answer = await reports.http.post("/tracking", json={"code": filed_case["tracking"]})
    assert answer.json()["code"] == "tracking-code-unknown"
    again = await reports.http.post(f"/cases/{case}/erase", json={"reason": "再次"}, headers=office)
    assert again.json()["code"] == "reporter-erased-already"
    await closed(reports, case)
    [report] = (await reports.http.get("/retention/reports", headers=reports.token("discipline"))).json()["reports"]
    assert (report["rule"], report["cases"], report["audit"]) == ("request", [case], "people:1")
    [row] = await reports.runtime.store.find(AUDIT, PEOPLE)
    assert (row.action, row.who, row.reason) == ("erase", "office", "***要求删除")


async def test_erasing_a_case_that_is_over_leaves_facts_and_figures_only(reports: Inside) -> None:
    filed_case = await filed(reports, reporter=WANG)
    case = filed_case["case"]
    followed = (await reports.http.post(f"/cases/{case}/follow")).json()
    await reports.http.post("/tracking/update", json={"code": filed_case["tracking"], "text": "我住三楼"})
    await closed(reports, case)
    before = (await case_of(reports, case)).snapshot()
    await done(reports, case, "erase", {"reason": "本人要求"}, by=reports.token("office"))
    stored = await case_of(reports, case)
    assert (stored.text, stored.reporter, stored.erased_at) == ("", None, reports.clock.now())
    assert "三楼" not in await kept(reports)
    assert stored.snapshot() == before
    for code in (filed_case["tracking"], followed["tracking"]):
        assert (await reports.http.post("/tracking", json={"code": code})).status_code == 404


async def test_the_original_of_an_erased_cases_photo_is_not_handed_out_any_more(reports: Inside) -> None:
    photo = await pictured(reports)
    case = (await filed(reports, photos=[photo]))["case"]
    office = reports.token("office")
    await closed(reports, case)
    assert (await reports.http.get(f"/photos/{photo}/original", headers=office)).status_code == 200
    await reports.runtime.resources.files.settle()
    await done(reports, case, "erase", {"reason": "本人要求"}, by=office)
    assert (await reports.http.get(f"/photos/{photo}/original", headers=office)).status_code == 404


@pytest.mark.parametrize("keys", [None, "", "secret"])
def test_the_service_does_not_start_without_a_key(monkeypatch: pytest.MonkeyPatch, keys: str | None) -> None:
    for name, value in {
        "MONGODB_URI": "mongodb://localhost",
        "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
        "HTTP_PORT": "0",
        "AUTH_JWKS": "jwks.json",
        "AUTH_ISSUER": "x",
        "DISTRICT": "district",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PERSONAL_KEYS", raising=False)
    if keys is not None:
        monkeypatch.setenv("PERSONAL_KEYS", keys)
    with pytest.raises(Misconfigured, match="PERSONAL_KEYS"):
        Settings.read()


async def test_staff_see_what_the_public_does_not_see_yet(reports: Inside) -> None:
    photo = await pictured(reports)
    case = (await filed(reports, photos=[photo]))["case"]
    assert (await reports.http.get(f"/cases/{case}")).json()["snapshot"]["place"]["address"] == ""
    view = (await reports.http.get(f"/cases/{case}", headers=reports.token("officer", unit=UNIT))).json()
    assert (view["address"], view["photos"], view["moderation"]) == (REPORT["address"], [photo], "pending")
    reports.clock.advance(timedelta(days=1))
    assert await reports.runtime.store.count(CASES, {}) == 1
    assert await reports.runtime.store.count(HEADS, {}) == 1
