"""Events as the other services publish them, for tests of what the portal makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from services.portal.domain.cases import ShownPlace
from shared.audit import GENESIS
from shared.contracts.reports import CaseEvent, CaseRegistered, CaseState, Channel, Place
from shared.contracts.scoring import (
    EntryPosted,
    ListItem,
    ListKind,
    ListPublished,
    ListWithdrawn,
    MeasureChanged,
    MeasureState,
    StandingChanged,
)
from shared.event import Event

NOON = datetime(2026, 11, 3, 4, 0, tzinfo=UTC)
CASE = "20261103-ABCDEFGHJK"


class Everywhere:
    """Every place may be shown but those of noise."""

    async def shown(self, category: str, place: Place) -> ShownPlace:
        return ShownPlace() if category == "noise" else ShownPlace(place.longitude, place.latitude, place.address)


EVERYWHERE = Everywhere()


def case_event(
    sequence: int = 1,
    kind: type[CaseEvent] = CaseRegistered,
    /,
    *,
    case: str = CASE,
    at: datetime = NOON,
    community: str = "430476001007",
    address: str = "祥光社区北门",
    spot: Mapping[str, float] = MappingProxyType({"longitude": 112.6, "latitude": 26.9}),
    more: Mapping[str, Any] = MappingProxyType({}),
    **change: Any,
) -> Event:
    """An event of a case that the sanitation company has and that is due in four hours; `more` is told beside it."""
    snapshot: dict[str, Any] = {
        "case": case,
        "state": CaseState.DISPATCHED,
        "channel": Channel.CITIZEN,
        "category": "exposed-rubbish",
        "category_version": 1,
        "place": Place(**spot, community=community, address=address),
        "unit": "huanwei",
        "points": Decimal("0.5"),
        "registered_at": NOON,
        "dispatched_at": NOON,
        "due_at": NOON + timedelta(hours=4),
        **change,
    }
    return Event.new(kind.model_validate({"case": snapshot, **more}), case, sequence, at)


def standing_event(
    unit: str, score: str, *, sequence: int = 1, period: str = "2026-11", entries: int = 1, frozen: bool = False
) -> Event:
    """A unit's standing."""
    standing = StandingChanged(
        unit=unit,
        period=period,
        points_lost=Decimal(100) - Decimal(score),
        score=Decimal(score),
        entries=entries,
        head="ab" * 32,
        changed_at=NOON,
        frozen=frozen,
    )
    return Event.new(standing, f"{unit}:{period}", sequence, NOON)


def entry_event(unit: str, number: int, *, case: str = CASE, points: str = "0.5", **change: Any) -> Event:
    """A row of a unit's ledger; what it says only since lately is in `change`."""
    entry: dict[str, Any] = {
        "unit": unit,
        "number": number,
        "period": "2026-11",
        "case": case,
        "category": "exposed-rubbish",
        "rule": "case-overdue",
        "rule_version": 1,
        "points": Decimal(points),
        "basis": f"reports.case/{case}/2",
        "happened_at": NOON,
        "posted_at": NOON,
        "previous": GENESIS,
        "hash": f"{number:064x}",
        **change,
    }
    return Event.new(EntryPosted.model_validate(entry), unit, number, NOON)


def measure_event(measure: str, rung: str, state: MeasureState = MeasureState.ISSUED, sequence: int = 1) -> Event:
    """A measure against the sanitation company, about an overdue case."""
    change = MeasureChanged(
        measure=measure,
        number=f"〔2026〕第{measure}号",
        rung=rung,
        unit="huanwei",
        cause=f"reports.case/{CASE}/2",
        state=state,
        issued_at=NOON,
        due_at=NOON + timedelta(days=3),
        case=CASE,
    )
    return Event.new(change, measure, sequence, NOON)


MARKET = ListItem(
    reason="摊位占道经营，过道堵塞。", area="430476001007", venue_type="farmers-market", venue="祥光农贸市场", case=CASE
)
LATE_UNIT = ListItem(reason="交办问题逾期未回复。", unit="huanwei")


def list_event(
    id: str = "4d8f",
    kind: ListKind = ListKind.BLACK,
    items: Sequence[ListItem] = (MARKET, LATE_UNIT),
    at: datetime = NOON,
) -> Event:
    """A list that was published."""
    publication = ListPublished(
        list=id,
        number="〔2026〕第0001号",
        kind=kind,
        period="2026-11",
        issuer="first",
        items=tuple(items),
        published_at=at,
    )
    return Event.new(publication, id, 1, at)


def withdrawal_event(id: str = "4d8f", at: datetime = NOON + timedelta(days=1)) -> Event:
    """The list of before was withdrawn."""
    withdrawal = ListWithdrawn(
        list=id,
        number="〔2026〕第0001号",
        kind=ListKind.BLACK,
        period="2026-11",
        issuer="first",
        published_at=NOON,
        withdrawn_at=at,
    )
    return Event.new(withdrawal, id, 2, at)
