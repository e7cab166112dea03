"""Cases in every state, for the tests of the reports domain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from services.reports.domain import Case, Category, Name, Place, Routing, Why
from shared.contracts.reports import CaseState, Channel
from shared.workdays import WorkCalendar

CALENDAR = WorkCalendar()
MONDAY_NINE = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
"""09:00 in Asia/Shanghai on an ordinary Monday: the offices have just opened."""
MINUTE = timedelta(minutes=1)
UNIT, OTHER_UNIT, OFFICE = "huanwei", "shizheng", "chuangwenban"
TO_UNIT = Routing(UNIT, Why.CATEGORY)
TO_OFFICE = Routing(None, Why.TRIAGE)

RUBBISH = Category(
    code="exposed-rubbish",
    version=3,
    name=Name("暴露垃圾", "Exposed rubbish"),
    group="appearance",
    limit="4 work-hours",
    limit_source="示例",
    points=Decimal("0.5"),
    unit=UNIT,
)


def registered(
    category: Category = RUBBISH,
    routing: Routing = TO_UNIT,
    channel: Channel = Channel.CITIZEN,
    text: str = "垃圾无人清理",
    photos: tuple[str, ...] = (),
) -> Case:
    """A new case of Monday, 09:00."""
    case, _ = Case.register(
        id="20260302-0000000000",
        category=category,
        channel=channel,
        place=Place(112.6, 26.88, "430476001004", "银光路口"),
        routing=routing,
        now=MONDAY_NINE,
        calendar=CALENDAR,
        text=text,
        photos=photos,
    )
    return case


def in_state(state: CaseState) -> Case:
    """A case that came to `state` by the ordinary way, one minute a step."""
    case = registered(routing=TO_OFFICE if state is CaseState.REGISTERED else TO_UNIT)
    now = MONDAY_NINE
    if state in {CaseState.REGISTERED, CaseState.DISPATCHED}:
        return case
    case.acknowledge(by_unit=UNIT, now=now + MINUTE)
    if state is CaseState.ACKNOWLEDGED:
        return case
    case.reply("已清理", by_unit=UNIT, now=now + 2 * MINUTE)
    if state is CaseState.REPLIED:
        return case
    case.verify(state is not CaseState.REWORK, by_unit=OFFICE, now=now + 3 * MINUTE, calendar=CALENDAR)
    if state is CaseState.CLOSED:
        case.close(by_unit=OFFICE, now=now + 4 * MINUTE)
    return case
