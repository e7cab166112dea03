"""What tests of reporters share: a report with a name on it, a district with other rules, the steps of a case."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.local.stack import DISTRICT
from services.reports.app import SERVICE
from services.reports.commands.audit import CHAIN
from services.reports.domain import Case
from services.reports.repo import CASES
from shared.clock import FixedClock
from shared.contracts.reports import CaseState
from shared.store.mongo import MongoDriver
from tests.inprocess import Inside, inside
from tests.photo_samples import from_telephone

MONDAY = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
"""09:00 in Asia/Shanghai."""
REPORT: dict[str, Any] = {
    "category": "exposed-rubbish",
    "longitude": 112.6,
    "latitude": 26.885,
    "address": "祥光社区北门",
    "text": "垃圾桶满了没人清",
}
WANG = {"name": "王桂花女士", "phone": "0734-8765432"}
UNIT = "huanwei"
PEOPLE = {"chain": CHAIN}
"""Rows of the audit log that are about people."""


def district_with(folder: Path, **rules: object) -> Path:
    """A copy of the sample district with other rules for reporters."""
    copy = folder / "district"
    shutil.copytree(DISTRICT, copy)
    file = copy / "reporting.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | rules))
    return copy


@asynccontextmanager
async def reports_with(
    folder: Path, mongodb_uri: str, namespace: str, rules: dict[str, object] | None = None, **settings: object
) -> AsyncIterator[Inside]:
    """The reports service on a Monday morning, under other rules."""
    content = {"reports_per_minute": 1000, **settings}
    if rules:
        content["district"] = district_with(folder, **rules)
    async with inside(SERVICE, FixedClock(MONDAY), folder, mongodb_uri, namespace, **content) as service:
        yield service


async def filed(reports: Inside, caller: dict[str, str] | None = None, **change: object) -> dict[str, Any]:
    """The receipt of a new case."""
    answer = await reports.http.post("/cases", json={**REPORT, **change}, headers=caller or {})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def pictured(reports: Inside) -> str:
    """A photo to be named in a report."""
    answer = await reports.http.post("/photos", content=from_telephone())
    assert answer.status_code == 201, answer.text
    photo: str = answer.json()["photo"]
    return photo


async def done(reports: Inside, case: str, step: str, body: Any = None, *, by: dict[str, str]) -> dict[str, Any]:
    """A step of a case that has to succeed."""
    answer = await reports.http.post(f"/cases/{case}/{step}", json=body, headers=by)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


async def closed(reports: Inside, case: str) -> None:
    """Through all hands to sign-off."""
    officer = reports.token("officer", unit=UNIT)
    await done(reports, case, "acknowledge", by=officer)
    await done(reports, case, "reply", {"text": "已清运"}, by=officer)
    await done(reports, case, "verify", {"passed": True}, by=reports.token("verifier"))
    found = await done(reports, case, "close", by=reports.token("office"))
    assert found["state"] == CaseState.CLOSED.value


async def case_of(reports: Inside, id: str) -> Case:
    """The case as it is kept."""
    case = await reports.runtime.store.get(CASES, id)
    assert case is not None
    return case


def mongodb(reports: Inside) -> MongoDriver:
    """The real driver, for what only the server can be asked."""
    driver = reports.runtime.store.driver
    assert isinstance(driver, MongoDriver)
    return driver


async def kept(reports: Inside) -> str:
    """Everything that is in the database, as text."""
    store = reports.runtime.store
    documents = [await store.driver.find(each.name, {}) for each in store._collections]
    assert sum(map(len, documents)) > 0
    return repr(documents)
