"""The services in process as their callers see them, and the inputs that are sent to them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

from services.portal.app import SERVICE as PORTAL
from services.portal.clients.reports import Reports
from services.reports.app import SERVICE as REPORTS
from services.scoring.app import SERVICE as SCORING
from shared.clock import FixedClock
from tests.inprocess import Inside, inside
from tests.integration.portal_world import opened
from tests.reporting import district_with

DATA = Path(__file__).with_name("data")
MONDAY = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
"""09:00 in Asia/Shanghai."""
UNIT = "huanwei"
REPORT: dict[str, Any] = {
    "category": "exposed-rubbish",
    "longitude": 112.6012,
    "latitude": 26.8901,
    "text": "垃圾桶满了没人清",
}
TYPED = {"category": "exposed-rubbish", "community": "430476001007", "text": "垃圾桶满了没人清", "may_publish": "1"}
"""What somebody types into the portal's form."""
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def sample(name: str) -> bytes:
    """An input as it is."""
    return (DATA / name).read_bytes()


def body(name: str) -> dict[str, Any]:
    """An input that is JSON, decoded."""
    decoded: dict[str, Any] = json.loads(sample(name))
    return decoded


@asynccontextmanager
async def reports_at(
    moment: datetime, folder: Path, mongodb_uri: str, namespace: str, **settings: object
) -> AsyncIterator[Inside]:
    """The reports service at a moment, its limits on callers so wide that only their own test meets them."""
    limits = {"reports_per_minute": 100_000, "reports_per_minute_overall": 100_000}
    district = district_with(folder, reports_per_day=10_000)
    async with inside(
        REPORTS, FixedClock(moment), folder, mongodb_uri, namespace, district=district, **limits | settings
    ) as reports:
        yield reports


@asynccontextmanager
async def scoring_at(moment: datetime, folder: Path, mongodb_uri: str, namespace: str) -> AsyncIterator[Inside]:
    """The scoring service at a moment."""
    async with inside(SCORING, FixedClock(moment), folder, mongodb_uri, namespace) as scoring:
        yield scoring


@asynccontextmanager
async def portal_before(reports: Inside, folder: Path, mongodb_uri: str, namespace: str) -> AsyncIterator[Inside]:
    """The portal of the reports service that is given; its own copy of the cases stays empty."""
    addresses = {"reports_url": "http://reports", "scoring_url": "http://scoring", "portal_url": "http://reports"}
    async with inside(PORTAL, reports.clock, folder, mongodb_uri, namespace, **addresses) as portal:
        await portal.runtime.resources.reports.close()
        portal.runtime.resources.reports = Reports("http://reports", httpx2.ASGITransport(reports.app))
        yield portal
        await portal.runtime.resources.reports.close()


async def filed(reports: Inside, report: Mapping[str, Any] | None = None, caller: str = "service") -> dict[str, Any]:
    """The receipt of a report that is taken."""
    answer = await reports.http.post("/cases", json=dict(report or REPORT), headers=reports.token(caller))
    receipt: dict[str, Any] = got(answer, 201)
    return receipt


async def step(reports: Inside, case: str, name: str, content: object, *roles: str, unit: str | None = None) -> Any:
    """The answer to a step of a case that has to succeed."""
    answer = await reports.http.post(f"/cases/{case}/{name}", json=content, headers=reports.token(*roles, unit=unit))
    return got(answer, 200)


async def acknowledged(reports: Inside, report: Mapping[str, Any] | None = None) -> str:
    """A case that its unit has in hand."""
    case: str = (await filed(reports, report))["case"]
    await step(reports, case, "acknowledge", None, "officer", unit=UNIT)
    return case


async def imported(reports: Inside, name: str) -> dict[str, Any]:
    """What became of the rows of a hotline table."""
    done: dict[str, Any] = got(await sent_table(reports, sample(name)))
    return done


async def sent_table(reports: Inside, content: bytes) -> httpx2.Response:
    headers = reports.token("dispatcher") | {"content-type": "text/csv"}
    return await reports.http.post("/imports/hotline.csv", content=content, headers=headers)


async def form(
    portal: Inside, filled: Mapping[str, str] | None = None, photo: tuple[str, bytes] = ("", b"")
) -> httpx2.Response:
    """The answer to the portal's form for reports, as a browser without scripts sends it."""
    fields = {**await opened(portal), **TYPED, **(filled or {})}
    files = [("photos", (*photo, "image/jpeg" if photo[1] else ""))]
    return await portal.http.post("/report", data=fields, files=files)


async def case_of(reports: Inside, case: str) -> dict[str, Any]:
    """A case as the office sees it."""
    view: dict[str, Any] = got(await reports.http.get(f"/cases/{case}", headers=reports.token("office")))
    return view


def got(answer: httpx2.Response, status: int = 200) -> Any:
    """The decoded answer, which has to have this status."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()


def refusal(answer: httpx2.Response) -> tuple[int, str, str | None]:
    """Status, code and field of a refusal."""
    body = answer.json()
    return answer.status_code, body.get("code"), body.get("field")
