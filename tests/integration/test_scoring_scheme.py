"""The assessment scheme over HTTP on a real database: drafted, imported, published, measured by."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openpyxl import load_workbook

from services.scoring.api.workbook import MOST_BYTES, XLSX
from services.scoring.app import POSTING, SERVICE
from services.scoring.commands.schemes import retire_succeeded
from services.scoring.handlers.facts import on_fact
from services.scoring.repo import ENTRIES, FACTS, SCHEMES, STANDARDS
from shared.clock import FixedClock
from shared.contracts.inspections import FindingRecorded, Severity
from shared.contracts.reports import Place
from shared.contracts.scoring import FactKind, SchemePublished, SchemeRetired
from shared.deadlines import Deadline, Timekeeper
from shared.event import Event
from shared.store import OUTBOX
from tests.inprocess import Inside, inside

NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)
STOPS = "示例-公益-01-1"
DIRT = "示例-环境-01-1"


@pytest.fixture
async def scoring(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(SERVICE, FixedClock(NOON), tmp_path, mongodb_uri, namespace) as scoring:
        yield scoring


async def done(scoring: Inside, method: str, address: str, role: str, body: object = None) -> Any:
    """The answer to what is allowed."""
    answer = await scoring.http.request(method, address, json=body, headers=scoring.token(role))
    assert answer.is_success, answer.text
    return answer.json()


async def table(scoring: Inside, version: int) -> bytes:
    answer = await scoring.http.get(f"/schemes/{version}/table", headers=scoring.token("office"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == XLSX
    return answer.content


async def imported(scoring: Inside, address: str, content: bytes, type: str = XLSX) -> httpx2.Response:
    headers = {**scoring.token("office"), "content-type": type}
    return await scoring.http.post(address, content=content, headers=headers)


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def said(scheme: dict[str, Any]) -> dict[str, Any]:
    """What a version says, as it is sent."""
    return {name: scheme[name] for name in ("name", "source", "categories")}


async def published_events(scoring: Inside) -> list[tuple[str, dict[str, Any]]]:
    rows = await scoring.runtime.store.find(OUTBOX, {"topic": "scoring.scheme"}, [("created_at", 1), ("_id", 1)])
    return [(row.type, json.loads(row.value)) for row in rows]


async def test_the_districts_edition_is_in_force_from_the_start_and_everybody_may_read_it(scoring: Inside) -> None:
    answer = await scoring.http.get("/schemes/in-force")
    scheme = answer.json()
    assert (scheme["version"], scheme["state"], scheme["effective_from"]) == (1, "published", "2026-01-01")
    assert "示例" in scheme["name"]
    codes = {content["code"] for category in scheme["categories"] for content in category["contents"]}
    reported = json.loads((Path("deploy/sample/hengyang") / "categories.json").read_bytes())["categories"]
    assert {code for category in reported for code in category.get("indicators", [])} == codes
    [(type, content)] = await published_events(scoring)
    assert (type, content["version"], content["standards"]) == (SchemePublished.TYPE, 1, scheme["standards"])
    assert await scoring.runtime.store.count(STANDARDS, {}) == scheme["standards"]


async def test_an_edition_is_adopted_once_and_a_higher_one_takes_its_place(
    scoring: Inside, mongodb_uri: str, namespace: str, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    again.mkdir()
    async with inside(SERVICE, scoring.clock, again, mongodb_uri, namespace) as second:
        assert len(await done(second, "GET", "/schemes", "office")) == 1
    assert len(await published_events(scoring)) == 1


async def test_a_version_from_draft_to_retirement(scoring: Inside) -> None:
    draft = await done(scoring, "POST", "/schemes/1/copy", "office", {"name": "2027年测评体系（示例）"})
    assert (draft["version"], draft["state"], draft["revision"]) == (2, "draft", 1)
    whole = await done(scoring, "GET", "/schemes/2", "office")
    body = said(whole)
    body["categories"][0]["contents"][0]["standards"][0]["points"] = "12"
    gone = body["categories"].pop(1)["code"]
    changed = await done(scoring, "PUT", "/schemes/2", "office", {**body, "based_on": 1})
    assert changed["revision"] == 2
    found = await done(scoring, "GET", "/schemes/2/differences?since=1", "office")
    hows = {(each["what"], each["code"]): each["how"] for each in found["differences"]}
    assert hows["standard", DIRT] == "changed"
    assert hows["category", gone] == "removed"
    [change] = next(each["fields"] for each in found["differences"] if each["code"] == DIRT)
    assert change == {"field": "points", "before": "10", "after": "12"}
    published = await done(
        scoring, "POST", "/schemes/2/publish", "leader", {"based_on": 2, "effective_from": "2027-01-01"}
    )
    assert (published["state"], published["effective_from"]) == ("published", "2027-01-01")
    one = await done(scoring, "GET", "/schemes/1", "office")
    assert (one["state"], one["ends_at"]) == ("published", "2026-12-31T16:00:00Z")
    keeper = Timekeeper(scoring.runtime.store, Deadline(SCHEMES, retire_succeeded), None)
    assert await keeper.look() == 0
    scoring.clock.set(datetime(2026, 12, 31, 16, tzinfo=UTC) + timedelta(seconds=1))
    assert await keeper.look() == 1
    assert await keeper.look() == 0
    one = await done(scoring, "GET", "/schemes/1", "office")
    assert (one["state"], one["retired_at"]) == ("retired", "2026-12-31T16:00:00Z")
    assert (await done(scoring, "GET", "/schemes/in-force", "office"))["version"] == 2
    before = await scoring.http.get("/schemes/in-force", params={"at": "2026-12-31T15:59:59Z"})
    assert before.json()["version"] == 1
    await done(scoring, "POST", "/schemes/2/retire", "leader")
    assert refusal(await scoring.http.get("/schemes/in-force")) == (404, "scheme-not-in-force")
    assert [type for type, _ in await published_events(scoring)] == [
        SchemePublished.TYPE,
        SchemePublished.TYPE,
        SchemeRetired.TYPE,
        SchemeRetired.TYPE,
    ]


async def test_a_published_version_never_changes(scoring: Inside) -> None:
    whole = await done(scoring, "GET", "/schemes/1", "office")
    content = await table(scoring, 1)
    office = scoring.token("office")
    for answer in (
        await scoring.http.put("/schemes/1", json={**said(whole), "based_on": 1}, headers=office),
        await imported(scoring, "/schemes/1/import?based_on=1", content),
        await scoring.http.post(
            "/schemes/1/publish", json={"based_on": 1, "effective_from": "2027-01-01"}, headers=office
        ),
    ):
        assert refusal(answer) == (409, "scheme-not-a-draft")
    assert await done(scoring, "GET", "/schemes/1", "office") == whole


async def test_of_two_who_edit_the_same_revision_one_is_told_to_look_again(scoring: Inside) -> None:
    await done(scoring, "POST", "/schemes/1/copy", "office", {"name": "草稿"})
    body = {**said(await done(scoring, "GET", "/schemes/2", "office")), "based_on": 1}
    answers = await asyncio.gather(
        *(
            scoring.http.put("/schemes/2", json={**body, "name": f"草稿{number}"}, headers=scoring.token("office"))
            for number in range(4)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"scheme-stale"}
    stale = await scoring.http.post(
        "/schemes/2/publish", json={"based_on": 1, "effective_from": "2027-01-01"}, headers=scoring.token("leader")
    )
    assert refusal(stale) == (409, "scheme-stale")


async def test_two_versions_cannot_begin_on_one_day_and_none_in_the_past(scoring: Inside) -> None:
    for name in ("甲", "乙"):
        await done(scoring, "POST", "/schemes/1/copy", "office", {"name": name})

    async def published(version: int, day: str) -> httpx2.Response:
        body = {"based_on": 1, "effective_from": day}
        return await scoring.http.post(f"/schemes/{version}/publish", json=body, headers=scoring.token("leader"))

    assert refusal(await published(2, "2026-11-22")) == (422, "effective-from-past")
    assert refusal(await published(2, "2026-11-31")) == (422, "day-unfit")
    answers = await asyncio.gather(published(2, "2027-01-01"), published(3, "2027-01-01"))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"scheme-day-taken"}


async def test_a_table_goes_out_and_comes_back_the_same(scoring: Inside) -> None:
    answer = await imported(scoring, "/schemes/import", await table(scoring, 1))
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"].endswith("/schemes/2")
    one, two = [await done(scoring, "GET", f"/schemes/{version}", "office") for version in (1, 2)]
    assert said(one) == said(two)
    assert (await done(scoring, "GET", "/schemes/2/differences?since=1", "office"))["differences"] == []


async def test_a_table_takes_the_place_of_a_named_draft(scoring: Inside) -> None:
    await done(scoring, "POST", "/schemes", "office", {"name": "空白"})
    content = await table(scoring, 1)
    answer = await imported(scoring, "/schemes/2/import?based_on=1&name=新版", content)
    assert (answer.status_code, answer.json()["revision"], answer.json()["name"]) == (200, 2, "新版")
    assert refusal(await imported(scoring, "/schemes/2/import?based_on=1", content)) == (409, "scheme-stale")
    assert refusal(await imported(scoring, "/schemes/9/import?based_on=1", content)) == (404, "schemes-not-found")


async def test_all_faults_of_a_table_are_told_at_once_by_cell_and_nothing_is_written(scoring: Inside) -> None:
    book = load_workbook(io.BytesIO(await table(scoring, 1)))
    sheet = book["责任分解表"]
    sheet["I2"], sheet["N3"], sheet["G4"], sheet["M5"] = "很多", "没有的单位", "=1+1", "月球"
    sheet.merge_cells("A6:A8")
    file = io.BytesIO()
    book.save(file)
    answer = await imported(scoring, "/schemes/import", file.getvalue())
    assert refusal(answer) == (422, "table-faulty")
    content = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert [(each["field"], each["code"]) for each in content["errors"]] == [
        ("I2", "cell-unreadable"),
        ("N3", "unit-unknown"),
        ("G4", "cell-has-formula"),
        ("M5", "venue-type-unknown"),
        ("A6", "cells-merged"),
    ]
    assert content["count"] == 5
    assert "没有的单位" in content["errors"][1]["message"]
    assert len(await done(scoring, "GET", "/schemes", "office")) == 1


async def test_faults_of_what_is_sent_as_json_are_told_by_field(scoring: Inside) -> None:
    body = said(await done(scoring, "GET", "/schemes/1", "office"))
    broken = deepcopy(body)
    broken["name"] = " "
    broken["categories"][0]["contents"][0]["standards"][1]["lead"] = "nobody"
    broken["categories"][3]["contents"][0]["standards"][0]["marking"]["each"] = None
    answer = await scoring.http.post("/schemes", json=broken, headers=scoring.token("office"))
    assert refusal(answer) == (422, "scheme-faulty")
    assert [(each["field"], each["code"]) for each in answer.json()["errors"]] == [
        ("name", "text-required"),
        ("categories.0.contents.0.standards.1.lead", "unit-unknown"),
        ("categories.3.contents.0.standards.0.marking.each", "marking-lacks-each"),
    ]


async def test_what_is_no_table_is_refused(scoring: Inside) -> None:
    assert refusal(await imported(scoring, "/schemes/import", b"a,b\n", "text/csv")) == (
        415,
        "content-type-unsupported",
    )
    assert refusal(await imported(scoring, "/schemes/import", b"no")) == (422, "workbook-unreadable")
    assert refusal(await imported(scoring, "/schemes/import", b"0" * (MOST_BYTES + 1))) == (413, "body-too-large")


@pytest.mark.parametrize(
    ("method", "address", "allowed"),
    [
        ("POST", "/schemes", {"office"}),
        ("POST", "/schemes/import", {"office"}),
        ("PUT", "/schemes/1", {"office"}),
        ("POST", "/schemes/1/publish", {"office", "leader"}),
        ("POST", "/schemes/1/retire", {"office", "leader"}),
        (
            "GET",
            "/schemes/1/table",
            {"office", "leader", "discipline", "officer", "liaison", "verifier", "inspector"},
        ),
        ("POST", "/measurements", {"office", "inspector"}),
        ("GET", "/measurements", {"office", "leader", "discipline", "officer", "liaison", "verifier"}),
    ],
)
async def test_who_may_not_is_refused(scoring: Inside, method: str, address: str, allowed: set[str]) -> None:
    roles = {"office", "operator", "leader", "discipline", "officer", "liaison", "verifier", "inspector", "citizen"}
    assert (await scoring.http.request(method, address)).status_code == 401
    for role in sorted(roles - allowed):
        answer = await scoring.http.request(method, address, headers=scoring.token(role, unit="huanwei"))
        assert refusal(answer) == (403, "role-required"), role


async def test_drafts_are_for_staff(scoring: Inside) -> None:
    await done(scoring, "POST", "/schemes", "office", {"name": "草稿"})
    officer = scoring.token("officer", unit="huanwei")
    assert [each["version"] for each in (await scoring.http.get("/schemes", headers=officer)).json()] == [1]
    for address in (
        "/schemes/2",
        "/schemes/2/table",
        "/schemes/2/differences?since=1",
        "/schemes/1/differences?since=2",
    ):
        assert refusal(await scoring.http.get(address, headers=officer)) == (404, "schemes-not-found")
        assert (await scoring.http.get(address, headers=scoring.token("leader"))).status_code == 200


def measurement(**change: object) -> dict[str, Any]:
    content = {
        "unit": "gongjiao",
        "standard": STOPS,
        "measured": {"found": 4},
        "measured_at": "2026-11-20T02:00:00Z",
        "place": "stop-3",
    }
    return {**content, **change}


async def posted(scoring: Inside) -> dict[str, list[str]]:
    """Have the ledgers written from what was charged; the points of each unit's rows."""
    store = scoring.runtime.store
    for row in await store.find(OUTBOX, {"topic": "scoring.charge"}, [("subject", 1), ("sequence", 1)]):
        event = row.event
        await store.run(lambda uow, event=event: POSTING.handle(uow, event, None))  # type: ignore[misc]  # bound in the loop
    rows: dict[str, list[str]] = {}
    for entry in await store.find(ENTRIES, {}, [("_id", 1)]):
        rows.setdefault(entry.unit, []).append(f"{entry.points.normalize():f}")
    return rows


async def test_a_measurement_costs_its_unit_what_the_standard_says(scoring: Inside) -> None:
    """少一条扣4分: four of six adverts are there."""
    made = await done(scoring, "POST", "/measurements", "inspector", measurement())
    assert (made["lost"], made["points"], made["scheme"], made["indicator"]) == ("8", "20", 1, "示例-公益-01")
    fact = await scoring.runtime.store.get(FACTS, f"measurement/{made['id']}")
    assert fact is not None
    assert (fact.kind, fact.unit, fact.standard, fact.scheme) == (FactKind.MEASUREMENT, "gongjiao", STOPS, 1)
    assert await posted(scoring) == {"gongjiao": ["8"]}
    [entry] = await scoring.runtime.store.find(ENTRIES, {})
    assert (entry.period, entry.indicator, entry.standard, entry.scheme) == ("2026-11", "示例-公益-01", STOPS, 1)
    page = await scoring.http.get("/measurements", headers=scoring.token("officer", unit="gongjiao"))
    assert [each["id"] for each in page.json()["measurements"]] == [made["id"]]


async def test_what_is_measured_of_one_standard_costs_no_more_than_its_points_in_a_month(scoring: Inside) -> None:
    for place in ("a", "b", "c", "d"):
        await done(scoring, "POST", "/measurements", "office", measurement(place=place))
    december = measurement(measured_at="2026-12-01T02:00:00Z")
    scoring.clock.set(datetime(2026, 12, 2, tzinfo=UTC))
    await done(scoring, "POST", "/measurements", "office", december)
    assert await posted(scoring) == {"gongjiao": ["8", "8", "4", "0", "8"]}


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"unit": "nobody"}, 422, "unit-unknown"),
        ({"standard": "nothing"}, 422, "standard-not-in-force"),
        ({"measured_at": "2025-06-01T00:00:00Z"}, 422, "standard-not-in-force"),
        ({"measured_at": "1900-01-01T00:00:00+14:00"}, 422, "standard-not-in-force"),
        ({"measured_at": "0001-01-01T00:00:00+14:00"}, 422, "validation"),
        ({"measured_at": "2026-11-23T05:00:00Z"}, 422, "time-in-future"),
        ({"measured_at": "2200-12-31T23:59:59-12:00"}, 422, "time-in-future"),
        ({"measured": {}}, 422, "measured-missing"),
        ({"measured": {"found": 3, "target": 3}}, 422, "measured-target-set"),
        ({"measured": {"count": 3}}, 422, "measured-missing"),
        ({"measured": {"found": -1}}, 422, "validation"),
        ({"measured": {"ratio": "1.5"}}, 422, "validation"),
        ({"place": "a b"}, 422, "validation"),
    ],
)
async def test_what_cannot_have_been_measured_is_refused(
    scoring: Inside, change: dict[str, object], status: int, code: str
) -> None:
    answer = await scoring.http.post("/measurements", json=measurement(**change), headers=scoring.token("office"))
    assert refusal(answer) == (status, code)
    assert await scoring.runtime.store.count(FACTS, {}) == 0


async def test_nobody_measures_the_own_unit_and_nothing_is_recorded_twice(scoring: Inside) -> None:
    own_answer = await scoring.http.post(
        "/measurements", json=measurement(), headers=scoring.token("inspector", unit="gongjiao")
    )
    assert refusal(own_answer) == (403, "decision-on-own-unit")
    answers = await asyncio.gather(
        *(scoring.http.post("/measurements", json=measurement(), headers=scoring.token("office")) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    headers = {**scoring.token("office"), "Idempotency-Key": "once"}
    same = [await scoring.http.post("/measurements", json=measurement(place="x"), headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in same] == [201, 201]
    assert await posted(scoring) == {"gongjiao": ["8", "8"]}


async def test_measurements_come_page_by_page_and_units_see_their_own(scoring: Inside) -> None:
    for number in range(5):
        await done(scoring, "POST", "/measurements", "office", measurement(place=str(number)))
    other = measurement(unit="huanwei", standard=DIRT, measured={"count": 1})
    await done(scoring, "POST", "/measurements", "office", other)
    seen: list[str] = []
    after = ""
    while True:
        address = "/measurements?limit=2&unit=gongjiao" + (f"&after={after}" if after else "")
        page = await done(scoring, "GET", address, "office")
        seen += [each["place"] for each in page["measurements"]]
        if (after := page["after"]) is None:
            break
    assert seen == ["4", "3", "2", "1", "0"]
    officer = scoring.token("officer", unit="huanwei")
    mine = (await scoring.http.get("/measurements", headers=officer)).json()["measurements"]
    assert [each["unit"] for each in mine] == ["huanwei"]
    others = await scoring.http.get("/measurements?unit=gongjiao", headers=officer)
    assert refusal(others) == (403, "measurements-of-another-unit")


def finding(number: int, standard: str | None = DIRT, severity: Severity = Severity.SEVERE) -> Event:
    content = FindingRecorded(
        visit="20261120-VISITVISIT",
        finding=number,
        site="site",
        place=Place(longitude=112.6, latitude=26.89, community="430476001007"),
        category="exposed-rubbish",
        severity=severity,
        found_at=datetime(2026, 11, 20, 2, tzinfo=UTC),
        standard=standard,
        indicators=("told-by-inspections",),
        unit="huanwei",
    )
    return Event.new(content, content.visit, number, NOON)


async def test_a_finding_has_the_indicator_of_its_standard_and_is_capped_by_its_points(scoring: Inside) -> None:
    store = scoring.runtime.store
    for number in range(1, 13):
        event = finding(number)
        await store.run(lambda uow, event=event: on_fact(uow, event, None))  # type: ignore[misc]  # bound in the loop
    await store.run(lambda uow: on_fact(uow, finding(13, "unknown"), None))
    facts = await store.find(FACTS, {}, [("finding", 1)])
    assert {(fact.indicator, fact.scheme, str(fact.standard_points)) for fact in facts[:12]} == {
        ("示例-环境-01", 1, "10")
    }
    assert (facts[12].indicator, facts[12].scheme, facts[12].standard_points) == ("told-by-inspections", None, None)
    rows = (await posted(scoring))["huanwei"]
    assert sum(map(float, rows)) == 11, "ten points of the standard, and one of what no standard caps"
