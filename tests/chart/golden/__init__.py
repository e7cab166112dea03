"""What presets render to, kept to be read in a review: alerts and dashboards are tests of their own, and left out."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.chart.helm import preset, render

GOLDEN = {name: Path(__file__).with_name(f"{name}.yaml") for name in ("small", "assessment")}


def golden(name: str) -> str:
    """The resources of a preset as sorted YAML."""
    resources = render(preset(name), "monitoring.rules=false", "monitoring.dashboards=false")
    resources.sort(key=lambda each: (each["kind"], each["metadata"]["name"]))
    return yaml.safe_dump_all(resources, allow_unicode=True, sort_keys=False, width=120, default_flow_style=None)
