"""Channels over HTTP: who may use which, what is recorded of the reporter, and praise."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from services.reports.app import SERVICE
from services.reports.repo import CASES
from shared.clock import FixedClock
from shared.contracts.reports import Channel, Kind, ReporterKind
from shared.store import OUTBOX
from tests.inprocess import Inside, inside
from tests.integration.reports_world import MONDAY, REPORT, case_of, filed, step


@pytest.fixture
async def reports(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(SERVICE, FixedClock(MONDAY), tmp_path, mongodb_uri, namespace) as service:
        yield service


async def test_staff_files_for_a_caller_with_the_callers_consent(reports: Inside) -> None:
    body = {
        **REPORT,
        "channel": "staff",
        "reporter": {"name": "王女士", "phone": "0734-8888888", "may_call": True, "may_publish": False},
    }
    answer = await reports.http.post("/cases", json=body, headers=reports.token("dispatcher"))
    case = await case_of(reports, answer.json()["case"])
    assert (case.channel, case.reporter_kind) == (Channel.STAFF, ReporterKind.CITIZEN)
    assert case.reporter is not None
    assert (case.reporter.may_call, case.reporter.may_publish) == (True, False)
    assert reports.runtime.resources.reporters.person(case.reporter).name == "王女士"
    assert case.timeline[0].who == "dispatcher"
    view = (await reports.http.get(f"/cases/{case.id}")).json()
    assert (view["snapshot"]["channel"], view["snapshot"]["reporter_kind"]) == ("staff", "citizen")


@pytest.mark.parametrize(
    ("role", "change", "status", "code"),
    [
        ("citizen", {"channel": "patrol"}, 403, "channel-reserved"),
        ("officer", {"channel": "staff"}, 403, "channel-reserved"),
        ("verifier", {"channel": "media"}, 403, "channel-reserved"),
        ("citizen", {"reporter_kind": "journalist"}, 403, "reporter-kind-reserved"),
        ("citizen", {"reporter_kind": "volunteer"}, 403, "reporter-kind-reserved"),
        ("citizen", {"reporter_kind": "inspector"}, 422, "validation"),
        ("office", {"channel": "inspection"}, 422, "validation"),
        ("office", {"channel": "pigeon"}, 422, "validation"),
        ("office", {"channel": "other"}, 422, "validation"),
        ("citizen", {"kind": "gossip"}, 422, "validation"),
    ],
)
async def test_a_channel_or_a_capacity_of_others_is_refused_by_name(
    reports: Inside, role: str, change: dict[str, str], status: int, code: str
) -> None:
    answer = await reports.http.post("/cases", json={**REPORT, **change}, headers=reports.token(role))
    body = answer.json()
    assert (answer.status_code, body["code"], body["field"]) == (status, code, next(iter(change)))
    assert await reports.runtime.store.count(CASES, {}) == 0


@pytest.mark.parametrize(
    ("role", "channel", "kind"), [("verifier", "patrol", "staff"), ("office", "media", "journalist")]
)
async def test_each_channel_has_its_usual_reporter(reports: Inside, role: str, channel: str, kind: str) -> None:
    answer = await reports.http.post("/cases", json={**REPORT, "channel": channel}, headers=reports.token(role))
    case = await case_of(reports, answer.json()["case"])
    assert (case.channel, case.reporter_kind) == (channel, kind)


async def test_praise_goes_to_its_unit_is_closed_at_once_and_costs_nothing(reports: Inside) -> None:
    # The category asks of a problem for a photo and has it done within 4 work-hours.
    id = await filed(reports, kind="praise", category="manhole-cover", text="换得真快，点赞")
    case = await case_of(reports, id)
    assert (case.kind, case.state, case.unit) == (Kind.PRAISE, "closed", "shizheng")
    assert (case.due_at, case.stage_due_at, case.deadline_at) == (None, None, None)
    assert (case.points, case.clocks) == (Decimal(0), [])
    [row] = await reports.runtime.store.find(OUTBOX, {"subject": id})
    assert row.type == "chuangwen.reports.case-registered.v1"
    assert row.event.data.case.state == "closed"  # type: ignore[attr-defined]
    for command, body in (("reopen", {"reason": "再来"}), ("dispatch", {"unit": "chengguan"})):
        answer = await reports.http.post(f"/cases/{id}/{command}", json=body, headers=reports.token("office"))
        assert answer.status_code == 409, command


async def test_praise_is_neither_offered_as_a_duplicate_nor_makes_a_repeat(reports: Inside) -> None:
    await filed(reports, kind="praise")
    problem = await filed(reports)
    assert (await case_of(reports, problem)).repeat_of is None
    praise = await filed(reports, kind="praise")
    await step(reports, problem, "acknowledge", reports.token("officer", unit="huanwei"))
    similar = (await reports.http.post("/cases/similar", json={k: REPORT[k] for k in REPORT})).json()
    assert [each["case"] for each in similar] == [problem]
    assert praise not in str(similar)
