"""One's own case by its tracking code: how it goes, and what its reporter has to say.

The code is typed once and then stands behind a session; it is never in an address.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request, Response
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, RedirectResponse

from services.portal.commands import PhotosRefused, hand_in
from services.portal.domain import step_of
from services.portal.forms import BODY_BYTES, DEEDS, PHOTO_BYTES, PHOTO_LIMIT, Say, at_fields, photos_of
from services.portal.pages.page import RETRY_AFTER, Anyone, from_our_page, page, page_with_form, told_later, words
from services.portal.portal import Portal, forwarded, portal_of
from services.portal.repo import SESSION_SECONDS
from services.portal.reporting import Rejected, Tracked
from shared.contracts.reports import Kind
from shared.errors import NotFound, Unavailable
from shared.http import BODY_LIMIT, Router, client_address, subscriber
from shared.service import runtime_of

router = Router(tags=["pages"])

TRACK = "/track"
SESSION = "track"
CODE_LENGTH = 64
NO_CODE = frozenset({"tracking-code-unknown", "tracking-code-mistyped", "tracking-code-required"})


@router.get(TRACK, response_class=HTMLResponse)
@page
async def show(request: Request, caller: Anyone) -> Response:
    """查进度 · The case of the session, or the form for a code."""
    portal = portal_of(request)
    code = await portal.sessions.code_of(request.cookies.get(SESSION, ""))
    if code is None:
        return await _ask(request, "", 200)
    try:
        tracked = await portal.reports.tracked(code, forwarded(request))
    except Rejected as error:
        return await _refused(request, portal, error)
    return await _view(request, tracked, None, {}, 200)


@router.post(TRACK, status_code=303, response_class=RedirectResponse)
@page
async def enter(request: Request, caller: Anyone) -> Response:
    """输入查询码 · A code opens a session of an hour."""
    portal = portal_of(request)
    portal.limit.take(subscriber(client_address(request)))
    async with portal.form(request) as sent:
        code = str(sent.get("code", "")).strip()[:CODE_LENGTH]
        if not from_our_page(request, sent):
            return await _ask(request, words(request, "track-expired"), 403)
    try:
        await portal.reports.tracked(code, forwarded(request))
    except Rejected as error:
        return await _refused(request, portal, error)
    answer = RedirectResponse(TRACK, 303)
    key = await portal.sessions.open(code)
    portal.pages.set_cookie(answer, SESSION, key, path=TRACK, max_age=SESSION_SECONDS)
    return answer


@router.post(f"{TRACK}/leave", status_code=303, response_class=RedirectResponse)
@page
async def leave(request: Request, caller: Anyone) -> Response:
    """结束查看 · The session ends here and now."""
    portal = portal_of(request)
    async with portal.form(request) as sent:
        if from_our_page(request, sent):
            await portal.sessions.end(request.cookies.get(SESSION, ""))
    answer = RedirectResponse(TRACK, 303)
    answer.delete_cookie(SESSION, path=TRACK)
    return answer


@router.post(
    f"{TRACK}/{{deed}}", status_code=303, response_class=RedirectResponse, openapi_extra={BODY_LIMIT: BODY_BYTES}
)
@page
async def say(request: Request, deed: str, caller: Anyone) -> Response:
    """补充、评价、反映未解决、撤回 · The reporter's say about the case of the session."""
    portal = portal_of(request)
    if deed not in DEEDS:
        raise NotFound("page-unknown")
    portal.limit.take(subscriber(client_address(request)))
    code = await portal.sessions.code_of(request.cookies.get(SESSION, ""))
    if code is None:
        return await _ask(request, words(request, "track-over"), 403)
    async with portal.form(request) as sent:
        said = Say.read(deed, sent)
        try:
            return await _said(request, portal, code, said, sent)
        except Unavailable:
            # What was sent may have happened all the same: the same key makes the next try the same request.
            answer = await _view(request, None, said, {"": words(request, "fault-unavailable")}, 503)
            answer.headers.update(RETRY_AFTER)
            return answer


async def _said(request: Request, portal: Portal, code: str, said: Say, sent: FormData) -> Response:
    photos, headers = photos_of(sent), forwarded(request)
    if not from_our_page(request, sent):
        return await _again(request, portal, code, said, {"": words(request, "fault-expired")}, 403)
    limits = {"most": PHOTO_LIMIT, "limit": PHOTO_BYTES // 1_048_576}
    if found := said.faults(photos):
        faults = {name: words(request, key, **limits) for name, key in found.items()}
        return await _again(request, portal, code, said, faults, 422)
    try:
        kept = await hand_in(runtime_of(request).store, portal.reports, said.key, said.kept, photos, headers)
    except PhotosRefused as error:
        return await _again(request, portal, code, said.again(error.kept), {"photos": error.message}, 422)
    said = said.with_photos(kept)
    try:
        await portal.reports.say(said.deed, said.body(code), said.key, headers)
    except Rejected as error:
        if error.code in NO_CODE:
            return await _refused(request, portal, error)
        answer = await _again(request, portal, code, said.again(kept), at_fields(error.faults), 422)
        return told_later(answer, error)
    return RedirectResponse(f"{TRACK}?done={said.deed}", 303)


async def _again(
    request: Request, portal: Portal, code: str, said: Say, faults: Mapping[str, str], status: int
) -> Response:
    """The case once more, with the form to be corrected."""
    try:
        tracked = await portal.reports.tracked(code, forwarded(request))
    except Rejected as error:
        return await _refused(request, portal, error)
    return await _view(request, tracked, said, faults, status)


async def _view(
    request: Request, tracked: Tracked | None, said: Say | None, faults: Mapping[str, str], status: int
) -> Response:
    """The case with its forms; without it, as long as nobody can tell how it goes, the form that was sent."""
    done = request.query_params.get("done", "")
    return await page_with_form(
        request,
        "tracked",
        status,
        tracked=tracked,
        step=step_of(tracked.state) if tracked and tracked.kind is Kind.PROBLEM else None,
        said=said,
        blank=Say,
        faults=faults,
        done=done if done in DEEDS and not faults else "",
        most=PHOTO_LIMIT,
        megabytes=PHOTO_BYTES // 1_048_576,
        now=runtime_of(request).clock.now(),
    )


async def _refused(request: Request, portal: Portal, error: Rejected) -> Response:
    """The form for a code, with why the one given shows nothing; a session for it is over."""
    answer = told_later(await _ask(request, error.faults[0].message, 422), error)
    if error.code in NO_CODE:
        await portal.sessions.end(request.cookies.get(SESSION, ""))
        answer.delete_cookie(SESSION, path=TRACK)
    return answer


async def _ask(request: Request, fault: str, status: int) -> Response:
    return await page_with_form(request, "track", status, fault=fault)
