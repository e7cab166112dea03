"""The case (案件): one problem from registration to sign-off, with the time limits everybody works under.

`transitions.py` has the table of what may be done when and by whom. A reply never closes a case: somebody outside
the unit has to find the work done. Every limit is a clock of its own (`clocks.py`); whatever is done to a case first
tells what its clocks have reached, so that lateness does not depend on when somebody looked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from services.reports.domain.catalogue import Category
from services.reports.domain.clocks import Clock, Moment, Timetable
from services.reports.domain.facts import (
    ExtensionRequest,
    Fact,
    Location,
    Moderation,
    Place,
    checked_place,
)
from services.reports.domain.lookup import cell_of, duties_of, lists_of, words_of
from services.reports.domain.reporter import Reporter
from services.reports.domain.routing import Routing
from services.reports.domain.tracking import CROCKFORD
from services.reports.domain.transitions import FINAL, STAGES, SYSTEM, Actor, transition
from services.reports.domain.words import STATES_ZH, Command, Side
from services.reports.domain.writing import plain_text
from shared import contracts
from shared.clock import CHINA, to_milliseconds
from shared.contracts import reports as told
from shared.contracts.reports import CaseEvent, CaseSnapshot, CaseState, Channel, Kind, Level, ReporterKind, Stage
from shared.errors import Forbidden, Invalid, Refused
from shared.workdays import CalendarEnds, Limit

PHOTO_LIMIT = 3
CHILDREN_LIMIT = 10
FACTS_LIMIT = 500
"""Lines of history a case may have: more is no case but an attack or a fault."""
TALK_LIMIT = 400
"""After so many lines nobody may talk any more, so that there is room left to finish the case."""
TALK = frozenset({Command.COMMENT, Command.OBJECT, Command.RATE})
Events = tuple[CaseEvent, ...]


@dataclass(frozen=True)
class Act:
    """Something is done: by whom, when, and by which timetable its consequences are counted."""

    by: Actor
    now: datetime
    timetable: Timetable

    def by_itself(self) -> Act:
        """What follows without anybody doing it."""
        return replace(self, by=SYSTEM)

    def after(self, case: Case) -> Act:
        """The same, no earlier than what the case was told last: clocks that are set back do not turn it round."""
        return replace(self, now=max(self.now, case.timeline[-1].at))


@dataclass
class Case:
    """A problem and what was done about it. Times are UTC.

    `limits` and `points` are those of the category's version at registration. `due_at` is set while the unit's
    limit runs or has run out unanswered, `overdue_at` is the last moment such a limit ran out, so a case is overdue
    now when the two are equal. `stage` is what the case waits for, `stage_due_at` until when, `due_soon` whether it
    was told that this is near; `level` how late the latest clock is. `deadline_at` is when a poller has to look next.
    `proposed` is the unit that `routing` found. `replied_at` and `verified_at` belong to the standing reply and are
    cleared by a rework. `filed_at` is when the centre first took the case on, `target_at` when the unit has to be
    done or had to; both stay. `lists`, `duties`, `words` and `cell` are what it is looked up by (`lookup.py`);
    `location` is the place once more, as the database searches it. `tracking` is the digest of the reporter's code.
    `moderated_at` is when somebody decided about `moderation`, `ended_at` when nothing more was to be done,
    `erased_at` when all that was personal went.
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
    lists: tuple[str, ...] = field(default=(), repr=False)
    duties: tuple[str, ...] = field(default=(), repr=False)
    words: tuple[str, ...] = field(default=(), repr=False)
    cell: int = 0
    tracking: str | None = field(default=None, repr=False)
    moderated_at: datetime | None = None
    ended_at: datetime | None = None
    erased_at: datetime | None = None
    location: Location | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        self.location = Location((self.place.longitude, self.place.latitude))

    @classmethod
    def register(
        cls,
        *,
        id: str,
        category: Category,
        channel: Channel,
        place: Place,
        routing: Routing,
        act: Act,
        kind: Kind = Kind.PROBLEM,
        reporter_kind: ReporterKind = ReporterKind.CITIZEN,
        text: str = "",
        answers: dict[str, str | tuple[str, ...]] | None = None,
        reporter: Reporter | None = None,
        photos: Sequence[str] = (),
        moderation: Moderation = Moderation.APPROVED,
        repeat_of: str | None = None,
        note: str = "",
        tracking: str | None = None,
    ) -> tuple[Case, Events]:
        """A new case; dispatched at once when routing found a unit and nobody has to look first.

        Praise is on file for the unit it is about, costs no points, and nothing more happens to it. `note` stands
        in its history, for those who see the inside. Raises Invalid:
        too-many-photos, photo-required (citizens, where the category asks for one), and what `plain_text` raises.
        """
        _require_few(photos)
        if category.photo_required and channel is Channel.CITIZEN and kind is Kind.PROBLEM and not photos:
            raise Invalid("photo-required", field="photos", category=category.code)
        limits = {stage: limit for stage in Stage if (limit := category.limit_of(stage))}
        praised = kind is Kind.PRAISE
        case = cls(
            id=id,
            state=CaseState.REGISTERED,
            category=category.code,
            category_version=category.version,
            channel=channel,
            place=checked_place(place),
            limits={**act.timetable.terms.limits, **limits},
            points=Decimal(0) if praised else category.points,
            public=category.public,
            registered_at=act.now,
            kind=kind,
            reporter_kind=reporter_kind,
            text=plain_text(text, "text"),
            answers=answers or {},
            reporter=reporter,
            photos=tuple(photos),
            moderation=moderation,
            indicators=category.indicators,
            routing=routing,
            site_check=category.site_check and channel is Channel.CITIZEN and not praised,
            proposed=routing.unit,
            supporting=routing.supporting,
            repeat_of=repeat_of,
            tracking=tracking,
        )
        case._note(Command.REGISTER, act, note)
        if praised:
            case.state, case.unit, case.closed_at = CaseState.CLOSED, routing.unit, act.now
        elif case.site_check:
            case._start(Stage.SITE_CHECK, act)
        elif routing.unit is None:
            case._start(Stage.DISPATCH, act)
        else:
            case._give_to(routing.unit, routing.supporting, act.by_itself())
        return case, (case._tell(told.CaseRegistered),)

    def registered(self) -> CaseEvent:
        """What tells of a part that a split has made."""
        return self._tell(told.CaseRegistered)

    def confirm(self, act: Act, *, note: str = "") -> Events:
        """Somebody looked on the spot and found what was reported (核实属实)."""
        act = self._admit(Command.CONFIRM, act)
        note = plain_text(note, "note")
        lapsed = self._lapse(act)
        self.state, self.site_check = CaseState.SITE_VERIFIED, False
        self._end(Stage.SITE_CHECK)
        self._start_dispatch(act)
        self._note(Command.CONFIRM, act, note)
        return (*lapsed, self._tell(told.CaseSiteVerified))

    def file(self, act: Act) -> Events:
        """The centre takes it on (立案); it goes on to the unit that routing found, if it did.

        Raises Refused (site-check-owed) while a citizen's report has not been looked at.
        """
        act = self._admit(Command.FILE, act)
        self._require_checked()
        lapsed = self._lapse(act)
        self._filed(act)
        filed = (*lapsed, self._tell(told.CaseFiled))
        if self.proposed is None:
            return filed
        return (*filed, *self.dispatch(act.by_itself(), self.proposed, supporting=self.supporting))

    def reject(self, act: Act, reason: str) -> Events:
        """The centre does not take it on; the reason is for the reporter to read."""
        act = self._admit(Command.REJECT, act)
        reason = plain_text(reason, "reason", required=True)
        lapsed = self._lapse(act)
        self.state = CaseState.REJECTED
        self.clocks.clear()
        self._note(Command.REJECT, act, reason, public=True)
        return (*lapsed, self._tell(told.CaseRejected))

    def dispatch(self, act: Act, unit: str, *, supporting: Sequence[str] = ()) -> Events:
        """The centre gives the case to a unit, filing it if it was not; the unit's limits start.

        Raises Refused (site-check-owed), Invalid (lead-among-supporting).
        """
        act = self._admit(Command.DISPATCH, act)
        self._require_checked()
        if unit in supporting:
            raise Invalid("lead-among-supporting", field="supporting", unit=unit)
        lapsed = self._lapse(act)
        if self.state in {CaseState.REGISTERED, CaseState.SITE_VERIFIED}:
            self._filed(act)
        self._give_to(unit, tuple(dict.fromkeys(supporting)), act)
        return (*lapsed, self._tell(told.CaseDispatched))

    def acknowledge(self, act: Act) -> Events:
        """The unit takes the case on (签收); its limit goes on running."""
        act = self._admit(Command.ACKNOWLEDGE, act)
        lapsed = self._lapse(act)
        self.state, self.acknowledged_at = CaseState.ACKNOWLEDGED, act.now
        self._end(Stage.ACKNOWLEDGE)
        self._note(Command.ACKNOWLEDGE, act)
        return (*lapsed, self._tell(told.CaseAcknowledged))

    def start(self, act: Act) -> Events:
        """The unit is at it; its limit goes on running."""
        act = self._admit(Command.START, act)
        lapsed = self._lapse(act)
        self.state = CaseState.RECTIFYING
        self._note(Command.START, act)
        return (*lapsed, self._tell(told.CaseWorkStarted))

    def give_back(self, act: Act, reason: str) -> Events:
        """The unit says that the case is not its own (退单); the centre has it again.

        Raises Refused (return-too-late) when the terms' time for it is over (Hengyang: 1 working day).
        """
        act = self._admit(Command.RETURN, act)
        reason = plain_text(reason, "reason", required=True)
        within = act.timetable.terms.return_within
        if self.dispatched_at is not None and act.timetable.passed(within, self.dispatched_at, act.now):
            raise Refused("return-too-late", limit=within)
        lapsed = self._lapse(act)
        before, self.unit, self.proposed, self.supporting = self.unit or "", None, None, ()
        self.state, self.returns = CaseState.RETURNED, self.returns + 1
        self.dispatched_at = self.acknowledged_at = self.extension = None
        self.clocks.clear()
        self._start_dispatch(act)
        self._note(Command.RETURN, act, reason)
        return (*lapsed, self._tell(told.CaseReturned, returned_by=before))

    def ask_extension(self, act: Act, reason: str, *, limit: str | None = None) -> Events:
        """The unit asks for more time before its limit ends (延期); without `limit`, for as much again.

        Until somebody decides, for which there is a limit too, the unit's is not told to have run out. Raises Refused
        (extension-too-late, extension-asked-already), Invalid (limit-unreadable, limit-too-small, limit-too-far:
        beyond the last year of the work calendar).
        """
        act = self._admit(Command.ASK_EXTENSION, act)
        reason = plain_text(reason, "reason", required=True)
        if self.extension is not None:
            raise Refused("extension-asked-already")
        clock = self._clock(Stage.RECTIFY)
        if clock is None or act.now >= clock.due_at:
            raise Refused("extension-too-late")
        request = ExtensionRequest(act.now, str(Limit.parse(limit)) if limit is not None else None)
        if self._extended(clock, request, act).due_at == clock.due_at:
            raise Invalid("limit-too-small", field="limit", given=request.limit)
        lapsed = self._lapse(act)
        self.extension, clock.held = request, True
        self._start(Stage.DECIDE, act)
        self._note(Command.ASK_EXTENSION, act, reason)
        return (*lapsed, self._tell(told.CaseChanged))

    def decide_extension(self, act: Act, granted: bool, *, reason: str = "") -> Events:
        """More time, or not. The centre grants the standard extension once; all else is the leader's, with a reason.

        Raises Refused (extension-not-asked), Forbidden (extension-needs-leader), Invalid (text-required).
        """
        act = self._admit(Command.GRANT_EXTENSION if granted else Command.REFUSE_EXTENSION, act)
        request, clock = self.extension, self._clock(Stage.RECTIFY)
        if request is None or clock is None:
            raise Refused("extension-not-asked")
        ordinary = self.asks_standard_extension
        if granted and not ordinary and Side.LEADER not in act.by.sides:
            raise Forbidden("extension-needs-leader")
        reason = plain_text(reason, "reason", required=not (granted and ordinary))
        longer = self._extended(clock, request, act) if granted else replace(clock, held=False)
        decided = self._lapse(act)
        self.clocks[self.clocks.index(clock)], self.extension = longer, None
        self._end(Stage.DECIDE)
        self.extensions += granted
        self._note(Command.GRANT_EXTENSION if granted else Command.REFUSE_EXTENSION, act, reason)
        lapsed = self._lapse(act)
        return (*decided, *lapsed, self._tell(told.CaseExtended if granted else told.CaseChanged))

    def suspend(self, act: Act, reason: str, review_at: datetime) -> Events:
        """A leader lets the case rest until a day when somebody looks again (挂账).

        Raises Invalid (review-past, review-too-far: beyond the last year of the work calendar).
        """
        act = self._admit(Command.SUSPEND, act)
        reason = plain_text(reason, "reason", required=True)
        if review_at <= act.now:
            raise Invalid("review-past", field="review_at")
        last_year = act.timetable.calendar.last_known_year
        try:
            review = act.timetable.until(Stage.REVIEW, act.now, to_milliseconds(review_at))
        except (CalendarEnds, OverflowError):
            raise Invalid("review-too-far", field="review_at", limit=last_year) from None
        lapsed = self._rest(CaseState.SUSPENDED, act)
        self.review_at = review.due_at
        self.clocks.append(review)
        self._note(Command.SUSPEND, act, reason)
        return (*lapsed, self._tell(told.CaseSuspended, review_at=review.due_at))

    def ask_reporter(self, act: Act, question: str) -> Events:
        """Something has to be asked of the reporter; limits stand still until the answer, or that limit's end.

        Raises Refused (no-reporter-to-ask).
        """
        act = self._admit(Command.ASK_REPORTER, act)
        question = plain_text(question, "question", required=True)
        if self.channel is not Channel.CITIZEN and self.reporter is None:
            raise Refused("no-reporter-to-ask")
        lapsed = self._rest(CaseState.WAITING, act)
        clock = act.timetable.clock(Stage.ANSWER, self.limits[Stage.ANSWER], act.now)
        clock.ahead = [moment for moment in clock.ahead if moment.level is Level.BLUE]
        self.clocks.append(clock)
        self._note(Command.ASK_REPORTER, act, question)
        return (*lapsed, self._tell(told.CaseWaiting))

    def resume(self, act: Act, *, note: str = "") -> Events:
        """A resting case goes on where it was; a question that nobody answered has ended with its limit."""
        act = self._admit(Command.RESUME, act)
        note = plain_text(note, "note")
        answer = self._clock(Stage.ANSWER)
        lapsed = self._lapse(act)
        self._go_on(act, min(act.now, answer.due_at) if answer else act.now)
        self._note(Command.RESUME, act, note)
        return (*lapsed, self._tell(told.CaseResumed), *self._lapse(act))

    def reply(self, act: Act, text: str, *, photos: Sequence[str] = ()) -> Events:
        """The unit says that the work is done (整改回执); its clock stops, the verifier's starts.

        A reply after the limit makes the case overdue first, whether or not a poller had noticed; but not while more
        time is asked for and nobody has decided. Raises Invalid (the text is required; too-many-photos).
        """
        act = self._admit(Command.REPLY, act)
        text = plain_text(text, "text", required=True)
        _require_few(photos)
        lapsed = self._lapse(act)
        self.state, self.replied_at, self.reply_photos = CaseState.REPLIED, act.now, tuple(photos)
        self.extension = None
        self._end(Stage.RECTIFY, Stage.DECIDE)
        self._start(Stage.VERIFY, act)
        self._note(Command.REPLY, act, text, photos=photos)
        return (*lapsed, self._tell(told.CaseReplied))

    def verify(self, act: Act, passed: bool, *, note: str = "") -> Events:
        """Somebody outside the unit found the work done, or not: then a new limit starts.

        Raises Forbidden (verifier-of-the-rectifying-unit).
        """
        act = self._admit(Command.VERIFY_PASSED if passed else Command.VERIFY_FAILED, act)
        if act.by.unit is not None and act.by.unit in {self.unit, *self.supporting}:
            raise Forbidden("verifier-of-the-rectifying-unit", unit=act.by.unit)
        note = plain_text(note, "note")
        lapsed = self._lapse(act)
        self._end(Stage.VERIFY)
        if passed:
            self.state, self.verified_at = CaseState.VERIFIED, act.now
            self._start(Stage.CLOSE, act)
            self._note(Command.VERIFY_PASSED, act, note)
            return (*lapsed, self._tell(told.CaseVerified))
        self.state, self.reworks, self.replied_at, self.reply_photos = CaseState.REWORK, self.reworks + 1, None, ()
        self._start(Stage.RECTIFY, act)
        self._note(Command.VERIFY_FAILED, act, note)
        return (*lapsed, self._tell(told.CaseReworkOrdered))

    def close(self, act: Act) -> Events:
        """The office signs the case off (销号)."""
        act = self._admit(Command.CLOSE, act)
        lapsed = self._lapse(act)
        self.state, self.closed_at = CaseState.CLOSED, act.now
        self.clocks.clear()
        self._note(Command.CLOSE, act)
        return (*lapsed, self._tell(told.CaseClosed))

    def rate(self, act: Act, resolved: bool, satisfied: bool) -> Events:
        """The reporter says whether the problem is gone and the result satisfies (解决、满意). The last word counts.

        Raises Refused (not-a-problem).
        """
        act = self._admit(Command.RATE, act)
        self._require_problem()
        self.resolved, self.satisfied = resolved, satisfied
        self._note(Command.RATE, act)
        return (self._tell(told.CaseRated),)

    def object(self, act: Act, text: str, photos: Sequence[str]) -> Events:
        """The reporter says that it is not in order. The first time the unit has it again at once, without question;
        after that the centre decides.

        Raises Invalid (objection-needs-photo, too-many-photos), Refused (objection-too-late, not-a-problem).
        """
        act = self._admit(Command.OBJECT, act)
        text = plain_text(text, "text")
        if not photos:
            raise Invalid("objection-needs-photo", field="photos")
        _require_few(photos)
        self._require_problem()
        within = act.timetable.terms.reopen_within
        if self.closed_at is not None and act.timetable.passed(within, self.closed_at, act.now):
            raise Refused("objection-too-late", limit=within)
        self.objections, self.objected_at = self.objections + 1, act.now
        self._note(Command.OBJECT, act, text, photos=photos)
        if self.objections == 1 and self.unit is not None:
            return self.reopen(act.by_itself())
        return (self._tell(told.CaseChanged),)

    def reopen(self, act: Act, *, reason: str = "") -> Events:
        """What was signed off is not in order: the unit has it again, with new limits.

        Raises Invalid (the centre has to say why), Refused (not-a-problem, reopen-the-parts).
        """
        act = self._admit(Command.REOPEN, act)
        self._require_problem()
        reason = plain_text(reason, "reason", required=Side.CENTRE in act.by.sides)
        if self.unit is None:
            raise Refused("reopen-the-parts")
        self.reopens, self.objected_at = self.reopens + 1, None
        self.closed_at = self.verified_at = self.replied_at = self.resolved = self.satisfied = None
        self.reply_photos = ()
        self._note(Command.REOPEN, act, reason)
        self._give_to(self.unit, self.supporting, act.by_itself())
        return (self._tell(told.CaseReopened),)

    def merge_into(self, act: Act, other: Case) -> Events:
        """The two tell of one problem; it is followed there from now on. Both keep their history, linked both ways.

        Raises Refused (merge-into-itself, merge-into-ended, part-of-a-case; merged-has-merged, as a chain would hide
        a case).
        """
        act = self._admit(Command.MERGE, act).after(other)
        if other.id == self.id:
            raise Refused("merge-into-itself")
        if other.state in FINAL:
            raise Refused("merge-into-ended", state=other.state.value, state_zh=STATES_ZH[other.state])
        self._require_whole()
        if self.merged:
            raise Refused("merged-has-merged", cases=", ".join(self.merged))
        other._require_room(TALK_LIMIT)
        lapsed = self._rest(CaseState.MERGED, act)
        self.merged_into, other.merged = other.id, (*other.merged, self.id)
        self._note(Command.MERGE, act, other.id)
        other._note(Command.MERGE, act, self.id)
        return (*lapsed, self._tell(told.CaseMerged))

    def unmerge(self, act: Act, other: Case) -> Events:
        """The merge was a mistake: the case goes on by itself, its limits later by the time it rested."""
        act = self._admit(Command.UNMERGE, act).after(other)
        self._go_on(act, act.now)
        self.merged_into = None
        other.merged = tuple(id for id in other.merged if id != self.id)
        self._note(Command.UNMERGE, act, other.id)
        other._note(Command.UNMERGE, act, self.id)
        return (self._tell(told.CaseUnmerged), *self._lapse(act))

    def split(self, act: Act, units: Sequence[str]) -> tuple[list[Case], Events]:
        """A part for each unit, with limits of its own; this case closes when all parts have ended.

        The events are this case's; each part is told by a `CaseRegistered` of its own. Raises Invalid
        (split-needs-units), Refused (part-of-a-case, site-check-owed).
        """
        act = self._admit(Command.SPLIT, act)
        self._require_checked()
        units = tuple(dict.fromkeys(units))
        if not 2 <= len(units) <= CHILDREN_LIMIT:
            raise Invalid("split-needs-units", field="units", least=2, limit=CHILDREN_LIMIT)
        self._require_whole()
        lapsed = self._lapse(act)
        parts = [self._part(f"{self.id}-{number}", unit, act.by_itself()) for number, unit in enumerate(units, 1)]
        self.state, self.unit, self.supporting, self.extension = CaseState.SPLIT, None, units, None
        self.children = self.open_children = tuple(part.id for part in parts)
        self.dispatched_at, self.acknowledged_at = act.now, None
        self.clocks.clear()
        self._note(Command.SPLIT, act, ", ".join(units))
        return parts, (*lapsed, self._tell(told.CaseSplit))

    def child_ended(self, act: Act, child: str) -> Events:
        """A part has ended; the last one closes the case."""
        act = self._admit(Command.CHILD_ENDED, act.by_itself())
        self.open_children = tuple(id for id in self.open_children if id != child)
        self._note(Command.CHILD_ENDED, act, child)
        if self.open_children:
            return ()
        self.state, self.closed_at = CaseState.CLOSED, act.now
        return (self._tell(told.CaseClosed),)

    def child_reopened(self, act: Act, child: str) -> Events:
        """A part is open again, and so is the case if it had been closed."""
        act = self._admit(Command.CHILD_REOPENED, act.by_itself())
        self.open_children = (*(id for id in self.open_children if id != child), child)
        self._note(Command.CHILD_REOPENED, act, child)
        if self.state is CaseState.SPLIT:
            return ()
        self.state, self.closed_at, self.objected_at = CaseState.SPLIT, None, None
        self.reopens += 1
        return (self._tell(told.CaseReopened),)

    def comment(self, act: Act, text: str, *, public: bool = False, photos: Sequence[str] = ()) -> Events:
        """A note among those inside, or an update for everybody; a reporter's is never public. No event.

        Raises Invalid (too-many-photos, and the text is required where there are none).
        """
        act = self._admit(Command.COMMENT, act)
        text = plain_text(text, "text", required=not photos)
        _require_few(photos)
        self._note(Command.COMMENT, act, text, public=public and act.by.sides != {Side.REPORTER}, photos=photos)
        return ()

    def withdraw(self, act: Act, reason: str = "") -> Events:
        """The reporter takes it back: as long as nobody has looked it ends here, later the centre decides.

        The reason is for those inside. Raises Refused (withdrawn-already).
        """
        act = self._admit(Command.WITHDRAW, act)
        reason = plain_text(reason, "reason")
        if any(fact.command is Command.WITHDRAW for fact in self.timeline):
            raise Refused("withdrawn-already")
        lapsed = self._lapse(act)
        self._note(Command.WITHDRAW, act, reason)
        if self.state is not CaseState.REGISTERED:
            return lapsed
        self.state = CaseState.REJECTED
        self.clocks.clear()
        return (*lapsed, self._tell(told.CaseRejected))

    def moderate(self, moderation: Moderation, at: datetime | None = None) -> Events:
        """Whether the public may see what was handed in; the caller keeps who decided. Nothing changes: no event.

        `at` is when somebody decided; None: a rule did.
        """
        self.moderated_at = at or self.moderated_at
        if moderation is self.moderation:
            return ()
        self.moderation = moderation
        return (self._tell(told.CaseChanged),)

    def show_photos(self, hidden: Iterable[str]) -> Events:
        """The photos of the case that nobody outside may see. Nothing changes: no event."""
        hidden_photos = tuple(sorted(hidden))
        if hidden_photos == self.hidden_photos:
            return ()
        self.hidden_photos = hidden_photos
        return (self._tell(told.CaseChanged),)

    def is_due(self, now: datetime) -> bool:
        """Whether something has been reached that is not told yet."""
        return self.deadline_at is not None and now >= self.deadline_at

    def mark_overdue(self, act: Act) -> Events:
        """What the clocks have reached: each level of each limit once. A question nobody answered ends here."""
        act = act.after(self)
        answer = self._clock(Stage.ANSWER)
        return self.resume(act.by_itself()) if answer and answer.due_at <= act.now else self._lapse(act)

    @property
    def is_shown(self) -> bool:
        """Whether address and photos may be seen outside."""
        return self.public and self.moderation is Moderation.APPROVED

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be done."""
        return self.state in FINAL

    @property
    def in_charge(self) -> tuple[str, ...]:
        """The unit that leads and those that help."""
        return (self.unit, *self.supporting) if self.unit is not None else self.supporting

    @property
    def asks_standard_extension(self) -> bool:
        """Whether the extension asked for is one that the centre may grant."""
        return self.extension is not None and self.extension.limit is None and self.extensions == 0

    def snapshot(self) -> CaseSnapshot:
        """The public facts. A case that is not shown has neither its address nor its photos in them."""
        place, shown = self.place, self.is_shown
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
        """The act, when the table allows it, no earlier than what was done before. Raises what `transition` raises."""
        units = {self.unit, *self.supporting} if command is Command.COMMENT else {self.unit}
        transition(self.state, command, units, act.by)
        if act.by != SYSTEM:
            self._require_room(TALK_LIMIT if command in TALK else FACTS_LIMIT)
        return act.after(self)

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

    def _filed(self, act: Act) -> None:
        self.state = CaseState.FILED
        self.filed_at = self.filed_at or act.now
        self._start_dispatch(act)
        self._note(Command.FILE, act)

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

    def _part(self, id: str, unit: str, act: Act) -> Case:
        part = Case(
            id=id,
            state=CaseState.REGISTERED,
            category=self.category,
            category_version=self.category_version,
            channel=self.channel,
            place=self.place,
            limits=dict(self.limits),
            points=self.points,
            public=self.public,
            registered_at=act.now,
            kind=self.kind,
            reporter_kind=self.reporter_kind,
            text=self.text,
            answers=dict(self.answers),
            photos=self.photos,
            hidden_photos=self.hidden_photos,
            moderation=self.moderation,
            indicators=self.indicators,
            proposed=unit,
            parent=self.id,
        )
        part._note(Command.REGISTER, act, self.id)
        part._give_to(unit, (), act)
        part._settle()
        return part

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

    def _extended(self, clock: Clock, request: ExtensionRequest, act: Act) -> Clock:
        try:
            return act.timetable.extended(clock, request.limit or self.limits[Stage.RECTIFY], act.now)
        except CalendarEnds as error:
            raise Invalid("limit-too-far", field="limit", limit=act.timetable.calendar.last_known_year) from error

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
        events = tuple(self._reach(moment, clock) for moment, clock in reached)
        self._settle()
        return events

    def _reach(self, moment: Moment, clock: Clock) -> CaseEvent:
        if moment.level is None:
            return self._tell(told.CaseDueSoon, stage=clock.stage, due_at=clock.due_at, elapsed_minutes=moment.minutes)
        clock.level = moment.level
        if clock.stage is Stage.RECTIFY and moment.level is Level.BLUE:
            self.overdue_at = moment.at
        at = max(moment.at, self.timeline[-1].at)
        self.timeline.append(Fact(at, Command.MARK_OVERDUE, None, f"{clock.stage} {moment.level}"))
        return self._tell(
            told.CaseOverdue,
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
        self.lists, self.duties, self.words = lists_of(self), duties_of(self), words_of(self)
        self.cell = cell_of(self.place.longitude, self.place.latitude)

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


_LEVELS = [Level.BLUE, Level.ORANGE, Level.RED]
ID_RANDOM_BYTES = 7


def new_case_id(now: datetime, random: bytes) -> str:
    """`YYYYMMDD-` (Asia/Shanghai) and ten Crockford base-32 characters: 50 of the random bits.

    `random` holds ID_RANDOM_BYTES unpredictable bytes, so that nobody finds a case by counting.
    """
    number = int.from_bytes(random[:ID_RANDOM_BYTES], "big")
    characters = (CROCKFORD[number >> 5 * place & 31] for place in range(10))
    return f"{now.astimezone(CHINA):%Y%m%d}-{''.join(characters)}"


def _require_few(photos: Sequence[str]) -> None:
    if len(photos) > PHOTO_LIMIT:
        raise Invalid("too-many-photos", field="photos", limit=PHOTO_LIMIT)
