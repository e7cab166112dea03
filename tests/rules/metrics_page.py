"""docs/metrics.md, drawn from the metrics that shared.telemetry declares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared import telemetry

OPENING = """\
# 指标 · Metrics

本页由 `make docs` 根据 `shared/telemetry.py` 生成，请勿手改。 Generated from that file by `make docs`; do not edit.

每个进程在 `METRICS_PORT` 的 `/metrics` 上给出（Prometheus 文本格式），同一端口还有 `/livez` 与 `/readyz`；不得对外。
Every process shows them at `/metrics` on `METRICS_PORT`, beside `/livez` and `/readyz`; never to the public. Labels are
bounded: a service, a route's template, a topic, a group, an outcome; never an id, a person or a raw path.

告警与处置见 [runbooks](runbooks/README.md)，看板在 `helm/chuangwen/files/dashboards`。
Alerts lead to the [runbooks](runbooks/README.md); dashboards lie in `helm/chuangwen/files/dashboards`.

| 指标 Metric | 类型 Type | 标签 Labels | 含义 Meaning |
|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    return OPENING + "".join(_rows())


def _rows() -> Iterator[str]:
    declared = [value for name, value in vars(telemetry).items() if name.isupper() and hasattr(value, "describe")]
    for metric in sorted(declared, key=lambda each: str(each.describe()[0].name)):
        yield _row(metric)


def _row(metric: Any) -> str:
    (family,) = metric.describe()
    name = family.name + ("_total" if family.type == "counter" else "")
    labels = ", ".join(f"`{label}`" for label in metric._labelnames) or "–"
    return f"| `{name}` | {family.type} | {labels} | {family.documentation} |\n"
