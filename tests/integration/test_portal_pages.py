"""The portal over HTTP on a real database, with a small stand-in for the reports service."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from deploy.local.servers import free_port
from services.portal.app import SERVICE
from services.portal.handlers import BOARD, feed
from services.portal.live import Live
from services.portal.repo import CASES, HANDED
from services.portal.reporting import Reports
from shared.clock import FixedClock
from shared.contracts.reports import CaseAcknowledged, CaseClosed, CaseState
from shared.event import Event
from shared.readmodel import Projector, create
from shared.service import application
from tests.inprocess import Inside, inside
from tests.unit.portal.events import CASE, NOON, case_event, entry_event, standing_event
from tests.waiting import eventually

REPORT = {"category": "exposed-rubbish", "community": "430476001007", "text": "垃圾桶满了没人清", "name": "王女士"}
PHOTO = ("photos", ("a.jpg", b"\xff\xd8 a picture", "image/jpeg"))


@dataclass
class FakeReports:
    """Answers as the reports service does: one case per key, one identity per upload."""

    filed: dict[str, dict[str, Any]] = field(default_factory=dict)
    uploads: list[bytes] = field(default_factory=list)
    seen: list[httpx.Request] = field(default_factory=list)
    problem: dict[str, Any] | None = None
    photo_problem: dict[str, Any] | None = None
    away: bool = False

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        self.seen.append(request)
        if self.away:
            raise httpx.ConnectError("nobody is there")
        if request.method == "GET":
            return self._picture(request)
        return self._photo(content) if request.url.path == "/photos" else self._case(request, content)

    def _picture(self, request: httpx.Request) -> httpx.Response:
        if request.headers.get("if-none-match") == '"one"':
            return httpx.Response(304, headers={"etag": '"one"', "cache-control": "private, max-age=5"})
        if "/hidden/" in request.url.path:
            return httpx.Response(404, json={"code": "photos-not-found"})
        told = {"etag": '"one"', "cache-control": "private, max-age=5", "content-type": "text/html"}
        return httpx.Response(200, content=b"<script>", headers=told)

    def _photo(self, content: bytes) -> httpx.Response:
        if self.photo_problem and b"broken" in content:
            return httpx.Response(422, json=self.photo_problem)
        self.uploads.append(content)
        return httpx.Response(201, json={"photo": f"photo{len(self.uploads)}", "width": 1, "height": 1})

    def _case(self, request: httpx.Request, content: bytes) -> httpx.Response:
        if self.problem:
            return httpx.Response(self.problem["status"], json=self.problem)
        key, told = request.headers["idempotency-key"], json.loads(content)
        if self.filed.setdefault(key, told) != told:
            return httpx.Response(422, json={"code": "idempotency-key-reused", "status": 422, "detail": "reused"})
        number = list(self.filed).index(key)
        return httpx.Response(201, json={"case": f"20261103-ABCDEFGHJ{number}", "state": "dispatched", "sequence": 1})


@pytest.fixture
def reports() -> FakeReports:
    return FakeReports()


@pytest.fixture
async def portal(mongodb_uri: str, namespace: str, tmp_path: Path, reports: FakeReports) -> AsyncIterator[Inside]:
    told = {"reports_url": "http://reports", "reports_per_minute": 20}
    async with inside(SERVICE, FixedClock(NOON), tmp_path, mongodb_uri, namespace, **told) as service:
        runtime = service.runtime
        await runtime.own.reports.close()
        runtime.own.reports = Reports("http://reports", httpx.MockTransport(reports))
        runtime.projectors["board"] = Projector(runtime.store, runtime.broker, BOARD, feeding=False)
        await create(runtime.store, BOARD, runtime.generation("board"))
        yield service
        await runtime.own.reports.close()


async def heard(portal: Inside, *events: Event) -> None:
    """The portal has taken in the events."""
    subscription = feed(portal.runtime.generation("board"))
    uow = portal.runtime.store.unit()
    assert subscription.prefetch is not None
    await subscription.prefetch(uow, events)
    for event in events:
        await subscription.handlers[type(event.data)](uow, event)
    await portal.runtime.store.commit(uow)


async def opened(portal: Inside) -> dict[str, str]:
    """The hidden fields of a fresh form."""
    page = await portal.http.get("/report")
    assert page.status_code == 200
    return hidden(page)


def hidden(page: httpx.Response) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))


async def sent(portal: Inside, *photos: Any, **typed: str) -> httpx.Response:
    told = {**await opened(portal), **REPORT, **typed}
    return await portal.http.post("/report", data=told, files=list(photos) or [("photos", ("", b""))])


# ---- reporting ---------------------------------------------------------------------------------------------


async def test_a_report_goes_to_reports_and_the_browser_to_its_case(portal: Inside, reports: FakeReports) -> None:
    answer = await sent(portal, PHOTO)
    assert (answer.status_code, answer.headers["location"]) == (303, "/cases/20261103-ABCDEFGHJ0?sequence=1")
    [told] = reports.filed.values()
    assert (told["category"], told["photos"], told["reporter"]["name"]) == ("exposed-rubbish", ["photo1"], "王女士")
    assert told["channel"] == "citizen"
    assert reports.uploads == [b"\xff\xd8 a picture"]
    assert reports.seen[0].headers["content-length"] == str(len(reports.uploads[0]))


async def test_nothing_personal_is_kept_here(portal: Inside, reports: FakeReports) -> None:
    await sent(portal, PHOTO)
    database = portal.runtime.store.driver
    kept = {name: await database.find(name, {}) for name in (HANDED.name, "cases_g1", "outbox", "idempotency")}
    assert [len(rows) for rows in kept.values()] == [1, 0, 0, 0]
    for private in ("王女士", "垃圾桶"):
        assert private not in str(kept)


async def test_a_double_click_or_a_reload_files_one_case(portal: Inside, reports: FakeReports) -> None:
    told = {**await opened(portal), **REPORT}
    answers = [await portal.http.post("/report", data=told, files=[PHOTO]) for _ in range(3)]
    assert {answer.headers["location"] for answer in answers} == {"/cases/20261103-ABCDEFGHJ0?sequence=1"}
    assert len(reports.filed) == 1
    assert len(reports.uploads) == 1


async def test_without_photos_nothing_is_written_at_all(portal: Inside, reports: FakeReports) -> None:
    assert (await sent(portal)).status_code == 303
    assert await portal.runtime.store.count(HANDED, {}) == 0


async def test_what_reports_refuses_is_told_at_the_field_and_nothing_typed_is_lost(
    portal: Inside, reports: FakeReports
) -> None:
    reports.problem = {"code": "x", "status": 422, "detail": "电话号码格式不正确", "field": "reporter.phone"}
    answer = await sent(portal, PHOTO, phone="<b>12", address='"北门"')
    assert answer.status_code == 422
    assert re.search(r'id="fault-phone">电话号码格式不正确', answer.text)
    for typed in ("垃圾桶满了没人清", 'value="王女士"', 'value="&lt;b&gt;12"', 'value="&#34;北门&#34;"'):
        assert typed in answer.text
    assert 'value="exposed-rubbish" data-guidance' in answer.text
    assert 'name="kept" value="photo1" checked' in answer.text


async def test_a_corrected_form_is_filed_with_the_photos_that_are_there_already(
    portal: Inside, reports: FakeReports
) -> None:
    reports.problem = {"code": "x", "status": 422, "detail": "no", "field": "text"}
    refused = await sent(portal, PHOTO)
    reports.problem = None
    told = {**hidden(refused), **REPORT, "kept": "photo1"}
    answer = await portal.http.post("/report", data=told, files=[("photos", ("", b""))])
    assert answer.status_code == 303
    assert [case["photos"] for case in reports.filed.values()] == [["photo1"]]
    assert len(reports.uploads) == 1


async def test_one_broken_photo_does_not_cost_the_good_one(portal: Inside, reports: FakeReports) -> None:
    reports.photo_problem = {"code": "photo-broken", "status": 422, "detail": "照片文件已损坏"}
    answer = await sent(portal, ("photos", ("b.jpg", b"broken", "image/jpeg")), PHOTO)
    assert answer.status_code == 422
    assert 'id="fault-photos">照片文件已损坏' in answer.text
    assert 'value="photo1" checked' in answer.text
    assert not reports.filed


async def test_what_is_missing_is_told_before_reports_is_asked(portal: Inside, reports: FakeReports) -> None:
    answer = await sent(portal, PHOTO, category="", community="")
    assert answer.status_code == 422
    assert "fault-category" in answer.text
    assert "fault-place" in answer.text
    assert not reports.filed
    assert 'value="photo1" checked' in answer.text


async def test_while_reports_is_away_the_form_waits_and_then_files_one_case(
    portal: Inside, reports: FakeReports
) -> None:
    reports.away = True
    told = {**await opened(portal), **REPORT}
    answer = await portal.http.post("/report", data=told, files=[PHOTO])
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert "垃圾桶满了没人清" in answer.text
    assert hidden(answer)["key"] == told["key"]
    reports.away = False
    assert (await portal.http.post("/report", data=told, files=[PHOTO])).status_code == 303
    assert len(reports.filed) == 1


async def test_a_changed_report_under_a_used_key_is_told_apart(portal: Inside, reports: FakeReports) -> None:
    told = {**await opened(portal), **REPORT}
    await portal.http.post("/report", data=told, files=[("photos", ("", b""))])
    answer = await portal.http.post("/report", data={**told, "text": "另一个"}, files=[("photos", ("", b""))])
    assert answer.status_code == 422
    assert "此前已经受理" in answer.text
    assert hidden(answer)["key"] != told["key"]
    assert len(reports.filed) == 1


@pytest.mark.parametrize("forged", ["", "x", "a" * 43, "不是"])
async def test_a_form_of_another_site_files_nothing(portal: Inside, reports: FakeReports, forged: str) -> None:
    answer = await portal.http.post(
        "/report", data={**await opened(portal), **REPORT, "csrf": forged}, files=[("photos", ("", b""))]
    )
    assert answer.status_code == 403
    assert "垃圾桶满了没人清" in answer.text
    assert not reports.seen


async def test_a_form_without_a_cookie_files_nothing(portal: Inside, reports: FakeReports) -> None:
    told = {**await opened(portal), **REPORT}
    portal.http.cookies.clear()
    assert (await portal.http.post("/report", data=told)).status_code == 403
    assert not reports.seen


async def test_cookies_are_for_this_portal_alone(portal: Inside) -> None:
    cookie = (await portal.http.get("/report")).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/report" in cookie


async def test_who_goes_back_finds_the_form_with_the_same_key(portal: Inside) -> None:
    page = await portal.http.get("/report")
    assert page.headers["cache-control"] == "private, no-cache"
    assert 'action="/report?send"' in page.text  # sending to the form's own address would make caches forget it


async def test_one_address_may_not_report_without_end(portal: Inside, reports: FakeReports) -> None:
    told = {**await opened(portal), **REPORT}
    answers = [await portal.http.post("/report", data={**told, "csrf": ""}) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [403] * 20 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert "text/html" in answers[-1].headers["content-type"]


async def test_a_report_larger_than_all_photos_together_is_refused_in_words(portal: Inside) -> None:
    hidden_fields = await opened(portal)
    large = [("photos", ("a.jpg", bytes(49 * 1024 * 1024), "image/jpeg"))]
    answer = await portal.http.post("/report", data=hidden_fields, files=large)
    assert answer.status_code == 413
    assert "50 MB" in answer.text


async def test_what_is_no_form_is_refused_in_words(portal: Inside) -> None:
    told = {"content-type": "multipart/form-data; boundary=x"}
    answer = await portal.http.post("/report", content=b"no boundary", headers=told)
    assert answer.status_code in {403, 422}
    assert "text/html" in answer.headers["content-type"]


async def test_reports_learns_for_whom_the_portal_asks(portal: Inside, reports: FakeReports) -> None:
    await sent(portal)
    [request] = reports.seen
    assert request.headers["x-forwarded-for"] == "127.0.0.1"
    assert request.headers["accept-language"] == "zh"


# ---- cases -------------------------------------------------------------------------------------------------


async def test_a_case_shows_what_is_public(portal: Inside) -> None:
    await heard(portal, case_event(photos=("one",)), entry_event("huanwei", 1))
    page = (await portal.http.get(f"/cases/{CASE}")).text
    for told in (
        CASE,
        "暴露垃圾",
        "祥光社区北门",
        "还剩 4 小时 0 分",
        "/photos/one/thumb",
        "案件超期",
        "2026-11-03 12:00",
    ):
        assert told in page
    assert 'class="pin"' in page


async def test_a_case_that_is_not_public_shows_its_community_and_no_more(portal: Inside) -> None:
    await heard(portal, case_event(category="noise", address=""))
    page = (await portal.http.get(f"/cases/{CASE}")).text
    assert "祥光社区" in page
    assert 'class="pin' not in page


async def test_an_overdue_case_says_so(portal: Inside) -> None:
    await heard(portal, case_event(due_at=NOON - timedelta(hours=1)))
    assert "已超期 1 小时 0 分" in (await portal.http.get(f"/cases/{CASE}")).text
    assert CASE in (await portal.http.get("/cases?overdue=1")).text


async def test_a_case_that_has_not_come_yet_is_on_its_way(portal: Inside) -> None:
    page = await portal.http.get(f"/cases/{CASE}?sequence=1")
    assert page.status_code == 202
    assert 'http-equiv="refresh"' in page.text
    await heard(portal, case_event())
    page = await portal.http.get(f"/cases/{CASE}?sequence=1")
    assert page.status_code == 200
    assert "已经受理" in page.text


async def test_an_unknown_case_is_not_found_in_words(portal: Inside) -> None:
    for address in ("/cases/unknown", "/cases/unknown?sequence=1", f"/cases/{CASE}", "/units/unknown"):
        page = await portal.http.get(address)
        assert page.status_code == 404
        assert "text/html" in page.headers["content-type"]


async def test_the_list_is_filtered_and_paged(portal: Inside) -> None:
    ids = [f"20261103-AAAAAAAA{number:02d}" for number in range(35)]
    await heard(portal, *(case_event(case=id) for id in ids))
    await heard(portal, case_event(2, CaseAcknowledged, case=ids[0], state=CaseState.ACKNOWLEDGED))
    first = (await portal.http.get("/cases?unit=huanwei")).text
    after = re.search(r'rel="next" href="([^"]+)"', first)
    assert after is not None
    second = (await portal.http.get(after[1].replace("&amp;", "&"))).text
    shown = [set(re.findall(r"/cases/(20261103-\w+)", page)) for page in (first, second)]
    assert (len(shown[0]), len(shown[1]), shown[0] | shown[1]) == (30, 5, set(ids))
    acknowledged = (await portal.http.get("/cases?state=acknowledged")).text
    assert re.findall(r"/cases/(20261103-\w+)", acknowledged) == [ids[0]]
    assert "没有符合条件的案件" in (await portal.http.get("/cases?community=430476001208")).text
    assert (await portal.http.get("/cases?state=nonsense&after=%00")).status_code == 200


async def test_a_closed_case_is_signed_off_for_everybody(portal: Inside) -> None:
    await heard(portal, case_event())
    assert "已销号" not in (await portal.http.get(f"/cases/{CASE}")).text
    await heard(portal, case_event(2, CaseClosed, state=CaseState.CLOSED, due_at=None, closed_at=NOON))
    assert "已销号" in (await portal.http.get(f"/cases/{CASE}")).text


async def test_the_same_case_as_json(portal: Inside) -> None:
    await heard(portal, case_event())
    told = (await portal.http.get(f"/api/cases/{CASE}")).json()
    assert (told["id"], told["state"], told["sequence"]) == (CASE, "dispatched", 1)
    assert told["timeline"][0]["kind"] == "case-registered"
    missing = await portal.http.get("/api/cases/unknown")
    assert (missing.status_code, missing.json()["code"]) == (404, "case-not-shown")


async def test_photos_come_through_the_portal_as_pictures_only(portal: Inside, reports: FakeReports) -> None:
    answer = await portal.http.get("/photos/one/thumb")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.headers["x-content-type-options"] == "nosniff"
    known = {"if-none-match": answer.headers["etag"]}
    assert (await portal.http.get("/photos/one/thumb", headers=known)).status_code == 304
    asked = len(reports.seen)
    for address in ("/photos/hidden/large", "/photos/one/original", "/photos/..%2Fcases/thumb"):
        assert (await portal.http.get(address)).status_code == 404
    assert len(reports.seen) == asked + 1


# ---- ranking -----------------------------------------------------------------------------------------------


async def test_the_ranking_of_a_month(portal: Inside) -> None:
    await heard(portal, standing_event("huanwei", "97.5"), standing_event("huanwei", "50", period="2026-10"))
    told = (await portal.http.get("/api/ranking")).json()
    assert told["period"] == "2026-11"
    assert told["standings"][-1]["unit"] == "huanwei"
    assert told["standings"][-1]["score"] == "97.5"
    before = (await portal.http.get("/api/ranking?period=2026-10")).json()
    assert before["standings"][-1]["points_lost"] == "50"
    page = (await portal.http.get("/ranking?period=2026-10&group=services")).text
    assert re.search(r'data-unit="huanwei".*?<td class="num score">50</td>', page, re.DOTALL)
    assert 'data-unit="chengguan"' not in page
    assert (await portal.http.get("/ranking?period=nonsense&group=nonsense")).status_code == 200
    assert (await portal.http.get("/api/ranking?period=2026-13")).status_code == 422


async def test_a_units_ledger_with_reasons_and_hashes(portal: Inside) -> None:
    await heard(portal, standing_event("huanwei", "80"), *(entry_event("huanwei", number) for number in range(1, 33)))
    first = (await portal.http.get("/units/huanwei")).text
    assert re.findall(r'id="row-(\d+)"', first)[:2] == ["32", "31"]
    for told in (f"{32:064x}", "案件超期", f"/cases/{CASE}", "暴露垃圾", f"reports.case/{CASE}/2"):
        assert told in first
    after = re.search(r'rel="next" href="([^"]+)"', first)
    assert after is not None
    assert re.findall(r'id="row-(\d+)"', (await portal.http.get(after[1])).text) == ["2", "1"]


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


async def test_the_ranking_is_streamed_resumed_and_has_an_end_to_its_seats(portal: Inside) -> None:
    portal.runtime.own.live = Live(portal.runtime.own.views.ranking, clients=1)
    await heard(portal, standing_event("huanwei", "99"))
    async with served(portal) as address, httpx.AsyncClient(base_url=address, timeout=20) as http:
        async with http.stream("GET", "/ranking/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.aiter_lines()
            first = await message(lines)
            assert json.loads(first["data"])["standings"][-1]["score"] == "99"
            refused = await http.get("/ranking/events")
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            assert int(refused.headers["retry-after"]) >= 1
            await heard(portal, standing_event("huanwei", "98", sequence=2))
            second = await message(lines)
            assert json.loads(second["data"])["standings"][-1]["score"] == "98"

        async def seat() -> dict[str, str] | None:
            async with http.stream("GET", "/ranking/events", headers={"last-event-id": first["id"]}) as again:
                return await message(again.aiter_lines()) if again.status_code == 200 else None

        # Whoever comes back with an older identity is told the newest at once.
        assert (await eventually(seat))["id"] == second["id"]


async def message(lines: AsyncIterator[str]) -> dict[str, str]:
    """The next event of a stream; comments are none."""
    told: dict[str, str] = {}
    async for line in lines:
        name, colon, value = line.partition(": ")
        if colon and name:
            told[name] = value
        elif not line and told:
            break
    return told


# ---- all pages ---------------------------------------------------------------------------------------------

PAGES = ["/", "/report", "/cases", f"/cases/{CASE}", "/ranking", "/units/huanwei", "/cases/unknown"]


@pytest.mark.parametrize("address", PAGES)
async def test_pages_let_nothing_run_but_our_own_files(portal: Inside, address: str) -> None:
    await heard(portal, case_event(), standing_event("huanwei", "99"), entry_event("huanwei", 1))
    page = await portal.http.get(address)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["referrer-policy"] == "same-origin"
    for source in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
        assert (await portal.http.get(source)).headers["cache-control"] == "public, max-age=3600"


@pytest.mark.parametrize("address", PAGES)
async def test_pages_speak_english_where_asked(portal: Inside, address: str) -> None:
    await heard(portal, case_event(address=""), standing_event("huanwei", "99"), entry_event("huanwei", 1))
    asked = await portal.http.get(address, headers={"accept-language": "en-GB,en;q=0.9"})
    assert '<html lang="en">' in asked.text
    words = re.sub(r"<[^>]*>", "", asked.text).replace("中文", "")
    assert re.findall(r"[一-鿿]+", words) == []


async def test_a_chosen_language_stays(portal: Inside) -> None:
    assert '<html lang="zh-CN">' in (await portal.http.get("/")).text
    assert '<html lang="en">' in (await portal.http.get("/?lang=en")).text
    assert '<html lang="en">' in (await portal.http.get("/cases")).text
    assert '<html lang="zh-CN">' in (await portal.http.get("/cases?lang=zh")).text


async def test_what_strangers_write_is_shown_as_text(portal: Inside) -> None:
    await heard(portal, case_event(address="<script>alert(1)</script>", unit='"><img>', category="<b>"))
    for address in (f"/cases/{CASE}", "/cases", "/", '/cases?unit="><script>', "/cases?after=<script>"):
        page = (await portal.http.get(address)).text
        assert "<script>alert" not in page
        assert "<script>" not in page
        assert '"><img>' not in page


async def test_the_view_of_a_case_is_named_as_observers_expect(portal: Inside) -> None:
    await heard(portal, case_event())
    [document] = await portal.runtime.store.driver.find(f"{CASES.name}_g1", {})
    assert document["_id"] == CASE
