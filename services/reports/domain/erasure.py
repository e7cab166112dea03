"""What goes of a case when nobody needs it any more, and what stays: its facts and figures."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from services.reports.domain.case import Case
from services.reports.domain.facts import Fact
from services.reports.domain.reporter import Person
from services.reports.domain.words import Command, Side


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


def erase(case: Case, person: Person, now: datetime, figures: Collection[str]) -> None:
    """Nothing of the case leads to a person any more.

    What goes: the reporter, the tracking code, the text, an address the public never saw, answers but those to the
    questions `figures` (numbers, choices, dates), what the reporter wrote and was asked, and, wherever else it stands
    in the history, the name and number of `person`.
    """
    forget_reporter(case, person)
    case.text = ""
    case.answers = {code: told for code, told in case.answers.items() if code in figures}
    case.timeline = [_erased(fact) for fact in case.timeline]
    if not case.is_shown:
        case.place = replace(case.place, address="")
    case.erased_at = now


def forget_reporter(case: Case, person: Person) -> None:
    """Nobody can tell any more who reported; what the handling still needs stays, without name and number."""
    case.reporter = case.tracking = None
    case.text = person.taken_out_of(case.text)
    case.timeline = [replace(fact, note=person.taken_out_of(fact.note)) for fact in case.timeline]


def of_reporter(fact: Fact) -> bool:
    """Whether the line is a reporter's own."""
    return fact.by == Side.REPORTER.value


def _erased(fact: Fact) -> Fact:
    if of_reporter(fact) or fact.command is Command.ASK_REPORTER:
        return replace(fact, note="", who="" if of_reporter(fact) else fact.who)
    return fact
