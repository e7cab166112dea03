"""Events as the other services publish them, for tests of what the portal makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from shared.audit import GENESIS
from shared.contracts.reports import CaseEvent, CaseRegistered, CaseState, Channel, Place
from shared.contracts.scoring import EntryPosted, StandingChanged
from shared.event import Event

NOON = datetime(2026, 11, 3, 4, 0, tzinfo=UTC)
CASE = "20261103-ABCDEFGHJK"


def case_event(
    sequence: int = 1,
    kind: type[CaseEvent] = CaseRegistered,
    /,
    *,
    case: str = CASE,
    at: datetime = NOON,
    community: str = "430476001007",
    address: str = "祥光社区北门",
    more: Mapping[str, Any] = MappingProxyType({}),
    **change: Any,
) -> Event:
    """An event of a case that the sanitation company has and that is due in four hours; `more` is told beside it."""
    told: dict[str, Any] = {
        "case": case,
        "state": CaseState.DISPATCHED,
        "channel": Channel.CITIZEN,
        "category": "exposed-rubbish",
        "category_version": 1,
        "place": Place(longitude=112.6, latitude=26.9, community=community, address=address),
        "unit": "huanwei",
        "points": Decimal("0.5"),
        "registered_at": NOON,
        "dispatched_at": NOON,
        "due_at": NOON + timedelta(hours=4),
        **change,
    }
    return Event.new(kind.model_validate({"case": told, **more}), case, sequence, at)


def standing_event(unit: str, score: str, *, sequence: int = 1, period: str = "2026-11", entries: int = 1) -> Event:
    """A unit's standing."""
    told = StandingChanged(
        unit=unit,
        period=period,
        points_lost=Decimal(100) - Decimal(score),
        score=Decimal(score),
        entries=entries,
        head="ab" * 32,
        changed_at=NOON,
    )
    return Event.new(told, f"{unit}:{period}", sequence, NOON)


def entry_event(unit: str, number: int, *, case: str = CASE, points: str = "0.5") -> Event:
    """A row of a unit's ledger."""
    told = EntryPosted(
        unit=unit,
        number=number,
        period="2026-11",
        case=case,
        category="exposed-rubbish",
        rule="case-overdue",
        rule_version=1,
        points=Decimal(points),
        basis=f"reports.case/{case}/2",
        happened_at=NOON,
        posted_at=NOON,
        previous=GENESIS,
        hash=f"{number:064x}",
    )
    return Event.new(told, unit, number, NOON)
