"""Where the load runs: the services as processes, on a copy of the sample district that charges at once."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from deploy.local.servers import Server, answers, free_port
from deploy.local.stack import DISTRICT
from tests.processes import Platform

ORDINARY = "bench-ordinary"
"""A category with a time limit of hours: routed, and left alone."""
OVERDUE = "bench-overdue"
"""A category with a time limit of 0: its cases are overdue as soon as they are filed."""


def bench_district(folder: Path) -> Path:
    """A copy of the sample district in `folder` with the two categories; both belong to the community's unit."""
    copy = folder / "district"
    shutil.copytree(DISTRICT, copy)
    file = copy / "categories.json"
    content = json.loads(file.read_text())
    sample = content["categories"][0]
    for code, limit in ((ORDINARY, "4 work-hours"), (OVERDUE, "0 work-hours")):
        row = {**sample, "code": code, "limit": limit, "points": "0.01", "unit": None}
        content["categories"].append({**row, "triage": False, "photo_required": False, "public": True})
    file.write_text(json.dumps(content, ensure_ascii=False))
    return copy


class Bench(Platform):
    """A platform whose processes may commit in another way, or be profiled."""

    def __init__(self, folder: Path, mongodb_uri: str, kafka: str, namespace: str) -> None:
        folder.mkdir(parents=True)
        super().__init__(folder, mongodb_uri, kafka, namespace, {"DISTRICT": str(bench_district(folder))})

    def launch(self, service: str, role: str, variant: str = "group", profile: Path | None = None) -> Server:
        """A process of a service, started by `tests.load.launch`, ready for work."""
        port = self._ports.setdefault(service, free_port())
        name = f"{service}-{role}-{variant}"
        profiling = ["--profile", str(profile / f"{name}.prof")] if profile else []
        process = Server(
            name,
            lambda: [sys.executable, "-m", "tests.load.launch", *profiling, variant, service, role],
            address=f"http://127.0.0.1:{port}",
            folder=self.folder / name,
            is_ready=lambda: answers(f"http://127.0.0.1:{port}/readyz"),
            environment={**self._environment(), **self.settings, "HTTP_PORT": str(port)},
        )
        self.processes.append(process)
        return process.start()

    def bearer(self) -> str:
        """A token of another system: the limit on strangers does not hold for it."""
        return self.issuer.token("bench", ["service"])
