"""Photos of cases: handed in before the report, claimed by it, shown as openly as the case they belong to.

The service's `prepare` makes one `Desk` per process; the routes find it as `own_of(request).photos`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from fastapi import Request
from pydantic import BaseModel

from services.reports.domain import Case, Command, plain_text
from services.reports.domain.erasure import of_reporter
from services.reports.repo import AUDIT, CASES
from services.reports.views import STAFF, sees_inside
from shared import audit
from shared.auth import Principal
from shared.errors import Invalid, NotFound, Refused
from shared.files import MOST_REGIONS, PHOTO_DEADLINE, PHOTOS, Files, Hint, Kind, Photo, PhotoState, Region
from shared.geo import Point, distance
from shared.http import RateLimit, client_address
from shared.store import Store, UnitOfWork
from shared.store.collection import Filter

__all__ = [
    "AUDIT",
    "MOST_REGIONS",
    "PHOTOS",
    "PHOTO_DEADLINE",
    "Desk",
    "claim",
    "forget",
    "hide",
    "publish",
    "redact",
    "uncover",
    "unhide",
]

REASON_LIMIT = 200
EQUAL_LIMIT = 50
HISTORY_LIMIT = 200

Decision = Literal["hide", "unhide", "redact", "uncover"]


class Desk:
    """Where photos are handed in and asked for: `per_minute` from one address without an account, per process."""

    def __init__(self, store: Store, per_minute: float, alike_bits: int) -> None:
        self.files = Files(store, alike_bits)
        self._limit = RateLimit(per_minute / 60, max(1, int(per_minute)))

    def admit(self, request: Request, caller: Principal) -> None:
        """Raises TooMany."""
        if caller.anonymous:
            self._limit.take(client_address(request))


class Decided(BaseModel):
    """One decision of staff about a photo."""

    at: datetime
    who: str
    what: str
    why: str
    detail: dict[str, str]


class Noted(BaseModel):
    """What the camera noted, true or not: WGS-84 degrees, UTC, and metres from the place of the case."""

    longitude: float | None = None
    latitude: float | None = None
    metres_from_case: int | None = None
    taken_at: datetime | None = None


class PhotoView(BaseModel):
    """A photo as staff judges it.

    `seen_before` are other cases with a photo of the same picture, `equal` other shown photos of the same bytes: each
    of them is hidden and redacted by itself. `redrawing`: new copies are on their way, and there are none.
    """

    photo: str
    case: str | None
    public: bool
    hidden: bool
    redrawing: bool
    regions: list[Region]
    kind: Kind
    width: int
    height: int
    byte_count: int
    sha256: str
    uploaded_at: datetime
    noted: Noted | None
    seen_before: list[str]
    equal: list[str]
    decisions: list[Decided]


async def claim(uow: UnitOfWork, photo_ids: Sequence[str], case_id: str, public: bool) -> None:
    """The photos belong to the case from now on, and everybody may see them if it is public.

    For whatever shows photos of a case: the report, a unit's reply, a reporter's complaint. May be repeated: the last
    `public` counts from its commit on. Other cases with the same picture are looked up after the commit and noted on
    the photo; that never refuses anything.

    Raises Invalid (`photo-unknown`, `photo-repeated`) and Refused (`photo-of-another-case`), naming `photos.<n>`.
    """
    photos = await uow.load(PHOTOS, photo_ids)
    for place, id in enumerate(photo_ids):
        field, photo = f"photos.{place}", photos.get(id)
        if photo is None or not photo.kept:
            raise Invalid("photo-unknown", field=field)
        if id in photo_ids[:place]:
            raise Invalid("photo-repeated", field=field)
        if photo.claimed_by not in {None, case_id}:
            raise Refused("photo-of-another-case", field=field)
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


async def photo_view(store: Store, id: str) -> PhotoView:
    """Raises NotFound (`photos-not-found`)."""
    photo = await store.get(PHOTOS, id)
    if photo is None or not photo.known:
        raise NotFound("photos-not-found", id=id)
    content = photo.content
    others: Filter = {"content.sha256": content.sha256, "_id": {"$ne": id}, "claimed_by": {"$ne": None}}
    equal = await store.find(PHOTOS, others, limit=EQUAL_LIMIT)
    rows = await store.find(AUDIT, {"chain": _chain(id)}, [("number", 1)], HISTORY_LIMIT)
    return PhotoView(
        photo=id,
        case=photo.claimed_by,
        public=photo.public,
        hidden=photo.hidden,
        redrawing=photo.state is PhotoState.REDRAWING,
        regions=list(photo.blackened),
        kind=content.kind,
        width=content.width,
        height=content.height,
        byte_count=content.byte_count,
        sha256=content.sha256,
        uploaded_at=photo.uploaded_at,
        noted=await _noted(store, photo.claimed_by, content.hint) if content.hint else None,
        seen_before=list(photo.seen_before or ()),
        equal=[each.id for each in equal],
        decisions=[Decided(at=row.at, who=row.who, what=row.action, why=row.reason, detail=row.detail) for row in rows],
    )


async def may_see(store: Store, photo: Photo, caller: Principal) -> bool:
    """Staff of the campaign; of a case that is not public also the unit in charge, which has to find the place."""
    if caller.has(*STAFF):
        return True
    if caller.unit is None or photo.claimed_by is None:
        return False
    case = await store.get(CASES, photo.claimed_by)
    return case is not None and sees_inside(case, caller)


async def _kept(uow: UnitOfWork, id: str) -> Photo:
    photo = await uow.find(PHOTOS, id)
    if photo is None or not photo.known:
        raise NotFound("photos-not-found", id=id)
    return photo


async def _decided(uow: UnitOfWork, photo: Photo, what: Decision, who: str, reason: str) -> Photo:
    """Write the decision down with what it changes."""
    chain = _chain(photo.id)
    row = audit.append(
        await uow.find(AUDIT, f"{chain}:{photo.decisions}"),
        chain=chain,
        at=uow.now,
        who=who,
        action=f"photo.{what}",
        subject=photo.id,
        reason=plain_text(reason, "reason", REASON_LIMIT, required=True),
        detail={"case": photo.claimed_by or "", "regions": _written(photo.blackened)},
    )
    photo.decisions = row.number
    uow.insert(AUDIT, row)
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


def _chain(photo: str) -> str:
    return f"photo:{photo}"


def _written(regions: Sequence[Region]) -> str:
    """The regions that are black after a decision: left, top, right and bottom of each, in thousandths."""
    edges = ((each.left, each.top, each.right, each.bottom) for each in regions)
    return "; ".join(",".join(str(round(edge * 1000)) for edge in each) for each in edges)


async def _noted(store: Store, case_id: str | None, hint: Hint) -> Noted:
    case = await store.get(CASES, case_id) if case_id and hint.place else None
    place = Point(case.place.longitude, case.place.latitude) if case else None
    return Noted(
        longitude=hint.place.longitude if hint.place else None,
        latitude=hint.place.latitude if hint.place else None,
        metres_from_case=round(distance(place, hint.place)) if place and hint.place else None,
        taken_at=hint.taken_at,
    )
