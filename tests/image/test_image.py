"""The image as a cluster runs it: no root, nothing writable but /tmp, no capability. Needs root, buildah and podman."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.local import issuer, tools
from deploy.local.issuer import Issuer
from deploy.local.personal import personal_key
from deploy.local.servers import answers, free_port
from deploy.local.tools import LOCAL, ROOT, Missing
from tests.chart.helm import preset, render

FOLDER = LOCAL / "image"
BASE = "localhost/base:bookworm"
IMAGE = "localhost/chuangwen:test"
PROGRAMS = ("buildah", "podman", "runc", "mmdebstrap")
# Debian's buildah and podman on machines without systemd, user namespaces or the right to raise limits.
STORE = ("--root", str(FOLDER / "store"), "--runroot", str(FOLDER / "run"), "--storage-driver", "vfs")
PODMAN = ("podman", *STORE, "--runtime", "runc", "--cgroup-manager", "cgroupfs")

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """The image, built anew from a base of Debian's packages and wheels of the locked requirements."""
    if os.geteuid() != 0:
        pytest.skip("building an image this way needs root")
    try:
        for name in PROGRAMS:
            tools.program(name)
    except Missing as missing:
        pytest.skip(str(missing))
    FOLDER.mkdir(parents=True, exist_ok=True)
    _base()
    wheels = FOLDER / "wheels"
    _run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"),
        *("--only-binary=:all:", "--python-version", "3.11", "-r", str(ROOT / "requirements.lock"), "-d", str(wheels)),
    )
    _run(
        *("buildah", *STORE, "bud", "--isolation", "chroot", "--build-arg", f"BASE={BASE}"),
        *("--build-arg", "PIP_ARGUMENTS=--no-index --find-links /wheels", "--volume", f"{wheels}:/wheels:ro"),
        *("--tag", IMAGE, str(ROOT)),
    )
    yield IMAGE
    shutil.rmtree(FOLDER / "store", ignore_errors=True)


def _base() -> None:
    archive = FOLDER / "base.tar"
    if not archive.exists():
        made = archive.with_suffix(".part")
        include = "--include=python3,python3-venv,ca-certificates,tzdata"
        _run("mmdebstrap", "--quiet", "--variant=minbase", include, "bookworm", f"{made}.tar")
        Path(f"{made}.tar").rename(archive)
    container = _run("buildah", *STORE, "from", "scratch").strip()
    _run("buildah", *STORE, "add", "--quiet", container, str(archive), "/")
    _run("buildah", *STORE, "commit", "--quiet", "--rm", container, BASE)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Container:
    """A container of the chart's own pod: its security context, its arguments, its variables."""

    def __init__(self, name: str, mongodb: str, kafka: str, folder: Path) -> None:
        self.name = f"chuangwen-test-{name}-{os.getpid()}"
        self.http, self.metrics = free_port(), free_port()
        (deployment,) = (
            each for each in render(preset("small"))
            if each["kind"] == "Deployment" and each["metadata"]["name"] == f"chuangwen-{name}"
        )  # fmt: skip
        self._pod = deployment["spec"]["template"]["spec"]
        (self._container,) = self._pod["containers"]
        self._folder = folder
        self._settings = {
            "MONGODB_URI": mongodb,
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "KAFKA_PARTITIONS": "2",
            "NAMESPACE": "image-",
            "HTTP_HOST": "127.0.0.1",
            "HTTP_PORT": str(self.http),
            "METRICS_PORT": str(self.metrics),
            "AUTH_JWKS": "/keys/jwks.json",
            "AUTH_ISSUER": issuer.NAME,
        }

    def start(self) -> None:
        secrets, keys = self._folder / "secrets", self._folder / "keys"
        secrets.mkdir(parents=True, exist_ok=True)
        (secrets / "personal_keys").write_text(personal_key(self._folder / "personal.key"))
        Issuer(keys)
        for path in (self._folder, secrets, keys):
            path.chmod(0o755)
        env = {variable["name"]: variable["value"] for variable in self._container["env"]} | self._settings
        _run(
            *(*PODMAN, "run", "--detach", "--name", self.name, "--network", "host", *self._security()),
            *("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=1024:1024", "--memory", self._memory()),
            *("--volume", f"{secrets}:/run/secrets/chuangwen:ro", "--volume", f"{keys}:/keys:ro"),
            *(part for name, value in env.items() for part in ("--env", f"{name}={value}")),
            *(IMAGE, *self._container["args"]),
        )

    def _security(self) -> Sequence[str]:
        pod, own = self._pod["securityContext"], self._container["securityContext"]
        assert own["readOnlyRootFilesystem"]
        assert not own["allowPrivilegeEscalation"]
        return (
            *("--user", f"{pod['runAsUser']}:{pod['runAsGroup']}", "--read-only", "--read-only-tmpfs=false"),
            *("--tmpfs", "/tmp:mode=1777", "--security-opt", "no-new-privileges"),  # noqa: S108 - inside
            *(part for drop in own["capabilities"]["drop"] for part in ("--cap-drop", drop)),
        )

    def _memory(self) -> str:
        limit: str = self._container["resources"]["limits"]["memory"]
        return limit.replace("Mi", "m")

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 90
        while not answers(f"http://127.0.0.1:{self.metrics}/readyz"):
            assert self.state()["Running"], self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.2)

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(_run(*PODMAN, "inspect", self.name))[0]["State"]
        return state

    def run(self, code: str) -> str:
        return _run(*PODMAN, "exec", self.name, "python", "-c", code)

    def log(self) -> str:
        return _run(*PODMAN, "logs", self.name)

    def stop(self) -> None:
        _run(*PODMAN, "stop", "--time", str(self._pod["terminationGracePeriodSeconds"]), self.name)

    def remove(self) -> None:
        subprocess.run([*PODMAN, "rm", "--force", "--time", "1", self.name], capture_output=True, check=False)


@pytest.mark.parametrize("name", ["reports-api", "reports-worker"])
def test_it_serves_without_any_right_and_ends_in_order(
    image: str, mongodb_uri: str, kafka_bootstrap: str, tmp_path: Path, name: str
) -> None:
    tmp_path.chmod(0o755)
    container = Container(name, mongodb_uri, kafka_bootstrap, tmp_path / "mounted")
    try:
        container.start()
        container.wait_until_ready()
        found = json.loads(container.run(_LOOK))
        assert found["uid"] == 10001
        assert found["root"] == "refused"
        assert found["tmp"] == "written"
        assert int(found["CapEff"], 16) == 0
        assert found["NoNewPrivs"] == "1"
        assert found["Seccomp"] == "2"
        if name == "reports-api":
            body = {"category": "water-pipe", "longitude": 112.6012, "latitude": 26.8901, "text": "水管破裂"}
            assert httpx2.post(f"http://127.0.0.1:{container.http}/cases", json=body).status_code == 201
        assert "process_resident_memory_bytes" in httpx2.get(f"http://127.0.0.1:{container.metrics}/metrics").text
        container.stop()
        state = container.state()
        assert (state["ExitCode"], state["OOMKilled"]) == (0, False), container.log()
    finally:
        container.remove()


def test_it_is_small_labelled_and_brings_its_bill_of_materials(image: str) -> None:
    (built,) = (json.loads(_run("buildah", *STORE, "inspect", "--type", "image", image))["OCIv1"],)
    assert built["config"]["User"] == "10001:10001"
    assert built["config"]["Entrypoint"] == ["python", "-m"]
    assert built["config"]["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    container = _run("buildah", *STORE, "from", image).strip()
    try:
        root = Path(_run("buildah", *STORE, "mount", container).strip())
        bill = json.loads((root / "app/bill-of-materials.cdx.json").read_text())
        names = {component["name"] for component in bill["components"]}
        assert {"fastapi", "aiokafka", "libc6"} <= names
        assert not {"pip", "pytest", "setuptools"} & names
        size = sum(
            path.stat().st_size for path in (root / "app").rglob("*") if path.is_file() and not path.is_symlink()
        )
        assert size < 300e6, f"{size / 1e6:.0f} MB"
        assert not (root / "app/tests").exists()
    finally:
        _run("buildah", *STORE, "rm", container)


_LOOK = """
import json, os, pathlib
def attempt(path):
    try:
        pathlib.Path(path).write_text("x")
        return "written"
    except OSError:
        return "refused"
lines = pathlib.Path("/proc/self/status").read_text().splitlines()
status = dict(line.split(":\\t", 1) for line in lines if ":\\t" in line)
kept = {name: status[name].strip() for name in ("CapEff", "NoNewPrivs", "Seccomp")}
print(json.dumps({"uid": os.getuid(), "root": attempt("/app/x"), "tmp": attempt("/tmp/x"), **kept}))
"""
