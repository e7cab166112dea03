"""What pages share: errors in words, and forms that only our own pages can send."""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, ParamSpec, cast
from urllib.parse import urlsplit

from fastapi import Request, Response
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from services.portal.forms.reading import BODY_BYTES, FIELD_BYTES, FIELDS
from services.portal.rendering import language_of
from services.portal.resources import resources_of
from shared.errors import DomainError, Forbidden, Invalid, TooLarge, TooMany, Unavailable
from shared.http import client_address, subscriber
from shared.http.peer import Rejected, onward
from shared.messages import Messages

P = ParamSpec("P")

CASE_ID = re.compile(r"[0-9]{8}-[0-9A-Z]{10}(-[0-9]{1,3})?")
CSRF = "csrf"
CSRF_SECONDS = 24 * 3600
RETRY_AFTER = {"retry-after": "5"}
PATIENCE = 15.0
"""Seconds a form of a few words may take to arrive."""
PHOTO_PATIENCE = 120.0
"""Seconds a telephone may take to send its photos."""
FILES = 10
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,100}")
_PAGE: dict[str, Any] = {
    "description": "网页，说明原因 · A page that says why",
    "content": {
        "text/html": {"schema": {"type": "string"}},
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
    },
}
_FORM: dict[str, Any] = {"description": "表单，待补充 · The form, with more to fill in", "content": {"text/html": {}}}
_REDIRECT: dict[str, Any] = {"description": "转到另一页 · Another page"}
PAGES: dict[int | str, dict[str, Any]] = {status: _PAGE for status in (403, 404, 409, 413, 422, 429, 503)}
"""How a page is refused: in words, or before it is reached as problem details."""
FORMS: dict[int | str, dict[str, Any]] = {200: _FORM, 303: _REDIRECT}
"""How a form is answered that leads elsewhere."""


def page(handler: Callable[P, Awaitable[Response]]) -> Callable[P, Awaitable[Response]]:
    """What goes wrong on a page is said on a page, not as problem details; what another site's page sends is refused.

    The refusal shows nothing of what was sent and leaves the reader's cookies alone.
    """

    @wraps(handler)
    async def answered(*args: P.args, **parameters: P.kwargs) -> Response:
        request = cast(Request, parameters["request"])
        try:
            if request.method == "POST" and _is_foreign(request):
                raise Forbidden("form-foreign")
            return await handler(*args, **parameters)
        except DomainError as error:
            answer = await problem(request, error.code, error.status, error.params)
            if isinstance(error, TooMany):
                answer.headers["retry-after"] = str(error.retry_after)
        except Unavailable:
            answer = await problem(request, "unavailable", 503, {})
            answer.headers.update(RETRY_AFTER)
        return answer

    return answered


async def problem(request: Request, code: str, status: int, params: Mapping[str, object]) -> Response:
    """The page that says in a sentence why there is no other."""
    messages: Messages = request.app.state.messages
    sentence = messages.text(code, language_of(request), params)
    number = request.scope.get("request_id", "")
    return await render(request, "problem", status=status, sentence=sentence, number=number)


async def render(request: Request, template: str, *, status: int = 200, **content: object) -> Response:
    """The page in the reader's language, with categories as they are called now."""
    resources = resources_of(request)
    catalogue = await resources.catalogue.current()
    return resources.pages.answer(request, template, status=status, catalogue=catalogue, **content)


def words(request: Request, key: str, **params: object) -> str:
    """A text in the reader's language."""
    return resources_of(request).pages.texts.text(key, language_of(request), params)


async def page_with_form(request: Request, template: str, status: int, **content: object) -> Response:
    """A page whose forms carry the token that `from_our_page` looks for."""
    token = _token(request) or secrets.token_urlsafe(32)
    # Another proof on each page: compressed, a constant one could be guessed from how long pages are.
    answer = await render(request, template, status=status, token=_proof(token, secrets.token_urlsafe(12)), **content)
    resources_of(request).pages.set_cookie(answer, CSRF, token, path="/", max_age=CSRF_SECONDS)
    return answer


@asynccontextmanager
async def form_of(request: Request, *, photos: bool = False) -> AsyncIterator[FormData]:
    """The form in the request; one that may bring `photos` has more time, and a pool of its own.

    Raises TooMany (`rate-limited`) when its sender has too many on the way, Unavailable when all have or it comes too
    slowly, TooLarge (`report-too-large`) and Invalid (`report-unreadable`).
    """
    resources = resources_of(request)
    seats, patience = (resources.photo_forms, PHOTO_PATIENCE) if photos else (resources.forms, PATIENCE)
    with seats.take(sender(request)):
        form = await _read(request, patience)
        try:
            yield form
        finally:
            await form.close()


def from_our_page(request: Request, sent: FormData) -> bool:
    """The form has what our page gave this browser in a cookie: another site can send forms, but not read cookies."""
    token, proof = _token(request), str(sent.get(CSRF, ""))
    salt = proof.partition(".")[0]
    return bool(token) and hmac.compare_digest(_proof(token, salt).encode(), proof.encode("utf-8", "replace"))


def try_later(answer: Response, error: Rejected) -> Response:
    """The answer to a request that the reports service refuses for now, if it is for now only."""
    if error.retry_after is not None:
        answer.status_code = 429
        answer.headers["retry-after"] = str(error.retry_after)
    return answer


def forwarded(request: Request) -> dict[str, str]:
    """Headers that carry the reader on to the services behind us, in the language they chose here."""
    return onward(request, language_of(request))


def sender(request: Request) -> str:
    """Who sends this, as far as limits go: one address, or one IPv6 network."""
    return subscriber(client_address(request))


async def _read(request: Request, patience: float) -> FormData:
    try:
        async with asyncio.timeout(patience):
            return await request.form(max_files=FILES, max_fields=FIELDS, max_part_size=FIELD_BYTES)
    except TimeoutError as error:
        raise Unavailable("the form came too slowly") from error
    except HTTPException as error:
        if error.status_code == 413:
            raise TooLarge("report-too-large", limit=BODY_BYTES // 1_000_000) from error
        raise Invalid("report-unreadable") from error
    except UnicodeError as error:  # the form names a charset that it is not in
        raise Invalid("report-unreadable") from error


def _is_foreign(request: Request) -> bool:
    """Whether the browser says that the page of another site sent this; older ones say nothing."""
    if (site := request.headers.get("sec-fetch-site")) is not None:
        return site not in {"same-origin", "none"}
    if (origin := request.headers.get("origin")) is None:
        return False
    ours = {request.headers.get("host", ""), urlsplit(resources_of(request).address).netloc}
    return urlsplit(origin).netloc not in ours


def _proof(token: str, salt: str) -> str:
    """That whoever has it has seen a page made for the token: salt and digest."""
    return f"{salt}.{hmac.digest(token.encode(), salt.encode('utf-8', 'replace'), 'sha256').hex()}"


def _token(request: Request) -> str:
    token = request.cookies.get(CSRF, "")
    return token if _TOKEN.fullmatch(token) else ""
