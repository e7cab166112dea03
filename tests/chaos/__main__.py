"""python -m tests.chaos --seeds N [--seed FIRST] [--seconds T] [--rate R]: .local/chaos.json, fails on violations."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any

from deploy.local.tools import LOCAL, inform
from tests.chaos.experiment import run_controls, run_seed
from tests.chaos.fleet import Stage

RESULT = LOCAL / "chaos.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many runs")
    parser.add_argument("--seed", type=int, default=1, help="the first run's seed")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long a run's faults last")
    parser.add_argument("--rate", type=float, default=40.0, help="cases a second")
    options = parser.parse_args()
    with Stage() as stage:
        result = asyncio.run(_all(stage, options))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, ensure_ascii=False, indent=1))
    bad = [each for each in result["seeds"] if each["findings"]]
    missed = [each for each in result["negative_controls"] if not each["caught"]]
    inform(f"{len(result['seeds'])} seeds, {len(bad)} with violations; {len(missed)} controls missed; see {RESULT}")
    return 1 if bad or missed else 0


async def _all(stage: Stage, options: argparse.Namespace) -> dict[str, Any]:
    controls = await run_controls(stage)
    for control in controls:
        inform(f"{control['name']:28} {'caught' if control['caught'] else 'MISSED'}")
    runs = []
    for seed in range(options.seed, options.seed + options.seeds):
        runs.append(await run_seed(stage, seed, options.seconds, options.rate))
        inform(json.dumps(runs[-1], ensure_ascii=False))
    return {"seeds": runs, "negative_controls": controls}


if __name__ == "__main__":
    sys.exit(main())
