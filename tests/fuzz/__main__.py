"""python -m tests.fuzz [--requests N] [--seed S]: .local/fuzz.json, fails on any fault or undocumented answer.

What was found, with a command that asks for it again, is in .local/fuzz-findings.json.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.local.tools import LOCAL, inform
from shared.roles import Role
from tests.fuzz.asking import Caller, Figures, Finding, operations, spread
from tests.fuzz.forms import Visitor, documented
from tests.fuzz.seeding import seed
from tests.fuzz.values import Identities
from tests.processes import Platform
from tests.servers import Servers

RESULT, FINDINGS = LOCAL / "fuzz.json", LOCAL / "fuzz-findings.json"
SERVICES = ("reports", "scoring", "portal")
ANONYMOUS, EVERYTHING = "anonymous", "everything"
"""Nobody, and somebody with every role that people of a unit may have."""
UNIT = "huanwei"
OF_UNITS = {Role.HEAD, Role.OFFICER, Role.LIAISON}
LIMITS = {
    "REPORTS_PER_MINUTE": "100000",
    "REPORTS_PER_MINUTE_OVERALL": "100000",
    "WRONG_CODES_PER_MINUTE": "100000",
}
"""So wide that requests are answered and not only counted."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000, help="how many requests in all")
    parser.add_argument("--seed", type=int, default=1, help="another search")
    options = parser.parse_args()
    servers = Servers()
    with TemporaryDirectory(prefix="chuangwen-fuzz-") as folder:
        platform = Platform(Path(folder), servers.mongodb_uri(), servers.kafka_bootstrap(), "fuzz-", LIMITS)
        try:
            platform.start_all(SERVICES)
            rows, findings = _search(platform, options.requests, options.seed)
        finally:
            platform.close()
            servers.close()
    LOCAL.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps([each.row() for each in rows], ensure_ascii=False, indent=1))
    FINDINGS.write_text(json.dumps([asdict(each) for each in findings], ensure_ascii=False, indent=1))
    bad = [each for each in rows if not each.row()["ok"]]
    inform(f"{sum(each.requests for each in rows)} requests, {len(bad)} of {len(rows)} rows not ok; see {RESULT}")
    return 1 if bad else 0


def _search(platform: Platform, requests: int, number: int) -> tuple[list[Figures], list[Finding]]:
    chance = random.Random(number)
    known = Identities(chance)
    found = {service: operations(platform.url(service)) for service in SERVICES}
    total, callers = sum(map(len, found.values())), (ANONYMOUS, *Role, EVERYTHING)
    rows: list[Figures] = []
    findings: list[Finding] = []
    for role in callers:
        seed(platform, known)
        for service in SERVICES:
            figures = Figures(service, str(role))
            caller = Caller(platform.url(service), _headers(platform, role), figures, known, chance.getrandbits(32))
            share = -(-requests * len(found[service]) // (total * len(callers)))
            for operation, times in spread(found[service], share, chance):
                caller.ask(operation, times)
            findings += caller.findings
            if service == "portal":
                findings += _forms(platform, figures, known, share, chance)
            inform(f"{figures.row()} {_in_order(figures.statuses)}")
            rows.append(figures)
    return rows, findings


def _forms(platform: Platform, figures: Figures, known: Identities, times: int, chance: random.Random) -> list[Finding]:
    address = platform.url("portal")
    visitor = Visitor(address, documented(address), figures, known, chance.getrandbits(32))
    visitor.visit(times)
    return visitor.findings


def _headers(platform: Platform, role: str) -> dict[str, str]:
    if role == ANONYMOUS:
        return {}
    if role == EVERYTHING:
        return platform.token(*(set(Role) - {Role.LEADER}), unit=UNIT)
    return platform.token(role, unit=UNIT if role in OF_UNITS else None)


def _in_order(statuses: Counter[int]) -> str:
    return " ".join(f"{status}:{count}" for status, count in sorted(statuses.items()))


if __name__ == "__main__":
    sys.exit(main())
