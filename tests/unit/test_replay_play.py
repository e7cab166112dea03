"""Doing what the plan says, against a platform that answers from memory."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import jwt
import pytest

from deploy.local.issuer import Issuer
from deploy.replay.clock import Backwards, SpedClock
from deploy.replay.plan import Act, Plan, PlannedCase, Step
from deploy.replay.play import ATTEMPTS, Badges, NoAnswer, Office, Player
from shared.clock import FileClock
from shared.geo import Point

START = datetime(2026, 12, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
STEPS = (
    Step(2 * HOUR, Act.ACKNOWLEDGE),
    Step(2 * HOUR, Act.REPLY),
    Step(3 * HOUR, Act.VERIFY),
    Step(4 * HOUR, Act.CLOSE),
)


class Machine:
    """The machine's time, which passes only while somebody waits."""

    def __init__(self) -> None:
        self.seconds = (START - 48 * HOUR).timestamp()
        self.pauses: list[float] = []

    def time(self) -> float:
        return self.seconds

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)


def a_case(line: int = 2, steps: tuple[Step, ...] = STEPS) -> PlannedCase:
    return PlannedCase(
        line=line,
        at=HOUR,
        category="dead-animal",
        channel="hotline",
        point=Point(112.6, 26.88),
        text="重放",
        outcome="已处理",
        steps=steps,
    )


Answer = Callable[[httpx2.Request], httpx2.Response]


class Platform:
    """Answers like the reports service; keeps what it was asked, with the key and who asked."""

    def __init__(self, unit: str | None = "huanwei", due_at: datetime = START + 3 * HOUR) -> None:
        self.unit, self.due_at = unit, due_at
        self.asked: dict[str, list[tuple[str, str, str | None]]] = defaultdict(list)
        self.bodies: list[dict[str, object]] = []
        self.refuse: dict[str, httpx2.Response] = {}

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        claims = jwt.decode(request.headers["authorization"][7:], options={"verify_signature": False})
        act = request.url.path.rpartition("/")[2]
        if act in self.refuse:
            return self.refuse[act]
        key = request.headers["idempotency-key"]
        self.asked[key.rsplit("-", 1)[0]].append((act, claims["roles"][0], claims.get("unit")))
        self.bodies.append(json.loads(request.content))
        filed = {"case": "20261201-X", "state": "dispatched", "unit": self.unit, "sequence": 1}
        return httpx2.Response(201, json={**filed, "due_at": self.due_at.isoformat() if self.unit else None})


async def played(tmp_path: Path, platform: Answer, *cases: PlannedCase) -> tuple[Player, Machine, SpedClock]:
    machine = Machine()
    clock = SpedClock(tmp_path / "clock.json", machine.time)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(platform)) as client:
        desk = Office(client, 4, machine.pause)
        plan = Plan(START.date(), 6 * HOUR, cases, (), 0)
        badges = Badges(Issuer(tmp_path / "issuer"))
        player = Player(plan, START, "r1", "http://reports", desk, badges, clock, machine.pause)
        clock.start(START, 600)
        await player.play()
    return player, machine, clock


async def test_everybody_plays_their_part_in_order(tmp_path: Path) -> None:
    platform = Platform()
    player, machine, clock = await played(tmp_path, platform, a_case(2), a_case(3))
    office = "chuangwenban"
    followed = [
        ("acknowledge", "officer", "huanwei"),
        ("reply", "officer", "huanwei"),
        ("verify", "verifier", office),
        ("close", "office", office),
    ]
    assert platform.asked["replay-r1-2"] == [("cases", "service", None), *followed]
    assert platform.asked["replay-r1-3"] == platform.asked["replay-r1-2"]
    tally = player.tally
    assert (tally.reported, tally.answered, tally.late, tally.closed, tally.refused) == (2, 2, 0, 2, [])
    assert clock.now() == START + 6 * HOUR, "the horizon is waited for"
    assert sum(machine.pauses) == pytest.approx(36), "six hours at 600 to one"


async def test_a_late_answer_is_counted(tmp_path: Path) -> None:
    player, _, _ = await played(tmp_path, Platform(due_at=START + 2 * HOUR), a_case())
    assert (player.tally.answered, player.tally.late) == (1, 1)


async def test_a_case_in_the_offices_queue_is_left_there(tmp_path: Path) -> None:
    platform = Platform(unit=None)
    player, _, _ = await played(tmp_path, platform, a_case())
    assert len(platform.asked["replay-r1-2"]) == 1
    assert (player.tally.reported, player.tally.in_queue, player.tally.answered) == (1, 1, 0)


async def test_a_refusal_ends_one_case_and_is_told(tmp_path: Path) -> None:
    platform = Platform()
    platform.refuse["reply"] = httpx2.Response(409, json={"code": "transition-not-allowed"})
    player, _, _ = await played(tmp_path, platform, a_case(2), a_case(3, steps=()))
    assert player.tally.refused == ["line 2: /cases/20261201-X/reply: 409 transition-not-allowed"]
    assert player.tally.reported == 2


async def test_a_busy_platform_is_asked_again_with_the_same_key(tmp_path: Path) -> None:
    platform, busy = Platform(), iter([429, 503, 0, 502])

    def sometimes_busy(request: httpx2.Request) -> httpx2.Response:
        status = next(busy, None)
        if status is None:
            return platform(request)
        if status == 0:
            raise httpx2.ConnectError("down", request=request)
        return httpx2.Response(status, headers={"retry-after": "7"} if status == 429 else {})

    _, machine, _ = await played(tmp_path, sometimes_busy, a_case(steps=()))
    assert platform.asked == {"replay-r1-2": [("cases", "service", None)]}
    assert 7.0 in machine.pauses


async def test_a_platform_that_stays_away_is_given_up(tmp_path: Path) -> None:
    attempts = 0

    def down(request: httpx2.Request) -> httpx2.Response:
        nonlocal attempts
        attempts += 1
        return httpx2.Response(503)

    with pytest.raises(NoAnswer, match="503"):
        await played(tmp_path, down, a_case())
    assert attempts == ATTEMPTS


async def test_only_so_many_requests_are_under_way_at_once() -> None:
    under_way = most = 0

    async def slow(request: httpx2.Request) -> httpx2.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return httpx2.Response(200, json={})

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(slow)) as client:
        desk = Office(client, 3)
        await asyncio.gather(*(desk.post("http://reports/cases", "t", str(n), {}) for n in range(20)))
    assert most == 3


def test_the_clock_jumps_runs_and_settles_where_every_service_sees_it(tmp_path: Path) -> None:
    machine = Machine()
    clock = SpedClock(tmp_path / "local" / "clock.json", machine.time)
    clock.start(START, 600)
    machine.seconds += 6
    assert clock.now() == START + HOUR
    assert clock.seconds_until(START + 2 * HOUR) == pytest.approx(6)
    clock.settle()
    machine.seconds += 60
    assert clock.now() == START + HOUR + timedelta(minutes=1)
    found = json.loads((tmp_path / "local" / "clock.json").read_text())
    assert found == {"real": machine.seconds - 60, "shown": (START + HOUR).timestamp(), "speed": 1.0}


def test_the_clock_goes_on_from_what_services_see(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    SpedClock(path).start(datetime(2030, 1, 1, tzinfo=UTC), 1)
    shown = FileClock(path).now()
    assert SpedClock(path).now() >= shown


def test_the_clock_never_runs_backwards(tmp_path: Path) -> None:
    machine = Machine()
    clock = SpedClock(tmp_path / "clock.json", machine.time)
    clock.start(START, 600)
    with pytest.raises(Backwards):
        clock.start(START - HOUR, 600)
    assert clock.now() == START
