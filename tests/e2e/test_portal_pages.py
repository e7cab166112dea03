"""Citizens before the portal with a real browser: reporting on a phone, following a case, watching the ranking move."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.async_api import Browser, BrowserContext, Geolocation, Locator, Page, ViewportSize, expect

from deploy.local.stack import DISTRICT
from services.portal.app import SERVICE
from services.portal.handlers import BOARD
from services.portal.settings import Settings
from services.reports.district import District
from shared.clock import FileClock
from shared.readmodel import rebuild
from shared.service import connect
from tests.e2e.test_cases import Office
from tests.e2e.test_loop import filed, let_days_pass
from tests.photo_samples import from_telephone
from tests.processes import Platform
from tests.waiting import eventually

PHONE = ViewportSize(width=390, height=844)
SPOT = Geolocation(longitude=112.6, latitude=26.885)
DONE_PAGE = re.compile(r"/report/done\?case=(\d{8}-\w{10})")
CODE = re.compile(r"[0-9A-Z]{3}(-[0-9A-Z]{3}){5}")
PATIENCE = 30_000


@pytest.fixture
async def phone(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(viewport=PHONE, locale="zh-CN", geolocation=SPOT, permissions=["geolocation"])
    yield context
    await context.close()


@pytest.fixture
async def page(phone: BrowserContext) -> Page:
    return await phone.new_page()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "现场.jpg"
    file.write_bytes(from_telephone())
    return file


@pytest.fixture
async def desk(platform: Platform) -> AsyncIterator[Office]:
    async with httpx2.AsyncClient(timeout=10) as http:
        yield Office(http, platform)


async def fill(page: Page, platform: Platform, category: str = "exposed-rubbish", phone: str = "0734-8888888") -> None:
    await page.goto(f"{platform.url('portal')}/report")
    await page.select_option("#category", category)
    await page.fill("#text", "垃圾桶满了没人清")
    await page.fill("#phone", phone)


async def stand_at(page: Page, longitude: float, latitude: float) -> None:
    """Tell a spot by hand, where no other test has a case."""
    await page.locator("details", has=page.locator("#longitude")).locator("summary").click()
    await page.fill("#longitude", str(longitude))
    await page.fill("#latitude", str(latitude))


async def filed_case(page: Page) -> str:
    """The number of the case, from the page that comes after a report."""
    await page.wait_for_url(DONE_PAGE, timeout=PATIENCE)
    found = DONE_PAGE.search(page.url)
    assert found is not None
    return found[1]


async def case_page(page: Page) -> str:
    """From the page after a report to the case."""
    case = await filed_case(page)
    await page.click(f"text={case}")
    await expect(page.locator(".facts")).to_be_visible(timeout=PATIENCE)
    return case


async def published(platform: Platform, case: str) -> None:
    """The office has looked at what somebody new handed in."""
    address = f"{platform.url('reports')}/cases/{case}/moderation"
    async with httpx2.AsyncClient(timeout=10) as http:
        answer = await http.post(address, json={"verdict": "approve"}, headers=platform.token("office"))
    assert answer.status_code == 200, answer.text


async def uploaded(platform: Platform) -> str:
    """A photo that somebody at the interface has handed in."""
    async with httpx2.AsyncClient(timeout=10) as http:
        answer = await http.post(f"{platform.url('reports')}/photos", content=from_telephone())
    return str(answer.raise_for_status().json()["photo"])


async def shown_at_last(page: Page, what: str) -> None:
    """Look again until the page has it: photos come when the office and the events have."""

    async def look() -> bool:
        await page.reload()
        return await page.locator(what).count() > 0

    await eventually(look)


async def test_a_citizen_files_a_case_with_a_photo_from_where_they_stand(
    page: Page, platform: Platform, picture: Path
) -> None:
    await fill(page, platform, "manhole-cover", "0734-8111111")  # of whom the office has approved nothing yet
    await expect(page.locator("#guidance")).to_contain_text("必须附照片")
    await page.click("#locate")
    await expect(page.locator("#community option:checked")).to_have_text("杨柳社区")
    await page.set_input_files("#photos", picture)
    await expect(page.locator(".previews img")).to_have_count(1)
    await page.click("#send")
    await expect(page.locator("h1")).to_have_text("谢谢，已经受理", timeout=PATIENCE)
    case = await case_page(page)
    await expect(page.locator("h1")).to_have_text("井盖缺失破损")
    await expect(page.locator(".facts")).to_contain_text("市政设施维护中心")
    await expect(page.locator(".pin")).to_have_count(0)  # what nobody has approved has no exact place
    await expect(page.locator(".photos img")).to_have_count(0)
    await published(platform, case)
    await shown_at_last(page, ".photos img")
    await expect(page.locator(".pin")).to_be_visible()
    assert await page.locator(".photos img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert "0734" not in await page.content()
    assert "垃圾桶满了" not in await page.content()


async def test_the_form_works_without_scripts(browser: Browser, platform: Platform) -> None:
    context = await browser.new_context(viewport=PHONE, locale="zh-CN", java_script_enabled=False)
    page = await context.new_page()
    await fill(page, platform)
    await expect(page.locator("#locate")).to_be_hidden()
    await page.select_option("#community", "430476001208")
    await page.click("#send")
    await expect(page.locator("#code")).to_have_text(CODE, timeout=PATIENCE)
    await case_page(page)
    await expect(page.locator("h1")).to_have_text("暴露垃圾", timeout=PATIENCE)
    await expect(page.locator(".facts")).to_contain_text("二塘村")
    await context.close()


async def test_without_scripts_questions_come_as_a_second_step(browser: Browser, platform: Platform) -> None:
    context = await browser.new_context(viewport=PHONE, locale="zh-CN", java_script_enabled=False)
    page = await context.new_page()
    await fill(page, platform, "public-toilet")
    await expect(page.locator("#questions-public-toilet")).to_be_hidden()
    await page.select_option("#community", "430476001208")
    await page.click("#send")
    await expect(page.get_by_text("还有几个问题")).to_be_visible()
    await expect(page.locator("#text")).to_have_value("垃圾桶满了没人清")
    await page.get_by_label("异味").check()
    await page.click("#send")
    await expect(page.locator("#code")).to_have_text(CODE, timeout=PATIENCE)
    await context.close()


async def test_a_report_is_followed_by_its_code_until_its_reporter_rates_the_result(
    page: Page, platform: Platform, picture: Path, desk: Office
) -> None:
    await fill(page, platform, "public-toilet", "0734-8222222")
    await page.get_by_label("异味").check()
    await page.get_by_label("无水").check()
    await stand_at(page, 112.5713, 26.8611)
    await page.set_input_files("#photos", picture)
    await page.click("#send")
    case = await filed_case(page)
    code = await page.locator("#code").inner_text()
    assert CODE.fullmatch(code)

    await page.goto(f"{platform.url('portal')}/track")
    await page.fill("#code", code.lower().replace("-", " "))
    await page.get_by_role("button", name="查看").click()
    await expect(page.locator("h1")).to_contain_text("公共厕所")
    await expect(page.locator(".facts")).to_contain_text("待审核后公开")
    assert code not in page.url
    await page.get_by_text("补充说明、照片").click()
    await page.fill("#update-text", "在公园北门旁")
    await page.get_by_role("button", name="提交").click()
    await expect(page.locator(".timeline")).to_contain_text("在公园北门旁")

    unit = (await desk.snapshot(case))["unit"]
    officer = desk.officer(unit)
    await published(platform, case)
    await desk.do(case, "acknowledge", officer)
    await desk.do(case, "ask-reporter", officer, question="男厕还是女厕？")
    await page.goto(f"{platform.url('portal')}/track")  # the code is not asked for again
    await expect(page.locator(".asked")).to_contain_text("男厕还是女厕？")
    await page.fill("#update-text", "都有")
    await page.get_by_role("button", name="提交").click()
    await expect(page.get_by_text("已收到您的补充")).to_be_visible()
    await desk.do(case, "reply", officer, text="已清洗并更换管件", photos=[await uploaded(platform)])
    await desk.do(case, "verify", desk.verifier, passed=True)
    await desk.do(case, "close", desk.office)

    await page.reload()
    await expect(page.locator(".timeline")).to_contain_text("已清洗并更换管件")
    image = page.locator(".timeline .photos img")
    assert await image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    await page.locator("[name=resolved][value=yes]").check()
    await page.locator("[name=satisfied][value=yes]").check()
    await page.get_by_role("button", name="提交评价").click()
    await expect(page.get_by_text("已收到您的评价")).to_be_visible()
    await page.goto(f"{platform.url('portal')}/cases/{case}")
    await shown_at_last(page, ".facts >> text=满意")
    await expect(page.get_by_text("整改后照片").first).to_be_visible()


async def test_what_is_on_file_already_is_followed_instead(page: Page, platform: Platform, desk: Office) -> None:
    first = await desk.file(category="graffiti", longitude=112.5811, latitude=26.8702)
    await fill(page, platform, "graffiti")
    await stand_at(page, 112.5814, 26.8702)
    await page.click("#send")
    await expect(page.locator("h1")).to_have_text("是不是同一个问题？", timeout=PATIENCE)
    await expect(page.locator(".similar li")).to_contain_text("约 30 米")
    await page.get_by_role("button", name="我要关注").click()
    await expect(page.locator("h1")).to_have_text("已关注")
    assert await filed_case(page) == first
    await page.get_by_role("button", name="查看办理进度").click()
    await expect(page.get_by_text("您在关注这个案件")).to_be_visible()


async def test_what_is_another_problem_is_filed_with_its_photo(
    page: Page, platform: Platform, picture: Path, desk: Office
) -> None:
    first = await desk.file(category="graffiti", longitude=112.5911, latitude=26.8752)
    await fill(page, platform, "graffiti")
    await stand_at(page, 112.5914, 26.8752)
    await page.set_input_files("#photos", picture)
    await page.click("#send")
    await page.get_by_role("button", name="继续上报").click()
    second = await case_page(page)
    assert second != first
    await published(platform, second)
    await shown_at_last(page, ".photos img")


async def test_what_is_not_fixed_goes_back_to_its_unit(
    page: Page, platform: Platform, picture: Path, desk: Office
) -> None:
    async with httpx2.AsyncClient(timeout=10) as http:
        case = await filed(http, platform)
    await desk.finish(case["case"], case["unit"])
    await page.goto(f"{platform.url('portal')}/track")
    await page.fill("#code", case["tracking"])
    await page.get_by_role("button", name="查看").click()
    await page.get_by_text("还没解决").click()
    await page.set_input_files("#object-photos", picture)
    await page.fill("#object-text", "只清了一半")
    await page.get_by_role("button", name="要求重新办理").click()
    await expect(page.get_by_text("将重新办理")).to_be_visible(timeout=PATIENCE)
    await expect(page.locator(".timeline")).to_contain_text("只清了一半")
    snapshot = await desk.snapshot(case["case"])
    assert (snapshot["state"], snapshot["reopens"]) == ("dispatched", 1)


async def test_the_code_is_not_seen_again_by_going_back(page: Page, platform: Platform) -> None:
    await fill(page, platform)
    await page.select_option("#community", "430476001208")
    await page.click("#send")
    code = await page.locator("#code").inner_text(timeout=PATIENCE)
    await page.goto(f"{platform.url('portal')}/ranking")
    await page.go_back()
    await expect(page.get_by_text("已经显示过了")).to_be_visible()
    assert code not in await page.content()


async def test_praise_reaches_the_unit_and_the_public(page: Page, platform: Platform) -> None:
    await page.goto(f"{platform.url('portal')}/report?kind=praise")
    await page.select_option("#category", "public-toilet")
    await expect(page.locator("#questions-public-toilet")).to_be_hidden()
    await page.fill("#text", "保洁员很负责")
    await page.select_option("#community", "430476001208")
    await page.click("#send")
    await case_page(page)
    await expect(page.locator(".title-row")).to_contain_text("点赞")
    await expect(page.get_by_text("整改时限")).to_have_count(0)


async def test_going_back_and_sending_again_files_nothing_twice(page: Page, platform: Platform) -> None:
    await fill(page, platform)
    await page.select_option("#community", "430476001007")
    key = await page.locator("[name=key]").get_attribute("value")
    await page.click("#send")
    first = await filed_case(page)
    await page.go_back()
    assert await page.locator("[name=key]").get_attribute("value") == key
    await fill_again(page)
    await page.click("#send")
    assert await filed_case(page) == first


async def fill_again(page: Page) -> None:
    """Browsers keep what was typed, but not all of them, and not always."""
    await page.select_option("#category", "exposed-rubbish")
    await page.fill("#text", "垃圾桶满了没人清")
    await page.fill("#phone", "0734-8888888")
    await page.select_option("#community", "430476001007")


async def test_a_mistake_is_told_at_its_field_and_nothing_is_lost(
    page: Page, platform: Platform, picture: Path
) -> None:
    await fill(page, platform)
    await page.select_option("#community", "430476001007")
    await page.fill("#phone", "不告诉你")
    await page.set_input_files("#photos", picture)
    await page.click("#send")
    await expect(page.locator("#fault-phone")).to_have_text("电话号码格式不正确")
    await expect(page.locator("[role=alert]").first).to_be_focused()
    await expect(page.locator("#text")).to_have_value("垃圾桶满了没人清")
    await page.fill("#phone", "")
    await page.click("#send")
    await published(platform, await case_page(page))
    await shown_at_last(page, ".photos img")


async def test_pointing_at_the_map_is_enough_for_a_place(page: Page, platform: Platform) -> None:
    await fill(page, platform)
    area = await page.locator('.area[data-code="430476001213"]').bounding_box()
    assert area is not None
    await page.mouse.click(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    await expect(page.locator("#community option:checked")).to_have_text("长胜村")
    await page.click("#send")
    await case_page(page)
    await expect(page.locator(".facts")).to_contain_text("长胜村")


def days_to_fresh_month(platform: Platform) -> int:
    """Days until early in a month some way off, so that all levels of what is filed then lie in it."""
    today = FileClock(platform.folder / "clock.json").now()
    there = today + timedelta(days=100)
    return 100 + (36 - there.day if there.day > 6 else 6 - there.day)


async def test_the_ranking_moves_before_the_viewers_eyes(page: Page, platform: Platform) -> None:
    let_days_pass(platform, days_to_fresh_month(platform))
    async with httpx2.AsyncClient(timeout=10) as http:
        late = await filed(http, platform)
    await page.goto(f"{platform.url('portal')}/ranking?period={late['due_at'][:7]}")
    await expect(page.locator("[data-live-state]")).to_have_text("实时")
    score = page.locator(f'tr[data-unit="{late["unit"]}"] .score')
    before = await settled(score)
    let_days_pass(platform, 10)
    # What is at stake is lost with blue and with orange, and twice with red (scoring-rules.json).
    points = 4 * Decimal(District.load(DISTRICT).categories["exposed-rubbish"].points)
    await expect(score).to_have_text(str(before - points), timeout=PATIENCE)
    row = page.locator(f'tr[data-unit="{late["unit"]}"]')
    await expect(row.locator(".lost")).to_have_text(str(100 - before + points))
    await expect(row.locator(".changed")).to_have_text(re.compile(r"\d\d-\d\d \d\d:\d\d"))
    scores = [Decimal(text) for text in await page.locator("tbody tr .score").all_inner_texts()]
    assert scores == sorted(scores, reverse=True), "it has moved to its place"


async def settled(score: Locator) -> Decimal:
    """The score once what earlier tests have left behind is counted: the same for some seconds."""
    seen: list[str] = []
    while len(seen) < 8 or len(set(seen[-8:])) > 1:
        seen.append(await score.inner_text())
        await asyncio.sleep(0.5)
    return Decimal(seen[-1])


async def test_the_office_tries_other_points_and_sees_who_would_move(page: Page, platform: Platform) -> None:
    async with httpx2.AsyncClient(timeout=10) as http:
        case = await filed(http, platform)
        let_days_pass(platform, 20)
        await _tried(page, platform, http, case)


async def _tried(page: Page, platform: Platform, http: httpx2.AsyncClient, case: dict[str, Any]) -> None:
    period = case["due_at"][:7]

    async def charged() -> bool:
        ledger = (await http.get(f"{platform.url('scoring')}/units/{case['unit']}/ledger?limit=500")).json()
        return any(row["case"] == case["case"] for row in ledger["entries"])

    assert await eventually(charged)
    await page.goto(f"{platform.url('portal')}/office/what-if")
    await page.fill("#bearer", "not a token")
    await page.fill("#period", period)
    await page.fill(r"#points\.case-overdue\.otherwise", "4")
    await page.get_by_role("button", name="试算").click()
    await expect(page.locator("#bearer-fault")).to_be_visible()
    await page.fill("#bearer", platform.issuer.token("office-1", ["office"]))
    await page.get_by_role("button", name="试算").click()
    row = page.get_by_role("row").filter(has_text="环境卫生服务中心")
    await expect(row).to_be_visible()
    assert "token" not in page.url
    assert await page.input_value("#bearer") == ""
    assert await page.input_value(r"#points\.case-overdue\.otherwise") == "4"
    after = (await http.get(f"{platform.url('scoring')}/units/{case['unit']}/ledger?limit=500")).json()
    assert not [each for each in after["entries"] if each["case"] == case["case"] and each["points"] == "2"]


BLACK = {
    "kind": "black",
    "period": "2026-11",
    "issuer": "first",
    "items": [
        {"reason": "交办问题逾期未回复", "unit": "huanwei"},
        {
            "reason": "摊位占道经营，过道堵塞",
            "area": "430476001007",
            "venue_type": "farmers-market",
            "venue": "祥光农贸市场",
        },
    ],
}


async def published_list(platform: Platform) -> str:
    """A black list that the office has written and published, and a leader has approved."""
    async with httpx2.AsyncClient(base_url=platform.url("scoring"), timeout=10) as http:
        office, leader = platform.token("office"), platform.token("leader")
        drafted = await http.post("/lists", json=BLACK, headers=office)
        assert drafted.status_code == 201, drafted.text
        id = str(drafted.json()["id"])
        approved = await http.post(f"/lists/{id}/approve", json={"based_on": 1}, headers=leader)
        assert approved.status_code == 200, approved.text
        assert (await http.post(f"/lists/{id}/publish", headers=office)).status_code == 200
    return id


async def test_a_black_list_is_read_on_a_phone_until_it_is_withdrawn(page: Page, platform: Platform) -> None:
    id = await published_list(platform)
    await page.goto(f"{platform.url('portal')}/lists/{id}")
    await shown_at_last(page, ".listed")
    await expect(page.locator(".listed li")).to_have_count(2)
    await expect(page.locator(".listed")).to_contain_text("衡阳高新区华兴街道祥光社区")
    await page.goto(f"{platform.url('portal')}/lists?kind=black")
    card = page.locator(".list-card", has=page.locator(f'a[href="/lists/{id}"]'))
    await card.get_by_role("link", name="环境卫生服务中心").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("环境卫生服务中心")
    async with httpx2.AsyncClient(base_url=platform.url("scoring"), timeout=10) as http:
        withdrawal = await http.post(
            f"/lists/{id}/withdraw", json={"reason": "不属实"}, headers=platform.token("office")
        )
        assert withdrawal.status_code == 200, withdrawal.text
    await page.goto(f"{platform.url('portal')}/lists/{id}")
    await shown_at_last(page, ".withdrawn")
    await expect(page.locator(".listed")).to_have_count(0)
    await expect(page.locator("main")).not_to_contain_text("祥光")


async def test_what_cost_points_leads_from_case_to_row_and_back(page: Page, platform: Platform) -> None:
    async with httpx2.AsyncClient(timeout=10) as http:
        late = await filed(http, platform)
    let_days_pass(platform, 10)
    await page.goto(f"{platform.url('portal')}/cases/{late['case']}")
    await shown_at_last(page, ".charges")
    await page.locator(".charges a").first.click()
    row = page.locator("li:target")
    await expect(row).to_contain_text("整改超期（蓝色）")
    await expect(row.locator(".badge")).to_have_text("超期")
    await expect(page.get_by_role("table")).to_contain_text("超期")
    await expect(page.locator("#period")).to_have_value(re.compile(r"\d{4}-\d\d"))
    await row.get_by_role("link", name=late["case"]).click()
    await expect(page.locator(".charges")).to_be_visible()


async def test_the_board_is_built_anew_beside_the_live_one(platform: Platform) -> None:
    portal = platform.url("portal")
    async with httpx2.AsyncClient(base_url=portal, timeout=10) as http:

        async def case_shown(case: str) -> Any:
            answer = await http.get(f"/api/cases/{case}")
            return answer.json() if answer.status_code == 200 else None

        old = (await filed(http, platform))["case"]
        before = await eventually(lambda: case_shown(old))
        await rebuilt(platform)
        new = (await filed(http, platform))["case"]
        assert await eventually(lambda: case_shown(new))
        assert await case_shown(old) == before


async def rebuilt(platform: Platform) -> None:
    """What `python -m services.portal rebuild board` does."""
    settings = {
        "namespace": platform.namespace,
        "mongodb_uri": platform.mongodb_uri,
        "kafka_bootstrap_servers": platform.kafka,
        "http_port": 0,
        "auth_jwks": str(platform.issuer.jwks),
        "auth_issuer": "unused",
        "district": DISTRICT,
        "reports_url": platform.url("reports"),
        "scoring_url": platform.url("scoring"),
    }
    runtime = connect(SERVICE, Settings.model_validate(settings))
    try:
        generation = await rebuild(runtime.store, runtime.broker, BOARD, await runtime.prepare(), patience=60)
        assert generation.number > 1
    finally:
        await runtime.store.close()


PAGES = ["/", "/report", "/report?category=public-toilet", "/report/done?case=20261103-ABCDEFGHJK", "/track", "/cases"]
PAGES += ["/ranking", "/units/huanwei", "/lists", "/cases/unknown", "/about"]


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("width", [320, 390, 1280])
async def test_pages_fit_and_nothing_is_refused_by_their_own_policy(
    browser: Browser, platform: Platform, address: str, width: int
) -> None:
    context = await browser.new_context(viewport={"width": width, "height": 800}, locale="zh-CN")
    page = await context.new_page()
    refused: list[str] = []
    page.on(
        "console", lambda message: refused.append(message.text) if "Content Security Policy" in message.text else None
    )
    page.on("pageerror", lambda error: refused.append(str(error)))
    await page.goto(platform.url("portal") + address)
    await expect(page.locator("h1")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    assert refused == []
    await context.close()
