"""Causes every fault and sees its alert go off, and end, in a real Prometheus that scrapes our real processes.

    python -m tests.alerts                   all; writes .local/alerts.json, exits with 1 when one did not
    python -m tests.alerts EventsMissing     these only
    python -m tests.alerts thresholds        write deploy/prometheus/thresholds.yaml anew

Time runs faster than in production (tests/alerts/hurried.py). Alerts on the metrics of the cluster and of KEDA are
fired by promtool, as there is no cluster here (tests/alerts/test_alerts.py).
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from deploy.local.tools import LOCAL, ROOT
from tests.alerts.rules import alerts, groups
from tests.alerts.world import World

THRESHOLDS = ROOT / "deploy/prometheus/thresholds.yaml"
REPORT = LOCAL / "alerts.json"
PATIENCE = 90.0


class Fault(NamedTuple):
    """What is done, the alerts that follow, and how it is cured."""

    alerts: tuple[str, ...]
    cause: Callable[[World], object]
    cure: Callable[[World], object]


def _nothing(_: World) -> None:
    return


def _new_version(world: World) -> None:
    settings = {"METRICS_PORT": str(world.metrics.setdefault("other", 31999)), "CHUANGWEN_VERSION": "other"}
    world.processes["other"] = world.platform.add("portal", "worker", settings)
    world.processes["other"].start(90)
    world.scrape(world.metrics)


def _old_version(world: World) -> None:
    world.processes.pop("other").kill()
    del world.metrics["other"]
    world.scrape(world.metrics)


ELSEWHERE = {"ClocksDisagree": "one machine has one clock"}
"""Alerts on our own metrics that cannot be caused on one machine, and why."""

FAULTS = (
    # Hurried, the alert looks years ahead: no calendar reaches so far, until one is entered that does.
    Fault(("CalendarEnds",), _nothing, World.enter_calendar),
    Fault(("EventsMissing",), World.out_of_order, _nothing),
    Fault(("EventsFromTheFuture",), World.from_the_future, _nothing),
    Fault(("EventsSetAside",), lambda world: world.publish(b"no event at all"), World.forget_parked),
    Fault(("DeadlinesLate",), World.spoil_a_case, World.unspoil),
    Fault(("EventLoopBlocked",), lambda world: world.stutter(world.processes["portal"], 1.0, 10), _nothing),
    Fault(("RequestsSlow",), lambda world: world.stutter(world.mongodb, 1.5, 6), _nothing),
    Fault(
        ("RequestsFailingFast", "RequestsFailing", "EventsLate", "BatchesFailing", "ConsumerStuck"),
        lambda world: world.mongodb.kill(),
        lambda world: world.mongodb.start(),
    ),
    Fault(("OutboxStuck", "PublishingFails"), lambda world: world.kafka.pause(), lambda world: world.kafka.resume()),
    Fault(("EventsLateFast", "EventsLateSlowly"), lambda world: _hold(world, 45), _nothing),
    Fault(
        ("ProcessDown",),
        lambda world: world.processes["portal"].kill(),
        lambda world: world.processes["portal"].start(),
    ),
    Fault(("VersionsMixed",), _new_version, _old_version),
    Fault(("IndexesToMigrate",), World.add_index, World.drop_index),
    Fault(("NothingIsScraped",), lambda world: world.scrape({}), lambda world: world.scrape(world.metrics)),
    Fault(
        ("GroupWithoutConsumer",),
        lambda world: world.remove_topic("inspections.visit"),
        lambda world: world.make_topic("inspections.visit"),
    ),
    Fault(("ConsumerBroken",), World.poison, World.detoxify),  # the last, as its poison stays in the log
)


def _hold(world: World, seconds: float) -> None:
    world.kafka.pause()
    time.sleep(seconds)
    world.kafka.resume()


def main(arguments: Sequence[str]) -> int:
    if list(arguments) == ["thresholds"]:
        write_thresholds()
        return 0
    rows = list(run(set(arguments) or set(alerts())))
    REPORT.write_text(json.dumps(rows, indent=1) + "\n")
    for row in rows:
        fired, cleared = "fired" if row["fired"] else "SILENT", "cleared" if row["cleared"] else "STAYED"
        sys.stdout.write(f"{row['name']:24} {fired:8} {cleared}\n")
    return 0 if all(row["ok"] for row in rows) else 1


def run(wanted: set[str]) -> Iterable[dict[str, object]]:
    """One row for each alert that can be caused here."""
    folder = Path(tempfile.mkdtemp(prefix="chuangwen-alerts-"))
    world = World(folder)
    try:
        world.start()
        for fault in FAULTS:
            if wanted.intersection(fault.alerts):
                sys.stderr.write(f"{', '.join(fault.alerts)} ...\n")
                yield from caused(world, fault)
    finally:
        world.close()
        shutil.rmtree(folder, ignore_errors=True)


def caused(world: World, fault: Fault) -> Iterable[dict[str, object]]:
    """Cause it, wait for its alerts, cure it, wait for their end."""
    fired = _until(world, fault, set(fault.alerts), lambda off, wanted: wanted - off, fault.cause)
    cleared = _until(world, fault, set(fault.alerts), lambda off, wanted: wanted & off, fault.cure)
    for name in fault.alerts:
        rows = {"name": name, "fired": name not in fired, "cleared": name not in cleared}
        yield {**rows, "ok": all(rows.values())}


def _until(
    world: World,
    fault: Fault,
    waiting: set[str],
    left: Callable[[set[str], set[str]], set[str]],
    act: Callable[[World], object],
) -> set[str]:
    """Act, and wait; the alerts that did not follow."""
    act(world)
    deadline = time.monotonic() + PATIENCE
    while waiting and time.monotonic() < deadline:
        waiting = left(world.firing(), waiting)
        time.sleep(0.3)
    return waiting


def write_thresholds() -> None:
    """The limits as the chart has them by default, for the compose stack."""
    (thresholds,) = (group for group in groups() if group["name"] == "chuangwen-thresholds")
    text = "# The limits of alerts as the chart sets them by default: made by `python -m tests.alerts thresholds`.\n"
    THRESHOLDS.write_text(text + yaml.safe_dump({"groups": [thresholds]}, sort_keys=False, width=120))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
