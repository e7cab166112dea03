"""python -m tests.chaos [--cluster] --seeds N [...]: .local/chaos.json or .local/chaos-cluster.json.

Fails on violations and on missed controls. `--cluster` runs the scenarios of a district's servers instead of the
seeds: each name once, three of everything with N seeds; `--only NAME` some of them, `--longest` seconds of an outage.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any

from deploy.local.tools import LOCAL, inform
from tests.chaos.experiment import run_controls, run_seed
from tests.chaos.fleet import Stage
from tests.chaos.scenarios import run_scenarios


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many runs")
    parser.add_argument("--seed", type=int, default=1, help="the first run's seed")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long a run's faults last")
    parser.add_argument("--rate", type=float, default=40.0, help="cases a second")
    parser.add_argument("--cluster", action="store_true", help="the scenarios instead of the seeds")
    parser.add_argument("--only", action="append", default=[], help="a scenario; may be repeated")
    parser.add_argument("--longest", type=float, default=300.0, help="seconds of the longest outage")
    options = parser.parse_args()
    result = asyncio.run(_cluster(options) if options.cluster else _seeds(options))
    file = LOCAL / ("chaos-cluster.json" if options.cluster else "chaos.json")
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(result, ensure_ascii=False, indent=1))
    bad = [each for each in result["seeds"] if each["findings"]]
    missed = [each for each in result["negative_controls"] if not each["caught"]]
    inform(f"{len(result['seeds'])} runs, {len(bad)} with violations; {len(missed)} controls missed; see {file}")
    return 1 if bad or missed else 0


async def _seeds(options: argparse.Namespace) -> dict[str, Any]:
    with Stage() as stage:
        controls = await _controls(stage)
        runs = []
        for seed in range(options.seed, options.seed + options.seeds):
            runs.append(await run_seed(stage, seed, options.seconds, options.rate))
            inform(json.dumps(runs[-1], ensure_ascii=False))
    return {"seeds": runs, "negative_controls": controls}


async def _cluster(options: argparse.Namespace) -> dict[str, Any]:
    controls = []
    if not options.only:
        with Stage() as stage:
            controls = await _controls(stage)
    runs = await run_scenarios(options.seeds, options.longest, options.only)
    return {"seeds": runs, "negative_controls": controls}


async def _controls(stage: Stage) -> list[dict[str, Any]]:
    controls = await run_controls(stage)
    for control in controls:
        inform(f"{control['name']:28} {'caught' if control['caught'] else 'MISSED'}")
    return controls


if __name__ == "__main__":
    sys.exit(main())
