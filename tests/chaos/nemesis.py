"""What goes wrong in a run, and when: drawn from the seed beforehand, so that a bad run can be run again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from deploy.local.servers import Server
from tests.chaos.fleet import SESSION_SECONDS, Fleet


class Fault(StrEnum):
    """A way to fail; `FREEZE_…` lasts until the process's consumers have been expelled from their groups."""

    KILL_API = "kill the api, whose relay publishes what it commits"
    KILL_REPORTS_WORKER = "kill a reports worker"
    KILL_SCORING_WORKER = "kill a scoring worker"
    KILL_REPORTS = "kill all of reports, whoever holds the sweeper's lease among them"
    KILL_BROKER = "kill the broker"
    KILL_DATABASE = "kill the database"
    FREEZE_SCORING_WORKER = "freeze a scoring worker beyond its session"
    FREEZE_REPORTS_WORKER = "freeze a reports worker beyond its leases"
    FREEZE_API = "freeze the api beyond its clients' patience"


KILLS = [fault for fault in Fault if fault.name.startswith("KILL")]
FREEZES = [fault for fault in Fault if fault.name.startswith("FREEZE")]


@dataclass(frozen=True)
class Planned:
    """A fault `at` so many seconds into the run; `lasts`: until its victims start or go on again. `pick` of two."""

    at: float
    fault: Fault
    lasts: float
    pick: int


def plan(seed: int, seconds: float) -> list[Planned]:
    """Every kind of crash once in ten seconds, and a zombie consumer meanwhile."""
    chance = random.Random(seed)
    rounds = max(1, round(seconds / 10))
    length = seconds / rounds
    planned: list[Planned] = []
    for start in (length * number for number in range(rounds)):
        freeze = Fault.FREEZE_SCORING_WORKER if start == 0 else chance.choice(FREEZES)
        lasts = SESSION_SECONDS + chance.uniform(0.8, 2.5)
        planned.append(Planned(start + chance.uniform(0.5, 2), freeze, lasts, chance.randrange(2)))
        step = length / len(KILLS)
        for number, kill in enumerate(_shuffled(chance)):
            at = start + step * (number + chance.uniform(0.1, 0.9))
            planned.append(Planned(at, kill, chance.uniform(0, 1.2), chance.randrange(2)))
    return sorted(planned, key=lambda fault: fault.at)


def _shuffled(chance: random.Random) -> list[Fault]:
    """The broker, which takes longest to come back, in the first half."""
    kills = chance.sample(KILLS, len(KILLS))
    kills.remove(Fault.KILL_BROKER)
    kills.insert(chance.randrange(len(KILLS) // 2), Fault.KILL_BROKER)
    return kills


async def run(fleet: Fleet, planned: Sequence[Planned]) -> None:
    """Do all of it, each fault at its time; returns when the last one is over."""
    started = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as faults:
        for fault in planned:
            await asyncio.sleep(max(0.0, started + fault.at - asyncio.get_running_loop().time()))
            faults.create_task(_do(fleet, fault))


async def _do(fleet: Fleet, planned: Planned) -> None:
    victims = _victims(fleet, planned)
    if planned.fault in KILLS:
        await fleet.kill(victims, planned.lasts)
    else:
        await fleet.freeze(victims[0], planned.lasts)


def _victims(fleet: Fleet, planned: Planned) -> list[Server]:
    match planned.fault:
        case Fault.KILL_API | Fault.FREEZE_API:
            return fleet.named("reports-api")
        case Fault.KILL_REPORTS_WORKER | Fault.FREEZE_REPORTS_WORKER:
            return [fleet.named("reports-worker")[planned.pick]]
        case Fault.KILL_SCORING_WORKER | Fault.FREEZE_SCORING_WORKER:
            return [fleet.named("scoring-worker")[planned.pick]]
        case Fault.KILL_REPORTS:
            return fleet.named("reports")
        case Fault.KILL_BROKER:
            return [fleet.stage.kafka]
        case Fault.KILL_DATABASE:
            return [fleet.stage.mongodb]
        case _:
            assert_never(planned.fault)
