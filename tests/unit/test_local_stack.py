"""The local stack's own decisions: which port, whose token, and when it refuses to start."""

from __future__ import annotations

import importlib
import socket
import stat
from pathlib import Path

import pytest

from deploy.local import issuer, stack, tools
from deploy.local.__main__ import main
from deploy.local.issuer import Issuer
from deploy.local.stack import Refused, Stack
from shared.auth import Principal, Verifier
from shared.clock import SystemClock
from shared.errors import Unauthenticated
from shared.roles import Role


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "LOCAL", tmp_path)
    for name in ("RUN", "DATA", "LOGS", "ISSUER", "PERSONAL_KEY", "SEAL_KEY"):
        monkeypatch.setattr(stack, name, tmp_path / name.lower())


def test_a_port_of_the_environment_wins_over_the_file_and_the_file_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ports").write_text("# mine\nREPORTS_PORT=9001\nKAFKA_CONTROLLER_PORT = 9002\n")
    monkeypatch.setenv("REPORTS_PORT", "9003")
    expected = {**stack.PORTS, "reports": 9003, "kafka-controller": 9002}
    assert stack.ports() == expected


@pytest.mark.parametrize("value", ["", "many", "-1", "0", "65536"])
def test_what_is_no_port_number_is_refused_by_name(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_PORT", value)
    with pytest.raises(Refused, match=f"PORTAL_PORT={value} "):
        stack.ports()


def test_a_port_held_by_another_program_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("REPORTS_PORT", str(port))
        with pytest.raises(Refused, match=rf"Port {port} \(reports\) .*REPORTS_PORT=<port> make up"):
            Stack().check_ports()


def test_servers_named_by_the_environment_are_used_and_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://db.example:27017/?replicaSet=rs0")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka.example:9092")
    assert Stack().backing() == []


@pytest.mark.parametrize(
    ("roles", "unit", "expected"),
    [
        (["admin"], None, "'admin' is not a valid Role"),
        (["officer", "boss"], "gongshui", "'boss' is not a valid Role"),
        (["head"], None, "name it"),
        (["leader"], "gongshui", "name no unit"),
    ],
)
def test_a_token_for_what_is_no_role_is_not_made(
    tmp_path: Path, roles: list[str], unit: str | None, expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        Issuer(tmp_path).token("somebody", roles, unit)


def test_every_process_has_the_keys_that_it_uses_and_no_others() -> None:
    keys = {
        server.name: {name for name in server.environment if name in {"PERSONAL_KEYS", "SEAL_KEY"}}
        for server in Stack().services()
    }
    assert keys == {"reports": {"PERSONAL_KEYS"}, "scoring": {"SEAL_KEY"}, "portal": set()}


async def test_services_accept_the_local_issuers_tokens(tmp_path: Path) -> None:
    local = Issuer(tmp_path / "issuer")
    verifier = Verifier(str(local.jwks), issuer.NAME, issuer.AUDIENCE, SystemClock())
    token = local.token("officer-1", ["officer"], "urban-management")
    assert await verifier.verify(token) == Principal("officer-1", frozenset({Role.OFFICER}), "urban-management")


async def test_services_refuse_another_issuers_tokens(tmp_path: Path) -> None:
    verifier = Verifier(str(Issuer(tmp_path / "ours").jwks), issuer.NAME, issuer.AUDIENCE, SystemClock())
    with pytest.raises(Unauthenticated):
        await verifier.verify(Issuer(tmp_path / "theirs").token("officer-1", ["officer"]))


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "issuer"
    first = Issuer(folder).jwks.read_text()
    assert Issuer(folder).jwks.read_text() == first
    assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600


def test_a_command_needs_a_stack_that_runs() -> None:
    with pytest.raises(Refused, match="mongodb and kafka of the local stack are not running: make up"):
        Stack().require_backing()


@pytest.mark.parametrize("name", stack.SERVICES)
def test_the_stack_tells_a_service_all_that_it_asks_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = stack.used_by(name, {**Stack().environment(), "HTTP_PORT": "8800"})
    for variable in environment:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    settings = importlib.import_module(f"services.{name}.settings").Settings.read()
    assert settings.http_port == 8800


def test_an_operators_command_is_told_where_the_servers_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://db.example:27017/")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka.example:9092")
    (tmp_path / "look.py").write_text(
        "import os, sys\nprint(os.environ['MONGODB_URI'], os.environ['HTTP_PORT'], *sys.argv[1:])\nsys.exit(3)"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["deploy.local", "run", "look", "--max", "1", "--yes"])
    assert main() == 3
    assert capfd.readouterr().out == "mongodb://db.example:27017/ 0 --max 1 --yes\n"
