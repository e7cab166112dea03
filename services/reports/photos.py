"""Photos of cases: handed in before the report, claimed by it, shown as openly as the case they belong to.

The service's `prepare` makes one `Desk` per process; the routes find it as `runtime.own.photos`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from services.reports.repo import CASES
from services.reports.views import STAFF, sees_inside
from shared import telemetry
from shared.auth import Principal, anyone, require
from shared.errors import Invalid, NotFound, Refused
from shared.files import MOST_BYTES, PHOTO_DEADLINE, PHOTOS, Files, Kind, Photo, PhotoState, Size
from shared.http import BODY_LIMIT, RateLimit, Router, client_address
from shared.service import runtime_of
from shared.store import Store, UnitOfWork

__all__ = ["PHOTOS", "PHOTO_DEADLINE", "Desk", "claim", "router"]

SEEN_FOR = "private, max-age=5"
"""A photo that is taken out of sight is out of sight within 5 seconds; until then browsers ask by ETag."""
UNSEEN = "no-store"

log = telemetry.logger(__name__)
router = Router(prefix="/photos", tags=["photos"])

Anyone = Annotated[Principal, Depends(anyone())]
Office = Annotated[Principal, Depends(require("office", "dispatcher"))]
_CONTENT = {"schema": {"type": "string", "format": "binary"}}
_UPLOAD: dict[str, Any] = {
    BODY_LIMIT: MOST_BYTES,
    "requestBody": {"required": True, "content": {kind.media_type: _CONTENT for kind in Kind}},
}


_REFUSED: dict[int | str, dict[str, Any]] = {
    413: {"$ref": "#/components/responses/TooLarge"},
    415: {"$ref": "#/components/responses/UnsupportedType"},
}


def _shown(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {kind.media_type: _CONTENT for kind in kinds}, "description": "照片 · The photo"}}


class Uploaded(BaseModel):
    """A photo to be named in a report within 24 hours; pixels of the original, held upright."""

    photo: str
    width: int
    height: int


class Desk:
    """Where photos are handed in and asked for: `per_minute` from one address without an account, per process."""

    def __init__(self, store: Store, per_minute: float) -> None:
        self.files = Files(store)
        self._limit = RateLimit(per_minute / 60, max(1, int(per_minute)))

    def admit(self, request: Request, caller: Principal) -> None:
        """Raises TooMany."""
        if caller.anonymous:
            self._limit.take(client_address(request))


async def claim(uow: UnitOfWork, photo_ids: Sequence[str], case_id: str, public: bool) -> None:
    """The photos belong to the case from now on, and everybody may see them if it is public.

    Raises Invalid (`photo-unknown`, `photo-repeated`) and Refused (`photo-of-another-case`), naming `photos.<n>`.
    """
    photos = await uow.load(PHOTOS, photo_ids)
    for place, id in enumerate(photo_ids):
        field, photo = f"photos.{place}", photos.get(id)
        if photo is None or photo.state is not PhotoState.READY:
            raise Invalid("photo-unknown", field=field)
        if id in photo_ids[:place]:
            raise Invalid("photo-repeated", field=field)
        if photo.claimed_by not in {None, case_id}:
            raise Refused("photo-of-another-case", field=field)
        photo.claimed_by, photo.public, photo.deadline_at = case_id, public, None
        uow.save(PHOTOS, photo)


@router.post("", status_code=201, response_model=Uploaded, openapi_extra=_UPLOAD, responses=_REFUSED)
async def upload(request: Request, caller: Anyone) -> Uploaded:
    """上传照片 · Hand in a photo: its bytes are the body (JPEG, PNG or WebP, at most 15 MiB)."""
    desk = _desk(request)
    desk.admit(request, caller)
    photo = await desk.files.put(await request.body())
    return Uploaded(photo=photo.id, width=photo.width, height=photo.height)


@router.get("/{id}/original", response_class=Response, responses=_shown(*Kind))
async def original(request: Request, id: str, caller: Office) -> Response:
    """照片原件 · The original, with everything its camera wrote into it; for evidence, not for show."""
    photo = await _photo(request, id)
    content = await _desk(request).files.original(photo)
    log.info("an original photo was handed out", photo=photo.id, to=caller.subject)
    headers = {
        "content-disposition": f'attachment; filename="{photo.id}.{photo.kind.value}"',
        # Bytes of a stranger: whatever a browser takes them for, nothing in them may run.
        "content-security-policy": "sandbox; default-src 'none'",
        "cache-control": UNSEEN,
    }
    return Response(content, headers=headers, media_type=photo.kind.media_type)


@router.get("/{id}/{size}", response_class=Response, responses=_shown(Kind.JPEG))
async def show(request: Request, id: str, size: Size, caller: Anyone) -> Response:
    """照片 · The copy without metadata, for whoever may see the case's photos."""
    photo = await _photo(request, id)
    open_to_all = photo.public and photo.claimed_by is not None
    if not (open_to_all or await _may_see_hidden(request, photo, caller)):
        raise NotFound("photos-not-found", id=id)
    tag = f'"{photo.id}-{size.value}"'
    headers = {"cache-control": SEEN_FOR, "etag": tag} if open_to_all else {"cache-control": UNSEEN}
    if open_to_all and request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    content = await _desk(request).files.copy(photo, size)
    return Response(content, headers=headers, media_type=Kind.JPEG.media_type)


def _desk(request: Request) -> Desk:
    desk: Desk = runtime_of(request).own.photos
    return desk


async def _photo(request: Request, id: str) -> Photo:
    photo = await runtime_of(request).store.get(PHOTOS, id)
    if photo is None or photo.state is not PhotoState.READY:
        raise NotFound("photos-not-found", id=id)
    return photo


async def _may_see_hidden(request: Request, photo: Photo, caller: Principal) -> bool:
    """Staff of the campaign; of a case that is not public also the unit in charge, which has to find the place."""
    if caller.has(*STAFF):
        return True
    if caller.unit is None or photo.claimed_by is None:
        return False
    case = await runtime_of(request).store.get(CASES, photo.claimed_by)
    return case is not None and sees_inside(case, caller)
