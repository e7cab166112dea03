"""Files that staff hands in, and how they are handed out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import BaseModel

from services.scoring.api.access import may, resources_of
from services.scoring.domain.acts import Act
from shared import telemetry
from shared.attachments import MOST_BYTES, Kind
from shared.auth import Principal
from shared.http import BODY_LIMIT, Router

log = telemetry.logger(__name__)
router = Router(tags=["matrix"])

_CONTENT = {"schema": {"type": "string", "format": "binary"}}
_UPLOAD: dict[str, Any] = {
    BODY_LIMIT: MOST_BYTES,
    "requestBody": {"required": True, "content": {kind.media_type: _CONTENT for kind in Kind}},
}
_REFUSED: dict[int | str, dict[str, Any]] = {
    413: {"$ref": "#/components/responses/TooLarge"},
    415: {"$ref": "#/components/responses/UnsupportedType"},
}
FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind.media_type: _CONTENT for kind in Kind}, "description": "文件 · The file"}
}


class Uploaded(BaseModel):
    """A file to be named in a command within 24 hours, by who handed it in."""

    attachment: str
    kind: Kind
    byte_count: int
    sha256: str


@router.post("/attachments", status_code=201, response_model=Uploaded, openapi_extra=_UPLOAD, responses=_REFUSED)
async def upload(request: Request, caller: Annotated[Principal, may(Act.HAND_IN_FILE)]) -> Uploaded:
    """上传文件 · Hand in a file: its bytes are the body (PDF, OFD, DOCX, XLSX, JPEG or PNG, at most 20 MiB)."""
    kept = await resources_of(request).attachments.put(await request.body(), caller.subject)
    return Uploaded(attachment=kept.id, kind=kept.kind, byte_count=kept.byte_count, sha256=kept.sha256)


async def sent(request: Request, attachment: str, kind: Kind, name: str, caller: Principal) -> Response:
    """A file that the caller may have, under a name that says nothing of it."""
    content = await resources_of(request).attachments.read(attachment)
    log.info("a file was handed out", attachment=attachment, to=caller.subject)
    headers = {
        "content-disposition": f'attachment; filename="{name}.{kind.value}"',
        # Bytes of somebody else: whatever a browser takes them for, nothing in them may run.
        "content-security-policy": "sandbox; default-src 'none'",
        "cache-control": "no-store",
    }
    return Response(content, headers=headers, media_type=kind.media_type)
