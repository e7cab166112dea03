"""Citizens and officers: an open-loop load that writes down what it means to do before, and what it was told after."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import httpx2

from tests.chaos.fleet import Fleet

CATEGORIES = (
    *("gas-facility", "road-cleaning", "blocked-fire-lane", "road-collapse"),
    *("water-pipe", "litter-bin", "shared-bikes", "site-dust", "street-vending"),
    *("drain-grate", "street-light", "graffiti", "noise"),
)
"""Of the sample district: limits of 2 and 4 working hours, and of 1 to 5 working days."""
PLACES = tuple((longitude, latitude) for longitude in (112.574, 112.599, 112.606) for latitude in (26.885, 26.868))
REQUEST_SECONDS = 3.0
PATIENT_SECONDS = 40.0
IMPATIENT = 0.2
"""The share of requests that are soon given up when there is no answer, and stay unknown."""


class Outcome(StrEnum):
    """What a client knows about a request it made."""

    ACKED = "acked"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Sending:
    """A request, all its repetitions under one key included, and how it ended; `case` as the answer named it."""

    number: int
    command: str
    outcome: Outcome
    case: str | None = None


class Journal:
    """The clients' memory on disk: an intent is synced before the request is sent."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w")

    def intend(self, number: int, command: str) -> None:
        """Before the first attempt."""
        self._write(Sending(number, command, Outcome.UNKNOWN))

    def tell(self, deed: Sending) -> None:
        """After the last attempt."""
        self._write(deed)

    def deeds(self) -> dict[tuple[int, str], Sending]:
        """By number and command; an intent that nothing followed is unknown."""
        found = (json.loads(line) for line in self._path.read_text().splitlines())
        deeds = (Sending(row["number"], row["command"], Outcome(row["outcome"]), row["case"]) for row in found)
        return {(deed.number, deed.command): deed for deed in deeds}

    def close(self) -> None:
        self._file.close()

    def _write(self, deed: Sending) -> None:
        self._file.write(json.dumps(vars(deed)) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


class Load:
    """So many cases a second whatever the platform does; officers acknowledge and answer a part of them."""

    def __init__(self, fleet: Fleet, journal: Journal, seed: int, rate: float, seconds: float) -> None:
        self._fleet = fleet
        self._journal = journal
        self._seed = seed
        self._rate = rate
        self._seconds = seconds
        self._tokens: dict[str | None, dict[str, str]] = {}

    async def run(self) -> None:
        """Returns when the last request has its answer, or was given up."""
        limits = httpx2.Limits(max_connections=200, max_keepalive_connections=50)
        async with httpx2.AsyncClient(timeout=REQUEST_SECONDS, limits=limits) as self._client:
            started = asyncio.get_running_loop().time()
            async with asyncio.TaskGroup() as lives:
                for number in range(int(self._rate * self._seconds)):
                    wait = started + number / self._rate - asyncio.get_running_loop().time()
                    await asyncio.sleep(max(0.0, wait))
                    lives.create_task(self._life(number))

    async def _life(self, number: int) -> None:
        """One case, from its report to the unit's reply or to silence."""
        chance = random.Random(f"{self._seed}-{number}")
        longitude, latitude = chance.choice(PLACES)
        report = {
            "category": chance.choice(CATEGORIES),
            "longitude": longitude,
            "latitude": latitude,
            "text": f"案件 #{number}",
        }
        receipt = await self._do(number, "submit", "/cases", report, None, chance)
        if receipt is None or receipt["unit"] is None or chance.random() < 0.4:
            return
        unit, path = receipt["unit"], f"/cases/{receipt['case']}"
        await asyncio.sleep(chance.uniform(0.1, 0.2 * self._seconds))
        acknowledged = await self._do(number, "acknowledge", f"{path}/acknowledge", {}, unit, chance)
        if acknowledged is None or chance.random() < 0.3:
            return
        await asyncio.sleep(chance.uniform(0.1, 0.4 * self._seconds))
        await self._do(number, "reply", f"{path}/reply", {"text": f"已处理 #{number}"}, unit, chance)

    async def _do(
        self, number: int, command: str, path: str, body: Mapping[str, Any], unit: str | None, chance: random.Random
    ) -> dict[str, Any] | None:
        """The receipt, or None when the command was refused or its outcome is unknown."""
        self._journal.intend(number, command)
        headers = {**self._token(unit), "Idempotency-Key": f"{command}-{number}"}
        patience = chance.uniform(0, 3) if chance.random() < IMPATIENT else PATIENT_SECONDS
        give_up = asyncio.get_running_loop().time() + patience
        while True:
            address = chance.choice(self._fleet.addresses("reports"))
            answer = await self._try(f"{address}{path}", body, headers)
            if answer is not None and answer.is_success:
                receipt: dict[str, Any] = answer.json()
                self._journal.tell(Sending(number, command, Outcome.ACKED, receipt["case"]))
                return receipt
            if answer is not None and answer.is_client_error:
                self._journal.tell(Sending(number, command, Outcome.REFUSED))
                return None
            if asyncio.get_running_loop().time() > give_up:
                return None
            await asyncio.sleep(chance.uniform(0.1, 1.5))

    async def _try(self, address: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> httpx2.Response | None:
        try:
            return await self._client.post(address, json=body, headers=headers)
        except httpx2.TransportError:
            return None

    def _token(self, unit: str | None) -> dict[str, str]:
        if unit not in self._tokens:
            self._tokens[unit] = self._fleet.token("officer", unit=unit) if unit else self._fleet.token("service")
        return self._tokens[unit]
