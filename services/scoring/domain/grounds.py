"""Why something is asked for or decided, as people write it: plain text that shows all that it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.writing import plain_text

REASON_LIMIT = 1_000
EVIDENCE_LIMIT = 4_000
REFERENCE_LIMIT = 64
REFERENCES_LIMIT = 20


@dataclass(frozen=True)
class Grounds:
    """Why, what shows it, and numbers or identities of papers, photos and files that prove it."""

    reason: str
    evidence: str = ""
    references: Sequence[str] = ()

    def checked(self) -> Grounds:
        """As they are kept. Raises Invalid (see `plain_text`), naming the field."""
        return Grounds(
            plain_text(self.reason, "reason", REASON_LIMIT, required=True),
            plain_text(self.evidence, "evidence", EVIDENCE_LIMIT),
            [
                plain_text(each, f"references.{place}", REFERENCE_LIMIT, required=True)
                for place, each in enumerate(self.references)
            ],
        )


def reason(text: str, field: str = "reason", *, required: bool = True) -> str:
    """Why it is decided so. Raises Invalid (see `plain_text`)."""
    return plain_text(text, field, REASON_LIMIT, required=required)
