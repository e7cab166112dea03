"""Reporters read words, never codes: whatever can happen to a case has some, in both languages."""

from __future__ import annotations

import json

from services.reports.domain import Command
from services.reports.domain.feedback import SHOWN
from services.reports.domain.transitions import STATES
from services.reports.resources import PROGRESS
from shared.contracts.reports import CaseState
from shared.messages import Messages


def test_every_state_and_everything_told_has_words() -> None:
    words = Messages(json.loads(PROGRESS.read_text(encoding="utf-8")))
    states = {f"state-{state.value}" for state in (*STATES, CaseState.OTHER)}
    assert set(words) == states | {f"did-{command.value}" for command in SHOWN}


def test_what_is_not_told_is_what_units_and_the_clock_keep_among_themselves() -> None:
    assert set(Command) - SHOWN == {
        Command.ASK_EXTENSION,
        Command.REFUSE_EXTENSION,
        Command.CHILD_ENDED,
        Command.CHILD_REOPENED,
    }
