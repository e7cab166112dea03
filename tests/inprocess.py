"""A service's HTTP application inside the test's own process, on the real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI

from deploy.local import issuer
from deploy.local.issuer import Issuer
from deploy.local.personal import personal_key, seal_key
from deploy.local.stack import DISTRICT
from shared.clock import FixedClock
from shared.service import Runtime, Service, application, connect


@dataclass
class Inside:
    """The application's client, its runtime, and a clock that stands still."""

    http: httpx2.AsyncClient
    runtime: Runtime[Any]
    clock: FixedClock
    issuer: Issuer
    app: FastAPI

    def token(self, *roles: str, unit: str | None = None) -> dict[str, str]:
        """The headers of a caller with these roles; a district's leader has no unit."""
        unit = None if "leader" in roles else unit
        return {"Authorization": f"Bearer {self.issuer.token('-'.join(roles), roles, unit)}"}


@asynccontextmanager
async def inside(
    service: Service[Any], clock: FixedClock, folder: Path, mongodb_uri: str, namespace: str, **settings: object
) -> AsyncIterator[Inside]:
    """The service prepared on its own database, without workers."""
    tokens = Issuer(folder)
    content = {
        "namespace": namespace,
        "mongodb_uri": mongodb_uri,
        "kafka_bootstrap_servers": "127.0.0.1:1",
        "http_port": 0,
        "auth_jwks": str(tokens.jwks),
        "auth_issuer": issuer.NAME,
        "auth_audience": issuer.AUDIENCE,
        "personal_keys": personal_key(folder / "personal.key"),
        "seal_key": seal_key(folder / "seal.key"),
        "district": DISTRICT,
        "portal_url": "https://chuangwen.example",
        **settings,
    }
    runtime = connect(service, service.settings.model_validate(content))
    runtime.clock = runtime.store.clock = clock
    await runtime.store.ensure_indexes()
    await runtime.prepare()
    app = application(runtime)
    app.state.runtime = runtime
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    try:
        async with httpx2.AsyncClient(transport=transport, base_url="http://reports") as http:
            yield Inside(http, runtime, clock, tokens, app)
    finally:
        await runtime.store.close()
