"""What a group listens to, and what it does about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Literal

from typing_extensions import TypeVar

from shared.contracts import EventModel
from shared.event import Event, carries
from shared.store import UnitOfWork

M = TypeVar("M", bound=EventModel)
R_contra = TypeVar("R_contra", contravariant=True, default=object)
"""What the service holds besides its store: whoever asks for less, or for nothing (`object`), fits, too."""

Handler = Callable[[UnitOfWork, Event[M], R_contra], Awaitable[None]]
Prefetch = Callable[[UnitOfWork, Sequence[Event], R_contra], Awaitable[None]]


@dataclass(frozen=True)
class Reaction(Generic[R_contra]):
    """What a group does about events of one type; made by `on`."""

    model: type[EventModel]
    handle: Handler[EventModel, R_contra]


def on(model: type[M], handler: Handler[M, R_contra]) -> Reaction[R_contra]:
    """Events of this type go to the handler, with the service's resources."""

    async def handle(uow: UnitOfWork, event: Event, resources: R_contra) -> None:
        if carries(event, model):
            await handler(uow, event, resources)

    return Reaction(model, handle)


@dataclass(frozen=True)
class Subscription(Generic[R_contra]):
    """What a group listens to and what it does about it.

    Events without a reaction, those of types that this version does not know among them, are marked as handled and
    not even read. `prefetch` may load what the handlers of a batch will ask for in one round trip; it may be called
    with events that turn out to be duplicates.

    `on_poison`: `park_key` (order matters), `skip` (every event carries the whole state) or `stop`. `on_gap`: `hold`
    what comes before its predecessor until that has come, `apply` it and count (what comes late is then superseded),
    or `stop`. `order`: what waits behind a parked event: later ones of its `aggregate`, or all of its `key`, where
    the effects on whatever the key names depend on each other.

    `gather`: seconds a busy group waits for more records before it begins a transaction.
    """

    group: str
    topics: tuple[str, ...]
    reactions: Sequence[Reaction[R_contra]]
    prefetch: Prefetch[R_contra] | None = None
    on_poison: Literal["park_key", "skip", "stop"] = "park_key"
    on_gap: Literal["hold", "apply", "stop"] = "hold"
    order: Literal["aggregate", "key"] = "aggregate"
    batch: int = 200
    gather: float = 0.003

    @cached_property
    def handlers(self) -> Mapping[str, Handler[EventModel, R_contra]]:
        """What it does, by the type of the event."""
        return {reaction.model.TYPE: reaction.handle for reaction in self.reactions}

    async def handle(self, uow: UnitOfWork, event: Event, resources: R_contra) -> None:
        """React to the event, if the group does. Raises Undecodable and what a handler raises."""
        handler = self.handlers.get(event.type)
        if handler is not None:
            await handler(uow, event, resources)
