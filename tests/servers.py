"""The real servers of a test run: one MongoDB and one Kafka, started when first asked for, ended with it.

`MONGODB_URI` and `KAFKA_BOOTSTRAP_SERVERS` name servers to use instead: neither started nor stopped here.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from pymongo import MongoClient

from deploy.local.servers import Server, free_port, kafka, mongodb

# failCommand and its like: a test can make the server refuse one command as a failing cluster would.
# History nobody reads is not kept, so that what a test dropped is gone at once and not after five minutes.
MONGODB_PARAMETERS = ("enableTestCommands=1", "minSnapshotHistoryWindowInSeconds=0")
# The run's MongoDB has a database for each test, with a file for each index: files of dropped ones stay open for ten
# minutes unless told otherwise, and some hundred tests reach the limit of open files, which ends the server.
FORGETTING = "file_manager=(close_idle_time=5,close_scan_interval=2,close_handle_minimum=250)"


class Servers:
    """Servers in one temporary folder, each started by the first question for its address."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="chuangwen-tests-"))
        self._shared: dict[str, str] = {}
        self._started: list[Server] = []

    def mongodb_uri(self) -> str:
        """The address of the run's MongoDB (a replica set)."""
        return self._address("MONGODB_URI", self._new_forgetful_mongodb)

    def kafka_bootstrap(self) -> str:
        """The address of the run's Kafka broker, host:port."""
        return self._address("KAFKA_BOOTSTRAP_SERVERS", self.new_kafka)

    def new_mongodb(self) -> Server:
        """A running MongoDB of one's own, to be killed at will."""
        return self._start(mongodb(self._new_folder(), free_port(), parameters=MONGODB_PARAMETERS))

    def new_kafka(self) -> Server:
        """A running Kafka broker of one's own, to be killed at will."""
        return self._start(kafka(self._new_folder(), free_port(), free_port()))

    def end(self, server: Server) -> None:
        """Ends a server and removes its data."""
        server.kill()
        shutil.rmtree(server.folder, ignore_errors=True)

    def close(self) -> None:
        """Ends every server and removes every trace."""
        for server in self._started:
            server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def forget(self, namespace: str) -> None:
        """Drops the databases and topics of a namespace from the run's servers, where they were used."""
        if "MONGODB_URI" in self._shared:
            _drop_databases(self._shared["MONGODB_URI"], namespace)
        if "KAFKA_BOOTSTRAP_SERVERS" in self._shared:
            _delete_topics(self._shared["KAFKA_BOOTSTRAP_SERVERS"], namespace)

    def _new_forgetful_mongodb(self) -> Server:
        server = self.new_mongodb()
        with MongoClient[dict[str, Any]](server.address) as client:
            client.admin.command({"setParameter": 1, "wiredTigerEngineRuntimeConfig": FORGETTING})
        return server

    def _address(self, variable: str, new: Callable[[], Server]) -> str:
        if variable not in self._shared:
            self._shared[variable] = os.environ.get(variable) or new().address
        return self._shared[variable]

    def _start(self, server: Server) -> Server:
        self._started.append(server)
        return server.start()

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder))


def _drop_databases(address: str, namespace: str) -> None:
    with MongoClient[dict[str, Any]](address) as client:
        for name in client.list_database_names():
            if name.startswith(namespace):
                client.drop_database(name)


def _delete_topics(bootstrap: str, namespace: str) -> None:
    async def delete() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            topics = [name for name in await admin.list_topics() if name.startswith(namespace)]
            if topics:
                await admin.delete_topics(topics)
        finally:
            await admin.close()

    # A thread of its own: the tests' event loop stands still while a fixture is taken down.
    thread = threading.Thread(target=asyncio.run, args=(delete(),))
    thread.start()
    thread.join()
