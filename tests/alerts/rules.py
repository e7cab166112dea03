"""The alerts as the chart renders them, and every metric that an expression asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser as promql
import yaml

from tests.chart.helm import CHART, preset, render

DASHBOARDS = sorted((CHART / "files/dashboards").glob("*.json"))
CLUSTER = ("kube_", "keda_", "up", "kafka_", "ALERTS")
"""Beginnings of metrics that others export."""


class Asked(NamedTuple):
    """A metric that an expression asks for, with the labels it chooses by."""

    name: str
    labels: frozenset[str]


@cache
def groups(name: str = "city") -> tuple[dict[str, Any], ...]:
    """The rule groups that a preset renders."""
    (rules,) = (each for each in render(preset(name)) if each["kind"] == "PrometheusRule")
    return tuple(rules["spec"]["groups"])


def rules(name: str = "city") -> Iterator[dict[str, Any]]:
    """Every rule, recorded or alerting."""
    for group in groups(name):
        yield from group["rules"]


def alerts() -> dict[str, dict[str, Any]]:
    """Every alert by its name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recorded() -> set[str]:
    """The names of recorded series."""
    return {rule["record"] for rule in rules() if "record" in rule}


def write(folder: Path, name: str = "city") -> Path:
    """The rules as a file of Prometheus."""
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": list(groups(name))}, allow_unicode=True))
    return file


def dashboard_expressions() -> list[tuple[str, str]]:
    """Dashboard and expression, with Grafana's variables filled in."""
    return [
        (path.stem, expression.replace("$__rate_interval", "5m"))
        for path in DASHBOARDS
        for expression in _expressions(json.loads(path.read_text()))
    ]


def _expressions(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("expr"), str):
            yield node["expr"]
        for value in node.values():
            yield from _expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from _expressions(value)


def asked(expression: str) -> set[Asked]:
    """The metrics of an expression. Raises ValueError when it is no PromQL."""
    return set(_walk(promql.parse(expression)))


def _walk(node: Any) -> Iterator[Asked]:
    if isinstance(node, promql.VectorSelector):
        yield _of(node)
    elif isinstance(node, promql.MatrixSelector):
        yield _of(node.vector_selector)
    elif isinstance(node, promql.Call):
        for argument in node.args:
            yield from _walk(argument)
    elif isinstance(node, promql.BinaryExpr):
        yield from _walk(node.lhs)
        yield from _walk(node.rhs)
    elif hasattr(node, "expr"):
        yield from _walk(node.expr)


def _of(selector: Any) -> Asked:
    return Asked(selector.name, frozenset(matcher.name for matcher in selector.matchers.matchers))
