"""Photos as staff judges them, and who may see which."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from services.reports.repo import CASES
from services.reports.views.cases import sees_inside
from shared.audit.log import AUDIT
from shared.auth import Principal
from shared.errors import NotFound
from shared.files import PHOTOS, Hint, Kind, Photo, PhotoState, Region
from shared.geo import Point, distance
from shared.roles import CENTRE, STAFF
from shared.store import Store
from shared.store.collection import Filter

EQUAL_LIMIT = 50
HISTORY_LIMIT = 200


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


async def photo_view(store: Store, id: str, caller: Principal) -> PhotoView:
    """Raises NotFound (`photos-not-found`). Where a camera was is for the centre; others are told how far away."""
    photo = await store.get(PHOTOS, id)
    if photo is None or not photo.known:
        raise NotFound("photos-not-found", id=id)
    content = photo.content
    others: Filter = {"content.sha256": content.sha256, "_id": {"$ne": id}, "claimed_by": {"$ne": None}}
    equal = await store.find(PHOTOS, others, limit=EQUAL_LIMIT)
    rows = await store.find(AUDIT, {"chain": chain_of(id)}, [("number", 1)], HISTORY_LIMIT)
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
        noted=await _noted(store, photo.claimed_by, content.hint, caller) if content.hint else None,
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


async def _noted(store: Store, case_id: str | None, hint: Hint, caller: Principal) -> Noted:
    case = await store.get(CASES, case_id) if case_id and hint.place else None
    place = Point(case.place.longitude, case.place.latitude) if case else None
    camera = hint.place if caller.has(*CENTRE) else None
    return Noted(
        longitude=camera.longitude if camera else None,
        latitude=camera.latitude if camera else None,
        metres_from_case=round(distance(place, hint.place)) if place and hint.place else None,
        taken_at=hint.taken_at,
    )


def chain_of(photo: str) -> str:
    """The audit chain of what was decided about a photo."""
    return f"photo:{photo}"
