"""Every alert: it goes off and keeps quiet when it should, leads to a runbook, and asks for metrics that exist."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import dashboards
from deploy.local.tools import ROOT, Missing
from tests.alerts import prometheus
from tests.alerts.__main__ import ELSEWHERE, FAULTS
from tests.alerts.cases import CASES
from tests.alerts.rules import CLUSTER, DASHBOARDS, alerts, asked, dashboard_expressions, groups, recorded, rules, write
from tests.alerts.scrape import exported
from tests.chart.helm import preset, program, template

RUNBOOKS = ROOT / "docs/runbooks"
HEADINGS = ("## 现象 · What it means", "## 先看 · Look first", "## 处置 · Do", "## 之后 · Afterwards")


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    try:
        program(4)
        prometheus.program("promtool")
    except Missing as missing:
        pytest.skip(str(missing))


def promtool(*arguments: str) -> None:
    done = subprocess.run([prometheus.program("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["city", "assessment"])
def test_prometheus_accepts_every_rule(name: str, tmp_path: Path) -> None:
    promtool("check", "rules", str(write(tmp_path, name)))


def test_every_alert_has_a_case_and_every_case_an_alert() -> None:
    assert CASES.keys() == alerts().keys()


def test_every_alert_on_our_own_metrics_is_caused_in_a_real_prometheus() -> None:
    caused = [name for fault in FAULTS for name in fault.alerts]
    assert len(caused) == len(set(caused))
    ours = {
        name
        for name, rule in alerts().items()
        if not all(each.name.startswith(("kube_", "keda_")) for each in asked(rule["expr"]))
    }
    assert set(caused) == ours - ELSEWHERE.keys()


@pytest.mark.parametrize("name", CASES)
def test_alert(name: str, tmp_path: Path) -> None:
    case, rule = CASES[name], alerts()[name]
    write(tmp_path)
    tests = [
        _promtool_test(name, case.fires, case.minutes),
        _promtool_test(name, case.quiet, case.minutes),
    ]
    # promtool compares all labels: it is only asked whether anything is off at all.
    off = f'count(ALERTS{{alertname="{name}", alertstate="firing"}})'
    tests[0]["promql_expr_test"] = [
        {"expr": f"{off} > bool 0", "eval_time": f"{case.minutes}m", "exp_samples": [{"labels": "{}", "value": 1}]}
    ]
    tests[1]["promql_expr_test"] = [{"expr": off, "eval_time": f"{case.minutes}m", "exp_samples": []}]
    file = tmp_path / "test.yaml"
    every = "1m" if case.minutes < 1000 else "30m"  # three days minute by minute would take minutes
    document = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": every,
        "group_eval_order": _order(),
        "tests": tests,
    }
    file.write_text(yaml.safe_dump(document))
    promtool("test", "rules", str(file))
    assert rule["labels"]["severity"] in {"critical", "warning"}


def _order() -> list[str]:
    """All groups, those that record first: else promtool takes any order, and an alert looks before it is recorded."""
    return sorted(
        (group["name"] for group in groups()), key=lambda name: not name.endswith(("thresholds", "objectives"))
    )


def _promtool_test(name: str, series: dict[str, str], minutes: int) -> dict[str, Any]:
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": each, "values": values} for each, values in series.items()],
    }


def test_a_window_sets_other_limits_while_it_lasts(tmp_path: Path) -> None:
    write(tmp_path, "assessment")
    lag = {"series": 'consumer_time_lag_seconds{group="g"}', "values": "15x60"}
    opens = "1789855200"  # 2026-09-20 06:00 in Hengyang
    moved = (tmp_path / "rules.yaml").read_text().replace(f">= {opens} < 1790776800", ">= 1200 < 2400")
    (tmp_path / "rules.yaml").write_text(moved)
    off = 'count(ALERTS{alertname="EventsLate", alertstate="firing"})'
    expected = {
        "15m": [],  # before: 15 s are within the usual 30
        "30m": [{"labels": "{}", "value": 1}],  # in the window: above its 10
        "50m": [],
    }
    checks = [{"expr": off, "eval_time": at, "exp_samples": samples} for at, samples in expected.items()]
    tests = [{"interval": "1m", "input_series": [lag], "promql_expr_test": checks}]
    file = tmp_path / "test.yaml"
    file.write_text(
        yaml.safe_dump(
            {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "group_eval_order": _order(), "tests": tests}
        )
    )
    promtool("test", "rules", str(file))


# ---- what an operator reads ----


def test_every_alert_tells_what_it_means_and_leads_to_a_runbook() -> None:
    for name, rule in alerts().items():
        annotations = rule["annotations"]
        assert annotations.keys() == {"summary", "description", "runbook_url"}, name
        assert re.search(r"[一-龥].* · ", annotations["summary"]), f"{name}: Chinese first, English beside it"
        runbook = RUNBOOKS / annotations["runbook_url"].rpartition("/")[2]
        assert runbook.exists(), runbook
        assert name in runbook.read_text(), f"{runbook.name} does not name {name}"


@pytest.mark.parametrize("runbook", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_a_runbook_says_what_to_do(runbook: Path) -> None:
    text = runbook.read_text()
    if runbook.stem != "README":
        positions = [text.find(heading) for heading in HEADINGS]
        assert positions == sorted(positions), runbook.name
        assert -1 not in positions, runbook.name
        assert "```" in text, "a command to copy"


# ---- expressions ask for what is there ----


def test_every_metric_of_an_alert_is_exported_or_recorded() -> None:
    for rule in rules():
        _check(rule["expr"], str(rule.get("alert") or rule["record"]))


def test_every_threshold_is_used() -> None:
    used = {each.name for rule in rules() for each in asked(rule["expr"])}
    assert {name for name in recorded() if name.startswith("chuangwen:threshold:")} <= used


@pytest.mark.parametrize(("dashboard", "expression"), dashboard_expressions())
def test_every_metric_of_a_dashboard_is_exported_or_recorded(dashboard: str, expression: str) -> None:
    _check(expression, dashboard)


def _check(expression: str, where: str) -> None:
    metrics = exported()
    for each in asked(expression):
        if each.name not in recorded() and not each.name.startswith(CLUSTER):
            assert each.name in metrics, f"{where} asks for {each.name}, which nothing exports"
            unknown = each.labels - metrics[each.name] - {"job", "instance", "namespace", "pod"}
            assert not unknown, f"{where}: {each.name} has no label {unknown}"


def test_a_renamed_metric_is_found() -> None:
    with pytest.raises(AssertionError, match="nothing exports"):
        _check("rate(consumer_time_lag_secs[5m])", "a test")
    with pytest.raises(AssertionError, match="has no label"):
        _check('consumer_time_lag_seconds{grp="x"}', "a test")


# ---- dashboards ----


@pytest.mark.parametrize("name", dashboards.BOARDS)
def test_the_chart_has_the_dashboards_that_are_made(name: str) -> None:
    assert (dashboards.FOLDER / f"{name}.json").read_text() == dashboards.document(name), "python -m deploy.dashboards"


def test_dashboards_are_laid_out_without_overlap() -> None:
    assert {path.stem for path in DASHBOARDS} == dashboards.BOARDS.keys()
    for path in DASHBOARDS:
        panels = json.loads(path.read_text())["panels"]
        taken = [
            (x, panel["gridPos"]["y"])
            for panel in panels
            for x in range(panel["gridPos"]["w"])
            for x in [x + panel["gridPos"]["x"]]
        ]
        assert len(taken) == len(set(taken))
        assert max(x for x, _ in taken) < dashboards.WIDTH


def test_the_compose_stack_has_the_usual_limits() -> None:
    (thresholds,) = (group for group in groups("city") if group["name"] == "chuangwen-thresholds")
    kept = yaml.safe_load((ROOT / "deploy/prometheus/thresholds.yaml").read_text())
    assert kept == {"groups": [thresholds]}, "python -m tests.alerts thresholds"


def test_notes_name_the_dashboards() -> None:
    assert "chuangwen-dashboard-case" in template(preset("city"))
