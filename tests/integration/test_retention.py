"""What has been kept long enough goes, whole and once, whoever is killed while it goes; and it is proved."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.reports.commands import retention
from services.reports.commands.retention import JOB
from services.reports.domain.documents import ERASED
from services.reports.handlers import on_retention_due
from services.reports.repo import CASES, DOCUMENTS, ERASURES, FOLLOWERS, RETENTION
from services.reports.resources import Resources
from shared.audit.log import AUDIT
from shared.contracts.reports import CaseState
from shared.deadlines import Deadline, Timekeeper
from shared.errors import Unavailable
from shared.store import OUTBOX, UnitOfWork, Write
from tests.inprocess import Inside
from tests.reporting import (
    MONDAY,
    PEOPLE,
    UNIT,
    WANG,
    case_of,
    closed,
    done,
    filed,
    kept,
    mongodb,
    pictured,
    reports_with,
)
from tests.waiting import eventually

KEPT = timedelta(days=30)


@pytest.fixture
async def reports(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with reports_with(tmp_path, mongodb_uri, namespace, {"retention_days": KEPT.days}) as service:
        yield service


async def many_closed(reports: Inside, count: int) -> list[str]:
    """Cases that ended on Monday, with somebody's name and words in each."""
    ids = []
    for number in range(count):
        filed_case = await filed(reports, reporter={"name": WANG["name"], "phone": f"0734-8{number:06}"})
        ids.append(filed_case["case"])

    async def end(uow: UnitOfWork) -> None:
        for case in (await uow.load(CASES, ids)).values():
            case.state, case.closed_at, case.ended_at, case.deadline_at = CaseState.CLOSED, MONDAY, MONDAY, None
            case.clocks.clear()
            uow.save(CASES, case)

    await reports.runtime.store.run(end)
    return ids


def timekeeper(reports: Inside) -> Timekeeper[Resources]:
    return Timekeeper(reports.runtime.store, Deadline(RETENTION, on_retention_due), reports.runtime.resources)


async def night(reports: Inside) -> None:
    """The job runs until nothing more is due."""
    keeper = timekeeper(reports)
    while await keeper.look():
        pass


async def night_after_a_death(reports: Inside) -> bool | None:
    """The same where the dead may have left a transaction open, which keeps its documents for a while."""
    try:
        await night(reports)
    except Unavailable:
        return None
    job = await reports.runtime.store.get(RETENTION, retention.JOB)
    return True if job is not None and job.deadline_at > reports.clock.now() else None


@pytest.fixture
async def soon_forgotten(reports: Inside) -> AsyncIterator[None]:
    """The server ends transactions that nobody goes on with after 2 s instead of 60."""
    admin = mongodb(reports)._client.admin
    before = await admin.command({"setParameter": 1, "transactionLifetimeLimitSeconds": 2})
    yield
    await admin.command({"setParameter": 1, "transactionLifetimeLimitSeconds": before["was"]})


async def erased(reports: Inside) -> list[str]:
    """The cases that the reports prove, as often as they are in them; what is erased is what is proved."""
    rows = await reports.runtime.store.find(ERASURES, {})
    cases = await reports.runtime.store.find(CASES, {"erased_at": {"$ne": None}})
    proved = sorted(id for row in rows for id in row.cases)
    assert sorted(case.id for case in cases) == sorted(set(proved))
    assert all(case.text == "" and case.reporter is None and case.tracking is None for case in cases)
    return proved


async def log_is_sound(reports: Inside) -> bool:
    verdict = (await reports.http.get("/audit/verify", headers=reports.token("operator"))).json()
    return verdict["flaw"] is None and verdict["rows"] == await reports.runtime.store.count(AUDIT, PEOPLE)


async def test_what_ended_long_ago_keeps_its_facts_and_figures_only(reports: Inside) -> None:
    filed_case = await filed(reports, reporter=WANG, photos=[await pictured(reports)])
    case, office = filed_case["case"], reports.token("office")
    follower = (await reports.http.post(f"/cases/{case}/follow")).json()["tracking"]
    await reports.http.post("/tracking/update", json={"code": filed_case["tracking"], "text": "我住三楼"})
    await done(reports, case, "comment", {"text": "已电联王桂花女士 07348765432"}, by=office)
    await closed(reports, case)
    before = (await case_of(reports, case)).snapshot()
    reports.clock.advance(KEPT - timedelta(minutes=1))
    await night(reports)
    assert await erased(reports) == []
    reports.clock.advance(timedelta(days=1))
    await night(reports)
    assert await erased(reports) == [case]
    stored = await case_of(reports, case)
    assert stored.snapshot() == before
    assert [fact.note for fact in stored.timeline if fact.note] == [UNIT, "已电联*** ***", "已清运"]
    everything = await kept(reports)
    for private in ("垃圾桶满了", "三楼", "王桂花", "8765432"):
        assert private not in everything
    for code in (filed_case["tracking"], follower):
        assert (await reports.http.post("/tracking", json={"code": code})).status_code == 404
    assert await reports.runtime.store.count(FOLLOWERS, {}) == 0
    assert (await reports.http.get(f"/cases/{case}", headers=office)).json()["reporter"] is None


async def test_what_quotes_or_belongs_to_an_erased_case_goes_with_it(reports: Inside) -> None:
    photo, office = await pictured(reports), reports.token("office")
    answers = {"fault": "missing", "owner-mark": "王桂花家的井"}
    filed_case = await filed(
        reports, category="manhole-cover", text="请联系王桂花女士", photos=[photo], answers=answers, reporter=WANG
    )
    case = filed_case["case"]
    issued = await reports.http.post(f"/cases/{case}/documents", json={"kind": "assignment-order"}, headers=office)
    assert issued.status_code == 201, issued.text
    await done(reports, case, "acknowledge", by=reports.token("officer", unit="shizheng"))
    officer = reports.token("liaison", unit="shizheng")
    await done(reports, case, "reply", {"text": "已电告王桂花女士 0734 8765432"}, by=officer)
    receipt = await reports.http.post(
        f"/cases/{case}/documents", json={"kind": "rectification-receipt"}, headers=officer
    )
    assert receipt.status_code == 201, receipt.text
    await done(reports, case, "verify", {"passed": True}, by=reports.token("verifier"))
    await done(reports, case, "close", by=office)
    for private in ("王桂花", "'longitude': 112.601"):
        assert private in await kept(reports), "what is to go is seen by this test"
    reports.clock.advance(KEPT)
    await night(reports)
    await reports.runtime.resources.files.settle()
    everything = await kept(reports)
    for private in ("王桂", "桂花", "8765432", "'longitude': 112.601"):
        assert private not in everything, "whole, or as a word that the case is found by"
    assert (await case_of(reports, case)).answers == {"fault": "missing"}
    assert (await reports.http.get(f"/photos/{photo}/original", headers=office)).status_code == 404
    assert (await reports.http.get(f"/photos/{photo}/large", headers=office)).status_code == 200
    view = (await reports.http.get(f"/photos/{photo}", headers=office)).json()
    assert (view["noted"], view["case"]) == (None, case)
    paper = await reports.runtime.store.get(DOCUMENTS, issued.json()["id"])
    assert paper is not None
    assert ("情况说明", ERASED) in [(row.label, row.value) for row in paper.paper.rows]
    printed = await reports.http.get(f"/documents/{paper.id}.pdf", headers=office)
    assert printed.status_code == 200


async def test_what_is_not_over_stays_however_old_it_is(reports: Inside) -> None:
    ids = [(await filed(reports, reporter=WANG))["case"] for _ in range(2)]
    rejected = (await filed(reports, category="other-matter", reporter=WANG))["case"]
    await done(reports, rejected, "reject", {"reason": "重复"}, by=reports.token("office"))
    reports.clock.advance(2 * KEPT)
    await closed(reports, ids[1])
    await night(reports)
    assert await erased(reports) == [rejected]
    assert (await case_of(reports, rejected)).timeline[-1].note == "重复"


async def test_a_merged_report_goes_with_the_case_that_it_was_merged_into(reports: Inside) -> None:
    mine, other = await filed(reports, reporter=WANG), await filed(reports)
    await done(reports, mine["case"], "merge", {"into": other["case"]}, by=reports.token("office"))
    reports.clock.advance(2 * KEPT)
    await night(reports)
    assert await erased(reports) == []
    assert (await reports.http.post("/tracking", json={"code": mine["tracking"]})).json()["case"] == other["case"]
    await closed(reports, other["case"])
    reports.clock.advance(KEPT)
    await night(reports)
    assert await erased(reports) == sorted([mine["case"], other["case"]])


async def test_batches_are_bounded_and_each_is_proved(reports: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    ids = await many_closed(reports, 8)
    events = await reports.runtime.store.count(OUTBOX, {})
    reports.clock.advance(KEPT)
    await night(reports)
    assert await erased(reports) == sorted(ids)
    page = (await reports.http.get("/retention/reports", headers=reports.token("discipline"))).json()
    assert [report["count"] for report in page["reports"]] == [2, 3, 3]
    assert {(report["rule"], report["days"]) for report in page["reports"]} == {("retention", 30)}
    audit = (await reports.http.get("/audit?action=erase", headers=reports.token("operator"))).json()["rows"]
    assert [(row["who"], row["detail"]["cases"]) for row in audit] == [("clock", "2"), ("clock", "3"), ("clock", "3")]
    assert await log_is_sound(reports)
    assert await reports.runtime.store.count(OUTBOX, {}) == events
    job = await reports.runtime.store.get(RETENTION, JOB)
    assert job is not None
    assert job.deadline_at.isoformat() == "2026-12-23T19:00:00+00:00"  # 03:00 of the next day in Asia/Shanghai
    await night(reports)
    assert await reports.runtime.store.count(ERASURES, {}) == 3


async def test_codes_of_very_many_followers_go_before_the_case_does(
    reports: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "CODES_AT_ONCE", 2)
    case = (await filed(reports))["case"]
    for _ in range(5):
        await reports.http.post(f"/cases/{case}/follow")
    await closed(reports, case)
    reports.clock.advance(2 * KEPT)
    await night(reports)
    assert await erased(reports) == [case]
    assert await reports.runtime.store.count(FOLLOWERS, {}) == 0


@pytest.mark.parametrize("lost", ["before", "after"])
async def test_a_batch_whose_commit_fails_is_done_again_and_once(
    reports: Inside, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    ids = await many_closed(reports, 8)
    reports.clock.advance(KEPT)
    driver = reports.runtime.store.driver
    transact, calls = driver.transact, 0

    async def failing(writes: list[Write]) -> None:
        nonlocal calls
        calls += 1
        if calls == 2 and lost == "before":
            raise Unavailable("the primary is away")
        await transact(writes)
        if calls == 2:
            raise Unavailable("the answer was lost")

    monkeypatch.setattr(driver, "transact", failing)
    with pytest.raises(Unavailable):
        await night(reports)
    assert 0 < len(await erased(reports)) < len(ids)
    await night(reports)
    assert await erased(reports) == sorted(ids)
    assert await log_is_sound(reports)


@pytest.mark.parametrize(("fatal", "moment"), [(1, "before"), (2, "in"), (2, "after"), (3, "in")])
@pytest.mark.usefixtures("soon_forgotten")
async def test_a_run_that_is_killed_is_taken_up_by_the_next(
    reports: Inside, mongodb_uri: str, namespace: str, tmp_path: Path, fatal: int, moment: str
) -> None:
    ids = await many_closed(reports, 8)
    reports.clock.advance(KEPT)
    settings: dict[str, Any] = {
        "namespace": namespace,
        "mongodb_uri": mongodb_uri,
        "kafka_bootstrap_servers": "127.0.0.1:1",
        "http_port": 0,
        "auth_jwks": "unused",
        "auth_issuer": "unused",
        "portal_url": "http://portal.example",
        "personal_keys": reports.runtime.settings.model_dump()["personal_keys"],
        "district": str(tmp_path / "district"),
    }
    victim = [sys.executable, "-m", "tests.integration.dying_retention", json.dumps(settings)]
    arguments = [reports.clock.now().isoformat(), str(fatal), moment]
    ended = await asyncio.to_thread(subprocess.run, [*victim, *arguments], timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(await erased(reports)) < len(ids)
    assert await eventually(lambda: night_after_a_death(reports))
    assert Counter(await erased(reports)) == Counter(ids)
    assert await log_is_sound(reports)


async def test_several_runs_at_once_erase_each_case_once(reports: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    ids = await many_closed(reports, 9)
    reports.clock.advance(KEPT)
    operator = reports.token("operator")
    runs = [reports.http.post("/retention/runs", headers=operator) for _ in range(3)]
    _, answers = await asyncio.gather(night(reports), asyncio.gather(*runs))
    body = [answer.json() for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 409}
    await night(reports)
    assert await erased(reports) == sorted(ids)
    assert sum(run["erased"] for run in body) <= len(ids)
    assert await log_is_sound(reports)


async def test_an_administrator_runs_it_now_and_is_told_whether_more_is_due(
    reports: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr("services.reports.api.privacy.BATCHES_AT_ONCE", 2)
    await many_closed(reports, 5)
    reports.clock.advance(KEPT)
    operator = reports.token("operator")
    first, second, third = [(await reports.http.post("/retention/runs", headers=operator)).json() for _ in range(3)]
    assert (first, second, third) == (
        {"erased": 4, "more": True},
        {"erased": 1, "more": False},
        {"erased": 0, "more": False},
    )
    [row, *_] = (await reports.http.get("/audit", headers=operator)).json()["rows"]
    assert row["who"] == "operator"
    for role in ("office", "leader", "citizen"):
        answer = await reports.http.post("/retention/runs", headers=reports.token(role))
        assert answer.json()["code"] == "role-required"
    assert (await reports.http.get("/retention/reports", headers=reports.token("citizen"))).status_code == 403


async def test_a_case_that_is_reopened_in_time_is_not_erased(reports: Inside) -> None:
    [case] = await many_closed(reports, 1)

    async def give(uow: UnitOfWork) -> None:
        stored = await uow.get(CASES, case)
        stored.unit = UNIT
        uow.save(CASES, stored)

    await reports.runtime.store.run(give)
    await done(reports, case, "reopen", {"reason": "又有垃圾"}, by=reports.token("office"))
    reports.clock.advance(2 * KEPT)
    await night(reports)
    assert await erased(reports) == []
    assert isinstance((await case_of(reports, case)).registered_at, datetime)
