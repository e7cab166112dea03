"""The reporter's side of a case: what they see of it, and what they may do about it now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.reports.domain.cases import FACTS_LIMIT, TALK, TALK_LIMIT, Case
from services.reports.domain.clocks import Timetable
from services.reports.domain.erasure import of_reporter
from services.reports.domain.facts import Fact
from services.reports.domain.transitions import TRANSITIONS, Actor
from services.reports.domain.words import Command, Side
from shared.contracts.reports import CaseState, Kind
from shared.workdays import Limit


class Part(StrEnum):
    """In which way somebody belongs to the case they see."""

    REPORTER = "reporter"
    MERGED = "merged"
    """What they reported was merged into it: one problem, told by several."""
    FOLLOWER = "follower"
    """They want to know how it goes; the feedback is the reporters'."""


class Feedback(StrEnum):
    """What a reporter may do about a case."""

    UPDATE = "update"
    ANSWER = "answer"
    RATE = "rate"
    OBJECT = "object"
    WITHDRAW = "withdraw"


@dataclass(frozen=True)
class Line:
    """A line of the history as somebody outside sees it; `by` is the unit or side, `mine`: they did it themselves."""

    at: datetime
    command: Command
    by: str | None
    note: str = ""
    photos: tuple[str, ...] = ()
    mine: bool = False


@dataclass(frozen=True)
class Tracker:
    """Somebody who holds a code (or an account): `own` is the case the code is of, `case` the one that it shows.

    The two differ as long as `reported` is merged; nothing of either is moved.
    """

    part: Part
    reported: Case
    case: Case

    @property
    def actor(self) -> Actor:
        """In which capacity they act on `case`; among several reporters their lines are told apart by their case."""
        return Actor(frozenset({Side.REPORTER}), None, "" if self.reported is self.case else self.reported.id)

    def may(self, now: datetime, timetable: Timetable) -> list[Feedback]:
        """What they may do now, in the order of `Feedback`."""
        if self.part is Part.FOLLOWER:
            return []
        return [each for each in Feedback if self._allows(each, now, timetable)]

    def object_until(self, timetable: Timetable) -> datetime | None:
        """Until when they may say that it is not in order; None while the case is not closed."""
        closed_at, within = self.case.closed_at, Limit.parse(timetable.terms.reopen_within)
        return timetable.calendar.add(closed_at, within) if closed_at else None

    def lines(self) -> list[Line]:
        """The history, earliest first: what happened, what the unit replied, what was asked, what they wrote."""
        before = [] if self.reported is self.case else [line for line in self._shown_lines(self.reported) if line.mine]
        return sorted([*before, *self._shown_lines(self.case)], key=lambda line: line.at)

    def said_since(self, moment: datetime) -> int:
        """How often they have had their say about the case since then; filing it does not count."""
        said = [fact for fact in self.case.timeline if fact.at >= moment and fact.command is not Command.REGISTER]
        return sum(self._wrote(self.case, fact) for fact in said)

    def _allows(self, feedback: Feedback, now: datetime, timetable: Timetable) -> bool:
        case, reporting = self.case, self.part is Part.REPORTER
        command = _COMMANDS[feedback]
        room = TALK_LIMIT if command in TALK else FACTS_LIMIT
        if len(case.timeline) >= room or (case.state, command) not in TRANSITIONS:
            return False
        if feedback is Feedback.ANSWER:
            return reporting and case.state is CaseState.WAITING
        if feedback is Feedback.OBJECT:
            until = self.object_until(timetable)
            return case.kind is Kind.PROBLEM and until is not None and now <= until
        if feedback is Feedback.WITHDRAW:
            return reporting and all(fact.command is not Command.WITHDRAW for fact in case.timeline)
        return feedback is not Feedback.RATE or case.kind is Kind.PROBLEM

    def _shown_lines(self, case: Case) -> Iterator[Line]:
        for fact in case.timeline:
            mine = self._wrote(case, fact)
            if fact.command in SHOWN and (mine or fact.public or fact.command not in _OF_SOMEBODY):
                yield Line(fact.at, fact.command, fact.by, *self._content(case, fact, mine), mine)

    def _wrote(self, case: Case, fact: Fact) -> bool:
        """Reporters' lines say nothing of who wrote them where the case is their own, and which is theirs elsewhere."""
        reporter = "" if case is self.reported else self.reported.id
        return self.part is not Part.FOLLOWER and of_reporter(fact) and fact.who == reporter

    def _content(self, case: Case, fact: Fact, mine: bool) -> tuple[str, tuple[str, ...]]:
        """The words, for whom they were meant, and the photos that everybody may see."""
        asked = fact.command is Command.ASK_REPORTER and self.part is Part.REPORTER
        meant = fact.public or fact.command is Command.REPLY
        photos = [photo for photo in fact.photos if photo not in case.hidden_photos] if meant and case.is_shown else ()
        return fact.note if mine or meant or asked else "", tuple(photos)


_COMMANDS = {
    Feedback.UPDATE: Command.COMMENT,
    Feedback.ANSWER: Command.RESUME,
    Feedback.RATE: Command.RATE,
    Feedback.OBJECT: Command.OBJECT,
    Feedback.WITHDRAW: Command.WITHDRAW,
}
_INSIDE = frozenset({Command.ASK_EXTENSION, Command.REFUSE_EXTENSION, Command.CHILD_ENDED, Command.CHILD_REOPENED})
_OF_SOMEBODY = frozenset({Command.COMMENT, Command.WITHDRAW, Command.OBJECT, Command.RATE})
SHOWN = frozenset(Command) - _INSIDE
"""Commands that reporters hear of: most of them everybody who follows the case, some only whose they are."""
