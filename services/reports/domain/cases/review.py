"""What becomes of a reply: verified, signed off, judged by the reporter, reopened."""

from __future__ import annotations

from collections.abc import Sequence

from services.reports.domain.cases.record import Act, CaseRecord, Events, require_few
from services.reports.domain.words import Command, Side
from services.reports.domain.writing import plain_text
from shared.contracts import reports as events
from shared.contracts.reports import CaseState, Stage
from shared.errors import Invalid, Refused


class Review(CaseRecord):
    """A reply never closes a case: somebody outside the unit has to find the work done."""

    def verify(self, act: Act, passed: bool, *, note: str = "") -> Events:
        """Somebody outside the unit found the work done, or not: then a new limit starts."""
        act = self._admit(Command.VERIFY_PASSED if passed else Command.VERIFY_FAILED, act)
        note = plain_text(note, "note")
        lapsed = self._lapse(act)
        self._end(Stage.VERIFY)
        if passed:
            self.state, self.verified_at = CaseState.VERIFIED, act.now
            self._start(Stage.CLOSE, act)
            self._note(Command.VERIFY_PASSED, act, note)
            return (*lapsed, self._tell(events.CaseVerified))
        self.state, self.reworks, self.replied_at, self.reply_photos = CaseState.REWORK, self.reworks + 1, None, ()
        self._start(Stage.RECTIFY, act)
        self._note(Command.VERIFY_FAILED, act, note)
        return (*lapsed, self._tell(events.CaseReworkOrdered))

    def close(self, act: Act) -> Events:
        """The office signs the case off (销号)."""
        act = self._admit(Command.CLOSE, act)
        lapsed = self._lapse(act)
        self.state, self.closed_at = CaseState.CLOSED, act.now
        self.clocks.clear()
        self._note(Command.CLOSE, act)
        return (*lapsed, self._tell(events.CaseClosed))

    def rate(self, act: Act, resolved: bool, satisfied: bool) -> Events:
        """The reporter says whether the problem is gone and the result satisfies (解决、满意). The last word counts.

        Raises Refused (not-a-problem).
        """
        act = self._admit(Command.RATE, act)
        self._require_problem()
        self.resolved, self.satisfied = resolved, satisfied
        self._note(Command.RATE, act)
        return (self._tell(events.CaseRated),)

    def object(self, act: Act, text: str, photos: Sequence[str]) -> Events:
        """The reporter says that it is not in order. The first time the unit has it again at once, without question;
        after that the centre decides.

        Raises Invalid (objection-needs-photo, too-many-photos), Refused (objection-too-late, not-a-problem).
        """
        act = self._admit(Command.OBJECT, act)
        text = plain_text(text, "text")
        if not photos:
            raise Invalid("objection-needs-photo", field="photos")
        require_few(photos)
        self._require_problem()
        within = act.timetable.terms.reopen_within
        if self.closed_at is not None and act.timetable.passed(within, self.closed_at, act.now):
            raise Refused("objection-too-late", limit=within)
        self.objections, self.objected_at = self.objections + 1, act.now
        self._note(Command.OBJECT, act, text, photos=photos)
        if self.objections == 1 and self.unit is not None:
            return self.reopen(act.by_itself())
        return (self._tell(events.CaseChanged),)

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
        return (self._tell(events.CaseReopened),)
