"""The responsibility matrix over HTTP on a real database: who is charged, who may write what, what is missing."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.scoring.app import SERVICE
from services.scoring.handlers.deadlines import on_attachment_due
from services.scoring.repo import FACTS, MATRIX
from shared import audit
from shared.attachments import ATTACHMENTS, GRACE, UNCLAIMED_FOR
from shared.audit.log import AUDIT
from shared.clock import FixedClock
from shared.contracts.inspections import FindingRecorded, Severity
from shared.contracts.reports import CaseReworkOrdered, CaseSnapshot, CaseState, Channel, Place
from shared.deadlines import Deadline, Timekeeper
from shared.errors import NotFound
from shared.event import Event
from shared.store import OUTBOX
from tests.inprocess import Inside, inside
from tests.integration.scoring_world import NOVEMBER, heard, settled

TOILETS = "/matrix/indicator/示例-环境-02"
SECRET = "王小明"
PDF = b"%PDF-1.7\n%plan"
DUTY: dict[str, Any] = {
    "lead": "huanwei",
    "supporting": ["gongce"],
    "leader": {"name": SECRET, "post": "主任"},
    "liaison": {"name": "李四"},
    "task_force": {"name": "公厕专班", "members": [{"name": "赵六", "role": "组长"}]},
    "due": "2027-03-31",
}


@pytest.fixture
async def scoring(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(SERVICE, FixedClock(NOVEMBER), tmp_path, mongodb_uri, namespace) as scoring:
        yield scoring


def office(scoring: Inside) -> dict[str, str]:
    return scoring.token("office")


def liaison(scoring: Inside, unit: str) -> dict[str, str]:
    return scoring.token("liaison", unit=unit)


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def finding(
    visit: str = "V7",
    at: datetime = NOVEMBER,
    *,
    indicator: str | None = "示例-环境-02",
    standard: str | None = None,
    unit: str | None = None,
) -> Event:
    content = FindingRecorded(
        visit=visit,
        finding=1,
        site="P-0042",
        place=Place(longitude=112.6, latitude=26.89, community="430476001007"),
        category="public-toilet",
        severity=Severity.SEVERE,
        found_at=at,
        standard=standard,
        indicators=(indicator,) if indicator else (),
        unit=unit,
    )
    return Event.new(content, visit, 1, at + timedelta(minutes=5))


async def get(scoring: Inside, path: str, headers: dict[str, str] | None = None) -> Any:
    answer = await scoring.http.get(path, headers=headers or office(scoring))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def changed(scoring: Inside, path: str = TOILETS, **change: object) -> Any:
    known = await scoring.http.get(path, headers=office(scoring))
    newest = known.json()["newest"] if known.status_code == 200 else 0
    body = {**DUTY, "effective_from": "2026-11-03", "based_on": newest, **change}
    answer = await scoring.http.put(path, json=body, headers=office(scoring))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def uploaded(scoring: Inside, headers: dict[str, str], content: bytes = PDF) -> str:
    answer = await scoring.http.post("/attachments", content=content, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["attachment"])


async def ledger(scoring: Inside, unit: str) -> list[tuple[str, str]]:
    """What the unit has lost, by rule, once all is posted."""
    await settled(scoring)
    rows = (await get(scoring, f"/units/{unit}/ledger"))["entries"]
    return [(row["rule"], row["points"]) for row in rows]


async def test_a_finding_is_charged_to_who_was_responsible_then_although_the_row_has_changed(scoring: Inside) -> None:
    await changed(scoring, lead="huaxing", supporting=[], effective_from="2026-11-10")
    scoring.clock.set(datetime(2026, 11, 25, 2, tzinfo=UTC))
    rows = (await get(scoring, "/matrix?unit=huaxing&scope=indicator"))["rows"]
    assert {row["lead"] for row in rows if row["code"] == "示例-环境-02"} == {"huaxing"}
    before, after = datetime(2026, 11, 9, 15, 59, tzinfo=UTC), datetime(2026, 11, 9, 16, 0, tzinfo=UTC)
    await heard(scoring, finding("V1", before, unit="chengguan"), finding("V2", after))
    assert await ledger(scoring, "gongce") == [("finding", "1")]
    assert await ledger(scoring, "huaxing") == [("finding", "1")]
    assert await ledger(scoring, "chengguan") == []


async def test_a_change_for_a_day_that_has_passed_counts_for_what_is_told_later_and_takes_a_reason(
    scoring: Inside,
) -> None:
    body = {**DUTY, "effective_from": "2026-10-01", "based_on": 1}
    answer = await scoring.http.put(TOILETS, json=body, headers=office(scoring))
    assert refusal(answer) == (422, "matrix-reason-required")
    await heard(scoring, finding("V1"))
    await changed(scoring, effective_from="2026-10-01", reason="职责已于10月划转")
    await heard(scoring, finding("V2", NOVEMBER - timedelta(days=20)), finding("V1"))
    assert await ledger(scoring, "gongce") == [("finding", "1")]
    assert await ledger(scoring, "huanwei") == [("finding", "1")]


async def test_a_standard_with_a_row_of_its_own_goes_before_its_indicator(scoring: Inside) -> None:
    await changed(scoring, "/matrix/standard/S-7", lead="xiaofang")
    await changed(
        scoring,
        "/matrix/standard/S-7",
        lead=None,
        supporting=[],
        leader=None,
        liaison=None,
        task_force={},
        due=None,
        effective_from="2026-12-01",
    )
    december = datetime(2026, 12, 1, 4, tzinfo=UTC)
    scoring.clock.set(december)
    await heard(scoring, finding("V1", standard="S-7"), finding("V2", december, standard="S-7"))
    assert await ledger(scoring, "xiaofang") == [("finding", "1")]
    assert await ledger(scoring, "gongce") == [("finding", "1")]


async def test_a_case_stays_with_the_unit_that_had_it(scoring: Inside) -> None:
    case = CaseSnapshot(
        case="20261103-ABCDEFGHJK",
        state=CaseState.REWORK,
        channel=Channel.CITIZEN,
        category="public-toilet",
        category_version=1,
        place=Place(longitude=112.6, latitude=26.89, community="430476001007"),
        unit="chengguan",
        registered_at=NOVEMBER,
        indicators=("示例-环境-02",),
        reworks=1,
    )
    await heard(scoring, Event.new(CaseReworkOrdered(case=case), case.case, 1, NOVEMBER))
    assert await ledger(scoring, "chengguan") == [("rework", "0.5")]
    assert await ledger(scoring, "gongce") == []


async def test_what_nobody_answers_for_is_kept_and_laid_to_a_unit_once(scoring: Inside) -> None:
    await heard(scoring, finding("V1", indicator="示例-设施-02"), finding("V2", indicator=None))
    content = await get(scoring, "/facts/unassigned?limit=1")
    assert (content["total"], content["facts"][0]["proposed"]) == (2, None)
    second = await get(scoring, f"/facts/unassigned?after={content['next']}")
    assert [each["visit"] for each in second["facts"]] == ["V2"]
    assert second["next"] is None
    await changed(scoring, "/matrix/indicator/示例-设施-02", lead="paishui", effective_from="2026-11-01", reason="补记")
    [first] = (await get(scoring, "/facts/unassigned?limit=1"))["facts"]
    assert first["proposed"] == "paishui"
    body = {"fact": first["fact"], "unit": "paishui", "reason": "职责补记"}
    answers = await asyncio.gather(
        *(scoring.http.post("/facts/unassigned", json=body, headers=office(scoring)) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"fact-laid", "conflict"}
    await heard(scoring, finding("V1", indicator="示例-设施-02"))
    assert await ledger(scoring, "paishui") == [("finding", "1")]
    assert (await get(scoring, "/facts/unassigned"))["total"] == 1
    [row] = await scoring.runtime.store.find(AUDIT, {"chain": f"fact:{first['fact']}"})
    assert (row.action, row.who, row.reason, row.detail) == ("lay", "office", "职责补记", {"unit": "paishui"})


async def test_what_cannot_be_laid_is_refused_by_name(scoring: Inside) -> None:
    await heard(scoring, finding("V1", indicator=None))
    [content] = (await get(scoring, "/facts/unassigned"))["facts"]
    good = {"fact": content["fact"], "unit": "paishui", "reason": "职责"}
    for change, status, code in (
        ({"unit": "nobody"}, 422, "unit-unknown"),
        ({"reason": " "}, 422, "text-required"),
        ({"fact": "another"}, 422, "fact-unknown"),
    ):
        answer = await scoring.http.post("/facts/unassigned", json={**good, **change}, headers=office(scoring))
        assert refusal(answer) == (status, code)
    fact = await scoring.runtime.store.get(FACTS, content["fact"])
    assert fact is not None
    assert fact.unit == ""
    assert await scoring.runtime.store.find(AUDIT, {"chain": f"fact:{content['fact']}"}) == []


async def test_every_change_is_a_term_in_a_chain_and_nothing_that_was_said_is_lost(scoring: Inside) -> None:
    await changed(scoring, effective_from="2026-12-01")
    row = await changed(scoring, effective_from="2026-11-20", lead="huaxing")
    assert [(term["number"], term["effective_from"], term["lead"]) for term in row["terms"]] == [
        (1, "2026-01-01", "gongce"),
        (2, "2026-12-01", "huanwei"),
        (3, "2026-11-20", "huaxing"),
    ]
    assert row["in_force"] == 1
    days = {"2026-11-19": "gongce", "2026-11-20": "huaxing", "2026-12-01": "huanwei"}
    for day, lead in days.items():
        rows = (await get(scoring, f"/matrix?on={day}"))["rows"]
        assert [each["lead"] for each in rows if each["code"] == "示例-环境-02"] == [lead]
    rows = await scoring.runtime.store.find(AUDIT, {"chain": "matrix:indicator:示例-环境-02"}, [("number", 1)])
    assert [each.action for each in rows] == ["adopt", "change", "change"]
    assert audit.verify(rows, rows[-1].hash) is None
    assert audit.verify([rows[0], rows[2]]) is not None


async def test_what_was_read_before_somebody_else_wrote_is_not_written_over(scoring: Inside) -> None:
    bodies = [
        {**DUTY, "due": f"2027-0{month}-01", "effective_from": "2026-11-03", "based_on": 1} for month in (1, 2, 3)
    ]
    answers = await asyncio.gather(*(scoring.http.put(TOILETS, json=body, headers=office(scoring)) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert (await get(scoring, TOILETS))["newest"] == 2


async def test_a_liaison_sees_to_the_rows_of_the_own_unit_and_to_no_others(scoring: Inside) -> None:
    own_unit, other = liaison(scoring, "gongce"), liaison(scoring, "huanwei")
    force = {"name": "公厕专班", "members": [{"name": "赵六", "role": "组长"}], "based_on": 1}
    plan = {"attachment": await uploaded(scoring, own_unit)}
    for method, path, body in (
        ("PUT", f"{TOILETS}/task-force", force),
        ("PUT", f"{TOILETS}/state", {"state": "under-way"}),
        ("POST", f"{TOILETS}/plans", plan),
    ):
        assert refusal(await scoring.http.request(method, path, json=body, headers=other)) == (
            403,
            "row-of-another-unit",
        )
        for role in ("officer", "verifier", "leader", "discipline", "operator"):
            answer = await scoring.http.request(method, path, json=body, headers=scoring.token(role, unit="gongce"))
            assert refusal(answer) == (403, "role-required"), (role, path)
        assert (await scoring.http.request(method, path, json=body, headers=own_unit)).status_code == 200
    row = await get(scoring, TOILETS, own_unit)
    assert (row["state"], row["terms"][-1]["members"], row["terms"][-1]["effective_from"]) == (
        "under-way",
        [{"name": "赵六", "role": "组长"}],
        "2026-11-03",
    )
    assert row["terms"][-1]["lead"] == row["terms"][0]["lead"]
    change = {**DUTY, "effective_from": "2026-11-03", "based_on": 2}
    assert refusal(await scoring.http.put(TOILETS, json=change, headers=own_unit)) == (403, "role-required")
    assert (await scoring.http.get(TOILETS)).status_code == 401
    await changed(scoring, effective_from="2026-12-01")
    scoring.clock.set(datetime(2026, 12, 1, 4, tzinfo=UTC))
    answer = await scoring.http.put(f"{TOILETS}/state", json={"state": "done"}, headers=own_unit)
    assert refusal(answer) == (403, "row-of-another-unit")
    assert (await scoring.http.put(f"{TOILETS}/state", json={"state": "done"}, headers=other)).status_code == 200


async def test_a_plan_is_read_by_staff_and_the_units_of_its_row_only(scoring: Inside) -> None:
    own_unit = liaison(scoring, "gongce")
    row = (
        await scoring.http.post(
            f"{TOILETS}/plans", json={"attachment": await uploaded(scoring, own_unit)}, headers=own_unit
        )
    ).json()
    assert (row["plans"][0]["number"], row["plans"][0]["kind"], row["plans"][0]["byte_count"]) == (1, "pdf", len(PDF))
    for headers in (own_unit, office(scoring), liaison(scoring, "huanwei"), scoring.token("discipline")):
        answer = await scoring.http.get(f"{TOILETS}/plans/1", headers=headers)
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, PDF, "application/pdf")
        assert answer.headers["content-disposition"] == 'attachment; filename="plan-1.pdf"'
        assert answer.headers["cache-control"] == "no-store"
    for path, headers in (
        (f"{TOILETS}/plans/1", liaison(scoring, "chengguan")),
        (f"{TOILETS}/plans/2", office(scoring)),
        ("/matrix/indicator/unknown/plans/1", office(scoring)),
    ):
        assert refusal(await scoring.http.get(path, headers=headers)) == (404, "plans-not-found")


async def test_what_a_file_is_its_bytes_say_and_another_is_refused(scoring: Inside) -> None:
    docx = io.BytesIO()
    with zipfile.ZipFile(docx, "w") as packed:
        packed.writestr("word/document.xml", "<x/>")
    headers = {**office(scoring), "content-type": "application/pdf"}
    answer = await scoring.http.post("/attachments", content=docx.getvalue(), headers=headers)
    assert (answer.status_code, answer.json()["kind"]) == (201, "docx")
    answer = await scoring.http.post("/attachments", content=b"<script>alert(1)</script>", headers=headers)
    assert refusal(answer) == (415, "attachment-kind-unsupported")
    answer = await scoring.http.post("/attachments", content=b"%PDF-" + bytes(20 * 1024 * 1024), headers=headers)
    assert answer.status_code == 413
    assert await scoring.runtime.store.count(ATTACHMENTS, {}) == 1


async def test_names_of_persons_are_for_the_own_unit_and_those_who_oversee_all(scoring: Inside) -> None:
    body = {**DUTY, "effective_from": "2026-11-03", "based_on": 1, "reason": "分工调整"}
    assert (await scoring.http.put(TOILETS, json=body, headers=office(scoring))).status_code == 200
    for headers in (office(scoring), scoring.token("discipline"), scoring.token("officer", unit="gongce")):
        assert SECRET in (await scoring.http.get(TOILETS, headers=headers)).text
        assert SECRET in (await scoring.http.get("/matrix", headers=headers)).text
    for headers in (scoring.token("officer", unit="yuanlin"), scoring.token("verifier"), scoring.token("officer")):
        for path in (TOILETS, "/matrix"):
            answer = await scoring.http.get(path, headers=headers)
            assert answer.status_code == 200
            assert SECRET not in answer.text
            assert "李四" not in answer.text


async def test_a_file_is_shown_once_by_who_handed_it_in_and_goes_when_nothing_shows_it(scoring: Inside) -> None:
    own_unit, store = liaison(scoring, "gongce"), scoring.runtime.store
    theirs, lost, shown = [await uploaded(scoring, each) for each in (office(scoring), own_unit, own_unit)]
    for attachment, code in ((theirs, "attachment-of-another"), ("unknown", "attachment-unknown")):
        answer = await scoring.http.post(f"{TOILETS}/plans", json={"attachment": attachment}, headers=own_unit)
        assert answer.json()["code"] == code
    for status in (200, 409):
        answer = await scoring.http.post(f"{TOILETS}/plans", json={"attachment": shown}, headers=own_unit)
        assert answer.status_code == status
    scoring.clock.advance(UNCLAIMED_FOR + timedelta(seconds=1))
    timekeeper = Timekeeper(store, Deadline(ATTACHMENTS, on_attachment_due), scoring.runtime.resources)
    assert await timekeeper.look() == 2
    answer = await scoring.http.post(f"{TOILETS}/plans", json={"attachment": lost}, headers=own_unit)
    assert refusal(answer) == (409, "attachment-taken")
    scoring.clock.advance(GRACE)
    assert await timekeeper.look() == 2
    assert [each.id for each in await store.find(ATTACHMENTS, {})] == [shown]
    for gone in (theirs, lost):
        with pytest.raises(NotFound):
            _ = [piece async for piece in store.download(f"attachment/{gone}")]
    assert (await scoring.http.get(f"{TOILETS}/plans/1", headers=own_unit)).content == PDF


async def test_what_is_missing_is_counted_for_the_district_and_for_each_unit(scoring: Inside) -> None:
    content = await get(scoring, "/matrix/gaps")
    assert (content["indicators"], content["complete"], content["unknown"]) == (10, 0, [])
    assert content["counts"] == {"row": 1, "plan": 9, "task-force": 1, "leader": 0, "liaison": 1, "past-due": 0}
    lacking = {each["code"]: (each["unit"], each["missing"]) for each in content["missing"]}
    assert lacking["示例-设施-02"] == (None, ["row"])
    assert lacking["示例-秩序-03"] == ("jiaoyu", ["plan", "task-force", "liaison"])
    own_unit = liaison(scoring, "gongce")
    await scoring.http.post(
        f"{TOILETS}/plans", json={"attachment": await uploaded(scoring, own_unit)}, headers=own_unit
    )
    [unit] = (await get(scoring, "/matrix/gaps?unit=gongce", own_unit))["units"]
    assert (unit["rows"], unit["complete"], sum(unit["counts"].values())) == (1, 1, 0)
    scoring.clock.set(datetime(2027, 7, 1, 4, tzinfo=UTC))
    assert (await get(scoring, "/matrix/gaps"))["counts"]["past-due"] == 9
    await changed(scoring, "/matrix/indicator/X-1", effective_from="2027-07-01")
    assert (await get(scoring, "/matrix/gaps"))["unknown"] == ["X-1"]


@pytest.mark.parametrize(
    ("path", "change", "code", "field"),
    [
        (TOILETS, {"lead": "nobody"}, "unit-unknown", "lead"),
        (TOILETS, {"supporting": ["huanwei"]}, "listed-twice", "supporting.0"),
        (TOILETS, {"effective_from": "2026-02-30"}, "day-unfit", "effective_from"),
        (TOILETS, {"leader": {"name": "<b>甲</b>"}}, "text-has-markup", "leader.name"),
        (TOILETS, {"laed": "x"}, "validation", "laed"),
        ("/matrix/indicator/a b", {"based_on": 0}, "code-malformed", "code"),
    ],
)
async def test_bad_input_is_refused_by_name_and_leaves_no_trace(
    scoring: Inside, path: str, change: dict[str, object], code: str, field: str
) -> None:
    before = await scoring.runtime.store.count(AUDIT, {})
    body = {**DUTY, "effective_from": "2026-11-03", "based_on": 1, **change}
    answer = await scoring.http.put(path, json=body, headers=office(scoring))
    content = answer.json()
    assert (answer.status_code, content["code"]) == (422, code)
    assert field in {content.get("field"), *(each["field"] for each in content.get("errors", []))}
    assert await scoring.runtime.store.count(AUDIT, {}) == before
    assert len(await scoring.runtime.store.find(MATRIX, {})) == 16


async def test_names_of_persons_are_in_no_event_no_log_and_no_audit(
    scoring: Inside, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        await changed(scoring)
        await heard(scoring, finding())
        assert SECRET in (await scoring.http.get(TOILETS, headers=scoring.token("officer", unit="gongce"))).text
        assert SECRET in (await scoring.http.get("/matrix", headers=office(scoring))).text
    written = [row.value.decode() for row in await scoring.runtime.store.find(OUTBOX, {})]
    rows = [json.dumps(row.detail) + row.reason for row in await scoring.runtime.store.find(AUDIT, {})]
    assert written
    content = capsys.readouterr()
    assert SECRET not in "".join([*written, *rows, caplog.text, content.out, content.err])


async def test_what_the_office_wrote_stays_when_the_service_starts_again(
    scoring: Inside, mongodb_uri: str, namespace: str, tmp_path: Path
) -> None:
    await changed(scoring)
    async with inside(SERVICE, FixedClock(NOVEMBER), tmp_path / "again", mongodb_uri, namespace) as again:
        row = await get(again, TOILETS)
        assert [term["lead"] for term in row["terms"]] == ["gongce", "huanwei"]
        assert len(await again.runtime.store.find(MATRIX, {})) == 16
