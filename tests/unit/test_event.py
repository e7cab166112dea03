"""Event: CloudEvents in binary mode on Kafka and structured over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from shared.clock import to_milliseconds
from shared.contracts import MODELS, PUBLISHED
from shared.contracts.frozen import examples
from shared.contracts.reports import CaseRegistered
from shared.contracts.scoring import ChargeMade
from shared.event import Event, Undecodable

NOW = datetime(2026, 4, 1, 1, 12, 8, 431000, UTC)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SAMPLES = [
    model.model_validate_json(value)
    for event_type, model in PUBLISHED.items()
    for value in examples(event_type).values()
]
REGISTERED = next(sample for sample in SAMPLES if isinstance(sample, CaseRegistered))

events = st.builds(
    Event.new,
    st.sampled_from(SAMPLES),
    subject=st.text(min_size=1) | st.sampled_from(["祥云社区", "🧹🏙️", "a/b", " "]),
    sequence=st.integers(1, 10**18 - 1),
    time=st.datetimes(timezones=st.just(UTC)).map(to_milliseconds),
    traceparent=st.none() | st.just(TRACE),
)


def received(event: Event, **changes: bytes | None) -> Event:
    """The event after Kafka, with some headers (`_` for `-`) replaced, or gone when None."""
    headers: dict[str, bytes | None] = dict(event.headers())
    for name, content in changes.items():
        headers[name.replace("content_type", "content-type")] = content
    return Event.from_kafka(event.topic, event.key.encode(), event.value, headers.items())


@given(events)
def test_kafka_returns_what_it_was_given(event: Event) -> None:
    assert received(event) == event
    assert received(event).data == event.data


def test_headers_are_those_of_the_binary_mode() -> None:
    event = Event.new(REGISTERED, "案件-1", 7, NOW, TRACE)
    assert sorted(event.headers()) == sorted(
        [
            ("content-type", b"application/json"),
            ("ce_specversion", b"1.0"),
            ("ce_id", "reports.case/案件-1/7".encode()),
            ("ce_source", b"/chuangwen/reports"),
            ("ce_type", b"chuangwen.reports.case-registered.v1"),
            ("ce_subject", "案件-1".encode()),
            ("ce_time", b"2026-04-01T01:12:08.431000+00:00"),
            ("ce_partitionkey", "案件-1".encode()),
            ("ce_sequence", b"0000000007"),
            ("ce_sequencetype", b"Integer"),
            ("ce_traceparent", TRACE.encode()),
        ]
    )


def test_without_a_trace_there_is_no_trace_header() -> None:
    event = Event.new(REGISTERED, "1", 1, NOW)
    assert "ce_traceparent" not in dict(event.headers())
    assert "traceparent" not in event.to_http()


def test_sequences_sort_as_texts_as_they_do_as_numbers() -> None:
    numbers = [1, 2, 9, 10, 99, 1_000_000]
    events = [dict(Event.new(REGISTERED, "1", number, NOW).headers())["ce_sequence"] for number in numbers]
    assert sorted(events) == events


@given(events)
def test_http_tells_the_same_in_json(event: Event) -> None:
    published: dict[str, Any] = json.loads(json.dumps(event.to_http()))
    assert all(name.isalnum() and name.islower() for name in published), "names CloudEvents allows"
    assert published.pop("data") == json.loads(event.value)
    assert published.pop("datacontenttype") == "application/json"
    headers = {name.removeprefix("ce_"): content.decode() for name, content in event.headers()}
    assert published == {name: content for name, content in headers.items() if name != "content-type"}


def test_a_charge_is_partitioned_by_its_unit() -> None:
    charge = next(sample for sample in SAMPLES if isinstance(sample, ChargeMade))
    event = Event.new(charge, f"{charge.case}:{charge.unit}", 1, NOW)
    assert (event.key, event.subject) == (charge.unit, f"{charge.case}:{charge.unit}")
    assert received(event).key == charge.unit


def test_headers_of_others_are_not_looked_at() -> None:
    event = Event.new(REGISTERED, "1", 1, NOW)
    assert received(event, x_binary=b"\xff\xfe", ce_future=b"\x80", x_null=None) == event


@pytest.mark.parametrize(
    "changes",
    [
        {"ce_specversion": None},
        {"ce_specversion": b"0.3"},
        {"content_type": None},
        {"content_type": b"application/cloudevents+json; charset=UTF-8"},
        {"content_type": b"application/avro"},
        {"ce_type": None},
        {"ce_type": b"\xff"},
        {"ce_subject": None},
        {"ce_subject": b""},
        {"ce_sequence": None},
        {"ce_sequence": b""},
        {"ce_sequence": b"0"},
        {"ce_sequence": b"-1"},
        {"ce_sequence": b"1_0"},
        {"ce_sequence": b" 1"},
        {"ce_sequence": "１".encode()},
        {"ce_sequence": b"1" * 19},
        {"ce_sequence": b"9" * 5000},
        {"ce_time": None},
        {"ce_time": b"yesterday"},
        {"ce_time": b"2026-04-01T09:12:08"},
        {"ce_traceparent": b"\xff"},
    ],
)
def test_a_wrong_envelope_is_undecodable(changes: dict[str, bytes | None]) -> None:
    with pytest.raises(Undecodable):
        received(Event.new(REGISTERED, "1", 1, NOW), **changes)


@pytest.mark.parametrize("key", [None, b"", b"\xff"])
def test_a_record_without_a_key_has_no_place_in_the_order(key: bytes | None) -> None:
    event = Event.new(REGISTERED, "1", 1, NOW)
    with pytest.raises(Undecodable):
        Event.from_kafka(event.topic, key, event.value, event.headers())


names = st.sampled_from([name for name, _ in Event.new(REGISTERED, "1", 1, NOW, TRACE).headers()]) | st.text()


@given(
    st.none() | st.binary(), st.none() | st.binary(), st.lists(st.tuples(names, st.none() | st.binary()), max_size=14)
)
def test_garbage_is_undecodable_and_nothing_else(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    with pytest.raises(Undecodable):
        Event.from_kafka("reports.case", key, value, headers)


@given(names, st.none() | st.binary() | st.text().map(str.encode))
@example("ce_time", b"9999-12-31T23:59:59-23:59")
@example("ce_time", b"0001-01-01T00:00:00+23:59")
def test_one_garbled_header_is_undecodable_or_harmless(name: str, content: bytes | None) -> None:
    event = Event.new(REGISTERED, "1", 1, NOW)
    try:
        read = received(event, **{name: content})
    except Undecodable:
        return
    assert read.value == event.value
    assert read.sequence >= 1
    assert read.time.utcoffset() is not None


@pytest.mark.parametrize("value", [None, b"", b"null", b"[]", b"{}", b"\xff", b'{"case": 1}', b"[" * 100_000])
def test_data_that_does_not_fit_is_undecodable(value: bytes | None) -> None:
    event = Event.new(REGISTERED, "1", 1, NOW)
    broken = Event.from_kafka(event.topic, b"1", value, event.headers())
    with pytest.raises(Undecodable):
        _ = broken.data


@given(st.binary())
def test_random_data_is_undecodable(value: bytes) -> None:
    event = Event.new(REGISTERED, "1", 1, NOW)
    with pytest.raises(Undecodable):
        _ = Event.from_kafka(event.topic, b"1", value, event.headers()).data


@given(st.text().filter(lambda name: name not in MODELS))
def test_data_of_an_unknown_type_is_undecodable(event_type: str) -> None:
    event = received(Event.new(REGISTERED, "1", 1, NOW), ce_type=event_type.encode())
    assert event.type == event_type
    with pytest.raises(Undecodable):
        _ = event.data


@given(st.timedeltas(timedelta(0), timedelta(days=3650)), st.integers(1, 10**9))
def test_the_identity_is_the_place_in_the_order_and_nothing_else(later: timedelta, sequence: int) -> None:
    assume(sequence != 1)
    first = Event.new(REGISTERED, "1", 1, NOW)
    assert Event.new(REGISTERED, "1", 1, NOW + later, TRACE).id == first.id
    assert Event.new(REGISTERED, "1", sequence, NOW).id != first.id
