"""规则试算: the office tries other points on a month that is over, before they take effect. Nothing is written.

The portal has no accounts: whoever may try is known by a token, which is sent along and kept nowhere.
"""

from __future__ import annotations

from datetime import datetime

from fastapi import Request, Response
from starlette.responses import HTMLResponse

from services.portal.forms.trial import Trial, amount_field
from services.portal.pages.page import Anyone, from_our_page, page, page_with_form, told_later, words
from services.portal.portal import forwarded, portal_of
from services.portal.reporting import Rejected
from services.portal.scoring import Book, Tried
from shared.clock import CHINA
from shared.http import Router, client_address, subscriber
from shared.service import runtime_of

router = Router(tags=["pages"])

TRIAL = "/office/what-if"
UNKNOWN = frozenset({"token-missing", "token-invalid", "role-required"})


@router.get(TRIAL, response_class=HTMLResponse)
@page
async def form(request: Request, caller: Anyone) -> Response:
    """规则试算 · The rules in force, each with its points to be changed."""
    now = _now(request)
    month = f"{now.year - (now.month == 1):04}-{(now.month - 2) % 12 + 1:02}"
    return await _shown(request, await _book(request), Trial(month, ""), {}, None, 200)


@router.post(TRIAL, response_class=HTMLResponse)
@page
async def attempt(request: Request, caller: Anyone) -> Response:
    """试算 · Who would move where."""
    portal = portal_of(request)
    portal.limit.take(subscriber(client_address(request)))
    book = await _book(request)
    async with portal.form(request) as sent:
        trial = Trial.read(sent, book.rules)
        if not from_our_page(request, sent):
            return await _shown(request, book, trial, {"": words(request, "fault-expired")}, None, 403)
    faults = {name: words(request, key) for name, key in trial.faults().items()}
    changed = [] if faults else trial.changed(book.rules)
    if not faults and not changed:
        faults[""] = words(request, "trial-unchanged")
    if faults:
        return await _shown(request, book, trial, faults, None, 422)
    try:
        tried = await portal.scoring.what_if(trial.period, changed, trial.token, forwarded(request))
    except Rejected as error:
        field = "bearer" if error.code in UNKNOWN else ""
        told = {field: " ".join(fault.message for fault in error.faults)}
        return told_later(await _shown(request, book, trial, told, None, 422), error)
    return await _shown(request, book, trial, {}, tried, 200)


async def _book(request: Request) -> Book:
    return await portal_of(request).scoring.rules(_now(request).date().isoformat(), forwarded(request))


async def _shown(
    request: Request, book: Book, trial: Trial, faults: dict[str, str], tried: Tried | None, status: int
) -> Response:
    told = {"book": book, "trial": trial, "faults": faults, "tried": tried, "field": amount_field}
    answer = await page_with_form(request, "trial", status, **told)
    answer.headers["cache-control"] = "no-store"
    return answer


def _now(request: Request) -> datetime:
    return runtime_of(request).clock.now().astimezone(CHINA)
