"""All ledgers posted again from the first event equal the live ones, byte for byte, and what is not equal is named."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient

from deploy.local import tools
from services.scoring.app import SERVICE
from services.scoring.cli.rebuild import BOOKS, LEASE, verify_rebuild
from services.scoring.domain.ledger import find_flaw
from services.scoring.repo import ENTRIES, LEDGERS, REVERSALS, STANDINGS
from shared.clock import FixedClock
from shared.contracts.scoring import ChargeMade
from shared.service import Runtime
from shared.store.mongo import CODEC, bytes_of
from tests.inprocess import inside
from tests.load.charges import START, UNITS, post, publish, season
from tests.processes import Platform

ENTRIES_POSTED = 2000
Documents = MongoClient[dict[str, Any]]


@pytest.fixture
async def scoring(
    mongodb_uri: str, kafka_bootstrap: str, namespace: str, tmp_path: Path
) -> AsyncIterator[Runtime[Any]]:
    """The service's live books after a season of all units."""
    kafka = {"kafka_bootstrap_servers": kafka_bootstrap, "kafka_partitions": 6}
    async with inside(SERVICE, FixedClock(START), tmp_path, mongodb_uri, namespace, **kafka) as scoring:
        await scoring.runtime.broker.ensure_topics(SERVICE.topics())
        await publish(scoring.runtime.broker, season(ENTRIES_POSTED))
        await post(scoring.runtime)
        yield scoring.runtime


async def test_what_is_posted_again_is_equal_and_every_change_of_it_is_named(
    scoring: Runtime[Any], mongodb_uri: str, namespace: str
) -> None:
    rows = await scoring.store.find(ENTRIES, {}, [("unit", 1), ("number", 1)])
    assert len(rows) == ENTRIES_POSTED
    for kind in ("reverses", "belongs_to", "claimed"):
        assert any(getattr(row, kind) is not None for row in rows), f"the season has no row with {kind}"
    for ledger in await scoring.store.find(LEDGERS, {}):
        assert find_flaw(ledger.id, [row for row in rows if row.unit == ledger.id], ledger.head) is None

    outcome = await verify_rebuild(scoring)
    assert outcome.differences == []
    assert outcome.units == len(UNITS)
    assert outcome.documents == sum([await scoring.store.count(collection, {}) for collection in BOOKS])

    with Documents(mongodb_uri) as client:
        assert f"{namespace}scoring-rebuilt" not in client.list_database_names()
        books = client[f"{namespace}scoring"]
        entry = books[ENTRIES.name].find_one({"points": Decimal128("0.20")})
        assert entry is not None
        books[ENTRIES.name].update_one({"_id": entry["_id"]}, {"$set": {"points": Decimal128("0.2")}})
        gone = books[REVERSALS.name].find_one_and_delete({})
        assert gone is not None
        standing = books[STANDINGS.name].find_one_and_update({}, {"$set": {"points_lost": Decimal128("1.5")}})
        assert standing is not None
    differences = (await verify_rebuild(scoring)).differences
    assert {(each.collection, each.id) for each in differences} == {
        (ENTRIES.name, entry["_id"]),
        (REVERSALS.name, gone["_id"]),
        (STANDINGS.name, standing["_id"]),
    }
    content = {each.collection: str(each) for each in differences}
    assert content[ENTRIES.name].endswith("written otherwise")
    assert content[REVERSALS.name].endswith("only rebuilt")
    assert "points_lost is Decimal('1.5'), rebuilt " in content[STANDINGS.name]


async def test_books_are_compared_while_they_grow(scoring: Runtime[Any]) -> None:
    charges = [event for event in season(400, seed=2) if isinstance(event.data, ChargeMade)]
    more = [replace(event, subject=f"again-{event.subject}") for event in charges]

    async def grow() -> None:
        for event in more:
            await publish(scoring.broker, iter([event]))
        await post(scoring)

    growing = asyncio.create_task(grow())
    outcome = await verify_rebuild(scoring)
    await growing
    assert outcome.differences == []


async def test_an_operator_is_told_by_lines_and_an_exit_code(
    scoring: Runtime[Any], mongodb_uri: str, kafka_bootstrap: str, namespace: str, tmp_path: Path
) -> None:
    environment = Platform(tmp_path, mongodb_uri, kafka_bootstrap, namespace)._environment()

    async def run() -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.scoring", "verify-rebuild", "--patience", "60"),
            env={**os.environ, **environment, "HTTP_PORT": "0"},
            cwd=tools.ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        found, _ = await process.communicate()
        return process.returncode, found.decode()

    code, found = await run()
    assert code == 0, found
    assert f"一致：{len(UNITS)} 个单位" in found
    with Documents(mongodb_uri) as client:
        client[f"{namespace}scoring"][ENTRIES.name].delete_one({"_id": f"{UNITS[0]}:0000000003"})
    code, found = await run()
    assert code == 1, found
    assert f"{ENTRIES.name} {UNITS[0]}:0000000003: only rebuilt" in found
    await scoring.store.driver.lease(LEASE, "another", 60.0)
    code, found = await run()
    assert code == 2, found
    assert "rebuild-running" in found


async def test_what_is_compared_are_the_bytes_that_the_server_keeps(
    scoring: Runtime[Any], mongodb_uri: str, namespace: str
) -> None:
    with Documents(mongodb_uri) as client:
        for collection in BOOKS:
            books = client[f"{namespace}scoring"][collection.name]
            as_is = books.with_options(codec_options=CODEC.with_options(document_class=RawBSONDocument))
            for raw in as_is.find().limit(200):
                read = books.with_options(codec_options=CODEC).find_one({"_id": raw["_id"]})
                assert read is not None
                assert bytes_of(read) == raw.raw
    assert bytes_of({"a": Decimal("0.20")}) != bytes_of({"a": Decimal("0.2")})
