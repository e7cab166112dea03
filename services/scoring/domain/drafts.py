"""Editions of the rule book: drafted and tried by the office, then put to use and kept for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from services.scoring.domain.rules import Rule
from shared.audit import GENESIS, chain_hash
from shared.errors import Refused

RULES_LIMIT = 100
"""Rules in one draft."""


class DraftState(StrEnum):
    """What became of a draft."""

    DRAFTED = "drafted"
    USED = "used"
    DISCARDED = "discarded"


@dataclass
class Draft:
    """Further versions of rules that are not in the book yet.

    `based_on` is the edition they were written against, `revision` counts the times that they were written, and
    `edition` is the one they became.
    """

    id: str
    based_on: int
    reason: str
    rules: Sequence[Rule]
    made_by: str
    made_at: datetime
    changed_by: str
    changed_at: datetime
    revision: int = 1
    state: DraftState = DraftState.DRAFTED
    edition: int | None = None

    def change(self, revision: int, based_on: int, reason: str, rules: Sequence[Rule], by: str, at: datetime) -> None:
        """Other content. Raises Refused (rule-draft-settled, rule-draft-stale)."""
        self.require(revision)
        self.based_on, self.reason, self.rules = based_on, reason, rules
        self.revision += 1
        self.changed_by, self.changed_at = by, at

    def settle(self, revision: int, state: DraftState, by: str, at: datetime, edition: int | None = None) -> None:
        """It is used or discarded. Raises Refused (rule-draft-settled, rule-draft-stale)."""
        self.require(revision)
        self.state, self.edition = state, edition
        self.changed_by, self.changed_at = by, at

    def require(self, revision: int) -> None:
        """Raises Refused when it is settled, or when somebody else has written it since."""
        if self.state is not DraftState.DRAFTED:
            raise Refused("rule-draft-settled", state=self.state.value)
        if revision != self.revision:
            raise Refused("rule-draft-stale", field="revision", current=self.revision)


@dataclass(frozen=True)
class Edition:
    """What an edition of the book added to the one before, and who put it to use; `draft` None: a file did."""

    id: str
    number: int
    rules: Sequence[Rule]
    reason: str
    made_by: str
    made_at: datetime
    draft: str | None = None


def fingerprint(rule: Rule) -> str:
    """A hash (SHA-256, hex) over all that a version of a rule says: what the audit chain keeps of it."""
    return chain_hash(GENESIS, asdict(rule))
