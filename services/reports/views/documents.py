"""The papers of cases, for whoever may read them."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from services.reports.domain.documents import Document, DocumentKind
from services.reports.repo import CASES, DOCUMENTS
from shared.auth import Principal
from shared.documents.paper import numbered
from shared.errors import NotFound
from shared.roles import STAFF
from shared.store import Store
from shared.store.collection import Filter

MOST_SHOWN = 200
"""Papers of one case that are listed; each takes a dispatch, a reply or a rework."""


class DocumentView(BaseModel):
    """A paper that was issued. `number` is as the paper bears it; `issued_by` is a unit, or `office`."""

    id: str
    kind: DocumentKind
    name: str
    number: str
    case: str
    unit: str
    issued_at: datetime
    issued_by: str


async def papers_of(store: Store, case_id: str, caller: Principal) -> list[Document]:
    """The papers of a case that the caller may read, oldest first. Raises NotFound (`cases-not-found`)."""
    if await store.get(CASES, case_id) is None:
        raise NotFound("cases-not-found", id=case_id)
    filter: Filter = {"case": case_id}
    if not caller.has(*STAFF):
        filter["unit"] = caller.unit or ""
    return await store.find(DOCUMENTS, filter, [("issued_at", 1)], MOST_SHOWN)


async def paper(store: Store, id: str, caller: Principal) -> Document:
    """One paper, for staff and the unit it was issued to or by. Raises NotFound (`documents-not-found`)."""
    document = await store.get(DOCUMENTS, id)
    if document is None or not (caller.has(*STAFF) or caller.unit == document.unit):
        raise NotFound("documents-not-found", id=id)
    return document


def view(document: Document) -> DocumentView:
    """What is told of a paper besides the paper itself."""
    return DocumentView(
        id=document.id,
        kind=document.kind,
        name=document.kind.chinese,
        number=numbered(document.year, document.number),
        case=document.case,
        unit=document.unit,
        issued_at=document.issued_at,
        issued_by=document.issued_by,
    )
