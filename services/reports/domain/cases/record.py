"""What a case is made of, and the steps that every command on it is put together from.

Each limit is a clock of its own (`clocks.py`); whatever is done to a case first tells what its clocks have reached,
so that lateness does not depend on when somebody looked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from services.reports.domain.clocks import Clock, Moment, Timetable
from services.reports.domain.facts import ExtensionRequest, Fact, Moderation, Place
from services.reports.domain.reporter import Reporter
from services.reports.domain.routing import Routing
from services.reports.domain.transitions import FINAL, STAGES, SYSTEM, WORK, Actor, transition
from services.reports.domain.words import Command
from shared.contracts import reports as events
from shared.contracts.reports import CaseEvent, CaseSnapshot, CaseState, Channel, Kind, Level, ReporterKind, Stage
from shared.errors import Invalid, Refused
from shared.own_cause import require_impartial

PHOTO_LIMIT = 3
FACTS_LIMIT = 500
"""Lines of history a case may have: more is no case but an attack or a fault."""
TALK_LIMIT = 400
"""After so many lines nobody may talk any more, so that there is room left to finish the case."""
TALK = frozenset({Command.COMMENT, Command.OBJECT, Command.RATE})
Events = tuple[CaseEvent, ...]

_LEVELS = [Level.BLUE, Level.ORANGE, Level.RED]


@dataclass(frozen=True)
class Act:
    """Something is done: by whom, when, and by which timetable its consequences are counted."""

    by: Actor
    now: datetime
    timetable: Timetable

    def by_itself(self) -> Act:
        """What follows without anybody doing it."""
        return replace(self, by=SYSTEM)

    def after(self, case: CaseRecord) -> Act:
        """The same, no earlier than what the case was told last: clocks that are set back do not turn it round."""
        return replace(self, now=max(self.now, case.timeline[-1].at))


@dataclass
class CaseRecord:
    """A problem and what was done about it. Times are UTC.

    `limits` and `points` are those of the category's version at registration. `due_at` is set while the unit's
    limit runs or has run out unanswered, `overdue_at` is the last moment such a limit ran out, so a case is overdue
    now when the two are equal. `stage` is what the case waits for, `stage_due_at` until when, `due_soon` whether it
    was told that this is near; `level` how late the latest clock is. `deadline_at` is when a poller has to look next.
    `proposed` is the unit that `routing` found. `replied_at` and `verified_at` belong to the standing reply and are
    cleared by a rework. `filed_at` is when the centre first took the case on, `target_at` when the unit has to be
    done or had to; both stay. `tracking` is the digest of the reporter's code. `moderated_at` is when somebody
    decided about `moderation`, `ended_at` when nothing more was to be done, `erased_at` when all that was personal
    went. `middle` (longitude, latitude) of its community stands for the place where that is not to be shown. What it
    is looked up by is stored beside it (`lookup.py`).
    """

    id: str
    state: CaseState
    category: str
    category_version: int
    channel: Channel
    place: Place
    limits: dict[Stage, str]
    points: Decimal
    public: bool
    registered_at: datetime
    kind: Kind = Kind.PROBLEM
    reporter_kind: ReporterKind = ReporterKind.CITIZEN
    text: str = field(default="", repr=False)
    answers: dict[str, str | tuple[str, ...]] = field(default_factory=dict, repr=False)
    reporter: Reporter | None = field(default=None, repr=False)
    photos: tuple[str, ...] = ()
    hidden_photos: tuple[str, ...] = ()
    moderation: Moderation = Moderation.APPROVED
    indicators: tuple[str, ...] = ()
    site_check: bool = False
    routing: Routing | None = None
    proposed: str | None = None
    unit: str | None = None
    supporting: tuple[str, ...] = ()
    filed_at: datetime | None = None
    dispatched_at: datetime | None = None
    due_at: datetime | None = None
    target_at: datetime | None = None
    stage: Stage | None = None
    stage_due_at: datetime | None = None
    level: Level | None = None
    due_soon: bool = False
    deadline_at: datetime | None = None
    clocks: list[Clock] = field(default_factory=list)
    acknowledged_at: datetime | None = None
    replied_at: datetime | None = None
    reply_photos: tuple[str, ...] = ()
    verified_at: datetime | None = None
    closed_at: datetime | None = None
    overdue_at: datetime | None = None
    reworks: int = 0
    returns: int = 0
    extension: ExtensionRequest | None = None
    extensions: int = 0
    earlier: CaseState | None = None
    review_at: datetime | None = None
    parent: str | None = None
    children: tuple[str, ...] = ()
    open_children: tuple[str, ...] = ()
    merged_into: str | None = None
    merged: tuple[str, ...] = ()
    repeat_of: str | None = None
    reopens: int = 0
    objections: int = 0
    objected_at: datetime | None = None
    resolved: bool | None = None
    satisfied: bool | None = None
    timeline: list[Fact] = field(default_factory=list)
    tracking: str | None = field(default=None, repr=False)
    moderated_at: datetime | None = None
    ended_at: datetime | None = None
    erased_at: datetime | None = None
    middle: tuple[float, float] | None = None

    @property
    def is_shown(self) -> bool:
        """Whether address and photos may be seen outside."""
        return self.public and self.moderation is Moderation.APPROVED

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be done."""
        return self.state in FINAL

    @property
    def provisional(self) -> bool:
        """Whether a limit ends when nobody knows yet which days are worked, and so may be counted again."""
        return any(clock.provisional for clock in self.clocks)

    @property
    def in_charge(self) -> tuple[str, ...]:
        """The unit that leads and those that help."""
        return (self.unit, *self.supporting) if self.unit is not None else self.supporting

    @property
    def asks_standard_extension(self) -> bool:
        """Whether the extension asked for is one that the centre may grant."""
        return self.extension is not None and self.extension.limit is None and self.extensions == 0

    @property
    def shown_place(self) -> tuple[float, float]:
        """Longitude and latitude as everybody may know them: of a case that is not shown only the community's.

        Of one outside of any community, to a hundredth of a degree.
        """
        if self.is_shown:
            return self.place.longitude, self.place.latitude
        return self.middle or (round(self.place.longitude, 2), round(self.place.latitude, 2))

    def snapshot(self) -> CaseSnapshot:
        """The public facts. A case that is not shown has neither its spot, its address nor its photos in them."""
        place, shown = self.place, self.is_shown
        longitude, latitude = self.shown_place
        return CaseSnapshot(
            case=self.id,
            state=self.state,
            channel=self.channel,
            category=self.category,
            category_version=self.category_version,
            place=events.Place(
                longitude=longitude,
                latitude=latitude,
                community=place.community,
                address=place.address if shown else "",
            ),
            photos=self._visible(self.photos),
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
            kind=self.kind,
            reporter_kind=self.reporter_kind,
            stage=self.stage,
            stage_due_at=self.stage_due_at,
            level=self.level,
            supporting=self.supporting,
            indicators=self.indicators,
            reply_photos=self._visible(self.reply_photos),
            parent=self.parent,
            children=self.children,
            merged_into=self.merged_into,
            repeat_of=self.repeat_of,
            returns=self.returns,
            extensions=self.extensions,
            reopens=self.reopens,
            satisfied=self.satisfied,
        )

    def _visible(self, photos: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(id for id in photos if id not in self.hidden_photos) if self.is_shown else ()

    def _admit(self, command: Command, act: Act) -> Act:
        """The act, when the table allows it, no earlier than what was done before.

        Raises what `transition` raises, and what `require_impartial` does where the table asks for it.
        """
        units = {self.unit, *self.supporting} if command is Command.COMMENT else {self.unit}
        if transition(self.state, command, units, act.by).impartial:
            require_impartial(act.by, units=self.in_charge, people=self._workers)
        if act.by != SYSTEM:
            self._require_room(TALK_LIMIT if command in TALK else FACTS_LIMIT)
        return act.after(self)

    @property
    def _workers(self) -> set[str]:
        """Subjects of those who had a hand in it for a unit in charge."""
        work = (fact for fact in self.timeline if fact.command in WORK and fact.by in self.in_charge)
        return {fact.who for fact in work if fact.who}

    def _require_room(self, limit: int) -> None:
        if len(self.timeline) >= limit:
            raise Refused("history-too-long", limit=limit)

    def _require_checked(self) -> None:
        if self.site_check:
            raise Refused("site-check-owed")

    def _require_problem(self) -> None:
        if self.kind is not Kind.PROBLEM:
            raise Refused("not-a-problem")

    def _require_whole(self) -> None:
        if self.parent is not None:
            raise Refused("part-of-a-case", parent=self.parent)

    def _give_to(self, unit: str, supporting: tuple[str, ...], act: Act) -> None:
        self.state, self.unit, self.supporting, self.dispatched_at = CaseState.DISPATCHED, unit, supporting, act.now
        self.filed_at, self.acknowledged_at = self.filed_at or act.now, None
        self._note(Command.DISPATCH, act, unit)
        self.clocks.clear()
        self._start(Stage.RECTIFY, act)
        self._start(Stage.ACKNOWLEDGE, act)
        rectify, acknowledge = self._clock(Stage.RECTIFY), self._clock(Stage.ACKNOWLEDGE)
        if rectify and acknowledge and rectify.due_at <= acknowledge.due_at:
            self._end(Stage.ACKNOWLEDGE)  # what has to be done by then need not be acknowledged by then

    def _rest(self, state: CaseState, act: Act) -> Events:
        lapsed = self._lapse(act)
        self.earlier, self.state = self.state, state
        for clock in self.clocks:
            clock.stop(act.now)
        return lapsed

    def _go_on(self, act: Act, rested_until: datetime) -> None:
        assert self.earlier is not None, "a case that rests was somewhere before"  # noqa: S101
        self._end(Stage.REVIEW, Stage.ANSWER)
        for clock in self.clocks:
            clock.go_on(rested_until, act.timetable.calendar)
        self.state, self.earlier, self.review_at = self.earlier, None, None

    def _clock(self, stage: Stage | None) -> Clock | None:
        return next((clock for clock in self.clocks if clock.stage is stage), None)

    def _current(self) -> Clock | None:
        """The clock of what the case waits for; where acknowledging has none of its own, that of the work."""
        rectify = self._clock(Stage.RECTIFY) if self.stage is Stage.ACKNOWLEDGE else None
        return self._clock(self.stage) or rectify

    def _start(self, stage: Stage, act: Act) -> None:
        if limit := self.limits.get(stage):
            self.clocks.append(act.timetable.clock(stage, limit, act.now))

    def _start_dispatch(self, act: Act) -> None:
        if self._clock(Stage.DISPATCH) is None:  # whatever happens meanwhile, the centre has this time but once
            self._start(Stage.DISPATCH, act)

    def _end(self, *stages: Stage) -> None:
        self.clocks = [clock for clock in self.clocks if clock.stage not in stages]

    def _lapse(self, act: Act) -> Events:
        """Tell what the clocks have reached, in the order of time."""
        reached = [(moment, clock) for clock in self.clocks for moment in clock.reached(act.now)]
        reached.sort(key=lambda each: each[0].at)
        reports = tuple(self._reach(moment, clock) for moment, clock in reached)
        self._settle()
        return reports

    def _reach(self, moment: Moment, clock: Clock) -> CaseEvent:
        if moment.level is None:
            return self._tell(
                events.CaseDueSoon, stage=clock.stage, due_at=clock.due_at, elapsed_minutes=moment.minutes
            )
        clock.level = moment.level
        if clock.stage is Stage.RECTIFY and moment.level is Level.BLUE:
            self.overdue_at = moment.at
        at = max(moment.at, self.timeline[-1].at)
        self.timeline.append(Fact(at, Command.MARK_OVERDUE, None, f"{clock.stage} {moment.level}"))
        return self._tell(
            events.CaseOverdue,
            stage=clock.stage,
            level=moment.level,
            due_at=clock.due_at,
            reached_at=moment.at,
            elapsed_minutes=moment.minutes,
        )

    def _tell(self, event: type[CaseEvent], **extra: Any) -> CaseEvent:
        self._settle()
        return event(case=self.snapshot(), **extra)

    def _settle(self) -> None:
        """Bring into line what follows from state and clocks."""
        rectify, self.stage = self._clock(Stage.RECTIFY), STAGES.get(self.state)
        if self.site_check and self.state is CaseState.REGISTERED:
            self.stage = Stage.SITE_CHECK
        current = self._current()
        self.stage_due_at = current.due_at if current else None
        self.due_at = rectify.due_at if rectify and rectify.stopped_at is None else None
        self.deadline_at = min((clock.next_at for clock in self.clocks if clock.next_at), default=None)
        levels = [clock.level for clock in self.clocks if clock.level and clock.stopped_at is None]
        self.level = max(levels, key=_LEVELS.index, default=None)
        self.due_soon = current is not None and current.stage is not Stage.ANSWER and current.is_short
        if rectify is not None or self.unit is None:
            self.target_at = rectify.due_at if rectify is not None else None
        if not self.ended:
            self.ended_at = None
        elif self.ended_at is None:
            self.ended_at = self.timeline[-1].at

    def _note(
        self,
        command: Command,
        act: Act,
        note: str = "",
        *,
        public: bool = False,
        photos: Sequence[str] = (),
    ) -> None:
        self.timeline.append(Fact(act.now, command, act.by.name, note, act.by.subject, public, tuple(photos)))


def require_few(photos: Sequence[str]) -> None:
    """Raises Invalid (too-many-photos)."""
    if len(photos) > PHOTO_LIMIT:
        raise Invalid("too-many-photos", field="photos", limit=PHOTO_LIMIT)
