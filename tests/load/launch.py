"""A service's process with another way to commit, or under a profiler: the service's own code stays as it is.

    python -m tests.load.launch single reports api
    python -m tests.load.launch --profile reports.prof group reports all

`group` is the service as it is. `single` writes one transaction per unit of work; relay and outbox as usual.
`unsafe` writes the document and sends the event as most services do: no transaction, no outbox, so that a crash
between the two loses the event.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import importlib
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

from aiokafka import AIOKafkaProducer
from motor.motor_asyncio import AsyncIOMotorClient

from shared.service import Service, main
from shared.store import OUTBOX, Change, OutboxRow, Store, UnitOfWork, Write
from shared.store.mongo import CODEC

Commit = Callable[[Store, UnitOfWork], Awaitable[None]]


async def single(store: Store, uow: UnitOfWork) -> None:
    """`Store.commit`, but each unit is a transaction of its own."""
    writes = uow.writes()
    writes.extend(Write(OUTBOX.name, event.id, Change.INSERT, OutboxRow.document(event), 0) for event in uow.events)
    if writes:
        await store.driver.transact(writes)
        for listener in store._listeners:
            listener(uow)


class Unsafe:
    """`Store.commit` without a transaction and without an outbox."""

    def __init__(self, database: str) -> None:
        self._name = database
        self._namespace = os.environ.get("NAMESPACE", "")
        self._database: Any = None
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()

    async def __call__(self, store: Store, uow: UnitOfWork) -> None:
        async with self._connecting:
            if self._producer is None:
                await self._connect()
        producer = self._producer
        assert producer is not None
        for write in uow.writes():
            if write.change is not Change.INSERT:
                raise NotImplementedError("the unsafe variant only files cases")
            await self._database[write.collection].insert_one(write.document)
        for event in uow.events:
            await producer.send_and_wait(
                self._namespace + event.topic, event.value, event.key.encode(), headers=event.headers()
            )

    async def _connect(self) -> None:
        client: Any = AsyncIOMotorClient(os.environ["MONGODB_URI"], maxPoolSize=24)
        self._database = client.get_database(self._namespace + self._name, codec_options=CODEC)
        producer = AIOKafkaProducer(
            bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            enable_idempotence=True,
            acks="all",
            max_batch_size=256 * 1024,
        )
        await producer.start()
        self._producer = producer


def variant(name: str, service: str) -> Commit:
    """The way to commit."""
    variants: dict[str, Commit] = {"group": Store.commit, "single": single, "unsafe": Unsafe(service)}
    return variants[name]


def _run(commit: Commit, service: Service) -> None:
    async def replaced(store: Store, uow: UnitOfWork) -> None:
        await commit(store, uow)

    with nullcontext() if commit is Store.commit else patch.object(Store, "commit", replaced):
        main(service)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.load.launch", description=__doc__)
    parser.add_argument("--profile", metavar="FILE", help="write what cProfile saw when the process ends")
    parser.add_argument("variant", choices=("group", "single", "unsafe"))
    parser.add_argument("service")
    parser.add_argument("role")
    options = parser.parse_args()
    sys.argv = [sys.argv[0], options.role]
    chosen: Service = importlib.import_module(f"services.{options.service}.app").SERVICE
    profile = cProfile.Profile() if options.profile else None
    try:
        with profile or nullcontext():
            _run(variant(options.variant, options.service), chosen)
    finally:
        if profile is not None:
            profile.dump_stats(options.profile)
