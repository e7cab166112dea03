"""Pages from templates: two languages, Chinese time, and headers that let nothing run but our own files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from os import PathLike, stat_result
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from services.portal.district import District
from services.portal.domain.cases import STEPS
from services.portal.views.standings import plain
from shared.clock import CHINA
from shared.messages import LANGUAGES, Language, Messages, language

ROOM = Path(__file__).parent
STATIC = ROOM / "static"
SECURITY = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "same-origin",
    "permissions-policy": "geolocation=(self), camera=(self), microphone=()",
    "cross-origin-opener-policy": "same-origin",
}
YEAR = 365 * 24 * 3600
_DIRECTION_MARKS = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
"""Marks, embeddings, overrides and isolates: invisible, and able to show 12-3 as 3-12."""


class Assets(StaticFiles):
    """Style, scripts and the icon; pages name them with a digest, so that a new release is seen at once."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await GZipMiddleware(super().__call__)(scope, receive, send)

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        named = scope["query_string"] == f"v={DIGEST}".encode()
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if named else "public, max-age=3600"
        return response


def language_of(request: Request) -> Language:
    """What the reader chose by `?lang=`, now or earlier, else what the browser asks for."""
    for chosen in (request.query_params.get("lang"), request.cookies.get("lang")):
        for known in LANGUAGES:
            if chosen == known:
                return known
    return language(request.headers.get("accept-language", ""))


class Pages:
    """All templates, with the district's names."""

    def __init__(self, district: District, secure: bool) -> None:
        """`secure`: the portal is reached by https only."""
        self.secure = secure
        self.texts = Messages(json.loads((ROOM / "texts.json").read_text(encoding="utf-8")))
        self._templates = Environment(
            loader=FileSystemLoader(ROOM / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(moment=moment, number=plain, unmarked=unmarked)
        self._templates.globals.update(district=district, steps=STEPS, assets=DIGEST)
        for template in self._templates.list_templates():  # a fault in one must not wait for its first reader
            self._templates.get_template(template)

    def answer(self, request: Request, template: str, *, status: int = 200, **content: Any) -> Response:
        """The page in the reader's language; `content` is what the template shows."""
        spoken = language_of(request)
        text = partial(_text, self.texts, spoken)
        html = self._templates.get_template(f"{template}.html").render(
            lang=spoken,
            t=text,
            name=partial(_name, spoken),
            span=partial(_span, text),
            here=request.url.path,
            query=partial(_query, request.query_params),
            template=template,
            **content,
        )
        headers = {**SECURITY, "content-language": spoken, "vary": "accept-encoding, accept-language, cookie"}
        response = _packed(request, HTMLResponse(html, status, headers))
        if request.query_params.get("lang") == spoken:
            self.set_cookie(response, "lang", spoken, path="/", max_age=YEAR)
        return response

    def set_cookie(self, response: Response, name: str, value: str, *, path: str, max_age: int) -> None:
        """A cookie for this portal alone, out of reach of scripts and of other sites' forms."""
        response.set_cookie(name, value, max_age=max_age, path=path, secure=self.secure, httponly=True, samesite="lax")


def moment(at: datetime, form: str = "%Y-%m-%d %H:%M") -> str:
    """The moment as people in Hengyang read their watches."""
    return at.astimezone(CHINA).strftime(form)


def unmarked(text: str) -> str:
    """What somebody wrote without marks of direction; a page puts it into a `bdi`, so that it moves no neighbour."""
    return text.translate(_DIRECTION_MARKS)


def _text(texts: Messages, spoken: Language, key: str, **params: object) -> str:
    if key not in texts:
        raise KeyError(f"texts.json lacks {key}")
    return texts.text(key, spoken, params)


def _name(spoken: Language, names: Mapping[str, Any], code: str) -> str:
    """The name of a code; the code itself when the district's files do not know it (any more)."""
    return names[code].name.text(spoken) if code in names else code


def _span(text: Callable[..., str], time: timedelta) -> str:
    """A stretch of time in its two largest units."""
    minutes = int(abs(time).total_seconds()) // 60
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return text("span-days", days=days, hours=hours)
    return text("span-hours", hours=hours, minutes=rest) if hours else text("span-minutes", minutes=rest)


def _query(now: Mapping[str, str], **changed: str | int | None) -> str:
    """The query of this page with some parameters changed; None takes one away."""
    parameters = {name: value for name, value in {**now, **changed}.items() if value is not None}
    return "?" + urlencode(parameters)


def _packed(request: Request, page: Response) -> Response:
    """The page as small as the browser takes it: 9 KB in place of 39."""
    if "gzip" in request.headers.get("accept-encoding", ""):
        page.body = gzip.compress(page.body, 6)
        page.headers["content-length"] = str(len(page.body))
        page.headers["content-encoding"] = "gzip"
    return page


def _digest(folder: Path) -> str:
    content = b"".join(file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file())
    return sha256(content).hexdigest()[:10]


DIGEST = _digest(STATIC)
"""Of all files of style and script: another one after each change."""
