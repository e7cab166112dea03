"""Grafana's dashboards, made here and written into the chart: python -m deploy.dashboards.

Four questions: how a case's events flow, how a service does, what Kafka and the outbox hold, and whether the platform
is ready for an assessment. tests/alerts checks every expression against what the services export.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from deploy.local.tools import ROOT

FOLDER = ROOT / "helm/chuangwen/files/dashboards"
SOURCE = {"type": "prometheus", "uid": "${source}"}
WIDTH = 24
HEIGHT = 8


class Panel(NamedTuple):
    """One picture: a title in Chinese and English, what is asked for, and in which unit."""

    title: str
    queries: Sequence[tuple[str, str]]
    """Legend and expression."""
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    red: float | None = None
    """From where on a value is shown in red."""


def _rate(name: str, by: str, choice: str = "") -> str:
    return f"sum by ({by}) (rate({name}{{{choice}}}[$__rate_interval]))"


def _quantile(part: float, name: str, by: str, choice: str = "") -> str:
    return f"histogram_quantile({part}, sum by ({by}, le) (rate({name}_bucket{{{choice}}}[$__rate_interval])))"


REQUESTS = "http_server_request_duration_seconds"
CHOSEN = 'service=~"$service"'
FAILED = f'sum by (service) (increase({REQUESTS}_count{{status=~"5.."}}[30d]))'
ALL = f"sum by (service) (increase({REQUESTS}_count[30d]))"
HPA = "kube_horizontalpodautoscaler"
ACTIVE = Panel("迎检窗口 Assessment window", [("", "max(chuangwen:assessment_window:active)")], kind="stat", width=4)

CASE = (
    Panel(
        "受理 Cases taken in /s",
        [("{{method}} {{route}}", _rate(f"{REQUESTS}_count", "method, route", 'route=~"/cases.*", method="POST"'))],
        "reqps",
    ),
    Panel(
        "事件从发生到处理 Events, fact to effect",
        [(f"p{int(100 * part)} {{{{stage}}}}", _quantile(part, "event_e2e_seconds", "stage")) for part in (0.5, 0.99)],
        "s",
        red=30,
    ),
    Panel(
        "30 秒内可见 Visible within 30 s",
        [("{{stage}}", "stage:events_seen_in_time:rate1h / stage:events_seen:rate1h")],
        "percentunit",
    ),
    Panel(
        "各组处理 Records by group /s",
        [("{{group}} {{outcome}}", _rate("consumer_records_total", "group, outcome"))],
        "ops",
    ),
    Panel("各组滞后 Behind, by group", [("{{group}}", "max by (group) (consumer_time_lag_seconds)")], "s", red=30),
    Panel("搁置 Set aside", [("{{job}}", "max by (job) (dlq_unresolved)")], kind="stat", red=1),
    Panel("到期动作 Deadlines acted upon /min", [("{{name}}", "sum by (name) (increase(deadlines_fired_total[1m]))")]),
    Panel("发件箱最旧 Oldest in the outbox", [("{{job}}", "max by (job) (outbox_oldest_age_seconds)")], "s", red=120),
    Panel(
        "工作日历到期 Calendar ends",
        [("", "min(work_calendar_certain_until_timestamp_seconds > 0) * 1000")],
        "dateTimeAsIso",
        kind="stat",
    ),
)

SERVICE = (
    Panel("请求 Requests /s", [("{{method}} {{route}}", _rate(f"{REQUESTS}_count", "method, route", CHOSEN))], "reqps"),
    Panel(
        "错误 Errors",
        [("{{status}} {{route}}", _rate(f"{REQUESTS}_count", "status, route", f'{CHOSEN}, status=~"5.."'))],
        "reqps",
    ),
    Panel(
        "耗时 Duration",
        [(f"p{int(100 * part)}", _quantile(part, REQUESTS, "service", CHOSEN)) for part in (0.5, 0.95, 0.99)],
        "s",
        red=1,
    ),
    Panel("正在答复 In flight", [("{{instance}}", f"sum by (instance) (http_server_in_flight_requests{{{CHOSEN}}})")]),
    Panel(
        "提交 Commits",
        [
            ("p50", _quantile(0.5, "store_commit_seconds", "job")),
            ("p99", _quantile(0.99, "store_commit_seconds", "job")),
        ],
        "s",
    ),
    Panel("冲突 Conflicts /s", [("{{job}}", _rate("store_conflicts_total", "job"))], "ops"),
    Panel(
        "事件循环 Event loop lag p99",
        [("{{instance}}", _quantile(0.99, "event_loop_lag_seconds", "instance"))],
        "s",
        red=0.5,
    ),
    Panel("内存 Memory", [("{{instance}}", "process_resident_memory_bytes")], "bytes"),
    Panel(
        "版本 Versions",
        [("{{service}} {{role}} {{version}}", "sum by (service, role, version) (chuangwen_build_info)")],
        kind="stat",
    ),
)

KAFKA = (
    Panel("待发布 Waiting in the outbox", [("{{job}}", "sum by (job) (outbox_pending)")]),
    Panel("最旧 Oldest", [("{{job}}", "max by (job) (outbox_oldest_age_seconds)")], "s", red=120),
    Panel("发布 Published /s", [("{{job}} {{outcome}}", _rate("outbox_published_total", "job, outcome"))], "ops"),
    Panel("发布耗时 Time to publish p99", [("{{job}}", _quantile(0.99, "outbox_publish_seconds", "job"))], "s"),
    Panel("分区 Partitions owned", [("{{group}}", "sum by (group) (consumer_assigned_partitions)")]),
    Panel(
        "再均衡 Rebalances", [("{{group}}", "sum by (group) (increase(consumer_rebalances_total[$__rate_interval]))")]
    ),
    Panel("批次耗时 Time of a batch p99", [("{{group}}", _quantile(0.99, "consumer_batch_seconds", "group"))], "s"),
    Panel("重试 Retries /s", [("{{group}}", _rate("consumer_retries_total", "group"))], "ops"),
    Panel(
        "缺口 Gaps", [("{{group}} {{topic}}", "sum by (group, topic) (events_sequence_gap_total)")], kind="stat", red=1
    ),
    Panel("滞后条数 Lag in records", [("{{consumergroup}}", "sum by (consumergroup) (kafka_consumergroup_lag)")]),
)

ASSESSMENT = (
    ACTIVE,
    Panel(
        "告警 Alerts",
        [("{{alertname}}", 'sum by (alertname) (ALERTS{alertstate="firing"})')],
        kind="stat",
        width=8,
        red=1,
    ),
    Panel("副本 Replicas", [("{{horizontalpodautoscaler}}", f"{HPA}_status_current_replicas")], width=12),
    Panel(
        "离上限 Room above",
        [("{{horizontalpodautoscaler}}", f"{HPA}_spec_max_replicas - {HPA}_status_current_replicas")],
    ),
    Panel("请求 Requests /s", [("{{service}}", _rate(f"{REQUESTS}_count", "service"))], "reqps"),
    Panel("耗时 p99 Duration p99", [("{{service}}", _quantile(0.99, REQUESTS, "service"))], "s", red=1),
    Panel(
        "滞后与限值 Behind, and the limit",
        [
            ("{{group}}", "max by (group) (consumer_time_lag_seconds)"),
            ("限值 limit", "max(chuangwen:threshold:events_late)"),
        ],
        "s",
    ),
    Panel("剩余错误预算 Allowance left (30 d)", [("{{service}}", f"1 - ({FAILED} / {ALL}) / 0.001")], "percentunit"),
    Panel(
        "伸缩出错 Scaler errors",
        [("{{scaledObject}}", "sum by (scaledObject) (increase(keda_scaler_detail_errors_total[10m]))")],
        red=1,
    ),
)

BOARDS = {
    "case": ("一件事的一路 · Flow of a case", CASE),
    "service": ("服务 · A service", SERVICE),
    "kafka": ("Kafka 与发件箱 · Kafka and outbox", KAFKA),
    "assessment": ("迎检准备 · Assessment readiness", ASSESSMENT),
}


def document(name: str) -> str:
    """The dashboard as Grafana imports it."""
    title, panels = BOARDS[name]
    variables: list[dict[str, Any]] = [
        {"name": "source", "type": "datasource", "query": "prometheus", "label": "数据源"}
    ]
    if name == "service":
        variables.append(
            {
                "name": "service",
                "type": "query",
                "label": "服务 service",
                "datasource": SOURCE,
                "query": "label_values(http_server_in_flight_requests, service)",
                "refresh": 2,
                "includeAll": True,
                "multi": True,
            }
        )
    board = {
        "uid": f"chuangwen-{name}",
        "title": f"创文 {title}",
        "tags": ["chuangwen"],
        "timezone": "Asia/Shanghai",
        "schemaVersion": 41,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": variables},
        "panels": _laid_out(panels),
    }
    return json.dumps(board, ensure_ascii=False, indent=1) + "\n"


def _laid_out(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    laid, x, y = [], 0, 0
    for number, panel in enumerate(panels, start=1):
        if x + panel.width > WIDTH:
            x, y = 0, y + HEIGHT
        laid.append(_panel(number, panel, x, y))
        x += panel.width
    return laid


def _panel(number: int, panel: Panel, x: int, y: int) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red is not None:
        steps.append({"color": "red", "value": panel.red})
    return {
        "id": number,
        "title": panel.title,
        "type": panel.kind,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": HEIGHT},
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "targets": [
            {"refId": chr(65 + index), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
            for index, (legend, expression) in enumerate(panel.queries)
        ],
    }


def main() -> None:
    for name in BOARDS:
        (FOLDER / f"{name}.json").write_text(document(name))


if __name__ == "__main__":
    main()
