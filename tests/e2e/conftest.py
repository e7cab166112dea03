"""The whole platform as real processes, shared by the end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Platform
from tests.servers import Servers


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
