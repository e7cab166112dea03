"""What calls for a rung of the ladder, and what ends a matter; the times that are written are the events'.

Nothing is issued here: the clock does that (see commands/measures.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime

from services.scoring.commands.measures import end_matter
from services.scoring.district import District
from services.scoring.domain.facts import Fact, facts_of
from services.scoring.domain.ladder import (
    CaseMatters,
    Cause,
    Matter,
    OverdueCases,
    Rung,
    Trigger,
    last_running,
    repeat_matter,
    standing_matter,
)
from services.scoring.domain.ledger import standing_id
from services.scoring.repo import MATTERS, MEASURES, OVERDUE_CASES, ROLLS, STANDINGS
from services.scoring.resources import Resources
from shared.contracts.reports import (
    CaseClosed,
    CaseDispatched,
    CaseEvent,
    CaseMerged,
    CaseOverdue,
    CaseRejected,
    CaseReturned,
    CaseReworkOrdered,
    CaseSplit,
)
from shared.contracts.scoring import FactKind, StandingChanged
from shared.event import Event, carries
from shared.months import month_of, shifted
from shared.store import UnitOfWork

SYSTEM = "system"
"""Who ends a matter when its case is over."""
ENDING: dict[type[CaseEvent], str] = {
    CaseClosed: "案件已销号",
    CaseRejected: "案件不予受理",
    CaseMerged: "案件已合并",
    CaseReturned: "案件已退单",
    CaseDispatched: "案件已改派",
    CaseSplit: "案件已拆分",
}
"""Events with which a case may be a unit's no more, and what is written down then."""
CALLING: tuple[type[CaseEvent], ...] = (CaseOverdue, CaseReworkOrdered)
"""Events of a case that may call for a rung."""
MODELS: tuple[type[CaseEvent], ...] = (*CALLING, *ENDING)
_FACT_TYPES = frozenset(model.TYPE for model in CALLING)
_ENDING_TYPES = frozenset(model.TYPE for model in ENDING)


async def on_case(uow: UnitOfWork, event: Event[CaseEvent], resources: Resources) -> None:
    """Call for what a fact about a case asks for, or end the matters of those who have the case no more."""
    district = resources.district
    if type(event.data) in ENDING:
        await _end_matters(uow, event)
    for fact in _facts(event):
        await _call_for_case(uow, district, fact)
        if fact.kind is FactKind.OVERDUE:
            await _call_for_repeats(uow, district, fact)


async def on_standing(uow: UnitOfWork, event: Event[StandingChanged], resources: Resources) -> None:
    """Call for what the points lost in a month ask for, and, once it is frozen for a group, for being last in it."""
    standing = event.data
    district = resources.district
    rung = district.ladder.for_points(standing.points_lost)
    if rung is not None:
        basis = f"{standing.period}累计扣{standing.points_lost:f}分"
        await _call(uow, district, _of_standing(standing.period, standing.unit), rung, basis, event.time)
    if standing.frozen:
        for period in _months_after(district, standing.period):
            await _call_for_last(uow, district, standing.unit, period, event.time)


async def load_measures(uow: UnitOfWork, events: Sequence[Event], resources: Resources) -> None:
    """What the handlers will ask for; events that concern no ladder are not even read."""
    facts = [fact for event in events if event.type in _FACT_TYPES for fact in _facts(event)]
    ending = {event.subject for event in events if event.type in _ENDING_TYPES}
    standings = [
        event.data for event in events if event.type == StandingChanged.TYPE and carries(event, StandingChanged)
    ]
    frozen = {id for standing in standings if standing.frozen for id in _standings_beside(resources.district, standing)}
    by_case, overdue, _ = await asyncio.gather(
        uow.load(ROLLS, ending | {fact.case for fact in facts}),
        uow.load(OVERDUE_CASES, {_overdue_id(fact) for fact in facts}),
        uow.load(STANDINGS, frozen),
    )
    matters = {id for each in by_case.values() for id in each.open.values()}
    matters.update((by_case.get(fact.case) or CaseMatters(fact.case)).named(fact.unit) for fact in facts)
    matters.update(_repeat_matter(fact, overdue.get(_overdue_id(fact))) for fact in facts)
    matters.update(standing_matter(standing.period, standing.unit) for standing in standings)
    found = await uow.load(MATTERS, matters)
    over = {id for case in ending & by_case.keys() for id in by_case[case].open.values()}
    await uow.load(MEASURES, [step.measure for id in over & found.keys() for step in found[id].steps])


async def _call_for_case(uow: UnitOfWork, district: District, fact: Fact) -> None:
    rung = district.ladder.for_fact(fact)
    if rung is None:
        return
    case_matters = await _found(uow, fact.case)
    before = dict(case_matters.open)
    cause = Cause(f"case:{fact.case}", case=fact.case, category=fact.category)
    matter = Matter(case_matters.matter(fact.unit), fact.unit, cause)
    if case_matters.open != before:
        uow.save(ROLLS, case_matters)
    await _call(uow, district, matter, rung, _why(fact), fact.told_at)


async def _found(uow: UnitOfWork, case: str) -> CaseMatters:
    case_matters = await uow.find(ROLLS, case)
    if case_matters is None:
        case_matters = CaseMatters(case)
        uow.insert(ROLLS, case_matters)
    return case_matters


async def _call_for_repeats(uow: UnitOfWork, district: District, fact: Fact) -> None:
    ladder = district.ladder
    keep = ladder.most(Trigger.REPEATED)
    if not keep:
        return
    overdue = await uow.find(OVERDUE_CASES, _overdue_id(fact))
    if overdue is None:
        overdue = OverdueCases(_overdue_id(fact))
        uow.insert(OVERDUE_CASES, overdue)
    overdue.add(fact.case, fact.happened_at, keep)
    uow.save(OVERDUE_CASES, overdue)
    rung = ladder.for_overdue(overdue, fact.case)
    if rung is not None:
        period = month_of(overdue.cases[fact.case])
        cause = Cause(f"repeat:{fact.category}:{period}", category=fact.category, period=period)
        matter = Matter(repeat_matter(fact.category, fact.unit, period), fact.unit, cause)
        basis = f"“{district.category_of(fact.category)}”类案件近期多次逾期"
        await _call(uow, district, matter, rung, basis, fact.told_at)


async def _call_for_last(uow: UnitOfWork, district: District, unit: str, period: str, at: datetime) -> None:
    scores = {}
    for month in _months_before(district, period):
        found = await uow.load(STANDINGS, [standing_id(each, month) for each in district.group_of(unit)])
        if len(found) == len(district.group_of(unit)) and all(each.frozen_at for each in found.values()):
            scores[month] = {each.unit: each.score for each in found.values()}
    for last, months in last_running(scores, period).items():
        rung = district.ladder.for_last(months)
        if rung is not None:
            basis = f"至{period}连续{months}个月在本组排名末位"
            await _call(uow, district, _of_standing(period, last), rung, basis, at)


async def _call(uow: UnitOfWork, district: District, fresh: Matter, rung: Rung, basis: str, at: datetime) -> None:
    """Call for a rung in the matter, which is `fresh` if there is none yet."""
    known = await uow.find(MATTERS, fresh.id)
    matter = known or fresh
    if matter.call(rung, basis, district.ladder, at):
        (uow.save if known else uow.insert)(MATTERS, matter)


async def _end_matters(uow: UnitOfWork, event: Event[CaseEvent]) -> None:
    case_event = event.data
    case_matters = await uow.find(ROLLS, case_event.case.case)
    if case_matters is None or not case_matters.open:
        return
    gone = set(case_matters.open)
    if isinstance(case_event, CaseReturned):
        gone = {case_event.returned_by}
    elif isinstance(case_event, CaseDispatched):
        gone -= {case_event.case.unit}
    left = case_matters.leave(gone)
    if left:
        uow.save(ROLLS, case_matters)
    for matter in (await uow.load(MATTERS, left)).values():
        await end_matter(uow, matter, event.time, ENDING[type(case_event)], SYSTEM)


def _facts(event: Event) -> Iterator[Fact]:
    return (
        fact for fact in facts_of(event.data, event.id, event.time) if fact.kind in {FactKind.OVERDUE, FactKind.REWORK}
    )


def _why(fact: Fact) -> str:
    if fact.kind is FactKind.REWORK:
        return f"案件{fact.case}复查不合格，已{fact.times}次退回整改"
    stage = {"acknowledge": "签收", "rectify": "整改"}.get(fact.stage or "", "办理")
    level = {"blue": "蓝色", "orange": "橙色", "red": "红色"}.get(fact.level or "", "")
    return f"案件{fact.case}{stage}逾期（{level}）"


def _of_standing(period: str, unit: str) -> Matter:
    return Matter(standing_matter(period, unit), unit, Cause(f"standing:{period}", period=period))


def _repeat_matter(fact: Fact, overdue: OverdueCases | None) -> str:
    """Identity of the matter that the case may bring about as one of several."""
    first = overdue.cases.get(fact.case, fact.happened_at) if overdue else fact.happened_at
    return repeat_matter(fact.category, fact.unit, month_of(min(first, fact.happened_at)))


def _overdue_id(fact: Fact) -> str:
    return f"{fact.category}:{fact.unit}"


def _months_before(district: District, period: str) -> list[str]:
    return [shifted(period, -months) for months in range(district.ladder.most(Trigger.LAST))]


def _months_after(district: District, period: str) -> list[str]:
    """Months whose last places the month may decide on: months may be frozen in any order."""
    return [shifted(period, months) for months in range(district.ladder.most(Trigger.LAST))]


def _standings_beside(district: District, standing: StandingChanged) -> Iterator[str]:
    months = {*_months_before(district, standing.period), *_months_after(district, standing.period)}
    return (standing_id(unit, month) for month in sorted(months) for unit in district.group_of(standing.unit))
