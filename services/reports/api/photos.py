"""The routes of photos: handing in, looking at, and what staff decides about them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel, Field

from services.reports.api.access import FORBIDDEN, Anyone, Centre, Judge, resources
from services.reports.commands import photos
from services.reports.commands.photos import REASON_LIMIT
from services.reports.resources import INTAKE
from services.reports.views.photos import PhotoView, may_see, photo_view
from shared.errors import NotFound
from shared.files import MOST_BYTES, MOST_REGIONS, PHOTOS, Kind, Photo, Region, Size
from shared.http import BODY_LIMIT, IDEMPOTENT, Body, Router, answer, client_address, holder_of
from shared.roles import STAFF
from shared.service import runtime_of
from shared.store import UnitOfWork

REVALIDATED = "private, no-cache"
"""A browser may keep a photo but has to ask by ETag whenever it shows it: what is taken out of sight is so at once."""
UNSEEN = "no-store"

router = Router(prefix="/photos", tags=["photos"])

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


class Decision(Body):
    """Why it is done; no names or telephone numbers, as the reason is kept for ever."""

    reason: str = Field(max_length=REASON_LIMIT, examples=["可见无关人员面部"])


class RegionIn(Body):
    """A rectangle of the upright picture: fractions of its width from the left, of its height from above."""

    left: float = Field(ge=0, le=1, examples=[0.1])
    top: float = Field(ge=0, le=1, examples=[0.2])
    right: float = Field(ge=0, le=1, examples=[0.3])
    bottom: float = Field(ge=0, le=1, examples=[0.4])


class Redaction(Decision):
    """What is to be black, in addition to what is black already."""

    regions: list[RegionIn] = Field(min_length=1, max_length=MOST_REGIONS)


class Judged(BaseModel):
    """A photo after a decision: the case it belongs to, whether it is hidden, how many regions of it are black."""

    photo: str
    case: str
    hidden: bool
    regions: int


@router.post("", status_code=201, response_model=Uploaded, openapi_extra=_UPLOAD, responses={**FORBIDDEN, **_REFUSED})
async def upload(request: Request, caller: Anyone) -> Uploaded:
    """上传照片 · Hand in a photo: its bytes are the body (JPEG, PNG, WebP or HEIC, at most 15 MiB)."""
    held = resources(request)
    held.limits.hand_in(request, caller)
    if not caller.has(*STAFF, *INTAKE):
        now = runtime_of(request).store.clock.now()
        await held.reporters.refuse_shut_out(client_address(request), caller.subject, now)
    photo = await held.files.put(await request.body(), holder_of(request))
    return Uploaded(photo=photo.id, width=photo.content.width, height=photo.content.height)


@router.get("/{id}", response_model=PhotoView)
async def view(request: Request, id: str, caller: Judge) -> PhotoView:
    """照片信息 · What is known of a photo, to judge it by: its camera's notes, other cases with it, decisions."""
    return await photo_view(runtime_of(request).store, id, caller)


@router.get("/{id}/original", response_class=Response, responses=_shown(*Kind))
async def original(request: Request, id: str, caller: Centre) -> Response:
    """照片原件 · The original, with everything its camera wrote into it; for evidence, not for show."""
    photo = await _found(request, id)
    if not photo.kept:
        raise NotFound("photos-not-found", id=id)
    content = await resources(request).files.original(photo)
    await runtime_of(request).store.run(lambda uow: photos.hand_out(uow, id, caller.subject))
    kind = photo.content.kind
    headers = {
        "content-disposition": f'attachment; filename="{photo.id}.{kind.value}"',
        # Bytes of a stranger: whatever a browser takes them for, nothing in them may run.
        "content-security-policy": "sandbox; default-src 'none'",
        "cache-control": UNSEEN,
    }
    return Response(content, headers=headers, media_type=kind.media_type)


@router.get("/{id}/{size}", response_class=Response, responses=_shown(Kind.JPEG))
async def show(request: Request, id: str, size: Size, caller: Anyone) -> Response:
    """照片 · The copy without metadata, for whoever may see the case's photos, unless it is hidden."""
    photo = await _found(request, id)
    open_to_all = photo.public and photo.claimed_by is not None
    allowed = open_to_all or await may_see(runtime_of(request).store, photo, caller)
    if not (photo.in_sight and allowed):
        raise NotFound("photos-not-found", id=id)
    tag = f'"{photo.copies}-{size.value}"'
    headers = {"cache-control": REVALIDATED, "etag": tag} if open_to_all else {"cache-control": UNSEEN}
    if open_to_all and _knows(request, tag):
        return Response(status_code=304, headers=headers)
    content = await resources(request).files.copy(photo, size)
    return Response(content, headers=headers, media_type=Kind.JPEG.media_type)


@router.post("/{id}/hide", response_model=Judged, openapi_extra=IDEMPOTENT)
async def hide(request: Request, id: str, body: Decision, caller: Centre) -> Response:
    """隐藏照片 · Take the photo out of everybody's sight."""
    return await _judge(request, lambda uow: photos.hide(uow, id, caller.subject, body.reason))


@router.post("/{id}/unhide", response_model=Judged, openapi_extra=IDEMPOTENT)
async def unhide(request: Request, id: str, body: Decision, caller: Centre) -> Response:
    """恢复显示 · Let the photo be seen again."""
    return await _judge(request, lambda uow: photos.unhide(uow, id, caller.subject, body.reason))


@router.post("/{id}/redact", response_model=Judged, openapi_extra=IDEMPOTENT)
async def redact(request: Request, id: str, body: Redaction, caller: Centre) -> Response:
    """遮盖 · Black out parts of the photo, in addition to those that are black already (20 in all)."""
    regions = [Region(each.left, each.top, each.right, each.bottom) for each in body.regions]
    return await _redrawn(request, id, lambda uow: photos.redact(uow, id, regions, caller.subject, body.reason))


@router.post("/{id}/uncover", response_model=Judged, openapi_extra=IDEMPOTENT)
async def uncover(request: Request, id: str, body: Decision, caller: Centre) -> Response:
    """取消遮盖 · Show the whole photo again, to black out what should have been."""
    return await _redrawn(request, id, lambda uow: photos.uncover(uow, id, caller.subject, body.reason))


async def _found(request: Request, id: str) -> Photo:
    photo = await runtime_of(request).store.get(PHOTOS, id)
    if photo is None:
        raise NotFound("photos-not-found", id=id)
    return photo


async def _judge(request: Request, decide: Callable[[UnitOfWork], Awaitable[Photo]]) -> Response:
    """Decide and answer."""

    async def command(uow: UnitOfWork) -> Judged:
        photo = await decide(uow)
        return Judged(photo=photo.id, case=photo.claimed_by or "", hidden=photo.hidden, regions=len(photo.blackened))

    return await answer(request, command, 200)


async def _redrawn(request: Request, id: str, decide: Callable[[UnitOfWork], Awaitable[Photo]]) -> Response:
    """The same, and wait for the new copies: whoever decided looks at them next."""
    response = await _judge(request, decide)
    await resources(request).files.settle(id)
    return response


def _knows(request: Request, tag: str) -> bool:
    """Whether the caller has what the tag names (RFC 9110, 13.1.2)."""
    tags = ",".join(request.headers.getlist("if-none-match"))
    return tag in {each.strip().removeprefix("W/") for each in tags.split(",")}
