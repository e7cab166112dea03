"""The whole platform on one machine, without containers: what runs, on which port, started and stopped in order.

Everything it writes is in `.local`: data, logs, pid files, the keys of the local issuer, of personal data and of
seals. Data survive `down` and a reboot.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

from deploy.local import issuer, servers, tools
from deploy.local.issuer import Issuer
from deploy.local.personal import personal_key, seal_key
from deploy.local.servers import Server, StartFailed
from shared.contracts import TOPICS
from shared.kafka import Connection, KafkaBroker
from shared.settings import Environment

PORTS = {
    "mongodb": 27117,
    "kafka": 29092,
    "kafka-controller": 29093,
    "portal": 8800,
    "reports": 8801,
    "scoring": 8802,
    "portal-metrics": 8810,
    "reports-metrics": 8811,
    "scoring-metrics": 8812,
}
SERVICES = ("reports", "scoring", "portal")
DISTRICT = tools.ROOT / "deploy/sample/hengyang"
KAFKA_PARTITIONS = 6
START_SECONDS = 90.0
# Longer than the 45 s within which a service ends in order.
STOP_SECONDS = 50.0

RUN = tools.LOCAL / "run"
DATA = tools.LOCAL / "data"
LOGS = tools.LOCAL / "logs"
LOCK = tools.LOCAL / "stack.lock"
ISSUER = tools.LOCAL / "issuer"
PERSONAL_KEY = tools.LOCAL / "personal.key"
SEAL_KEY = tools.LOCAL / "seal.key"
CLOCK = tools.LOCAL / "clock.json"
URLS = tools.LOCAL / "urls.json"

ACCOUNTS = (
    ("citizen", "", "a citizen who reports a problem 市民"),
    ("officer", "gongshui", "an officer of the water company, one of the units 责任单位"),
    ("verifier", "", "verifies replies from outside the unit 核查员"),
    ("office", "", "the campaign office 创建办"),
    ("leader", "", "a district leader 领导"),
)


class Refused(Exception):
    """The stack cannot be started as things are; the text says what to change."""


def ports() -> dict[str, int]:
    """Port by name: the defaults, changed by `.local/ports` (lines like REPORTS_PORT=9001), then by the environment.

    Raises Refused for what is not a port number.
    """
    given = {**_lines_of(tools.LOCAL / "ports"), **os.environ}
    return {name: _port(given.get(_variable(name), default), _variable(name)) for name, default in PORTS.items()}


def _variable(name: str) -> str:
    return f"{name.upper().replace('-', '_')}_PORT"


def _lines_of(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}


def _port(value: str | int, variable: str) -> int:
    if not (str(value).isdigit() and 0 < int(value) < 65536):
        raise Refused(f"{variable}={value} is not a port number.")
    return int(value)


class Stack:
    """The servers of this checkout: MongoDB and Kafka, unless the environment names others, and the services."""

    def __init__(self) -> None:
        self.ports = ports()
        self._mongodb_uri = os.environ.get("MONGODB_URI")
        self._kafka = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")

    def up(self) -> None:
        """Starts what does not run, restarts what runs with other settings or older code, waits for health.

        Raises Refused, tools.Missing or servers.StartFailed; what has started by then goes on running.
        """
        self.check_ports()
        _together(_start_current, self.backing())
        asyncio.run(self._create_topics())
        _together(_start_current, self.services())
        URLS.write_text(json.dumps({**self.urls(), **self.metrics()}, indent=2))

    def down(self) -> None:
        """Stops everything of ours in the opposite order; data stay."""
        _together(_stop, self.services())
        _together(_stop, (self._own_mongodb(), self._own_kafka()))

    def reset(self) -> None:
        """Stops everything and removes the data, logs and the demonstration's clock."""
        self.down()
        shutil.rmtree(DATA, ignore_errors=True)
        shutil.rmtree(LOGS, ignore_errors=True)
        CLOCK.unlink(missing_ok=True)

    def urls(self) -> dict[str, str]:
        """Base address of each service by its name."""
        return {name: f"http://127.0.0.1:{self.ports[name]}" for name in SERVICES}

    def metrics(self) -> dict[str, str]:
        """The address of each service's metrics and probes, which is not for everybody."""
        return {f"{name}-metrics": f"http://127.0.0.1:{self.ports[f'{name}-metrics']}" for name in SERVICES}

    def backing(self) -> list[Server]:
        """MongoDB and Kafka, where they are ours to run."""
        mongodb = [] if self._mongodb_uri else [self._own_mongodb()]
        kafka = [] if self._kafka else [self._own_kafka()]
        return mongodb + kafka

    def services(self) -> list[Server]:
        """The services, each one process in the role `all`."""
        return [self._service(name, address) for name, address in self.urls().items()]

    def require_backing(self) -> None:
        """Raises Refused unless MongoDB and Kafka run, where they are ours."""
        stopped = [server.name for server in self.backing() if server.process is None]
        if stopped:
            raise Refused(
                f"{' and '.join(stopped)} of the local stack {'is' if len(stopped) == 1 else 'are'} not "
                "running: make up starts everything."
            )

    def _own_mongodb(self) -> Server:
        return servers.mongodb(DATA / "mongodb", self.ports["mongodb"], log=LOGS / "mongodb.log", tied=False)

    def _own_kafka(self) -> Server:
        port, controller_port = self.ports["kafka"], self.ports["kafka-controller"]
        return servers.kafka(DATA / "kafka", port, controller_port, log=LOGS / "kafka.log", tied=False)

    def _service(self, name: str, address: str) -> Server:
        return Server(
            name,
            lambda: [sys.executable, "-m", f"services.{name}", "all"],
            address=address,
            folder=RUN,
            is_ready=lambda: servers.answers(f"{address}/readyz"),
            log=LOGS / f"{name}.log",
            environment=used_by(name, {**self.environment(), **self._ports_of(name)}),
            version=_code_version(),
            tied=False,
        )

    def _ports_of(self, name: str) -> dict[str, str]:
        return {"HTTP_PORT": str(self.ports[name]), "METRICS_PORT": str(self.ports[f"{name}-metrics"])}

    def environment(self) -> dict[str, str]:
        """All that services of the stack are told; a command of an operator, which answers nobody, has no port."""
        return {
            "MONGODB_URI": self._mongodb_uri or self._own_mongodb().address,
            "KAFKA_BOOTSTRAP_SERVERS": self._kafka_address(),
            "KAFKA_PARTITIONS": str(KAFKA_PARTITIONS),
            "HTTP_HOST": "127.0.0.1",
            "HTTP_PORT": "0",
            "AUTH_JWKS": str(Issuer(ISSUER).jwks),
            "AUTH_ISSUER": issuer.NAME,
            "AUTH_AUDIENCE": issuer.AUDIENCE,
            "PERSONAL_KEYS": personal_key(PERSONAL_KEY),
            "SEAL_KEY": seal_key(SEAL_KEY),
            "CLOCK_FILE": str(CLOCK),
            "TRUSTED_PROXIES": "127.0.0.0/8",
            "DISTRICT": str(DISTRICT),
            **{f"{other.upper()}_URL": address for other, address in self.urls().items()},
        }

    async def _create_topics(self) -> None:
        """All topics before all services: a group that joins before its topic exists would wait for 30 s."""
        broker = KafkaBroker(Connection(self._kafka_address()), KAFKA_PARTITIONS)
        await broker.ensure_topics(TOPICS.values())

    def _kafka_address(self) -> str:
        return self._kafka or self._own_kafka().address

    def check_ports(self) -> None:
        """Raises Refused, naming every port that another program holds."""
        wanted = {server.name: server for server in (*self.backing(), *self.services())}
        taken = []
        for name, port in self.ports.items():
            server = wanted.get(name.removesuffix("-controller").removesuffix("-metrics"))
            if server and server.process is None and not servers.port_is_free(port):
                taken.append(f"Port {port} ({name}) is taken by another program: {_variable(name)}=<port> make up")
        if taken:
            raise Refused("\n".join([*taken, "or write such lines into .local/ports to keep them."]))


def used_by(service: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What of the environment the service's settings ask for: no process holds the keys of another."""
    settings: type[Environment] = import_module(f"services.{service}.settings").Settings
    return {name: value for name, value in environment.items() if name.lower() in settings.model_fields}


def first_request(urls: Mapping[str, str]) -> str:
    """A command line that shows the stack at work."""
    case = '{"category": "water-pipe", "longitude": 112.6012, "latitude": 26.8901, "text": "水管破裂，路面积水"}'
    return f"curl -s {urls['reports']}/cases -H 'Content-Type: application/json' -d '{case}'"


def _together(act: Callable[[Server], object], each: Iterable[Server]) -> None:
    """Acts on all servers at once, and then tells of everything that failed."""
    with ThreadPoolExecutor() as threads:
        done = [threads.submit(act, server) for server in each]
    failures = [failure for failure in (action.exception() for action in done) if failure]
    for failure in failures:
        if not isinstance(failure, StartFailed):
            raise failure
    if failures:
        raise StartFailed("\n\n".join(map(str, failures)))


def _start_current(server: Server) -> None:
    if server.is_outdated:
        server.stop(STOP_SECONDS)
    server.start(START_SECONDS)


def _stop(server: Server) -> None:
    server.stop(STOP_SECONDS)


def _code_version() -> str:
    """Changes when a source or data file of the services does, so that `up` runs the code that is there."""
    files = (path for folder in ("services", "shared") for path in (tools.ROOT / folder).rglob("*"))
    newest = max(path.stat().st_mtime_ns for path in files if path.is_file() and path.suffix != ".pyc")
    district = max(path.stat().st_mtime_ns for path in DISTRICT.rglob("*"))
    return f"{newest}-{district}"
