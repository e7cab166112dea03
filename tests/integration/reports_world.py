"""The reports service in process on the real database, and what its tests do again and again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from services.reports.domain import Case
from services.reports.repo import CASES
from tests.inprocess import Inside

MONDAY = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
"""09:00 in Asia/Shanghai on an ordinary Monday."""
REPORT: dict[str, Any] = {
    "category": "exposed-rubbish",
    "longitude": 112.6,
    "latitude": 26.885,
    "text": "垃圾桶满了没人清，气味很大",
}


async def filed(reports: Inside, **change: object) -> str:
    """The identity of a case that a stranger files."""
    answer = await reports.http.post("/cases", json={**REPORT, **change})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["case"])


async def case_of(reports: Inside, id: str) -> Case:
    case = await reports.runtime.store.get(CASES, id)
    assert case is not None
    return case


async def step(reports: Inside, id: str, command: str, caller: dict[str, str], body: object = None) -> dict[str, Any]:
    """The receipt of a command that is allowed."""
    answer = await reports.http.post(f"/cases/{id}/{command}", json=body, headers=caller)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


async def signed_off(reports: Inside, id: str, after: timedelta = timedelta()) -> None:
    """Take a case from its unit to sign-off, so long after now."""
    unit = (await case_of(reports, id)).unit
    officer, office = reports.token("officer", unit=unit), reports.token("office")
    await step(reports, id, "acknowledge", officer)
    await step(reports, id, "reply", officer, {"text": "已清运"})
    await step(reports, id, "verify", reports.token("verifier"), {"passed": True})
    reports.clock.advance(after)
    await step(reports, id, "close", office)
