"""The routes of papers: issued under a number, listed, and handed out as files to print."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response

from services.reports.api.access import Issuer, Reader, resources
from services.reports.commands import documents
from services.reports.domain import Side
from services.reports.domain.documents import Document, DocumentKind
from services.reports.views.documents import DocumentView, paper, papers_of, view
from shared.documents import Format
from shared.documents.paper import numbered
from shared.errors import Duplicate
from shared.http import IDEMPOTENT, Body, Router, answer
from shared.service import runtime_of
from shared.store import UnitOfWork

router = Router(tags=["documents"])

_FILE = {"schema": {"type": "string", "format": "binary"}}
_PRINTED: dict[int | str, dict[str, Any]] = {
    200: {"content": {format.media_type: _FILE for format in Format}, "description": "文件 · The paper"}
}


class Issue(Body):
    """Which paper is wanted."""

    kind: DocumentKind


@router.post("/cases/{id}/documents", status_code=201, response_model=DocumentView, openapi_extra=IDEMPOTENT)
async def issue(request: Request, id: str, body: Issue, caller: Issuer) -> Response:
    """开具文书 · Issue a paper under the next number of its unit; asked for again, it is the same one."""
    held = resources(request)

    async def command(uow: UnitOfWork) -> DocumentView:
        issued = await documents.issue(
            uow, held.district, held.issuing, id, body.kind, caller, caller.unit or Side.CENTRE.value
        )
        return view(issued)

    async with held.issuing.numbering():
        try:
            return await answer(request, command, location="/documents/{id}.pdf")
        except Duplicate:  # another process was faster with the first number of the year, or with this very paper
            return await answer(request, command, location="/documents/{id}.pdf")


@router.get("/cases/{id}/documents", response_model=list[DocumentView])
async def page(request: Request, id: str, caller: Reader) -> list[DocumentView]:
    """案件文书 · The papers of a case: all of them for staff, its own for a unit."""
    found = await papers_of(runtime_of(request).store, id, caller)
    return [view(document) for document in found]


@router.get("/documents/{id}.{format}", response_class=Response, responses=_PRINTED)
async def show(request: Request, id: str, format: Format, caller: Reader) -> Response:
    """下载文书 · The paper as it was issued, as PDF or DOCX."""
    document = await paper(runtime_of(request).store, id, caller)
    content = await resources(request).press.print(document.paper, format)
    headers = {"content-disposition": _attachment(document, format)}
    return Response(content, headers=headers, media_type=format.media_type)


def _attachment(document: Document, format: Format) -> str:
    """A file name in Chinese, and one in ASCII for programs that know no other (RFC 6266, RFC 8187)."""
    ascii = re.sub(r"[^A-Za-z0-9-]", "_", f"{document.kind.value}-{document.unit}-{document.year}-{document.number:04}")
    chinese = f"{document.kind.chinese}{numbered(document.year, document.number)}"
    return f"attachment; filename=\"{ascii}.{format.value}\"; filename*=UTF-8''{quote(chinese, safe='')}.{format.value}"
