"""Everything that can go wrong with a request, told in one form: RFC 9457 problem details.

`code` is stable and names the sentence in the catalogue; `type` is `urn:chuangwen:problem:<code>`. Neither the
input nor anything of the inside of the service is repeated.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastapi.exceptions import RequestValidationError
from fastapi.params import Form
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from shared.errors import Conflict, DomainError, Several, TooMany, Unavailable
from shared.messages import Language, Messages, language

MEDIA_TYPE = "application/problem+json"
MAX_FIELD_ERRORS = 50
MAX_FAULTS = 1_000
MAX_PATH = 200
RETRY_AFTER_SECONDS = 2
"""What a caller is told to wait when a server behind us does not answer: about one election of a primary."""


@dataclass(frozen=True)
class Problem:
    """What went wrong: `params` fill the sentence and are told as members of their own."""

    code: str
    status: int
    field: str | None = None
    params: Mapping[str, object] = dataclasses.field(default_factory=dict)
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    errors: tuple[FieldError, ...] = ()

    def answer(self, request: Request) -> Response:
        """The response, in the caller's language."""
        body = json.dumps(self.content(request), ensure_ascii=False, default=str)
        headers = {"content-language": _spoken(request), **self.headers}
        return Response(body, self.status, headers, MEDIA_TYPE)

    def content(self, request: Request) -> dict[str, object]:
        """Its members, in the caller's language."""
        messages: Messages = request.app.state.messages
        return self._content(messages, _spoken(request), request.scope.get("request_id"))

    def _content(self, messages: Messages, spoken: Language, request_id: str | None) -> dict[str, object]:
        title = messages.text(self.code, spoken, self.params)
        content: dict[str, object] = {
            **self.params,
            "type": f"urn:chuangwen:problem:{self.code}",
            "title": title,
            "status": self.status,
            "detail": title,
            "code": self.code,
            "request_id": request_id,
        }
        if self.errors:
            content["errors"] = errors = [error.content(messages, spoken) for error in self.errors]
            content["detail"] = "; ".join(
                f"{error['field']}: {error['message']}" for error in errors[:MAX_FIELD_ERRORS]
            )
        if self.field is not None:
            content["field"] = self.field
        return content


def _spoken(request: Request) -> Language:
    return language(request.headers.get("accept-language", ""))


@dataclass(frozen=True)
class FieldError:
    """One field that cannot be accepted; `field` is its dotted path."""

    field: str
    code: str
    params: Mapping[str, object]

    def content(self, messages: Messages, spoken: Language) -> dict[str, object]:
        message = messages.text(self.code, spoken, self.params)
        return {**self.params, "field": self.field, "code": self.code, "message": message}


class FieldRule(NamedTuple):
    """How a check of Pydantic is told: our code, and the name of the limit in its context."""

    code: str
    limit: str | None = None


# Types of https://docs.pydantic.dev/latest/errors/validation_errors/; the rest is told as "not accepted".
_FIELD_RULES = {
    "missing": FieldRule("field-missing"),
    "extra_forbidden": FieldRule("field-unknown"),
    "string_too_long": FieldRule("field-too-long", "max_length"),
    "string_too_short": FieldRule("field-too-short", "min_length"),
    "string_pattern_mismatch": FieldRule("field-malformed"),
    "too_long": FieldRule("field-too-many", "max_length"),
    "too_short": FieldRule("field-too-few", "min_length"),
    "greater_than": FieldRule("field-not-above", "gt"),
    "greater_than_equal": FieldRule("field-below", "ge"),
    "less_than": FieldRule("field-not-under", "lt"),
    "less_than_equal": FieldRule("field-above", "le"),
    "enum": FieldRule("field-not-offered", "expected"),
    "literal_error": FieldRule("field-not-offered", "expected"),
    "finite_number": FieldRule("field-not-finite"),
    "date_out_of_range": FieldRule("field-out-of-calendar", "limit"),
    "plus_unescaped": FieldRule("field-plus-unescaped"),
    "text_unreadable": FieldRule("field-malformed"),
}
_UNNAMED = FieldRule("field-invalid")


class BodyTooComplex(HTTPException):
    """A body of more members, values or levels than anything that is accepted."""

    def __init__(self) -> None:
        super().__init__(413)


class BodyTooLarge(HTTPException):
    """A body above `limit` bytes. The framework lets its own exceptions through where it would hide others."""

    def __init__(self, limit: int) -> None:
        super().__init__(413)
        self.limit = limit


def problem_of(error: DomainError | Conflict | Unavailable) -> Problem:
    """What a command that failed is answered with: a rule refused it, others kept changing what it wanted to change or
    have created it already, or a server behind us did not answer and the same request may be sent again.
    """
    if isinstance(error, Conflict):
        return Problem("conflict", 409)
    if isinstance(error, Unavailable):
        return Problem("unavailable", 503, headers={"retry-after": str(RETRY_AFTER_SECONDS)})
    headers: dict[str, str] = {}
    if isinstance(error, TooMany):
        headers["retry-after"] = str(error.retry_after)
    if error.status == 401:
        headers["www-authenticate"] = "Bearer" if error.code == "token-missing" else 'Bearer error="invalid_token"'
    faults = error.faults[:MAX_FAULTS] if isinstance(error, Several) else ()
    errors = tuple(FieldError(fault.field or "", fault.code, fault.params) for fault in faults)
    return Problem(error.code, error.status, error.field, error.params, headers, errors)


async def of_failure(request: Request, error: DomainError | Conflict | Unavailable) -> Response:
    """A command failed."""
    return problem_of(error).answer(request)


async def of_http(request: Request, error: HTTPException) -> Response:
    """A refusal of the framework: no such route, wrong method, unreadable body."""
    if isinstance(error, BodyTooLarge):
        return Problem("body-too-large", 413, params={"limit": error.limit}).answer(request)
    if isinstance(error, BodyTooComplex):
        return Problem("body-too-complex", 413).answer(request)
    known = {
        400: Problem("body-malformed", 400),
        404: Problem("route-not-found", 404),
        405: Problem("method-not-allowed", 405),
    }
    problem = known.get(error.status_code) or Problem("request-refused", error.status_code)
    return dataclasses.replace(problem, headers=error.headers or {}).answer(request)


async def of_validation(request: Request, error: RequestValidationError) -> Response:
    """Input that does not fit its model, field by field, or a body of another type than the route reads."""
    if (expected := _expected_type(request)) is not None:
        return Problem("content-type-unsupported", 415, params={"expected": expected}).answer(request)
    errors = tuple(_field_errors(error.errors()))
    return Problem("validation", 422, field=errors[0].field, errors=errors).answer(request)


def _field_errors(faults: Iterable[Mapping[str, Any]]) -> Iterable[FieldError]:
    for fault in list(faults)[:MAX_FIELD_ERRORS]:
        rule = _FIELD_RULES.get(fault["type"], _UNNAMED)
        limit = fault.get("ctx", {}).get(rule.limit) if rule.limit else None
        if isinstance(limit, str):
            limit = limit.replace(" or ", ", ")
        # The first step says where the input came from: body, query, path or header.
        path = ".".join(map(str, fault["loc"][1:] or fault["loc"]))
        yield FieldError(path[:MAX_PATH], rule.code, {} if limit is None else {"limit": limit})


def _expected_type(request: Request) -> str | None:
    """The type that the route reads, if the body came as another."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or route.body_field is None or not _has_body(request):
        return None
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if isinstance(route.body_field.field_info, Form):
        forms = ("multipart/form-data", "application/x-www-form-urlencoded")
        return None if sent in forms else forms[0]
    json_type = sent == "application/json" or (sent.startswith("application/") and sent.endswith("+json"))
    return None if json_type else "application/json"


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    DomainError: of_failure,
    Conflict: of_failure,
    Unavailable: of_failure,
    HTTPException: of_http,
    RequestValidationError: of_validation,
}
