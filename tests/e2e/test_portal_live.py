"""The ranking as it moves, in a real browser: rows change where they are, and none moves under a reader's finger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.inprocess import Inside
from tests.integration.portal_world import FakeReports, a_portal, heard, served
from tests.unit.portal.events import standing_event

UNITS = "rows => rows.map(row => row.dataset.unit)"
PATIENCE = 30_000


@pytest.fixture
async def portal(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with a_portal(mongodb_uri, namespace, tmp_path, FakeReports()) as portal:
        await heard(portal, standing_event("huanwei", "97"), standing_event("chengguan", "99"))
        yield portal


@pytest.fixture
async def page(browser: Browser, portal: Inside) -> AsyncIterator[Page]:
    """The ranking, followed."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900}, locale="zh-CN")
    async with served(portal) as address:
        page = await context.new_page()
        await page.goto(f"{address}/ranking")
        await expect(page.locator("[data-live-state]")).to_have_text("实时", timeout=PATIENCE)
        yield page
        await context.close()


async def units(page: Page) -> list[str]:
    return list(await page.eval_on_selector_all("tr[data-unit]", UNITS))


async def test_a_change_is_written_into_the_row_that_is_there(portal: Inside, page: Page) -> None:
    await page.eval_on_selector_all("tr[data-unit]", "rows => rows.forEach(row => { row.old = true; })")
    await heard(portal, standing_event("huanwei", "99.5", sequence=2))
    row = page.locator('tr[data-unit="huanwei"]')
    await expect(row.locator(".score")).to_have_text("99.5", timeout=PATIENCE)
    assert (await units(page))[-1] == "chengguan"
    assert await page.eval_on_selector_all("tr[data-unit]", "rows => rows.every(row => row.old)")


async def test_who_is_on_a_row_stays_on_it_and_it_moves_once_they_have_left(portal: Inside, page: Page) -> None:
    link = page.locator('tr[data-unit="huanwei"] a')
    await link.focus()
    await heard(portal, standing_event("huanwei", "99.5", sequence=2))
    await expect(page.locator('tr[data-unit="huanwei"] .score')).to_have_text("99.5", timeout=PATIENCE)
    await expect(link).to_be_focused()
    assert (await units(page))[-1] == "huanwei"
    await page.locator(".brand").focus()
    await expect(page.locator("tr[data-unit]").last).to_have_attribute("data-unit", "chengguan", timeout=PATIENCE)


async def test_what_the_first_page_shows_comes_and_goes(portal: Inside, page: Page) -> None:
    await page.goto(page.url.replace("/ranking", "/"))
    await expect(page.locator("[data-live-state]")).to_have_text("实时", timeout=PATIENCE)
    await heard(portal, standing_event("gongshui", "50"))
    first = page.locator("tr[data-unit]").first
    await expect(first).to_have_attribute("data-unit", "gongshui", timeout=PATIENCE)
    await expect(first.locator(".score")).to_have_text("50")
    assert len(await units(page)) == 5
