"""The services as real processes of a test: own namespace, free ports, tokens of an issuer of their own."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local import issuer
from deploy.local.issuer import Issuer
from deploy.local.personal import personal_key, seal_key
from deploy.local.servers import Server, answers, free_port
from deploy.local.stack import DISTRICT, used_by


class Platform:
    """Processes of services that share a namespace of the given servers; `close` ends what is left of them."""

    def __init__(
        self, folder: Path, mongodb_uri: str, kafka: str, namespace: str, settings: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.namespace = namespace
        self.mongodb_uri = mongodb_uri
        self.kafka = kafka
        self.issuer = Issuer(folder / "issuer")
        self.settings = dict(settings or {})
        self.processes: list[Server] = []
        self._ports: dict[str, int] = {}

    def start(self, service: str, role: str = "all", settings: Mapping[str, str] | None = None) -> Server:
        """A running process of a service, ready for work."""
        process = self.add(service, role, settings)
        return process.start()

    def start_all(self, services: Sequence[str] = ("reports", "scoring", "portal")) -> None:
        """One process of each service, started at once."""
        started = [self.add(service, "all") for service in services]
        for process in started:
            process.launch()
        for process in started:
            process.wait_until_ready()

    def add(self, service: str, role: str, settings: Mapping[str, str] | None = None) -> Server:
        """A process of a service, not started. The first one of a service that answers requests gives it its URL."""
        port = free_port()
        if role in {"api", "all"}:
            port = self._ports.setdefault(service, port)
        name = f"{service}-{role}-{len(self.processes)}"
        process = Server(
            name,
            lambda: [*self.program(service), role],
            address=f"http://127.0.0.1:{port}",
            folder=self.folder / name,
            is_ready=lambda: answers(f"http://127.0.0.1:{port}/readyz"),
            environment={
                **used_by(service, self._environment()),
                **self.settings,
                "HTTP_PORT": str(port),
                **(settings or {}),
            },
        )
        self.processes.append(process)
        return process

    def program(self, service: str) -> list[str]:
        """The command that runs a service, without its role."""
        return [sys.executable, "-m", f"services.{service}"]

    def url(self, service: str) -> str:
        """Base address of a service."""
        return f"http://127.0.0.1:{self._ports.setdefault(service, free_port())}"

    def token(self, *roles: str, unit: str | None = None) -> dict[str, str]:
        """The headers of a caller with these roles."""
        subject = f"{'-'.join(roles)}{f'-{unit}' if unit else ''}"
        return {"Authorization": f"Bearer {self.issuer.token(subject, roles, unit)}"}

    def close(self) -> None:
        """Kill what still runs."""
        for process in self.processes:
            process.kill()

    def _environment(self) -> dict[str, str]:
        return {
            "NAMESPACE": self.namespace,
            "MONGODB_URI": self.mongodb_uri,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "KAFKA_PARTITIONS": "6",
            "KAFKA_SESSION_TIMEOUT": "6",
            "HTTP_HOST": "127.0.0.1",
            "AUTH_JWKS": str(self.issuer.jwks),
            "AUTH_ISSUER": issuer.NAME,
            "AUTH_AUDIENCE": issuer.AUDIENCE,
            "PERSONAL_KEYS": personal_key(self.folder / "personal.key"),
            "SEAL_KEY": seal_key(self.folder / "seal.key"),
            "CLOCK_FILE": str(self.folder / "clock.json"),
            "TRUSTED_PROXIES": "127.0.0.0/8",
            "DISTRICT": str(DISTRICT),
            "LOG_LEVEL": "warning",
            **{f"{service.upper()}_URL": self.url(service) for service in ("reports", "scoring", "portal")},
        }
