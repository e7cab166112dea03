"""A case as the public sees it, with its history."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from shared.contracts.reports import CaseState, Channel, Kind, Level, Stage


@dataclass(frozen=True)
class Happened:
    """One line of a case's history; `kind` is the event's name without prefix and version (`case-overdue`).

    `stage` is whose limit ran out, where one other than that of the work did (`case-stage-overdue`).
    """

    kind: str
    at: datetime
    unit: str | None = None
    stage: Stage | None = None


class Limit(NamedTuple):
    """Until when the stage has to be over."""

    stage: Stage
    due_at: datetime


@dataclass(frozen=True)
class Limits:
    """The limits that run for a case: `due_at` that of the work, `stage_due_at` that of the stage it is in.

    What has run out among them is what the badge, the filter and the figure call overdue; `level` is how late it is.
    """

    due_at: datetime | None
    stage: Stage | None = None
    stage_due_at: datetime | None = None
    level: Level | None = None

    @property
    def running(self) -> tuple[Limit, ...]:
        """That of the stage first. A reporter who is asked something delays nobody."""
        stage = () if self.stage in NOT_OF_OFFICES else ((self.stage, self.stage_due_at),)
        limits = (*stage, (Stage.RECTIFY, self.due_at))
        return tuple(Limit(stage, due_at) for stage, due_at in limits if stage is not None and due_at is not None)

    def overdue(self, now: datetime) -> tuple[Limit, ...]:
        """Those that have run out."""
        return tuple(limit for limit in self.running if limit.due_at < now)


NOT_OF_OFFICES = frozenset({None, Stage.ANSWER, Stage.RECTIFY})
"""Stages whose `stage_due_at` is no limit of its own: none, that of the reporter, and that of the work (`due_at`)."""


class ShownPlace(NamedTuple):
    """What everybody may know of a place besides its community: degrees (WGS-84) and address, or none of it."""

    longitude: float | None = None
    latitude: float | None = None
    address: str = ""


@dataclass
class CaseView:
    """A case as the public sees it. Times are UTC; `sequence` is the number of the newest event taken in.

    All else as in `shared.contracts.reports.CaseSnapshot`. The spot is None for those who may not know it.
    """

    id: str
    sequence: int
    state: CaseState
    channel: Channel
    category: str
    community: str
    longitude: float | None
    latitude: float | None
    address: str
    photos: tuple[str, ...]
    unit: str | None
    registered_at: datetime
    due_at: datetime | None
    closed_at: datetime | None
    overdue_at: datetime | None
    reworks: int
    timeline: list[Happened] = field(default_factory=list)
    kind: Kind = Kind.PROBLEM
    stage: Stage | None = None
    stage_due_at: datetime | None = None
    level: Level | None = None
    supporting: tuple[str, ...] = ()
    reply_photos: tuple[str, ...] = ()
    parent: str | None = None
    children: tuple[str, ...] = ()
    merged_into: str | None = None
    repeat_of: str | None = None
    reopens: int = 0
    satisfied: bool | None = None

    @property
    def spot(self) -> tuple[float, float] | None:
        """Longitude and latitude, where everybody may know them."""
        return None if self.longitude is None or self.latitude is None else (self.longitude, self.latitude)

    def without_place(self) -> CaseView:
        """The case with no more of its place than the community."""
        return replace(self, longitude=None, latitude=None, address="")

    @property
    def limits(self) -> Limits:
        """The limits that run for it now."""
        return Limits(self.due_at, self.stage, self.stage_due_at, self.level)

    def is_overdue(self, now: datetime) -> bool:
        """Whether a limit has run out, and what it is for has not been done yet."""
        return bool(self.limits.overdue(now))

    @property
    def step(self) -> int | None:
        """How far along STEPS the case is; None for one that is not on that way."""
        return None if self.kind is Kind.PRAISE else step_of(self.state)


STEPS = ("registered", "dispatched", "acknowledged", "replied", "verified", "closed")
"""The ordinary way of a case, as people see it."""
_STEP = {
    CaseState.REGISTERED: 0,
    CaseState.SITE_VERIFIED: 0,
    CaseState.FILED: 0,
    CaseState.RETURNED: 0,
    CaseState.DISPATCHED: 1,
    CaseState.ACKNOWLEDGED: 2,
    CaseState.RECTIFYING: 2,
    CaseState.REWORK: 2,
    CaseState.REPLIED: 3,
    CaseState.VERIFIED: 4,
    CaseState.CLOSED: 5,
}


def step_of(state: CaseState) -> int | None:
    """How far along STEPS a case in this state is; None for one that rests, or is handled elsewhere or not at all."""
    return _STEP.get(state)
