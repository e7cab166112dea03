"""The rules with their time run faster: waits and windows are seconds, limits are low, nothing else is different."""

from __future__ import annotations

import re
from typing import Any

from tests.alerts.rules import groups

WINDOWS = {"5m": "10s", "10m": "20s", "30m": "12s", "1h": "15s", "6h": "18s", "3d": "20s"}
LIMITS = {"events_late": "3", "outbox_stuck": "4", "requests_slow": "0.4", "deadlines_late": "5"}


def hurried() -> dict[str, Any]:
    """The rules of the chart, to be evaluated every second."""
    return {"groups": [{**group, "interval": "1s", "rules": list(map(_rule, group["rules"]))} for group in groups()]}


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    expression = re.sub(r"\[(\w+)\]", lambda found: f"[{WINDOWS[found[1]]}]", rule["expr"])
    expression = re.sub(r"offset (\w+)", lambda found: f"offset {WINDOWS[found[1]]}", expression)
    # A process that stands still for two minutes: seconds here.
    expression = expression.replace("last_progress_timestamp_seconds) > 120", "last_progress_timestamp_seconds) > 6")
    expression = expression.replace("consumer_retries_total[10s])) > 0.1", "consumer_retries_total[10s])) > 0.02")
    expression = expression.replace("< 60 * 86400", "< 1000 * 86400")
    name = rule.get("record", "").removeprefix("chuangwen:threshold:")
    hurried_rule = {**rule, "expr": f"vector({LIMITS[name]})" if name in LIMITS else expression}
    return hurried_rule | ({"for": "1s"} if "for" in rule else {})
