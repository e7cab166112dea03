"""Prometheus and promtool: those on PATH, else Debian's, unpacked into `.local/prometheus` and not installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from deploy.local.tools import LOCAL, Missing, inform, locked

FOLDER = LOCAL / "prometheus"
PACKAGE = "prometheus"


def program(name: str) -> Path:
    """`prometheus` or `promtool`. Raises Missing when it is neither there nor to be fetched."""
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    kept = FOLDER / "usr/bin" / name
    with locked(FOLDER / "lock"):
        if not kept.exists():
            _fetch()
    return kept


def _fetch() -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise Missing("Prometheus is missing: install it so that `promtool` and `prometheus` are on PATH.")
    inform("Fetching Prometheus from Debian's packages (once, 20 MB) ...")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        if not _downloaded(folder):
            subprocess.run(["apt-get", "update", "-qq"], check=False, capture_output=True)
            if not _downloaded(folder):
                raise Missing("Prometheus could not be fetched: check the network and run again.")
        (package,) = Path(folder).glob("*.deb")
        subprocess.run(["dpkg", "-x", package, FOLDER], check=True)


def _downloaded(folder: str) -> bool:
    done = subprocess.run(["apt-get", "download", "-qq", PACKAGE], cwd=folder, check=False, capture_output=True)
    return done.returncode == 0
