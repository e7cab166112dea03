"""What is done about photos of cases: claimed by what shows them, shown as openly as the case, hidden, blackened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from services.reports.domain import Case, Command, plain_text
from services.reports.domain.erasure import of_reporter
from services.reports.repo import CASES
from services.reports.views.photos import chain_of
from shared.audit.log import write_down
from shared.errors import Invalid, NotFound, Refused
from shared.files import PHOTOS, Photo, Region
from shared.store import UnitOfWork

REASON_LIMIT = 200

Decision = Literal["hide", "unhide", "redact", "uncover"]


async def claim(uow: UnitOfWork, photo_ids: Sequence[str], case_id: str, public: bool) -> None:
    """The photos belong to the case from now on, and everybody may see them if it is public.

    For whatever shows photos of a case: the report, a unit's reply, a reporter's complaint. Each is claimed once: what
    somebody else has handed in for a case is nobody's proof of anything else, nor is it shown or hidden by it. Other
    cases with the same picture are looked up after the commit and noted on the photo; that never refuses anything.

    Raises Invalid (`photo-unknown`, `photo-repeated`) and Refused (`photo-of-another-case`, `photo-used-already`),
    naming `photos.<n>`.
    """
    photos = await uow.load(PHOTOS, photo_ids)
    for place, id in enumerate(photo_ids):
        field, photo = f"photos.{place}", photos.get(id)
        if photo is None or not photo.kept:
            raise Invalid("photo-unknown", field=field)
        if id in photo_ids[:place]:
            raise Invalid("photo-repeated", field=field)
        if photo.claimed_by is not None:
            raise Refused("photo-used-already" if photo.claimed_by == case_id else "photo-of-another-case", field=field)
        photo.claim(case_id, public, uow.now)
        uow.save(PHOTOS, photo)


async def publish(uow: UnitOfWork, case: Case) -> None:
    """Whether everybody may see the photos of the case and of the work follows from whether the case is shown."""
    of_work = [fact.photos for fact in case.timeline if fact.public or fact.command is Command.REPLY]
    photos = await uow.load(PHOTOS, [id for ids in (case.photos, *of_work) for id in ids])
    for photo in photos.values():
        if photo.claimed_by == case.id and photo.public is not case.is_shown:
            photo.public = case.is_shown
            uow.save(PHOTOS, photo)


async def forget(uow: UnitOfWork, case: Case) -> None:
    """Of what reporters handed in, originals go and what their cameras noted; the copies stay."""
    theirs = [fact.photos for fact in case.timeline if of_reporter(fact)]
    photos = await uow.load(PHOTOS, [id for ids in (case.photos, *theirs) for id in ids])
    for photo in photos.values():
        if photo.claimed_by == case.id:
            photo.bare(uow.now)
            uow.save(PHOTOS, photo)


async def hide(uow: UnitOfWork, id: str, who: str, reason: str) -> Photo:
    """Nobody sees the photo's copies from now on. The case that `claimed_by` names has to leave it out.

    Raises NotFound, Refused (`photo-unclaimed`, `photo-hidden`), Invalid (the reason).
    """
    photo = await _kept(uow, id)
    photo.hide()
    return await _decided(uow, photo, "hide", who, reason)


async def unhide(uow: UnitOfWork, id: str, who: str, reason: str) -> Photo:
    """Whoever could see the photo sees it again. The case that `claimed_by` names has to show it again.

    Raises NotFound, Refused (`photo-unclaimed`, `photo-not-hidden`), Invalid (the reason).
    """
    photo = await _kept(uow, id)
    photo.unhide()
    return await _decided(uow, photo, "unhide", who, reason)


async def redact(uow: UnitOfWork, id: str, regions: Sequence[Region], who: str, reason: str) -> Photo:
    """The regions too are black from now on: there are no copies until new ones are drawn.

    Raises NotFound, Refused (`photo-unclaimed`), Invalid (`photo-too-many-regions`, `photo-region-empty`, the reason).
    """
    photo = await _kept(uow, id)
    photo.blacken(regions, uow.now)
    return await _decided(uow, photo, "redact", who, reason)


async def uncover(uow: UnitOfWork, id: str, who: str, reason: str) -> Photo:
    """No region is black any more.

    Raises NotFound, Refused (`photo-unclaimed`, `photo-not-blackened`), Invalid (the reason).
    """
    photo = await _kept(uow, id)
    photo.uncover(uow.now)
    return await _decided(uow, photo, "uncover", who, reason)


async def hand_out(uow: UnitOfWork, id: str, who: str) -> None:
    """Somebody gets the original, with everything the camera wrote into it: that stands in the photo's chain.

    Raises NotFound.
    """
    photo = await _kept(uow, id)
    photo.decisions += 1
    uow.save(PHOTOS, photo)
    await write_down(uow, chain_of(id), photo.decisions, by=who, action="photo.original", subject=id)


async def _kept(uow: UnitOfWork, id: str) -> Photo:
    photo = await uow.find(PHOTOS, id)
    if photo is None or not photo.known:
        raise NotFound("photos-not-found", id=id)
    return photo


async def _decided(uow: UnitOfWork, photo: Photo, what: Decision, who: str, reason: str) -> Photo:
    """Write the decision down with what it changes."""
    row = await write_down(
        uow,
        chain_of(photo.id),
        photo.decisions + 1,
        by=who,
        action=f"photo.{what}",
        subject=photo.id,
        reason=plain_text(reason, "reason", REASON_LIMIT, required=True),
        detail={"case": photo.claimed_by or "", "regions": _written(photo.blackened)},
    )
    photo.decisions = row.number
    uow.save(PHOTOS, photo)
    await _tell_cases(uow, photo)
    return photo


async def _tell_cases(uow: UnitOfWork, photo: Photo) -> None:
    """Let the case that shows the photo, and the parts it was split into, tell of what is not to be seen."""
    case = await uow.find(CASES, photo.claimed_by) if photo.claimed_by else None
    parts = await uow.load(CASES, case.children) if case else {}
    for each in [case, *parts.values()]:
        if each is not None:
            hidden = {*each.hidden_photos, photo.id} if photo.hidden else {*each.hidden_photos} - {photo.id}
            if events := each.show_photos(hidden):
                uow.save(CASES, each, *events)


def _written(regions: Sequence[Region]) -> str:
    """The regions that are black after a decision: left, top, right and bottom of each, in thousandths."""
    edges = ((each.left, each.top, each.right, each.bottom) for each in regions)
    return "; ".join(",".join(str(round(edge * 1000)) for edge in each) for each in edges)
