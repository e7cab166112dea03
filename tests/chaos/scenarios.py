"""What a district's servers live through besides crashes, each as a run of its own with its own fleet and faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from deploy.local.tools import inform
from tests.chaos import nemesis
from tests.chaos.cluster import Cluster
from tests.chaos.experiment import PATIENCE, Aftermath, compose, run_planned
from tests.chaos.fleet import MONGODB_PARAMETERS, Fleet, Stage
from tests.chaos.nemesis import Fault, Planned

RATE = 12.0
OUTAGES = (12.0, 20.0, 60.0, 120.0, 300.0)
"""Seconds: beyond the patience of a commit, of a session, of a lease, of a transaction's locks, and of everybody."""
LONG_TRANSACTIONS = tuple(
    "transactionLifetimeLimitSeconds=60" if each.startswith("transactionLifetime") else each
    for each in MONGODB_PARAMETERS
)


@dataclass(frozen=True)
class Scenario:
    """A run: on which servers, for how many seconds, of which processes, with which faults, and what comes after."""

    name: str
    seconds: float
    plan: Callable[[], Sequence[Planned]]
    compose: Callable[[Fleet], None] = compose
    stage: Callable[[], Stage] = Stage
    patience: float = PATIENCE
    aftermath: Aftermath | None = None
    seed: int = 0


def scenarios(seeds: int, longest: float) -> Iterator[Scenario]:
    """All of them; the cluster with so many seeds, and no outage longer than so many seconds."""
    for seed in range(1, seeds + 1):
        mixed = partial(nemesis.plan_of_cluster, seed, 48.0)
        yield Scenario("cluster", 48, mixed, several, Cluster, patience=120, seed=seed)
    for number, seconds in enumerate(seconds for seconds in OUTAGES if seconds <= longest):
        fault = (Fault.KILL_DATABASE, Fault.KILL_BROKER)[number % 2]
        outage = partial(_at, Planned(3, fault, seconds, 0))
        yield Scenario(f"outage-{seconds:.0f}", seconds + 8, outage, patience=180, seed=number)
    yield Scenario("cut", 40, partial(_at, *CUTS), wired)
    yield Scenario("rolling", 30, partial(_at, Planned(3, Fault.TERMINATE_ALL, 0.5, 0)), several, patience=120)
    yield Scenario("scaling", 30, partial(_at, *SCALING), several)
    yield Scenario("portal", 20, partial(_at, *(Planned(at, Fault.KILL_PORTAL, 2, 0) for at in (3, 8, 13))))
    yield Scenario("rebuild", 20, partial(_at, Planned(4, Fault.KILL_SCORING_WORKER, 1, 0)), aftermath=rebuilt)
    yield Scenario("poison", 12, tuple, poisoned, aftermath=replayed)
    yield Scenario("newer", 12, partial(_at, Planned(4, Fault.KILL_SCORING_WORKER, 1, 0)), partial(beside, "newer"))
    for skew in ("clock-ahead", "clock-behind"):
        yield Scenario(skew, 16, partial(_at, Planned(6, Fault.KILL_REPORTS, 1, 0)), partial(beside, skew))
    killed = [Planned(at, Fault.KILL_SCORING_WORKER, 0.5, number % 2) for number, at in enumerate((3, 6, 9, 12))]
    yield Scenario(
        "long-transactions", 16, partial(_at, *killed), stage=partial(Stage, LONG_TRANSACTIONS), patience=120
    )


CUTS = tuple(
    Planned(at, fault, lasts, number % 2)
    for number, (at, fault, lasts) in enumerate(
        ((3, Fault.CUT_API, 4), (9, Fault.CUT_SCORING_WORKER, 9), (20, Fault.CUT_API, 14))
    )
)
SCALING = (
    Planned(3, Fault.SCALE_SCORING, 6, 0),
    Planned(8, Fault.SCALE_REPORTS, 6, 0),
    Planned(18, Fault.TERMINATE_ALL, 0, 0),
)


async def run_scenarios(seeds: int, longest: float, only: Sequence[str]) -> list[dict[str, Any]]:
    """What came of each, in the form of the seeds of `make chaos` with a `name`."""
    runs = []
    for scenario in scenarios(seeds, longest):
        if only and scenario.name not in only:
            continue
        with _on(scenario) as stage:
            fleet = Fleet(stage, f"{scenario.name}-{scenario.seed}")
            scenario.compose(fleet)
            run = await run_planned(
                fleet,
                scenario.seed,
                scenario.plan(),
                scenario.seconds,
                RATE,
                scenario.patience,
                scenario.aftermath,
            )
        runs.append({"name": scenario.name, **run})
        inform(json.dumps(runs[-1], ensure_ascii=False))
    return runs


@contextmanager
def _on(scenario: Scenario) -> Iterator[Stage]:
    with scenario.stage() as stage:
        yield stage


def _at(*planned: Planned) -> Sequence[Planned]:
    return planned


def several(fleet: Fleet) -> None:
    """Two apis and two workers of each service, on both drivers."""
    for driver in ("motor", "pymongo"):
        fleet.add("reports", "api", {"STORE_DRIVER": driver})
        for service in ("reports", "scoring"):
            fleet.add(service, "worker", {"STORE_DRIVER": driver})
    fleet.add("portal", "all", {"STORE_DRIVER": "pymongo"})


def wired(fleet: Fleet) -> None:
    """An api and workers whose ways to the database may be cut."""
    for service, role in (("reports", "api"), ("reports", "worker"), ("scoring", "worker"), ("scoring", "worker")):
        fleet.add_wired(service, role)
    fleet.add("portal", "all")


def poisoned(fleet: Fleet) -> None:
    """The ledgers choke on some cases."""
    fleet.add("reports", "all")
    for _ in range(2):
        fleet.add_sabotaged("poison", "scoring", "worker")
    fleet.add("portal", "all")


def beside(other: str, fleet: Fleet) -> None:
    """An api that is of another kind, among processes of today."""
    fleet.add_sabotaged(other, "reports", "api")
    fleet.add("reports", "api")
    for service in ("reports", "scoring", "scoring"):
        fleet.add(service, "worker")
    fleet.add("portal", "all")


async def replayed(fleet: Fleet) -> None:
    """What choked the ledgers is put right, and what was parked is done after all."""
    fleet.sabotage_file("scoring").touch()
    status, said = await fleet.run("shared.dlq", "replay", "--service", "scoring", "--yes")
    if status:
        raise RuntimeError(f"the replay failed: {said}")


async def rebuilt(fleet: Fleet) -> None:
    """The portal's read model is built anew and swapped in."""
    status, said = await fleet.run("services.portal", "rebuild", "board")
    if status:
        raise RuntimeError(f"the rebuild failed: {said}")
