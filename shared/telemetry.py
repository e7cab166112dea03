"""What the platform tells about itself: metrics, structured logs and the trace a piece of work belongs to.

Every metric is declared here once, so that alerts and dashboards can be checked against this list. Labels are
bounded: service, route template, topic, group, outcome; never an id, a person or a raw path. Only this module
imports prometheus_client and structlog.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import sys
import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, cast

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest
from pydantic import ValidationError

from shared.traces import Tracing

FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds of a request, a commit or a batch."""
FRESHNESS = (0.1, 0.5, 1, 5, 15, 30, 60, 300, 900, 3600)
"""Seconds from a fact to its effect; 30 s and 300 s are the edges of the freshness objective."""

# --- the process --------------------------------------------------------------------------------------------
CHUANGWEN_BUILD_INFO = Gauge(
    "chuangwen_build_info",
    "1, labelled with what runs: service, role, version, revision",
    ["service", "role", "version", "revision"],
)

# --- HTTP ---------------------------------------------------------------------------------------------------
HTTP_SERVER_REQUEST_DURATION_SECONDS = Histogram(
    "http_server_request_duration_seconds",
    "Seconds from the request line to the end of the response; route is a template, or unmatched",
    ["service", "method", "route", "status"],
    buckets=FAST,
)
HTTP_SERVER_IN_FLIGHT_REQUESTS = Gauge(
    "http_server_in_flight_requests", "Requests that are being answered", ["service"]
)
IDEMPOTENT_REPLAYS = Counter(
    "idempotent_replays_total", "Commands answered from an earlier answer with the same Idempotency-Key"
)

# --- consumers ----------------------------------------------------------------------------------------------
CONSUMER_RECORDS = Counter(
    "consumer_records_total",
    "Records a group is done with; outcome is ok, duplicate, skipped, early or parked",
    ["group", "topic", "outcome"],
)
CONSUMER_BATCH_SECONDS = Histogram(
    "consumer_batch_seconds", "Seconds from a polled batch to its commit", ["group"], buckets=FAST
)
CONSUMER_TIME_LAG_SECONDS = Gauge(
    "consumer_time_lag_seconds",
    "How long the oldest record that is read and not done with has been in the log; 0 when there is nothing to do",
    ["group", "topic", "partition"],
)
CONSUMER_REBALANCES = Counter("consumer_rebalances_total", "Times partitions were assigned anew", ["group"])
CONSUMER_ASSIGNED_PARTITIONS = Gauge("consumer_assigned_partitions", "Partitions this process owns now", ["group"])
CONSUMER_LAST_PROGRESS_TIMESTAMP_SECONDS = Gauge(
    "consumer_last_progress_timestamp_seconds", "Unix time of the last finished poll or batch", ["group"]
)
CONSUMER_BROKEN = Gauge(
    "consumer_broken", "1 when the group's worker has stopped itself and waits for people", ["group"]
)
CONSUMER_COMMIT_FAILURES = Counter(
    "consumer_commit_failures_total",
    "Offset commits that failed (harmless: marks judge redelivery)",
    ["group"],
)
CONSUMER_RETRIES = Counter("consumer_retries_total", "Batches tried again after a fault", ["group"])
CONSUMER_LISTENER_FAILURES = Counter(
    "consumer_listener_failures_total", "Faults while partitions were handed over", ["group"]
)

# --- events -------------------------------------------------------------------------------------------------
EVENTS_SEQUENCE_GAP = Counter(
    "events_sequence_gap_total",
    "Events that came before their predecessor",
    ["group", "topic"],
)
EVENT_E2E_SECONDS = Histogram(
    "event_e2e_seconds",
    "Seconds from the moment in the event's envelope to the named stage; never below 0",
    ["event_type", "stage"],
    buckets=FRESHNESS,
)
EVENT_CLOCK_SKEW = Counter(
    "event_clock_skew_total", "Events from the future of this machine's clock, counted as 0 seconds old"
)
TOPIC_PARTITIONS_UNEXPECTED = Gauge(
    "topic_partitions_unexpected", "Partitions that a topic has more than it is created with; below 0: fewer", ["topic"]
)
EVENTS_EARLY = Gauge("events_early", "Records held back because their predecessor has not come")


def observe_age(event_type: str, stage: str, seconds: float) -> None:
    """How old an event was when it came to the stage; one from the future tells of clocks that disagree."""
    if seconds < 0:
        EVENT_CLOCK_SKEW.inc()
    EVENT_E2E_SECONDS.labels(event_type, stage).observe(max(0.0, seconds))


# --- outbox -------------------------------------------------------------------------------------------------
OUTBOX_PENDING = Gauge("outbox_pending", "Committed events not yet known to be in Kafka")
OUTBOX_OLDEST_AGE_SECONDS = Gauge("outbox_oldest_age_seconds", "Age of the oldest pending event; 0 when none")
OUTBOX_PUBLISHED = Counter(
    "outbox_published_total", "Attempts to publish an event; outcome is ok or failed", ["outcome"]
)
OUTBOX_PUBLISH_SECONDS = Histogram(
    "outbox_publish_seconds",
    "Seconds from sending a batch to Kafka's acknowledgement",
    buckets=FAST,
)

# --- dead letters -------------------------------------------------------------------------------------------
DLQ_RECORDS = Counter("dlq_records_total", "Records set aside", ["group", "topic", "reason"])
DLQ_UNRESOLVED = Gauge("dlq_unresolved", "Records set aside and neither replayed nor dropped")

# --- the office's data ----------------------------------------------------------------------------------------
WORK_CALENDAR_CERTAIN_UNTIL_TIMESTAMP_SECONDS = Gauge(
    "work_calendar_certain_until_timestamp_seconds",
    "Unix time from which on nobody knows yet which days are worked: limits that end later are provisional",
)

# --- store --------------------------------------------------------------------------------------------------
STORE_COMMIT_UNITS = Histogram(
    "store_commit_units",
    "Units of work merged into one transaction",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200),
)
STORE_COMMIT_SECONDS = Histogram("store_commit_seconds", "Seconds of one transaction", buckets=FAST)
INDEXES_TO_MIGRATE = Gauge("indexes_to_migrate", "Indexes that are not as this version declares them")
STORE_CONFLICTS = Counter("store_conflicts_total", "Transactions that lost a race and were tried again")

# --- time ---------------------------------------------------------------------------------------------------
DEADLINES_FAILING = Gauge("deadlines_failing", "Due documents whose command failed and is to be tried again", ["name"])
DEADLINE_OLDEST_DUE_SECONDS = Gauge(
    "deadline_oldest_due_seconds", "How long the oldest due document has been due", ["name"]
)
CLOCK_AHEAD_SECONDS = Gauge(
    "clock_ahead_seconds", "Seconds by which this machine's clock is ahead of the database's; below 0: behind"
)
DEADLINES_FIRED = Counter("deadlines_fired_total", "Due documents turned into a command", ["name"])
EVENT_LOOP_LAG_SECONDS = Histogram(
    "event_loop_lag_seconds", "How much later than asked for a sleeping task wakes", buckets=FAST
)


def introduce(service: str, role: str) -> str:
    """Tell what runs here, and return its version: what the image was built with, `dev` outside any."""
    version = os.environ.get("CHUANGWEN_VERSION", "dev")
    CHUANGWEN_BUILD_INFO.labels(service, role, version, os.environ.get("CHUANGWEN_REVISION", "")).set(1)
    return version


def forget(metric: Gauge, *labels: object) -> None:
    """Let a series end that nobody measures any more."""
    with suppress(KeyError):
        metric.remove(*labels)


def exposition() -> tuple[bytes, str]:
    """All metrics of this process and the content type they are written in."""
    return generate_latest(), CONTENT_TYPE_LATEST


async def watch_event_loop(period: float = 0.5) -> None:
    """Observes how late the event loop wakes a task, every `period` seconds, until cancelled."""
    while True:
        asked = time.perf_counter() + period
        await asyncio.sleep(period)
        EVENT_LOOP_LAG_SECONDS.observe(max(0.0, time.perf_counter() - asked))


# --- traces: W3C Trace Context, https://www.w3.org/TR/trace-context/ ----------------------------------------
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)
_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def current_traceparent() -> str | None:
    """The span that the running task works for, as a `traceparent`; None outside any."""
    return _traceparent.get()


def new_traceparent(parent: str | None = None) -> str:
    """A new span: of the parent's trace where `parent` is a valid `traceparent`, of a new trace otherwise."""
    drawn = secrets.token_hex(24)
    match = _TRACEPARENT.fullmatch(parent) if parent else None
    if match is None or not _valid(match):
        return f"00-{drawn[:32]}-{drawn[32:]}-01"
    return f"00-{match[2]}-{drawn[32:]}-{match[4]}"


def _valid(match: re.Match[str]) -> bool:
    version, trace, span, _, rest = match.groups()
    return version != "ff" and bool(trace.strip("0") and span.strip("0")) and not (version == "00" and rest)


_tracing: Tracing | None = None


def trace_with(tracing: Tracing | None) -> None:
    """Record spans from now on; None: only pass traces on."""
    global _tracing  # noqa: PLW0603 - one of a process, as its metrics are
    _tracing = tracing


@contextmanager
def working_for(
    traceparent: str | None,
    request_id: str | None = None,
    *,
    name: str = "work",
    kind: str = "internal",
    links: Sequence[str] = (),
) -> Iterator[str]:
    """A span that continues `traceparent`: what is logged and emitted inside belongs to it.

    `name`, `kind` (server, consumer, producer, internal) and `links` (spans it works for, when they are several) are
    told to whoever records spans.
    """
    if _tracing is None:
        with _marked(new_traceparent(traceparent), request_id) as span:
            yield span
    else:
        with _tracing.span(name, traceparent, kind, links) as recorded, _marked(recorded, request_id) as span:
            yield span


@contextmanager
def _marked(span: str, request_id: str | None) -> Iterator[str]:
    traced, named = _traceparent.set(span), _request_id.set(request_id)
    try:
        yield span
    finally:
        _traceparent.reset(traced)
        _request_id.reset(named)


def describe_work(name: str, attributes: Mapping[str, str | int | float]) -> None:
    """Name the work of the running task by what is known only at its end; for those who record spans."""
    if _tracing is not None:
        _tracing.describe(name, attributes)


# --- logs ---------------------------------------------------------------------------------------------------
PRIVATE = frozenset({"phone", "name", "id_no", "authorization", "token", "text"})
"""Keys whose values are never written, also as the last part of a longer key (`reporter_phone`)."""
REDACTED = "[redacted]"
_NUMBERS = re.compile(r"(?<!\d)(?:1[3-9]\d{9}|\d{17}[\dXx])(?!\d)")
"""Mobile and identity numbers of the mainland, which error texts of other libraries may quote."""
_EXCEPTIONS_SHOWN = 5


def configure_logging(service: str, role: str, level: str = "info") -> None:
    """One JSON object a line on stdout, UTC; logs of libraries take the same way.

    A request at `debug` level is logged with its route and status; personal data is redacted at every level.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _context(service, role),
        _exceptions,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # At debug level it would write whole documents, with what people wrote into them.
    logging.getLogger("pymongo.command").setLevel(max(logging.INFO, logging.root.level))


def logger(module: str) -> structlog.typing.FilteringBoundLogger:
    """A logger: the first argument says what happened, keywords say with what."""
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger(module))


def redact(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The log entry without personal data or secrets."""
    return {key: _redacted(key, value) for key, value in entry.items()}


def _redacted(key: str, value: Any) -> Any:
    if key.lower().rpartition("_")[2] in PRIVATE or key.lower() in PRIVATE:
        return REDACTED
    if isinstance(value, str):
        return _NUMBERS.sub(REDACTED, value)
    if isinstance(value, Mapping):
        return {inner: _redacted(str(inner), content) for inner, content in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", content) for content in value]
    return value


def _context(service: str, role: str) -> structlog.typing.Processor:
    def add(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        entry["service"], entry["role"] = service, role
        if (request_id := _request_id.get()) is not None:
            entry["request_id"] = request_id
        if (traceparent := _traceparent.get()) is not None:
            entry["trace_id"] = traceparent[3:35]
        return entry

    return add


def _exceptions(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """`exc_info` as data: kind, message and places, without the values of variables or of refused input."""
    info = entry.pop("exc_info", None)
    error = info if isinstance(info, BaseException) else info[1] if isinstance(info, tuple) else None
    if info is True:
        error = sys.exc_info()[1]
    chain: list[dict[str, Any]] = []
    while error is not None and len(chain) < _EXCEPTIONS_SHOWN:
        chain.append({"kind": type(error).__qualname__, "message": _message(error), "at": _places(error)})
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if chain:
        entry["exception"] = chain
    return entry


def _message(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        return str(error.errors(include_input=False, include_url=False, include_context=False))
    return str(error)


def _places(error: BaseException) -> list[str]:
    places, step = [], error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        places.append(f"{code.co_filename}:{step.tb_lineno} {code.co_qualname}")
        step = step.tb_next
    return places


# What runs without a configuration, a test or a tool, tells only what is wrong, and no more about people.
structlog.configure(
    processors=[structlog.stdlib.add_log_level, _exceptions, redact, structlog.processors.JSONRenderer()],
    wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
)
