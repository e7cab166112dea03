"""The portal's public pages on a real database: cases, their photos, the ranking."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from deploy.local.servers import free_port
from services.portal.live import Live
from services.portal.repo import CASES
from shared.contracts.reports import (
    CaseAcknowledged,
    CaseClosed,
    CaseRated,
    CaseReplied,
    CaseSplit,
    CaseState,
    Kind,
    Level,
)
from shared.service import application
from shared.store.unit import Change, Write
from tests.inprocess import Inside
from tests.integration.portal_world import FakeReports, a_portal, heard
from tests.unit.portal import categories
from tests.unit.portal.events import CASE, NOON, case_event, entry_event, standing_event
from tests.waiting import eventually


@pytest.fixture
def reports() -> FakeReports:
    return FakeReports()


@pytest.fixture
async def portal(mongodb_uri: str, namespace: str, tmp_path: Path, reports: FakeReports) -> AsyncIterator[Inside]:
    async with a_portal(mongodb_uri, namespace, tmp_path, reports) as portal:
        yield portal


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
    assert "已派遣" in page.text


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


async def test_a_case_shows_who_helps_how_late_it_is_and_what_was_done(portal: Inside) -> None:
    late: dict[str, Any] = {
        "state": CaseState.REPLIED,
        "due_at": None,
        "level": Level.ORANGE,
        "supporting": ("chengguan", "jiaojing"),
    }
    await heard(portal, case_event(photos=("one",)), case_event(2, CaseReplied, reply_photos=("after",), **late))
    page = (await portal.http.get(f"/cases/{CASE}")).text
    for told in ("/units/chengguan", "/units/jiaojing", "超期·橙色督办", "整改后照片", "/photos/after/thumb"):
        assert told in page
    assert "超期·橙色督办" in (await portal.http.get("/cases")).text


async def test_cases_that_belong_together_lead_to_each_other(portal: Inside) -> None:
    whole, part, twin, earlier = CASE, f"{CASE}-1", "20261103-TWINTWINTW", "20261003-EARLIEREAR"
    split: dict[str, Any] = {"state": CaseState.SPLIT, "unit": None, "due_at": None, "children": (part, f"{CASE}-2")}
    await heard(portal, case_event(), case_event(2, CaseSplit, repeat_of=earlier, **split))
    await heard(portal, case_event(case=part, parent=whole))
    await heard(portal, case_event(case=twin, state=CaseState.MERGED, merged_into=whole, due_at=None))
    page = (await portal.http.get(f"/cases/{whole}")).text
    for linked in (part, f"{CASE}-2", earlier):
        assert f'href="/cases/{linked}"' in page
    assert 'class="progress"' not in page
    assert f'href="/cases/{whole}"' in (await portal.http.get(f"/cases/{part}")).text
    merged = (await portal.http.get(f"/cases/{twin}")).text
    assert f'href="/cases/{whole}"' in merged
    assert "与反映同一问题的案件合并办理" in merged


async def test_what_the_reporter_says_of_the_result_is_shown(portal: Inside) -> None:
    closed: dict[str, Any] = {"state": CaseState.CLOSED, "due_at": None, "closed_at": NOON}
    await heard(portal, case_event(), case_event(2, CaseClosed, **closed))
    assert "上报人评价" not in (await portal.http.get(f"/cases/{CASE}")).text
    await heard(portal, case_event(3, CaseRated, satisfied=False, **closed))
    assert "不满意" in (await portal.http.get(f"/cases/{CASE}")).text


async def test_praise_has_no_deadline_and_is_nothing_that_was_put_right(portal: Inside) -> None:
    praise: dict[str, Any] = {"kind": Kind.PRAISE, "state": CaseState.CLOSED, "due_at": None, "closed_at": NOON}
    await heard(portal, case_event(**praise), case_event(case="20261103-PROBLEMPRO"))
    page = (await portal.http.get(f"/cases/{CASE}")).text
    assert "点赞" in page
    for absent in ("整改时限", "已销号", 'class="progress"'):
        assert absent not in page
    assert re.search(r"<dd>0</dd><dt>本月办结", (await portal.http.get("/")).text)
    shown = (await portal.http.get("/cases?kind=praise")).text
    assert re.findall(r'href="/cases/(20261103-\w+)"', shown) == [CASE]
    assert re.findall(r'href="/cases/(20261103-\w+)"', (await portal.http.get("/cases?kind=problem")).text) == [
        "20261103-PROBLEMPRO"
    ]
    assert (await portal.http.get("/cases?kind=nonsense")).status_code == 200


async def test_a_category_that_the_office_has_made_since_has_its_name(portal: Inside, reports: FakeReports) -> None:
    reports.categories.append(categories.told("drones", name="无人机扰民", name_en="Drones"))
    await heard(portal, case_event(category="drones"))
    assert "无人机扰民" in (await portal.http.get(f"/cases/{CASE}")).text
    assert "Drones" in (await portal.http.get("/cases?lang=en")).text


async def test_who_may_not_know_the_spot_does_not_get_it_as_json_either(portal: Inside) -> None:
    await heard(portal, case_event(category="noise", address=""))
    told = (await portal.http.get(f"/api/cases/{CASE}")).json()
    assert (told["longitude"], told["latitude"], told["community"]) == (None, None, "430476001007")


async def test_a_document_of_before_is_still_shown(portal: Inside) -> None:
    await heard(portal, case_event())
    driver = portal.runtime.store.driver
    [document] = await driver.find(f"{CASES.name}_g1", {})
    new = ["kind", "stage", "stage_due_at", "level", "supporting", "reply_photos", "parent", "children"]
    new += ["merged_into", "repeat_of", "reopens", "satisfied"]
    before = {name: value for name, value in document.items() if name not in new}
    assert len(before) == len(document) - len(new)
    await driver.transact([Write(f"{CASES.name}_g1", CASE, Change.REPLACE, before, document["v"])])
    page = await portal.http.get(f"/cases/{CASE}")
    assert (page.status_code, "暴露垃圾" in page.text) == (200, True)


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

PAGES = ["/", "/report", f"/report/done?case={CASE}", "/track", "/cases", f"/cases/{CASE}", "/ranking"]
PAGES += ["/units/huanwei", "/cases/unknown"]


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
async def test_pages_speak_english_where_asked(portal: Inside, reports: FakeReports, address: str) -> None:
    await heard(portal, case_event(address=""), standing_event("huanwei", "99"), entry_event("huanwei", 1))
    reports.away = True  # its catalogue has no English in this test
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
