"""One event on its way: CloudEvents 1.0, binary mode on Kafka, structured JSON over HTTP.

`sequence` counts the events of one aggregate (`topic`, `subject`) from 1 without gaps; the identity
`topic/subject/sequence` is therefore the same however often the event is sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Generic, TypeGuard

from typing_extensions import TypeVar

from shared.contracts.event_model import MODELS, EventModel

SEQUENCE_DIGITS = 10
SEQUENCE_MOST_DIGITS = 18  # what a 64-bit integer of the database surely holds
JSON = "application/json"
JSON_BYTES = JSON.encode()
SAME_FOR_ALL = (
    ("content-type", JSON_BYTES),
    ("ce_specversion", b"1.0"),
    ("ce_sequencetype", b"Integer"),
)


M = TypeVar("M", bound=EventModel)
D_co = TypeVar("D_co", bound=EventModel, default=EventModel, covariant=True)
"""The data of an event; of an event that nobody has looked into yet, any model."""


class Undecodable(ValueError):
    """A record that is not an event of ours, or whose data does not fit its type."""


@dataclass(frozen=True)
class Event(Generic[D_co]):
    """An event with its envelope; `value` is the JSON of the data, `data` the model read from it."""

    topic: str
    type: str
    subject: str
    sequence: int
    time: datetime
    key: str
    value: bytes
    traceparent: str | None = None

    @classmethod
    def new(
        cls, model: EventModel, subject: str, sequence: int, time: datetime, traceparent: str | None = None
    ) -> Event[EventModel]:
        """The event that `model` becomes as number `sequence` of the aggregate `subject`."""
        value = model.__pydantic_serializer__.to_json(model)
        key = model.partition_key(subject)
        return Event(model.TOPIC, model.TYPE, subject, sequence, time, key, value, traceparent)

    @property
    def id(self) -> str:
        """The identity, equal for every copy of the event."""
        return f"{self.topic}/{self.subject}/{self.sequence}"

    @property
    def source(self) -> str:
        """The CloudEvents source: the service that owns the topic."""
        return "/chuangwen/" + self.topic.partition(".")[0]

    @cached_property
    def data(self) -> D_co:
        """The typed data. Raises Undecodable when the type is unknown or the data does not fit."""
        model = MODELS.get(self.type)
        if model is None:
            raise Undecodable(f"no model for the event type {self.type}")
        try:
            return model.model_validate_json(self.value)  # type: ignore[return-value]  # what D_co is, the type says
        except ValueError as error:
            raise Undecodable(f"{self.id}: {error}") from error

    def headers(self) -> list[tuple[str, bytes]]:
        """The Kafka headers of the binary mode (CloudEvents Kafka binding, section 3.2)."""
        pairs = [
            *SAME_FOR_ALL,
            ("ce_id", self.id.encode()),
            ("ce_source", self.source.encode()),
            ("ce_type", self.type.encode()),
            ("ce_subject", self.subject.encode()),
            ("ce_time", self.time.isoformat().encode()),
            ("ce_partitionkey", self.key.encode()),
            ("ce_sequence", b"%0*d" % (SEQUENCE_DIGITS, self.sequence)),
        ]
        if self.traceparent:
            pairs.append(("ce_traceparent", self.traceparent.encode()))
        return pairs

    @classmethod
    def from_kafka(
        cls,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Iterable[tuple[str, bytes | None]],
    ) -> Event[EventModel]:
        """The event in a Kafka record. Raises Undecodable for a record without our envelope.

        Headers that are not ours are not looked at. The data is not read yet: `data` may still raise.
        """
        values = {name: content for name, content in headers if content is not None}
        try:
            if values["ce_specversion"] != b"1.0" or not values["content-type"].startswith(JSON_BYTES):
                raise ValueError("not CloudEvents 1.0 in binary mode with JSON data")
            traceparent = values.get("ce_traceparent")
            return Event(
                topic=topic,
                type=values["ce_type"].decode(),
                subject=_text(values["ce_subject"]),
                sequence=_sequence(values["ce_sequence"]),
                time=_moment(values["ce_time"]),
                key=_text(key or b""),
                value=value or b"",
                traceparent=traceparent.decode() if traceparent else None,
            )
        except (KeyError, ValueError) as error:
            raise Undecodable(f"not an event: {error!r}") from error

    def to_http(self) -> dict[str, Any]:
        """The structured form for partners: the JSON of an `application/cloudevents+json` body."""
        envelope = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": self.time.isoformat(),
            "datacontenttype": JSON,
            "partitionkey": self.key,
            "sequence": str(self.sequence).zfill(SEQUENCE_DIGITS),
            "sequencetype": "Integer",
            "data": json.loads(self.value),
        }
        if self.traceparent:
            envelope["traceparent"] = self.traceparent
        return envelope


def carries(event: Event[EventModel], model: type[M]) -> TypeGuard[Event[M]]:
    """Whether the data of the event is of this kind. Raises Undecodable."""
    return isinstance(event.data, model)


def _text(content: bytes) -> str:
    if not content:
        raise ValueError("an empty subject or key")
    return content.decode()


def _sequence(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > SEQUENCE_MOST_DIGITS or (sequence := int(digits)) < 1:
        raise ValueError(f"a sequence of {digits[:SEQUENCE_MOST_DIGITS]!r}")
    return sequence


def _moment(content: bytes) -> datetime:
    moment = datetime.fromisoformat(content.decode())
    if moment.tzinfo is None:
        raise ValueError("a time without its offset")
    return moment
