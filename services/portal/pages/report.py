"""Reporting: the form, what is on file already near by, and the tracking code at the end.

The code is shown once: it goes in a cookie that only the last page reads, and that page takes it away.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from fastapi import Request, Response
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, RedirectResponse

from services.portal.api.access import Anyone
from services.portal.clients.reports import Similar
from services.portal.commands.photos import PhotosRefused, hand_in
from services.portal.district.catalogue import Catalogue
from services.portal.forms import BODY_BYTES, PHOTO_BYTES, PHOTO_LIMIT, Report, at_fields, photos_of
from services.portal.pages.page import (
    CASE_ID,
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
from services.portal.rendering import language_of
from services.portal.resources import Resources, resources_of
from shared.contracts.reports import Kind
from shared.errors import Unavailable
from shared.http import BODY_LIMIT, Router
from shared.http.peer import Rejected
from shared.service import runtime_of
from shared.telemetry import logger

router = Router(tags=["pages"], responses=PAGES)
log = logger(__name__)

CODE_COOKIE = "code"
CODE_SECONDS = 300
"""How long the last page has to come and fetch the code."""
DONE = "/report/done"
_CODE = re.compile(r"([0-9A-Z-]{1,40})\.([0-9A-Z-]{1,64})")


@router.get("/report", response_class=HTMLResponse)
@page
async def form(request: Request, caller: Anyone) -> Response:
    """上报问题 · The form."""
    asked = request.query_params
    kind = Kind.PRAISE if asked.get("kind") == Kind.PRAISE else Kind.PROBLEM
    answer = await _form(request, Report(kind=kind, category=asked.get("category", "")), {}, 200)
    # Who goes back finds the same form, with the same key, whatever cookie filing it has left.
    answer.headers.update({"cache-control": "private, no-cache", "vary": "accept-encoding"})
    return answer


@router.post(
    "/report", status_code=303, response_class=RedirectResponse, responses=FORMS, openapi_extra={BODY_LIMIT: BODY_BYTES}
)
@page
async def file(request: Request, caller: Anyone) -> Response:
    """提交上报 · The form as filled in: photos and case go to the reports service, the browser to the last page."""
    resources = resources_of(request)
    resources.limit.take(sender(request))
    async with form_of(request, photos=True) as sent:
        report = Report.read(sent)
        if not from_our_page(request, sent):
            return await _form(request, report, {"": words(request, "fault-expired")}, 403)
        try:
            return await _taken(request, resources, report, sent)
        except Unavailable:
            # What was sent may be on file all the same: the same key makes the next try the same report.
            answer = await _form(request, report, {"": words(request, "fault-unavailable")}, 503)
            answer.headers.update(RETRY_AFTER)
            return answer


@router.get(DONE, response_class=HTMLResponse, responses=FORMS)
@page
async def done(request: Request, caller: Anyone) -> Response:
    """上报成功 · The case's number and, the first time, the tracking code."""
    asked, code = request.query_params, _CODE.fullmatch(request.cookies.get(CODE_COOKIE, ""))
    case, sequence = asked.get("case", ""), asked.get("sequence", "")
    if not CASE_ID.fullmatch(case):
        return RedirectResponse("/report", 303)
    answer = await page_with_form(
        request,
        "done",
        200,
        case=case,
        code=code[2] if code and code[1] == case else "",
        sequence=sequence if sequence.isdecimal() and len(sequence) < 10 else "",
        follows="followed" in asked,
    )
    answer.delete_cookie(CODE_COOKIE, path=DONE)
    return answer


async def _taken(request: Request, resources: Resources, report: Report, sent: FormData) -> Response:
    """What becomes of a form of ours: it comes back, a question comes first, or it is on file."""
    catalogue, photos = await resources.catalogue.current(), photos_of(sent)
    limits = {"most": PHOTO_LIMIT, "limit": PHOTO_BYTES // 1_048_576}
    found = report.faults(photos, resources.district, catalogue)
    faults = {name: words(request, key, **limits) for name, key in found.items()}
    if "photos" not in faults:
        store, headers = runtime_of(request).store, forwarded(request)
        try:
            kept = await hand_in(store, resources.reports, report.key, report.kept, photos, headers)
        except PhotosRefused as error:
            kept, faults["photos"] = error.kept, error.message
        report = report.with_photos(kept)
    if faults:
        return await _form(request, report.again(report.kept), faults, 422)
    if not report.has_seen_questions(catalogue):
        return await _form(request, report.again(report.kept), {}, 200, asking=True)
    if CASE_ID.fullmatch(report.same):
        return await _followed(request, resources, report)
    if not report.alone and (similar := await _similar(request, resources, report)):
        return await _offer(request, report, similar)
    return await _filed(request, resources, report, catalogue)


async def _filed(request: Request, resources: Resources, report: Report, catalogue: Catalogue) -> Response:
    try:
        receipt = await resources.reports.file(
            report.case(resources.district, catalogue), report.key, forwarded(request)
        )
    except Rejected as error:
        return await _rejected(request, report, error)
    return _to_code(resources, receipt.case, receipt.tracking, f"&sequence={receipt.sequence}")


async def _followed(request: Request, resources: Resources, report: Report) -> Response:
    try:
        following = await resources.reports.follow(report.same, report.key, forwarded(request))
    except Rejected as error:
        return await _rejected(request, report, error)
    return _to_code(resources, following.case, following.tracking, "&followed")


async def _similar(request: Request, resources: Resources, report: Report) -> Sequence[Similar]:
    """Open cases that may be the same. Where that cannot be found out, there are none: the report goes on."""
    if (problem := report.problem()) is None:
        return []
    try:
        return await resources.reports.similar(problem, forwarded(request))
    except (Rejected, Unavailable) as error:
        log.warning("nobody knows whether a report is on file already", reason=str(error)[:200])
        return []


async def _offer(request: Request, report: Report, similar: Sequence[Similar]) -> Response:
    now = runtime_of(request).clock.now()
    return await page_with_form(request, "similar", 200, report=report, similar=similar, now=now)


async def _rejected(request: Request, report: Report, error: Rejected) -> Response:
    faults = at_fields(error.faults)
    if error.code == "idempotency-key-reused":
        faults = {"": words(request, "fault-filed-already")}
    return try_later(await _form(request, report.again(report.kept), faults, 422), error)


async def _form(
    request: Request, report: Report, faults: Mapping[str, str], status: int, *, asking: bool = False
) -> Response:
    """The form; `asking`: all is well, but the questions of the category have not been seen."""
    catalogue, language = await resources_of(request).catalogue.current(), language_of(request)
    return await page_with_form(
        request,
        "report",
        status,
        report=report,
        faults=faults,
        labels={f"answer.{each.code}": each.name.text(language) for each in report.questions(catalogue)},
        asking=asking,
        most=PHOTO_LIMIT,
        megabytes=PHOTO_BYTES // 1_048_576,
    )


def _to_code(resources: Resources, case: str, code: str, more: str) -> Response:
    answer = RedirectResponse(f"{DONE}?case={case}{more}", 303)
    if code:
        resources.pages.set_cookie(answer, CODE_COOKIE, f"{case}.{code}", path=DONE, max_age=CODE_SECONDS)
    return answer
