"""What every published event shares."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class OpenEnum(StrEnum):
    """An enum on the wire: a string this reader does not know yet is read as `other`.

    Adding a value would otherwise break every reader that is deployed later. Every subclass declares `OTHER`.
    Only strings are open: a number or null is still refused, because that would be another type.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.__members__.get("OTHER") != "other":
            raise TypeError(f"{cls.__name__} must declare OTHER = 'other'")

    @classmethod
    def _missing_(cls, value: object) -> OpenEnum | None:
        return cls("other") if isinstance(value, str) else None


class EventPart(BaseModel):
    """A part of an event: frozen; fields a reader does not know are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class EventModel(EventPart):
    """The data of one published event, version included in its type.

    `TOPIC` is `<service>.<aggregate>`; `TYPE` is `chuangwen.<service>.<aggregate>-<fact>.v<N>`. Subclassing
    with both set registers the model. `partition_key` may name a field to partition by instead of the
    aggregate; the aggregate's identity must then determine it.
    """

    TOPIC: ClassVar[str] = ""
    TYPE: ClassVar[str] = ""
    PARTITION_BY: ClassVar[str | None] = None
    ONLY_LAST: ClassVar[bool] = False
    """The event carries the whole state: of several in one unit of work only the last is published."""

    def partition_key(self, subject: str) -> str:
        """The Kafka key: the aggregate itself unless the event says otherwise."""
        return str(getattr(self, self.PARTITION_BY)) if self.PARTITION_BY else subject

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if cls.TYPE:
            known = MODELS.setdefault(cls.TYPE, cls)
            if known is not cls:
                raise TypeError(f"two models claim the event type {cls.TYPE}")


MODELS: dict[str, type[EventModel]] = {}
