"""Measures of the ladder: the clock takes the next rung, units receive and reply, the office holds back and ends.

Papers are issued by the clock alone, so that numbers without a gap are given by one hand however many workers hear of
overdue cases.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from services.scoring.district import District
from services.scoring.domain.acts import Act, decide
from services.scoring.domain.ladder import (
    Call,
    Cause,
    Matter,
    Rung,
    Step,
)
from services.scoring.domain.measures import TEXT_LIMIT, Measure, Names, Times, paper_of
from services.scoring.repo import MATTERS, MEASURES
from shared.clock import CHINA
from shared.documents.paper import numbered
from shared.errors import Refused
from shared.own_cause import Decider
from shared.serials import next_number
from shared.store import UnitOfWork
from shared.workdays import Limit
from shared.writing import plain_text


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
    uow.save(MEASURES, measure, measure.event())
    return measure


async def reply(uow: UnitOfWork, district: District, id: str, text: str, by: str) -> Measure:
    """书面回复. Raises NotFound and what the measure raises."""
    measure = await uow.get(MEASURES, id)
    measure.answer(plain_text(text, "text", TEXT_LIMIT, required=True), uow.now, by)
    matter = await uow.get(MATTERS, measure.matter)
    matter.replied(id, district.ladder, uow.now)
    uow.save(MATTERS, matter)
    uow.save(MEASURES, measure, measure.event())
    return measure


async def hold(uow: UnitOfWork, district: District, id: str, until: datetime, reason: str, by: Decider) -> Measure:
    """缓办. Raises NotFound, Refused (measure-not-newest) and what the matter raises."""
    measure, matter = await _newest(uow, id)
    _decide(Act.HOLD_MEASURE, by, measure)
    matter.hold(until, uow.now, district.ladder)
    measure.hold(until, plain_text(reason, "reason", TEXT_LIMIT, required=True), by.subject)
    uow.save(MATTERS, matter)
    uow.save(MEASURES, measure, measure.event())
    return measure


async def release(uow: UnitOfWork, district: District, id: str, by: Decider) -> Measure:
    """It goes on before the day. Raises NotFound, Refused (measure-not-newest) and what the matter raises."""
    measure, matter = await _newest(uow, id)
    _decide(Act.RELEASE_MEASURE, by, measure)
    await _go_on(uow, district, matter)
    return measure


async def end(uow: UnitOfWork, id: str, reason: str, by: Decider) -> Measure:
    """The office ends the whole matter. Raises NotFound and Refused (matter-ended)."""
    measure = await uow.get(MEASURES, id)
    _decide(Act.END_MEASURE, by, measure)
    matter = await uow.get(MATTERS, measure.matter)
    why = plain_text(reason, "reason", TEXT_LIMIT, required=True)
    if not await end_matter(uow, matter, uow.now, why, by.subject):
        raise Refused("matter-ended")
    return measure


def _decide(act: Act, by: Decider, measure: Measure) -> None:
    """Raises Forbidden (second-person-required, decision-on-own-unit)."""
    decide(act, by, units=[measure.unit], people=[measure.received_by, measure.replied_by])


async def end_matter(uow: UnitOfWork, matter: Matter, at: datetime, reason: str, by: str) -> bool:
    """End a matter with all its measures; whether it was not over before."""
    if not matter.end(at):
        return False
    uow.save(MATTERS, matter)
    for measure in (await uow.load(MEASURES, [step.measure for step in matter.steps])).values():
        measure.end(max(at, measure.issued_at), reason, by)
        uow.save(MEASURES, measure, measure.event())
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
        uow.save(MEASURES, measure, measure.event())


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
    uow.insert(MEASURES, measure, measure.event())
    uow.save(MATTERS, matter)


async def _newest(uow: UnitOfWork, id: str) -> tuple[Measure, Matter]:
    measure = await uow.get(MEASURES, id)
    matter = await uow.get(MATTERS, measure.matter)
    if matter.newest is None or matter.newest.measure != id:
        raise Refused("measure-not-newest")
    return measure, matter
