"""What a unit, or the whole district, got in the parts of an assessment, as the office records it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from services.scoring.domain.standings import NEGATIVE, Composite, Span
from shared.errors import Invalid

SOURCE_LIMIT = 500
DISTRICT = "district"
"""What stands for the whole district where a unit is named; it is not ranked."""
MARKS_LIMIT = 200
POINTS_LIMIT = Decimal(100)


@dataclass(frozen=True)
class Mark:
    """One recorded value of a part: a score rate from 0 to 1; of the negative list, points.

    `source` says where it is stated; `by` is the subject of who recorded it, for staff only.
    """

    part: str
    value: Decimal
    source: str
    at: datetime
    by: str


@dataclass
class Result:
    """All marks of a unit in an assessment, in the order recorded: of a part the last one counts."""

    id: str
    scheme: str
    period: str
    unit: str
    marks: list[Mark] = field(default_factory=list)

    @staticmethod
    def id_of(scheme: str, period: str, unit: str) -> str:
        """Identity of a result."""
        return f"{scheme}:{period}:{unit}"

    @property
    def rates(self) -> dict[str, Decimal]:
        """The rate of each part as it stands."""
        return {mark.part: mark.value for mark in self.marks if mark.part != NEGATIVE}

    @property
    def negative(self) -> Decimal:
        """Points of the negative list as recorded: the district's; a unit's are in its ledger."""
        return next((mark.value for mark in reversed(self.marks) if mark.part == NEGATIVE), Decimal(0))

    def record(self, mark: Mark, composite: Composite) -> None:
        """Add a mark; the same again changes nothing. Raises Invalid for what does not fit."""
        if mark.part == NEGATIVE:
            if self.unit != DISTRICT:
                raise Invalid("result-negative-of-ledger", field="part")
            limit = POINTS_LIMIT
        elif composite.part(mark.part) is None:
            raise Invalid("result-part-not-found", field="part", scheme=composite.code, part=mark.part)
        else:
            limit = Decimal(1)
        if not 0 <= mark.value <= limit:
            raise Invalid("result-value-unfit", field="value", given=mark.value, limit=limit)
        if len(self.marks) == MARKS_LIMIT:
            raise Invalid("result-marks-too-many", field="part", limit=MARKS_LIMIT)
        last = next((each for each in reversed(self.marks) if each.part == mark.part), None)
        if last is None or (last.value, last.source) != (mark.value, mark.source):
            self.marks.append(mark)


def fits(composite: Composite, period: str) -> bool:
    """Whether the assessment is made for periods like this one."""
    try:
        return Span.of(period).kind == composite.per
    except ValueError:
        return False
