"""Slow and endless callers against a real server: each is let go in time, and nobody else waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import pytest
from fastapi import Depends, Request, Response
from starlette.responses import StreamingResponse

from shared import telemetry
from shared.auth import Principal, Verifier, anyone
from shared.clock import FixedClock
from shared.http import Router, create_app
from shared.http.server import MOST_HEAD, Patience, server
from shared.messages import Messages
from tests.waiting import eventually

PATIENCE = Patience(head=0.6, body=0.6, least_bytes=100, idle=1, write=0.8)
Anyone = Annotated[Principal, Depends(anyone())]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
GET = b"GET /small HTTP/1.1\r\nhost: x\r\n"


class Notes:
    """What the application noticed."""

    def __init__(self) -> None:
        self.sent = 0
        self.ended = asyncio.Event()


def _router(notes: Notes) -> Router:
    router = Router()

    @router.get("/small")
    async def small(caller: Anyone) -> str:
        return "small"

    @router.post("/read")
    async def read(request: Request, caller: Anyone) -> Response:
        body = await request.body()
        return Response(str(len(body)))

    @router.post("/late")
    async def late(request: Request, caller: Anyone) -> Response:
        await asyncio.sleep(1.5)
        return Response(str(len(await request.body())))

    @router.get("/endless")
    async def endless(caller: Anyone) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                while True:
                    notes.sent += 1
                    yield bytes(65_536)
                    await asyncio.sleep(0)
            finally:
                notes.ended.set()

        return StreamingResponse(pieces())

    return router


@asynccontextmanager
async def running() -> AsyncIterator[tuple[int, Notes]]:
    notes = Notes()
    verifier = Verifier("unused", "issuer", "audience", FixedClock(datetime(2026, 3, 2, tzinfo=UTC)))
    app = create_app("slow", [_router(notes)], verifier=verifier, messages=Messages.load())
    running = server(app, "127.0.0.1", 0, graceful=1, patience=PATIENCE)
    serving = asyncio.create_task(running.serve())
    await eventually(lambda: asyncio.sleep(0, running.started))
    try:
        yield running.servers[0].sockets[0].getsockname()[1], notes
    finally:
        running.should_exit = True
        await serving


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def ends(reader: asyncio.StreamReader) -> tuple[bytes, float]:
    """What still comes, and how long it takes until the connection is closed."""
    began = time.monotonic()
    async with asyncio.timeout(20):
        try:
            found = await reader.read()
        except ConnectionError:
            found = b""
    return found, time.monotonic() - began


async def test_a_head_beyond_the_limit_is_431_however_it_comes() -> None:
    async with running() as (port, _):
        for head in (
            b"x-big: " + b"a" * MOST_HEAD + b"\r\n",
            b"".join(b"x-%d: %s\r\n" % (number, b"a" * 1000) for number in range(80)),
        ):
            async with connected(port) as (reader, writer):
                writer.write(GET + head + b"\r\n")
                found, _ = await ends(reader)
                assert found.startswith(b"HTTP/1.1 431 "), found[:100]
        async with connected(port) as (reader, writer):
            writer.write(b"GET /small?" + b"a" * MOST_HEAD + b" HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await ends(reader))[0].startswith(b"HTTP/1.1 431 ")


async def test_an_endless_head_is_refused_long_before_it_is_kept() -> None:
    async with running() as (port, _), connected(port) as (_, writer):
        writer.write(GET)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 100_000_000:
                writer.write(b"x-more: " + b"a" * 60_000 + b"\r\n")
                await writer.drain()
                sent += 60_000
        assert sent < 20_000_000


async def test_a_head_within_the_limit_is_read() -> None:
    async with running() as (port, _), connected(port) as (reader, writer):
        for _ in range(2):
            writer.write(GET + b"x-big: " + b"a" * 60_000 + b"\r\n\r\n")
            assert b"200 OK" in await reader.readuntil(b"\r\n")
            await reader.readuntil(b'"small"')


@pytest.mark.parametrize("begun", [b"", b"G", GET, GET + b"x-a: b"], ids=["nothing", "a byte", "a line", "a part"])
async def test_a_head_that_does_not_end_is_408(begun: bytes) -> None:
    async with running() as (port, _), connected(port) as (reader, writer):
        writer.write(begun)
        found, seconds = await ends(reader)
        assert found.startswith(b"HTTP/1.1 408 ")
        assert seconds < 10


async def test_a_head_that_drips_is_408() -> None:
    async with running() as (port, _), connected(port) as (reader, writer):
        closed = asyncio.create_task(ends(reader))
        writer.write(GET)
        while not closed.done():
            writer.write(b"x: y\r\n")
            await asyncio.sleep(0.1)
        found, seconds = await closed
        assert found.startswith(b"HTTP/1.1 408 ")
        assert seconds < 10


@pytest.mark.parametrize("dripping", [False, True])
async def test_a_body_that_stops_or_drips_is_408_and_no_error(caplog: pytest.LogCaptureFixture, dripping: bool) -> None:
    async with running() as (port, _), connected(port) as (reader, writer):
        closed = asyncio.create_task(ends(reader))
        writer.write(b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nabc")
        while dripping and not closed.done():
            writer.write(b"a")
            await asyncio.sleep(0.05)
        found, seconds = await closed
        assert found.startswith(b"HTTP/1.1 408 ")
        assert seconds < 10
        await asyncio.sleep(0.05)
    assert [record for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}] == []


async def test_a_slow_body_that_moves_is_read() -> None:
    async with running() as (port, _), connected(port) as (reader, writer):
        writer.write(b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 2000\r\n\r\n")
        for _ in range(20):
            writer.write(b"a" * 100)
            await asyncio.sleep(0.1)
        assert b"200 OK" in await reader.readuntil(b"\r\n")


async def test_a_body_that_we_do_not_read_is_not_held_against_its_caller() -> None:
    async with running() as (port, _), connected(port) as (reader, writer):
        writer.write(b"POST /late HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n" + b"a" * 300_000)
        assert b"200 OK" in await reader.readuntil(b"\r\n")


async def test_who_does_not_read_an_answer_is_let_go() -> None:
    async with running() as (port, notes), connected(port) as (_, writer):
        writer.write(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n")
        async with asyncio.timeout(15):
            await notes.ended.wait()
        assert notes.sent < 2000


async def test_a_connection_that_asks_nothing_more_is_closed() -> None:
    async with running() as (port, _), connected(port) as (reader, writer):
        writer.write(GET + b"\r\n")
        await reader.readuntil(b'"small"')
        _, seconds = await ends(reader)
        assert seconds < 10


async def test_a_dropped_upload_is_counted_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    counted = telemetry.HTTP_SERVER_REQUEST_DURATION_SECONDS.labels("slow", "POST", "/read", "499")
    before = counted._sum.get()
    async with running() as (port, _):
        async with connected(port) as (_, writer):
            writer.write(b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nabc")
            await writer.drain()
            await asyncio.sleep(0.05)
        await eventually(lambda: asyncio.sleep(0, counted._sum.get() != before))
    assert [record for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}] == []
