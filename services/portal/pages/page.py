"""What pages share: errors in words, and forms that only our own pages can send."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Annotated, ParamSpec, cast

from fastapi import Depends, Request, Response
from starlette.datastructures import FormData

from services.portal.portal import portal_of
from services.portal.rendering import language_of
from services.portal.reporting import Rejected
from shared.auth import Principal, anyone
from shared.errors import DomainError, TooMany, Unavailable
from shared.messages import Messages

Anyone = Annotated[Principal, Depends(anyone())]
P = ParamSpec("P")

CASE_ID = re.compile(r"[0-9]{8}-[0-9A-Z]{10}(-[0-9]{1,3})?")
CSRF = "csrf"
CSRF_SECONDS = 24 * 3600
RETRY_AFTER = {"retry-after": "5"}
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,100}")


def page(handler: Callable[P, Awaitable[Response]]) -> Callable[P, Awaitable[Response]]:
    """What goes wrong on a page is told on a page, not as problem details."""

    @wraps(handler)
    async def answered(*args: P.args, **told: P.kwargs) -> Response:
        request = cast(Request, told["request"])
        try:
            return await handler(*args, **told)
        except DomainError as error:
            answer = await _problem(request, error.code, error.status, error.params)
            if isinstance(error, TooMany):
                answer.headers["retry-after"] = str(error.retry_after)
        except Unavailable:
            answer = await _problem(request, "unavailable", 503, {})
            answer.headers.update(RETRY_AFTER)
        return answer

    return answered


async def _problem(request: Request, code: str, status: int, params: Mapping[str, object]) -> Response:
    messages: Messages = request.app.state.messages
    sentence = messages.text(code, language_of(request), params)
    number = request.scope.get("request_id", "")
    return await portal_of(request).page(request, "problem", status=status, sentence=sentence, number=number)


def words(request: Request, key: str, **params: object) -> str:
    """A text in the reader's language."""
    return portal_of(request).pages.texts.text(key, language_of(request), params)


async def page_with_form(request: Request, template: str, status: int, **told: object) -> Response:
    """A page whose forms carry the token that `from_our_page` looks for."""
    portal, token = portal_of(request), _token(request) or secrets.token_urlsafe(32)
    answer = await portal.page(request, template, status=status, token=token, **told)
    portal.pages.set_cookie(answer, CSRF, token, path="/", max_age=CSRF_SECONDS)
    return answer


def from_our_page(request: Request, sent: FormData) -> bool:
    """The form has what our page gave this browser in a cookie: another site can send forms, but not read cookies."""
    token = _token(request)
    return bool(token) and hmac.compare_digest(token.encode(), str(sent.get(CSRF, "")).encode())


def told_later(answer: Response, error: Rejected) -> Response:
    """The answer to a request that the reports service refuses for now, if it is for now only."""
    if error.retry_after is not None:
        answer.status_code = 429
        answer.headers["retry-after"] = str(error.retry_after)
    return answer


def _token(request: Request) -> str:
    token = request.cookies.get(CSRF, "")
    return token if _TOKEN.fullmatch(token) else ""
