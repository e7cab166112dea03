"""Tokens of a service itself, by client credentials."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from shared.tokens import ClientCredentials


class Endpoint(HTTPServer):
    """A token endpoint: counts its tokens, and answers what it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, bytes]] = []
        self.answer: dict[str, object] | None = None
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/token"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        endpoint = self.server
        assert isinstance(endpoint, Endpoint)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        endpoint.asked.append((self.headers["Authorization"], body))
        answer = endpoint.answer or {"access_token": f"t{len(endpoint.asked)}", "expires_in": 100}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


async def test_a_token_is_used_until_shortly_before_its_end(endpoint: Endpoint) -> None:
    now = 1000.0
    credentials = ClientCredentials(endpoint.url, "reports", "s:crét", monotonic=lambda: now)
    assert await credentials.token() == "t1"
    now += 69
    assert await credentials.token() == "t1"
    now += 1  # 30 s before its end
    assert await credentials.token() == "t2"
    name, body = endpoint.asked[0]
    assert name is not None
    assert base64.b64decode(name.removeprefix("Basic ")) == b"reports:s%3Acr%C3%A9t"
    assert body == b"grant_type=client_credentials"


async def test_an_answer_without_a_token_is_none(endpoint: Endpoint) -> None:
    endpoint.answer = {"error": "invalid_client"}
    with pytest.raises(ValueError, match="gave no access_token"):
        await ClientCredentials(endpoint.url, "reports", "secret").token()
