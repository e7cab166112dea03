"""What a run is made on: servers of its own to kill, and the services as processes that come back when they die."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import sys
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
from tests.chaos.network import Wire
from tests.processes import Platform

THE_RULE = "case-overdue"
THE_RUNG, THE_TRIGGER = "reminder", {"when": "overdue", "stage": "rectify", "level": "blue"}
TERMINATION_SECONDS = 50.0
"""What an orderly end may take."""
ALONE_SECONDS = 1.0
"""How long a primary goes on without the others: less than an election takes."""
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

    def __init__(self, parameters: Sequence[str] = MONGODB_PARAMETERS) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="chuangwen-chaos-"))
        self.databases = [mongodb(self.folder / "mongodb", free_port(), parameters=parameters)]
        self.brokers = [kafka(self.folder / "kafka", free_port(), free_port())]
        self.mongodb_uri = self.databases[0].address
        self.bootstrap = self.brokers[0].address
        self.settings: dict[str, str] = {}
        """What processes are told of these servers besides their addresses."""
        self.forks = Forks()

    def __enter__(self) -> Self:
        self.forks.open()
        self.begin()
        return self

    def begin(self) -> None:
        """Start the servers and wait for them."""
        for server in self.servers:
            server.launch()
        for server in self.servers:
            server.wait_until_ready()

    @property
    def servers(self) -> list[Server]:
        """Databases and brokers."""
        return [*self.databases, *self.brokers]

    def primary(self) -> Server:
        """The database that takes writes."""
        return self.databases[0]

    def step_down(self) -> None:
        """Have another database take the writes, where there is another."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.forks.close()
        for server in self.servers:
            server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def forget(self, namespace: str) -> None:
        """Drop what a run left, so that the next one's broker and database restart as fast as the first one's."""
        with MongoClient[dict[str, Any]](self.mongodb_uri) as client:
            for name in client.list_database_names():
                if name.startswith(namespace):
                    client.drop_database(name)
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
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
        settings = {"DISTRICT": str(district(folder)), **stage.settings}
        super().__init__(folder, stage.mongodb_uri, stage.bootstrap, namespace, settings)
        self.stage = stage
        self.wires: dict[str, Wire] = {}
        """The way of each process to the database, by its name, where it may be cut."""
        self._addresses: defaultdict[str, list[str]] = defaultdict(list)
        self._locks: defaultdict[Server, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.exits: list[str] = []
        """Names of processes that ended by themselves, and were started again as an orchestrator would."""

    async def begin(self, shown: datetime, speed: float) -> None:
        """Show the clock and start all processes at once."""
        self.show(shown, speed)
        for wire in self.wires.values():
            await wire.start()
        await asyncio.gather(*(asyncio.to_thread(process.start) for process in self.processes))

    def add(self, service: str, role: str, settings: Mapping[str, str] | None = None) -> Server:
        """A process of a service, not started, as Platform has it, but forked."""
        return self._add(service, role, f"services.{service}", [role], settings)

    def add_sabotaged(self, weakness: str, service: str, role: str) -> Server:
        """A process of a service without one of its protections (see sabotage.py)."""
        file = {"SABOTAGE_FILE": str(self.sabotage_file(service))}
        return self._add(service, role, "tests.chaos.sabotage", [weakness, service, role], file)

    def sabotage_file(self, service: str) -> Path:
        """By this file a weakness remembers that it has struck, or hears that it is over."""
        return self.folder / f"{service}.sabotage"

    def _add(
        self, service: str, role: str, module: str, arguments: Sequence[str], settings: Mapping[str, str] | None
    ) -> Server:
        port = free_port()
        if role in {"api", "all"}:
            port = port if self._addresses[service] else self._ports.setdefault(service, port)
            self._addresses[service].append(f"http://127.0.0.1:{port}")
        name = f"{service}-{role}-{len(self.processes)}"
        environment = {**self._environment(), **self.settings, "HTTP_PORT": str(port), **(settings or {})}
        start = Start(module, arguments, environment, str(self.folder / f"{name}.log"))
        process = Forked(self.stage.forks, name, start, f"http://127.0.0.1:{port}", self.folder / name)
        self.processes.append(process)
        return process

    def add_wired(self, service: str, role: str) -> Server:
        """A process whose way to the database may be cut; only where there is one database."""
        wire = Wire(free_port(), int(self.stage.databases[0].address.rpartition(":")[2].partition("/")[0]))
        address = f"mongodb://127.0.0.1:{wire.port}/?directConnection=true"
        process = self.add(service, role, {"MONGODB_URI": address})
        self.wires[process.name] = wire
        return process

    def addresses(self, service: str) -> list[str]:
        """Of all processes of a service that answer requests."""
        return self._addresses[service]

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

    async def terminate(self, servers: Sequence[Server], pause: float) -> None:
        """End each in an orderly way (SIGTERM) and start it again before the next one, as a rolling update does."""
        for server in servers:
            async with self._locks[server]:
                await asyncio.to_thread(server.stop, TERMINATION_SECONDS)
                await self._revive(server)
            await asyncio.sleep(pause)

    async def scale(self, service: str, seconds: float) -> None:
        """One more worker for so many seconds, which then ends in an orderly way."""
        server = self.add(service, "worker")
        async with self._locks[server]:
            self.processes.remove(server)
            await asyncio.to_thread(server.launch)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(server.stop, TERMINATION_SECONDS)

    async def run(self, module: str, *arguments: str) -> tuple[int, str]:
        """A command of the platform with the environment of its processes: its exit code and what it said."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *arguments,
            env={**os.environ, **self._environment(), **self.settings, "HTTP_PORT": "0"},
            cwd=tools.ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode(errors="replace")

    async def roll_back(self, seconds: float) -> None:
        """Crash the primary with writes that it alone has, which it rolls back when it is there again.

        The others stand still for a moment before; it comes back after so many seconds.
        """
        primary = await asyncio.to_thread(self.stage.primary)
        others = [server for server in self.stage.databases if server is not primary]
        async with self._locks[primary]:
            for server in others:
                server.pause()
            await asyncio.sleep(ALONE_SECONDS)
            await asyncio.to_thread(primary.kill)
            for server in others:
                self._resume(server)
            await asyncio.sleep(seconds)
            await self._revive(primary)

    async def cut(self, process: Server, seconds: float) -> None:
        """Nothing passes between the process and the database for so many seconds."""
        await self.wires[process.name].cut(seconds)

    async def freeze(self, server: Server, seconds: float) -> None:
        """Stop the process's time for so many seconds (SIGSTOP); a crash may end it earlier."""
        with suppress(psutil.NoSuchProcess):
            await asyncio.to_thread(server.pause)
        await asyncio.sleep(seconds)
        self._resume(server)

    async def heal(self) -> None:
        """Everything runs again and answers."""
        everything = [*self.stage.servers, *self.processes]
        for server in everything:
            self._resume(server)
        await asyncio.gather(*map(self._revive, everything))

    async def _revive(self, server: Server) -> None:
        """Start it unless it runs. Servers are waited for; services wait for servers themselves."""
        if server in self.stage.servers:
            await asyncio.to_thread(server.start)
        elif server.process is None:
            await asyncio.to_thread(server.launch)

    def _resume(self, server: Server) -> None:
        with suppress(psutil.NoSuchProcess):
            server.resume()


def district(folder: Path) -> Path:
    """A copy of the sample district with one rule: a limit of a unit that has run out costs the case's points and
    calls for the ladder's lowest rung.

    So the checker can say by itself, without any code of the rules, what every event has to cost.
    """
    copy = shutil.copytree(DISTRICT, folder / "district")
    file = copy / "scoring-rules.json"
    book = json.loads(file.read_text())
    book["rules"] = [rule for rule in book["rules"] if rule["code"] == THE_RULE]
    file.write_text(json.dumps(book, ensure_ascii=False))
    file = copy / "ladder.json"
    ladder = json.loads(file.read_text())
    for rung in ladder["rungs"]:
        rung["triggers"] = [THE_TRIGGER] if rung["code"] == THE_RUNG else []
    file.write_text(json.dumps(ladder, ensure_ascii=False))
    return copy
