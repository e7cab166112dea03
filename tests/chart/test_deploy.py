"""What stands beside the chart: the compose file, and examples of the servers' own resources."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import catalogue
from deploy.bill_of_materials import document
from deploy.local.stack import SERVICES
from deploy.local.tools import ROOT
from shared.roles import Role
from shared.service import Service

DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS = {name: each for name, each in COMPOSE["services"].items() if name in SERVICES}
# What a service may say (github.com/compose-spec/compose-spec, schema/compose-spec.json), as far as it is used.
KEYS = {
    "image", "build", "restart", "user", "read_only", "tmpfs", "cap_drop", "security_opt", "stop_grace_period", "init",
    "depends_on", "healthcheck", "command", "environment", "ports", "volumes", "profiles",
}  # fmt: skip


def test_compose_says_only_what_compose_knows() -> None:
    assert {key for key in COMPOSE if not key.startswith("x-")} == {"name", "services", "volumes"}
    for name, service in COMPOSE["services"].items():
        assert service.keys() <= KEYS, name
        assert {volume.split(":")[0] for volume in service.get("volumes", []) if volume[0] != "."} <= COMPOSE[
            "volumes"
        ].keys()
        for other, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            assert "healthcheck" in COMPOSE["services"][other]


def test_every_service_runs_in_compose_as_on_kubernetes() -> None:
    assert OURS.keys() == set(SERVICES)
    for service in OURS.values():
        assert service["user"] == "10001:10001"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "readyz" in service["healthcheck"]["test"][-1]
        assert int(service["stop_grace_period"].removesuffix("s")) > 45


def test_compose_is_reached_from_this_machine_only() -> None:
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_compose_writes_no_secret_down() -> None:
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|_KEYS?$|SECRET", name):
                assert value.startswith("${"), name
                assert ":-}" in value or ":?" in value, f"{name} has a default"
    asked = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text())) - {"VERSION"}
    offered = set(re.findall(r"^(\w+)=", (DEPLOY / "env.example").read_text(), flags=re.MULTILINE))
    assert asked == offered


@pytest.mark.parametrize("service", SERVICES)
def test_what_compose_and_the_chart_set_are_settings(service: str) -> None:
    app: Service[Any] = importlib.import_module(f"services.{service}.app").SERVICE
    known = {name.upper() for name in app.settings.model_fields}
    addresses = {f"{other.upper()}_URL" for other in SERVICES}
    assert OURS[service]["environment"].keys() - addresses <= known
    needed = {name.upper() for name, field in app.settings.model_fields.items() if field.is_required()}
    assert needed <= OURS[service]["environment"].keys()


def test_image_and_chart_name_the_files_that_are_there() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    kept = (ROOT / ".dockerignore").read_text()
    for path in (path for line in copied for path in line.split()):
        assert (ROOT / path).exists(), path
        assert f"!{path}" in kept.splitlines(), path


@pytest.mark.parametrize("file", sorted(DEPLOY.rglob("*.yaml")), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_examples_are_yaml(file: Path) -> None:
    assert [each for each in yaml.safe_load_all(file.read_text()) if each]


def test_each_service_may_use_its_own_databases_only() -> None:
    database = yaml.safe_load((DEPLOY / "mongodb/mongodb.yaml").read_text())
    users = {user["name"]: {role["db"] for role in user["roles"]} for user in database["spec"]["users"]}
    assert users.keys() == set(SERVICES)
    for service, databases in users.items():
        assert all(name.removesuffix("-rebuilt") == service for name in databases)


def test_the_realm_knows_every_role_and_gives_tokens_what_we_read() -> None:
    realm = json.loads((DEPLOY / "keycloak/realm.json").read_text())
    assert {role["name"] for role in realm["roles"]["realm"]} == set(Role)
    (scope,) = realm["clientScopes"]
    claims = {mapper["config"].get("claim.name") for mapper in scope["protocolMappers"]}
    assert {"roles", "unit", "team"} <= claims
    assert any(mapper["config"].get("included.custom.audience") == "chuangwen" for mapper in scope["protocolMappers"])
    assert not any("secret" in client or "credentials" in client for client in realm["clients"])


def test_the_bill_of_materials_names_python_and_debian_packages(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text(
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9+deb12u13\n"
        "Description: a library\n with: a colon\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
    )
    bill = document(status)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    purls = {component["purl"] for component in bill["components"]}
    assert "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64" in purls
    assert any(purl.startswith("pkg:pypi/fastapi@") for purl in purls)
    assert not any("gone" in purl for purl in purls)
    references = [component["bom-ref"] for component in bill["components"]]
    assert len(references) == len(set(references))


def test_rights_are_said_as_commands_too() -> None:
    lines = [" ".join(line) for line in catalogue.acls()]
    assert (
        "--add --allow-principal User:chuangwen-reports --operation Describe --operation Write --topic reports.case "
        "--resource-pattern-type literal" in lines
    )
