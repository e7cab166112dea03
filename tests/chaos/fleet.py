"""What a run is made on: servers of its own to kill, and the services as processes that come back when they die."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import secrets
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from aiokafka.admin import AIOKafkaAdminClient
from pymongo import MongoClient

from deploy.local import tools
from deploy.local.servers import Server, free_port, kafka, mongodb
from deploy.local.stack import DISTRICT
from tests.chaos.forks import Forked, Forks, Start
from tests.processes import Platform

THE_RULE = "case-overdue"
SESSION_SECONDS = 6.0
"""After this long a frozen consumer has lost its partitions: the least that brokers accept by our settings."""
LOOK_SECONDS = 0.25
MONGODB_PARAMETERS = (
    # Documents must not expire: the clock that the district is shown is far from the machine's.
    "ttlMonitorEnabled=false",
    # A killed client leaves its open transaction, and its locks, on the server: by default for 60 to 90 seconds.
    "transactionLifetimeLimitSeconds=10",
)


class Stage:
    """One MongoDB and one Kafka of one's own, in a temporary folder; a context manager that leaves no trace."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="chuangwen-chaos-"))
        self.mongodb = mongodb(self.folder / "mongodb", free_port(), parameters=MONGODB_PARAMETERS)
        self.kafka = kafka(self.folder / "kafka", free_port(), free_port())
        self.forks = Forks()

    def __enter__(self) -> Self:
        self.forks.open()
        for server in (self.mongodb, self.kafka):
            server.launch()
        for server in (self.mongodb, self.kafka):
            server.wait_until_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.forks.close()
        for server in (self.mongodb, self.kafka):
            server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def forget(self, namespace: str) -> None:
        """Drop what a run left, so that the next one's broker and database restart as fast as the first one's."""
        with MongoClient[dict[str, Any]](self.mongodb.address) as client:
            for name in client.list_database_names():
                if name.startswith(namespace):
                    client.drop_database(name)
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka.address)
        await admin.start()
        try:
            if topics := [name for name in await admin.list_topics() if name.startswith(namespace)]:
                await admin.delete_topics(topics)
        finally:
            await admin.close()


class Fleet(Platform):
    """The service processes of one run, in a namespace of their own, and the clock they are shown."""

    def __init__(self, stage: Stage, name: str) -> None:
        namespace = f"c{secrets.token_hex(4)}-"
        folder = stage.folder / f"{namespace}{name}"
        settings = {"DISTRICT": str(district(folder))}
        super().__init__(folder, stage.mongodb.address, stage.kafka.address, namespace, settings)
        self.stage = stage
        self._locks: defaultdict[Server, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.exits: list[str] = []
        """Names of processes that ended by themselves, and were started again as an orchestrator would."""

    async def begin(self, shown: datetime, speed: float) -> None:
        """Show the clock and start all processes at once."""
        self.show(shown, speed)
        await asyncio.gather(*(asyncio.to_thread(process.start) for process in self.processes))

    def add(self, service: str, role: str, settings: Mapping[str, str] | None = None) -> Server:
        """A process of a service, not started, as Platform has it, but forked."""
        return self._add(service, role, f"services.{service}", [role], settings)

    def add_sabotaged(self, weakness: str, service: str, role: str) -> Server:
        """A process of a service without one of its protections (see sabotage.py)."""
        crashed = {"SABOTAGE_CRASHED": str(self.folder / f"{service}.crashed")}
        return self._add(service, role, "tests.chaos.sabotage", [weakness, service, role], crashed)

    def _add(
        self, service: str, role: str, module: str, arguments: Sequence[str], settings: Mapping[str, str] | None
    ) -> Server:
        port = free_port()
        if role in {"api", "all"}:
            port = self._ports.setdefault(service, port)
        name = f"{service}-{role}-{len(self.processes)}"
        environment = {**self._environment(), "HTTP_PORT": str(port), **(settings or {})}
        start = Start(module, arguments, environment, str(self.folder / f"{name}.log"))
        process = Forked(self.stage.forks, name, start, f"http://127.0.0.1:{port}", self.folder / name)
        self.processes.append(process)
        return process

    def named(self, start: str) -> list[Server]:
        """The processes whose names begin so."""
        return [process for process in self.processes if process.name.startswith(start)]

    def show(self, moment: datetime, speed: float) -> None:
        """Have all processes see this moment now, and time pass `speed` times as fast from here on."""
        clock = self.folder / "clock.json"
        unfinished = clock.with_suffix(".part")
        unfinished.write_text(json.dumps({"real": time.time(), "shown": moment.timestamp(), "speed": speed}))
        unfinished.rename(clock)

    def keep_logs(self) -> None:
        """Copy the processes' logs to where they outlive the stage: `.local/chaos/<run>`."""
        kept = tools.LOCAL / "chaos" / self.folder.name
        kept.mkdir(parents=True)
        for log in self.folder.glob("*.log"):
            shutil.copy(log, kept)

    async def supervise(self) -> None:
        """Until cancelled: start again what ended by itself."""
        while True:
            for process in self.processes:
                if process.process is None and not self._locks[process].locked():
                    self.exits.append(process.name)
                    await self._revive(process)
            await asyncio.sleep(LOOK_SECONDS)

    async def kill(self, servers: Sequence[Server], seconds: float) -> None:
        """Crash these at once (SIGKILL) and start them again after so many seconds.

        One that is just being crashed or started by somebody else is waited for.
        """
        async with AsyncExitStack() as held:
            for server in servers:
                await held.enter_async_context(self._locks[server])
            await asyncio.gather(*(asyncio.to_thread(server.kill) for server in servers))
            await asyncio.sleep(seconds)
            for server in servers:
                await self._revive(server)

    async def freeze(self, server: Server, seconds: float) -> None:
        """Stop the process's time for so many seconds (SIGSTOP); a crash may end it earlier."""
        with suppress(psutil.NoSuchProcess):
            await asyncio.to_thread(server.pause)
        await asyncio.sleep(seconds)
        self._resume(server)

    async def heal(self) -> None:
        """Everything runs again and answers."""
        everything = [self.stage.mongodb, self.stage.kafka, *self.processes]
        for server in everything:
            self._resume(server)
        await asyncio.gather(*map(self._revive, everything))

    async def _revive(self, server: Server) -> None:
        """Start it unless it runs. Servers are waited for; services wait for servers themselves."""
        if server in (self.stage.mongodb, self.stage.kafka):
            await asyncio.to_thread(server.start)
        elif server.process is None:
            await asyncio.to_thread(server.launch)

    def _resume(self, server: Server) -> None:
        with suppress(psutil.NoSuchProcess):
            server.resume()


def district(folder: Path) -> Path:
    """A copy of the sample district with one rule: a limit of a unit that has run out costs the case's points.

    So the checker can say by itself, without any code of the rules, what every event has to cost.
    """
    copy = shutil.copytree(DISTRICT, folder / "district")
    file = copy / "scoring-rules.json"
    book = json.loads(file.read_text())
    book["rules"] = [rule for rule in book["rules"] if rule["code"] == THE_RULE]
    file.write_text(json.dumps(book, ensure_ascii=False))
    return copy


def exists(service: str) -> bool:
    """Whether the platform has this service yet."""
    return importlib.util.find_spec(f"services.{service}.app") is not None
