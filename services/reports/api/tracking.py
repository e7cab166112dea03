"""The reporter's routes: follow a case by its code or account, and have a say about it. Codes are never in a URL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from services.reports.api.access import FORBIDDEN, MISSING, Anyone, SignedIn, resources
from services.reports.commands import reporting
from services.reports.commands.reporting import Holder, Respondent
from services.reports.district import District
from services.reports.domain import PHOTO_LIMIT, TEXT_LIMIT, Case, Catalogue, Moderation, Name
from services.reports.domain.feedback import Feedback, Line, Part, Tracker
from services.reports.domain.tracking import CODE_LIMIT
from services.reports.domain.words import Command
from services.reports.repo import CASES
from services.reports.repo.reporters import Reporters
from services.reports.resources import Resources
from shared.auth import Principal
from shared.contracts.reports import CaseState, Kind, Stage
from shared.errors import Invalid, Unauthenticated
from shared.http import IDEMPOTENT, Body, Router, answer, client_address, subscriber
from shared.messages import Language, language
from shared.service import runtime_of
from shared.store import UnitOfWork

router = Router(tags=["tracking"])
PAGE_LIMIT = 100
_REFUSED = {**FORBIDDEN, **MISSING}


class Hold(Body):
    """What somebody holds: a tracking code, or with their account the number of a case they reported or follow."""

    code: str | None = Field(default=None, max_length=CODE_LIMIT, examples=["7Q3-KX0-M4T-ZA9-2RC-5NE"], repr=False)
    case: str | None = Field(default=None, max_length=100)


class Update(Hold):
    """More about the problem; while something was asked, the answer to it."""

    text: str = Field(default="", max_length=TEXT_LIMIT, examples=["在 3 号楼北侧"])
    photos: list[str] = Field(default=[], max_length=PHOTO_LIMIT)


class Rating(Hold):
    """Whether the problem is gone (解决) and the result satisfies (满意)."""

    resolved: bool
    satisfied: bool


class Objection(Hold):
    """It is not in order: a photo shows it."""

    text: str = Field(default="", max_length=TEXT_LIMIT, examples=["只清了一半"])
    photos: list[str] = Field(default=[], max_length=PHOTO_LIMIT)


class Withdrawal(Hold):
    """Why the report is taken back; seen by those who handle it."""

    reason: str = Field(default="", max_length=TEXT_LIMIT)


class LineView(BaseModel):
    """What happened: the command, and the same in words. `mine`: you did it."""

    at: datetime
    command: Command
    words: str
    by: str | None
    note: str
    photos: tuple[str, ...]
    mine: bool


class TrackedView(BaseModel):
    """A case as its reporters and followers see it. Names and `words` in the caller's language.

    `merged` is the number of the reporter's own case when the one shown is another that tells of the same problem.
    `due_at` is when the unit has to have put it right (`provisional`: by a guess of which days are worked),
    `answer_until` and `object_until` how long you may do that; `may` is what you may do now. `moderation`: whether the
    public sees address and photos.
    """

    case: str
    part: Part
    merged: str | None
    kind: Kind
    state: CaseState
    words: str
    category: str
    unit: str | None
    address: str
    moderation: Moderation
    registered_at: datetime
    due_at: datetime | None
    provisional: bool
    question: str | None
    answer_until: datetime | None
    object_until: datetime | None
    resolved: bool | None
    satisfied: bool | None
    may: list[Feedback]
    timeline: list[LineView]


class Said(BaseModel):
    """Where the case stands after somebody had their say, and what they may do now."""

    case: str
    state: CaseState
    words: str
    sequence: int


class Following(BaseModel):
    """The code that shows the case to the follower; it is told only here."""

    case: str
    tracking: str


class Mine(BaseModel):
    """A case that the account reported."""

    case: str
    kind: Kind
    state: CaseState
    words: str
    category: str
    registered_at: datetime
    merged_into: str | None


class MinePage(BaseModel):
    """Some of them, newest first; `next` is the cursor of the following page, if there is one."""

    cases: list[Mine]
    next: str | None = None


@router.post("/tracking", response_model=TrackedView, responses=MISSING)
async def show(request: Request, body: Hold, caller: Anyone) -> TrackedView:
    """凭查询码看进度 · How the case goes, by tracking code."""
    held, runtime = resources(request), runtime_of(request)
    tracker = await reporting.tracker_of(runtime.store.unit(), await _holder(request, held, body, caller))
    return (await _telling(request)).tracked(tracker, runtime.clock.now())


@router.post("/tracking/update", response_model=Said, openapi_extra=IDEMPOTENT, responses=_REFUSED)
async def update(request: Request, body: Update, caller: Anyone) -> Response:
    """补充说明、回答询问 · Add to it, or answer a question."""
    return await _said(
        request,
        body,
        caller,
        lambda uow, its, district, by: reporting.update(uow, its, district, by, body.text, body.photos),
    )


@router.post("/tracking/rate", response_model=Said, openapi_extra=IDEMPOTENT, responses=_REFUSED)
async def rate(request: Request, body: Rating, caller: Anyone) -> Response:
    """评价 · Whether it is resolved, and satisfies."""
    return await _said(
        request,
        body,
        caller,
        lambda uow, its, district, by: reporting.rate(uow, its, district, by, body.resolved, body.satisfied),
    )


@router.post("/tracking/object", response_model=Said, openapi_extra=IDEMPOTENT, responses=_REFUSED)
async def object(request: Request, body: Objection, caller: Anyone) -> Response:
    """反映未解决 · It is not in order; the first time the unit has it again at once."""
    return await _said(
        request,
        body,
        caller,
        lambda uow, its, district, by: reporting.object(uow, its, district, by, body.text, body.photos),
    )


@router.post("/tracking/withdraw", response_model=Said, openapi_extra=IDEMPOTENT, responses=_REFUSED)
async def withdraw(request: Request, body: Withdrawal, caller: Anyone) -> Response:
    """撤回 · Take the report back while no unit has it."""
    return await _said(
        request,
        body,
        caller,
        lambda uow, its, district, by: reporting.withdraw(uow, its, district, by, body.reason),
    )


@router.post("/cases/{id}/follow", status_code=201, response_model=Following, openapi_extra=IDEMPOTENT)
async def follow(request: Request, id: str, caller: Anyone) -> Response:
    """关注 · Follow a case: a code that shows how it goes."""
    held = resources(request)
    held.limits.report(request, caller)

    async def command(uow: UnitOfWork) -> Following:
        follower, code = await reporting.follow(uow, held.reporters, id, caller.subject)
        return Following(case=follower.case, tracking=code)

    return await answer(request, command, vault=held.reporters.vault)


@router.get("/my/cases", response_model=MinePage)
async def mine(
    request: Request,
    caller: SignedIn,
    after: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 50,
) -> MinePage:
    """我的上报 · What the account reported, newest first."""
    held, telling = resources(request), await _telling(request)
    filter = held.reporters.of_account(caller.subject)
    if after:
        filter["_id"] = {"$lt": after}
    found = await runtime_of(request).store.find(CASES, filter, [("_id", -1)], limit + 1)
    more = found[limit - 1].id if len(found) > limit else None
    return MinePage(cases=[telling.mine(case) for case in found[:limit]], next=more)


class _Telling:
    """Cases in the words and the language of a request."""

    def __init__(self, request: Request, catalogue: Catalogue) -> None:
        self._held = resources(request)
        self._catalogue = catalogue
        self._language: Language = language(request.headers.get("accept-language", ""))

    def state(self, case: Case) -> str:
        return self._held.progress.text(f"state-{case.state.value}", self._language)

    def mine(self, case: Case) -> Mine:
        return Mine(
            case=case.id,
            kind=case.kind,
            state=case.state,
            words=self.state(case),
            category=self._category(case),
            registered_at=case.registered_at,
            merged_into=case.merged_into,
        )

    def tracked(self, tracker: Tracker, now: datetime) -> TrackedView:
        case, timetable = tracker.case, self._held.district.timetable
        may, lines = tracker.may(now, timetable), tracker.lines()
        asked = Feedback.ANSWER in may
        unit = self._held.district.units.get(case.unit or "")
        return TrackedView(
            case=case.id,
            part=tracker.part,
            merged=tracker.reported.id if tracker.reported is not case else None,
            kind=case.kind,
            state=case.state,
            words=self.state(case),
            category=self._category(case),
            unit=self._name(unit.name) if unit else None,
            address=case.place.address if case.is_shown or tracker.part is Part.REPORTER else "",
            moderation=case.moderation,
            registered_at=case.registered_at,
            due_at=case.due_at,
            provisional=case.provisional,
            question=_question(lines) if asked else None,
            answer_until=case.stage_due_at if asked and case.stage is Stage.ANSWER else None,
            object_until=tracker.object_until(timetable) if Feedback.OBJECT in may else None,
            resolved=case.resolved,
            satisfied=case.satisfied,
            may=may,
            timeline=[self._line(line) for line in lines],
        )

    def _line(self, line: Line) -> LineView:
        return LineView(
            at=line.at,
            command=line.command,
            words=self._held.progress.text(f"did-{line.command.value}", self._language),
            by=line.by,
            note=line.note,
            photos=line.photos,
            mine=line.mine,
        )

    def _category(self, case: Case) -> str:
        category = self._catalogue.categories.get(case.category)
        return self._name(category.name) if category else case.category

    def _name(self, name: Name) -> str:
        return name.en if self._language == "en" else name.zh


async def _telling(request: Request) -> _Telling:
    return _Telling(request, await resources(request).catalogue.current())


def _question(lines: list[Line]) -> str | None:
    return next((line.note for line in reversed(lines) if line.command is Command.ASK_REPORTER), None)


async def _holder(request: Request, held: Resources, body: Hold, caller: Principal) -> Holder:
    """Whose the code is, or which part the account has in the case.

    A code costs its address one of a few tries, which is given back when it was a right one. Raises TooMany, Invalid
    (tracking-code-required, tracking-code-mistyped), NotFound (tracking-code-unknown, cases-not-found).
    """
    if (body.code is None) is (body.case is None):
        raise Invalid("tracking-code-required", field="code")
    if body.code is None:
        if caller.anonymous:
            raise Unauthenticated("token-missing")
        return await reporting.holder_of_account(held.reporters, caller.subject, body.case or "")
    address = subscriber(client_address(request))
    held.limits.wrong_codes.take(address)
    holder = await reporting.holder_of_code(held.reporters, body.code)
    held.limits.wrong_codes.give_back(address)
    return holder


async def _said(
    request: Request,
    body: Hold,
    caller: Principal,
    act: Callable[[UnitOfWork, Reporters, District, Respondent], Awaitable[Case]],
) -> Response:
    held, telling = resources(request), await _telling(request)
    respondent = Respondent(await _holder(request, held, body, caller), client_address(request))

    async def command(uow: UnitOfWork) -> Said:
        case = await act(uow, held.reporters, held.district, respondent)
        return Said(case=case.id, state=case.state, words=telling.state(case), sequence=uow.sequence(CASES, case.id))

    return await answer(request, command, 200, vault=held.reporters.vault)
