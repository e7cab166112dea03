"""The case (案件): one problem from registration to sign-off, with the time limit its unit works under.

    registered ──dispatch──▶ dispatched ──acknowledge──▶ acknowledged ──reply──▶ replied ──pass──▶ verified
                                                                       ▲    │                       │ close
                                                                 reply │    │ fail                  ▼
                                                                      rework ◀                    closed

A reply stops the clock but never closes a case: somebody outside the unit has to find the work done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from services.reports.domain.catalogue import Category
from services.reports.domain.routing import Routing
from services.reports.domain.writing import ADDRESS_LIMIT, NAME_LIMIT, phone_number, plain_text
from shared import contracts
from shared.clock import CHINA
from shared.contracts.reports import (
    CaseAcknowledged,
    CaseClosed,
    CaseDispatched,
    CaseEvent,
    CaseOverdue,
    CaseRegistered,
    CaseReplied,
    CaseReworkOrdered,
    CaseSnapshot,
    CaseState,
    CaseVerified,
    Channel,
)
from shared.errors import Forbidden, Invalid, Refused
from shared.workdays import Limit, WorkCalendar

PHOTO_LIMIT = 3
Events = tuple[CaseEvent, ...]


class Command(StrEnum):
    """What can be done to a case; a verification has two outcomes."""

    REGISTER = "register"
    DISPATCH = "dispatch"
    ACKNOWLEDGE = "acknowledge"
    REPLY = "reply"
    VERIFY_PASSED = "verify-passed"
    VERIFY_FAILED = "verify-failed"
    CLOSE = "close"
    MARK_OVERDUE = "mark-overdue"


S, C = CaseState, Command
TRANSITIONS: dict[tuple[CaseState, Command], CaseState] = {
    (S.REGISTERED, C.DISPATCH): S.DISPATCHED,
    (S.DISPATCHED, C.ACKNOWLEDGE): S.ACKNOWLEDGED,
    (S.ACKNOWLEDGED, C.REPLY): S.REPLIED,
    (S.REPLIED, C.VERIFY_PASSED): S.VERIFIED,
    (S.REPLIED, C.VERIFY_FAILED): S.REWORK,
    (S.REWORK, C.REPLY): S.REPLIED,
    (S.VERIFIED, C.CLOSE): S.CLOSED,
    (S.DISPATCHED, C.MARK_OVERDUE): S.DISPATCHED,
    (S.ACKNOWLEDGED, C.MARK_OVERDUE): S.ACKNOWLEDGED,
    (S.REWORK, C.MARK_OVERDUE): S.REWORK,
}


@dataclass(frozen=True)
class Place:
    """A spot: WGS-84 degrees, the community (statistical code, "" for none) and the datum it was given in."""

    longitude: float
    latitude: float
    community: str
    address: str = ""
    crs: str = "wgs84"


@dataclass(frozen=True)
class Reporter:
    """Who reported, if they said so. Never leaves this service's database."""

    name: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Fact:
    """One line of a case's history: what happened, when (UTC), by which unit (None: a citizen or the clock)."""

    at: datetime
    command: Command
    by: str | None = None
    note: str = ""


@dataclass
class Case:
    """A problem and what was done about it. Times are UTC.

    `limit` and `points` are those of the category's version at registration. `due_at` is set while a limit
    runs or has run out unanswered; `deadline_at` is the same moment until the case has been marked overdue for
    it: what a poller looks for. `overdue_at` is the last moment a limit ran out (not when it was noticed), so
    a case is overdue now when it equals `due_at`. `replied_at` and `verified_at` belong to the standing reply
    and are cleared by a rework.
    """

    id: str
    state: CaseState
    category: str
    category_version: int
    channel: Channel
    place: Place
    limit: str
    points: Decimal
    public: bool
    registered_at: datetime
    text: str = field(default="", repr=False)
    reporter: Reporter | None = field(default=None, repr=False)
    photos: tuple[str, ...] = ()
    unit: str | None = None
    dispatched_at: datetime | None = None
    due_at: datetime | None = None
    deadline_at: datetime | None = None
    acknowledged_at: datetime | None = None
    replied_at: datetime | None = None
    verified_at: datetime | None = None
    closed_at: datetime | None = None
    overdue_at: datetime | None = None
    reworks: int = 0
    timeline: list[Fact] = field(default_factory=list)

    @classmethod
    def register(
        cls,
        *,
        id: str,
        category: Category,
        channel: Channel,
        place: Place,
        routing: Routing,
        now: datetime,
        calendar: WorkCalendar,
        text: str = "",
        reporter: Reporter | None = None,
        photos: Sequence[str] = (),
        by_unit: str | None = None,
    ) -> tuple[Case, Events]:
        """A new case; dispatched at once when the routing found a unit, otherwise in the office's queue.

        Raises Invalid: too-many-photos, photo-required (citizens, where the category asks for one), and what
        `plain_text` and `phone_number` raise.
        """
        if len(photos) > PHOTO_LIMIT:
            raise Invalid("too-many-photos", field="photos", limit=PHOTO_LIMIT)
        if category.photo_required and channel is Channel.CITIZEN and not photos:
            raise Invalid("photo-required", field="photos", category=category.code)
        case = cls(
            id=id,
            state=CaseState.REGISTERED,
            category=category.code,
            category_version=category.version,
            channel=channel,
            place=_checked_place(place),
            limit=category.limit,
            points=category.points,
            public=category.public,
            registered_at=now,
            text=plain_text(text, "text"),
            reporter=_checked_reporter(reporter),
            photos=tuple(photos),
        )
        case._note(Command.REGISTER, now, by_unit)
        if routing.unit is not None:
            case._give_to(routing.unit, now, calendar)
        return case, (CaseRegistered(case=case.snapshot()),)

    def dispatch(self, unit: str, *, by_unit: str, now: datetime, calendar: WorkCalendar) -> Events:
        """The office gives the case to a unit; its time limit starts. Raises Refused."""
        self._next(Command.DISPATCH)
        self._give_to(unit, now, calendar, by_unit)
        return (CaseDispatched(case=self.snapshot()),)

    def acknowledge(self, *, by_unit: str, now: datetime) -> Events:
        """The unit takes the case on; its limit goes on running. Raises Refused, Forbidden."""
        state = self._next(Command.ACKNOWLEDGE)
        self._require_own(by_unit)
        lapsed = self._lapse(now)
        self.state, self.acknowledged_at = state, now
        self._note(Command.ACKNOWLEDGE, now, by_unit)
        return (*lapsed, CaseAcknowledged(case=self.snapshot()))

    def reply(self, text: str, *, by_unit: str, now: datetime) -> Events:
        """The unit says that the work is done; the clock stops.

        A reply after the limit makes the case overdue first, whether or not a poller had noticed. Raises
        Refused, Forbidden, Invalid (the text is required).
        """
        state = self._next(Command.REPLY)
        self._require_own(by_unit)
        text = plain_text(text, "text", required=True)
        lapsed = self._lapse(now)
        self.state, self.replied_at = state, now
        self.due_at = self.deadline_at = None
        self._note(Command.REPLY, now, by_unit, text)
        return (*lapsed, CaseReplied(case=self.snapshot()))

    def verify(self, passed: bool, *, by_unit: str, now: datetime, calendar: WorkCalendar, note: str = "") -> Events:
        """Somebody outside the unit found the work done, or not: then a new limit starts.

        Raises Refused, Forbidden (verifier-of-the-rectifying-unit), Invalid (the note).
        """
        command = Command.VERIFY_PASSED if passed else Command.VERIFY_FAILED
        state = self._next(command)
        if by_unit == self.unit:
            raise Forbidden("verifier-of-the-rectifying-unit", unit=by_unit)
        note = plain_text(note, "note")
        self.state = state
        self._note(command, now, by_unit, note)
        if passed:
            self.verified_at = now
            return (CaseVerified(case=self.snapshot()),)
        self.reworks += 1
        self.replied_at = None
        self._start_limit(now, calendar)
        return (CaseReworkOrdered(case=self.snapshot()),)

    def close(self, *, by_unit: str, now: datetime) -> Events:
        """The office signs the case off (销号). Raises Refused."""
        self.state = self._next(Command.CLOSE)
        self.closed_at = now
        self._note(Command.CLOSE, now, by_unit)
        return (CaseClosed(case=self.snapshot()),)

    def is_due(self, now: datetime) -> bool:
        """Whether a limit has run out that the case has not been marked overdue for; `due_at` is too late."""
        return self.deadline_at is not None and now >= self.deadline_at

    def mark_overdue(self, now: datetime) -> Events:
        """The limit ran out without a reply; once per limit. Raises Refused: also `case-not-due`."""
        self._next(Command.MARK_OVERDUE)
        if not self.is_due(now):
            raise Refused("case-not-due")
        return self._lapse(now)

    def snapshot(self) -> CaseSnapshot:
        """The public facts. A case that is not public shows neither its address nor its photos."""
        place = self.place
        return CaseSnapshot(
            case=self.id,
            state=self.state,
            channel=self.channel,
            category=self.category,
            category_version=self.category_version,
            place=contracts.reports.Place(
                longitude=place.longitude,
                latitude=place.latitude,
                community=place.community,
                address=place.address if self.public else "",
            ),
            photos=self.photos if self.public else (),
            unit=self.unit,
            points=self.points,
            registered_at=self.registered_at,
            dispatched_at=self.dispatched_at,
            due_at=self.due_at,
            acknowledged_at=self.acknowledged_at,
            replied_at=self.replied_at,
            verified_at=self.verified_at,
            closed_at=self.closed_at,
            overdue_at=self.overdue_at,
            reworks=self.reworks,
        )

    def _next(self, command: Command) -> CaseState:
        state = TRANSITIONS.get((self.state, command))
        if state is None:
            raise Refused("transition-not-allowed", state=self.state.value, command=command.value)
        return state

    def _require_own(self, by_unit: str) -> None:
        if by_unit != self.unit:
            raise Forbidden("case-of-another-unit", unit=by_unit)

    def _give_to(self, unit: str, now: datetime, calendar: WorkCalendar, by_unit: str | None = None) -> None:
        self.state, self.unit, self.dispatched_at = CaseState.DISPATCHED, unit, now
        self._note(Command.DISPATCH, now, by_unit, unit)
        self._start_limit(now, calendar)

    def _start_limit(self, now: datetime, calendar: WorkCalendar) -> None:
        self.due_at = self.deadline_at = calendar.add(now, Limit.parse(self.limit))

    def _lapse(self, now: datetime) -> Events:
        if not self.is_due(now) or self.deadline_at is None:
            return ()
        self.overdue_at, self.deadline_at = self.deadline_at, None
        self._note(Command.MARK_OVERDUE, self.overdue_at)
        return (CaseOverdue(case=self.snapshot()),)

    def _note(self, command: Command, at: datetime, by: str | None = None, note: str = "") -> None:
        self.timeline.append(Fact(at, command, by, note))


_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ID_RANDOM_BYTES = 7


def new_case_id(now: datetime, random: bytes) -> str:
    """`YYYYMMDD-` (Asia/Shanghai) and ten Crockford base-32 characters: 50 of the random bits.

    `random` holds ID_RANDOM_BYTES unpredictable bytes, so that nobody finds a case by counting.
    """
    number = int.from_bytes(random[:ID_RANDOM_BYTES], "big")
    characters = (_CROCKFORD[number >> 5 * place & 31] for place in range(10))
    return f"{now.astimezone(CHINA):%Y%m%d}-{''.join(characters)}"


def _checked_place(place: Place) -> Place:
    address = plain_text(place.address, "address", ADDRESS_LIMIT)
    return Place(place.longitude, place.latitude, place.community, address, place.crs)


def _checked_reporter(reporter: Reporter | None) -> Reporter | None:
    if reporter is None:
        return None
    name = plain_text(reporter.name, "reporter.name", NAME_LIMIT) if reporter.name else None
    phone = phone_number(reporter.phone, "reporter.phone") if reporter.phone else None
    return Reporter(name, phone) if name or phone else None
