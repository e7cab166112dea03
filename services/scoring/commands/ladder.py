"""The ladder at work: what calls for a rung, the clock that takes it, and what units and the office do about it.

Handlers only call for rungs and end matters; the times they write are the event's. Papers are issued by the clock
alone, so that numbers without a gap are given by one hand however many workers hear of overdue cases.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from services.scoring.district import District
from services.scoring.domain.facts import Fact, facts_of
from services.scoring.domain.ladder import (
    Call,
    CaseMatters,
    Cause,
    Matter,
    OverdueCases,
    Rung,
    Step,
    Trigger,
    last_running,
    repeat_matter,
    standing_matter,
)
from services.scoring.domain.ledger import standing_id
from services.scoring.domain.measures import Measure, Names, Times, paper_of
from services.scoring.repo import MATTERS, MEASURES, OVERDUE_CASES, ROLLS, STANDINGS
from shared.clock import CHINA
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
from shared.documents.paper import numbered
from shared.errors import Refused
from shared.event import Event, carries
from shared.months import month_of, shifted
from shared.serials import next_number
from shared.store import UnitOfWork
from shared.workdays import Limit

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
_FACT_TYPES = frozenset(model.TYPE for model in CALLING)
_ENDING_TYPES = frozenset(model.TYPE for model in ENDING)


async def hear_case(uow: UnitOfWork, district: District, event: Event[CaseEvent]) -> None:
    """Call for what a fact about a case asks for, or end the matters of those who have the case no more."""
    if type(event.data) in ENDING:
        await _end_matters(uow, event)
    for fact in _facts(event):
        await _call_for_case(uow, district, fact)
        if fact.kind is FactKind.OVERDUE:
            await _call_for_repeats(uow, district, fact)


async def hear_standing(uow: UnitOfWork, district: District, event: Event[StandingChanged]) -> None:
    """Call for what the points lost in a month ask for, and, once it is frozen for a group, for being last in it."""
    told = event.data
    rung = district.ladder.for_points(told.points_lost)
    if rung is not None:
        basis = f"{told.period}累计扣{told.points_lost:f}分"
        await _call(uow, district, _of_standing(told.period, told.unit), rung, basis, event.time)
    if told.frozen:
        for period in _months_after(district, told.period):
            await _call_for_last(uow, district, told.unit, period, event.time)


async def load_heard(uow: UnitOfWork, district: District, events: Sequence[Event]) -> None:
    """What the handlers will ask for; events that concern no ladder are not even read."""
    facts = [fact for event in events if event.type in _FACT_TYPES for fact in _facts(event)]
    cases = {fact.case for fact in facts}
    cases.update(event.subject for event in events if event.type in _ENDING_TYPES)
    standings = [
        event.data for event in events if event.type == StandingChanged.TYPE and carries(event, StandingChanged)
    ]
    frozen = {id for told in standings if told.frozen for id in _standings_beside(district, told)}
    rolls, _, _ = await asyncio.gather(
        uow.load(ROLLS, cases),
        uow.load(OVERDUE_CASES, {_overdue_id(fact) for fact in facts}),
        uow.load(STANDINGS, frozen),
    )
    matters = {id for roll in rolls.values() for id in roll.open.values()}
    matters.update(standing_matter(told.period, told.unit) for told in standings)
    await uow.load(MATTERS, matters)


async def climb(uow: UnitOfWork, district: District, url_of: Callable[[Cause], str], id: str) -> None:
    """The clock's command: issue what is due in a matter, and nothing when it has meanwhile been answered or ended.

    `url_of`: where the code on the paper leads.
    """
    matter, ladder = await uow.find(MATTERS, id), district.ladder
    if matter is None or not matter.is_due(uow.now):
        return
    if matter.held_until is not None:
        await _go_on(uow, district, matter)
    call = matter.next_rung(ladder, uow.now)
    rung = ladder.rung(call.rung) if call else None
    if call is None or rung is None:
        matter.settle(ladder, uow.now)
        uow.save(MATTERS, matter)
        return
    if matter.called is None and matter.newest is not None:
        unanswered = await uow.get(MEASURES, matter.newest.measure)
        unanswered.climbed_at = uow.now
        uow.save(MEASURES, unanswered)
    await _issue(uow, district, matter, rung, call, url_of(matter.cause))


async def receive(uow: UnitOfWork, id: str, by: str) -> Measure:
    """签收. Raises NotFound and what the measure raises."""
    measure = await uow.get(MEASURES, id)
    measure.receive(uow.now, by)
    uow.save(MEASURES, measure, measure.told())
    return measure


async def reply(uow: UnitOfWork, district: District, id: str, text: str, by: str) -> Measure:
    """书面回复. Raises NotFound and what the measure raises."""
    measure = await uow.get(MEASURES, id)
    measure.answer(text, uow.now, by)
    matter = await uow.get(MATTERS, measure.matter)
    matter.replied(id, district.ladder, uow.now)
    uow.save(MATTERS, matter)
    uow.save(MEASURES, measure, measure.told())
    return measure


async def hold(uow: UnitOfWork, district: District, id: str, until: datetime, reason: str, by: str) -> Measure:
    """缓办. Raises NotFound, Refused (measure-not-newest) and what the matter raises."""
    measure, matter = await _newest(uow, id)
    matter.hold(until, uow.now, district.ladder)
    measure.hold(until, reason, by)
    uow.save(MATTERS, matter)
    uow.save(MEASURES, measure, measure.told())
    return measure


async def release(uow: UnitOfWork, district: District, id: str) -> Measure:
    """It goes on before the day. Raises NotFound, Refused (measure-not-newest) and what the matter raises."""
    measure, matter = await _newest(uow, id)
    await _go_on(uow, district, matter)
    return measure


async def end(uow: UnitOfWork, id: str, reason: str, by: str) -> Measure:
    """The office ends the whole matter. Raises NotFound and Refused (matter-ended)."""
    measure = await uow.get(MEASURES, id)
    matter = await uow.get(MATTERS, measure.matter)
    if not await _end(uow, matter, uow.now, reason, by):
        raise Refused("matter-ended")
    return measure


async def _call_for_case(uow: UnitOfWork, district: District, fact: Fact) -> None:
    rung = district.ladder.for_fact(fact)
    if rung is None:
        return
    roll = await _found(uow, fact.case)
    before = dict(roll.open)
    cause = Cause(f"case:{fact.case}", case=fact.case, category=fact.category)
    matter = Matter(roll.matter(fact.unit), fact.unit, cause)
    if roll.open != before:
        uow.save(ROLLS, roll)
    await _call(uow, district, matter, rung, _why(fact), fact.told_at)


async def _found(uow: UnitOfWork, case: str) -> CaseMatters:
    roll = await uow.find(ROLLS, case)
    if roll is None:
        roll = CaseMatters(case)
        uow.insert(ROLLS, roll)
    return roll


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
    told = event.data
    roll = await uow.find(ROLLS, told.case.case)
    if roll is None or not roll.open:
        return
    gone = set(roll.open)
    if isinstance(told, CaseReturned):
        gone = {told.returned_by}
    elif isinstance(told, CaseDispatched):
        gone -= {told.case.unit}
    left = roll.leave(gone)
    if left:
        uow.save(ROLLS, roll)
    for matter in (await uow.load(MATTERS, left)).values():
        await _end(uow, matter, event.time, ENDING[type(told)], SYSTEM)


async def _end(uow: UnitOfWork, matter: Matter, at: datetime, reason: str, by: str) -> bool:
    if not matter.end(at):
        return False
    uow.save(MATTERS, matter)
    for measure in (await uow.load(MEASURES, [step.measure for step in matter.steps])).values():
        measure.end(max(at, measure.issued_at), reason, by)
        uow.save(MEASURES, measure, measure.told())
    return True


async def _go_on(uow: UnitOfWork, district: District, matter: Matter) -> None:
    """After a hold the unit has the whole limit of the rung it stands on again."""
    newest = matter.newest
    rung = district.ladder.rung(newest.rung) if newest else None
    due_at = district.calendar.add(uow.now, Limit.parse(rung.reply_within)) if rung else uow.now
    matter.release(due_at, district.ladder, uow.now)
    uow.save(MATTERS, matter)
    if newest is not None:
        measure = await uow.get(MEASURES, newest.measure)
        measure.release(due_at)
        uow.save(MEASURES, measure, measure.told())


async def _issue(uow: UnitOfWork, district: District, matter: Matter, rung: Rung, call: Call, url: str) -> None:
    year = uow.now.astimezone(CHINA).year
    times = Times(uow.now, district.calendar.add(uow.now, Limit.parse(rung.reply_within)))
    count = await next_number(uow, rung.code, year)
    number = numbered(year, count)
    category = district.category_of(matter.cause.category or "")
    names = Names(district.office, district.name_of(matter.unit), category)
    measure = Measure(
        id=f"{rung.code}-{year}-{count:04}",
        matter=matter.id,
        rung=rung.code,
        name=rung.name.zh,
        ladder=district.ladder.version,
        year=year,
        number=number,
        unit=matter.unit,
        cause=matter.cause,
        basis=call.basis,
        issued_at=times.issued_at,
        due_at=times.due_at,
        paper=paper_of(rung, number, names, matter.cause, call.basis, times, url),
    )
    matter.take(Step(rung.code, measure.id, f"{rung.name.zh}{number}", times.due_at), district.ladder, uow.now)
    uow.insert(MEASURES, measure, measure.told())
    uow.save(MATTERS, matter)


async def _newest(uow: UnitOfWork, id: str) -> tuple[Measure, Matter]:
    measure = await uow.get(MEASURES, id)
    matter = await uow.get(MATTERS, measure.matter)
    if matter.newest is None or matter.newest.measure != id:
        raise Refused("measure-not-newest")
    return measure, matter


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


def _overdue_id(fact: Fact) -> str:
    return f"{fact.category}:{fact.unit}"


def _months_before(district: District, period: str) -> list[str]:
    return [shifted(period, -months) for months in range(district.ladder.most(Trigger.LAST))]


def _months_after(district: District, period: str) -> list[str]:
    """Months whose last places the month may decide on: months may be frozen in any order."""
    return [shifted(period, months) for months in range(district.ladder.most(Trigger.LAST))]


def _standings_beside(district: District, told: StandingChanged) -> Iterator[str]:
    months = {*_months_before(district, told.period), *_months_after(district, told.period)}
    return (standing_id(unit, month) for month in sorted(months) for unit in district.group_of(told.unit))
