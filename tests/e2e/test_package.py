"""`pip install .` into a fresh environment gives services that work, from any folder."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from deploy.local.tools import ROOT
from tests.processes import Platform
from tests.servers import Servers

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
SHIPPED = ("services", "shared", "pyproject.toml", "README.md", "LICENSE")
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


class Installed(Platform):
    """Services that run by the commands of an environment, which knows nothing of this checkout."""

    programs: Path

    def program(self, service: str) -> list[str]:
        return [str(self.programs / f"chuangwen-{service}")]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a fresh environment with the package; what the lock brings is lent by this one."""
    folder = tmp_path_factory.mktemp("package")
    source, environment = folder / "source", folder / "environment"
    for name in SHIPPED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        source.mkdir(exist_ok=True)
        copy(ROOT / name, source / name)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    lent = next(environment.glob("lib/python*/site-packages")) / "lent.pth"
    lent.write_text(sysconfig.get_path("purelib"))
    install = ["--python", f"{environment}/bin/python", "install", "--no-deps", "--no-build-isolation", str(source)]
    subprocess.run([*PIP, *install], check=True, cwd=folder)
    return environment / "bin"


@pytest.fixture
def platform(servers: Servers, namespace: str, programs: Path, tmp_path: Path) -> Iterator[Platform]:
    installed = Installed(tmp_path, servers.mongodb_uri(), servers.kafka_bootstrap(), namespace)
    installed.programs = programs
    try:
        yield installed
    finally:
        installed.close()


def test_every_command_tells_how_it_is_used(programs: Path, tmp_path: Path) -> None:
    for name in SCRIPTS:
        text = subprocess.run([programs / name, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert "usage:" in text.stdout, name


def test_nothing_that_is_not_code_is_left_behind(programs: Path) -> None:
    installed = next(programs.parent.glob("lib/python*/site-packages"))
    files = {path.relative_to(ROOT) for name in ("services", "shared") for path in (ROOT / name).rglob("*.*")}
    kept = {path for path in files if path.suffix != ".pyc" and (ROOT / path).is_file()}
    assert {str(path) for path in kept if not (installed / path).exists()} == set()


def test_the_modules_are_those_of_the_package(programs: Path, tmp_path: Path) -> None:
    where = "import services, shared; print(services.__path__[0], shared.__path__[0])"
    text = subprocess.run([programs / "python", "-c", where], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert all(path.startswith(str(programs.parent)) for path in text.stdout.split()), text.stdout


def test_installed_services_serve_requests_pages_and_what_pages_need(platform: Platform) -> None:
    platform.start_all()
    case = {"category": "exposed-rubbish", "longitude": 112.6, "latitude": 26.885, "text": "垃圾桶满了没人清"}
    assert httpx2.post(f"{platform.url('reports')}/cases", json=case, timeout=30).status_code == 201
    refusal = httpx2.get(f"{platform.url('scoring')}/periods/never", headers={"Accept-Language": "zh"}, timeout=30)
    assert refusal.is_error
    assert re.search("[一-鿿]", refusal.json()["detail"]), "the sentences are there"
    page = httpx2.get(platform.url("portal"), timeout=30)
    assert page.status_code == 200
    parts = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    assert parts
    assert all(httpx2.get(f"{platform.url('portal')}{part}", timeout=30).is_success for part in parts)
