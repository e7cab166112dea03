"""Does what the plan says, at its time, as the people of the district would: through the public interfaces."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx2

from deploy.local.issuer import Issuer
from deploy.replay.clock import SpedClock
from deploy.replay.plan import Act, Plan, PlannedCase, Step

OFFICE_UNIT = "chuangwenban"
ATTEMPTS = 10
LONGEST_PAUSE = 5.0
_AGAIN = {429, 502, 503, 504}

Pause = Callable[[float], Awaitable[None]]


class Refusal(Exception):
    """The platform answered, and not with yes."""


class NoAnswer(Exception):
    """The platform did not answer after several attempts."""


class Office:
    """Sends requests, a bounded number at once; asks again when the platform is busy or does not answer.

    Every command carries an Idempotency-Key, so asking again never does a thing twice.
    """

    def __init__(self, client: httpx2.AsyncClient, at_once: int, pause: Pause = asyncio.sleep) -> None:
        self._client = client
        self._room = asyncio.Semaphore(at_once)
        self._pause = pause

    async def post(self, url: str, token: str, key: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a command. Raises Refusal, NoAnswer."""
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        return await self._ask(self._client.build_request("POST", url, json=body, headers=headers))

    async def get(self, url: str, token: str, **query: str) -> dict[str, Any]:
        """The answer to a query. Raises Refusal, NoAnswer."""
        headers = {"Authorization": f"Bearer {token}"}
        return await self._ask(self._client.build_request("GET", url, params=query, headers=headers))

    async def _ask(self, request: httpx2.Request) -> dict[str, Any]:
        async with self._room:
            for attempt in range(ATTEMPTS):
                pause = min(0.1 * 2**attempt, LONGEST_PAUSE)
                try:
                    response = await self._client.send(request)
                except httpx2.TransportError as error:
                    fault = repr(error)
                else:
                    if response.status_code not in _AGAIN:
                        return _accepted(response)
                    fault = f"{response.status_code} {_code(response)}"
                    pause = _retry_after(response, pause)
                await self._pause(pause)
        raise NoAnswer(f"{request.method} {request.url}: {fault}")


class Badges:
    """Tokens of the people who act, made once each."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._tokens: dict[tuple[str, str | None], str] = {}

    def intake(self) -> str:
        """The hotline's system, which hands in what people told it; not held to a stranger's rate."""
        return self._badge("service")

    def officer(self, unit: str) -> str:
        return self._badge("officer", unit)

    def verifier(self) -> str:
        return self._badge("verifier", OFFICE_UNIT)

    def office(self) -> str:
        return self._badge("office", OFFICE_UNIT)

    def _badge(self, role: str, unit: str | None = None) -> str:
        key = (role, unit)
        if key not in self._tokens:
            self._tokens[key] = self._issuer.token(f"replay-{role}-{unit or ''}", [role], unit)
        return self._tokens[key]


@dataclass
class Tally:
    """What has happened so far; `lag` is how many seconds of the machine the busiest moment fell behind."""

    reported: int = 0
    answered: int = 0
    late: int = 0
    closed: int = 0
    in_queue: int = 0
    refused: list[str] = field(default_factory=list)
    lag: float = 0.0


class Player:
    """Plays a plan whose day begins at `start` of the platform's time; `run` names this replay.

    The same run played again repeats the same commands under the same keys and so changes nothing.
    """

    def __init__(
        self,
        plan: Plan,
        start: datetime,
        run: str,
        reports: str,
        desk: Office,
        badges: Badges,
        clock: SpedClock,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._plan, self._start, self._run = plan, start, run
        self._reports, self._desk, self._badges = reports, desk, badges
        self._clock, self._pause = clock, pause
        self.tally = Tally()

    async def play(self) -> None:
        """All cases, each in its own order, until the plan's horizon. Raises NoAnswer when nobody answers."""
        try:
            async with asyncio.TaskGroup() as group:
                for case in self._plan.cases:
                    group.create_task(self._live(case))
        except* NoAnswer as faults:
            raise NoAnswer(str(faults.exceptions[0])) from None
        await self._until(self._start + self._plan.horizon)

    async def _live(self, case: PlannedCase) -> None:
        try:
            await self._until(self._start + case.at)
            filed = await self._report(case)
            self.tally.reported += 1
            if filed["unit"] is None:
                self.tally.in_queue += 1
                return
            due_at = datetime.fromisoformat(filed["due_at"])
            for step in case.steps:
                await self._until(self._start + step.at)
                await self._act(case, step, filed["case"], filed["unit"])
                self._count(step, is_late=self._start + step.at >= due_at)
        except Refusal as refusal:
            self.tally.refused.append(f"line {case.line}: {refusal}")

    async def _report(self, case: PlannedCase) -> dict[str, Any]:
        body = {
            "category": case.category,
            "longitude": case.point.longitude,
            "latitude": case.point.latitude,
            "text": case.text,
            "channel": case.channel,
        }
        key = self._key(case, "report")
        return await self._desk.post(f"{self._reports}/cases", self._badges.intake(), key, body)

    async def _act(self, case: PlannedCase, step: Step, case_id: str, unit: str) -> None:
        token, body = self._part(case, step.act, unit)
        url = f"{self._reports}/cases/{case_id}/{step.act}"
        await self._desk.post(url, token, self._key(case, step.act), body)

    def _part(self, case: PlannedCase, act: Act, unit: str) -> tuple[str, dict[str, Any]]:
        match act:
            case Act.ACKNOWLEDGE:
                return self._badges.officer(unit), {}
            case Act.REPLY:
                return self._badges.officer(unit), {"text": case.outcome}
            case Act.VERIFY:
                return self._badges.verifier(), {"passed": True}
            case Act.CLOSE:
                return self._badges.office(), {}

    def _key(self, case: PlannedCase, act: str) -> str:
        return f"replay-{self._run}-{case.line}-{act}"

    def _count(self, step: Step, *, is_late: bool) -> None:
        if step.act is Act.REPLY:
            self.tally.answered += 1
            self.tally.late += is_late
        elif step.act is Act.CLOSE:
            self.tally.closed += 1

    async def _until(self, moment: datetime) -> None:
        while (ahead := self._clock.seconds_until(moment)) > 0:
            await self._pause(ahead)
        self.tally.lag = max(self.tally.lag, -ahead)


def _accepted(response: httpx2.Response) -> dict[str, Any]:
    if response.is_success:
        body: dict[str, Any] = response.json()
        return body
    raise Refusal(f"{response.request.url.path}: {response.status_code} {_code(response)}")


def _code(response: httpx2.Response) -> str:
    try:
        return str(response.json()["code"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200]


def _retry_after(response: httpx2.Response, otherwise: float) -> float:
    body = response.headers.get("retry-after", "")
    return float(body) if body.isdigit() else otherwise
