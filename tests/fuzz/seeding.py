"""Things that exist, so that requests can be about them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx2

from tests.fuzz.values import Identities
from tests.photo_samples import from_telephone
from tests.processes import Platform

OFFICE = ("office", "dispatcher", "verifier", "discipline", "leader", "service")
UNIT = "huanwei"
LISTS = {
    "reports": ("/cases?limit=20", "/categories", "/bans", "/moderation", "/audit", "/queue"),
    "scoring": (
        "/schemes",
        "/schemes/in-force",
        "/measurements",
        "/rules",
        "/rule-drafts",
        "/proposals",
        "/appeals",
        "/measures",
        "/lists/all",
        "/matrix",
        "/negative-list",
        "/negative-list/events",
        "/periods",
        "/standings",
        f"/units/{UNIT}/ledger",
    ),
    "portal": ("/api/ranking",),
}


def seed(platform: Platform, known: Identities, cases: int = 12) -> None:
    """Cases in several states with photos and papers, drafts, proposals and events; and learn all of it."""
    with httpx2.Client(base_url=platform.url("reports"), timeout=20, headers=platform.token(*OFFICE)) as reports:
        for number in range(cases):
            _case(reports, platform, known, number)
        _learn(reports, "reports", known)
    with httpx2.Client(base_url=platform.url("scoring"), timeout=20, headers=platform.token(*OFFICE)) as scoring:
        _scoring(scoring, known)
        _learn(scoring, "scoring", known)
    with httpx2.Client(base_url=platform.url("portal"), timeout=20) as portal:
        _learn(portal, "portal", known)


def _case(reports: httpx2.Client, platform: Platform, known: Identities, number: int) -> None:
    """A case as far along its way as its number says."""
    report = {
        "category": "exposed-rubbish" if number % 4 else "other-matter",
        "longitude": 112.6,
        "latitude": 26.885,
        "address": "祥光社区北门",
        "text": f"待清理 {number}",
        "photos": [_post(reports, "/photos", from_telephone(), known)["photo"]] if number % 3 == 0 else [],
        "reporter": {"name": "王女士", "phone": "0734-8888888"},
    }
    case = _post(reports, "/cases", report, known)
    officer = platform.token("officer", unit=UNIT)
    for name, content, caller in (
        ("acknowledge", None, officer),
        ("documents", {"kind": "assignment-order"}, None),
        ("reply", {"text": "已清运"}, officer),
        ("verify", {"passed": True}, None),
        ("close", None, None),
    )[: number % 6]:
        _post(reports, f"/cases/{case.get('case')}/{name}", content, known, caller)


def _scoring(scoring: httpx2.Client, known: Identities) -> None:
    now = datetime.now(UTC).isoformat()
    grounds = {"reason": "市级通报", "evidence": "通报第3条", "references": ["督〔2026〕12号"]}
    entry = {"unit": UNIT, "kind": "manual", "points": "2", "happened_at": now, **grounds}
    event = {"item": "G15", "text": "认定为重大安全事故", "unit": UNIT, "occurred_at": now}
    measured = {"unit": "gongjiao", "standard": "示例-公益-01-1", "measured": {"found": 4}, "measured_at": now}
    for address, content in (
        ("/proposals/entries", entry),
        ("/negative-list/events", event),
        ("/measurements", measured),
        ("/schemes/1/copy", {"name": "草稿"}),
        ("/attachments", b"%PDF-1.4 a paper"),
    ):
        _post(scoring, address, content, known)


def _post(
    client: httpx2.Client, address: str, content: Any, known: Identities, caller: dict[str, str] | None = None
) -> dict[str, Any]:
    """What was answered; a refusal is no harm, since the world is only there to be asked about."""
    sent = {"content": content} if isinstance(content, bytes) else {"json": content}
    answer = client.post(address, headers=caller, **sent)
    if not answer.is_success:
        return {}
    body: dict[str, Any] = answer.json()
    known.learn(address, body)
    return body


def _learn(client: httpx2.Client, service: str, known: Identities) -> None:
    for address in LISTS[service]:
        answer = client.get(address)
        if answer.is_success:
            known.learn(address, answer.json())
