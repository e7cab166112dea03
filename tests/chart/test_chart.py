"""The chart: what it renders, and what it refuses. Seconds, no cluster."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from runpy import run_path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deploy import catalogue
from deploy.local.stack import SERVICES
from deploy.local.tools import Missing
from shared.contracts import SUBSCRIPTIONS
from tests.chart.golden import GOLDEN, golden
from tests.chart.helm import CHART, PRESETS, Refused, Resource, lint, preset, program, render

KUBERNETES = ("1.30", "1.37")
"""The oldest and the newest minor version that the chart is meant for."""
SCHEMAS: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("schemas.yaml").read_text())
WORKLOADS = {"Deployment", "Job", "CronJob"}


@pytest.fixture(scope="module", autouse=True)
def _helm() -> None:
    try:
        program(4)
    except Missing as missing:
        pytest.skip(str(missing))


@cache
def rendered(name: str, version: int = 4) -> tuple[Resource, ...]:
    return tuple(render(preset(name), version=version))


def of_kind(resources: Sequence[Resource], *kinds: str) -> list[Resource]:
    return [each for each in resources if each["kind"] in kinds]


def pod_of(workload: Resource) -> dict[str, Any]:
    """The pod template of a workload."""
    spec: dict[str, Any] = workload["spec"]
    if workload["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    template: dict[str, Any] = spec["template"]
    return template


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return selector.items() <= labels.items()


every_preset = pytest.mark.parametrize("name", PRESETS)


# ---- it renders, everywhere the same, and into what a cluster takes ----


@every_preset
@pytest.mark.parametrize("version", [4, 3])
def test_every_preset_passes_lint(name: str, version: int) -> None:
    assert "0 chart(s) failed" in lint(preset(name), version=version)


@every_preset
def test_both_helms_render_the_same(name: str) -> None:
    def ordered(version: int) -> list[Resource]:
        return sorted(rendered(name, version), key=lambda each: (each["kind"], each["metadata"]["name"]))

    assert ordered(4) == ordered(3)


@every_preset
@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_every_resource_fits_its_schema(name: str, kubernetes: str) -> None:
    for each in rendered(name):
        if each["kind"] in SCHEMAS:
            jsonschema.validate(each, _closed(each["kind"]))
        else:
            kubernetes_validate.validate(each, kubernetes, strict=True)


def _closed(kind: str) -> dict[str, Any]:
    schema = SCHEMAS[kind]
    return {
        "definitions": SCHEMAS["definitions"],
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": schema["apiVersion"]},
            "kind": {"const": kind},
            "metadata": {"type": "object", "required": ["name", "labels"]},
            "spec": schema["spec"],
        },
    }


def test_a_misspelt_field_does_not_fit_a_schema() -> None:
    scaled = of_kind(rendered("city"), "ScaledObject")[0]
    spoilt = {**scaled, "spec": {**scaled["spec"], "maxReplicas": 3}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spoilt, _closed("ScaledObject"))
    deployment = of_kind(rendered("city"), "Deployment")[0]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            {**deployment, "spec": {**deployment["spec"], "replica": 2}}, KUBERNETES[0], strict=True
        )


@pytest.mark.parametrize("name", GOLDEN)
def test_a_preset_renders_what_was_reviewed(name: str) -> None:
    assert golden(name) == GOLDEN[name].read_text(), "look at the difference, then: python -m tests.chart"


@every_preset
def test_names_are_unique(name: str) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in rendered(name)]
    assert len(names) == len(set(names))


# ---- policies: what holds of every workload ----


@every_preset
def test_every_pod_is_restricted(name: str) -> None:
    for workload in of_kind(rendered(name), *WORKLOADS):
        pod = pod_of(workload)["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] >= 10000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            if not workload["metadata"]["name"].endswith("-assessment"):
                assert "tmp" in {mount["name"] for mount in container["volumeMounts"]}
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"]["cpu"]
            assert not container["image"].endswith(":latest")


@every_preset
def test_a_variable_is_set_once(name: str) -> None:
    for workload in of_kind(rendered(name), *WORKLOADS):
        for container in pod_of(workload)["spec"]["containers"]:
            names = [variable["name"] for variable in container["env"]]
            assert len(names) == len(set(names))


@every_preset
def test_no_secret_is_written_down(name: str) -> None:
    assert not of_kind(rendered(name), "Secret")
    for workload in of_kind(rendered(name), *WORKLOADS):
        for container in pod_of(workload)["spec"]["containers"]:
            written = {variable["name"] for variable in container["env"] if variable.get("value")}
            assert not {"PERSONAL_KEYS", "SEAL_KEY", "KAFKA_PASSWORD", "MONGODB_PASSWORD"} & written


@every_preset
def test_only_the_service_that_needs_a_secret_mounts_it(name: str) -> None:
    for workload in of_kind(rendered(name), "Deployment", "Job"):
        service = workload["metadata"]["labels"]["app.kubernetes.io/component"]
        for volume in pod_of(workload)["spec"]["volumes"]:
            if volume["name"] == "secrets":
                assert all(service in source["secret"]["name"] for source in volume["projected"]["sources"])


@every_preset
def test_rollouts_never_take_a_pod_before_its_successor_is_ready(name: str) -> None:
    for deployment in of_kind(rendered(name), "Deployment"):
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        ends_in = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0) + 45
        assert pod["terminationGracePeriodSeconds"] > ends_in


@every_preset
def test_selectors_find_their_pods(name: str) -> None:
    resources = rendered(name)
    pods = [pod_of(each)["metadata"]["labels"] for each in of_kind(resources, *WORKLOADS)]
    for each in resources:
        for selector in _selectors(each):
            assert any(selects(selector, labels) for labels in pods), (each["kind"], each["metadata"]["name"])
    for deployment in of_kind(resources, "Deployment"):
        own = deployment["spec"]["template"]["metadata"]["labels"]
        for spread in deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]:
            assert selects(spread["labelSelector"]["matchLabels"], own)
        # A version in a selector would make every upgrade fail: a selector cannot change.
        assert not {"app.kubernetes.io/version", "helm.sh/chart"} & deployment["spec"]["selector"]["matchLabels"].keys()


def _selectors(resource: Resource) -> Iterator[dict[str, str]]:
    spec = resource.get("spec", {})
    match resource["kind"]:
        case "Deployment" | "PodDisruptionBudget" | "PodMonitor":
            yield spec["selector"]["matchLabels"]
        case "Service":
            yield spec["selector"]
        case "NetworkPolicy":
            yield spec["podSelector"]["matchLabels"]


def test_a_service_monitor_finds_the_services() -> None:
    (monitor,) = of_kind(rendered("city"), "ServiceMonitor")
    services = of_kind(rendered("city"), "Service")
    assert len(services) == 3
    for service in services:
        assert selects(monitor["spec"]["selector"]["matchLabels"], service["metadata"]["labels"])


@every_preset
def test_drains_leave_all_but_one_of_several_pods(name: str) -> None:
    budgets = of_kind(rendered(name), "PodDisruptionBudget")
    for deployment in of_kind(rendered(name), "Deployment"):
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        own = [each for each in budgets if selects(each["spec"]["selector"]["matchLabels"], labels)]
        if name == "small":
            assert not own, "one pod with a budget could never be moved"
        else:
            (budget,) = own
            assert budget["spec"]["maxUnavailable"] == 1
            assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@every_preset
def test_the_network_is_closed_but_for_named_ways(name: str) -> None:
    policies = of_kind(rendered(name), "NetworkPolicy")
    (default,) = (each for each in policies if each["metadata"]["name"].endswith("-default"))
    assert default["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert all(way["ports"] for way in default["spec"]["egress"])
    for deployment in of_kind(rendered(name), "Deployment"):
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert selects(default["spec"]["podSelector"]["matchLabels"], labels)


def test_only_callers_reach_a_service_that_is_not_public() -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind(rendered("city"), "NetworkPolicy")}
    (way,) = policies["chuangwen-reports-in"]["ingress"]
    (peer,) = way["from"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "portal"
    assert "namespaceSelector" in policies["chuangwen-portal-in"]["ingress"][0]["from"][0]


def test_the_migration_needs_nothing_that_the_chart_creates() -> None:
    created = {each["metadata"]["name"] for each in rendered("assessment") if each["kind"] != "Job"}
    users = {each["metadata"]["name"] for each in of_kind(rendered("assessment"), "KafkaUser")}
    for job in of_kind(rendered("assessment"), "Job"):
        assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
        pod = pod_of(job)["spec"]
        assert "serviceAccountName" not in pod
        mounted = {
            source["secret"]["name"]
            for volume in pod["volumes"]
            if "projected" in volume
            for source in volume["projected"]["sources"]
        }
        assert not mounted & (created | users)
        assert not any("valueFrom" in variable for variable in pod["containers"][0]["env"])


def test_without_hooks_the_migration_runs_before_a_sync() -> None:
    for job in of_kind(render(preset("city"), "migration.hooks=false"), "Job"):
        assert job["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "PreSync"


# ---- scaling ----


def test_whoever_counts_pods_is_the_only_one() -> None:
    keda = rendered("city")
    assert not any("replicas" in each["spec"] for each in of_kind(keda, "Deployment"))
    assert len(of_kind(keda, "ScaledObject")) == 6
    assert not of_kind(keda, "HorizontalPodAutoscaler")
    hpa = render(preset("city"), 'autoscaling.mode="hpa"')
    assert not any("replicas" in each["spec"] for each in of_kind(hpa, "Deployment"))
    assert len(of_kind(hpa, "HorizontalPodAutoscaler")) == 6
    assert not of_kind(hpa, "ScaledObject")
    none = rendered("small")
    assert all(each["spec"]["replicas"] == 1 for each in of_kind(none, "Deployment"))
    assert not of_kind(none, "ScaledObject", "HorizontalPodAutoscaler")


def test_lag_is_measured_of_every_group_that_listens() -> None:
    measured: dict[str, set[str]] = {}
    for scaled in of_kind(rendered("city"), "ScaledObject"):
        for trigger in scaled["spec"]["triggers"]:
            if trigger["type"] == "kafka":
                group = trigger["metadata"]["consumerGroup"].removesuffix(".g1")
                measured.setdefault(group, set()).add(trigger["metadata"]["topic"])
                assert trigger["metadata"]["lagThreshold"] == "3000"  # 20 s of 150 events/s
    assert measured == {group: set(topics) for group, topics in SUBSCRIPTIONS.items()}


def test_a_window_scales_before_it_opens_and_holds_while_it_lasts() -> None:
    resources = rendered("assessment")
    (scaled,) = (each for each in of_kind(resources, "ScaledObject") if each["metadata"]["name"].endswith("portal-api"))
    windows = [trigger["metadata"] for trigger in scaled["spec"]["triggers"] if trigger["type"] == "cron"]
    assert [(each["start"], each["end"], each["desiredReplicas"]) for each in windows] == [
        ("0 05 20 9 *", "0 22 30 9 *", "12"),
        ("0 04 9 10 *", "0 20 10 10 *", "16"),
    ]
    (job,) = (each for each in of_kind(resources, "CronJob") if each["metadata"]["name"].endswith("-assessment"))
    env = {each["name"]: each["value"] for each in pod_of(job)["spec"]["containers"][0]["env"]}
    assert json.loads(env["WINDOWS"])[0] == [1789851600, 1790776800]
    held = set(env["SCALED_OBJECTS"].split(","))
    assert held == {each["metadata"]["name"] for each in of_kind(resources, "ScaledObject")}
    (role,) = of_kind(resources, "Role")
    assert role["rules"] == [
        {
            "apiGroups": ["keda.sh"],
            "resources": ["scaledobjects"],
            "resourceNames": list(env["SCALED_OBJECTS"].split(",")),
            "verbs": ["patch"],
        }
    ]


def test_scale_in_is_held_by_kedas_own_annotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None, Any]] = []

    class Kubernetes(BaseHTTPRequestHandler):
        def do_PATCH(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, self.headers["Authorization"], body["metadata"]["annotations"]))
            self.send_response(404 if "gone" in self.path else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Kubernetes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "namespace").write_text("chuangwen")
    (tmp_path / "token").write_text("t")
    monkeypatch.setenv("KUBERNETES_API", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("ACCOUNT", str(tmp_path))
    hold = run_path(str(CHART / "files/hold.py"))["main"]
    try:
        monkeypatch.setenv("SCALED_OBJECTS", "a")
        monkeypatch.setenv("WINDOWS", "[[0, 99999999999]]")
        assert hold() == 0
        monkeypatch.setenv("WINDOWS", "[[0, 1]]")
        assert hold() == 0
        monkeypatch.setenv("SCALED_OBJECTS", "gone,a")
        assert hold() == 1
    finally:
        server.shutdown()
        server.server_close()
    path = "/apis/keda.sh/v1alpha1/namespaces/chuangwen/scaledobjects/a"
    annotation = "autoscaling.keda.sh/paused-scale-in"
    assert asked[0] == (path, "Bearer t", {annotation: "true"})
    assert asked[1] == (path, "Bearer t", {annotation: None})
    assert asked[3] == (path, "Bearer t", {annotation: None}), "one that is gone keeps none from its turn"


# ---- topics and rights ----


def test_the_catalogue_is_the_one_of_the_contracts() -> None:
    assert catalogue.FILE.read_text() == catalogue.document(), "python -m deploy.catalogue"


def test_a_service_writes_only_its_own_topics() -> None:
    for service in SERVICES:
        for right in catalogue.rights(service):
            if "Write" in right.operations or right.resource == "group":
                assert right.name.startswith(f"{service}.")
            assert {"Alter", "Delete", "All"}.isdisjoint(right.operations)
            assert ("Create" in right.operations) == (right.pattern == "prefix" and right.resource == "topic")


def test_topics_outlive_the_release() -> None:
    topics = of_kind(rendered("city"), "KafkaTopic")
    assert {each["spec"]["topicName"] for each in topics} >= {
        topic for topics in SUBSCRIPTIONS.values() for topic in topics
    }
    for topic in topics:
        assert topic["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert topic["spec"]["config"] == {"retention.ms": -1, "min.insync.replicas": 2}


# ---- refusals ----

REFUSED = {
    "a misspelt setting of a service": ('services.reports.rol="x"', "rol"),
    "a misspelt setting of a role": ("services.reports.worker.maxReplica=3", "maxReplica"),
    "an unknown value": ("replicaCount=2", "replicaCount"),
    "an unknown autoscaler": ('autoscaling.mode="vpa"', "/autoscaling/mode"),
    "a floating image": ('image.tag="latest"', "/image/tag"),
    "a number as text": ('kafka.replicas="3"', "/kafka/replicas"),
    "more workers than partitions": ("services.scoring.worker.maxReplicas=25", "24 partitions"),
    "fewer pods at most than at least": ("services.scoring.api.maxReplicas=1", "more than maxReplicas"),
    "more connections than MongoDB takes": ("mongodb.connectionLimit=500", "mongodb.connectionLimit"),
    "a topic nobody knows": ('services.reports.worker.groups={"a.b":["a.c"]}', "catalogue lacks"),
    "a caller of nobody": ('services.portal.calls=["gateway"]', "which is no service"),
    "a secret in a variable": ('services.reports.env={"PERSONAL_KEYS":"abc"}', "never written into values"),
    "a password in an address": ('mongodb.uri="mongodb://u:p@h:27017/"', "holds a password"),
    "no district": ('district={"configMap":"","sample":false}', "say which district"),
    "two districts": ('district={"configMap":"x","sample":true}', "say which district"),
    "the sample in production": ('district={"configMap":"","sample":true}', "production=true"),
    "plain text in production": ('kafka.securityProtocol="SASL_PLAINTEXT"', "in the clear"),
    "one copy in production": ("kafka.replicas=1", "kafka.replicas"),
    "Strimzi without a cluster": ('kafka.strimzi.cluster=""', "kafka.strimzi.cluster"),
    "tokens from nowhere": ('kafka.saslMechanism="OAUTHBEARER"', "kafka.tokenUrl"),
    "a route to nowhere": ("route.hostnames=[]", "route.hostnames"),
    "an end without patience": ("rollout.preStopSeconds=30", "gracePeriodSeconds"),
    "no database": ("services.portal.secrets=[]", "mongodb_uri"),
}
WINDOW = {
    "name": "w",
    "from": "2026-09-20T06:00:00+08:00",
    "to": "2026-09-30T22:00:00+08:00",
    "prescaleMinutes": 60,
    "floors": {"portal": 4},
}
REFUSED_WINDOWS: dict[str, tuple[dict[str, Any], str]] = {
    "ends before it starts": ({"to": "2026-09-19T06:00:00+08:00"}, "ends before it starts"),
    "ends as it starts": ({"to": "2026-09-20T06:00:00+08:00"}, "ends before it starts"),
    "is longer than a year's schedule": ({"to": "2027-09-19T06:00:00+08:00"}, "300 days"),
    "has no zone": ({"from": "2026-09-20T06:00:00"}, "/assessment/windows/0/from"),
    "is on no day": ({"from": "2026-13-20T06:00:00+08:00"}, "/assessment/windows/0/from"),
    "raises an unknown service": ({"floors": {"gateway": 2}}, "names no service"),
    "raises above what is allowed": ({"floors": {"portal": 13}}, "maxReplicas"),
    "sets an unknown alert": ({"alerts": {"Nothing": 1}}, "names no threshold"),
    "has a misspelt field": ({"prescale": 5}, "prescale"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refuses(what: str) -> None:
    setting, text = REFUSED[what]
    with pytest.raises(Refused, match=_quoted(text)):
        render(preset("city"), setting)


@pytest.mark.parametrize("what", REFUSED_WINDOWS)
def test_refuses_a_window_that(what: str) -> None:
    change, text = REFUSED_WINDOWS[what]
    with pytest.raises(Refused, match=_quoted(text)):
        render(preset("city"), f"assessment.windows={json.dumps([{**WINDOW, **change}])}")


def test_refuses_windows_that_nothing_would_open() -> None:
    with pytest.raises(Refused, match=r"need autoscaling\.mode keda"):
        render(preset("city"), f"assessment.windows={json.dumps([WINDOW])}", 'autoscaling.mode="hpa"')


@pytest.mark.parametrize("what", ["a misspelt setting of a service", "more workers than partitions"])
def test_helm_3_refuses_as_well(what: str) -> None:
    with pytest.raises(Refused):
        render(preset("city"), REFUSED[what][0], version=3)


def test_a_service_is_added_by_a_few_lines_of_values() -> None:
    service = {"calls": ["reports"], "secrets": [{"name": "chuangwen-gateway"}], "public": True}
    before = {(each["kind"], each["metadata"]["name"]) for each in rendered("city")}
    added = [
        each
        for each in render(preset("city"), f"services.gateway={json.dumps(service)}")
        if (each["kind"], each["metadata"]["name"]) not in before
    ]
    kinds = {each["kind"] for each in added}
    assert kinds == {
        "Deployment",
        "Service",
        "PodDisruptionBudget",
        "NetworkPolicy",
        "ScaledObject",
        "Job",
        "HTTPRoute",
    }


def _quoted(text: str) -> str:
    # Helm 3 and 4 write a path as services.reports or as /services/reports.
    return text.replace("/", "[./]").replace(".", r"\.") if text.startswith("/") else text
