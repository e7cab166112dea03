"""Three MongoDB members and three Kafka brokers, as a district runs them, to fail one by one and together."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from deploy.local.servers import REPLICA_SET, Server, free_port, kafka, mongodb
from tests.chaos.fleet import MONGODB_PARAMETERS, Stage
from tests.chaos.forks import Forks

MEMBERS = 3
ELECTION_MILLISECONDS = 2000
START_SECONDS = 90.0
PROPERTIES = Path(__file__).with_name("broker.properties")


class Cluster(Stage):
    """A replica set of three and a Kafka of three; `databases` and `brokers` are their members."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="chuangwen-cluster-"))
        self.forks = Forks()
        self._ports = [free_port() for _ in range(MEMBERS)]
        self.databases = [_member(self.folder, port) for port in self._ports]
        places = [(free_port(), free_port()) for _ in range(MEMBERS)]
        voters = ",".join(f"{node}@127.0.0.1:{controller}" for node, (_, controller) in enumerate(places, 1))
        self.brokers = [
            kafka(
                self.folder / f"kafka-{node}",
                *ports,
                name=f"kafka-{node}",
                template=PROPERTIES,
                node=node,
                voters=voters,
            )
            for node, ports in enumerate(places, 1)
        ]
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        self.mongodb_uri = f"mongodb://{hosts}/?replicaSet={REPLICA_SET}"
        self.bootstrap = ",".join(broker.address for broker in self.brokers)
        self.settings = {"KAFKA_REPLICAS": str(MEMBERS)}

    def begin(self) -> None:
        for server in (*self.databases, *self.brokers):
            server.launch()
        _initiate(self._ports)
        for server in (*self.databases, *self.brokers):
            server.wait_until_ready(START_SECONDS)
        self.primary()

    def primary(self) -> Server:
        """The member that takes writes; waits until there is one."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for server, port in zip(self.databases, self._ports, strict=True):
                if answered(port).get("isWritablePrimary"):
                    return server
            time.sleep(0.1)
        raise TimeoutError("no member of the replica set takes writes")

    def step_down(self) -> None:
        """Have the primary become a secondary; who is next is up to the others."""
        port = self._ports[self.databases.index(self.primary())]
        with _client(port) as client, suppress(PyMongoError):  # it may close the connection instead of answering
            client.admin.command({"replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 2, "force": True})


def answered(port: int) -> dict[str, Any]:
    """What a member says of itself; nothing when it does not answer."""
    try:
        with _client(port) as client:
            return dict(client.admin.command("hello"))
    except PyMongoError:
        return {}


def is_member(port: int) -> bool:
    """Whether the member answers as primary or secondary."""
    hello = answered(port)
    return bool(hello.get("isWritablePrimary") or hello.get("secondary"))


def _client(port: int) -> MongoClient[dict[str, Any]]:
    address = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    return MongoClient(address, serverSelectionTimeoutMS=500, socketTimeoutMS=8000)


def _initiate(ports: Sequence[int]) -> None:
    members = [{"_id": number, "host": f"127.0.0.1:{port}"} for number, port in enumerate(ports)]
    settings = {"electionTimeoutMillis": ELECTION_MILLISECONDS, "heartbeatIntervalMillis": 500}
    config = {"_id": REPLICA_SET, "members": members, "settings": settings}
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with _client(ports[0]) as client:
                client.admin.command("replSetInitiate", config)
                return
        except PyMongoError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def _member(folder: Path, port: int) -> Server:
    name = f"mongodb-{port}"
    return mongodb(folder / name, port, name=name, is_ready=lambda: is_member(port), parameters=MONGODB_PARAMETERS)
