"""One trace from a request over Kafka into other services, as a collector receives it."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.processes import Platform
from tests.waiting import eventually

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
CASE = {"category": "water-pipe", "longitude": 112.6012, "latitude": 26.8901, "text": "水管破裂，路面积水"}


class Collector(ThreadingHTTPServer):
    """Takes traces in by OTLP over HTTP, and keeps them: (service, span)."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def of_trace(self) -> list[tuple[str, Any]]:
        return [(service, span) for service, span in self.spans if span.trace_id.hex() == TRACE]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            names = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                assert isinstance(self.server, Collector)
                self.server.spans += [(names["service.name"], span) for span in scope.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


async def test_a_request_and_all_that_follows_are_one_trace(
    collector: Collector, mongodb_uri: str, kafka_bootstrap: str, namespace: str, tmp_path: Path
) -> None:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    platform = Platform(tmp_path, mongodb_uri, kafka_bootstrap, namespace, settings)
    try:
        platform.start_all(("reports", "portal"))
        async with httpx2.AsyncClient() as client:
            header = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            answer = await client.post(f"{platform.url('reports')}/cases", json=CASE, headers=header)
            assert answer.status_code == 201

        async def arrived() -> bool:
            return {service for service, _ in collector.of_trace()} >= {"chuangwen-reports", "chuangwen-portal"}

        await eventually(arrived)
    finally:
        platform.close()
    spans = collector.of_trace()
    (request,) = (span for _, span in spans if span.name == "POST /cases")
    assert request.parent_span_id.hex() == PARENT
    assert {each.key for each in request.attributes} >= {"http.request.method", "http.route"}
    handled = [span for service, span in spans if service == "chuangwen-portal"]
    assert all(span.parent_span_id == request.span_id for span in handled)
    assert {span.name for span in handled} == {"portal.board.g1"}
    for _, span in spans:  # nothing of what people wrote, no id
        assert "水管" not in str(span)
        assert answer.json()["case"] not in str(span)
