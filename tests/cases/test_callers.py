"""Tokens, addresses and connections as clocks, proxies and bad networks make them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from deploy.local import issuer
from tests.cases.world import MONDAY, REPORT, got, reports_at, sample
from tests.inprocess import Inside

MIB = 1024 * 1024


def signed(folder: Path, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token of the test's issuer with other claims; None leaves one out."""
    now = int(time.time())
    content = {
        "iss": issuer.NAME,
        "aud": issuer.AUDIENCE,
        "sub": "li",
        "roles": ["office"],
        "iat": now,
        "exp": now + 600,
        **claims,
    }
    key = (folder / "key.pem").read_bytes()
    return jwt.encode({name: value for name, value in content.items() if value is not None}, key, "EdDSA", headers)


@pytest.fixture
def kid(reports: Inside) -> str:
    token = reports.issuer.token("li", ["office"])
    return str(jwt.get_unverified_header(token)["kid"])


async def status(reports: Inside, *authorizations: str) -> int:
    headers = [("authorization", value) for value in authorizations]
    return (await reports.http.get("/queue", headers=headers)).status_code


async def test_A01_seconds_between_clocks_refuse_nobody(reports: Inside, shared_folder: Path, kid: str) -> None:
    now, header = int(time.time()), {"kid": kid}
    for claims in ({"iat": now + 3}, {"nbf": now + 3}, {"exp": now - 3}):
        fresh = {"iat": now, "exp": now + 600} | claims
        assert await status(reports, f"Bearer {signed(shared_folder, header, **fresh)}") == 200, claims
    for end in ("123", True, "1e400"):
        token = signed(shared_folder, header, iat=now, exp=end)
        assert await status(reports, f"Bearer {token}") == 401, end
    with_fraction = signed(shared_folder, header, iat=now, exp=now + 600.5)
    assert await status(reports, f"Bearer {with_fraction}") in {200, 401}
    unsigned = jwt.encode({"sub": "li", "roles": ["office"], "exp": now + 600}, "", "none", header)
    for token in (unsigned, "x", ""):
        assert await status(reports, f"Bearer {token}") == 401


async def test_A01_a_token_that_names_no_key_is_refused(reports: Inside, shared_folder: Path) -> None:
    assert await status(reports, f"Bearer {signed(shared_folder)}") == 401


async def test_A01_two_authorizations_are_none(reports: Inside) -> None:
    good = f"Bearer {reports.issuer.token('li', ['office'])}"
    assert await status(reports, good) == 200
    assert await status(reports, good, "Bearer x") == 401
    assert await status(reports, "Bearer x", good) == 401
    assert await status(reports, good, good) == 401


@pytest.fixture
async def strict(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    """Reports behind a proxy that is believed, with a small share for each subscriber."""
    async with reports_at(
        MONDAY, tmp_path, mongodb_uri, namespace, reports_per_minute=10, trusted_proxies="127.0.0.0/8"
    ) as reports:
        yield reports


async def refusals(reports: Inside, addresses: list[str], caller: dict[str, str] | None = None) -> int:
    """How many of the reports from these addresses are refused for their number."""
    found = 0
    for address in addresses:
        headers = {"x-forwarded-for": address} | (caller or {})
        answer = await reports.http.post("/cases", json=REPORT, headers=headers)
        if answer.status_code == 429:
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["detail"] != answer.json()["code"]
            found += 1
        else:
            assert answer.status_code == 201, answer.text
    return found


async def test_A02_a_subscriber_counts_once_however_many_addresses_it_has(strict: Inside) -> None:
    assert await refusals(strict, ["203.0.113.7"] * 30) > 10
    assert await refusals(strict, [f"2001:db8:0:1::{number:x}" for number in range(1, 31)]) > 10
    assert await refusals(strict, ["192.0.2.1", "::ffff:192.0.2.1"] * 15) > 10
    assert await refusals(strict, ["198.51.100.9"] * 12, strict.token("dispatcher")) == 0


async def test_A02_photos_of_one_subscriber_share_one_limit(strict: Inside) -> None:
    content = sample("p01-exif6-gps.jpg")
    statuses = []
    for number in range(90):
        headers = {"x-forwarded-for": f"2001:db8:0:2::{number + 1:x}"}
        statuses.append((await strict.http.post("/photos", content=content, headers=headers)).status_code)
        if 429 in statuses:
            break
    assert 429 in statuses


async def test_A02_a_forged_address_is_ignored(mongodb_uri: str, namespace: str, tmp_path: Path) -> None:
    async with reports_at(MONDAY, tmp_path, mongodb_uri, namespace, reports_per_minute=10) as reports:
        assert await refusals(reports, [f"203.0.113.{number}" for number in range(30)]) > 10


async def photos(reports: Inside) -> int:
    return await reports.runtime.store.driver.count("photos", {})


async def half(reports: Inside, pieces: list[bytes], length: int, silence: float = 0.0) -> list[dict[str, Any]]:
    """What is answered to an upload whose connection breaks after some pieces, or stays silent for a while."""
    answered: list[dict[str, Any]] = []
    messages = iter([{"type": "http.request", "body": piece, "more_body": True} for piece in pieces])

    async def receive() -> dict[str, Any]:
        if (message := next(messages, None)) is not None:
            return message
        await asyncio.sleep(silence)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answered.append(message)

    headers = [(b"content-length", str(length).encode()), (b"content-type", b"image/jpeg")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/photos",
        "raw_path": b"/photos",
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await reports.app(scope, receive, send)
    return answered


async def test_A03_of_half_an_upload_nothing_is_kept(reports: Inside) -> None:
    before = await photos(reports)
    content = sample("p01-exif6-gps.jpg")
    await half(reports, [content[:700]], len(content))
    assert await photos(reports) == before


async def test_A03_a_broken_connection_is_no_fault_of_the_service(reports: Inside) -> None:
    content = sample("p01-exif6-gps.jpg")
    answered = await half(reports, [content[:700]], len(content))
    assert all(message.get("status", 400) < 500 for message in answered)


async def test_A03_slow_uploads_keep_nobody_waiting(reports: Inside) -> None:
    content = sample("p01-exif6-gps.jpg")
    async with asyncio.TaskGroup() as group:
        slow = [group.create_task(half(reports, [content[:1]], len(content), silence=600)) for _ in range(50)]
        await asyncio.sleep(0.1)
        answer = await reports.http.post("/photos", content=content, headers=reports.token("service"))
        got(answer, 201)
        assert not any(each.done() for each in slow)
        for each in slow:
            each.cancel()


async def test_A03_what_is_too_large_is_refused_before_it_is_read(reports: Inside) -> None:
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(64):
            sent += 1
            yield bytes(MIB)

    answer = await reports.http.post("/photos", content=pieces(), headers=reports.token("service"))
    assert answer.status_code == 413
    assert sent < 20


async def test_A03_an_upload_sent_again_leaves_one_photo_in_the_report(reports: Inside) -> None:
    content, caller = sample("p01-exif6-gps.jpg"), reports.token("service")
    first, second = [got(await reports.http.post("/photos", content=content, headers=caller), 201) for _ in range(2)]
    case = got(await reports.http.post("/cases", json=REPORT | {"photos": [second["photo"]]}, headers=caller), 201)
    office = reports.token("office")
    view = got(await reports.http.get(f"/cases/{case['case']}", headers=office))
    assert view["photos"] == [second["photo"]]
    assert got(await reports.http.get(f"/photos/{first['photo']}", headers=office))["case"] is None
