"""python -m tests.load.bench: what this machine does with the platform, from one run, medians of several rounds.

Everything runs here: servers, services, load. So the ratios matter more than the numbers, and a busy machine
shows. A figure that falls short is printed as such and is not an error: this reports, it does not judge.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psutil

from deploy.local import tools
from tests.load import consuming, flow
from tests.load.consuming import Apart
from tests.load.figures import Figure, at_least, at_least_times, at_most, insert, note, save, show
from tests.load.flow import Flow
from tests.load.generator import Plan, Run, generate_apart
from tests.load.places import ORDINARY, Bench
from tests.servers import Servers

RESULTS = tools.LOCAL / "bench.json"
CLIENTS = 64
VARIANTS = ("group", "single", "unsafe")
SEEN_WITHIN = {"standing": (90, 200), "portal": (40, 120)}
"""Milliseconds that p50 and p99 are to keep within."""


@dataclass(frozen=True)
class Effort:
    """How long things are measured: seconds, rounds of which the median counts, events, and rates to try."""

    rounds: int = 3
    filing: float = 8.0
    cases: int = 8_000
    flowing: float = 30.0
    probe: float = 15.0
    full: float = 60.0
    rates: Sequence[float] = (50, 100, 150, 200, 250, 300, 350, 400, 450, 500, 600, 700, 800)


QUICK = Effort(rounds=1, filing=3.0, cases=1_500, flowing=8.0, probe=5.0, full=10.0, rates=(50, 100, 200, 300, 400))


@dataclass(frozen=True)
class Stage:
    """What a stage needs: the servers, a folder, and how long it may take."""

    servers: Servers
    effort: Effort
    profile: Path | None

    def apart(self) -> Apart:
        """Consumers in a namespace of their own."""
        namespace = f"b{secrets.token_hex(3)}-"
        return Apart(self.servers.mongodb_uri(), self.servers.kafka_bootstrap(), namespace)

    def bench(self, folder: str) -> Bench:
        """A platform in a namespace of its own."""
        namespace = f"b{secrets.token_hex(3)}-"
        return Bench(
            self.servers.folder / folder, self.servers.mongodb_uri(), self.servers.kafka_bootstrap(), namespace
        )


async def filing(stage: Stage) -> list[Figure]:
    """(a) `POST /cases` at 64 clients, with the three ways to commit, round by round in turn."""
    benches = {name: stage.bench(f"filing-{name}") for name in VARIANTS}
    runs: dict[str, list[Run]] = {name: [] for name in VARIANTS}
    try:
        for name, bench in benches.items():
            bench.launch("reports", "api", name, stage.profile)
            await _file(bench, 1.5)
        for _ in range(stage.effort.rounds):
            for name, bench in benches.items():
                runs[name].append(await _file(bench, stage.effort.filing))
    finally:
        _end(stage, benches.values())
    rates = {name: median(len(run.cases) / (run.ended - run.started) for run in each) for name, each in runs.items()}
    return [
        at_least_times("POST /cases against one transaction per request", rates["group"], "req/s", rates["single"], 2),
        at_least_times(
            "POST /cases against no outbox and no transaction", rates["group"], "req/s", rates["unsafe"], 1.4
        ),
        *(_answer_times(name, runs[name]) for name in VARIANTS),
        note("POST /cases not answered by 201", sum(run.failed for each in runs.values() for run in each), "requests"),
    ]


async def _file(bench: Bench, seconds: float) -> Run:
    try:
        return await generate_apart(Plan(bench.url("reports"), bench.bearer(), ORDINARY, seconds, clients=CLIENTS))
    except RuntimeError as error:
        raise RuntimeError(f"{error}\n{bench.processes[-1].log.read_text()[-3000:]}") from error


def _answer_times(name: str, runs: Sequence[Run]) -> Figure:
    times = [flow.quantiles([(a - i) * 1000 for a, i in zip(run.answered, run.intended, strict=True)]) for run in runs]
    return note(f"POST /cases, {name}: p99 (p50 {median(t[0] for t in times):.0f})", median(t[1] for t in times), "ms")


async def consuming_events(stage: Stage) -> list[Figure]:
    """(b) Events per second through a worker, against a bare loop."""
    apart = stage.apart()
    rates: dict[str, list[float]] = {"engine": [], "bare": []}
    try:
        await consuming.create_topic(apart.bootstrap, apart.namespace)
        events = await consuming.fill(apart.bootstrap, apart.namespace, stage.effort.cases)
        await apart.rate("bare", "warm-up", events)
        for number in range(stage.effort.rounds):
            for kind, found in rates.items():
                found.append(await apart.rate(kind, f"{kind}{number}", events))
    finally:
        stage.servers.forget(apart.namespace)
    return [
        at_least_times(
            "events through a worker against a bare loop", median(rates["engine"]), "/s", median(rates["bare"]), 0.7
        )
    ]


async def scaling(stage: Stage) -> list[Figure]:
    """The same events through one, two and four workers of a group, each a process of its own."""
    rates: dict[int, float] = {}
    for members in (1, 2, 4):
        apart = stage.apart()
        try:
            await consuming.create_topic(apart.bootstrap, apart.namespace, 4)
            rates[members] = await apart.rate_of_members("scale", members, 4, stage.effort.cases)
        finally:
            stage.servers.forget(apart.namespace)
    return [
        Figure(f"events through {members} workers", rate, "/s", rates[1], rate / rates[1])
        for members, rate in rates.items()
    ]


async def flowing(stage: Stage, parts: str) -> list[Figure]:
    """(c) how fast, (e) how many, (d) at what memory: cases from the request to standing and portal."""
    services = flow.present(("reports", "scoring", "portal"))
    bench = stage.bench("flowing")
    figures: list[Figure] = []
    try:
        for service in services:
            bench.launch(service, "all", profile=stage.profile)
        async with Flow.watching(bench, services) as running:
            await running.hold(20, 3.0)
            await running.settle()
            if "c" in parts or parts == "d":
                figures += await _latencies(running, stage.effort, "portal" in services)
            if "e" in parts:
                figures.append(await _highest(running, stage.effort))
            if "d" in parts:
                memory = running.memory()
                figures += [at_most(f"memory of {name}, after", used, "MB", 150) for name, used in memory.items()]
    finally:
        _end(stage, [bench])
    return figures


async def _latencies(running: Flow, effort: Effort, portal: bool) -> list[Figure]:
    rounds = [await running.latencies(50, effort.flowing / effort.rounds) for _ in range(effort.rounds)]

    def times(place: str, since: str) -> tuple[float, float]:
        found = [flow.quantiles(seen.after(getattr(seen, place), run, getattr(run, since))) for run, seen in rounds]
        return median(p50 for p50, _ in found), median(p99 for _, p99 in found)

    figures = []
    for since, moment in (("intended", "the intended time"), ("answered", "the 201")):
        for place in ("standing", "portal") if portal else ("standing",):
            p50, p99 = times(place, since)
            middle, tail = SEEN_WITHIN[place]
            figures.append(at_most(f"visible in {place} after {moment}, 50/s: p50", p50, "ms", middle))
            figures.append(at_most(f"visible in {place} after {moment}, 50/s: p99", p99, "ms", tail))
    if portal:
        p50, p99 = times("ledger", "intended")
        figures.append(note("deduction in the portal's ledger after the intended time, 50/s: p50", p50, "ms"))
        figures.append(note("deduction in the portal's ledger after the intended time, 50/s: p99", p99, "ms"))
    return figures


async def _highest(running: Flow, effort: Effort) -> Figure:
    best = await flow.highest_rate(running, effort.rates, effort.probe, effort.full)
    drained = f", through {best.drained:.1f} s after" if best is not None and best.drained is not None else ""
    what = f"highest rate held for {effort.full:.0f} s end to end{drained}"
    return at_least(what, best.rate if best else 0.0, "cases/s", 400)


def _end(stage: Stage, benches: Iterable[Bench]) -> None:
    for bench in benches:
        for process in bench.processes:
            process.stop()
        bench.close()
        stage.servers.forget(bench.namespace)


async def measure(parts: str, effort: Effort, profile: Path | None) -> list[Figure]:
    """The figures of the parts asked for, stage by stage."""
    servers = Servers()
    stage = Stage(servers, effort, profile)
    stages: list[tuple[str, Callable[[], Awaitable[list[Figure]]]]] = [
        ("a", lambda: filing(stage)),
        ("b", lambda: consuming_events(stage)),
        ("cde", lambda: flowing(stage, parts)),
        ("s", lambda: scaling(stage)),
    ]
    figures = []
    try:
        for letters, run in stages:
            if set(letters) & set(parts):
                figures += await run()
    finally:
        servers.close()
    return figures


def machine() -> str:
    """One line about where the figures come from."""
    load = os.getloadavg()[0]
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with {psutil.cpu_count()} cores, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}; one-minute load before the run {load:.1f}."
    )


def main(arguments: Sequence[str]) -> int:
    """The command line; 0 also where figures fall short."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.bench", description=__doc__)
    parser.add_argument("--only", metavar="a,b,c", default="a,b,c,d,e", help="parts: a b c d e")
    parser.add_argument("--scale", action="store_true", help="only: the same work with one, two and four workers")
    parser.add_argument("--quick", action="store_true", help="one short round each: whether it works, not how fast")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the markers of this file")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="run the services under cProfile")
    options = parser.parse_args(arguments)
    parts = "s" if options.scale else "".join(sorted({part.strip() for part in options.only.split(",")}))
    if not parts or set(parts) - set("abcdes"):
        parser.error("--only takes letters a to e, separated by commas")
    if options.profile:
        options.profile.mkdir(parents=True, exist_ok=True)
    where = machine()
    profile = options.profile.resolve() if options.profile else None
    figures = asyncio.run(measure(parts, QUICK if options.quick else Effort(), profile))
    show(figures)
    save(figures, RESULTS)
    if options.write:
        insert(figures, where, options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
