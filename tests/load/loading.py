"""Filling a database with the lives of many cases, by two processes at a time."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context

from pymongo import MongoClient

from deploy.local.stack import DISTRICT
from services.reports.district import District
from services.reports.repo import CASES
from shared.clock import FixedClock
from shared.errors import Unavailable
from shared.store import Document, Store
from shared.store.mongo import CODEC, MongoDriver
from tests.load.lives import UNTIL, lives

CHUNK = 5_000
BULK = 1_000
PROCESSES = 2


def load(uri: str, name: str, cases: int) -> None:
    """So many cases into the database, in about the order in which they were filed; then the service's indexes."""
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
        chunks = [(first, min(first + CHUNK, cases)) for first in range(0, cases, CHUNK)]
        for done, _ in enumerate(pool.map(_load, *zip(*((uri, name, *chunk, cases) for chunk in chunks), strict=True))):
            if (done + 1) * CHUNK % 100_000 == 0:
                sys.stderr.write(f"{(done + 1) * CHUNK:,} cases loaded\n")
    asyncio.run(_index(uri, name))


def _load(uri: str, name: str, first: int, last: int, of: int) -> None:
    with MongoClient[Document](uri) as client:
        collection = client.get_database(name, codec_options=CODEC)[CASES.name]
        cases = lives(District.load(DISTRICT), first, last, of)
        while bulk := [CASES.to_document(case, 1, len(case.timeline)) for case in islice(cases, BULK)]:
            collection.insert_many(bulk, ordered=False)


async def _index(uri: str, name: str) -> None:
    """As a service does that starts: an index that takes longer than a request may is asked for until it is there."""
    store = Store(MongoDriver(uri, name, "pymongo"), FixedClock(UNTIL), [CASES])
    while True:
        try:
            await store.ensure_indexes()
        except Unavailable:
            continue
        break
    await store.close()
