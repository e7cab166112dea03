"""What goes wrong in a run, and when: drawn from the seed beforehand, so that a bad run can be run again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from deploy.local.servers import Server
from tests.chaos.fleet import SESSION_SECONDS, Fleet


class Fault(StrEnum):
    """A way to fail; `FREEZE_…` lasts until the process's consumers have been expelled from their groups."""

    KILL_API = "kill the api, whose relay publishes what it commits"
    KILL_REPORTS_WORKER = "kill a reports worker"
    KILL_SCORING_WORKER = "kill a scoring worker"
    KILL_REPORTS = "kill all of reports, whoever holds the sweeper's lease among them"
    KILL_PORTAL = "kill the portal"
    KILL_BROKER = "kill the broker, or all of them"
    KILL_DATABASE = "kill the database, or all of its members"
    FREEZE_SCORING_WORKER = "freeze a scoring worker beyond its session"
    FREEZE_REPORTS_WORKER = "freeze a reports worker beyond its leases"
    FREEZE_API = "freeze the api beyond its clients' patience"
    TERMINATE_ALL = "end every process in an orderly way, one after the other"
    SCALE_REPORTS = "one more reports worker for a while"
    SCALE_SCORING = "one more scoring worker for a while"
    CUT_API = "cut the api off from its database"
    CUT_SCORING_WORKER = "cut a scoring worker off from its database"
    STEP_DOWN = "have another member of the replica set take the writes"
    ROLL_BACK = "crash a primary with writes that it alone has"
    KILL_PRIMARY = "kill the member that takes the writes"
    KILL_ONE_BROKER = "kill one broker of three"
    FREEZE_ONE_BROKER = "freeze one broker of three until it is out of sync"
    FREEZE_TWO_BROKERS = "freeze two brokers of three: fewer in sync than writes need"


KILLS = (
    Fault.KILL_API,
    Fault.KILL_REPORTS_WORKER,
    Fault.KILL_SCORING_WORKER,
    Fault.KILL_REPORTS,
    Fault.KILL_PORTAL,
    Fault.KILL_BROKER,
    Fault.KILL_DATABASE,
)
FREEZES = (Fault.FREEZE_SCORING_WORKER, Fault.FREEZE_REPORTS_WORKER, Fault.FREEZE_API)
OF_SEVERAL = (
    Fault.STEP_DOWN,
    Fault.FREEZE_ONE_BROKER,
    Fault.ROLL_BACK,
    Fault.KILL_ONE_BROKER,
    Fault.KILL_PRIMARY,
    Fault.FREEZE_TWO_BROKERS,
    Fault.KILL_API,
    Fault.KILL_SCORING_WORKER,
)
"""What a cluster has to bear besides."""


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


def plan_of_cluster(seed: int, seconds: float) -> list[Planned]:
    """Each fault of a cluster once, in the seed's order, each as long as it takes to be noticed."""
    chance = random.Random(seed)
    step = seconds / len(OF_SEVERAL)
    faults = enumerate(chance.sample(OF_SEVERAL, len(OF_SEVERAL)))
    return [
        Planned(step * (number + chance.uniform(0.1, 0.5)), fault, chance.uniform(2, 6), chance.randrange(2))
        for number, fault in faults
    ]


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
    fault, lasts = planned.fault, planned.lasts
    match fault:
        case Fault.TERMINATE_ALL:
            await fleet.terminate(list(fleet.processes), lasts)
        case Fault.SCALE_REPORTS | Fault.SCALE_SCORING:
            await fleet.scale("reports" if fault is Fault.SCALE_REPORTS else "scoring", lasts)
        case Fault.CUT_API | Fault.CUT_SCORING_WORKER:
            victims = fleet.named("reports-api" if fault is Fault.CUT_API else "scoring-worker")
            await fleet.cut(pick_of(victims, planned.pick), lasts)
        case Fault.STEP_DOWN:
            await asyncio.to_thread(fleet.stage.step_down)
        case Fault.ROLL_BACK:
            await fleet.roll_back(lasts)
        case Fault.KILL_PRIMARY:
            await fleet.kill([await asyncio.to_thread(fleet.stage.primary)], lasts)
        case Fault.FREEZE_ONE_BROKER | Fault.FREEZE_TWO_BROKERS:
            victims = _brokers(fleet, planned, 1 if fault is Fault.FREEZE_ONE_BROKER else 2)
            await asyncio.gather(*(fleet.freeze(each, lasts) for each in victims))
        case Fault.FREEZE_API | Fault.FREEZE_REPORTS_WORKER | Fault.FREEZE_SCORING_WORKER:
            await fleet.freeze(_victims(fleet, planned)[0], lasts)
        case _:
            await fleet.kill(_victims(fleet, planned), lasts)


def _victims(fleet: Fleet, planned: Planned) -> list[Server]:
    pick = planned.pick
    victims: dict[Fault, Callable[[], list[Server]]] = {
        Fault.KILL_API: lambda: [pick_of(fleet.named("reports-api"), pick)],
        Fault.FREEZE_API: lambda: [pick_of(fleet.named("reports-api"), pick)],
        Fault.KILL_REPORTS_WORKER: lambda: [pick_of(fleet.named("reports-worker"), pick)],
        Fault.FREEZE_REPORTS_WORKER: lambda: [pick_of(fleet.named("reports-worker"), pick)],
        Fault.KILL_SCORING_WORKER: lambda: [pick_of(fleet.named("scoring-worker"), pick)],
        Fault.FREEZE_SCORING_WORKER: lambda: [pick_of(fleet.named("scoring-worker"), pick)],
        Fault.KILL_REPORTS: lambda: fleet.named("reports"),
        Fault.KILL_PORTAL: lambda: fleet.named("portal"),
        Fault.KILL_BROKER: lambda: fleet.stage.brokers,
        Fault.KILL_DATABASE: lambda: fleet.stage.databases,
        Fault.KILL_ONE_BROKER: lambda: _brokers(fleet, planned, 1),
    }
    return victims[planned.fault]()


def pick_of(servers: Sequence[Server], pick: int) -> Server:
    """One of them."""
    return servers[pick % len(servers)]


def _brokers(fleet: Fleet, planned: Planned, count: int) -> list[Server]:
    """So many neighbours, from the one that was picked on."""
    brokers = fleet.stage.brokers
    return [brokers[(planned.pick + number) % len(brokers)] for number in range(count)]
