"""Citizens before the portal with a real browser: filing on a phone, following a case, watching the ranking move."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Geolocation, Page, ViewportSize, async_playwright, expect

from services.portal.app import SERVICE
from services.portal.handlers import BOARD
from services.portal.settings import Settings
from services.reports.district import District
from shared.readmodel import rebuild
from shared.service import connect
from tests.e2e.test_loop import filed, let_days_pass
from tests.photo_samples import from_telephone
from tests.platform import DISTRICT, Platform
from tests.waiting import eventually

PHONE = ViewportSize(width=390, height=844)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
SPOT = Geolocation(longitude=112.6, latitude=26.885)
CASE_PAGE = re.compile(r"/cases/(\d{8}-\w{10})")
PATIENCE = 30_000


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium where there is one, else the one that playwright has installed."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        yield browser
        await browser.close()


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


async def fill(page: Page, platform: Platform, category: str = "exposed-rubbish") -> None:
    await page.goto(f"{platform.url('portal')}/report")
    await page.select_option("#category", category)
    await page.fill("#text", "垃圾桶满了没人清")
    await page.fill("#phone", "0734-8888888")


async def test_a_citizen_files_a_case_with_a_photo_from_where_they_stand(
    page: Page, platform: Platform, picture: Path
) -> None:
    await fill(page, platform, "manhole-cover")
    await expect(page.locator("#guidance")).to_contain_text("必须附照片")
    await page.click("#locate")
    await expect(page.locator("#community option:checked")).to_have_text("杨柳社区")
    await page.set_input_files("#photos", picture)
    await expect(page.locator("#previews img")).to_have_count(1)
    await page.click("#send")
    await expect(page.get_by_text("谢谢，已经受理")).to_be_visible(timeout=PATIENCE)
    await expect(page.locator("h1")).to_have_text("井盖缺失破损")
    await expect(page.locator(".facts")).to_contain_text("市政设施维护中心")
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
    await expect(page.locator("h1")).to_have_text("暴露垃圾", timeout=PATIENCE)
    await expect(page.locator(".facts")).to_contain_text("二塘村")
    await context.close()


async def test_going_back_and_sending_again_files_nothing_twice(page: Page, platform: Platform) -> None:
    await fill(page, platform)
    await page.select_option("#community", "430476001007")
    key = await page.locator("[name=key]").get_attribute("value")
    await page.click("#send")
    await page.wait_for_url(CASE_PAGE)
    first = CASE_PAGE.search(page.url)
    await page.go_back()
    assert await page.locator("[name=key]").get_attribute("value") == key
    await fill_again(page)
    await page.click("#send")
    await page.wait_for_url(CASE_PAGE)
    second = CASE_PAGE.search(page.url)
    assert first is not None
    assert second is not None
    assert first[1] == second[1]


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
    await expect(page.locator(".photos img")).to_have_count(1, timeout=PATIENCE)


async def test_pointing_at_the_map_is_enough_for_a_place(page: Page, platform: Platform) -> None:
    await fill(page, platform)
    area = await page.locator('.area[data-code="430476001213"]').bounding_box()
    assert area is not None
    await page.mouse.click(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    await expect(page.locator("#community option:checked")).to_have_text("长胜村")
    await page.click("#send")
    await expect(page.locator(".facts")).to_contain_text("长胜村", timeout=PATIENCE)


async def test_the_ranking_moves_before_the_viewers_eyes(page: Page, platform: Platform) -> None:
    let_days_pass(platform, 40)  # into a month in which nobody has lost anything yet
    async with httpx.AsyncClient(timeout=10) as http:
        late = await filed(http, platform)
    await page.goto(f"{platform.url('portal')}/ranking?period={late['due_at'][:7]}")
    await expect(page.locator("[data-live-state]")).to_have_text("实时")
    score = page.locator(f'tr[data-unit="{late["unit"]}"] .score')
    await expect(score).to_have_text("100")
    let_days_pass(platform, 10)
    points = Decimal(District.load(DISTRICT).categories["exposed-rubbish"].points)
    await expect(score).to_have_text(str(100 - points), timeout=PATIENCE)
    row = page.locator(f'tr[data-unit="{late["unit"]}"]')
    await expect(row.locator(".lost")).to_have_text(str(points))
    await expect(row.locator(".changed")).to_have_text(re.compile(r"\d\d-\d\d \d\d:\d\d"))
    assert await page.locator("tbody tr").last.get_attribute("data-unit") == late["unit"]


async def test_the_board_is_built_anew_beside_the_live_one(platform: Platform) -> None:
    portal = platform.url("portal")
    async with httpx.AsyncClient(base_url=portal, timeout=10) as http:

        async def told(case: str) -> Any:
            answer = await http.get(f"/api/cases/{case}")
            return answer.json() if answer.status_code == 200 else None

        old = (await filed(http, platform))["case"]
        before = await eventually(lambda: told(old))
        await rebuilt(platform)
        new = (await filed(http, platform))["case"]
        assert await eventually(lambda: told(new))
        assert await told(old) == before


async def rebuilt(platform: Platform) -> None:
    """What `python -m services.portal rebuild board` does."""
    told = {
        "namespace": platform.namespace,
        "mongodb_uri": platform.mongodb_uri,
        "kafka_bootstrap_servers": platform.kafka,
        "http_port": 0,
        "auth_jwks": str(platform.issuer.jwks),
        "auth_issuer": "unused",
        "district": DISTRICT,
        "reports_url": platform.url("reports"),
    }
    runtime = connect(SERVICE, Settings.model_validate(told))
    try:
        generation = await rebuild(runtime.store, runtime.broker, BOARD, patience=60)
        assert generation.number > 1
    finally:
        await runtime.store.close()


@pytest.mark.parametrize("address", ["/", "/report", "/cases", "/ranking", "/units/huanwei", "/cases/unknown"])
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
