"""规则试算: the office tries other points on a month that is over, before they take effect. Nothing is written.

The portal has no accounts: whoever may try is known by a token, which is sent along and kept nowhere.
"""

from __future__ import annotations

from datetime import datetime

from fastapi import Request, Response
from starlette.responses import HTMLResponse

from services.portal.api.access import Anyone
from services.portal.clients.scoring import RuleBook, WhatIf
from services.portal.forms import WORDS_BYTES
from services.portal.forms.what_if import WhatIfForm, amount_field
from services.portal.pages.page import (
    PAGES,
    form_of,
    forwarded,
    from_our_page,
    page,
    page_with_form,
    sender,
    try_later,
    words,
)
from services.portal.resources import resources_of
from shared.clock import CHINA
from shared.http import BODY_LIMIT, Router
from shared.http.peer import Rejected
from shared.months import month_of, previous_month
from shared.service import runtime_of

router = Router(tags=["pages"], responses=PAGES)

WHAT_IF = "/office/what-if"
UNKNOWN = frozenset({"token-missing", "token-invalid", "role-required"})


@router.get(WHAT_IF, response_class=HTMLResponse)
@page
async def show(request: Request, caller: Anyone) -> Response:
    """规则试算 · The rules in force, each with its points to be changed."""
    last_month = previous_month(month_of(_now(request)))
    return await _shown(request, await _book(request), WhatIfForm(last_month, ""), {}, None, 200)


@router.post(WHAT_IF, response_class=HTMLResponse, openapi_extra={BODY_LIMIT: WORDS_BYTES})
@page
async def attempt(request: Request, caller: Anyone) -> Response:
    """试算 · Who would move where."""
    resources = resources_of(request)
    resources.limit.take(sender(request))
    book = await _book(request)
    async with form_of(request) as sent:
        form = WhatIfForm.read(sent, book.rules)
        if not from_our_page(request, sent):
            return await _shown(request, book, form, {"": words(request, "fault-expired")}, None, 403)
    faults = {name: words(request, key) for name, key in form.faults().items()}
    changed = [] if faults else form.changed(book.rules)
    if not faults and not changed:
        faults[""] = words(request, "what-if-unchanged")
    if faults:
        return await _shown(request, book, form, faults, None, 422)
    try:
        outcome = await resources.scoring.what_if(form.period, changed, form.token, forwarded(request))
    except Rejected as error:
        field = "bearer" if error.code in UNKNOWN else ""
        refusals = {field: " ".join(fault.message for fault in error.faults)}
        return try_later(await _shown(request, book, form, refusals, None, 422), error)
    return await _shown(request, book, form, {}, outcome, 200)


async def _book(request: Request) -> RuleBook:
    return await resources_of(request).scoring.rules(_now(request).date().isoformat(), forwarded(request))


async def _shown(
    request: Request, book: RuleBook, form: WhatIfForm, faults: dict[str, str], outcome: WhatIf | None, status: int
) -> Response:
    content = {"book": book, "form": form, "faults": faults, "what_if": outcome, "field": amount_field}
    answer = await page_with_form(request, "what-if", status, **content)
    answer.headers["cache-control"] = "no-store"
    return answer


def _now(request: Request) -> datetime:
    return runtime_of(request).clock.now().astimezone(CHINA)
