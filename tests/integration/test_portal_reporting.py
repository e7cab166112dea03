"""Reporting through the portal: the form, its questions, what is on file already, and the code at the end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.portal.repo import HANDED
from shared.http import RateLimit
from tests.inprocess import Inside
from tests.integration.portal_world import (
    CODE,
    FOLLOWING,
    NO_PHOTO,
    PHOTO,
    REPORT,
    SPOT,
    FakeReports,
    a_portal,
    hidden,
    opened,
    sent,
)
from tests.unit.portal.categories import category
from tests.unit.portal.events import NOON
from tests.waiting import eventually

DONE = "/report/done?case=20261103-ABCDEFGHJ0&sequence=1"
NEAR = "20261102-NEARNEARNE"


@pytest.fixture
def reports() -> FakeReports:
    return FakeReports()


@pytest.fixture
async def portal(mongodb_uri: str, namespace: str, tmp_path: Path, reports: FakeReports) -> AsyncIterator[Inside]:
    async with a_portal(mongodb_uri, namespace, tmp_path, reports) as portal:
        yield portal


async def test_a_report_goes_to_reports_and_the_browser_to_its_case(portal: Inside, reports: FakeReports) -> None:
    answer = await sent(portal, PHOTO)
    assert (answer.status_code, answer.headers["location"]) == (303, DONE)
    [case] = reports.filed.values()
    assert (case["category"], case["photos"], case["reporter"]["name"]) == ("exposed-rubbish", ["photo1"], "王女士")
    assert case["channel"] == "citizen"
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
    typed = {**await opened(portal), **REPORT}
    answers = [await portal.http.post("/report", data=typed, files=[PHOTO]) for _ in range(3)]
    assert {answer.headers["location"] for answer in answers} == {DONE}
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
    typed = {**hidden(refused), **REPORT, "kept": "photo1"}
    answer = await portal.http.post("/report", data=typed, files=[NO_PHOTO])
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
    typed = {**await opened(portal), **REPORT}
    answer = await portal.http.post("/report", data=typed, files=[PHOTO])
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert "垃圾桶满了没人清" in answer.text
    assert hidden(answer)["key"] == typed["key"]
    reports.away = False
    assert (await portal.http.post("/report", data=typed, files=[PHOTO])).status_code == 303
    assert len(reports.filed) == 1


async def test_a_changed_report_under_a_used_key_is_told_apart(portal: Inside, reports: FakeReports) -> None:
    typed = {**await opened(portal), **REPORT}
    await portal.http.post("/report", data=typed, files=[NO_PHOTO])
    answer = await portal.http.post("/report", data={**typed, "text": "另一个"}, files=[NO_PHOTO])
    assert answer.status_code == 422
    assert "此前已经受理" in answer.text
    assert hidden(answer)["key"] != typed["key"]
    assert len(reports.filed) == 1


@pytest.mark.parametrize("forged", ["", "x", "a" * 43, "不是"])
async def test_a_form_of_another_site_files_nothing(portal: Inside, reports: FakeReports, forged: str) -> None:
    answer = await portal.http.post(
        "/report", data={**await opened(portal), **REPORT, "csrf": forged}, files=[NO_PHOTO]
    )
    assert answer.status_code == 403
    assert "垃圾桶满了没人清" in answer.text
    assert not reports.seen


async def test_a_form_without_a_cookie_files_nothing(portal: Inside, reports: FakeReports) -> None:
    typed = {**await opened(portal), **REPORT}
    portal.http.cookies.clear()
    assert (await portal.http.post("/report", data=typed)).status_code == 403
    assert not reports.seen


@pytest.mark.parametrize("address", ["/report", "/track", "/track/update", "/track/leave", "/office/what-if"])
@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
    ],
)
async def test_another_sites_form_shows_nothing_of_itself_and_leaves_cookies_alone(
    portal: Inside, reports: FakeReports, address: str, headers: dict[str, str]
) -> None:
    await opened(portal)
    answer = await portal.http.post(address, data={**REPORT, "text": "别人写的"}, headers=headers)
    assert answer.status_code == 403
    assert "其他网站" in answer.text
    assert "别人写的" not in answer.text
    assert "set-cookie" not in answer.headers
    assert not reports.seen


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "same-origin"}, {"origin": "http://reports"}])
async def test_a_form_of_ours_is_taken_where_the_browser_says_whose_it_is(
    portal: Inside, reports: FakeReports, headers: dict[str, str]
) -> None:
    typed = {**await opened(portal), **REPORT}
    answer = await portal.http.post("/report", data=typed, files=[NO_PHOTO], headers=headers)
    assert answer.status_code == 303


@pytest.mark.parametrize("address", ["/report", "/track", "/track/leave"])
async def test_half_sent_forms_of_one_address_do_not_shut_out_the_others(
    portal: Inside, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.portal.pages.page.PATIENCE", 300)  # however slow this machine is
    never = asyncio.Event()

    async def half() -> AsyncIterator[bytes]:
        yield b"text="
        await never.wait()

    def somebody(last: int) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(portal.app, raise_app_exceptions=False, client=(f"203.0.113.{last}", 1))
        return httpx2.AsyncClient(transport=transport, base_url="http://reports")

    headers = {"content-type": "application/x-www-form-urlencoded"}
    async with somebody(7) as greedy, somebody(8) as other:
        portal.runtime.resources.limit = RateLimit(1000, 1000)
        posts = (greedy.post(address, content=half(), headers=headers) for _ in range(80))
        sending = [asyncio.ensure_future(post) for post in posts]

        async def refused() -> bool:
            return sum(each.done() for each in sending) == 80 - 8

        try:
            assert await eventually(refused)
            assert (await other.post("/track/leave", data={})).status_code == 303
            assert (await other.post("/report", data={})).status_code == 403
            assert {each.result().status_code for each in sending if each.done()} == {429}
        finally:
            for each in sending:
                each.cancel()
            await asyncio.gather(*sending, return_exceptions=True)


@pytest.mark.parametrize(("charset", "content"), [("utf-7", b"+2AA-"), ("idna", b"xn--\xff"), ("punycode", b"\xff-")])
async def test_text_that_nobody_could_write_down_does_no_harm(portal: Inside, charset: str, content: bytes) -> None:
    fields = await opened(portal)
    parts = [
        f'--x\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"
        for name, value in [("csrf", fields["csrf"].encode()), ("text", content), ("address", content)]
    ]
    headers = {"content-type": f"multipart/form-data; boundary=x; charset={charset}"}
    answer = await portal.http.post("/report", content=b"".join([*parts, b"--x--\r\n"]), headers=headers)
    assert answer.status_code in {403, 422}


async def test_cookies_are_for_this_portal_alone(portal: Inside) -> None:
    cookie = (await portal.http.get("/report")).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/;" in cookie


async def test_who_goes_back_finds_the_form_with_the_same_key(portal: Inside) -> None:
    page = await portal.http.get("/report")
    assert page.headers["cache-control"] == "private, no-cache"
    assert 'action="/report?send"' in page.text  # sending to the form's own address would make caches forget it


async def test_one_address_may_not_report_without_end(portal: Inside, reports: FakeReports) -> None:
    typed = {**await opened(portal), **REPORT}
    answers = [await portal.http.post("/report", data={**typed, "csrf": ""}) for _ in range(21)]
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
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = await portal.http.post("/report", content=b"no boundary", headers=headers)
    assert answer.status_code in {403, 422}
    assert "text/html" in answer.headers["content-type"]


async def test_reports_learns_for_whom_the_portal_asks(portal: Inside, reports: FakeReports) -> None:
    await sent(portal)
    [request] = reports.seen
    assert request.headers["x-forwarded-for"] == "127.0.0.1"
    assert request.headers["accept-language"] == "zh"


async def test_praise_is_filed_as_praise(portal: Inside, reports: FakeReports) -> None:
    assert 'value="praise" checked' in (await portal.http.get("/report?kind=praise")).text
    reports.similar = [near()]
    answer = await sent(portal, kind="praise", category="manhole-cover", **SPOT)
    assert answer.status_code == 303
    [case] = reports.filed.values()
    assert (case["kind"], case["category"]) == ("praise", "manhole-cover")


async def test_while_reports_limits_somebody_the_form_says_when_to_come_back(
    portal: Inside, reports: FakeReports
) -> None:
    reports.limited = True
    answer = await sent(portal)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert "请求过于频繁" in answer.text
    assert "垃圾桶满了没人清" in answer.text


# ---- questions ---------------------------------------------------------------------------------------------


async def test_the_form_offers_what_the_office_has_in_its_catalogue(portal: Inside, reports: FakeReports) -> None:
    reports.categories[:] = [category("drones", name="无人机扰民"), category("bins", retired=True)]
    page = (await portal.http.get("/report")).text
    assert re.findall(r'<option value="([\w-]+)" data-guidance', page) == ["drones"]


async def test_a_category_without_its_questions_answered_comes_back_with_them(
    portal: Inside, reports: FakeReports
) -> None:
    asked = await sent(portal, PHOTO, category="public-toilet")
    assert asked.status_code == 200
    assert not reports.filed
    assert re.search(r'id="questions-public-toilet" data-category="public-toilet">', asked.text)
    assert "还有几个问题" in asked.text
    for typed in ("垃圾桶满了没人清", 'value="王女士"', 'value="photo1" checked'):
        assert typed in asked.text
    fields = {**hidden(asked), **REPORT, "category": "public-toilet", "kept": "photo1"}
    assert fields["asked"] == "public-toilet"
    blank = await portal.http.post("/report", data=fields, files=[NO_PHOTO])
    assert blank.status_code == 422
    assert 'id="fault-answer-public-toilet-where">这个问题必须回答' in blank.text
    assert '<a href="#answer-public-toilet-where">问题 where</a>' in blank.text
    answers = {"answer.where": "北门", "answer.faults": ["one", "two"], "answer.since": ""}
    filed = await portal.http.post("/report", data={**fields, **hidden(blank), **answers}, files=[NO_PHOTO])
    assert filed.status_code == 303
    [case] = reports.filed.values()
    assert case["answers"] == {"where": "北门", "faults": ["one", "two"]}
    assert (case["photos"], len(reports.uploads)) == (["photo1"], 1)


async def test_with_its_questions_in_view_a_report_takes_one_step(portal: Inside, reports: FakeReports) -> None:
    answer = await sent(portal, category="public-toilet", asked="public-toilet", **{"answer.where": "北门"})
    assert answer.status_code == 303
    [case] = reports.filed.values()
    assert case["answers"] == {"where": "北门"}


async def test_an_answer_that_reports_refuses_is_told_at_its_question(portal: Inside, reports: FakeReports) -> None:
    reports.problem = {"code": "answer-not-a-date", "status": 422, "detail": "请填写日期", "field": "answers.since"}
    typed = {"asked": "public-toilet", "answer.where": "北门", "answer.since": "昨天"}
    answer = await sent(portal, category="public-toilet", **typed)
    assert answer.status_code == 422
    assert 'id="fault-answer-public-toilet-since">请填写日期' in answer.text
    assert 'value="昨天"' in answer.text


# ---- what is on file already -------------------------------------------------------------------------------


def near(**change: Any) -> dict[str, Any]:
    """An open case near by, as the reports service tells it."""
    return {
        "case": NEAR,
        "state": "dispatched",
        "unit": "huanwei",
        "metres": 37,
        "registered_at": (NOON - timedelta(hours=26)).isoformat(),
        "age_minutes": 1560,
        "address": "祥光社区北门",
        "photos": ["thumb1"],
        "similarity": 0.25,
        "why": "near",
        **change,
    }


async def test_what_may_be_on_file_already_is_shown_before_it_is_filed_again(
    portal: Inside, reports: FakeReports
) -> None:
    reports.similar = [near()]
    offered = await sent(portal, PHOTO, phone="0734-8888888", **SPOT)
    assert offered.status_code == 200
    assert not reports.filed
    for shown in (
        "约 37 米",
        "1 天 2 小时前上报",
        "已派遣",
        "祥光社区北门",
        "/photos/thumb1/thumb",
        "环境卫生服务中心",
    ):
        assert shown in offered.text
    [asked] = [request for request in reports.seen if request.url.path == "/cases/similar"]
    assert "0734" not in asked.content.decode()
    assert "王女士" not in asked.content.decode()


async def test_who_says_that_none_is_the_same_reports_as_typed(portal: Inside, reports: FakeReports) -> None:
    reports.similar = [near()]
    typed = {"category": "public-toilet", "asked": "public-toilet", "answer.faults": "one", "answer.where": "北门"}
    offered = await sent(portal, PHOTO, phone="0734-8888888", may_call="1", address='"3" <栋>', **SPOT, **typed)
    answer = await portal.http.post("/report", data={**hidden(offered), "alone": "1"})
    assert (answer.status_code, answer.headers["location"]) == (303, DONE)
    [case] = reports.filed.values()
    assert case == {
        "category": "public-toilet",
        "longitude": 112.6,
        "latitude": 26.9,
        "crs": "wgs84",
        "exact": True,
        "address": '"3" <栋>',
        "text": "垃圾桶满了没人清",
        "channel": "citizen",
        "kind": "problem",
        "answers": {"where": "北门", "faults": ["one"]},
        "photos": ["photo1"],
        "reporter": {"name": "王女士", "phone": "0734-8888888", "may_call": True, "may_publish": True},
    }
    assert len(reports.uploads) == 1


async def test_nobody_is_asked_twice(portal: Inside, reports: FakeReports) -> None:
    reports.similar = [near()]
    offered = await sent(portal, **SPOT)
    reports.problem = {"code": "x", "status": 422, "detail": "电话号码格式不正确", "field": "reporter.phone"}
    refused = await portal.http.post("/report", data={**hidden(offered), "alone": "1"})
    assert refused.status_code == 422
    reports.problem = None
    corrected = {**hidden(refused), **REPORT, **SPOT}
    assert (await portal.http.post("/report", data=corrected, files=[NO_PHOTO])).status_code == 303
    assert [request.url.path for request in reports.seen].count("/cases/similar") == 1


async def test_a_double_click_before_the_question_still_files_one_case(portal: Inside, reports: FakeReports) -> None:
    reports.similar = [near()]
    fields = {**await opened(portal), **REPORT, **SPOT}
    offers = [await portal.http.post("/report", data=fields, files=[PHOTO]) for _ in range(2)]
    answers = [await portal.http.post("/report", data={**hidden(offer), "alone": "1"}) for offer in offers]
    assert {answer.headers["location"] for answer in answers} == {DONE}
    assert (len(reports.filed), len(reports.uploads)) == (1, 1)


async def test_who_finds_their_problem_follows_it(portal: Inside, reports: FakeReports) -> None:
    reports.similar = [near()]
    offered = await sent(portal, **SPOT)
    fields = {**hidden(offered), "same": NEAR}
    answers = [await portal.http.post("/report", data=fields) for _ in range(2)]
    assert {answer.headers["location"] for answer in answers} == {f"/report/done?case={NEAR}&followed"}
    assert list(reports.followed.values()) == [NEAR]
    assert not reports.filed
    page = await portal.http.get(answers[-1].headers["location"])
    assert FOLLOWING in page.text
    assert "已关注" in page.text


async def test_a_case_that_cannot_be_followed_any_more_costs_nothing_typed(
    portal: Inside, reports: FakeReports
) -> None:
    reports.similar = [near()]
    offered = await sent(portal, PHOTO, **SPOT)
    reports.follow_problem = {"code": "follow-ended", "status": 409, "detail": "案件已结束，不能再关注"}
    refused = await portal.http.post("/report", data={**hidden(offered), "same": NEAR})
    assert refused.status_code == 422
    assert "案件已结束" in refused.text
    assert 'value="photo1" checked' in refused.text
    assert (await portal.http.post("/report", data={**hidden(refused), **REPORT, "alone": "1"})).status_code == 303


@pytest.mark.parametrize("problem", [500, 422, 429, 404])
async def test_where_nobody_knows_what_is_near_the_report_goes_on(
    portal: Inside, reports: FakeReports, problem: int
) -> None:
    reports.similar_problem = problem
    assert (await sent(portal, **SPOT)).headers["location"] == DONE


async def test_an_answer_about_what_is_near_in_another_form_is_none(portal: Inside, reports: FakeReports) -> None:
    reports.similar = [{"case": 1}]
    assert (await sent(portal, **SPOT)).headers["location"] == DONE


async def test_a_report_that_names_only_its_community_is_like_no_other(portal: Inside, reports: FakeReports) -> None:
    reports.similar = [near()]
    assert (await sent(portal)).headers["location"] == DONE
    [case] = reports.filed.values()
    assert case["exact"] is False


# ---- the tracking code -------------------------------------------------------------------------------------


async def test_the_code_is_told_once_and_is_in_no_address(portal: Inside) -> None:
    answer = await sent(portal)
    assert CODE not in answer.headers["location"]
    cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith("code="))
    for guard in ("HttpOnly", "Path=/report/done", "Max-Age=300", "SameSite=lax"):
        assert guard in cookie
    first = await portal.http.get(answer.headers["location"])
    assert f'id="code" translate="no">{CODE}<' in first.text
    assert first.headers["cache-control"] == "no-store"
    again = await portal.http.get(answer.headers["location"])
    assert again.status_code == 200
    assert CODE not in again.text
    assert "查询码只显示一次" in again.text


async def test_the_code_of_one_case_is_not_shown_with_another(portal: Inside) -> None:
    await sent(portal)
    page = await portal.http.get("/report/done?case=20261103-ANOTHERONE&sequence=1")
    assert CODE not in page.text


@pytest.mark.parametrize("query", ["", "?case=", "?case=<script>", "?case=20261103-ABCDEFGHJ0%0d%0aX:y"])
async def test_a_last_page_without_a_case_leads_to_the_form(portal: Inside, query: str) -> None:
    answer = await portal.http.get(f"/report/done{query}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/report")


async def test_from_the_last_page_one_step_leads_to_the_progress(portal: Inside, reports: FakeReports) -> None:
    answer = await sent(portal)
    page = await portal.http.get(answer.headers["location"])
    reports.tracked[CODE] = {"case": "x", "state": "dispatched", "words": "w", "category": "c"}
    reports.tracked[CODE]["registered_at"] = NOON.isoformat()
    entered = await portal.http.post("/track", data=hidden(page))
    assert (entered.status_code, entered.headers["location"]) == (303, "/track")
