"""Real servers as processes of this machine: start, stop, kill, pause and resume them by name.

Everything listens on 127.0.0.1 only. A server is either *tied* to the process that started it (tests: the
kernel kills it when its starter ends, however it ends) or *detached* (the local stack: it outlives `make up`,
and a later `make down` finds it again by its pid file).
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from string import Template
from typing import Any

import psutil
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from deploy.local import tools

REPLICA_SET = "rs0"
KAFKA_CLUSTER = "Y2h1YW5nd2VuLWxvY2FsMQ"
JVM = (
    "-Xms64m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Djava.net.preferIPv4Stack=true",
)
START_SECONDS = 60.0
STOP_SECONDS = 20.0
# Below what Linux gives to outgoing connections (32768 and up): a client that keeps dialling a dead server's
# port would otherwise, sooner or later, be given that port itself, and the server could not come back.
PORTS = range(20000, 32000)
PR_SET_PDEATHSIG = 1

# The kernel's "kill me when my parent ends" means the parent *thread*: one thread that lives as long as we do
# starts every tied process, so that a server started from a short-lived worker thread survives it.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")
_libc = ctypes.CDLL(None, use_errno=True)


class StartFailed(Exception):
    """A server ended, or was not ready in time; the text carries the end of its log."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    while True:
        port = random.choice(PORTS)  # noqa: S311 - spreads test runs apart, guards nothing
        if port_is_free(port):
            return port


def port_is_free(port: int) -> bool:
    """Whether a server could listen on the port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Server:
    """One server process, its folder (pid file, data) and its log.

    `address` is what clients are given; `command` is asked for at each launch, so that it may first do what must
    be done, and need not be there to stop a server. Every method may be called in any state; `start` returns once
    the server answers, and raises StartFailed when it does not in time.
    """

    def __init__(
        self,
        name: str,
        command: Callable[[], Sequence[str]],
        *,
        address: str,
        folder: Path,
        is_ready: Callable[[], bool],
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
        version: str = "",
        tied: bool = True,
    ) -> None:
        self.name = name
        self.address = address
        self.folder = folder
        self.log = log or folder / f"{name}.log"
        self._command = command
        self.environment = dict(environment or {})
        self._version = version
        self._is_ready = is_ready
        self._tied = tied
        self._pid_file = folder / f"{name}.pid"
        self._process: psutil.Process | None = None

    @property
    def process(self) -> psutil.Process | None:
        """The running process, also one that an earlier `make up` started; None when there is none."""
        found = self._process or self._recorded()
        alive = found is not None and found.is_running() and found.status() != psutil.STATUS_ZOMBIE
        return found if alive else None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def is_outdated(self) -> bool:
        """Whether the running process was started with another command, environment or version than ours."""
        return self.process is not None and self._record().get("fingerprint") != self._fingerprint(self._command())

    def is_ready(self) -> bool:
        """Whether the server runs and answers now."""
        return self.process is not None and self._is_ready()

    def start(self, seconds: float = START_SECONDS) -> Server:
        """Starts the server unless it runs, and waits until it answers."""
        if self.process is None:
            self.launch()
        self.wait_until_ready(seconds)
        return self

    def launch(self) -> None:
        """Starts the process without waiting for it to answer."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = list(self._command())
        self._process = _starter.submit(self._spawn, command).result() if self._tied else self._spawn(command)
        record = {"pid": self._process.pid, "command": command, "fingerprint": self._fingerprint(command)}
        self._pid_file.write_text(json.dumps(record))

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Polls until the server answers. Raises StartFailed when it ended or the time is over."""
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            if self.process is None:
                raise StartFailed(f"{self.name} ended while starting:\n{self._end_of_log()}")
            if time.monotonic() > deadline:
                raise StartFailed(f"{self.name} not ready in {seconds:.0f} s:\n{self._end_of_log()}")
            time.sleep(0.05)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Asks the server to end (SIGTERM), and ends it (SIGKILL) when it has not within `seconds`."""
        self._end(signal.SIGTERM, seconds)

    def kill(self) -> None:
        """Ends the server at once, as a crash does (SIGKILL)."""
        self._end(signal.SIGKILL, STOP_SECONDS)

    def pause(self) -> None:
        """Freezes the server, as a long garbage collection or a stalled machine does (SIGSTOP).

        Returns when it stands still.
        """
        process = self.process
        if process:
            process.suspend()
            while process.status() != psutil.STATUS_STOPPED:
                time.sleep(0.001)

    def resume(self) -> None:
        """Lets a paused server go on (SIGCONT)."""
        if self.process:
            self.process.resume()

    def restart(self) -> Server:
        """Stops the server if it runs, and starts it again on the same folder and port."""
        self.stop()
        return self.start()

    def _spawn(self, command: Sequence[str]) -> psutil.Process:
        starter = os.getpid()

        def die_with_starter() -> None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != starter:
                os._exit(1)

        with self.log.open("ab") as log:
            return psutil.Popen(
                command,
                cwd=tools.ROOT,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_starter if self._tied and sys.platform == "linux" else None,
            )

    def _end(self, how: signal.Signals, seconds: float) -> None:
        process = self.process
        if process:
            process.send_signal(how)
            process.resume()  # a paused process would not see SIGTERM
            try:
                process.wait(seconds)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(STOP_SECONDS)
        self._process = None
        self._pid_file.unlink(missing_ok=True)

    def _recorded(self) -> psutil.Process | None:
        """The process of the pid file, if it runs our command: the pid may by now be somebody else's."""
        record = self._record()
        try:
            process = psutil.Process(record["pid"])
            return process if process.cmdline() == record["command"] else None
        except (KeyError, psutil.NoSuchProcess, psutil.AccessDenied):
            return None

    def _record(self) -> dict[str, Any]:
        try:
            record = json.loads(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def _fingerprint(self, command: Sequence[str]) -> str:
        settings = json.dumps([list(command), self.environment, self._version], sort_keys=True)
        return hashlib.sha256(settings.encode()).hexdigest()

    def _end_of_log(self, lines: int = 20) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def answers(url: str) -> bool:
    """Whether an HTTP address answers 200 now."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - our own loopback address
            return bool(response.status == 200)
    except OSError:
        return False


MONGODB_PARAMETERS = ("transactionLifetimeLimitSeconds=10",)
"""A process that is killed inside a transaction leaves documents locked for so long; the server's default is 60."""


def mongodb(
    folder: Path,
    port: int,
    *,
    name: str = "mongodb",
    is_ready: Callable[[], bool] | None = None,
    log: Path | None = None,
    tied: bool = True,
    parameters: Sequence[str] = (),
) -> Server:
    """A one-node replica set (a standalone server has no transactions), journaled; not yet started.

    `parameters` are mongod's setParameter settings, as "name=value"; those of `MONGODB_PARAMETERS` hold unless they
    are among them. With `is_ready` it is a member of a larger set, which somebody else initiates.
    """

    def command() -> list[str]:
        data = folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        return [
            *(tools.mongod(), "--dbpath", str(data), "--bind_ip", "127.0.0.1", "--port", str(port)),
            *("--replSet", REPLICA_SET, "--oplogSize", "512", "--wiredTigerCacheSizeGB", "0.5"),
            *("--nounixsocket", "--quiet", "--setParameter", "diagnosticDataCollectionEnabled=false"),
            *(part for parameter in (*MONGODB_PARAMETERS, *parameters) for part in ("--setParameter", parameter)),
        ]

    return Server(
        name,
        command,
        address=f"mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}",
        folder=folder,
        is_ready=is_ready or (lambda: _mongodb_is_writable(port)),
        log=log,
        tied=tied,
    )


def _mongodb_is_writable(port: int) -> bool:
    """Whether the node takes writes; makes it a replica set of one on its first start.

    Every question is asked by a fresh client: one that saw the node before it was a replica set goes on
    believing that it knows no sessions.
    """
    address = f"mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=500&socketTimeoutMS=5000"
    with MongoClient[dict[str, object]](address) as client:
        try:
            found = client.admin.command("hello")
            if found.get("isreplicaset"):
                members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
                client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
            return bool(found.get("isWritablePrimary"))
        except OperationFailure as failure:
            if failure.code == 23:  # AlreadyInitialized: between the two calls it read its own configuration
                return False
            raise
        except PyMongoError:
            return False


def kafka(
    folder: Path,
    port: int,
    controller_port: int,
    *,
    name: str = "kafka",
    template: Path = tools.KAFKA / "server.properties",
    log: Path | None = None,
    tied: bool = True,
    **values: object,
) -> Server:
    """One Kafka broker that is its own controller; not yet started.

    With another `template` of its properties and the `values` of that it is one of several.
    """

    def command() -> list[str]:
        data, properties = folder / "data", folder / "server.properties"
        folder.mkdir(parents=True, exist_ok=True)
        filled = Template(template.read_text()).substitute(
            values, port=port, controller_port=controller_port, data=data
        )
        properties.write_text(filled)
        logging = f"-Dlog4j2.configurationFile={tools.KAFKA / 'log4j2.properties'}"
        jvm = [tools.java(), *JVM, logging, "-cp", f"{tools.kafka_libraries()}/*"]
        if not (data / "meta.properties").exists():
            storage = ["kafka.tools.StorageTool", "format", "-t", KAFKA_CLUSTER, "-c", str(properties)]
            subprocess.run([*jvm, *storage, "--ignore-formatted"], check=True, stdout=subprocess.DEVNULL)
        return [*jvm, "kafka.Kafka", str(properties)]

    return Server(
        name,
        command,
        address=f"127.0.0.1:{port}",
        folder=folder,
        is_ready=lambda: _kafka_has_broker(port),
        log=log,
        tied=tied,
    )


def _kafka_has_broker(port: int) -> bool:
    """Whether the cluster counts its one broker as alive, asked by a Metadata request (version 1, no topics).

    An open port is not enough: after a crash the broker may listen before its old registration has expired.
    """
    client = b"stack"
    header = struct.pack(">hhih", 3, 1, 1, len(client)) + client
    request = header + struct.pack(">i", 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.recv(12, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(answer) == 12 and struct.unpack(">iii", answer)[2] > 0


def start_mongod(folder: Path, port: int, *, parameters: Sequence[str] = ()) -> Server:
    """A running MongoDB, tied to this process."""
    return mongodb(folder, port, parameters=parameters).start()


def start_kafka(folder: Path, port: int, controller_port: int) -> Server:
    """A running Kafka broker, tied to this process."""
    return kafka(folder, port, controller_port).start()
