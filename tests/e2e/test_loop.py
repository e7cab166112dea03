"""The whole loop through the public interfaces: a report becomes a case, a lost point, a moved ranking."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from services.scoring.domain.ledger import find_flaw
from shared.contracts.scoring import EntryPosted
from tests.processes import Platform
from tests.waiting import eventually

REPORT = {"category": "exposed-rubbish", "longitude": 112.6, "latitude": 26.885, "text": "垃圾桶满了没人清 🗑️"}
DAYS_AHEAD = 20


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=10) as client:
        yield client


async def filed(http: httpx2.AsyncClient, platform: Platform, **change: object) -> dict[str, Any]:
    answer = await http.post(f"{platform.url('reports')}/cases", json={**REPORT, **change})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def let_days_pass(platform: Platform, days: int) -> None:
    """The district's clock jumps ahead for all processes; it never goes back."""
    setting = platform.folder / "clock.json"
    before = json.loads(setting.read_text()) if setting.exists() else {"real": 0.0, "shown": 0.0, "speed": 1.0}
    now = time.time()
    shown = before["shown"] + (now - before["real"]) * before["speed"] + days * 86_400
    fresh = setting.with_suffix(".new")
    fresh.write_text(json.dumps({"real": now, "shown": shown, "speed": 1.0}))
    fresh.replace(setting)


async def test_a_report_travels_to_the_portal(http: httpx2.AsyncClient, platform: Platform) -> None:
    case = await filed(http, platform)

    async def shown() -> dict[str, Any] | None:
        answer = await http.get(f"{platform.url('portal')}/api/cases/{case['case']}")
        return answer.json() if answer.status_code == 200 else None

    assert await eventually(shown)
    page = await http.get(f"{platform.url('portal')}/cases/{case['case']}")
    assert page.status_code == 200
    assert case["case"] in page.text
    assert "垃圾桶满了" not in page.text


async def test_a_case_handled_in_time_is_closed_for_everybody(http: httpx2.AsyncClient, platform: Platform) -> None:
    case = await filed(http, platform)
    officer = platform.token("officer", unit=case["unit"])
    for step, body, caller in (
        ("acknowledge", None, officer),
        ("reply", {"text": "已清运"}, officer),
        ("verify", {"passed": True}, platform.token("verifier")),
        ("close", None, platform.token("office")),
    ):
        address = f"{platform.url('reports')}/cases/{case['case']}/{step}"
        answer = await http.post(address, json=body, headers=caller)
        assert answer.status_code == 200, answer.text

    async def closed() -> bool:
        page = await http.get(f"{platform.url('portal')}/cases/{case['case']}")
        return "已销号" in page.text

    assert await eventually(closed)


async def test_an_overdue_case_costs_its_unit_points_that_anybody_can_recompute(
    http: httpx2.AsyncClient, platform: Platform
) -> None:
    case = await filed(http, platform)
    due = case["due_at"]
    let_days_pass(platform, DAYS_AHEAD)

    async def ledger() -> dict[str, Any]:
        answer = await http.get(f"{platform.url('scoring')}/units/{case['unit']}/ledger?limit=500")
        found: dict[str, Any] = answer.json()
        return found

    async def entry() -> EntryPosted | None:
        rows = [EntryPosted.model_validate(row) for row in (await ledger())["entries"]]
        return next((row for row in rows if (row.case, row.rule) == (case["case"], "case-overdue")), None)

    mine = await eventually(entry)
    assert mine.happened_at.isoformat().startswith(due[:19])
    period = mine.period

    async def agreed() -> Decimal | None:
        """What the unit lost by its ledger, once the portal says the same: later levels of lateness come one by one."""
        found = await ledger()
        rows = [EntryPosted.model_validate(row) for row in found["entries"]]
        assert find_flaw(case["unit"], rows, found["head"]) is None
        lost = sum((row.points for row in rows if row.period == period), Decimal(0))
        ranking = (await http.get(f"{platform.url('portal')}/api/ranking", params={"period": period})).json()
        [standing] = [row for row in ranking["standings"] if row["unit"] == case["unit"]]
        same = (Decimal(standing["points_lost"]), Decimal(standing["score"])) == (lost, max(Decimal(0), 100 - lost))
        return lost if same else None

    assert await eventually(agreed) >= mine.points
