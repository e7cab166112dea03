"""The load: cases filed over HTTP, from a process of its own, bounded in time and number.

    python -m tests.load.generator '{"url": …, "token": …, "category": …, "seconds": 6, "clients": 64}'

`clients` makes a closed loop: each sends its next request when the last one is answered. `rate` makes an open
one: request number i is meant for i / rate seconds after the start, whatever the service does meanwhile, and
waits for a free connection when all are busy. Prints a `Run` as JSON. Moments are `time.monotonic()`, which all
processes of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

import uvloop

from deploy.local import tools
from tests.load.client import Connection, request_bytes

MOST_REQUESTS = 200_000
MOST_SECONDS = 300.0
PATIENCE = 30.0
"""Seconds after the end that answers are waited for."""


@dataclass(frozen=True)
class Plan:
    """What to send: to loopback only."""

    url: str
    token: str
    category: str
    seconds: float
    clients: int = 0
    rate: float = 0.0
    connections: int = 128

    def __post_init__(self) -> None:
        if urlsplit(self.url).hostname != "127.0.0.1":
            raise ValueError("load goes to 127.0.0.1 only")
        if not 0 < self.seconds <= MOST_SECONDS or (self.clients > 0) == (self.rate > 0):
            raise ValueError(f"up to {MOST_SECONDS:.0f} seconds, and either clients or a rate")


@dataclass
class Run:
    """What happened, request by request: when it was meant for, when it was answered, and the case it made.

    `failed` counts what was not answered by 201, `fault` is the first such answer.
    `late` is the longest time a request left after it was meant to.
    """

    started: float = 0.0
    ended: float = 0.0
    intended: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)
    failed: int = 0
    fault: str = ""
    late: float = 0.0


async def generate(plan: Plan) -> Run:
    """Carry the plan out. Raises OSError when the service is not there."""
    connections = [await Connection.open(plan.url) for _ in range(plan.clients or plan.connections)]
    run = Run(started=time.monotonic())
    try:
        async with asyncio.timeout(plan.seconds + PATIENCE):
            await (_closed(plan, run, connections) if plan.clients else _open(plan, run, connections))
    except TimeoutError:
        run.failed += 1
    run.ended = time.monotonic()
    for connection in connections:
        connection.close()
    return run


async def _closed(plan: Plan, run: Run, connections: list[Connection]) -> None:
    end = run.started + plan.seconds

    async def client(connection: Connection, seed: int) -> None:
        chance = random.Random(seed)
        while (now := time.monotonic()) < end and len(run.answered) < MOST_REQUESTS:
            await _file(plan, run, connection, chance, now)

    await asyncio.gather(*(client(each, seed) for seed, each in enumerate(connections)))


async def _open(plan: Plan, run: Run, connections: list[Connection]) -> None:
    chance = random.Random(0)
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in connections:
        free.put_nowait(connection)
    sending: set[asyncio.Task[None]] = set()

    async def send(connection: Connection, intended: float) -> None:
        await _file(plan, run, connection, chance, intended)
        free.put_nowait(connection)

    for number in range(min(MOST_REQUESTS, int(plan.rate * plan.seconds))):
        intended = run.started + number / plan.rate
        if (ahead := intended - time.monotonic()) > 0:
            await asyncio.sleep(ahead)
        connection = await free.get()
        run.late = max(run.late, time.monotonic() - intended)
        task = asyncio.create_task(send(connection, intended))
        sending.add(task)
        task.add_done_callback(sending.discard)
    if sending:
        await asyncio.gather(*sending)


async def _file(plan: Plan, run: Run, connection: Connection, chance: random.Random, intended: float) -> None:
    try:
        answer = await connection.request(_request(plan, chance))
    except ConnectionError as error:
        run.failed += 1
        run.fault = run.fault or repr(error)
        await asyncio.sleep(0.01)
        return
    if answer.status != 201:
        run.failed += 1
        run.fault = run.fault or answer.body.decode(errors="replace")
        return
    run.intended.append(intended)
    run.answered.append(time.monotonic())
    run.cases.append(json.loads(answer.body)["case"])


def _request(plan: Plan, chance: random.Random) -> bytes:
    """A case somewhere in the sample district, so that all communities get their share."""
    body = {
        "category": plan.category,
        "longitude": round(chance.uniform(112.571, 112.619), 6),
        "latitude": round(chance.uniform(26.861, 26.909), 6),
        "address": f"华兴街道 {chance.randrange(1, 400)} 号",
        "text": "垃圾桶满了没人清，已经三天，气味很大，请尽快处理。",
        "channel": "hotline",
    }
    headers = {"Authorization": f"Bearer {plan.token}", "Content-Type": "application/json"}
    return request_bytes("POST", f"{plan.url}/cases", headers, json.dumps(body).encode())


async def generate_apart(plan: Plan) -> Run:
    """Carry the plan out in a process of its own. Raises RuntimeError when it files nothing."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.load.generator", json.dumps(asdict(plan))),
        stdout=asyncio.subprocess.PIPE,
        cwd=tools.ROOT,
    )
    try:
        found, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise RuntimeError(f"the load generator ended with {process.returncode}")
    run = Run(**json.loads(found))
    if not run.cases:
        raise RuntimeError(f"no case was filed: {run.fault}")
    return run


if __name__ == "__main__":
    json.dump(asdict(uvloop.run(generate(Plan(**json.loads(sys.argv[1]))))), sys.stdout)
