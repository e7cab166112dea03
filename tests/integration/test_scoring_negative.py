"""The negative list over HTTP on a real database: suspected, confirmed by a second person, charged, cleared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.scoring.app import SERVICE
from services.scoring.commands.negative import LOOK_AGAIN, adopt
from services.scoring.domain.negative import CityStatus, NegativeList, Situation
from services.scoring.handlers.deadlines import on_entries_due
from services.scoring.repo import CURRENT, NEGATIVE_EVENTS
from shared import audit
from shared.audit.log import AUDIT
from shared.clock import FixedClock
from shared.contracts.scoring import ReversalOrdered
from shared.deadlines import Deadline, Timekeeper
from shared.store import OUTBOX
from tests.inprocess import Inside, inside
from tests.integration.scoring_world import NOVEMBER, settled

EVENTS = "/negative-list/events"
REPORT: dict[str, Any] = {"item": "G15", "occurred_at": "2026-11-02T10:00:00+08:00", "text": "事故快报"}


@pytest.fixture
async def scoring(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(SERVICE, FixedClock(NOVEMBER), tmp_path, mongodb_uri, namespace) as scoring:
        yield scoring


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def done(scoring: Inside, path: str, role: str, body: object, status: int = 200) -> Any:
    answer = await scoring.http.post(path, json=body, headers=scoring.token(role))
    assert answer.status_code == status, answer.text
    return answer.json()


async def get(scoring: Inside, path: str, *roles: str, unit: str | None = None) -> Any:
    answer = await scoring.http.get(path, headers=scoring.token(*(roles or ("office",)), unit=unit))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def reported(scoring: Inside, **change: object) -> str:
    return str((await done(scoring, EVENTS, "office", {**REPORT, **change}, 201))["id"])


async def confirmed(scoring: Inside, **change: object) -> str:
    id = await reported(scoring, **change)
    await done(scoring, f"{EVENTS}/{id}/confirm", "leader", {"reason": "经调查组认定"})
    return id


async def ledger(scoring: Inside, unit: str = "yingji") -> list[tuple[str, str, int | None]]:
    await settled(scoring)
    rows = (await get(scoring, f"/units/{unit}/ledger"))["entries"]
    return [(row["rule"], row["points"], row["reverses"]) for row in rows]


async def orders(scoring: Inside) -> int:
    return await scoring.runtime.store.count(OUTBOX, {"type": ReversalOrdered.TYPE})


async def test_it_costs_nothing_until_a_second_person_confirms_it_and_is_taken_back_when_cleared(
    scoring: Inside,
) -> None:
    id = await reported(scoring)
    assert await ledger(scoring) == []
    answer = await scoring.http.post(f"{EVENTS}/{id}/confirm", json={"reason": "认定"}, headers=scoring.token("office"))
    assert refusal(answer) == (403, "second-person-required")
    content = await done(scoring, f"{EVENTS}/{id}/confirm", "leader", {"reason": "经调查组认定"})
    assert (content["state"], content["at_stake"], content["unit"]) == ("confirmed", "3", "yingji")
    assert await ledger(scoring) == [("negative-list", "3", None)]
    cleared = await done(scoring, f"{EVENTS}/{id}/clear", "office", {"reason": "申诉成立，不属重大事故"})
    assert (cleared["state"], cleared["taken_back"]) == ("cleared", True)
    assert await ledger(scoring) == [("negative-list", "3", None), ("negative-list", "-3", 1)]
    [place] = [p for p in (await get(scoring, "/standings?period=2026-11"))["standings"] if p["unit"] == "yingji"]
    assert (place["score"], place["points_lost"]) == ("100", "0")
    rows = await scoring.runtime.store.find(AUDIT, {"chain": f"negative:{id}"}, [("number", 1)])
    assert [(row.action, row.who) for row in rows] == [("report", "office"), ("confirm", "leader"), ("clear", "office")]
    assert audit.verify(rows, rows[-1].hash) is None


async def test_what_is_not_posted_yet_is_taken_back_once_it_is(scoring: Inside) -> None:
    id = await confirmed(scoring)
    content = await done(scoring, f"{EVENTS}/{id}/clear", "office", {"reason": "误报"})
    assert (content["state"], content["taken_back"]) == ("cleared", False)
    assert await orders(scoring) == 0
    timekeeper = Timekeeper(scoring.runtime.store, Deadline(NEGATIVE_EVENTS, on_entries_due), scoring.runtime.resources)
    assert await timekeeper.look() == 0
    scoring.clock.advance(LOOK_AGAIN)
    assert await timekeeper.look() == 1
    assert await orders(scoring) == 0
    assert await ledger(scoring) == [("negative-list", "3", None)]
    scoring.clock.advance(LOOK_AGAIN)
    assert await timekeeper.look() == 1
    assert await orders(scoring) == 1
    assert await ledger(scoring) == [("negative-list", "3", None), ("negative-list", "-3", 1)]
    scoring.clock.advance(LOOK_AGAIN)
    assert await timekeeper.look() == 0
    assert (await get(scoring, f"{EVENTS}/{id}"))["taken_back"] is True


async def test_a_suspicion_that_is_cleared_has_cost_nothing(scoring: Inside) -> None:
    id = await reported(scoring)
    content = await done(scoring, f"{EVENTS}/{id}/clear", "leader", {"reason": "经核实不属实"})
    assert (content["state"], content["at_stake"], content["taken_back"]) == ("cleared", "0", True)
    assert await ledger(scoring) == []
    for step in ("confirm", "clear", "evidence"):
        body = {"text": "x"} if step == "evidence" else {"reason": "x"}
        answer = await scoring.http.post(f"{EVENTS}/{id}/{step}", json=body, headers=scoring.token("office", "leader"))
        assert refusal(answer) == (409, "negative-event-state")


async def test_of_many_who_confirm_at_once_one_does_and_it_is_charged_once(scoring: Inside) -> None:
    id = await reported(scoring)
    answers = await asyncio.gather(
        *(
            scoring.http.post(f"{EVENTS}/{id}/confirm", json={"reason": "认定"}, headers=scoring.token("leader"))
            for _ in range(5)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    assert await ledger(scoring) == [("negative-list", "3", None)]


async def test_a_city_that_holds_the_title_is_suspended_for_a_year_and_loses_no_points(scoring: Inside) -> None:
    titled = Situation(1, "2026-11-01", CityStatus.TITLED, "2026-12-15", "2027-09-01")
    edition = NegativeList(CURRENT, 2, 30, [], [titled])
    await scoring.runtime.store.run(lambda uow: adopt(uow, edition))
    earlier = await confirmed(scoring, occurred_at="2026-10-31T23:59:59+08:00")
    scoring.clock.advance(timedelta(minutes=1))
    id = await confirmed(scoring)
    assert await ledger(scoring) == [("negative-list", "3", None)]
    content = await get(scoring, f"{EVENTS}/{id}")
    assert (content["at_stake"], content["charges"]) == ("0", 0)
    now = await get(scoring, "/negative-list/sanctions")
    assert [(each["event"], each["effect"], each["until"]) for each in now["sanctions"]] == [
        (earlier, "deduct", "2026-12-15"),
        (earlier, "disqualify", "2027-09-01"),
        (id, "suspend", "2027-11-03"),
    ]
    scoring.clock.set(datetime(2027, 10, 10, 4, tzinfo=UTC))
    later = await get(scoring, "/negative-list/sanctions")
    assert [(each["alarm"], each["event"]) for each in later["warnings"] if each["alarm"] == "ends"] == [("ends", id)]


async def test_the_unit_may_be_another_than_the_items_lead(scoring: Inside) -> None:
    await confirmed(scoring, unit="jianshe")
    assert await ledger(scoring, "jianshe") == [("negative-list", "3", None)]
    assert await ledger(scoring) == []


async def test_the_sanctions_that_apply_now_and_what_is_about_to_change(scoring: Inside) -> None:
    id = await confirmed(scoring)
    await reported(scoring, item="示例-04")
    now = await get(scoring, "/negative-list/sanctions", "leader")
    assert now["events"] == {"suspected": 1, "confirmed": 1, "cleared": 0}
    assert [(each["event"], each["effect"], each["until"]) for each in now["sanctions"]] == [
        (id, "deduct", "2026-12-15"),
        (id, "disqualify", "2027-09-01"),
    ]
    assert now["warnings"] == []
    scoring.clock.set(datetime(2026, 11, 15, 16, 0, tzinfo=UTC))
    closes, ends = (await get(scoring, "/negative-list/sanctions"))["warnings"]
    assert (ends["alarm"], ends["day"], ends["event"], ends["effect"]) == ("ends", "2026-12-15", id, "deduct")
    assert (closes["alarm"], closes["before"], closes["day"], closes["days"]) == (
        "closes",
        "annual-test",
        "2026-12-15",
        29,
    )
    scoring.clock.set(datetime(2026, 12, 15, 4, 0, tzinfo=UTC))
    after = await get(scoring, "/negative-list/sanctions")
    assert [each["effect"] for each in after["sanctions"]] == ["disqualify"]
    assert [each["alarm"] for each in after["warnings"]] == ["date-past"]


async def test_what_happens_after_a_date_waits_for_the_next_date(scoring: Inside) -> None:
    scoring.clock.set(datetime(2026, 12, 20, 4, 0, tzinfo=UTC))
    id = await reported(scoring, occurred_at="2026-12-16T10:00:00+08:00")
    answer = await scoring.http.post(f"{EVENTS}/{id}/confirm", json={"reason": "认定"}, headers=scoring.token("leader"))
    assert refusal(answer) == (409, "city-date-past")
    assert (await get(scoring, f"{EVENTS}/{id}"))["state"] == "suspected"
    following = Situation(1, "2026-12-15", CityStatus.NOMINATED, "2027-12-15", "2027-09-01")
    await scoring.runtime.store.run(lambda uow: adopt(uow, NegativeList(CURRENT, 2, 30, [], [following])))
    await done(scoring, f"{EVENTS}/{id}/confirm", "leader", {"reason": "认定"})
    assert await ledger(scoring) == [("negative-list", "3", None)]


async def test_evidence_is_text_with_files_for_staff_and_the_unit_concerned(scoring: Inside) -> None:
    office = scoring.token("office")
    ids = []
    for content in (b"%PDF-1.7 first", b"%PDF-1.7 second"):
        answer = await scoring.http.post("/attachments", content=content, headers=office)
        ids.append(answer.json()["attachment"])
    id = await reported(scoring, files=ids[:1])
    content = await done(scoring, f"{EVENTS}/{id}/evidence", "office", {"text": "调查报告", "files": ids[1:]})
    assert [(each["text"], each["files"]) for each in content["evidence"]] == [("事故快报", [1]), ("调查报告", [2])]
    for headers in (office, scoring.token("discipline")):
        answer = await scoring.http.get(f"{EVENTS}/{id}/files/2", headers=headers)
        assert (answer.status_code, answer.content) == (200, b"%PDF-1.7 second")
    for path, headers, code in (
        (f"{EVENTS}/{id}/files/2", scoring.token("liaison", unit="huanwei"), "negative-events-not-found"),
        (f"{EVENTS}/{id}/files/3", office, "attachments-not-found"),
        (f"{EVENTS}/unknown", office, "negative-events-not-found"),
    ):
        assert refusal(await scoring.http.get(path, headers=headers)) == (404, code)
    again = await scoring.http.post(f"{EVENTS}/{id}/evidence", json={"text": "x", "files": ids[:1]}, headers=office)
    assert (again.json()["code"], again.json()["field"]) == ("attachment-taken", "files.0")
    assert len((await get(scoring, f"{EVENTS}/{id}"))["evidence"]) == 2


async def test_who_is_suspected_reads_neither_evidence_nor_who_reported_it(scoring: Inside) -> None:
    office = scoring.token("office")
    answer = await scoring.http.post("/attachments", content=b"%PDF-1.7 first", headers=office)
    id = await reported(scoring, files=[answer.json()["attachment"]])
    suspects = (scoring.token("liaison", unit="yingji"), scoring.token("office", unit="yingji"))
    for headers in suspects:
        event = (await scoring.http.get(f"{EVENTS}/{id}", headers=headers)).json()
        assert (event["state"], event["evidence"], event["reported_by"]) == ("suspected", [], None)
        page = (await scoring.http.get(EVENTS, headers=headers)).json()
        assert [(each["evidence"], each["reported_by"]) for each in page["events"]] == [([], None)]
        file = await scoring.http.get(f"{EVENTS}/{id}/files/1", headers=headers)
        assert refusal(file) == (404, "attachments-not-found")
    await done(scoring, f"{EVENTS}/{id}/confirm", "leader", {"reason": "认定"})
    for headers in suspects:
        event = (await scoring.http.get(f"{EVENTS}/{id}", headers=headers)).json()
        assert [(each["text"], each["files"], each["by"]) for each in event["evidence"]] == [("事故快报", [1], None)]
        assert ([each["by"] for each in event["decisions"]], event["reported_by"]) == ([None], None)
        assert (await scoring.http.get(f"{EVENTS}/{id}/files/1", headers=headers)).status_code == 200
    assert (await get(scoring, f"{EVENTS}/{id}"))["reported_by"] == "office"


async def test_units_see_the_events_that_are_laid_to_them_and_pages_have_no_gap(scoring: Inside) -> None:
    ids = []
    for number in range(5):
        ids.append(await reported(scoring, item="示例-04" if number % 2 else "G15"))
        scoring.clock.advance(timedelta(minutes=1))
    seen: list[str] = []
    before = ""
    while True:
        page = await get(scoring, f"{EVENTS}?limit=2{f'&before={before}' if before else ''}")
        seen += [each["id"] for each in page["events"]]
        if (before := page["next"]) is None:
            break
    assert seen == ids[::-1]
    own_events = await get(scoring, EVENTS, "officer", unit="gongan")
    assert [each["id"] for each in own_events["events"]] == [ids[3], ids[1]]
    assert (await get(scoring, f"{EVENTS}?state=confirmed"))["events"] == []


async def test_who_may_do_what(scoring: Inside) -> None:
    id = await reported(scoring)
    everybody = ("office", "leader", "discipline", "officer", "liaison", "verifier", "operator")
    staff = {"office", "leader", "discipline"}
    for method, path, allowed in (
        ("GET", "/negative-list", {*everybody} - {"operator"}),
        ("GET", "/negative-list/sanctions", staff),
        ("POST", EVENTS, staff),
        ("POST", f"{EVENTS}/{id}/evidence", staff),
        ("POST", f"{EVENTS}/{id}/confirm", {"office", "leader"}),
        ("POST", f"{EVENTS}/{id}/clear", {"office", "leader"}),
    ):
        for role in everybody:
            answer = await scoring.http.request(method, path, json={}, headers=scoring.token(role))
            assert (answer.status_code != 403) == (role in allowed), (path, role, answer.text)
        assert (await scoring.http.request(method, path, json={})).status_code == 401


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"item": "G99"}, 422, "negative-item-unknown", "item"),
        ({"occurred_at": "2026-11-04T10:00:00+08:00"}, 422, "happened-in-future", "occurred_at"),
        ({"occurred_at": "2023-11-04T10:00:00+08:00"}, 422, "negative-item-unknown", "item"),
        ({"occurred_at": "1900-01-01T00:00:00+14:00"}, 422, "day-unfit", "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, 422, "validation", "occurred_at"),
        ({"unit": "nobody"}, 422, "unit-unknown", "unit"),
        ({"text": " "}, 422, "text-required", "text"),
        ({"files": ["unknown"]}, 422, "attachment-unknown", "files.0"),
    ],
)
async def test_a_bad_report_is_refused_by_name_and_leaves_no_trace(
    scoring: Inside, change: dict[str, object], status: int, code: str, field: str | None
) -> None:
    answer = await scoring.http.post(EVENTS, json={**REPORT, **change}, headers=scoring.token("office"))
    assert (*refusal(answer), answer.json().get("field")) == (status, code, field)
    assert await scoring.runtime.store.count(NEGATIVE_EVENTS, {}) == 0


async def test_the_list_says_on_which_days_what_happens_counts(scoring: Inside) -> None:
    content = await get(scoring, "/negative-list", "verifier")
    assert content["situation"]["status"] == "nominated"
    [g15] = [item for item in content["items"] if item["code"] == "G15"]
    assert [(each["effect"], each["opens"], each["closes"]) for each in g15["sanctions"]] == [
        ("suspend", None, None),
        ("deduct", "2025-12-15", "2026-12-15"),
        ("disqualify", "2026-09-01", "2027-09-01"),
    ]
    assert (g15["sanctions"][0]["months"], g15["sanctions"][1]["points"], g15["lead"]) == (12, "3", "yingji")
