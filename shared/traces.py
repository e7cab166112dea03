"""Traces by OpenTelemetry: off unless `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector.

One trace leads from the request through the outbox and Kafka to every service that reacts. How it is sampled, named
and sent is said by OpenTelemetry's own variables (`OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, …):
https://opentelemetry.io/docs/languages/sdk-configuration/. Without an endpoint nothing of it is even imported, and a
trace is what `shared.telemetry` passes on: an identity that logs bear.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import SpanContext

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Tracing:
    """Opens spans and sends them on; what identifies a span is a W3C `traceparent`."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("chuangwen")

    @contextmanager
    def span(self, name: str, parent: str | None, kind: str, links: Sequence[str] = ()) -> Iterator[str]:
        """A span below `parent`, of a trace of its own without one; gives its `traceparent`.

        `kind` is server, consumer, producer or internal; `links` are spans it works for, when they are several.
        """
        from opentelemetry import trace  # noqa: PLC0415 - only where it is switched on

        above = _context(parent)
        context = (
            trace.set_span_in_context(trace.NonRecordingSpan(above))
            if above
            else trace.set_span_in_context(trace.INVALID_SPAN)
        )
        linked = [trace.Link(each) for each in map(_context, links) if each]
        with self._tracer.start_as_current_span(name, context, trace.SpanKind[kind.upper()], links=linked) as span:
            own = span.get_span_context()
            yield f"00-{own.trace_id:032x}-{own.span_id:016x}-{int(own.trace_flags):02x}"

    def describe(self, name: str, attributes: Mapping[str, str | int | float]) -> None:
        """Name the span that is open now by what is known only later: never with an id or a person in it."""
        from opentelemetry import trace  # noqa: PLC0415

        span = trace.get_current_span()
        span.update_name(name)
        span.set_attributes(attributes)

    def stop(self) -> None:
        """Send what is left, for a few seconds at most."""
        self._provider.shutdown()


def start(service: str, role: str, version: str) -> Tracing | None:
    """Tracing, if it is switched on."""
    if not os.environ.get(ENDPOINT):
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    os.environ.setdefault("OTEL_SERVICE_NAME", f"chuangwen-{service}")
    provider = TracerProvider(
        resource=Resource.create({"service.version": version, "chuangwen.role": role}), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=5)))
    return Tracing(provider)


def _context(traceparent: str | None) -> SpanContext | None:
    from opentelemetry.trace import SpanContext, TraceFlags  # noqa: PLC0415

    parts = (traceparent or "").split("-")
    if len(parts) < 4 or (len(parts[1]), len(parts[2])) != (32, 16):
        return None
    try:
        context = SpanContext(int(parts[1], 16), int(parts[2], 16), True, TraceFlags(int(parts[3], 16)))
    except ValueError:
        return None
    return context if context.is_valid else None
