"""What is done to a case by units, verifiers, the centre, its reporter and the clock.

Each raises NotFound (`cases-not-found`) and what the case itself raises (`domain/cases`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from services.reports.commands import photos
from services.reports.district import District
from services.reports.domain import SYSTEM, Act, Actor, Case, Events
from services.reports.repo import CASES
from shared.errors import Invalid
from shared.store import UnitOfWork

Step = Callable[[Case, Act], Events]
"""What is to be done, once the case is there."""


async def handle(uow: UnitOfWork, district: District, id: str, by: Actor, step: Step) -> Case:
    """Do something to a case; one that is a part tells the whole when it ends or is open again."""
    act = Act(by, uow.now, district.timetable)
    case = await uow.get(CASES, id)
    ended = case.ended
    uow.save(CASES, case, *step(case, act))
    if case.parent is not None and case.ended is not ended:
        parent = await uow.get(CASES, case.parent)
        uow.save(CASES, parent, *(parent.child_ended if case.ended else parent.child_reopened)(act, case.id))
    return case


async def dispatch(
    uow: UnitOfWork, district: District, id: str, by: Actor, unit: str, supporting: Sequence[str]
) -> Case:
    """派遣: the centre gives a case to a unit. Raises Invalid (unit-unknown)."""
    _require_units(district, "unit", [unit])
    _require_units(district, "supporting", supporting)
    return await handle(uow, district, id, by, lambda case, act: case.dispatch(act, unit, supporting=supporting))


async def split(uow: UnitOfWork, district: District, id: str, by: Actor, units: Sequence[str]) -> Case:
    """A part of the case for each unit. Raises Invalid (unit-unknown)."""
    _require_units(district, "units", units)
    case = await uow.get(CASES, id)
    parts, events = case.split(Act(by, uow.now, district.timetable), units)
    uow.save(CASES, case, *events)
    for part in parts:
        uow.insert(CASES, part, part.registered())
    return case


async def reply(uow: UnitOfWork, district: District, id: str, by: Actor, text: str, evidence: Sequence[str]) -> Case:
    """整改回执, with photos of the work. Raises what `photos.claim` raises."""
    case = await handle(uow, district, id, by, lambda case, act: case.reply(act, text, photos=evidence))
    await photos.claim(uow, evidence, case.id, public=case.is_shown)
    return case


async def object(uow: UnitOfWork, district: District, id: str, by: Actor, text: str, evidence: Sequence[str]) -> Case:
    """The reporter says that it is not in order. Raises what `photos.claim` raises."""
    case = await handle(uow, district, id, by, lambda case, act: case.object(act, text, evidence))
    await photos.claim(uow, evidence, case.id, public=False)
    return case


async def comment(
    uow: UnitOfWork, district: District, id: str, by: Actor, text: str, public: bool, pictures: Sequence[str] = ()
) -> Case:
    """A note inside, or an update for everybody. Raises what `photos.claim` raises."""
    case = await handle(
        uow, district, id, by, lambda case, act: case.comment(act, text, public=public, photos=pictures)
    )
    await photos.claim(uow, pictures, case.id, public=public and case.is_shown)
    return case


async def merge(uow: UnitOfWork, district: District, id: str, by: Actor, into: str) -> Case:
    """Two cases tell of one problem. Raises Invalid (case-unknown) for a target that does not exist."""
    other = (await uow.load(CASES, [id, into])).get(into)
    case = await uow.get(CASES, id)
    if other is None:
        raise Invalid("case-unknown", field="into", given=into[:100])
    uow.save(CASES, case, *case.merge_into(Act(by, uow.now, district.timetable), other))
    uow.save(CASES, other)
    return case


async def unmerge(uow: UnitOfWork, district: District, id: str, by: Actor) -> Case:
    """The merge was a mistake."""
    case = await uow.get(CASES, id)
    other = await uow.get(CASES, case.merged_into or id)
    uow.save(CASES, case, *case.unmerge(Act(by, uow.now, district.timetable), other))
    uow.save(CASES, other)
    return case


async def mark_overdue(uow: UnitOfWork, district: District, id: str) -> None:
    """Something is due; nothing happens when it has meanwhile been met or moved."""
    case = await uow.find(CASES, id)
    if case is not None and case.is_due(uow.now):
        uow.save(CASES, case, *case.mark_overdue(Act(SYSTEM, uow.now, district.timetable)))


def _require_units(district: District, field: str, units: Sequence[str]) -> None:
    for unit in units:
        if unit not in district.units:
            raise Invalid("unit-unknown", field=field, given=unit[:100])
