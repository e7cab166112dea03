"""One function per use case: load, decide, save with the events that follow."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.reports import photos
from services.reports.district import District
from services.reports.domain import ID_RANDOM_BYTES, Case, Category, Events, Place, Reporter, new_case_id
from services.reports.repo import CASES
from shared.contracts.reports import Channel
from shared.errors import Invalid
from shared.geo import Crs, read_point
from shared.store import UnitOfWork


@dataclass(frozen=True)
class Submission:
    """What somebody reports; coordinates in the datum `crs` names."""

    category: str
    longitude: float
    latitude: float
    crs: str = Crs.WGS84
    address: str = ""
    text: str = ""
    channel: Channel = Channel.CITIZEN
    photos: Sequence[str] = ()
    reporter: Reporter | None = field(default=None, repr=False)


async def submit(uow: UnitOfWork, district: District, submission: Submission, by_unit: str | None = None) -> Case:
    """File a case and send it to its unit; without a rule for it, it waits for the office.

    Raises Invalid: category-unknown, place-outside-district, photo-unknown, and what `Case.register` raises.
    """
    category = _category(district, submission.category)
    place = _place(district, submission)
    case, events = Case.register(
        id=new_case_id(uow.now, secrets.token_bytes(ID_RANDOM_BYTES)),
        category=category,
        channel=submission.channel,
        place=place,
        routing=district.router.route(category.code, place.community),
        now=uow.now,
        calendar=district.calendar,
        text=submission.text,
        reporter=submission.reporter,
        photos=submission.photos,
        by_unit=by_unit,
    )
    await photos.claim(uow, case.photos, case.id, public=case.public)
    uow.insert(CASES, case, *events)
    return case


async def dispatch(uow: UnitOfWork, district: District, id: str, unit: str, by_unit: str) -> Case:
    """The office gives a case to a unit. Raises NotFound, Refused, Invalid (unit-unknown)."""
    if unit not in district.units:
        raise Invalid("unit-unknown", field="unit", given=unit)
    case = await uow.get(CASES, id)
    return _saved(uow, case, case.dispatch(unit, by_unit=by_unit, now=uow.now, calendar=district.calendar))


async def acknowledge(uow: UnitOfWork, id: str, by_unit: str) -> Case:
    """The unit takes a case on. Raises NotFound, Refused, Forbidden."""
    case = await uow.get(CASES, id)
    return _saved(uow, case, case.acknowledge(by_unit=by_unit, now=uow.now))


async def reply(uow: UnitOfWork, id: str, text: str, by_unit: str) -> Case:
    """The unit says what it did. Raises NotFound, Refused, Forbidden, Invalid."""
    case = await uow.get(CASES, id)
    return _saved(uow, case, case.reply(text, by_unit=by_unit, now=uow.now))


async def verify(uow: UnitOfWork, district: District, id: str, passed: bool, note: str, by_unit: str) -> Case:
    """Somebody else looked. Raises NotFound, Refused, Forbidden, Invalid."""
    case = await uow.get(CASES, id)
    events = case.verify(passed, by_unit=by_unit, now=uow.now, calendar=district.calendar, note=note)
    return _saved(uow, case, events)


async def close(uow: UnitOfWork, id: str, by_unit: str) -> Case:
    """The office signs a case off. Raises NotFound, Refused."""
    case = await uow.get(CASES, id)
    return _saved(uow, case, case.close(by_unit=by_unit, now=uow.now))


async def mark_overdue(uow: UnitOfWork, id: str) -> None:
    """The deadline has passed; nothing happens when it has meanwhile been met or moved."""
    case = await uow.find(CASES, id)
    if case is not None and case.is_due(uow.now):
        _saved(uow, case, case.mark_overdue(uow.now))


def _saved(uow: UnitOfWork, case: Case, events: Events) -> Case:
    uow.save(CASES, case, *events)
    return case


def _category(district: District, code: str) -> Category:
    category = district.categories.get(code)
    if category is None:
        raise Invalid("category-unknown", field="category", given=code[:100])
    return category


def _place(district: District, submission: Submission) -> Place:
    point = read_point(submission.longitude, submission.latitude, submission.crs)
    community = district.community_at(point)
    if community is None:
        raise Invalid("place-outside-district", field="longitude", district=district.name.zh)
    return Place(point.longitude, point.latitude, community, submission.address, submission.crs)
