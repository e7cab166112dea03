"""The portal over HTTP on a real database, with a small stand-in for the reports service."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from deploy.local.servers import free_port
from services.portal.app import SERVICE
from services.portal.clients.reports import Reports
from services.portal.handlers import BOARD, feed
from shared.clock import FixedClock
from shared.event import Event
from shared.readmodel import Projector, create
from shared.service import application
from tests.inprocess import Inside, inside
from tests.unit.portal.categories import asked, category
from tests.unit.portal.events import CASE, NOON
from tests.waiting import eventually

CODE = "7Q3-KX0-M4T-ZA9-2RC-5NE"
FOLLOWING = "2RC-5NE-7Q3-KX0-M4T-ZA9"
REPORT = {
    "category": "exposed-rubbish",
    "community": "430476001007",
    "text": "垃圾桶满了没人清",
    "name": "王女士",
    "may_publish": "1",
}
SPOT = {"longitude": "112.6", "latitude": "26.9"}
PHOTO = ("photos", ("a.jpg", b"\xff\xd8 a picture", "image/jpeg"))
NO_PHOTO = ("photos", ("", b""))
UNKNOWN: dict[str, Any] = {"code": "tracking-code-unknown", "status": 404, "detail": "没有这个查询码，或已过保存期限"}
MISTYPED: dict[str, Any] = {"code": "tracking-code-mistyped", "status": 422, "detail": "查询码有误", "field": "code"}
CATEGORIES = [
    category("exposed-rubbish", name="暴露垃圾", name_en="Exposed rubbish"),
    category("manhole-cover", name="井盖缺失破损", photo_required=True),
    category("noise", name="噪声扰民", name_en="Noise", public=False),
    category(
        "public-toilet",
        name="公厕脏乱",
        questions=[asked("where", required=True), asked("faults", "choices"), asked("since", "date")],
    ),
]


@dataclass
class FakeReports:
    """Answers as the reports service does: one case per key, one identity per upload."""

    filed: dict[str, dict[str, Any]] = field(default_factory=dict)
    uploads: list[bytes] = field(default_factory=list)
    seen: list[httpx2.Request] = field(default_factory=list)
    problem: dict[str, Any] | None = None
    photo_problem: dict[str, Any] | None = None
    away: bool = False
    categories: list[dict[str, Any]] = field(default_factory=lambda: list(CATEGORIES))
    similar: list[dict[str, Any]] = field(default_factory=list)
    similar_problem: int | None = None
    followed: dict[str, str] = field(default_factory=dict)
    follow_problem: dict[str, Any] | None = None
    tracked: dict[str, dict[str, Any]] = field(default_factory=dict)
    feedback: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    feedback_problem: dict[str, Any] | None = None
    limited: bool = False

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        content = await request.aread()
        if request.url.path == "/categories":
            return self._catalogue(request)
        self.seen.append(request)
        if self.away:
            raise httpx2.ConnectError("nobody is there")
        if self.limited:
            body = {"code": "rate-limited", "status": 429, "detail": "请求过于频繁，请 7 秒后再试"}
            return httpx2.Response(429, json=body, headers={"retry-after": "7"})
        return self._answer(request, content)

    def _answer(self, request: httpx2.Request, content: bytes) -> httpx2.Response:
        path = request.url.path
        if request.method == "GET":
            return self._picture(request)
        if path == "/photos":
            return self._photo(content)
        if path == "/cases/similar":
            return httpx2.Response(self.similar_problem or 200, json={} if self.similar_problem else self.similar)
        if path.endswith("/follow"):
            return self._follow(request)
        if path.startswith("/tracking"):
            return self._tracking(request, json.loads(content))
        return self._case(request, content)

    def _catalogue(self, request: httpx2.Request) -> httpx2.Response:
        if self.away:
            raise httpx2.ConnectError("nobody is there")
        tag = f'"{len(self.categories)}"'
        if request.headers.get("if-none-match") == tag:
            return httpx2.Response(304, headers={"etag": tag})
        return httpx2.Response(200, json=self.categories, headers={"etag": tag})

    def _picture(self, request: httpx2.Request) -> httpx2.Response:
        if request.headers.get("if-none-match") == '"one"':
            return httpx2.Response(304, headers={"etag": '"one"', "cache-control": "private, max-age=5"})
        if "/hidden/" in request.url.path:
            return httpx2.Response(404, json={"code": "photos-not-found"})
        headers = {"etag": '"one"', "cache-control": "private, max-age=5", "content-type": "text/html"}
        return httpx2.Response(200, content=b"<script>", headers=headers)

    def _photo(self, content: bytes) -> httpx2.Response:
        if self.photo_problem and b"broken" in content:
            return httpx2.Response(422, json=self.photo_problem)
        self.uploads.append(content)
        return httpx2.Response(201, json={"photo": f"photo{len(self.uploads)}", "width": 1, "height": 1})

    def _case(self, request: httpx2.Request, content: bytes) -> httpx2.Response:
        if self.problem:
            return httpx2.Response(self.problem["status"], json=self.problem)
        key, case = request.headers["idempotency-key"], json.loads(content)
        if self.filed.setdefault(key, case) != case:
            return httpx2.Response(422, json={"code": "idempotency-key-reused", "status": 422, "detail": "reused"})
        case = f"20261103-ABCDEFGHJ{list(self.filed).index(key)}"
        return httpx2.Response(201, json={"case": case, "state": "dispatched", "sequence": 1, "tracking": CODE})

    def _follow(self, request: httpx2.Request) -> httpx2.Response:
        if self.follow_problem:
            return httpx2.Response(self.follow_problem["status"], json=self.follow_problem)
        case = request.url.path.split("/")[2]
        self.followed[request.headers["idempotency-key"]] = case
        return httpx2.Response(201, json={"case": case, "tracking": FOLLOWING})

    def _tracking(self, request: httpx2.Request, body: dict[str, Any]) -> httpx2.Response:
        code, action = body.pop("code"), request.url.path.removeprefix("/tracking").strip("/")
        if code not in self.tracked:
            refusal = UNKNOWN if len(code) == len(CODE) else MISTYPED
            return httpx2.Response(refusal["status"], json=refusal)
        if not action:
            return httpx2.Response(200, json=self.tracked[code])
        if self.feedback_problem:
            return httpx2.Response(self.feedback_problem["status"], json=self.feedback_problem)
        self.feedback[request.headers["idempotency-key"]] = (action, body)
        return httpx2.Response(200, json={"case": CASE, "state": "registered", "words": "已受理", "sequence": 2})


@asynccontextmanager
async def a_portal(mongodb_uri: str, namespace: str, folder: Path, reports: FakeReports) -> AsyncIterator[Inside]:
    """The portal with its stand-in for the reports service, and an empty board."""
    settings = {
        "reports_url": "http://reports",
        "scoring_url": "http://scoring",
        "portal_url": "http://reports",
        "reports_per_minute": 20,
    }
    async with inside(SERVICE, FixedClock(NOON), folder, mongodb_uri, namespace, **settings) as service:
        runtime = service.runtime
        await runtime.resources.reports.close()
        runtime.resources.reports = Reports("http://reports", httpx2.MockTransport(reports))
        runtime.projectors["board"] = Projector(runtime.store, runtime.broker, BOARD)
        await create(runtime.store, BOARD, runtime.generation("board"))
        yield service
        await runtime.resources.reports.close()


async def heard(portal: Inside, *events: Event) -> None:
    """The portal has taken in the events."""
    subscription = feed(portal.runtime.generation("board"))
    uow = portal.runtime.store.unit()
    assert subscription.prefetch is not None
    await subscription.prefetch(uow, events, portal.runtime.resources)
    for event in events:
        await subscription.handle(uow, event, portal.runtime.resources)
    await portal.runtime.store.commit(uow)


@asynccontextmanager
async def served(portal: Inside) -> AsyncIterator[str]:
    """The portal's address on a port of its own: the in-process client reads streams to their end only."""
    app = application(portal.runtime)
    app.state.runtime = portal.runtime
    server = uvicorn.Server(uvicorn.Config(app, port=free_port(), log_config=None, lifespan="off"))
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]  # the run's handlers stay
    serving = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await eventually(started)
    try:
        yield f"http://127.0.0.1:{server.config.port}"
    finally:
        server.should_exit = server.force_exit = True
        await serving


def hidden(page: httpx2.Response) -> dict[str, Any]:
    """The hidden fields of a page, but for those of parts that are not in force."""
    in_force = re.sub(r"<fieldset[^>]* disabled>.*?</fieldset>", "", page.text, flags=re.DOTALL)
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="([\w.-]+)" value="([^"]*)"', in_force):
        found.setdefault(name, []).append(unescape(value))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


async def opened(portal: Inside, address: str = "/report") -> dict[str, Any]:
    """The hidden fields of a fresh form."""
    page = await portal.http.get(address)
    assert page.status_code == 200
    return hidden(page)


async def sent(portal: Inside, *photos: Any, **typed: str) -> httpx2.Response:
    """A report as a browser without scripts sends it, filled in and sent once."""
    fields = {**await opened(portal), **REPORT, **typed}
    return await portal.http.post("/report", data=fields, files=list(photos) or [NO_PHOTO])
