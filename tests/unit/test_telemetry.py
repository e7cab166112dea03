"""Metrics, traces and logs: bounded, connected, and silent about people."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from pydantic import BaseModel, ValidationError

from shared import telemetry

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CANARIES = ("13812345678", "430406199001011234", "李小明", "secret-token")
UNBOUNDED = {"id", "case", "user", "subject", "path", "url", "event_id", "request_id", "key"}


@contextmanager
def logging_configured() -> Iterator[None]:
    """Logging as a service has it; pytest's own handlers are put back afterwards."""
    before, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    logging.root.handlers.clear()
    telemetry.configure_logging("reports", "api", "info")
    try:
        yield
    finally:
        structlog.configure(**before)
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_metric_is_exposed_with_a_help_text_and_bounded_labels() -> None:
    content, media_type = telemetry.exposition()
    text = content.decode()
    assert media_type.startswith("text/plain")
    metrics = {name: value for name, value in vars(telemetry).items() if name.isupper() and hasattr(value, "describe")}
    assert "HTTP_SERVER_REQUEST_DURATION_SECONDS" in metrics
    for name, metric in metrics.items():
        (family,) = metric.describe()
        assert family.name == name.lower()
        assert family.documentation
        assert f"# HELP {family.name}" in text
        assert UNBOUNDED.isdisjoint(metric._labelnames)


async def test_the_lag_of_the_event_loop_is_observed(monkeypatch: pytest.MonkeyPatch) -> None:
    observed: asyncio.Queue[float] = asyncio.Queue()
    monkeypatch.setattr(telemetry.EVENT_LOOP_LAG_SECONDS, "observe", observed.put_nowait)
    watch = asyncio.create_task(telemetry.watch_event_loop(period=0))
    assert [await observed.get() >= 0 for _ in range(3)] == [True] * 3
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch


def test_a_trace_is_continued_with_a_span_of_its_own() -> None:
    span = telemetry.new_traceparent(PARENT)
    assert span.split("-")[1] == PARENT.split("-")[1]
    assert span.split("-")[2] != PARENT.split("-")[2]


@pytest.mark.parametrize(
    "parent",
    [
        None,
        "",
        "garbage",
        PARENT.upper(),
        PARENT + "-more",
        PARENT.replace("00-", "ff-", 1),
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
    ],
)
def test_a_bad_parent_starts_a_new_trace(parent: str | None) -> None:
    version, trace, span, flags = telemetry.new_traceparent(parent).split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")
    assert trace not in (parent or "")


def test_a_future_version_is_continued_in_ours() -> None:
    assert telemetry.new_traceparent(PARENT.replace("00-", "01-", 1) + "-x").startswith(PARENT[:36])


def test_the_trace_is_known_inside_and_only_inside() -> None:
    assert telemetry.current_traceparent() is None
    with telemetry.working_for(PARENT) as span:
        assert telemetry.current_traceparent() == span
        with telemetry.working_for(span) as inner:
            assert telemetry.current_traceparent() == inner
        assert telemetry.current_traceparent() == span
    assert telemetry.current_traceparent() is None


def test_a_line_says_when_where_and_for_whom(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_configured(), telemetry.working_for(PARENT, "r-1"):
        telemetry.logger("shared.x").info("case filed", category="垃圾")
        logging.getLogger("aiokafka").warning("joined %s", "group")
    ours, theirs = _lines(capsys)
    for line in (ours, theirs):
        assert line["service"] == "reports"
        assert line["role"] == "api"
        assert line["request_id"] == "r-1"
        assert line["trace_id"] == PARENT.split("-")[1]
        assert str(line["timestamp"]).endswith("Z")
    assert ours["event"] == "case filed"
    assert ours["category"] == "垃圾"
    assert theirs["event"] == "joined group"
    assert theirs["logger"] == "aiokafka"


def test_nothing_below_the_level_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_configured():
        telemetry.logger("shared.x").debug("request")
        logging.getLogger("lib").debug("detail")
    assert _lines(capsys) == []


class Person(BaseModel):
    name: int


def test_people_and_secrets_are_never_written(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_configured():
        log = telemetry.logger("shared.x")
        log.warning(
            "call 13812345678",
            reporter_name="李小明",
            Phone="13812345678",
            nested={"text": "李小明", "list": [{"id_no": "430406199001011234"}], "note": "430406199001011234"},
            headers={"Authorization": "Bearer secret-token"},
            token="secret-token",
        )
        logging.getLogger("lib").warning("dup key: { phone: 13812345678 }", extra={"token": "secret-token"})
        try:
            Person.model_validate({"name": "李小明"})
        except ValidationError:
            log.exception("bad document")
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 3
    for canary in CANARIES:
        assert canary not in out


def test_an_exception_is_told_with_its_cause_and_places(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_configured():
        try:
            try:
                raise KeyError("inner")
            except KeyError as cause:
                raise RuntimeError("outer") from cause
        except RuntimeError:
            telemetry.logger("shared.x").exception("failed")
    (line,) = _lines(capsys)
    assert [step["kind"] for step in line["exception"]] == ["RuntimeError", "KeyError"]
    assert "test_telemetry.py" in line["exception"][0]["at"][0]


def test_an_exception_that_is_its_own_context_ends(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = RuntimeError("first"), RuntimeError("second")
    first.__context__, second.__context__ = second, first
    with logging_configured():
        telemetry.logger("shared.x").error("failed", exc_info=first)
    (line,) = _lines(capsys)
    assert len(line["exception"]) == 5


def test_documents_are_not_written_at_any_level(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_configured():
        telemetry.configure_logging("reports", "api", "debug")
        logging.getLogger("pymongo.connection").debug("a connection")
        logging.getLogger("pymongo.command").debug('{"text": "我住三楼"}')
        assert [line["event"] for line in _lines(capsys)] == ["a connection"]
