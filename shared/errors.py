"""The ways a request can fail, told apart by who has to act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class DomainError(Exception):
    """A rule refuses the request: the caller's fault, never retried.

    `code` is stable and names an entry of the message catalogue; `field` names the input at fault
    (dotted path) and `params` fill the message (a limit, a state). Nothing has been written.
    """

    status: ClassVar[int] = 422

    def __init__(self, code: str, *, field: str | None = None, **params: object) -> None:
        super().__init__(code)
        self.code = code
        self.field = field
        self.params = params

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.code}({shown})" if shown else self.code


class Invalid(DomainError):
    """The input itself cannot be accepted (422)."""


class Several(Invalid):
    """Several things are wrong with the input, each told by itself and naming its field (422)."""

    def __init__(self, code: str, faults: Sequence[DomainError]) -> None:
        super().__init__(code, count=len(faults))
        self.faults = tuple(faults)


class Unauthenticated(DomainError):
    """No valid proof of who is calling (401)."""

    status = 401


class Forbidden(DomainError):
    """Known caller, but not allowed to do this (403)."""

    status = 403


class NotFound(DomainError):
    """The thing does not exist, or the caller may not know that it does (404)."""

    status = 404


class Refused(DomainError):
    """The thing exists, but its state does not allow the request (409)."""

    status = 409


class TooLarge(DomainError):
    """A body, page or upload above its limit (413)."""

    status = 413


class Unsupported(DomainError):
    """A content type or file kind that is not accepted (415)."""

    status = 415


class TooMany(DomainError):
    """A rate limit is used up (429); `retry_after` is in whole seconds."""

    status = 429

    def __init__(self, code: str, *, retry_after: int, **params: object) -> None:
        super().__init__(code, field=None, retry_after=retry_after, **params)
        self.retry_after = retry_after


class Conflict(Exception):
    """Somebody else changed a document since it was read: decide again on fresh data."""


class Duplicate(Conflict):
    """A document with this identity exists already."""


class Unavailable(Exception):
    """A server we depend on did not answer in time: the outcome may be unknown, the same request may be retried."""
