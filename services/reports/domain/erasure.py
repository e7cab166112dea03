"""What goes of a case when nobody needs it any more, and what stays: its facts and figures."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from services.reports.domain.answers import Answer
from services.reports.domain.cases import Case, Events
from services.reports.domain.facts import Fact
from services.reports.domain.person import Person, without_contacts
from services.reports.domain.words import Command, Side
from shared.contracts.reports import CaseChanged, CaseSnapshot


class Rule(StrEnum):
    """Why something was erased."""

    RETENTION = "retention"
    """The case had ended long enough ago."""
    REQUEST = "request"
    """Somebody asked for it and the office saw to it."""


@dataclass(frozen=True)
class Erasure:
    """The proof of an erasure: which cases, when (UTC), by which rule; `id` and `number` are those of its row in
    the audit log.

    `days` is the retention that held, `tracking_codes` counts the followers' codes that ended. Nothing of what was
    erased is in it.
    """

    id: str
    number: int
    at: datetime
    rule: Rule
    days: int
    cases: tuple[str, ...]
    tracking_codes: int


@dataclass(frozen=True)
class Redaction:
    """Takes these people out of what was written, and telephone numbers and addresses whose ever they are."""

    people: tuple[Person, ...] = ()

    def of(self, text: str) -> str:
        """The text without them."""
        for person in self.people:
            text = person.taken_out_of(text)
        return without_contacts(text)


PERSONAL = frozenset({"text", "answers", "place", "reporter", "tracking", "timeline"})
"""The fields of a case that can hold a person: every one of them is gone through here."""


def erase(case: Case, redaction: Redaction, now: datetime, figures: Collection[str]) -> Events:
    """Nothing of the case leads to a person any more; told when the public has seen anything of it.

    What goes: the reporter, the tracking code, the text, an address the public never saw, answers but those to the
    questions `figures` (numbers, choices, dates), what the reporter wrote and was asked, and, wherever else they stand,
    the people of the redaction.
    """
    before = case.snapshot()
    _redact(case, redaction)
    case.text = ""
    case.answers = {code: answer for code, answer in case.answers.items() if code in figures}
    case.timeline = [_erased(fact) for fact in case.timeline]
    if not case.is_shown:
        case.place = replace(case.place, address="")
    case.erased_at = now
    return _if_changed(case, before)


def forget_reporter(case: Case, redaction: Redaction) -> Events:
    """Nobody can tell any more who reported; what the handling still needs stays, without names and numbers."""
    before = case.snapshot()
    _redact(case, redaction)
    return _if_changed(case, before)


def forget_merged(case: Case, redaction: Redaction, merged: str) -> Events:
    """Of the case that `merged` went into, nobody can tell any more who reported that one; its own reporter stays."""
    before, reporter, tracking = case.snapshot(), case.reporter, case.tracking
    _redact(case, redaction)
    case.reporter, case.tracking = reporter, tracking
    case.timeline = [_erased(fact) if of_reporter(fact) and fact.who == merged else fact for fact in case.timeline]
    return _if_changed(case, before)


def of_reporter(fact: Fact) -> bool:
    """Whether the line is a reporter's own."""
    return fact.by == Side.REPORTER.value


def _redact(case: Case, redaction: Redaction) -> None:
    case.reporter = case.tracking = None
    case.text = redaction.of(case.text)
    case.answers = {code: _answer(answer, redaction) for code, answer in case.answers.items()}
    case.place = replace(case.place, address=redaction.of(case.place.address))
    case.timeline = [replace(fact, note=redaction.of(fact.note)) for fact in case.timeline]


def _answer(answer: Answer, redaction: Redaction) -> Answer:
    """Only what was written freely: numbers, dates and codes are answers to what was asked."""
    return redaction.of(answer) if isinstance(answer, str) else answer


def _erased(fact: Fact) -> Fact:
    if of_reporter(fact) or fact.command is Command.ASK_REPORTER:
        return replace(fact, note="", who="" if of_reporter(fact) else fact.who)
    return fact


def _if_changed(case: Case, before: CaseSnapshot) -> Events:
    after = case.snapshot()
    return (CaseChanged(case=after),) if after != before else ()
