"""The AsyncAPI document: as committed, as the specification's own schema wants it, and complete."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from shared.contracts import PUBLISHED, SUBSCRIPTIONS, TOPICS
from shared.contracts.__main__ import main
from shared.contracts.documents import asyncapi

COMMITTED = Path(__file__).parents[2] / "docs" / "asyncapi.json"
OFFICIAL = Path(__file__).parent / "asyncapi_schema" / "3.1.0.json"


@pytest.fixture(scope="module")
def official() -> Draft7Validator:
    return Draft7Validator(json.loads(OFFICIAL.read_text(encoding="utf-8")))


@pytest.fixture
def document() -> dict[str, Any]:
    return copy.deepcopy(asyncapi(SUBSCRIPTIONS))


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def resolve(document: Any, reference: str) -> Any:
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


def test_the_command_prints_the_committed_document(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["asyncapi"]) == 0
    assert capfdbinary.readouterr().out == COMMITTED.read_bytes(), (
        "run: python -m shared.contracts asyncapi > docs/asyncapi.json"
    )


def test_it_is_valid_asyncapi(official: Draft7Validator, document: dict[str, Any]) -> None:
    assert [error.message for error in official.iter_errors(document)] == []


@pytest.mark.parametrize(
    ("path", "nonsense"),
    [
        ("info", {"title": "no version"}),
        ("channels/reports.case/bindings/kafka/partitions", "many"),
        ("channels/reports.case/bindings/kafka/bindingVersion", "9.9.9"),
        ("operations/reports.send.reports.case/action", "shout"),
        ("components/messages/chuangwen.reports.case-closed.v1/bindings/kafka/key", 5),
        ("components/schemas/Place/properties/latitude/type", "latitude"),
    ],
)
def test_the_official_schema_does_judge_these_places(
    official: Draft7Validator, document: dict[str, Any], path: str, nonsense: object
) -> None:
    parent, _, name = path.rpartition("/")
    place = resolve(document, parent) if parent else document
    assert name in place
    place[name] = nonsense
    assert not official.is_valid(document)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert {reference for reference in found if not resolve(document, reference)} == set()
    assert {f"#/components/messages/{event_type}" for event_type in PUBLISHED} <= found
    assert {f"#/components/schemas/{name}" for name in document["components"]["schemas"]} <= found


def test_every_topic_is_sent_by_its_owner_and_received_as_told(document: dict[str, Any]) -> None:
    operations = {
        (each["action"], each["tags"][0]["name"], each["channel"]["$ref"].removeprefix("#/channels/"))
        for each in document["operations"].values()
    }
    assert operations == {("send", topic.owner, topic.name) for topic in TOPICS.values()} | {
        ("receive", group.split(".")[0], topic) for group, topics in SUBSCRIPTIONS.items() for topic in topics
    }
    groups = {
        group
        for each in document["operations"].values()
        if each["action"] == "receive"
        for group in each["bindings"]["kafka"]["groupId"]["enum"]
    }
    assert groups == set(SUBSCRIPTIONS)


def test_listening_to_a_topic_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError):
        asyncapi({"portal.cases": ["reports.cases"]})
