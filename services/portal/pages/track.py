"""One's own case by its tracking code: how it goes, and what its reporter has to say.

The code is typed once and then stands behind a session; it is never in an address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fastapi import Request, Response
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, RedirectResponse

from services.portal.api.access import Anyone
from services.portal.clients.reports import Tracked
from services.portal.commands.photos import PhotosRefused, hand_in
from services.portal.domain.cases import Limits, step_of
from services.portal.forms import (
    ACTIONS,
    BODY_BYTES,
    PHOTO_BYTES,
    PHOTO_LIMIT,
    WORDS_BYTES,
    Feedback,
    at_fields,
    photos_of,
    text_of,
)
from services.portal.pages.page import (
    FORMS,
    PAGES,
    RETRY_AFTER,
    form_of,
    forwarded,
    from_our_page,
    page,
    page_with_form,
    sender,
    try_later,
    words,
)
from services.portal.repo import SESSION_SECONDS
from services.portal.resources import Resources, resources_of
from shared.contracts.reports import Kind
from shared.errors import NotFound, Unavailable
from shared.http import BODY_LIMIT, Router
from shared.http.peer import Rejected
from shared.service import runtime_of

router = Router(tags=["pages"], responses=PAGES)

TRACK = "/track"
SESSION = "track"
CODE_LENGTH = 64
NO_CODE = frozenset({"tracking-code-unknown", "tracking-code-mistyped", "tracking-code-required"})


@router.get(TRACK, response_class=HTMLResponse)
@page
async def show(request: Request, caller: Anyone) -> Response:
    """查进度 · The case of the session, or the form for a code."""
    resources = resources_of(request)
    code = await resources.sessions.code_of(request.cookies.get(SESSION, ""))
    if code is None:
        return await _ask(request, "", 200)
    try:
        tracked = await resources.reports.tracked(code, forwarded(request))
    except Rejected as error:
        return await _refused(request, resources, error)
    return await _view(request, tracked, None, {}, 200)


@router.post(
    TRACK, status_code=303, response_class=RedirectResponse, responses=FORMS, openapi_extra={BODY_LIMIT: WORDS_BYTES}
)
@page
async def enter(request: Request, caller: Anyone) -> Response:
    """输入查询码 · A code opens a session of an hour."""
    resources = resources_of(request)
    resources.limit.take(sender(request))
    async with form_of(request) as sent:
        code = text_of(sent, "code")[:CODE_LENGTH]
        if not from_our_page(request, sent):
            return await _ask(request, words(request, "track-expired"), 403)
    try:
        await resources.reports.tracked(code, forwarded(request))
    except Rejected as error:
        return await _refused(request, resources, error)
    answer = RedirectResponse(TRACK, 303)
    key = await resources.sessions.open(code)
    resources.pages.set_cookie(answer, SESSION, key, path=TRACK, max_age=SESSION_SECONDS)
    return answer


@router.post(
    f"{TRACK}/leave",
    status_code=303,
    response_class=RedirectResponse,
    responses=FORMS,
    openapi_extra={BODY_LIMIT: WORDS_BYTES},
)
@page
async def leave(request: Request, caller: Anyone) -> Response:
    """结束查看 · The session ends here and now."""
    resources = resources_of(request)
    resources.leaving.take(sender(request))
    answer = RedirectResponse(TRACK, 303)
    async with form_of(request) as sent:
        if from_our_page(request, sent):
            await resources.sessions.end(request.cookies.get(SESSION, ""))
            answer.delete_cookie(SESSION, path=TRACK)
    return answer


@router.post(
    f"{TRACK}/{{action}}",
    status_code=303,
    response_class=RedirectResponse,
    responses=FORMS,
    openapi_extra={BODY_LIMIT: BODY_BYTES},
)
@page
async def give_feedback(request: Request, action: str, caller: Anyone) -> Response:
    """补充、评价、反映未解决、撤回 · The reporter's feedback on the case of the session."""
    resources = resources_of(request)
    if action not in ACTIONS:
        raise NotFound("page-unknown")
    resources.limit.take(sender(request))
    code = await resources.sessions.code_of(request.cookies.get(SESSION, ""))
    if code is None:
        return await _ask(request, words(request, "track-over"), 403)
    async with form_of(request, photos=True) as sent:
        feedback = Feedback.read(action, sent)
        try:
            return await _given(request, resources, code, feedback, sent)
        except Unavailable:
            # What was sent may have happened all the same: the same key makes the next try the same request.
            answer = await _view(request, None, feedback, {"": words(request, "fault-unavailable")}, 503)
            answer.headers.update(RETRY_AFTER)
            return answer


async def _given(request: Request, resources: Resources, code: str, feedback: Feedback, sent: FormData) -> Response:
    photos, headers = photos_of(sent), forwarded(request)
    if not from_our_page(request, sent):
        return await _again(request, resources, code, feedback, {"": words(request, "fault-expired")}, 403)
    limits = {"most": PHOTO_LIMIT, "limit": PHOTO_BYTES // 1_048_576}
    if found := feedback.faults(photos):
        faults = {name: words(request, key, **limits) for name, key in found.items()}
        return await _again(request, resources, code, feedback, faults, 422)
    try:
        kept = await hand_in(runtime_of(request).store, resources.reports, feedback.key, feedback.kept, photos, headers)
    except PhotosRefused as error:
        return await _again(request, resources, code, feedback.again(error.kept), {"photos": error.message}, 422)
    feedback = feedback.with_photos(kept)
    try:
        await resources.reports.give_feedback(feedback.action, feedback.body(code), feedback.key, headers)
    except Rejected as error:
        if error.code in NO_CODE:
            return await _refused(request, resources, error)
        answer = await _again(request, resources, code, feedback.again(kept), at_fields(error.faults), 422)
        return try_later(answer, error)
    return RedirectResponse(f"{TRACK}?done={feedback.action}", 303)


async def _again(
    request: Request, resources: Resources, code: str, feedback: Feedback, faults: Mapping[str, str], status: int
) -> Response:
    """The case once more, with the form to be corrected."""
    try:
        tracked = await resources.reports.tracked(code, forwarded(request))
    except Rejected as error:
        return await _refused(request, resources, error)
    return await _view(request, tracked, feedback, faults, status)


async def _view(
    request: Request, tracked: Tracked | None, feedback: Feedback | None, faults: Mapping[str, str], status: int
) -> Response:
    """The case with its forms; without it, as long as nobody can tell how it goes, the form that was sent."""
    done = request.query_params.get("done", "")
    return await page_with_form(
        request,
        "tracked",
        status,
        tracked=tracked,
        limits=await _limits(request, tracked) if tracked else None,
        step=step_of(tracked.state) if tracked and tracked.kind is Kind.PROBLEM else None,
        feedback=feedback,
        blank=Feedback,
        faults=faults,
        done=done if done in ACTIONS and not faults else "",
        most=PHOTO_LIMIT,
        megabytes=PHOTO_BYTES // 1_048_576,
        now=runtime_of(request).clock.now(),
    )


async def _limits(request: Request, tracked: Tracked) -> Limits:
    """The limits of the case, that of its stage as the board has it: reports tells reporters that of the work only."""
    case = await resources_of(request).board.cases.one(tracked.case)
    limits = case.limits if case is not None and case.state is tracked.state else Limits(None)
    return replace(limits, due_at=tracked.due_at)


async def _refused(request: Request, resources: Resources, error: Rejected) -> Response:
    """The form for a code, with why the one given shows nothing; a session for it is over."""
    answer = try_later(await _ask(request, error.faults[0].message, 422), error)
    if error.code in NO_CODE:
        await resources.sessions.end(request.cookies.get(SESSION, ""))
        answer.delete_cookie(SESSION, path=TRACK)
    return answer


async def _ask(request: Request, fault: str, status: int) -> Response:
    return await page_with_form(request, "track", status, fault=fault)
