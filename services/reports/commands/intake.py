"""How a problem becomes a case, whatever channel it came by."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from services.reports.commands import photos
from services.reports.commands.catalogue import LiveCatalogue
from services.reports.district import District
from services.reports.domain import (
    ID_RANDOM_BYTES,
    Act,
    Actor,
    Answer,
    Areas,
    Case,
    Category,
    Moderation,
    Person,
    Place,
    Reporter,
    Routing,
    check_answers,
    new_case_id,
)
from services.reports.domain.person import without_contacts
from services.reports.repo import CASES
from services.reports.views.duplicates import Nearby
from shared.contracts.reports import Channel, Kind, ReporterKind
from shared.errors import Invalid
from shared.geo import Crs, read_point
from shared.store import UnitOfWork


@dataclass(frozen=True)
class Submission:
    """What somebody reports; coordinates in the datum `crs` names. If not `exact`, only the community is known."""

    category: str
    longitude: float
    latitude: float
    crs: str = Crs.WGS84
    exact: bool = True
    address: str = ""
    text: str = ""
    channel: Channel = Channel.CITIZEN
    kind: Kind = Kind.PROBLEM
    reporter_kind: ReporterKind = ReporterKind.CITIZEN
    photos: Sequence[str] = ()
    answers: dict[str, Answer] = field(default_factory=dict, repr=False)
    reporter: Reporter | None = field(default=None, repr=False)
    person: Person = field(default_factory=Person, repr=False)
    """Who reports, as long as it is handled: nobody's name and number stay in an address."""


@dataclass(frozen=True)
class Reference:
    """What a report is looked up in while it is filed: the district, its catalogue, and what lies near the place."""

    district: District
    catalogue: LiveCatalogue
    nearby: Nearby


async def submit(
    uow: UnitOfWork,
    reference: Reference,
    submission: Submission,
    by: Actor,
    *,
    moderation: Moderation = Moderation.APPROVED,
    tracking: str | None = None,
) -> Case:
    """File a case and send it to its unit; without a rule for it, it waits for the office.

    Citizens answer what the category requires; whoever files for a caller may leave it out. Raises Invalid:
    category-unknown, category-retired, place-outside-district, and what `check_answers` and `register` raise.
    """
    district = reference.district
    category = (await reference.catalogue.current()).open(submission.category)
    place, areas = place_of(district, submission)
    by_citizen = submission.channel is Channel.CITIZEN and submission.kind is Kind.PROBLEM
    answers = check_answers(category, submission.answers, complete=by_citizen)
    routing = district.router.route(category, areas, uow.now)
    submission = replace(submission, answers=answers)
    return await register(
        uow, reference, submission, by, category, place, routing, moderation=moderation, tracking=tracking
    )


async def register(
    uow: UnitOfWork,
    reference: Reference,
    submission: Submission,
    by: Actor,
    category: Category,
    place: Place,
    routing: Routing,
    *,
    moderation: Moderation = Moderation.APPROVED,
    note: str = "",
    tracking: str | None = None,
) -> Case:
    """File a case whose category, place and unit are settled, linked to the case that it is the repeat of.

    Raises Invalid (photo-unknown) and what `Case.register` raises.
    """
    repeat_of, timetable = None, reference.district.timetable
    if submission.kind is Kind.PROBLEM:
        repeat_of = await reference.nearby.closed_lately(category.code, place, timetable.terms, uow.now)
    case, events = Case.register(
        id=new_case_id(uow.now, secrets.token_bytes(ID_RANDOM_BYTES)),
        category=category,
        channel=submission.channel,
        place=place,
        routing=routing,
        act=Act(by, uow.now, timetable),
        kind=submission.kind,
        reporter_kind=submission.reporter_kind,
        text=submission.text,
        answers=submission.answers,
        reporter=submission.reporter,
        photos=submission.photos,
        moderation=moderation,
        repeat_of=repeat_of,
        note=note,
        tracking=tracking,
        middle=reference.district.middle_of(place.community),
    )
    await photos.claim(uow, case.photos, case.id, public=case.is_shown)
    uow.insert(CASES, case, *events)
    return case


def place_of(district: District, submission: Submission) -> tuple[Place, Areas]:
    """The place and the areas it lies in. Raises Invalid (place-outside-district)."""
    point = read_point(submission.longitude, submission.latitude, submission.crs)
    areas = district.areas_at(point)
    if areas is None:
        raise Invalid("place-outside-district", field="longitude", district=district.name.zh)
    place = Place(
        point.longitude,
        point.latitude,
        areas.community,
        without_contacts(submission.person.taken_out_of(submission.address)),
        submission.crs,
        areas.grid,
        submission.exact,
    )
    return place, areas
