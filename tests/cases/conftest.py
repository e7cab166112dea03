"""One instance of each service for all cases that do not move its clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cases.world import MONDAY, portal_before, reports_at, scoring_at
from tests.inprocess import Inside
from tests.servers import Servers


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cases")


@pytest.fixture(scope="session")
async def reports(servers: Servers, shared_folder: Path) -> AsyncIterator[Inside]:
    async with reports_at(MONDAY, shared_folder, servers.mongodb_uri(), "cases-") as reports:
        yield reports
    servers.forget("cases-")


@pytest.fixture(scope="session")
async def scoring(servers: Servers, shared_folder: Path) -> AsyncIterator[Inside]:
    async with scoring_at(MONDAY, shared_folder, servers.mongodb_uri(), "cases-") as scoring:
        yield scoring


@pytest.fixture(scope="session")
async def portal(reports: Inside, servers: Servers, shared_folder: Path) -> AsyncIterator[Inside]:
    async with portal_before(reports, shared_folder, servers.mongodb_uri(), "cases-") as portal:
        yield portal
