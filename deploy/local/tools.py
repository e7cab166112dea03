"""The programs the local stack and the tests need from outside Python: MongoDB, Java, Maven, Kafka, Chromium.

What is missing is installed with apt when we are root on Debian or Ubuntu, and said so; anywhere else one
line says what to install (`Missing`). Nothing is ever installed that is there already.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / ".local"
KAFKA = Path(__file__).parent / "kafka"
OLDEST_JAVA = 17


class Missing(Exception):
    """A program is not there and cannot be installed from here; the text says what to do."""


def inform(text: str) -> None:
    """One line for a human, on standard error, so that `make -s token` and the like print nothing else."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock between processes; the lock ends with the process, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def mongod() -> str:
    """The MongoDB server: the one on PATH, else the one that came with the development requirements.

    Raises Missing.
    """
    wheel = Path(sysconfig.get_path("purelib")) / "fiftyone/db/bin/mongod"
    found = shutil.which("mongod") or (str(wheel) if wheel.exists() else None)
    if found is None:
        raise Missing(
            "MongoDB is missing: install MongoDB 6 or newer so that `mongod` is on PATH, or set MONGODB_URI "
            "to a replica set."
        )
    return found


def java(*, install: bool = True) -> str:
    """A Java runtime new enough for Kafka: JAVA_HOME, else PATH, else installed. Raises Missing."""
    home = os.environ.get("JAVA_HOME")
    candidates = [f"{home}/bin/java" if home else None, shutil.which("java")]
    for candidate in candidates:
        if candidate and _java_version(candidate) >= OLDEST_JAVA:
            return candidate
    _install("default-jre-headless", f"Java {OLDEST_JAVA} or newer", install)
    return shutil.which("java") or "java"


def _java_version(program: str) -> int:
    try:
        text = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        return 0
    found = re.search(r'version "(\d+)', text)
    return int(found.group(1)) if found else 0


def kafka_libraries() -> Path:
    """The folder of Kafka's jars: fetched once by Maven with strict checksums, again when pom.xml changes.

    Raises Missing when Maven is missing or cannot fetch.
    """
    wanted, folder = KAFKA / "pom.xml", LOCAL / "kafka/lib"
    with locked(LOCAL / "kafka/lock"):
        if not _same(wanted, folder / "pom.xml"):
            _fetch_kafka(wanted, folder)
    return folder


def kafka_source() -> str:
    """Where Kafka comes from: the jars that are here, or the Maven that will fetch them. Raises Missing."""
    if _same(KAFKA / "pom.xml", LOCAL / "kafka/lib/pom.xml"):
        return str(LOCAL / "kafka/lib")
    maven = shutil.which("mvn")
    if maven is None:
        raise Missing("Maven, which fetches Kafka, is missing.")
    return f"to be fetched by {maven}"


def _same(wanted: Path, kept: Path) -> bool:
    return kept.exists() and kept.read_bytes() == wanted.read_bytes()


def _fetch_kafka(pom: Path, folder: Path) -> None:
    java()
    if shutil.which("mvn") is None:
        _install("maven", "Maven, which fetches Kafka,", install=True)
    inform("Fetching Apache Kafka from Maven Central (once, 45 MB) ...")
    unfinished = folder.with_name("lib.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={unfinished}", "-DincludeScope=runtime"]
    done = subprocess.run(
        ["mvn", "-q", "-B", "-C", "-Dstyle.color=never", "-f", pom, *goal], stdout=sys.stderr, check=False
    )
    if done.returncode:
        raise Missing("Maven could not fetch Kafka (see above): check the network and run again.")
    shutil.copy(pom, unfinished / "pom.xml")
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


def chromium(*, install: bool = True) -> str:
    """A Chromium browser for the browser tests: PATH, else installed. Raises Missing."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        _install("chromium", "Chromium, for the browser tests,", install)
    return found or shutil.which("chromium") or "chromium"


def program(name: str) -> str:
    """A program whose Debian package has its name: PATH, else installed. Raises Missing."""
    if shutil.which(name) is None:
        _install(name, name, install=True)
    return shutil.which(name) or name


def _install(package: str, what: str, install: bool) -> None:
    if not (install and os.geteuid() == 0 and shutil.which("apt-get")):
        raise Missing(f"{what} is missing: install it (on Debian or Ubuntu: apt-get install {package}).")
    inform(f"{what} is missing: installing {package} with apt ...")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", package]):
        done = subprocess.run(["apt-get", *command], env=environment, stdout=sys.stderr, check=False)
        if done.returncode:
            raise Missing(f"apt-get {command[0]} failed (see above): install {package} by hand.")
