"""The whole platform as real processes, shared by the end-to-end tests."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from tests.processes import Platform
from tests.servers import Servers

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]


@pytest.fixture(scope="session")
def platform(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Reports, scoring and portal, one process each, in a namespace of their own."""
    folder: Path = tmp_path_factory.mktemp("platform")
    platform = Platform(folder, servers.mongodb_uri(), servers.kafka_bootstrap(), "e2e-")
    try:
        platform.start_all()
        yield platform
    finally:
        platform.close()
        servers.forget("e2e-")


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium where there is one, else the one that playwright has installed."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        yield browser
        await browser.close()
