"""The catalogue over HTTP on a real database: edits, versions, two processes, and what cases keep of it."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.local.stack import DISTRICT
from services.reports.app import SERVICE
from services.reports.repo import CATEGORY_VERSIONS
from shared import audit
from shared.audit.log import AUDIT
from shared.clock import FixedClock
from shared.store import OUTBOX
from tests.inprocess import Inside, inside
from tests.waiting import eventually

MONDAY = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
REPORT: dict[str, Any] = {"category": "exposed-rubbish", "longitude": 112.6, "latitude": 26.885, "text": "没人清"}
CONTENT = {
    *("name", "group", "guidance", "questions", "photo_required", "public", "site_check", "triage", "indicators"),
    *("limit", "limit_source", "limits", "points", "unit", "supporting"),
}
QUESTION = {"code": "size", "name": {"zh": "有多大？", "en": "How big?"}, "kind": "number", "required": True}


@pytest.fixture
async def reports(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(SERVICE, FixedClock(MONDAY), tmp_path, mongodb_uri, namespace) as service:
        yield service


@pytest.fixture
async def other(reports: Inside, mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    """A second process on the same database."""
    async with inside(SERVICE, FixedClock(MONDAY), tmp_path / "other", mongodb_uri, namespace) as service:
        yield service


def office(reports: Inside) -> dict[str, str]:
    return reports.token("office")


async def shown(reports: Inside, code: str = "exposed-rubbish") -> dict[str, Any]:
    """The category as everybody sees it."""
    categories = (await reports.http.get("/categories", params={"retired": True})).json()
    return next(each for each in categories if each["code"] == code)


async def versions(reports: Inside, code: str = "exposed-rubbish", **query: int) -> dict[str, Any]:
    answer = await reports.http.get(f"/categories/{code}", params=query, headers=office(reports))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def content(reports: Inside, code: str = "exposed-rubbish") -> dict[str, Any]:
    """What a PUT has to send to change nothing."""
    newest = (await versions(reports, code))["versions"][0]
    return {**{name: newest[name] for name in CONTENT}, "based_on": newest["version"]}


async def edited(reports: Inside, code: str = "exposed-rubbish", **change: object) -> dict[str, Any]:
    body = {**await content(reports, code), **change}
    answer = await reports.http.put(f"/categories/{code}", json=body, headers=office(reports))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def filed(reports: Inside, headers: dict[str, str] | None = None, **change: object) -> dict[str, Any]:
    answer = await reports.http.post("/cases", json={**REPORT, **change}, headers=headers)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_the_tree_is_shown_with_all_that_a_form_has_to_know(reports: Inside) -> None:
    found = await shown(reports, "public-toilet")
    assert [node["name"] for node in found["path"]] == ["部件", "市容环境设施"]
    assert found["questions"][0]["kind"] == "choices"
    assert found["questions"][0]["options"][0]["name"] == {"zh": "异味", "en": "smell"}
    assert (found["name"], found["limit"], found["points"]) == ("公共厕所脏臭、设施损坏", "4 work-hours", "1")
    order = [each["code"] for each in (await reports.http.get("/categories")).json()]
    assert order[:2] == ["manhole-cover", "street-light"]
    assert order[-1] == "other-matter"


async def test_who_has_the_catalogue_already_is_told_so_until_it_changes(reports: Inside) -> None:
    first = await reports.http.get("/categories")
    tag = {"If-None-Match": f'"x", W/{first.headers["etag"]}'}
    again = await reports.http.get("/categories", headers=tag)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    await edited(reports, points="0.5")
    assert (await reports.http.get("/categories", headers=tag)).status_code == 200


async def test_an_edit_is_a_new_version_and_the_old_one_stays_readable(reports: Inside) -> None:
    before = await content(reports)
    found = await edited(reports, points="0.5", limits={"verify": "3个工作日"}, questions=[QUESTION])
    assert (found["version"], found["made_by"], found["points"]) == (before["based_on"] + 1, "office", "0.5")
    assert found["limits"] == {"verify": "3 working days"}
    assert (await shown(reports))["points"] == "0.5"
    kept = await versions(reports)
    assert [(each["version"], each["made_by"], each["points"]) for each in kept["versions"]] == [
        (3, "office", "0.5"),
        (2, "categories.json", "0.2"),
    ]
    page = await versions(reports, limit=1)
    assert page["before"] == 3
    assert [each["version"] for each in (await versions(reports, before=3))["versions"]] == [2]


async def test_unchanged_content_makes_no_version(reports: Inside) -> None:
    found = await edited(reports, limit="4个工作时")
    assert found["version"] == 2
    assert len((await versions(reports))["versions"]) == 1


async def test_an_edit_of_an_older_version_is_refused_and_leaves_no_trace(reports: Inside) -> None:
    stale = await content(reports)
    await edited(reports, points="0.5")
    answer = await reports.http.put(
        "/categories/exposed-rubbish", json={**stale, "points": "0.7"}, headers=office(reports)
    )
    body = answer.json()
    assert (answer.status_code, body["code"], body["field"], body["current"]) == (409, "category-stale", "based_on", 3)
    assert (await shown(reports))["points"] == "0.5"


async def test_of_edits_at_the_same_time_one_takes_effect(reports: Inside, other: Inside) -> None:
    body = await content(reports)
    requests = [
        each.http.put("/categories/exposed-rubbish", json={**body, "points": f"0.{number}"}, headers=office(each))
        for number, each in enumerate([reports, other, reports, other], start=3)
    ]
    answers = await asyncio.gather(*requests)
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    [taken] = [answer.json() for answer in answers if answer.status_code == 200]
    kept = (await versions(reports))["versions"]
    assert [each["points"] for each in kept] == [taken["points"], "0.2"]


async def test_an_edit_sent_twice_with_one_key_takes_effect_once(reports: Inside) -> None:
    body = {**await content(reports), "points": "0.5"}
    headers = {**office(reports), "Idempotency-Key": "edit-1"}
    first, again = [await reports.http.put("/categories/exposed-rubbish", json=body, headers=headers) for _ in range(2)]
    assert (again.status_code, again.content) == (200, first.content)
    assert len((await versions(reports))["versions"]) == 2


async def test_another_process_works_by_an_edit_soon_and_this_one_at_once(reports: Inside, other: Inside) -> None:
    assert (await shown(other))["points"] == "0.2"
    await edited(reports, points="0.5", unit="chengguan")
    assert (await filed(reports))["unit"] == "chengguan"

    async def seen() -> bool:
        return bool((await shown(other))["points"] == "0.5")

    assert await eventually(seen)
    assert (await filed(other))["unit"] == "chengguan"


async def test_an_open_case_keeps_its_limit_and_points(reports: Inside) -> None:
    case = await filed(reports)
    await edited(reports, points="9", limit="1 work-hour")
    after = await filed(reports)
    assert (case["due_at"], after["due_at"]) == ("2026-11-23T07:00:00Z", "2026-11-23T02:00:00Z")
    kept = (await reports.http.get(f"/cases/{case['case']}")).json()["snapshot"]
    assert (kept["category_version"], kept["points"], kept["due_at"]) == (2, "0.2", case["due_at"])


async def test_a_retired_category_takes_no_new_cases_until_it_is_restored(reports: Inside) -> None:
    case = await filed(reports)
    body = await reports.http.post("/categories/exposed-rubbish/retire", json={"based_on": 2}, headers=office(reports))
    assert (body.status_code, body.json()["retired"], body.json()["version"]) == (200, True, 3)
    refused = await reports.http.post("/cases", json=REPORT)
    assert (refused.status_code, refused.json()["code"]) == (422, "category-retired")
    assert "exposed-rubbish" not in [each["code"] for each in (await reports.http.get("/categories")).json()]
    assert (await shown(reports))["retired"]
    assert (await reports.http.get(f"/cases/{case['case']}")).json()["snapshot"]["category"] == "exposed-rubbish"
    kept = await edited(reports, points="0.5")
    assert (kept["version"], kept["retired"]) == (4, True)
    await reports.http.post("/categories/exposed-rubbish/restore", json={"based_on": 4}, headers=office(reports))
    assert (await filed(reports))["state"] == "dispatched"


async def test_a_new_category_can_be_reported_at_once(reports: Inside) -> None:
    body = await content(reports)
    new = {**body, "code": "fly-tipping", "unit": None, "points": "1"}
    del new["based_on"]
    answer = await reports.http.post("/categories", json=new, headers=office(reports))
    assert (answer.status_code, answer.headers["location"]) == (201, "/categories/fly-tipping")
    assert answer.json()["version"] == 1
    assert (await filed(reports, category="fly-tipping"))["unit"] == "yangliu"
    again = await reports.http.post("/categories", json=new, headers=office(reports))
    assert (again.status_code, again.json()["code"]) == (409, "category-exists")


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"group": "nothing"}, 422, "group-unknown", "group"),
        ({"unit": "nobody"}, 422, "unit-unknown", "unit"),
        ({"supporting": ["huanwei"]}, 422, "lead-among-supporting", "supporting"),
        ({"limit": "2 hours"}, 422, "limit-unreadable", "limit"),
        ({"limits": {"verfiy": "1 working day"}}, 422, "stage-without-limit", "limits.other"),
        ({"points": 0.5}, 422, "validation", "points"),
        ({"points": "-1"}, 422, "validation", "points"),
        ({"points": "100.5"}, 422, "points-unfit", "points"),
        ({"name": {"zh": "<b>", "en": ""}}, 422, "text-has-markup", "name.zh"),
        ({"questions": [QUESTION, QUESTION]}, 422, "listed-twice", "questions"),
        ({"questions": [{**QUESTION, "requierd": True}]}, 422, "validation", "questions.0.requierd"),
        ({"questions": [{**QUESTION, "kind": "choice"}]}, 422, "options-unfit", "questions.0.options"),
        ({"based_on": None}, 422, "validation", "based_on"),
        ({"version": 7}, 422, "validation", "version"),
    ],
)
async def test_what_the_file_must_not_say_is_refused_by_name(
    reports: Inside, change: dict[str, Any], status: int, code: str, field: str
) -> None:
    body = {**await content(reports), **change}
    answer = await reports.http.put("/categories/exposed-rubbish", json=body, headers=office(reports))
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (status, code, field)
    assert (await versions(reports))["version"] == 2


async def test_nothing_of_a_category_may_be_left_out(reports: Inside) -> None:
    body = await content(reports)
    for name in CONTENT:
        lacking = {key: value for key, value in body.items() if key != name}
        answer = await reports.http.put("/categories/exposed-rubbish", json=lacking, headers=office(reports))
        assert (answer.status_code, answer.json()["field"]) == (422, name)


async def test_who_may_not_is_told_so(reports: Inside) -> None:
    body = await content(reports)
    for headers, status in ((None, 401), (reports.token("dispatcher"), 403), (reports.token("citizen"), 403)):
        answers = [
            await reports.http.put("/categories/exposed-rubbish", json=body, headers=headers),
            await reports.http.post("/categories/exposed-rubbish/retire", json={"based_on": 2}, headers=headers),
        ]
        assert {answer.status_code for answer in answers} == {status}
    assert (await reports.http.get("/categories/exposed-rubbish")).status_code == 401
    missing = await reports.http.get("/categories/nothing", headers=office(reports))
    assert (missing.status_code, missing.json()["code"]) == (404, "categories-not-found")
    put = await reports.http.put("/categories/nothing", json=body, headers=office(reports))
    assert (put.status_code, put.json()["code"]) == (404, "categories-not-found")


async def test_every_change_is_in_a_chain_that_shows_when_it_was_edited(reports: Inside) -> None:
    await edited(reports, points="0.5")
    await reports.http.post("/categories/noise/retire", json={"based_on": 2}, headers=office(reports))
    rows = await reports.runtime.store.find(AUDIT, {"chain": "catalogue"}, [("number", 1)])
    assert [(row.action, row.subject, row.who) for row in rows] == [
        ("adopt", "categories.json", "categories.json"),
        ("change", "exposed-rubbish:3", "office"),
        ("retire", "noise:3", "office"),
    ]
    assert rows[1].detail == {"fields": "points"}
    assert audit.verify(rows, head=rows[-1].hash) is None


async def test_a_newer_file_is_adopted_and_an_older_one_leaves_what_the_office_edited(
    reports: Inside, mongodb_uri: str, namespace: str, tmp_path: Path
) -> None:
    await edited(reports, points="0.5")
    await edited(reports, "graffiti", points="0.3")
    folder = Path(shutil.copytree(DISTRICT, tmp_path / "district"))
    file = json.loads((folder / "categories.json").read_text(encoding="utf-8"))
    rows = {row["code"]: row for row in file["categories"]}
    rows["exposed-rubbish"] |= {"version": 3, "points": "7"}
    rows["graffiti"] |= {"version": 9, "points": "8"}
    rows["noise"] |= {"points": "9"}
    file["categories"].append({**rows["noise"], "code": "loud-music", "version": 4})
    (folder / "categories.json").write_text(json.dumps(file), encoding="utf-8")

    async with AsyncExitStack() as stack:
        starting = [
            inside(SERVICE, FixedClock(MONDAY), tmp_path / name, mongodb_uri, namespace, district=folder)
            for name in ("one", "two")
        ]
        one, two = await asyncio.gather(*(stack.enter_async_context(each) for each in starting))
        for process in (one, two):
            points = {code: (await shown(process, code))["points"] for code in ("exposed-rubbish", "graffiti", "noise")}
            assert points == {"exposed-rubbish": "0.5", "graffiti": "8", "noise": "0.5"}
            assert (await shown(process, "loud-music"))["version"] == 4
    assert await reports.runtime.store.count(CATEGORY_VERSIONS, {"category.code": "graffiti"}) == 3
    entries = await reports.runtime.store.find(AUDIT, {"chain": "catalogue"}, [("number", 1)])
    assert entries[-1].detail == {"graffiti": "9", "loud-music": "4"}
    assert audit.verify(entries) is None


async def test_answers_are_kept_with_the_case_and_never_told_outside(reports: Inside) -> None:
    await edited(reports, questions=[QUESTION])
    for answers, code in (({}, "answer-required"), ({"size": "很大"}, "answer-not-a-number")):
        refused = await reports.http.post("/cases", json={**REPORT, "answers": answers})
        body = refused.json()
        assert (refused.status_code, body["code"], body["field"]) == (422, code, "answers.size")
    await filed(reports, reports.token("dispatcher"), channel="hotline")
    id = (await filed(reports, answers={"size": "731"}))["case"]
    officer = reports.token("officer", unit="huanwei")
    assert (await reports.http.get(f"/cases/{id}", headers=officer)).json()["answers"] == {"size": "731"}
    assert (await reports.http.get(f"/cases/{id}")).json()["answers"] is None
    rows = await reports.runtime.store.find(OUTBOX, {})
    assert all("731" not in row.value.decode() for row in rows)


async def test_staff_can_read_why_a_case_went_where_it_went(reports: Inside) -> None:
    reports.clock.advance(timedelta(hours=14))
    id = (await filed(reports, category="road-collapse"))["case"]
    body = (await reports.http.get(f"/cases/{id}", headers=office(reports))).json()["routing"]
    assert (body["unit"], body["why"], body["supporting"]) == ("yingji", "category", ["shizheng", "jiaojing"])
    assert body["reasons"] == [
        {
            "zh": "“路面塌陷”在全区，工作时间外：由应急管理局负责",
            "en": "“Road collapse” in the whole district, outside working hours:"
            " Emergency Management Bureau answers for it",
        }
    ]
    assert (await reports.http.get(f"/cases/{id}")).json()["routing"] is None


async def test_the_office_can_ask_where_something_would_go(reports: Inside) -> None:
    place = {"longitude": 112.601, "latitude": 26.904}
    asked: list[tuple[dict[str, Any], str | None, str]] = [
        ({"category": "food-stall", **place}, "shichang", "category-and-grid"),
        ({"category": "site-dust", "at": "2026-11-23T23:00:00+08:00", **place}, "chengguan", "category"),
        ({"category": "site-dust", "at": "2026-11-23T21:00:00+08:00", **place}, "jianshe", "category"),
        ({"category": "other-matter", **place}, None, "triage"),
    ]
    for query, unit, why in asked:
        answer = await reports.http.get("/routing", params=query, headers=office(reports))
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["unit"], body["why"], body["areas"]["grid"]) == (unit, why, "430476001007002")
        assert body["reasons"]


@pytest.mark.parametrize(
    ("query", "status", "code", "field"),
    [
        ({"category": "nothing"}, 422, "category-unknown", "category"),
        ({"longitude": 116.39}, 422, "place-outside-district", "longitude"),
        ({"latitude": 91}, 422, "validation", "latitude"),
        ({"at": "2026-11-23T22:00:00"}, 422, "validation", "at"),
        ({"at": "2050-01-01T00:00:00Z"}, 422, "calendar-without-year", "at"),
        ({"at": "2200-12-31T23:59:00Z"}, 422, "calendar-without-year", "at"),
        ({"at": "9999-12-31T23:59:00Z"}, 422, "validation", "at"),
        ({"at": "1900-01-01T00:00:00+14:00"}, 422, "calendar-without-year", "at"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_name(
    reports: Inside, query: dict[str, Any], status: int, code: str, field: str
) -> None:
    whole = {"category": "road-collapse", "longitude": 112.6, "latitude": 26.885, **query}
    answer = await reports.http.get("/routing", params=whole, headers=office(reports))
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (status, code, field)
    assert (await reports.http.get("/routing", params=whole, headers=reports.token("verifier"))).status_code == 403
