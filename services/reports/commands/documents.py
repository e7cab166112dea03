"""Papers of cases: issued once under a number of their own, and kept as they were."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.reports.district import District
from services.reports.domain import Case
from services.reports.domain.documents import (
    ISSUERS,
    Document,
    DocumentKind,
    Heading,
    Names,
    assignment_order,
    erased,
    rectification_receipt,
    turn_of,
)
from services.reports.domain.erasure import Redaction
from services.reports.repo import CASES, DOCUMENTS
from shared.auth import Principal
from shared.clock import CHINA
from shared.documents import Paper
from shared.documents.paper import numbered
from shared.errors import Forbidden, Unavailable
from shared.serials import SERIALS, Serial, next_number
from shared.store import Store, UnitOfWork

PATIENCE = 10.0
"""Seconds to wait for the papers that this process numbers first."""


class Issuing:
    """Where one process issues papers. `portal_url` is the portal's address, where their codes lead."""

    def __init__(self, portal_url: str) -> None:
        self._portal_url = portal_url.rstrip("/")
        self._turn = asyncio.Lock()

    def url_of(self, case_id: str) -> str:
        """The public page of a case."""
        return f"{self._portal_url}/cases/{case_id}"

    @asynccontextmanager
    async def numbering(self) -> AsyncIterator[None]:
        """One at a time: numbers without a gap are decided one after the other, and processes contend enough.

        Raises Unavailable when that takes too long.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                await self._turn.acquire()
        except TimeoutError:
            raise Unavailable("too many papers are being issued") from None
        try:
            yield
        finally:
            self._turn.release()


async def issue(
    uow: UnitOfWork, district: District, issuing: Issuing, id: str, kind: DocumentKind, caller: Principal, by_unit: str
) -> Document:
    """The paper of this kind for the case as it stands; for one turn of the case always the one issued first.

    Raises NotFound, Forbidden (`role-required`, `case-of-another-unit`) and Refused (`document-not-possible`).
    """
    case = await uow.get(CASES, id)
    _require_issuer(case, kind, caller)
    unit, turn, year = case.unit or "", turn_of(case, kind), uow.now.astimezone(CHINA).year
    # Read, and so written, before the document: whoever loses a race hears Conflict there, and decides again.
    await uow.find(SERIALS, Serial.id_of(kind, unit, year))
    issued = await uow.find(DOCUMENTS, Document.id_of(kind, id, unit, turn))
    if issued is not None:
        return issued
    number = await next_number(uow, kind, unit, year)
    heading = Heading(numbered(year, number), uow.now, issuing.url_of(id))
    document = Document(
        id=Document.id_of(kind, id, unit, turn),
        kind=kind,
        case=id,
        unit=unit,
        turn=turn,
        year=year,
        number=number,
        issued_at=uow.now,
        issued_by=by_unit,
        paper=await _paper(uow, district, case, kind, heading),
    )
    uow.insert(DOCUMENTS, document)
    return document


async def forget(uow: UnitOfWork, store: Store, case: Case, redaction: Redaction, *, whole: bool) -> None:
    """The papers quote what is erased in the case: the report if `whole`, and people."""
    found = await store.driver.find(DOCUMENTS.name, {"case": case.id}, fields=())
    for document in (await uow.load(DOCUMENTS, [each["_id"] for each in found])).values():
        document.paper = erased(document.paper, redaction.of, whole=whole)
        uow.save(DOCUMENTS, document)


async def _paper(uow: UnitOfWork, district: District, case: Case, kind: DocumentKind, heading: Heading) -> Paper:
    names = _names(district, case)
    if kind is DocumentKind.ASSIGNMENT_ORDER:
        return assignment_order(case, names, heading)
    answered = DocumentKind.ASSIGNMENT_ORDER
    order = await uow.find(DOCUMENTS, Document.id_of(answered, case.id, case.unit or "", turn_of(case, answered)))
    return rectification_receipt(case, names, heading, numbered(order.year, order.number) if order else None)


def _require_issuer(case: Case, kind: DocumentKind, caller: Principal) -> None:
    roles = ISSUERS[kind]
    if not caller.has(*roles):
        raise Forbidden("role-required", roles=", ".join(roles))
    if kind is DocumentKind.RECTIFICATION_RECEIPT and caller.unit != case.unit:
        raise Forbidden("case-of-another-unit", unit=caller.unit)


def _names(district: District, case: Case) -> Names:
    """Chinese names; the code itself where the district's files do not know it any more."""
    unit, category = district.units.get(case.unit or ""), district.categories.get(case.category)
    community = district.communities.get(case.place.community)
    return Names(
        district=district.name.zh,
        unit=unit.name.zh if unit else case.unit or "",
        category=category.name.zh if category else case.category,
        community=community.name.zh if community else case.place.community,
    )
