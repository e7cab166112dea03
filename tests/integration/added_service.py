"""Run where the service of docs/adding-a-service.md has been added: start it on the fakes and use it as others would.

python added_service.py FOLDER        FOLDER is for the keys of its issuer
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2

from deploy.local import issuer
from deploy.local.servers import free_port
from shared.clock import FixedClock
from shared.contracts import EventModel, reports
from shared.contracts.frozen import EXAMPLES
from shared.event import Event
from shared.service import Process, Runtime
from shared.store import Store
from shared.testing.memory_broker import MemoryBroker
from shared.testing.memory_store import MemoryDriver
from tests.waiting import eventually

NOON = datetime(2026, 5, 4, 4, 0, tzinfo=UTC)
PRAISE = EXAMPLES / "chuangwen.reports.case-registered.v1/praise.json"


async def main(folder: Path) -> None:
    """Two notes of praise come in: one is answered, the other becomes late."""
    service = importlib.import_module("services.thanks.app").SERVICE
    local, port = issuer.Issuer(folder), free_port()
    settings = service.settings(
        mongodb_uri="mongodb://memory",
        kafka_bootstrap_servers="memory:1",
        http_port=port,
        auth_jwks=str(local.jwks),
        auth_issuer=issuer.NAME,
    )
    clock, broker = FixedClock(NOON), MemoryBroker()
    runtime = Runtime(service, settings, clock, Store(MemoryDriver(clock), clock, service.collections), broker)
    running = asyncio.create_task(Process(runtime, "all").run())
    token = local.token("officer", ["officer"], "huanwei")
    headers = {"Authorization": f"Bearer {token}", "Accept-Language": "zh"}
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as http:
        await eventually(lambda: _ready(http))
        for number in ("1", "2"):
            broker.append(Event.new(_praise(number), f"case-{number}", 1, NOON))
        notes = await eventually(lambda: _notes(http, 2))
        first, second = (note["id"] for note in notes)

        answered = await http.post(f"/notes/{first}/answer", json={"reply": "谢谢！"})
        assert answered.json() == {"id": first, "unit": "huanwei", "reply": "谢谢！", "late": False}, answered.text
        await eventually(lambda: _published(broker))
        again = await http.post(f"/notes/{first}/answer", json={"reply": "再谢"})
        assert (again.status_code, again.json()["code"]) == (409, "note-answered"), again.text
        assert again.json()["detail"] == "huanwei 已经回复过这条表扬"

        clock.advance(timedelta(days=4))
        await eventually(lambda: _late(http, second))
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 0
    sys.stdout.write("added\n")


def _praise(number: str) -> EventModel:
    content = json.loads(PRAISE.read_text(encoding="utf-8"))
    content["case"]["case"] = f"case-{number}"
    return reports.CaseRegistered.model_validate(content)


async def _ready(http: httpx2.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).is_success
    except httpx2.TransportError:
        return False


async def _notes(http: httpx2.AsyncClient, wanted: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = (await http.get("/notes", params={"unit": "huanwei"})).json()
    return found if len(found) == wanted else []


async def _published(broker: MemoryBroker) -> bool:
    return len(broker.records("thanks.note")) == 1


async def _late(http: httpx2.AsyncClient, id: str) -> bool:
    return any(note["late"] for note in await _notes(http, 2) if note["id"] == id)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
