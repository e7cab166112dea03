"""What follows from a case that nobody handles: lost points, the ladder, an appeal, a month that anybody can verify."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.local import tools
from deploy.local.stack import DISTRICT
from tests.e2e.test_loop import filed, let_days_pass
from tests.processes import Platform
from tests.servers import Servers
from tests.waiting import eventually

RUNGS = [rung["code"] for rung in json.loads((DISTRICT / "ladder.json").read_bytes())["rungs"]]
LONGER_THAN_ANY_LIMIT = 14
"""Days."""

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def district(servers: Servers, namespace: str, tmp_path: Path) -> Iterator[Platform]:
    """Reports and scoring by themselves: nobody else's cases are in the ledgers, nobody else's time passes."""
    platform = Platform(tmp_path, servers.mongodb_uri(), servers.kafka_bootstrap(), namespace)
    try:
        platform.start_all(("reports", "scoring"))
        yield platform
    finally:
        platform.close()


@pytest.fixture
async def scoring(district: Platform) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=district.url("scoring"), timeout=10) as client:
        yield client


async def asked(http: httpx2.AsyncClient, address: str, caller: dict[str, str] | None = None, **by: str) -> Any:
    answer = await http.get(address, params=by, headers=caller)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def done(http: httpx2.AsyncClient, address: str, caller: dict[str, str], body: object = None) -> Any:
    answer = await http.post(address, json=body, headers=caller)
    assert answer.is_success, answer.text
    return answer.json()


async def row_of(http: httpx2.AsyncClient, unit: str, **its: object) -> dict[str, Any]:
    """The first row of the unit's ledger that is so, as soon as it is there."""

    async def look() -> dict[str, Any] | None:
        rows = (await asked(http, f"/units/{unit}/ledger", limit="500"))["entries"]
        return next((row for row in rows if {name: row[name] for name in its} == its), None)

    return await eventually(look)


def verified(file: Path, key: str) -> subprocess.CompletedProcess[str]:
    """By the offline command, with nothing in its environment."""
    program = [sys.executable, "-m", "services.scoring", "verify", str(file), "--key", key]
    return subprocess.run(program, check=False, cwd=tools.ROOT, env={}, capture_output=True, text=True, timeout=60)


async def test_a_case_nobody_handles_climbs_the_ladder_and_its_month_is_sealed_and_verified(
    district: Platform, scoring: httpx2.AsyncClient, tmp_path: Path
) -> None:
    office, leader, discipline = (district.token(role) for role in ("office", "leader", "discipline"))
    async with httpx2.AsyncClient(timeout=10) as http:
        case = await filed(http, district)
    unit, officer = case["unit"], district.token("officer", unit=case["unit"])

    let_days_pass(district, 2)
    lost = await row_of(scoring, unit, case=case["case"], rule="case-overdue")
    period = lost["period"]

    appeal = await done(
        scoring, f"/units/{unit}/rows/{lost['number']}/appeal", officer, {"reason": "道路封闭，无法进场"}
    )
    await done(scoring, f"/appeals/{appeal['id']}/uphold", discipline, {"reason": "情况属实，予以撤销"})
    back = await row_of(scoring, unit, reverses=lost["number"])
    assert (back["points"], back["period"]) == (f"-{lost['points']}", period)

    rungs: list[str] = []
    while not rungs or rungs[-1] != RUNGS[-1]:

        async def climbed(before: list[str] = rungs) -> list[str] | None:
            measures = (await asked(scoring, "/measures", office, case=case["case"]))["measures"]
            return [each["rung"] for each in reversed(measures)] if len(measures) > len(before) else None

        rungs = await eventually(climbed)
        let_days_pass(district, LONGER_THAN_ANY_LIMIT)
    assert rungs == [rung for rung in RUNGS if rung in rungs], "a rung twice, or a step down"
    assert len(rungs) >= len(RUNGS) - 2, "the last levels of lateness may call for a higher rung at once"
    newest = (await asked(scoring, "/measures", officer, case=case["case"]))["measures"][0]
    paper = await scoring.get(f"/measures/{newest['measure']}/paper.pdf", headers=officer)
    assert paper.content.startswith(b"%PDF")

    await done(scoring, f"/periods/{period}/freeze", office)

    async def frozen() -> bool:
        return bool((await asked(scoring, f"/periods/{period}"))["state"] == "frozen")

    assert await eventually(frozen)
    await done(scoring, f"/periods/{period}/proposal", office)
    await done(scoring, f"/periods/{period}/publication", leader)
    key = (await asked(scoring, "/seal-key"))["key"]
    file = tmp_path / "month.jsonl.gz"
    file.write_bytes(gzip.compress((await scoring.get(f"/periods/{period}/export")).content))
    honest = verified(file, key)
    assert (honest.returncode, honest.stderr) == (0, "")

    seal = await asked(scoring, f"/periods/{period}/seal")
    assert seal["scheme"] == 1, "the scheme in force is sealed with the month"
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    [at] = [
        number
        for number, line in enumerate(lines)
        if '"case-overdue"' in line and f'"number":{lost["number"]},' in line
    ]
    lines[at] = lines[at].replace(f'"points":"{lost["points"]}"', '"points":"0"')
    forged = tmp_path / "forged.jsonl"
    forged.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    found = verified(forged, key)
    assert found.returncode == 1
    assert unit in found.stdout + found.stderr
    assert str(lost["number"]) in found.stdout + found.stderr
