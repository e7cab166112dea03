"""The AsyncAPI document: every topic, event and listener, for people and tools outside the code."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.json_schema import models_json_schema

from shared.contracts import PUBLISHED, TOPICS, Topic
from shared.contracts.event_model import EventModel
from shared.contracts.frozen import examples
from shared.contracts.wire import WRITTEN, Schema, WireSchema

BINDING_VERSION = "0.5.0"

INTRODUCTION = """\
创文平台各服务之间的事件。

Events of the 创文 (civilized city campaign) platform: CloudEvents 1.0 in binary mode, JSON data in the
record's value, attributes in its headers. All events of one aggregate stand on one topic in the order of
their `sequence`, which counts from 1 without gaps. The identity `<topic>/<subject>/<sequence>` is equal for
every copy, so a reader that meets it again skips it.

A type only ever gains optional fields and values of its open enums (`x-known-values`): ignore what you do not
know, and read an unknown value as `other`. Anything more is a new type, `….v2`."""

ATTRIBUTES = {
    "content-type": {"type": "string", "const": "application/json"},
    "ce_specversion": {"type": "string", "const": "1.0"},
    "ce_id": {"type": "string", "description": "`<topic>/<subject>/<sequence>`, equal for every copy."},
    "ce_source": {
        "type": "string",
        "format": "uri-reference",
        "description": "The topic's owner.",
    },
    "ce_type": {"type": "string", "description": "Names the message."},
    "ce_subject": {"type": "string", "description": "The aggregate that the event is about."},
    "ce_time": {"type": "string", "format": "date-time", "description": "When the fact was written down."},
    "ce_partitionkey": {"type": "string", "description": "Equal to the record's key."},
    "ce_sequence": {
        "type": "string",
        "pattern": "^[0-9]{10,18}$",
        "description": "The event's number within its aggregate, padded with zeros.",
    },
    "ce_sequencetype": {"type": "string", "const": "Integer"},
    "ce_traceparent": {"type": "string", "description": "W3C trace context, when there is one."},
}


def asyncapi(subscriptions: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The AsyncAPI 3.1 document of all topics; `subscriptions` maps each consumer group to its topics.

    A group is named `<service>.<purpose>`. Raises KeyError for a topic that does not exist.
    """
    names, schemas = _schemas()
    return {
        "asyncapi": "3.1.0",
        "info": {"title": "创文 Chuangwen events", "version": "1.0.0", "description": INTRODUCTION},
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS.values()},
        "operations": {**_sends(), **_receives(subscriptions)},
        "components": {
            "messages": {model.TYPE: _message(model, names[model]) for model in PUBLISHED.values()},
            "messageTraits": {"cloudevent": _cloudevent()},
            "schemas": schemas,
        },
    }


def asyncapi_text(subscriptions: Mapping[str, Sequence[str]]) -> str:
    """The document as the committed file has it."""
    return json.dumps(asyncapi(subscriptions), ensure_ascii=False, indent=2) + "\n"


def _schemas() -> tuple[dict[type[EventModel], Schema], dict[str, Schema]]:
    references, found = models_json_schema(
        [(model, WRITTEN) for model in PUBLISHED.values()],
        ref_template="#/components/schemas/{model}",
        schema_generator=WireSchema,
    )
    return {model: references[model, WRITTEN] for model in PUBLISHED.values()}, found["$defs"]


def _channel(topic: Topic) -> dict[str, Any]:
    channel = {
        "address": topic.name,
        "description": f"The aggregate is {topic.aggregate}.",
        "messages": {
            model.TYPE: {"$ref": f"#/components/messages/{model.TYPE}"}
            for model in PUBLISHED.values()
            if topic.name == model.TOPIC
        },
        "tags": [{"name": topic.owner}],
        "bindings": {"kafka": {"topic": topic.name, "partitions": topic.partitions, "bindingVersion": BINDING_VERSION}},
    }
    return channel | ({"x-internal": True} if topic.internal else {})


def _message(model: type[EventModel], payload: Schema) -> dict[str, Any]:
    key = f"The data's `{model.PARTITION_BY}`." if model.PARTITION_BY else "The aggregate, as in `ce_subject`."
    return {
        "name": model.TYPE,
        "title": model.__name__,
        "summary": inspect.cleandoc(model.__doc__ or ""),
        "traits": [{"$ref": "#/components/messageTraits/cloudevent"}],
        "payload": payload,
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": BINDING_VERSION}},
        "examples": [{"name": name, "payload": json.loads(value)} for name, value in examples(model.TYPE).items()],
    }


def _cloudevent() -> dict[str, Any]:
    required = [name for name in ATTRIBUTES if name != "ce_traceparent"]
    return {
        "contentType": "application/json",
        "headers": {"type": "object", "required": required, "properties": ATTRIBUTES},
    }


def _sends() -> dict[str, Any]:
    return {
        f"{topic.owner}.send.{topic.name}": {
            "action": "send",
            "channel": {"$ref": f"#/channels/{topic.name}"},
            "tags": [{"name": topic.owner}],
        }
        for topic in TOPICS.values()
    }


def _receives(subscriptions: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    return {
        f"{group}.receive.{TOPICS[topic].name}": {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{topic}"},
            "tags": [{"name": group.partition(".")[0]}],
            "bindings": {
                "kafka": {
                    "groupId": {"type": "string", "enum": [group]},
                    "bindingVersion": BINDING_VERSION,
                }
            },
        }
        for group, topics in subscriptions.items()
        for topic in topics
    }
