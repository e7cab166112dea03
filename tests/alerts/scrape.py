"""What a process of ours exports: every metric that shared.telemetry declares, with its labels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from prometheus_client import REGISTRY

from shared import telemetry

SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
    "info": ("_info",),
}


@cache
def exported() -> Mapping[str, frozenset[str]]:
    """Series by name, each with its labels; declared ones, too, that have no value yet."""
    assert telemetry.exposition()
    series: dict[str, frozenset[str]] = {}
    for collector in list(REGISTRY._collector_to_names):
        for metric in collector.describe() if hasattr(collector, "describe") else collector.collect():
            names = getattr(collector, "_labelnames", ())
            for suffix in SUFFIXES.get(metric.type, ("",)):
                labels = {*names, *(["le"] if suffix == "_bucket" else [])}
                series[metric.name + suffix] = frozenset(labels)
    return series
