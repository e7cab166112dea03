"""Work views and numbers of reports over HTTP on a real database."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from services.reports.app import SERVICE
from services.reports.commands.handling import mark_overdue
from services.reports.domain import Act, Actor, Side
from services.reports.domain import lookup as by
from services.reports.repo import CASES
from services.reports.views import export
from services.reports.views import map as maps
from services.reports.views.names import Names
from shared.clock import FixedClock
from shared.contracts.reports import CaseState
from shared.store import IDEMPOTENCY, OUTBOX, UnitOfWork
from tests.inprocess import Inside, inside

MONDAY = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
SITE_CHECKED = "illegal-signboard"
REPORT: dict[str, Any] = {"category": "exposed-rubbish", "longitude": 112.6, "latitude": 26.885, "channel": "hotline"}


@pytest.fixture
async def reports(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(SERVICE, FixedClock(MONDAY), tmp_path, mongodb_uri, namespace) as service:
        yield service


async def filed(reports: Inside, **change: object) -> str:
    """A case that the hotline took down; a minute goes by."""
    report = {**REPORT, **change}
    answer = await reports.http.post("/cases", json=report, headers=reports.token("dispatcher"))
    assert answer.status_code == 201, answer.text
    reports.clock.advance(timedelta(minutes=1))
    return str(answer.json()["case"])


async def done(reports: Inside, case: str, step: str, role: str, of: str | None = None, **body: object) -> None:
    headers = reports.token(role, unit=of)
    answer = await reports.http.post(f"/cases/{case}/{step}", json=body or None, headers=headers)
    assert answer.status_code == 200, answer.text


async def page(reports: Inside, headers: dict[str, str], **query: Any) -> dict[str, Any]:
    answer = await reports.http.get("/cases", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def found(reports: Inside, headers: dict[str, str] | None = None, **query: Any) -> list[str]:
    """What a list shows, in order."""
    found = await page(reports, headers or reports.token("office"), **query)
    return [case["case"] for case in found["cases"]]


# ---- lists ----


async def stock(reports: Inside) -> dict[str, str]:
    """A case of each sort that filters tell apart, by what is particular about it."""
    rubbish = await filed(reports, text="华兴街135号垃圾桶满了")
    await done(reports, rubbish, "acknowledge", "officer", of="huanwei")
    triage = await filed(reports, category="other-matter", text="楼下太吵")
    vending = await filed(reports, category="street-vending", longitude=112.575, latitude=26.905, channel="patrol")
    praise = await filed(reports, kind="praise", text="环卫工人很负责")
    closed = await filed(reports)
    for step, role, body in (
        ("acknowledge", "officer", {}),
        ("reply", "officer", {"text": "已清运"}),
        ("verify", "verifier", {"passed": True}),
        ("close", "office", {}),
    ):
        await done(reports, closed, step, role, "huanwei" if role == "officer" else None, **body)
    helped = await filed(reports, category="other-matter")
    await done(reports, helped, "dispatch", "office", unit="chengguan", supporting=["huanwei"])
    resting = await filed(reports)
    review_at = (MONDAY + timedelta(days=9)).isoformat()
    await done(reports, resting, "suspend", "leader", reason="季节性问题", review_at=review_at)
    return {
        "rubbish": rubbish,
        "triage": triage,
        "vending": vending,
        "praise": praise,
        "closed": closed,
        "helped": helped,
        "resting": resting,
    }


FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "resting helped closed praise vending triage rubbish"),
    ({"state": "closed"}, "closed praise"),
    ({"state": ["closed", "registered"]}, "closed praise triage"),
    ({"unit": "huanwei"}, "resting helped closed praise rubbish"),
    ({"unit": "huanwei", "state": "dispatched"}, "helped"),
    ({"category": "street-vending"}, "vending"),
    ({"category": ["street-vending", "other-matter"]}, "helped vending triage"),
    ({"channel": "patrol"}, "vending"),
    ({"channel": "media"}, ""),
    ({"kind": "praise"}, "praise"),
    ({"kind": "problem", "state": "closed"}, "closed"),
    ({"stage": "rectify"}, "rubbish"),
    ({"stage": "dispatch"}, "triage"),
    ({"stage": "dispatch", "state": "closed"}, ""),
    ({"text": "垃圾桶"}, "rubbish"),
    ({"text": "135号 垃圾"}, "rubbish"),
    ({"text": "垃圾桶", "category": "other-matter"}, ""),
    ({"text": "楼下", "unit": "huanwei"}, ""),
    ({"text": "垃圾桶", "unit": "huanwei"}, "rubbish"),
    ({"text": "垃圾桶", "sort": "deadline"}, "rubbish"),
    ({"registered_after": "2026-11-23T01:01:00Z", "registered_before": "2026-11-23T01:03:00Z"}, "vending triage"),
    ({"sort": "deadline"}, "helped triage vending rubbish resting"),
    ({"sort": "deadline", "state": "suspended"}, "resting"),
    ({"sort": "deadline", "unit": "huanwei"}, "helped rubbish resting"),
    ({"sort": "deadline", "unit": "huanwei", "stage": "rectify"}, "rubbish"),
    ({"due_before": "2026-11-24T00:00:00Z"}, "helped vending triage rubbish"),
    ({"due_after": "2026-11-24T00:00:00Z"}, "resting"),
    ({"overdue": "true"}, ""),
    ({"repeat": "true"}, "resting"),
    ({"repeat": "true", "channel": "patrol"}, ""),
    ({"objected": "true"}, ""),
]


async def test_every_filter_finds_what_it_says_in_the_order_asked_for(reports: Inside) -> None:
    cases = await stock(reports)
    names = {id: name for name, id in cases.items()}
    for query, expected in FILTERS:
        result = " ".join(names[id] for id in await found(reports, **query))
        if query.get("sort") == "deadline":
            assert sorted(result.split()) == sorted(expected.split()), query
        else:
            assert result == expected, query
    vending = await reports.runtime.store.get(CASES, cases["vending"])
    assert vending is not None
    assert await found(reports, community=vending.place.community) == [cases["vending"]]
    assert await found(reports, text=cases["closed"]) == [cases["closed"]]


async def test_by_deadline_the_first_due_comes_first(reports: Inside) -> None:
    await stock(reports)
    found = await page(reports, reports.token("office"), sort="deadline")
    times = [case["stage_due_at"] for case in found["cases"]]
    assert times == sorted(times)
    assert len(times) == 5


async def test_lateness_objections_and_repeats_are_found(reports: Inside) -> None:
    late, soon = await filed(reports), await filed(reports, category="green-space")
    for hours, level in ((7, "blue"), (30, "orange")):
        reports.clock.set(MONDAY + timedelta(hours=hours))
        await reports.runtime.store.run(lambda uow: mark_overdue(uow, reports.runtime.resources.district, late))
        assert await found(reports, overdue="true") == await found(reports, level=level) == [late]
        assert await found(reports, level=["blue", "orange", "red"], unit="huanwei") == [late]
        assert await found(reports, overdue="true", sort="deadline") == [late]
    assert await found(reports, level="blue") == []
    case = await reports.runtime.store.get(CASES, soon)
    assert case is not None
    assert case.deadline_at is not None
    await done(reports, soon, "acknowledge", "officer", of="yuanlin")
    case = await reports.runtime.store.get(CASES, soon)
    assert case is not None
    assert case.deadline_at is not None
    reports.clock.set(case.deadline_at)
    await reports.runtime.store.run(lambda uow: mark_overdue(uow, reports.runtime.resources.district, soon))
    assert await found(reports, due_soon="true") == [soon]
    assert await found(reports, due_soon="true", unit="huanwei") == []


async def test_who_sees_which_cases(reports: Inside) -> None:
    cases = await stock(reports)
    everything = set(cases.values())
    assert set(await found(reports, reports.token("verifier"))) == everything
    own = {cases[name] for name in ("rubbish", "praise", "closed", "helped", "resting")}
    for officer in (reports.token("officer", unit="huanwei"), reports.token("liaison", unit="huanwei")):
        assert set(await found(reports, officer)) == own
        assert set(await found(reports, officer, unit="chengguan")) == {cases["helped"]}
        assert await found(reports, officer, text="垃圾桶") == [cases["rubbish"]]
    stranger = reports.token("officer", unit="yuanlin")
    assert await found(reports, stranger) == await found(reports, stranger, text="垃圾桶") == []
    assert await found(reports, reports.token("officer")) == []
    for headers, status in (({}, 401), (reports.token("citizen"), 403), (reports.token("service"), 403)):
        for path in ("/cases", "/queue", "/cases/export", "/figures?from=2026-11-01&to=2026-11-30", "/templates"):
            assert (await reports.http.get(path, headers=headers)).status_code == status


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ({"stat": "closed"}, "validation", "stat"),
        ({"state": "clsed"}, "validation", "state.0"),
        ({"state": "other"}, "validation", "state.0"),
        ({"channel": "telex"}, "validation", "channel.0"),
        ({"stage": "decide"}, "validation", "stage.0"),
        ({"sort": "oldest"}, "validation", "sort"),
        ({"limit": "201"}, "validation", "limit"),
        ({"due_before": "2026-11-24T00:00:00"}, "validation", "due_before"),
        ({"category": ["c"] * 21}, "validation", "category"),
        ({"text": "井"}, "word-too-short", "text"),
        ({"text": "字" * 31}, "validation", "text"),
        ({"after": "rubbish"}, "cursor-malformed", "after"),
        ({"after": base64.b64encode(b'["newest", "soon", "x"]').decode()}, "cursor-malformed", "after"),
        ({"after": base64.b64encode(b'["newest", 1e300, "x"]').decode()}, "cursor-malformed", "after"),
        ({"after": base64.b64encode(b'["newest", 1, {"$ne": ""}]').decode()}, "cursor-malformed", "after"),
        ({"after": base64.b64encode(b'["deadline", 1, "x"]').decode()}, "cursor-malformed", "after"),
    ],
)
async def test_a_question_that_cannot_be_answered_is_refused_by_name(
    reports: Inside, query: dict[str, Any], code: str, field: str
) -> None:
    answer = await reports.http.get("/cases", params=query, headers=reports.token("office"))
    body = answer.json()
    assert (answer.status_code, body["code"], body["field"]) == (422, code, field)


@pytest.mark.parametrize("query", [{}, {"unit": "huanwei"}, {"category": "exposed-rubbish"}, {"text": "垃圾"}])
async def test_pages_have_no_gap_and_no_repeat_while_cases_come_and_change(
    reports: Inside, query: dict[str, Any]
) -> None:
    before = [await filed(reports, text=f"垃圾 {number}") for number in range(12)]
    reports.clock.advance(timedelta(0))
    office, seen, after = reports.token("office"), list[str](), ""
    for turn in range(20):
        found = await page(reports, office, limit=3, after=after, **query)
        seen += [case["case"] for case in found["cases"]]
        if not (after := found["next"] or ""):
            break
        await filed(reports, text="垃圾 又来")
        await done(reports, before[turn], "acknowledge", "officer", of="huanwei")
        await done(reports, before[-turn - 1], "acknowledge", "officer", of="huanwei")
    assert seen == list(reversed(before))


async def test_cases_of_the_same_moment_are_told_apart(reports: Inside) -> None:
    ids = {await filed_at_once(reports) for _ in range(7)}
    for sort in ("newest", "deadline"):
        seen, after = list[str](), ""
        while True:
            found = await page(reports, reports.token("office"), limit=2, after=after, sort=sort)
            seen += [case["case"] for case in found["cases"]]
            if not (after := found["next"] or ""):
                break
        assert (len(seen), set(seen)) == (7, ids)


async def filed_at_once(reports: Inside) -> str:
    case = await filed(reports)
    reports.clock.set(reports.clock.now() - timedelta(minutes=1))
    return case


async def test_a_list_shows_the_inside_and_nothing_of_the_reporter(reports: Inside) -> None:
    await filed(reports, category="noise", text="每晚很吵", address="3 栋", reporter={"name": "王女士"})
    found = await page(reports, reports.token("office"))
    [case] = found["cases"]
    assert (case["text"], case["place"]["address"]) == ("每晚很吵", "3 栋")
    assert "王女士" not in str(found)
    assert "words" not in case


async def test_notes_are_for_those_inside_and_updates_for_everybody(reports: Inside) -> None:
    case = await filed(reports)
    await done(reports, case, "comment", "officer", of="huanwei", text="内部：等吊车")
    await done(reports, case, "comment", "officer", of="huanwei", text="周三安排清运", public=True)
    path = f"/cases/{case}"
    public, stranger = await reports.http.get(path), reports.token("officer", unit="yuanlin")
    for body in (public.text, (await reports.http.get(path, headers=stranger)).text):
        assert "等吊车" not in body
        assert "周三安排清运" in body
    for headers in (reports.token("officer", unit="huanwei"), reports.token("verifier")):
        assert "等吊车" in (await reports.http.get(path, headers=headers)).text


# ---- the map ----

BOX = {"bbox": "112.55,26.85,112.65,26.95"}


async def test_the_map_shows_open_cases_and_no_more_than_their_snapshot(reports: Inside) -> None:
    shown = await filed(reports, address="银光路口")
    hidden = await filed(reports, category="noise", address="3 栋 201", longitude=112.59)
    praised = await filed(reports, kind="praise")
    body = (await reports.http.get("/cases/map", params=BOX)).json()
    spots = {spot["case"]: spot for spot in body["spots"]}
    assert set(spots) == {shown, hidden}
    assert praised not in spots
    assert spots[shown]["address"] == "银光路口"
    for id, spot in spots.items():
        snapshot = (await reports.http.get(f"/cases/{id}")).json()["snapshot"]
        assert (spot["address"], spot["longitude"]) == (
            snapshot["place"]["address"],
            snapshot["place"]["longitude"],
        )
    nearby = (await reports.http.get("/cases/map", params={"bbox": "112.595,26.88,112.61,26.89"})).json()
    assert [spot["case"] for spot in nearby["spots"]] == [shown]
    category = (await reports.http.get("/cases/map", params={**BOX, "category": "noise"})).json()
    assert [spot["case"] for spot in category["spots"]] == [hidden]
    overdue = (await reports.http.get("/cases/map", params={**BOX, "overdue": True})).json()
    assert overdue == {"cases": 0, "spots": [], "clusters": []}
    officer = await reports.http.get("/cases/map", params=BOX, headers=reports.token("officer", unit="huanwei"))
    assert [spot["case"] for spot in officer.json()["spots"]] == [shown]


async def test_too_many_cases_are_counted_by_squares(reports: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "SPOTS_LIMIT", 3)
    for longitude in (112.603, 112.6031, 112.6032, 112.575):
        await filed(reports, longitude=longitude)
    body = (await reports.http.get("/cases/map", params=BOX)).json()
    assert (body["cases"], body["spots"]) == (4, [])
    clusters = sorted(body["clusters"], key=lambda each: each["cases"])
    assert [cluster["cases"] for cluster in clusters] == [1, 3]
    assert clusters[1]["longitude"] == pytest.approx(112.603, abs=by.CELL / 2)


@pytest.mark.parametrize(
    "bbox", ["1,2,3", "a,b,c,d", "113,26,112,27", "112,26,112,27", "112,26,300,27", "nan,26,113,27"]
)
async def test_a_box_that_is_none_is_refused(reports: Inside, bbox: str) -> None:
    answer = await reports.http.get("/cases/map", params={"bbox": bbox})
    assert answer.status_code == 422
    assert answer.json()["code"] in {"bbox-malformed", "longitude-out-of-range"}


# ---- queues ----


async def tasks(reports: Inside, *roles: str, unit: str | None = None) -> dict[str, list[str]]:
    answer = await reports.http.get("/queue", headers=reports.token(*roles, unit=unit))
    body = {task["kind"]: [case["case"] for case in task["cases"]] for task in answer.json()["tasks"]}
    assert {task["kind"]: task["count"] for task in answer.json()["tasks"]} == {k: len(v) for k, v in body.items()}
    return body


async def test_everybody_sees_what_they_have_to_act_on_now(reports: Inside) -> None:
    cases = await stock(reports)
    replied, returned, verified, asked, further = [await filed(reports) for _ in range(5)]
    for case in (replied, verified, asked, further):
        await done(reports, case, "acknowledge", "officer", of="huanwei")
    for case in (replied, verified):
        await done(reports, case, "reply", "officer", of="huanwei", text="已清运")
    await done(reports, verified, "verify", "verifier", passed=True)
    await done(reports, returned, "return", "officer", of="huanwei", reason="不属于本单位职责")
    await done(reports, asked, "extension", "officer", of="huanwei", reason="配件未到")
    await done(reports, further, "extension", "officer", of="huanwei", reason="配件未到", limit="5 working days")
    assert await tasks(reports, "officer", unit="huanwei") == {
        "acknowledge": [],
        "rectify": [cases["rubbish"], asked, further],
    }
    chengguan = await tasks(reports, "officer", unit="chengguan")
    assert (set(chengguan["acknowledge"]), chengguan["rectify"]) == ({cases["helped"], cases["vending"]}, [])
    assert await tasks(reports, "verifier") == {"site-check": [], "verify": [replied]}
    centre = await tasks(reports, "dispatcher")
    assert centre["returned"] == [returned]
    assert cases["triage"] in centre["dispatch"]
    assert returned not in centre["dispatch"]
    assert (centre["extension"], centre["close"], centre["objection"]) == ([asked], [verified], [])
    assert await tasks(reports, "leader") == {"further-extension": [further], "review": [cases["resting"]]}
    assert set(await tasks(reports, "office", unit="huanwei")) == {
        *("acknowledge", "rectify", "dispatch", "returned", "extension", "objection", "close"),
    }
    assert set(await tasks(reports, "office", "leader")) == {
        *("dispatch", "returned", "extension", "objection", "close"),
        *("further-extension", "review"),
    }


async def test_what_a_citizen_reports_is_first_looked_at_on_the_spot(reports: Inside) -> None:
    report = {**REPORT, "channel": "citizen", "category": SITE_CHECKED}
    case = (await reports.http.post("/cases", json=report)).json()["case"]
    assert (await tasks(reports, "verifier"))["site-check"] == [case]
    assert (await tasks(reports, "dispatcher"))["dispatch"] == []
    await done(reports, case, "confirm", "verifier", note="属实")
    assert (await tasks(reports, "verifier"))["site-check"] == []
    assert (await tasks(reports, "dispatcher"))["dispatch"] == [case]


async def test_a_second_objection_is_for_the_centre_to_decide(reports: Inside) -> None:
    case = await filed(reports)
    stored = await reports.runtime.store.get(CASES, case)
    assert stored is not None
    district, now = reports.runtime.resources.district, reports.clock.now()
    actors = {side: Actor(frozenset({side}), "huanwei" if side is Side.UNIT else None) for side in Side}

    async def lived(uow: UnitOfWork) -> None:
        case_ = await uow.get(CASES, case)
        for _ in range(2):
            case_.acknowledge(Act(actors[Side.UNIT], now, district.timetable))
            case_.reply(Act(actors[Side.UNIT], now, district.timetable), "已清运")
            case_.verify(Act(actors[Side.VERIFIER], now, district.timetable), True)
            case_.close(Act(actors[Side.CENTRE], now, district.timetable))
            case_.object(Act(actors[Side.REPORTER], now, district.timetable), "没有清完", ("0" * 32,))
        uow.save(CASES, case_)

    await reports.runtime.store.run(lived)
    centre = reports.token("dispatcher")
    task = (await reports.http.get("/queue/objection", headers=centre)).json()
    assert (task["count"], [each["case"] for each in task["cases"]]) == (1, [case])
    assert await found(reports, objected="true") == [case]
    assert await found(reports, objected="true", unit="huanwei", state="closed") == [case]


async def test_nobody_is_asked_to_verify_what_their_own_unit_did(reports: Inside) -> None:
    case = await filed(reports)
    await done(reports, case, "acknowledge", "officer", of="huanwei")
    await done(reports, case, "reply", "officer", of="huanwei", text="已清运")
    assert (await tasks(reports, "verifier", unit="huanwei"))["verify"] == []
    assert (await tasks(reports, "verifier", unit="chengguan"))["verify"] == [case]


async def test_a_queue_counts_what_is_overdue_and_goes_on_page_by_page(reports: Inside) -> None:
    ids = [await filed(reports) for _ in range(5)]
    officer = reports.token("officer", unit="huanwei")
    reports.clock.advance(timedelta(days=1))
    body = (await reports.http.get("/queue", params={"limit": 2}, headers=officer)).json()
    task = body["tasks"][0]
    assert (task["kind"], task["count"], task["overdue"]) == ("acknowledge", 5, 5)
    assert [case["case"] for case in task["cases"]] == ids[:2]
    rest = await reports.http.get("/queue/acknowledge", params={"after": task["next"]}, headers=officer)
    assert [case["case"] for case in rest.json()["cases"]] == ids[2:]
    unknown = await reports.http.get("/queue/close", headers=officer)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "queue-unknown")


# ---- the same to many cases ----


async def test_many_are_acknowledged_each_by_itself(reports: Inside) -> None:
    mine = [await filed(reports) for _ in range(3)]
    other = await filed(reports, category="street-vending")
    await done(reports, mine[1], "acknowledge", "officer", of="huanwei")
    body = {"cases": [*mine, other, "20261123-NOSUCHCASE"]}
    officer = reports.token("officer", unit="huanwei")
    answer = await reports.http.post("/cases/acknowledge", json=body, headers=officer)
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert [outcome["id"] for outcome in content] == body["cases"]
    assert [outcome.get("problem", {}).get("code") for outcome in content] == [
        *(None, "transition-not-allowed", None, "case-of-another-unit", "cases-not-found")
    ]
    assert content[0]["answer"]["state"] == "acknowledged"
    assert content[1]["problem"]["state"] == "acknowledged"
    store = reports.runtime.store
    assert await store.count(CASES, {"state": "acknowledged"}) == 3
    assert await store.count(OUTBOX, {"type": "chuangwen.reports.case-acknowledged.v1"}) == 3


async def test_many_are_dispatched_and_an_unknown_unit_gets_none(reports: Inside) -> None:
    cases = [await filed(reports, category="other-matter") for _ in range(4)]
    office, body = reports.token("office"), {"cases": cases, "unit": "chengguan", "supporting": ["huanwei"]}
    refused = await reports.http.post("/cases/dispatch", json={**body, "unit": "nobody"}, headers=office)
    assert {outcome["problem"]["code"] for outcome in refused.json()} == {"unit-unknown"}
    answer = (await reports.http.post("/cases/dispatch", json=body, headers=office)).json()
    assert [outcome["answer"]["unit"] for outcome in answer] == ["chengguan"] * 4
    assert set(await found(reports, reports.token("officer", unit="huanwei"))) == set(cases)


async def test_a_request_for_many_that_is_sent_again_takes_effect_once(reports: Inside) -> None:
    cases = [await filed(reports) for _ in range(3)]
    headers = {**reports.token("officer", unit="huanwei"), "Idempotency-Key": "many-1"}
    posts = [reports.http.post("/cases/acknowledge", json={"cases": cases}, headers=headers) for _ in range(4)]
    first, *others = await asyncio.gather(*posts)
    assert all("answer" in outcome for outcome in first.json())
    assert {other.text for other in others} == {first.text}
    other = await reports.http.post("/cases/acknowledge", json={"cases": cases[:1]}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert await reports.runtime.store.count(IDEMPOTENCY, {}) == 4


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"cases": []}, "cases"),
        ({"cases": [f"c{number}" for number in range(101)]}, "cases"),
        ({"case": ["x"]}, "cases"),
        ({"cases": [{"$ne": ""}]}, "cases.0"),
    ],
)
async def test_too_many_or_none_are_refused(reports: Inside, body: dict[str, Any], field: str) -> None:
    officer = reports.token("officer", unit="huanwei")
    answer = await reports.http.post("/cases/acknowledge", json=body, headers=officer)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


# ---- templates ----


async def test_templates_are_listed_by_step_and_category_and_filled_in_for_a_case(reports: Inside) -> None:
    officer = reports.token("officer", unit="huanwei")
    query = {"step": "reply", "category": "exposed-rubbish"}
    listed = (await reports.http.get("/templates", params=query, headers=officer)).json()
    assert [template["code"] for template in listed] == ["reply-cleared", "reply-done"]
    assert "{unit}" in listed[0]["text"]
    case = await filed(reports, address="银光路口")
    path = f"/cases/{case}/templates"
    filled = (await reports.http.get(path, params={"step": "reply"}, headers=officer)).json()
    assert [template["code"] for template in filled] == ["reply-cleared", "reply-done"]
    assert filled[0]["text"] == (
        f"您于2026年11月23日反映的“暴露垃圾”（{case}），环境卫生服务中心已于2026年11月23日安排人员清运、清扫，"
        "并增加该处巡查频次。"
    )
    foreign = await reports.http.get(path, headers=reports.token("officer", unit="yuanlin"))
    assert (foreign.status_code, foreign.json()["code"]) == (403, "case-of-another-unit")
    assert (await reports.http.get("/cases/none/templates", headers=officer)).json()["code"] == "cases-not-found"
    await done(reports, case, "acknowledge", "officer", of="huanwei")
    await done(reports, case, "reply", "officer", of="huanwei", text=filled[0]["text"])


# ---- exports ----


async def exported(reports: Inside, headers: dict[str, str] | None = None, **query: Any) -> bytes:
    answer = await reports.http.get("/cases/export", params=query, headers=headers or reports.token("office"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
    return answer.content


async def test_a_csv_has_the_cases_in_chinese_and_nothing_of_the_reporter(reports: Inside) -> None:
    dangerous = await filed(
        reports,
        address='=HYPERLINK("http://x")',
        text="垃圾桶满了",
        reporter={"name": "王女士", "phone": "0734-8888888"},
    )
    await filed(reports, category="street-vending")
    content = await exported(reports, category="exposed-rubbish")
    assert content.startswith(b"\xef\xbb\xbf")
    assert b"\r\n" in content
    heading, row = csv.reader(io.StringIO(content.decode("utf-8-sig")))
    found = dict(zip(heading, row, strict=True))
    assert found["案件编号"] == dangerous
    assert found["问题类别"] == "暴露垃圾"
    assert found["牵头单位"] == "环境卫生服务中心"
    assert found["状态"] == "已派遣"
    assert found["渠道"] == "12345热线"
    assert found["受理时间"] == "2026-11-23 09:00:00"
    assert found["整改期限"] == "2026-11-23 15:00:00"
    assert found["地址"] == '\'=HYPERLINK("http://x")'
    for private in ("王女士", "8888888", "垃圾桶满了"):
        assert private not in content.decode()


async def test_an_excel_file_has_the_same_rows(reports: Inside) -> None:
    for number in range(3):
        await filed(reports, address=f"{number} 号")
    sheet = openpyxl.load_workbook(io.BytesIO(await exported(reports, format="xlsx"))).active
    assert sheet is not None
    rows = [["" if cell is None else str(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
    lines = list(csv.reader(io.StringIO((await exported(reports)).decode("utf-8-sig"))))
    assert rows == lines
    assert len(rows) == 4


async def test_an_officers_table_has_the_own_cases_only(reports: Inside) -> None:
    mine = await filed(reports)
    await filed(reports, category="street-vending")
    content = await exported(reports, reports.token("officer", unit="huanwei"))
    assert [line.split(",")[0] for line in content.decode("utf-8-sig").splitlines()[1:]] == [mine]


async def test_more_than_an_excel_sheet_holds_is_refused_with_the_number(
    reports: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "XLSX_ROWS", 3)
    for _ in range(3):
        await filed(reports)
    answer = await reports.http.get("/cases/export?format=xlsx", headers=reports.token("office"))
    assert (answer.status_code, answer.json()["code"], answer.json()["limit"]) == (413, "export-too-large", 2)
    assert len((await exported(reports)).splitlines()) == 4


async def test_only_so_many_tables_are_made_at_once(reports: Inside) -> None:
    slots = reports.runtime.resources.exports
    with slots.take("one"), slots.take("another"):
        answer = await reports.http.get("/cases/export", headers=reports.token("office"))
        assert (answer.status_code, answer.json()["code"]) == (429, "export-busy")
        assert int(answer.headers["retry-after"]) > 0
    await exported(reports)


async def test_a_table_that_fails_leaves_no_file_behind(
    reports: Inside, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await filed(reports)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = set(os.listdir(tmp_path))

    def broken(*_: object) -> str:
        raise RuntimeError("a cell cannot be made")

    monkeypatch.setattr(Names, "unit", broken)
    answer = await reports.http.get("/cases/export?format=xlsx", headers=reports.token("office"))
    assert answer.status_code == 500
    assert set(os.listdir(tmp_path)) == before
    with reports.runtime.resources.exports.take("one"), reports.runtime.resources.exports.take("other"):
        pass


# ---- figures ----


async def figures(reports: Inside, headers: dict[str, str] | None = None, **query: str) -> dict[str, Any]:
    period = {"from": "2026-11-01", "to": "2026-11-30", **query}
    answer = await reports.http.get("/figures", params=period, headers=headers or reports.token("office"))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_figures_count_what_was_registered_and_what_was_due(reports: Inside) -> None:
    cases = await stock(reports)
    late = await filed(reports)
    reports.clock.advance(timedelta(days=1))
    await reports.runtime.store.run(lambda uow: mark_overdue(uow, reports.runtime.resources.district, late))
    found = await figures(reports)
    lines = {line["code"]: line for line in found["lines"]}
    own = lines["huanwei"]
    assert own["name"] == "环境卫生服务中心"
    assert (own["cases"]["received"], own["cases"]["filed"]) == (4, 4)
    assert (own["cases"]["due"], own["cases"]["closed"], own["cases"]["late"]) == (3, 1, 1)
    assert own["rates"]["closing"] == "33.33"
    assert own["rates"]["in_time"] == "66.67"
    assert own["rates"]["satisfaction"] is None
    assert lines[None]["name"] == "未派遣"
    assert found["total"]["cases"]["received"] == 7
    officer = await figures(reports, reports.token("officer", unit="huanwei"))
    assert [line["code"] for line in officer["lines"]] == ["huanwei"]
    assert officer["total"]["cases"] == own["cases"]
    by_category = {line["name"] for line in (await figures(reports, by="category"))["lines"]}
    assert {"暴露垃圾", "占道经营"} <= by_category
    channels = {line["name"]: line["cases"]["received"] for line in (await figures(reports, by="channel"))["lines"]}
    assert channels == {"12345热线": 6, "巡查": 1}
    vending = await reports.runtime.store.get(CASES, cases["vending"])
    assert vending is not None
    communities = {line["code"] for line in (await figures(reports, by="community"))["lines"]}
    assert vending.place.community in communities
    later = await figures(reports, None, **{"from": "2026-11-24", "to": "2026-11-30"})
    assert later["total"]["cases"]["received"] == 0


async def test_parts_count_where_they_are_worked_on_and_not_as_reports(reports: Inside) -> None:
    whole = await filed(reports, category="other-matter")
    await done(reports, whole, "split", "office", units=["chengguan", "huanwei"])
    reports.clock.advance(timedelta(days=3))
    found = await figures(reports)
    assert found["total"]["cases"]["received"] == 1
    assert found["total"]["cases"]["due"] == 2
    case = await reports.runtime.store.get(CASES, whole)
    assert case is not None
    assert case.state is CaseState.SPLIT


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ({"from": "2026-11-30", "to": "2026-11-01"}, "period-backwards", "to"),
        ({"from": "2025-01-01", "to": "2026-11-30"}, "period-too-long", "to"),
        ({"from": "2026-11-31", "to": "2026-11-30"}, "validation", "from"),
        ({"from": "2026-11-01", "to": "2026-11-30", "by": "weather"}, "validation", "by"),
    ],
)
async def test_a_period_that_is_none_is_refused(reports: Inside, query: dict[str, str], code: str, field: str) -> None:
    answer = await reports.http.get("/figures", params=query, headers=reports.token("office"))
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, code, field)
