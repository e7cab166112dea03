"""One run: load and faults, then healing, rest and judgement. And the runs that must be found guilty."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.clock import CHINA
from tests.chaos import nemesis
from tests.chaos.checker import Finding, Kind, judge
from tests.chaos.clients import Journal, Load, Outcome, Sending
from tests.chaos.evidence import Observer
from tests.chaos.fleet import Fleet, Stage
from tests.chaos.nemesis import Planned

START = datetime(2026, 3, 30, 9, tzinfo=CHINA)
"""A Monday morning; some of the limits end in the next month, so that units have two standings."""
SPEED = 1800.0
"""A working hour lasts two seconds: the shortest limits run out while the faults go on."""
AFTERWARDS = START + timedelta(days=40)
"""When every limit has run out."""
CONTROL_RATE, CONTROL_SECONDS = 15.0, 2.0
PATIENCE = 60.0
FINDINGS_SHOWN = 20
Aftermath = Callable[[Fleet], Awaitable[None]]


@dataclass(frozen=True)
class Control:
    """A protection taken away: the service that loses it, and what the checker must find then."""

    weakness: str
    service: str
    role: str
    kind: Kind
    patience: float = PATIENCE
    """Seconds until what has not come to rest counts."""


CONTROLS = (
    Control("offsets-before-processing", "scoring", "worker", Kind.LOST),
    Control("outbox-outside-transaction", "reports", "all", Kind.LOST),
    Control("marks-off", "scoring", "worker", Kind.DOUBLED),
    Control("sweeper-off", "scoring", "worker", Kind.PENDING, patience=20.0),
    Control("predecessor-check-off", "reports", "all", Kind.ORDER),
    Control("version-guard-off", "reports", "all", Kind.LOST),
)
UNHARMED = (("reports", "all"), ("scoring", "worker"))


async def run_seed(stage: Stage, seed: int, seconds: float, rate: float) -> dict[str, Any]:
    """The platform under `rate` cases a second and faults for so many `seconds`; what came of it (docs/chaos.md)."""
    fleet = Fleet(stage, f"seed-{seed}")
    compose(fleet)
    return await run_planned(fleet, seed, nemesis.plan(seed, seconds), seconds, rate)


def compose(fleet: Fleet) -> None:
    """One api, and two workers of each service, so that there is always one to take over."""
    fleet.add("reports", "api")
    for service in ("reports", "reports", "scoring", "scoring"):
        fleet.add(service, "worker")
    fleet.add("portal", "all")


async def run_planned(
    fleet: Fleet,
    seed: int,
    planned: Sequence[Planned],
    seconds: float,
    rate: float,
    patience: float = PATIENCE,
    aftermath: Aftermath | None = None,
) -> dict[str, Any]:
    """A run with these faults; what came of it. `aftermath` is what is still to be done once all is healed."""
    outcome = await _run(fleet, seed, rate, seconds, planned, patience, aftermath)
    if outcome.findings:
        fleet.keep_logs()
    return {"seed": seed, **_summary(outcome), "kills": len(planned), "exits": Counter(fleet.exits)}


async def run_control(stage: Stage, control: Control) -> dict[str, Any]:
    """The platform without one protection and with one crash; whether the checker saw what it did."""
    fleet = Fleet(stage, control.weakness)
    for service, role in UNHARMED:
        if service == control.service:
            fleet.add_sabotaged(control.weakness, service, control.role)
        else:
            fleet.add(service, role)
    outcome = await _run(fleet, 0, CONTROL_RATE, CONTROL_SECONDS, (), control.patience)
    caught = any(finding.kind is control.kind for finding in outcome.findings)
    if not caught:
        fleet.keep_logs()
    return {"name": control.weakness, "caught": caught, **_summary(outcome)}


async def run_controls(stage: Stage) -> list[dict[str, Any]]:
    """All of them side by side: they share the servers, which nobody kills here."""
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(run_control(stage, control)) for control in CONTROLS]
    return [run.result() for run in runs]


@dataclass(frozen=True)
class _Outcome:
    deeds: Sequence[Sending]
    findings: Sequence[Finding]
    recovery: float


async def _run(
    fleet: Fleet,
    seed: int,
    rate: float,
    seconds: float,
    planned: Sequence[Planned],
    patience: float = PATIENCE,
    aftermath: Aftermath | None = None,
) -> _Outcome:
    supervisor: asyncio.Task[None] | None = None
    observer = Observer(fleet)
    try:
        await fleet.begin(START, SPEED)
        supervisor = asyncio.create_task(fleet.supervise())
        journal = Journal(fleet.folder / "journal")
        load = asyncio.create_task(Load(fleet, journal, seed, rate, seconds).run())
        await nemesis.run(fleet, planned)
        healed = time.monotonic()
        await fleet.heal()
        await load
        fleet.show(AFTERWARDS, 1.0)
        pending = await observer.wait_until_quiet(patience)
        recovery = time.monotonic() - healed
        if aftermath is not None:
            await aftermath(fleet)
            pending = await observer.wait_until_quiet(patience)
        deeds = journal.deeds()
        evidence = await observer.collect(deeds, pending)
        evidence.replayed = aftermath is not None
        findings = judge(evidence)
        return _Outcome(list(deeds.values()), findings, recovery)
    finally:
        if supervisor is not None:
            supervisor.cancel()
            with suppress(asyncio.CancelledError):
                await supervisor
        observer.close()
        fleet.close()
        await fleet.stage.forget(fleet.namespace)


def _summary(outcome: _Outcome) -> dict[str, Any]:
    outcomes = Counter(deed.outcome for deed in outcome.deeds)
    found = Counter(finding.kind for finding in outcome.findings)
    return {
        "attempted": len(outcome.deeds),
        "acked": outcomes[Outcome.ACKED],
        "refused": outcomes[Outcome.REFUSED],
        "unknown": outcomes[Outcome.UNKNOWN],
        "lost": found[Kind.LOST],
        "phantom": found[Kind.PHANTOM],
        "doubled": found[Kind.DOUBLED],
        "order_violations": found[Kind.ORDER],
        "parked": found[Kind.PARKED],
        "pending": found[Kind.PENDING],
        "views_wrong": found[Kind.VIEW],
        "standings_equal": not found[Kind.STANDINGS],
        "ledger_intact": not found[Kind.LEDGER],
        "recovery_s": round(outcome.recovery, 1),
        "findings": _texts(outcome.findings),
    }


def _texts(findings: Sequence[Finding]) -> list[str]:
    return [f"{finding.kind.value}: {finding.text}" for finding in findings[:FINDINGS_SHOWN]]
