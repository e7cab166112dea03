"""By which channels problems come in, who may use each, and in which capacity somebody then reports."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.reports import Channel, ReporterKind
from shared.errors import Forbidden

VOLUNTEER = "volunteer"
"""The role of a registered volunteer."""


@dataclass(frozen=True)
class Entrance:
    """Who may file by a channel (None: anybody) and for which reporters, the usual one first."""

    roles: frozenset[str] | None
    reporters: tuple[ReporterKind, ...]


_DESK = frozenset({"dispatcher", "office", "service"})
ENTRANCES = {
    Channel.CITIZEN: Entrance(None, (ReporterKind.CITIZEN, ReporterKind.VOLUNTEER)),
    Channel.STAFF: Entrance(_DESK, (ReporterKind.CITIZEN, ReporterKind.VOLUNTEER, ReporterKind.STAFF)),
    Channel.HOTLINE: Entrance(_DESK, (ReporterKind.CITIZEN, ReporterKind.VOLUNTEER)),
    Channel.PATROL: Entrance(_DESK | {"verifier"}, (ReporterKind.STAFF, ReporterKind.VOLUNTEER)),
    Channel.MEDIA: Entrance(_DESK, (ReporterKind.JOURNALIST, ReporterKind.CITIZEN)),
}
"""Channels that people file by. Findings of inspectors come as events only, so nobody can claim to be one."""


@dataclass
class Origin:
    """What a case came from outside this service, so that it comes once. Times are UTC.

    `id` is where it is known and its identity there: `inspections.visit/<visit>/<finding>`, `hotline/<order>`.
    `photos` are pictures that are kept there.
    """

    id: str
    case: str
    at: datetime
    photos: tuple[str, ...] = ()


def reporter_of(channel: Channel, claimed: ReporterKind | None, roles: Collection[str]) -> ReporterKind:
    """In which capacity somebody reports whose case a caller with these roles files; untold, as is usual there.

    Raises Forbidden: channel-reserved; reporter-kind-reserved for one that does not come by this channel, and for
    a volunteer whom nobody vouches for.
    """
    entrance = ENTRANCES.get(channel)
    if entrance is None or (entrance.roles is not None and entrance.roles.isdisjoint(roles)):
        raise Forbidden("channel-reserved", field="channel", channel=channel.value)
    kind = claimed or entrance.reporters[0]
    unproved = kind is ReporterKind.VOLUNTEER and entrance.roles is None and VOLUNTEER not in roles
    if kind not in entrance.reporters or unproved:
        raise Forbidden("reporter-kind-reserved", field="reporter_kind", kind=kind.value)
    return kind
