"""One case as its reader may see it."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from services.reports.domain import Answer, Case, Moderation, Place, Routing
from services.reports.repo import CASES
from services.reports.repo.reporters import Reporters
from services.reports.views.reporter import ReporterView, seen
from shared.auth import Principal
from shared.contracts.reports import CaseSnapshot
from shared.errors import NotFound
from shared.roles import STAFF, UNIT, Role
from shared.store import Store


class Happened(BaseModel):
    """One line of a case's history."""

    at: datetime
    command: str
    by: str | None = None
    note: str = ""


class CaseView(BaseModel):
    """A case as the caller may see it: all but snapshot, history and `provisional` only for those inside.

    `place`, `address` and `photos` are there although the public may not see them (yet). `followers` counts who waits
    for it besides its reporter, reporters and followers of merged cases included. `provisional`: a limit ends when
    nobody knows yet which days are worked, and may be counted again.
    """

    snapshot: CaseSnapshot
    timeline: list[Happened]
    provisional: bool = False
    text: str | None = None
    answers: dict[str, Answer] | None = None
    routing: Routing | None = None
    place: Place | None = None
    address: str | None = None
    photos: tuple[str, ...] | None = None
    moderation: Moderation | None = None
    reporter: ReporterView | None = None
    followers: int | None = None


async def case_view(store: Store, id: str, caller: Principal, reporters: Reporters) -> CaseView:
    """Raises NotFound(`cases-not-found`)."""
    case = await store.get(CASES, id)
    if case is None:
        raise NotFound("cases-not-found", id=id)
    inside = sees_inside(case, caller)
    timeline = [
        Happened(at=fact.at, command=fact.command, by=fact.by, note=fact.note if inside or fact.public else "")
        for fact in case.timeline
    ]
    view = CaseView(snapshot=case.snapshot(), timeline=timeline, provisional=case.provisional)
    if inside:
        view.text, view.answers, view.routing = case.text, case.answers, case.routing
        view.place, view.address, view.photos = case.place, case.place.address, case.photos
        view.moderation, view.reporter = case.moderation, seen(reporters, case, caller)
        view.followers = await reporters.followers(case)
    return view


def sees_inside(case: Case, caller: Principal) -> bool:
    """Whether the caller may read what was written: staff of the campaign, and the people of the units in charge."""
    return caller.has(*STAFF) or (
        caller.has(*UNIT, Role.HEAD) and caller.unit in {case.unit, *case.supporting} - {None}
    )
