"""Facts that may cost or earn a unit points, as the events of others tell them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from shared.contracts import inspections, reports
from shared.contracts.event_model import EventModel
from shared.contracts.scoring import FactKind


@dataclass(frozen=True)
class Fact:
    """Something that happened and whom it is laid to; kept whether or not a rule makes anything of it.

    The identity is that of the event or decision it rests on. `unit` is empty where nobody is responsible yet.
    `matter` is what it is about (a case, a visit, a decision): charges are numbered by matter and unit. `at_stake` is
    what the source says it is worth, `times` the how manieth of its kind in this matter it is.
    """

    id: str
    kind: FactKind
    unit: str
    matter: str
    happened_at: datetime
    told_at: datetime
    case: str = ""
    category: str = ""
    at_stake: Decimal = Decimal(0)
    times: int = 1
    stage: str | None = None
    level: str | None = None
    severity: str | None = None
    item: str | None = None
    """Code of what a decision is about: of the negative list, or of a manual entry's ground."""
    indicator: str | None = None
    standard: str | None = None
    scheme: int | None = None
    visit: str | None = None
    finding: int | None = None
    standard_points: Decimal | None = None
    """What the standard is worth in that scheme: all that is found of it costs no more in a month."""

    @property
    def about(self) -> str:
        """Subject of the charges that come of it."""
        return f"{self.matter}:{self.unit}"


def facts_of(data: EventModel, id: str, told_at: datetime) -> Iterator[Fact]:
    """What an event of another service tells of a unit's work; nothing where no unit has a part in it."""
    if isinstance(data, reports.CaseEvent):
        yield from _of_case(data, id, told_at)
    elif isinstance(data, inspections.FindingRecorded):
        yield Fact(
            id=id,
            kind=FactKind.FINDING,
            unit=data.unit or "",
            matter=data.visit,
            happened_at=data.found_at,
            told_at=told_at,
            category=data.category,
            severity=data.severity.value,
            indicator=data.indicators[0] if data.indicators else None,
            standard=data.standard,
            visit=data.visit,
            finding=data.finding,
        )


def _of_case(data: reports.CaseEvent, id: str, told_at: datetime) -> Iterator[Fact]:
    case = data.case
    unit = data.returned_by if isinstance(data, reports.CaseReturned) else case.unit
    kind = _KINDS.get(type(data))
    overdue = data if isinstance(data, reports.CaseOverdue) else None
    if kind is None or not unit or (overdue and overdue.stage not in _STAGES_OF_UNITS):
        return
    happened_at = (overdue.reached_at or case.overdue_at if overdue else None) or told_at
    yield Fact(
        id=id,
        kind=kind,
        unit=unit,
        matter=case.case,
        happened_at=happened_at,
        told_at=told_at,
        case=case.case,
        category=case.category,
        at_stake=case.points,
        times=_times(kind, case),
        stage=overdue.stage.value if overdue else None,
        level=overdue.level.value if overdue else None,
        indicator=case.indicators[0] if case.indicators else None,
    )


def _times(kind: FactKind, case: reports.CaseSnapshot) -> int:
    counted = {FactKind.REWORK: case.reworks, FactKind.REOPENED: case.reopens, FactKind.RETURNED: case.returns}
    return max(1, counted.get(kind, 1))


_STAGES_OF_UNITS = frozenset({reports.Stage.ACKNOWLEDGE, reports.Stage.RECTIFY})
"""In the others the centre, a leader or the reporter is late: nothing of that may be laid to the unit."""

_KINDS: dict[type[reports.CaseEvent], FactKind] = {
    reports.CaseOverdue: FactKind.OVERDUE,
    reports.CaseReworkOrdered: FactKind.REWORK,
    reports.CaseReopened: FactKind.REOPENED,
    reports.CaseReturned: FactKind.RETURNED,
}
