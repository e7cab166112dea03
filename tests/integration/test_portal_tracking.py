"""One's own case by its tracking code: how it goes, and what its reporter has to say."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.portal.repo import SESSIONS
from shared.contracts.reports import Level, Stage
from tests.inprocess import Inside
from tests.integration.portal_world import CODE, NO_PHOTO, PHOTO, FakeReports, a_portal, heard, hidden
from tests.unit.portal.events import CASE, NOON, case_event


def view(**change: Any) -> dict[str, Any]:
    """A case as its reporter sees it, in the reports service's answer."""
    return {
        "case": CASE,
        "part": "reporter",
        "merged": None,
        "kind": "problem",
        "state": "acknowledged",
        "words": "责任单位已签收，正在安排",
        "category": "暴露垃圾",
        "unit": "市容环卫公司",
        "address": "祥光社区北门",
        "moderation": "approved",
        "registered_at": NOON.isoformat(),
        "due_at": (NOON + timedelta(hours=4)).isoformat(),
        "question": None,
        "answer_until": None,
        "object_until": None,
        "resolved": None,
        "satisfied": None,
        "may": ["update", "withdraw"],
        "timeline": [line("register", "已受理"), line("acknowledge", "责任单位已签收", by="huanwei")],
        **change,
    }


def line(command: str, words: str, **change: Any) -> dict[str, Any]:
    happened: dict[str, Any] = {
        "at": NOON.isoformat(),
        "command": command,
        "words": words,
        "by": None,
        "note": "",
        "photos": [],
    }
    return {**happened, "mine": False, **change}


CLOSED = {
    "state": "closed",
    "words": "已办结。请您评价",
    "due_at": None,
    "object_until": (NOON + timedelta(days=7)).isoformat(),
    "may": ["update", "rate", "object"],
}


@pytest.fixture
def reports() -> FakeReports:
    return FakeReports(tracked={CODE: view()})


@pytest.fixture
async def portal(mongodb_uri: str, namespace: str, tmp_path: Path, reports: FakeReports) -> AsyncIterator[Inside]:
    async with a_portal(mongodb_uri, namespace, tmp_path, reports) as portal:
        yield portal


async def entered(portal: Inside, code: str = CODE) -> httpx2.Response:
    page = await portal.http.get("/track")
    return await portal.http.post("/track", data={**hidden(page), "code": code})


async def shown(portal: Inside) -> httpx2.Response:
    """The page of the case, after the code has been typed."""
    assert (await entered(portal)).status_code == 303
    page = await portal.http.get("/track")
    assert page.status_code == 200
    return page


def form_of(page: httpx2.Response, action: str) -> dict[str, str]:
    """The hidden fields of one of the page's forms."""
    found = re.search(rf'<form method="post" action="/track/{action}".*?</form>', page.text, re.DOTALL)
    assert found is not None
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', found[0]))


# ---- the code ----------------------------------------------------------------------------------------------


async def test_a_code_typed_once_serves_from_then_on(portal: Inside, reports: FakeReports) -> None:
    answer = await entered(portal)
    assert (answer.status_code, answer.headers["location"]) == (303, "/track")
    cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith("track="))
    for guard in ("HttpOnly", "Path=/track", "Max-Age=3600", "SameSite=lax"):
        assert guard in cookie
    assert CODE not in cookie
    for _ in range(2):
        page = await portal.http.get("/track")
        assert "责任单位已签收，正在安排" in page.text
        assert page.headers["cache-control"] == "no-store"
        assert CODE not in page.text


async def test_the_code_is_in_no_address_and_in_no_database(portal: Inside, reports: FakeReports) -> None:
    await entered(portal)
    assert all(CODE not in str(request.url) for request in reports.seen)
    kept = await portal.runtime.store.driver.find(SESSIONS.name, {})
    assert len(kept) == 1
    assert CODE not in str(kept)


@pytest.mark.parametrize(
    ("code", "message"), [("2RC-5NE-7Q3-KX0-M4T-ZA9", "没有这个查询码"), ("nonsense", "查询码有误"), ("", "查询码有误")]
)
async def test_a_wrong_code_is_told_plainly_and_opens_nothing(portal: Inside, code: str, message: str) -> None:
    answer = await entered(portal, code)
    assert answer.status_code == 422
    assert f'role="alert">{message}' in answer.text
    assert code == "" or code not in answer.text
    assert await portal.runtime.store.count(SESSIONS, {}) == 0


async def test_who_guesses_is_told_to_wait(portal: Inside, reports: FakeReports) -> None:
    reports.limited = True
    answer = await entered(portal)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert "请求过于频繁" in answer.text


async def test_one_address_may_not_try_codes_without_end(portal: Inside) -> None:
    fields = hidden(await portal.http.get("/track"))
    answers = [await portal.http.post("/track", data={**fields, "code": "nonsense"}) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [422] * 20 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_a_form_of_another_site_opens_nothing(portal: Inside, reports: FakeReports) -> None:
    await portal.http.get("/track")
    answer = await portal.http.post("/track", data={"code": CODE, "csrf": "x"})
    assert answer.status_code == 403
    assert not reports.seen


async def test_a_code_that_has_come_to_its_end_ends_the_session(portal: Inside, reports: FakeReports) -> None:
    await entered(portal)
    reports.tracked.clear()
    page = await portal.http.get("/track")
    assert (page.status_code, "没有这个查询码" in page.text) == (422, True)
    assert await portal.runtime.store.count(SESSIONS, {}) == 0
    assert (await portal.http.get("/track")).status_code == 200


async def test_while_reports_is_away_the_session_stays(portal: Inside, reports: FakeReports) -> None:
    await entered(portal)
    reports.away = True
    page = await portal.http.get("/track")
    assert (page.status_code, "retry-after" in page.headers) == (503, True)
    reports.away = False
    assert "责任单位已签收，正在安排" in (await portal.http.get("/track")).text


async def test_who_leaves_by_a_form_that_is_not_ours_has_not_left(portal: Inside) -> None:
    await entered(portal)
    answer = await portal.http.post("/track/leave", data={"csrf": "x"})
    assert "set-cookie" not in answer.headers
    assert CASE in (await portal.http.get("/track")).text


async def test_who_leaves_has_left(portal: Inside) -> None:
    page = await shown(portal)
    answer = await portal.http.post("/track/leave", data={"csrf": form_of(page, "update")["csrf"]})
    assert answer.headers["location"] == "/track"
    assert await portal.runtime.store.count(SESSIONS, {}) == 0
    assert 'name="code"' in (await portal.http.get("/track")).text


# ---- how it goes -------------------------------------------------------------------------------------------


async def test_the_page_tells_how_it_goes(portal: Inside, reports: FakeReports) -> None:
    reply = line("reply", "责任单位回复", by="huanwei", note="已清运\n<b>", photos=["after"])
    mine = line("comment", "进展", by="reporter", note="在北门", mine=True)
    reports.tracked[CODE] = view(timeline=[line("register", "已受理"), mine, reply], moderation="pending")
    page = (await shown(portal)).text
    for part in ("暴露垃圾", "市容环卫公司", "还剩 4 小时 0 分", "已清运\n&lt;b&gt;", "/photos/after/thumb", "在北门"):
        assert part in page
    assert "照片和地址待审核后公开" in page
    assert page.index("责任单位回复") < page.index("在北门") < page.index(">已受理<")


async def test_a_follower_sees_and_has_no_forms(portal: Inside, reports: FakeReports) -> None:
    reports.tracked[CODE] = view(part="follower", may=[])
    page = (await shown(portal)).text
    assert "您在关注这个案件" in page
    assert re.findall(r'action="/track/(\w+)"', page) == ["leave"]


async def test_a_merged_report_shows_where_it_went(portal: Inside, reports: FakeReports) -> None:
    reports.tracked[CODE] = view(part="merged", merged="20261103-MINEMINEMI")
    assert "您上报的案件 20261103-MINEMINEMI 与本案件合并办理" in (await shown(portal)).text


async def test_praise_has_no_way_to_go(portal: Inside, reports: FakeReports) -> None:
    reports.tracked[CODE] = view(kind="praise", state="closed", due_at=None, may=["update"])
    page = (await shown(portal)).text
    assert "点赞" in page
    assert "整改时限" not in page
    assert 'class="progress"' not in page


async def test_members_that_are_not_there_do_no_harm(portal: Inside, reports: FakeReports) -> None:
    needed = ("case", "state", "words", "category", "registered_at")
    reports.tracked[CODE] = {name: value for name, value in view().items() if name in needed}
    assert "责任单位已签收，正在安排" in (await shown(portal)).text
    reports.tracked[CODE] = {"case": CASE}
    assert (await portal.http.get("/track")).status_code == 503


# ---- the reporter's say ------------------------------------------------------------------------------------


async def test_a_question_is_answered_with_words_and_a_photo(portal: Inside, reports: FakeReports) -> None:
    asked = {"state": "waiting", "question": "具体在几号楼？", "may": ["update", "answer", "withdraw"]}
    reports.tracked[CODE] = view(**asked, answer_until=(NOON + timedelta(days=3)).isoformat())
    page = await shown(portal)
    assert "具体在几号楼？" in page.text
    assert "2026-11-06 12:00" in page.text
    answer = await portal.http.post("/track/update", data={**form_of(page, "update"), "text": "3 号楼"}, files=[PHOTO])
    assert (answer.status_code, answer.headers["location"]) == (303, "/track?done=update")
    assert list(reports.feedback.values()) == [("update", {"text": "3 号楼", "photos": ["photo1"]})]
    assert "已收到您的补充" in (await portal.http.get("/track?done=update")).text


async def test_a_double_click_says_it_once(portal: Inside, reports: FakeReports) -> None:
    fields = {**form_of(await shown(portal), "update"), "text": "在北门"}
    answers = [await portal.http.post("/track/update", data=fields, files=[PHOTO]) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert (len(reports.feedback), len(reports.uploads)) == (1, 1)


async def test_the_result_is_rated(portal: Inside, reports: FakeReports) -> None:
    reports.tracked[CODE] = view(**CLOSED)
    page = await shown(portal)
    fields = form_of(page, "rate")
    assert (await portal.http.post("/track/rate", data={**fields, "resolved": "yes"})).status_code == 422
    answer = await portal.http.post("/track/rate", data={**fields, "resolved": "yes", "satisfied": "no"})
    assert answer.headers["location"] == "/track?done=rate"
    assert list(reports.feedback.values()) == [("rate", {"resolved": True, "satisfied": False})]
    reports.tracked[CODE] = view(**CLOSED, resolved=True, satisfied=False)
    rated = (await portal.http.get("/track")).text
    assert "已解决 · 不满意" in rated
    assert re.search(r'name="satisfied" value="no" required checked', rated)


async def test_what_is_not_in_order_needs_a_photo(portal: Inside, reports: FakeReports) -> None:
    reports.tracked[CODE] = view(**CLOSED)
    page = await shown(portal)
    fields = {**form_of(page, "object"), "text": "只清了一半"}
    refused = await portal.http.post("/track/object", data=fields, files=[NO_PHOTO])
    assert refused.status_code == 422
    assert "请附上现场照片" in refused.text
    assert "只清了一半</textarea>" in refused.text
    answer = await portal.http.post("/track/object", data=fields, files=[PHOTO])
    assert answer.headers["location"] == "/track?done=object"
    assert list(reports.feedback.values()) == [("object", {"text": "只清了一半", "photos": ["photo1"]})]


async def test_a_report_is_taken_back(portal: Inside, reports: FakeReports) -> None:
    page = await shown(portal)
    answer = await portal.http.post("/track/withdraw", data={**form_of(page, "withdraw"), "text": "已经好了"})
    assert answer.headers["location"] == "/track?done=withdraw"
    assert list(reports.feedback.values()) == [("withdraw", {"reason": "已经好了"})]


async def test_what_reports_refuses_is_told_and_nothing_typed_is_lost(portal: Inside, reports: FakeReports) -> None:
    reports.feedback_problem = {
        "code": "text-has-markup",
        "status": 422,
        "detail": "文字不能含有网页标记",
        "field": "text",
    }
    fields = {**form_of(await shown(portal), "update"), "text": "<b>"}
    refused = await portal.http.post("/track/update", data=fields, files=[PHOTO])
    assert refused.status_code == 422
    assert "文字不能含有网页标记" in refused.text
    assert "&lt;b&gt;</textarea>" in refused.text
    assert 'value="photo1" checked' in refused.text
    assert form_of(refused, "update")["key"] != fields["key"]


async def test_while_reports_is_away_what_was_typed_stays_at_hand(portal: Inside, reports: FakeReports) -> None:
    fields = {**form_of(await shown(portal), "update"), "text": "在北门"}
    reports.away = True
    waiting = await portal.http.post("/track/update", data=fields, files=[NO_PHOTO])
    assert (waiting.status_code, "retry-after" in waiting.headers) == (503, True)
    assert "在北门</textarea>" in waiting.text
    assert form_of(waiting, "update")["key"] == fields["key"]
    reports.away = False
    again = {**form_of(waiting, "update"), "text": "在北门"}
    assert (await portal.http.post("/track/update", data=again, files=[NO_PHOTO])).status_code == 303
    assert len(reports.feedback) == 1


async def test_a_form_of_another_site_says_nothing(portal: Inside, reports: FakeReports) -> None:
    fields = {**form_of(await shown(portal), "update"), "text": "在北门", "csrf": "x"}
    answer = await portal.http.post("/track/update", data=fields, files=[PHOTO])
    assert answer.status_code == 403
    assert not reports.feedback
    assert not reports.uploads


async def test_without_a_session_nothing_is_said(portal: Inside, reports: FakeReports) -> None:
    fields = {**form_of(await shown(portal), "update"), "text": "在北门"}
    portal.http.cookies.delete("track")
    answer = await portal.http.post("/track/update", data=fields, files=[PHOTO])
    assert (answer.status_code, "再输入一次查询码" in answer.text) == (403, True)
    assert not reports.feedback


async def test_there_are_no_other_forms(portal: Inside) -> None:
    await entered(portal)
    answer = await portal.http.post("/track/erase", data={})
    assert (answer.status_code, "text/html" in answer.headers["content-type"]) == (404, True)


async def test_reports_learns_the_language_of_the_reader(portal: Inside, reports: FakeReports) -> None:
    await shown(portal)
    await portal.http.get("/track", headers={"accept-language": "en"})
    assert [request.headers["accept-language"] for request in reports.seen[-2:]] == ["zh", "en"]


async def test_what_was_written_moves_nothing_beside_it(portal: Inside, reports: FakeReports) -> None:
    happened = line("comment", "进展", by="reporter", note="\u202e在北门\u200f12-3", mine=True)
    reports.tracked[CODE] = view(
        address="\u06733号\u200f-2", timeline=[happened], may=["answer"], question="\u202e哪栋？"
    )
    page = (await shown(portal)).text
    for part in ("<bdi>在北门12-3</bdi>", "<bdi>\u06733号-2</bdi>", "<bdi>哪栋？</bdi>"):
        assert part in page


async def test_the_reporter_sees_which_stage_is_late(portal: Inside, reports: FakeReports) -> None:
    late: dict[str, Any] = {"stage": Stage.ACKNOWLEDGE, "stage_due_at": NOON - timedelta(hours=2), "level": Level.BLUE}
    await heard(portal, case_event(**late))
    reports.tracked[CODE] = view(state="dispatched")
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", (await shown(portal)).text))
    assert "签收超时 2 小时 0 分 · 整改还剩 4 小时 0 分" in page
