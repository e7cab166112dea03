"""Fixtures of the real servers; they start when a test first asks for them and end with the run."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterator

import hypothesis
import pytest

from deploy.local.servers import Server
from tests.servers import Servers

# How long an example takes says more about what else the machine does than about the code.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


def pytest_configure() -> None:
    """A terminated run takes its fixtures down as an interrupted one does, also where SIGINT is ignored."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The servers of the run; where an address is enough, ask for `mongodb_uri` or `kafka_bootstrap`."""
    servers = Servers()
    try:
        yield servers
    finally:
        servers.close()


@pytest.fixture(scope="session")
def mongodb_uri(servers: Servers) -> str:
    """The run's MongoDB: a replica set shared by all tests, kept apart by `namespace`."""
    return servers.mongodb_uri()


@pytest.fixture(scope="session")
def kafka_bootstrap(servers: Servers) -> str:
    """The run's Kafka broker, shared by all tests, kept apart by `namespace`."""
    return servers.kafka_bootstrap()


@pytest.fixture
def namespace(servers: Servers) -> Iterator[str]:
    """A prefix of one test's databases, topics and groups; what carries it is dropped after the test."""
    name = f"t{secrets.token_hex(4)}-"
    yield name
    servers.forget(name)


@pytest.fixture
def own_mongodb(servers: Servers) -> Iterator[Server]:
    """A MongoDB of one test's own, which the test may kill, pause and restart; empty at first."""
    server = servers.new_mongodb()
    yield server
    servers.end(server)


@pytest.fixture
def own_kafka(servers: Servers) -> Iterator[Server]:
    """A Kafka broker of one test's own, which the test may kill, pause and restart; empty at first."""
    server = servers.new_kafka()
    yield server
    servers.end(server)
