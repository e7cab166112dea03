"""Every promise on file is kept by today's models: schemas, examples, and all data a schema allows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts import PUBLISHED, TOPICS, EventModel
from shared.contracts.frozen import EXAMPLES, broken_promises, examples, history, unfrozen
from shared.contracts.wire import KNOWN_VALUES, Schema, wire_schema
from tests.contract.wire_data import misfits, written_by

EVERY_TYPE = pytest.mark.parametrize("event_type", PUBLISHED)
EVERY_EXAMPLE = pytest.mark.parametrize(
    ("event_type", "value"),
    [
        pytest.param(event_type, value, id=f"{event_type}/{name}")
        for event_type in PUBLISHED
        for name, value in examples(event_type).items()
    ],
)


def wire(model: EventModel) -> Any:
    return json.loads(model.model_dump_json())


def reshaped(schema: Schema, data: Any, change: Callable[[Schema, Any], Any]) -> Any:
    """The data with every part, innermost first, put through `change`."""
    if data is None:
        return None
    if "anyOf" in schema:
        return reshaped(schema["anyOf"][0], data, change)
    if isinstance(data, dict):
        data = {name: reshaped(schema["properties"][name], part, change) for name, part in data.items()}
    if isinstance(data, list):
        data = [reshaped(schema["items"], part, change) for part in data]
    return change(schema, data)


def keeps(read: Any, content: Any) -> bool:
    """Whether everything told was read; an older example lacks the fields added since."""
    if isinstance(content, dict):
        return all(name in read and keeps(read[name], part) for name, part in content.items())
    if isinstance(content, list):
        return len(read) == len(content) and all(map(keeps, read, content))
    return bool(read == content)


def announced_fields(schema: Schema, data: Any, at: str = "") -> Iterator[str]:
    """Paths of the fields that the data fills with something else than their default."""
    for name, part in schema.get("properties", {}).items():
        if name in data and data[name] != part.get("default", ...):
            yield f"{at}.{name}"
            if isinstance(data[name], dict):
                yield from announced_fields(part, data[name], f"{at}.{name}")


def all_fields(schema: Schema, at: str = "") -> Iterator[str]:
    for name, part in schema.get("properties", {}).items():
        yield f"{at}.{name}"
        yield from all_fields(part, f"{at}.{name}")


def test_no_frozen_promise_is_broken() -> None:
    assert broken_promises(PUBLISHED) == []


def test_every_model_is_frozen_as_it_is() -> None:
    assert unfrozen(PUBLISHED) == {}, "run: python -m shared.contracts freeze"


@EVERY_TYPE
def test_types_are_named_after_their_topic(event_type: str) -> None:
    topic = PUBLISHED[event_type].TOPIC
    assert topic in TOPICS
    assert re.fullmatch(rf"chuangwen\.{re.escape(topic)}-[a-z-]+\.v[1-9]\d*", event_type)


@EVERY_TYPE
def test_every_type_has_examples(event_type: str) -> None:
    assert len(examples(event_type)) >= 2


@pytest.mark.parametrize("topic", TOPICS)
def test_the_examples_of_a_topic_show_every_field_in_use(topic: str) -> None:
    schemas = {name: wire_schema(model) for name, model in PUBLISHED.items() if topic == model.TOPIC}
    shown = {
        field
        for name, schema in schemas.items()
        for value in examples(name).values()
        for field in announced_fields(schema, json.loads(value))
    }
    assert {field for schema in schemas.values() for field in all_fields(schema)} == shown


def test_no_example_is_left_without_a_type() -> None:
    assert {folder.name for folder in EXAMPLES.iterdir()} == set(PUBLISHED)


@EVERY_EXAMPLE
def test_the_newest_model_reads_every_example_and_loses_nothing(event_type: str, value: bytes) -> None:
    assert keeps(wire(PUBLISHED[event_type].model_validate_json(value)), json.loads(value))


@EVERY_EXAMPLE
def test_every_revision_accepts_every_example(event_type: str, value: bytes) -> None:
    assert [misfits(schema, json.loads(value)) for schema in history(event_type)] == [[]] * len(history(event_type))


@EVERY_EXAMPLE
def test_unknown_fields_are_ignored_at_every_depth(event_type: str, value: bytes) -> None:
    model = PUBLISHED[event_type]
    extended = reshaped(
        wire_schema(model),
        json.loads(value),
        lambda _, data: data | {"未来": [{"🚀": 1}]} if isinstance(data, dict) else data,
    )
    assert extended != json.loads(value)
    assert model.model_validate_json(json.dumps(extended)) == model.model_validate_json(value)


def _tomorrow(schema: Schema, data: Any) -> Any:
    return "明天的值" if KNOWN_VALUES in schema else data


def _other(schema: Schema, data: Any) -> Any:
    return "other" if KNOWN_VALUES in schema else data


@EVERY_EXAMPLE
def test_unknown_enum_values_are_read_as_other_and_fit_every_schema(event_type: str, value: bytes) -> None:
    model, schema = PUBLISHED[event_type], wire_schema(PUBLISHED[event_type])
    found = wire(model.model_validate_json(value))
    tomorrow = reshaped(schema, found, _tomorrow)
    assert wire(model.model_validate_json(json.dumps(tomorrow))) == reshaped(schema, found, _other)
    assert all(misfits(revision, tomorrow) == [] for revision in history(event_type))


@EVERY_TYPE
@settings(max_examples=25, deadline=None)
@given(draw=st.data())
def test_whatever_an_old_writer_wrote_is_read_and_what_is_written_fits(event_type: str, draw: st.DataObject) -> None:
    model, revisions = PUBLISHED[event_type], history(event_type)
    written = draw.draw(st.sampled_from(revisions).flatmap(written_by))
    read = model.model_validate_json(json.dumps(written))
    assert [misfits(revision, wire(read)) for revision in revisions] == [[]] * len(revisions)
    assert model.model_validate_json(read.model_dump_json()) == read
