"""python -m tests.load.scale: whether lists, queues, searches and exports stay fast with a million cases.

Every case is filed and led through its life by the domain (`lives.py`), every question goes through the service's
own views (`questions.py`), on a MongoDB of its own. Then ledgers are measured (`ledgers.py`). What falls short is
printed as such and is not an error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx2
from pymongo import MongoClient

from deploy.local import tools
from deploy.local.issuer import Issuer
from deploy.local.servers import Server, answers, free_port
from services.reports.repo import CASES
from shared.store import Document
from tests.load import bench, ledgers
from tests.load.asking import Answered, asking, put
from tests.load.figures import Row, percentile, put_between
from tests.load.loading import load
from tests.load.questions import QUESTIONS
from tests.servers import Servers

RESULTS = tools.LOCAL / "scale.json"
BEGIN = "<!-- scale: written by `python -m tests.load.scale --write docs/performance.md` -->"
END = "<!-- end of scale -->"
NAMESPACE = "scale-"
DATABASE = f"{NAMESPACE}reports"
CACHE = "4G"
"""Memory MongoDB may use for itself: what a small server of 8 GiB has for it."""
EXPLAINED = 20
STEADY_MB = 40.0
"""By how much a process may grow between 100,000 and 1,000,000 rows of a table and still be called flat."""


@dataclass(frozen=True)
class Export:
    """A table of all cases: the server's memory as rows go by, and how long it took."""

    name: str
    documents: int
    rss_mb: dict[int, float]
    seconds: float
    megabytes: float
    met: bool


def _row(answered: Answered, documents: int) -> Row:
    p50, p95 = percentile(answered.times, 0.5), percentile(answered.times, 0.95)
    unsound = {stage for plan in answered.plans if not plan.sound for stage in plan.stages}
    target = answered.question.target_ms
    return Row(
        name=answered.question.name,
        documents=documents,
        p50_ms=round(p50, 1),
        p95_ms=round(p95, 1),
        index=answered.indexes,
        target_ms=target,
        met=p95 <= target and not unsound,
        fault=", ".join(sorted(unsound)),
    )


async def ask_all(uri: str, documents: int, times: int) -> list[Row]:
    """Every question, after a few that warm the server up, `times` times."""
    rows = []
    async with asking(uri, DATABASE, seed=1) as (sample, database):
        for question in QUESTIONS:
            await put(question, sample, database, times // 10, 0)
            rows.append(_row(await put(question, sample, database, times, EXPLAINED), documents))
            sys.stderr.write(f"{rows[-1].name}: {rows[-1].p50_ms} / {rows[-1].p95_ms} ms\n")
    return rows


def export_all(servers: Servers, uri: str, documents: int, form: str) -> Export:
    """Every case as one table over HTTP; the memory of the server while it is sent."""
    port, folder = free_port(), servers.folder / f"serving-{form}"
    folder.mkdir()
    server = Server(
        "serving",
        lambda: [sys.executable, "-m", "tests.load.serving", uri, NAMESPACE, str(port), str(folder)],
        address=f"http://127.0.0.1:{port}",
        folder=folder,
        is_ready=lambda: answers(f"http://127.0.0.1:{port}/livez"),
    ).start()
    bearer = Issuer(folder).token("office", ["office"])
    try:
        return _exported(server, form, documents, {"Authorization": f"Bearer {bearer}"})
    finally:
        server.kill()


def _exported(server: Server, form: str, documents: int, headers: dict[str, str]) -> Export:
    process = server.process
    assert process is not None
    marks = sorted({min(documents, rows) for rows in (10_000, 100_000, documents)})
    memory: dict[int, float] = {}
    rows, size, started = -1, 0, time.monotonic()
    url = f"{server.address}/cases/export?format={form}"
    with httpx2.stream("GET", url, headers=headers, timeout=httpx2.Timeout(10, read=3600)) as answer:
        answer.raise_for_status()
        for piece in answer.iter_raw():
            size += len(piece)
            rows += piece.count(b"\n")
            if form == "csv" and marks[len(memory) :] and rows >= marks[len(memory)]:
                memory[marks[len(memory)]] = round(process.memory_info().rss / 1e6, 1)
    if form == "csv" and rows != documents:
        raise RuntimeError(f"the table has {rows} rows instead of {documents}")
    memory.setdefault(documents, round(process.memory_info().rss / 1e6, 1))
    seconds = time.monotonic() - started
    flat = memory[documents] - memory.get(100_000, memory[documents]) <= STEADY_MB
    return Export(f"{form} of all cases", documents, memory, round(seconds, 1), round(size / 1e6, 1), flat)


def measure(cases: int, times: int, exports: Sequence[str], given: str | None) -> tuple[list[Row], list[Export], str]:
    """Load, ask, export; and a line about how large it all is."""
    servers = Servers()
    try:
        uri = given or servers.new_mongodb().address
        with MongoClient[Document](uri) as client:
            client.admin.command("setParameter", 1, wiredTigerEngineRuntimeConfig=f"cache_size={CACHE}")
            if client[DATABASE][CASES.name].estimated_document_count() < cases:
                load(uri, DATABASE, cases)
            found = client[DATABASE].command("collStats", CASES.name)
        documents = int(found["count"])
        rows = asyncio.run(ask_all(uri, documents, times))
        tables = [export_all(servers, uri, documents, form) for form in exports]
    finally:
        servers.close()
    return rows, tables, _sizes(found)


def _sizes(sizes: dict[str, Any]) -> str:
    indexes = ", ".join(f"`{_first(name)}` {size / 1e6:,.0f} MB" for name, size in sizes["indexSizes"].items())
    return (
        f"{sizes['count']:,} cases, {sizes['avgObjSize'] / 1e3:.1f} kB each ({sizes['storageSize'] / 1e6:,.0f} MB "
        f"compressed), in MongoDB with {CACHE} of cache; indexes: {indexes}."
    )


def _first(index: str) -> str:
    return index.split("_1_", maxsplit=1)[0].removesuffix("_1").strip("_") or index


def _table(rows: Sequence[Row], exports: Sequence[Export]) -> Iterator[str]:
    yield "| question | p50 ms | p95 ms | index | asked for | |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        index = " and ".join(f"`{_first(name)}`" for name in row.index)
        found = "met" if row.met else f"SHORT {row.fault}".strip()
        yield f"| {row.name} | {row.p50_ms} | {row.p95_ms} | {index} | p95 ≤ {row.target_ms:g} ms | {found} |"
    yield ""
    yield "| table | seconds | MB | memory of the server, MB | |"
    yield "|---|---|---|---|---|"
    for export in exports:
        memory = ", ".join(f"{mb:.0f} at {rows:,}" for rows, mb in export.rss_mb.items())
        found = "flat" if export.met else "SHORT: grows"
        yield f"| {export.name} | {export.seconds:.0f} | {export.megabytes:.0f} | {memory} | {found} |"


def main(arguments: Sequence[str]) -> int:
    """The command line; 0 also where something falls short."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.scale", description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000, help="how many; 1,000,000")
    parser.add_argument("--times", type=int, default=200, help="how often each question is asked; 200")
    parser.add_argument("--exports", default="csv", metavar="csv,xlsx", help="tables of all cases to make; csv")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the markers of this file")
    parser.add_argument(
        "--mongodb",
        metavar="URI",
        help="a server to use instead of an own one; cases that are there are not loaded again",
    )
    parser.add_argument("--workers", action="store_true", help="only: the same events with one, two and four workers")
    options = parser.parse_args(arguments)
    if options.workers:
        return bench.main(["--scale"])
    where = bench.machine()
    forms = [each for each in options.exports.split(",") if each]
    rows, exports, sizes = measure(options.cases, options.times, forms, options.mongodb)
    table = list(_table(rows, exports))
    sys.stdout.write("\n".join([where, sizes, *table, ""]))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    found = [*map(asdict, rows), *map(asdict, exports)]
    RESULTS.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    if options.write:
        put_between(options.write, BEGIN, END, "\n".join([where, "", sizes, "", *table]))
    lengths = ",".join(str(length) for length in ledgers.Effort.lengths if length <= max(options.cases, 10_000))
    return ledgers.main(["--lengths", lengths, *(["--write", str(options.write)] if options.write else [])])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
