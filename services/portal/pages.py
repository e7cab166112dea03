"""The pages. A handler reads the address leniently, asks the views, and picks a template."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Annotated, Any, ParamSpec, cast

from fastapi import Depends, Request, Response
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, RedirectResponse

from services.portal import waiting
from services.portal.commands import PhotosRefused, hand_in
from services.portal.domain import CaseView, months_until, period_of
from services.portal.forms import BODY_BYTES, PHOTO_BYTES, PHOTO_ID, PHOTO_LIMIT, Report, at_fields, new_key, photos_of
from services.portal.portal import Portal, forwarded, portal_of
from services.portal.rendering import language_of
from services.portal.reporting import Receipt, Rejected
from services.portal.views import Wanted
from shared.auth import Principal, anyone
from shared.contracts.reports import CaseState
from shared.errors import DomainError, NotFound, TooMany, Unavailable
from shared.http import BODY_LIMIT, Router, client_address
from shared.messages import Messages
from shared.service import runtime_of

router = Router(tags=["pages"])

Anyone = Annotated[Principal, Depends(anyone())]
P = ParamSpec("P")

PERIOD = re.compile(r"20\d\d-(0[1-9]|1[0-2])")
CASE_ID = re.compile(r"[0-9]{8}-[0-9A-Z]{10}")
EXCERPT = 5
MONTHS = 12
CSRF = "csrf"
CSRF_SECONDS = 24 * 3600
RETRY_AFTER = {"retry-after": "5"}
_PHOTO_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
        "description": "照片 · The photo",
    }
}


def page(handler: Callable[P, Awaitable[Response]]) -> Callable[P, Awaitable[Response]]:
    """What goes wrong on a page is told on a page, not as problem details."""

    @wraps(handler)
    async def answered(*args: P.args, **told: P.kwargs) -> Response:
        request = cast(Request, told["request"])
        try:
            return await handler(*args, **told)
        except DomainError as error:
            answer = _problem(request, error.code, error.status, error.params)
            if isinstance(error, TooMany):
                answer.headers["retry-after"] = str(error.retry_after)
        except Unavailable:
            answer = _problem(request, "unavailable", 503, {})
            answer.headers.update(RETRY_AFTER)
        return answer

    return answered


def _problem(request: Request, code: str, status: int, params: Mapping[str, object]) -> Response:
    messages: Messages = request.app.state.messages
    sentence = messages.text(code, language_of(request), params)
    number = request.scope.get("request_id", "")
    return portal_of(request).pages.answer(request, "problem", status=status, sentence=sentence, number=number)


@router.get("/", response_class=HTMLResponse)
@page
async def home(request: Request, caller: Anyone) -> Response:
    """首页 · What this is, how the units stand, what was reported last."""
    portal, now = portal_of(request), runtime_of(request).clock.now()
    return portal.pages.answer(
        request,
        "home",
        figures=await portal.figures(),
        ranking=await portal.views.ranking(period_of(now)),
        excerpt=EXCERPT,
        cases=(await portal.views.cases(Wanted(), now, 8)).cases,
        now=now,
    )


@router.get("/report", response_class=HTMLResponse)
@page
async def form(request: Request, caller: Anyone) -> Response:
    """上报问题 · The form."""
    report = Report(key=new_key(), category=request.query_params.get("category", ""))
    answer = _form(request, report, {}, 200)
    answer.headers["cache-control"] = "private, no-cache"  # who goes back finds the same form, with the same key
    return answer


@router.post("/report", status_code=303, response_class=RedirectResponse, openapi_extra={BODY_LIMIT: BODY_BYTES})
@page
async def file(request: Request, caller: Anyone) -> Response:
    """提交上报 · The form as filled in: photos and case go to the reports service, the browser to the case."""
    portal = portal_of(request)
    portal.limit.take(client_address(request))
    async with portal.form(request) as sent:
        report = Report.read(sent)
        if not _from_our_page(request, sent):
            return _form(request, report, {"": _t(request, "fault-expired")}, 403)
        try:
            return await _filed(request, portal, report, sent)
        except Unavailable:
            # What was sent may be on file all the same: the same key makes the next try the same report.
            answer = _form(request, report, {"": _t(request, "fault-unavailable")}, 503)
            answer.headers.update(RETRY_AFTER)
            return answer


async def _filed(request: Request, portal: Portal, report: Report, sent: FormData) -> Response:
    photos, headers = photos_of(sent), forwarded(request)
    limits = {"most": PHOTO_LIMIT, "limit": PHOTO_BYTES // 1_048_576}
    found = report.faults(photos, portal.district)
    faults = {name: _t(request, key, **limits) for name, key in found.items()}
    kept = report.kept
    if "photos" not in faults:
        try:
            kept = await hand_in(runtime_of(request).store, portal.reports, report, photos, headers)
        except PhotosRefused as error:
            kept, faults["photos"] = error.kept, error.message
    if faults:
        return _form(request, report.again(kept), faults, 422)
    try:
        receipt = await portal.reports.file(report.case(portal.district, kept), report.key, headers)
    except Rejected as error:
        told = at_fields(error.faults)
        if error.code == "idempotency-key-reused":
            told = {"": _t(request, "fault-filed-already")}
        return _form(request, report.again(kept), told, 422)
    return _to_case(receipt)


def _to_case(receipt: Receipt) -> Response:
    return RedirectResponse(f"/cases/{receipt.case}?sequence={receipt.sequence}", 303)


def _form(request: Request, report: Report, faults: Mapping[str, str], status: int) -> Response:
    pages = portal_of(request).pages
    token = _token(request) or secrets.token_urlsafe(32)
    answer = pages.answer(
        request,
        "report",
        status=status,
        report=report,
        faults=faults,
        token=token,
        most=PHOTO_LIMIT,
        megabytes=PHOTO_BYTES // 1_048_576,
    )
    pages.set_cookie(answer, CSRF, token, path="/report", max_age=CSRF_SECONDS)
    return answer


def _token(request: Request) -> str:
    token = request.cookies.get(CSRF, "")
    return token if PHOTO_ID.fullmatch(token) else ""


def _from_our_page(request: Request, sent: FormData) -> bool:
    """The form has what our page gave this browser in a cookie: another site can send forms, but not read cookies."""
    token = _token(request)
    return bool(token) and hmac.compare_digest(token.encode(), str(sent.get(CSRF, "")).encode())


def _t(request: Request, key: str, **params: object) -> str:
    return portal_of(request).pages.texts.text(key, language_of(request), params)


@router.get("/cases", response_class=HTMLResponse)
@page
async def cases(request: Request, caller: Anyone) -> Response:
    """案件列表 · Cases, newest first, by unit, community, category, state."""
    portal, now = portal_of(request), runtime_of(request).clock.now()
    asked = request.query_params
    wanted = Wanted(
        state=CaseState(asked["state"]) if asked.get("state") in set(CaseState) else None,
        unit=asked.get("unit", ""),
        community=asked.get("community", ""),
        category=asked.get("category", ""),
        overdue=asked.get("overdue") == "1",
        after=asked.get("after", ""),
    )
    found = await portal.views.cases(wanted, now)
    states = [state for state in CaseState if state is not CaseState.OTHER]
    return portal.pages.answer(request, "cases", found=found, wanted=wanted, states=states, now=now)


@router.get("/cases/{id}", response_class=HTMLResponse)
@page
async def case(request: Request, id: str, caller: Anyone) -> Response:
    """案件详情 · A case: place, state, deadline, photos, history. `?sequence=` waits for a view that is as new."""
    portal, now = portal_of(request), runtime_of(request).clock.now()
    view = await _awaited(portal, id, request.query_params.get("sequence", ""))
    if view is None and CASE_ID.fullmatch(id) and "sequence" in request.query_params:
        return portal.pages.answer(request, "waiting", status=202, id=id)
    if view is None:
        raise NotFound("case-not-shown", id=id[:40])
    return portal.pages.answer(
        request,
        "case",
        case=view,
        charges=await portal.views.charges(view.id),
        hidden=portal.district.hides_place(view.category),
        fresh="sequence" in request.query_params,
        now=now,
    )


async def _awaited(portal: Portal, id: str, sequence: str) -> CaseView | None:
    """The case; when the address names a sequence, as soon as the view has come that far, or after two seconds."""
    least = int(sequence) if sequence.isdecimal() and len(sequence) < 10 else 0

    async def look() -> CaseView | None:
        return await portal.views.case(id)

    return await waiting.until(look, lambda view: view is not None and view.sequence >= least, patient=least > 0)


@router.get("/ranking", response_class=HTMLResponse)
@page
async def ranking(request: Request, caller: Anyone) -> Response:
    """排行榜 · The units of a month, best first, kept up to date."""
    portal, now = portal_of(request), runtime_of(request).clock.now()
    asked, current = request.query_params, period_of(now)
    period = _period(request, current)
    group = asked.get("group", "")
    return portal.pages.answer(
        request,
        "ranking",
        ranking=await portal.views.ranking(period),
        period=period,
        periods=_offered(period, current),
        group=group if group in portal.district.unit_groups else "",
        now=now,
    )


@router.get("/units/{code}", response_class=HTMLResponse)
@page
async def unit(request: Request, code: str, caller: Anyone) -> Response:
    """责任单位 · A unit's standing and its ledger, each row with its reason and its hash."""
    portal, now = portal_of(request), runtime_of(request).clock.now()
    period = _period(request, period_of(now))
    standings = await portal.views.standings(code)
    before = request.query_params.get("before", "")
    ledger = await portal.views.ledger(code, int(before) if before.isdecimal() and len(before) < 12 else None)
    if code not in portal.district.units and not standings:
        raise NotFound("unit-not-shown", id=code[:40])
    places = (await portal.views.ranking(period)).standings
    return portal.pages.answer(
        request,
        "unit",
        code=code,
        place=next((place for place in places if place.unit == code), None),
        period=period,
        standings=standings,
        ledger=ledger,
        now=now,
    )


@router.get("/photos/{id}/{size}", response_class=Response, responses=_PHOTO_ANSWERS)
async def photo(request: Request, id: str, size: str, caller: Anyone) -> Response:
    """照片 · The public copy of a photo, as long as the reports service shows it."""
    if not PHOTO_ID.fullmatch(id) or size not in {"thumb", "large"}:
        raise NotFound("photo-not-shown", id=id[:40])
    known = request.headers.get("if-none-match")
    answer = await portal_of(request).reports.photo(id, size, known, forwarded(request))
    if answer.status_code == 404:
        raise NotFound("photo-not-shown", id=id)
    told = {name: answer.headers[name] for name in ("cache-control", "etag") if name in answer.headers}
    if answer.status_code == 304:
        return Response(status_code=304, headers=told)
    return Response(answer.content, headers=told, media_type="image/jpeg")


def _period(request: Request, current: str) -> str:
    asked = request.query_params.get("period", "")
    return asked if PERIOD.fullmatch(asked) else current


def _offered(period: str, current: str) -> list[str]:
    offered = months_until(current, MONTHS)
    return offered if period in offered else sorted([*offered, period], reverse=True)
