"""What the unit in charge does, and what is decided about its time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from services.reports.domain.cases.record import Act, CaseRecord, Events, require_few
from services.reports.domain.clocks import Clock
from services.reports.domain.facts import ExtensionRequest
from services.reports.domain.words import Command, Side
from services.reports.domain.writing import plain_text
from shared.clock import to_milliseconds
from shared.contracts import reports as events
from shared.contracts.reports import CaseState, Channel, Level, Stage
from shared.errors import Forbidden, Invalid, Refused
from shared.workdays import CalendarEnds, Limit


class Handling(CaseRecord):
    """From the unit taking it on to its reply, with all that lets its clocks run longer or stand still."""

    def acknowledge(self, act: Act) -> Events:
        """The unit takes the case on (签收); its limit goes on running."""
        act = self._admit(Command.ACKNOWLEDGE, act)
        lapsed = self._lapse(act)
        self.state, self.acknowledged_at = CaseState.ACKNOWLEDGED, act.now
        self._end(Stage.ACKNOWLEDGE)
        self._note(Command.ACKNOWLEDGE, act)
        return (*lapsed, self._tell(events.CaseAcknowledged))

    def start(self, act: Act) -> Events:
        """The unit is at it; its limit goes on running."""
        act = self._admit(Command.START, act)
        lapsed = self._lapse(act)
        self.state = CaseState.RECTIFYING
        self._note(Command.START, act)
        return (*lapsed, self._tell(events.CaseWorkStarted))

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
        return (*lapsed, self._tell(events.CaseReturned, returned_by=before))

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
        return (*lapsed, self._tell(events.CaseChanged))

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
        return (*decided, *lapsed, self._tell(events.CaseExtended if granted else events.CaseChanged))

    def suspend(self, act: Act, reason: str, review_at: datetime) -> Events:
        """A leader lets the case rest until a day when somebody looks again (挂账).

        Raises Invalid (review-past, review-too-far: beyond the last year of the work calendar).
        """
        act = self._admit(Command.SUSPEND, act)
        reason = plain_text(reason, "reason", required=True)
        if review_at <= act.now:
            raise Invalid("review-past", field="review_at")
        calendar = act.timetable.calendar
        too_far = Invalid("review-too-far", field="review_at", limit=calendar.last_known_year)
        if not calendar.knows(review_at):
            raise too_far
        try:
            review = act.timetable.until(Stage.REVIEW, act.now, to_milliseconds(review_at))
        except CalendarEnds as error:
            raise too_far from error
        lapsed = self._rest(CaseState.SUSPENDED, act)
        self.review_at = review.due_at
        self.clocks.append(review)
        self._note(Command.SUSPEND, act, reason)
        return (*lapsed, self._tell(events.CaseSuspended, review_at=review.due_at))

    def ask_reporter(self, act: Act, question: str) -> Events:
        """Something has to be asked of the reporter; limits stand still until the answer, or that limit's end.

        Raises Refused (no-reporter-to-ask, questions-used-up).
        """
        act = self._admit(Command.ASK_REPORTER, act)
        question = plain_text(question, "question", required=True)
        if self.channel is not Channel.CITIZEN and self.reporter is None:
            raise Refused("no-reporter-to-ask")
        asked, most = sum(fact.command is Command.ASK_REPORTER for fact in self.timeline), act.timetable.terms.questions
        if asked >= most:
            raise Refused("questions-used-up", limit=most)
        lapsed = self._rest(CaseState.WAITING, act)
        clock = act.timetable.clock(Stage.ANSWER, self.limits[Stage.ANSWER], act.now)
        clock.ahead = [moment for moment in clock.ahead if moment.level is Level.BLUE]
        self.clocks.append(clock)
        self._note(Command.ASK_REPORTER, act, question)
        return (*lapsed, self._tell(events.CaseWaiting))

    def resume(self, act: Act, *, note: str = "") -> Events:
        """A resting case goes on where it was; a question that nobody answered has ended with its limit."""
        act = self._admit(Command.RESUME, act)
        note = plain_text(note, "note")
        answer = self._clock(Stage.ANSWER)
        lapsed = self._lapse(act)
        self._go_on(act, min(act.now, answer.due_at) if answer else act.now)
        self._note(Command.RESUME, act, note)
        return (*lapsed, self._tell(events.CaseResumed), *self._lapse(act))

    def reply(self, act: Act, text: str, *, photos: Sequence[str] = ()) -> Events:
        """The unit says that the work is done (整改回执); its clock stops, the verifier's starts.

        A reply after the limit makes the case overdue first, whether or not a poller had noticed; but not while more
        time is asked for and nobody has decided. Raises Invalid (the text is required; too-many-photos).
        """
        act = self._admit(Command.REPLY, act)
        text = plain_text(text, "text", required=True)
        require_few(photos)
        lapsed = self._lapse(act)
        self.state, self.replied_at, self.reply_photos = CaseState.REPLIED, act.now, tuple(photos)
        self.extension = None
        self._end(Stage.RECTIFY, Stage.DECIDE)
        self._start(Stage.VERIFY, act)
        self._note(Command.REPLY, act, text, photos=photos)
        return (*lapsed, self._tell(events.CaseReplied))

    def comment(self, act: Act, text: str, *, public: bool = False, photos: Sequence[str] = ()) -> Events:
        """A note among those inside, or an update for everybody; a reporter's is never public. No event.

        Raises Invalid (too-many-photos, and the text is required where there are none).
        """
        act = self._admit(Command.COMMENT, act)
        text = plain_text(text, "text", required=not photos)
        require_few(photos)
        self._note(Command.COMMENT, act, text, public=public and act.by.sides != {Side.REPORTER}, photos=photos)
        return ()

    def recount(self, act: Act) -> Events:
        """Count the limits again that rest on days nobody was sure of; told when one of them ends otherwise now."""
        clocks = [act.timetable.recounted(clock) for clock in self.clocks]
        if clocks == self.clocks:
            return ()
        act = act.after(self)
        ends, self.clocks = [clock.due_at for clock in self.clocks], clocks
        moved = ends != [clock.due_at for clock in clocks]
        lapsed = self._lapse(act)
        return (*lapsed, self._tell(events.CaseChanged)) if moved else lapsed

    def is_due(self, now: datetime) -> bool:
        """Whether something has been reached that is not told yet."""
        return self.deadline_at is not None and now >= self.deadline_at

    def mark_overdue(self, act: Act) -> Events:
        """What the clocks have reached: each level of each limit once. A question nobody answered ends here."""
        act = act.after(self)
        answer = self._clock(Stage.ANSWER)
        return self.resume(act.by_itself()) if answer and answer.due_at <= act.now else self._lapse(act)

    def _extended(self, clock: Clock, request: ExtensionRequest, act: Act) -> Clock:
        calendar = act.timetable.calendar
        too_far = Invalid("limit-too-far", field="limit", limit=calendar.last_known_year)
        try:
            longer = act.timetable.extended(clock, request.limit or self.limits[Stage.RECTIFY], act.now)
        except CalendarEnds as error:
            raise too_far from error
        if request.limit is not None and not calendar.knows(longer.due_at):
            raise too_far
        return longer
