"""Another service as its clients see it: what it answers, what it refuses, and when it is away."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest
from pydantic import BaseModel, TypeAdapter
from starlette.requests import Request

from shared import telemetry
from shared.errors import Unavailable
from shared.http import Limits
from shared.http.peer import Fault, Peer, Rejected, onward


class Receipt(BaseModel):
    case: str


RECEIPT = TypeAdapter(Receipt)


def peer(answer: Callable[[httpx2.Request], httpx2.Response]) -> Peer:
    return Peer("reports", "http://reports", transport=httpx2.MockTransport(answer))


async def test_an_answer_is_read_as_what_it_is_expected_to_be() -> None:
    reports = peer(lambda _: httpx2.Response(201, json={"case": "c1"}))
    assert (await reports.call("POST", "/cases", json={})).read_as(RECEIPT) == Receipt(case="c1")


async def test_the_key_the_headers_and_the_body_are_passed_on() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"case": "c1"})

    reports = peer(answer)
    await reports.call("POST", "/cases", json={"a": 1}, key="k-1", headers={"accept-language": "en"}, params={"q": "1"})
    [request] = seen
    assert (request.headers["idempotency-key"], request.headers["accept-language"]) == ("k-1", "en")
    assert (json.loads(request.content), str(request.url)) == ({"a": 1}, "http://reports/cases?q=1")
    await reports.call("GET", "/cases")
    assert "idempotency-key" not in seen[1].headers


async def test_a_refusal_keeps_its_code_its_words_and_its_wait() -> None:
    problem = {"code": "validation", "errors": [{"field": "text", "message": "必填"}], "detail": "text: 必填"}
    reports = peer(lambda _: httpx2.Response(422, json=problem))
    with pytest.raises(Rejected) as refusal:
        (await reports.call("POST", "/cases")).json()
    assert (refusal.value.code, refusal.value.status) == ("validation", 422)
    assert refusal.value.faults == (Fault("text", "必填"),)
    problem = {"code": "rate-limited", "detail": "慢"}
    busy = peer(lambda _: httpx2.Response(429, json=problem, headers={"retry-after": "7"}))
    with pytest.raises(Rejected) as refusal:
        (await busy.call("POST", "/cases")).json()
    assert (refusal.value.retry_after, refusal.value.faults) == (7, (Fault("", "慢"),))


@pytest.mark.parametrize("body", [b"[]", b"3", b'{"errors": 5}', b'{"errors": [1]}', b'{"code": null}'])
async def test_an_odd_refusal_is_a_refusal(body: bytes) -> None:
    reports = peer(lambda _: httpx2.Response(400, content=body, headers=[(b"retry-after", b"\xb2")]))
    with pytest.raises(Rejected) as refusal:
        (await reports.call("POST", "/cases")).json()
    assert refusal.value.retry_after is None


@pytest.mark.parametrize(
    "response",
    [httpx2.Response(200, content=b"<html>"), httpx2.Response(200, json={"other": 1}), httpx2.Response(200, json=[])],
    ids=["no JSON", "another form", "a list"],
)
async def test_an_answer_of_another_form_is_no_answer(response: httpx2.Response) -> None:
    with pytest.raises(Unavailable, match="another form"):
        (await peer(lambda _: response).call("GET", "/cases")).read_as(RECEIPT)


async def test_a_service_that_fails_or_is_away_is_unavailable() -> None:
    def away(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    def slow(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("slow", request=request)

    for answer in (away, slow, lambda _: httpx2.Response(503), lambda _: httpx2.Response(500)):
        with pytest.raises(Unavailable, match="reports"):
            await peer(answer).call("GET", "/cases")


async def test_a_stream_of_bytes_is_sent_as_it_is() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"c"

    async def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json={"case": (await request.aread()).decode()})

    reports = Peer("reports", "http://reports", transport=httpx2.MockTransport(answer))
    assert (await reports.call("POST", "/photos", content=pieces())).json() == {"case": "abc"}
    await reports.close()


def test_what_is_carried_on_is_the_caller() -> None:
    class App:
        class state:
            limits = Limits()

    request = Request(
        {
            "type": "http",
            "headers": [(b"accept-language", b"en-GB"), (b"x-forwarded-for", b"198.51.100.9")],
            "client": ("192.0.2.7", 5),
            "app": App,
        }
    )
    assert onward(request) == {"x-forwarded-for": "192.0.2.7", "accept-language": "en"}
    with telemetry.working_for("", "r1"):
        carried = onward(request, spoken="zh", token="t")
    assert carried["traceparent"].startswith("00-")
    assert (carried["authorization"], carried["accept-language"]) == ("Bearer t", "zh")
