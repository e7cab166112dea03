"""The portal's forms as somebody without scripts fills them in, and as somebody who means harm does."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from tests.fuzz.asking import TIMEOUT, Figures, Finding
from tests.fuzz.values import HOSTILE, Identities
from tests.photo_samples import REFUSED, from_telephone

PAGES = ("/report", "/report?kind=praise", "/track", "/office/what-if")
Documented = Mapping[str, Sequence[str]]


@dataclass
class Form:
    """Where a form goes, and its fields: what they hold, or what may be chosen."""

    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self._page = page
        self._choosing = ""
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(urljoin(self._page, given.get("action", "")), given.get("method", "get").lower()))
        elif self.forms and tag in {"input", "textarea", "button", "select"} and (name := given.get("name")):
            if given.get("type") == "file":
                self.forms[-1].files.append(name)
                return
            self._choosing = name if tag == "select" else ""
            self.forms[-1].fields.setdefault(name, []).append(given.get("value", ""))
        elif tag == "option" and self._choosing:
            self.forms[-1].fields[self._choosing].append(given.get("value", ""))


def forms_of(page: str, html: str) -> list[Form]:
    """The forms of a page that are sent by POST."""
    reader = _Reader(page)
    reader.feed(html)
    return [form for form in reader.forms if form.method == "post"]


class Visitor:
    """A browser with its cookies that sends every form it finds."""

    def __init__(self, address: str, documented: Documented, figures: Figures, known: Identities, number: int) -> None:
        self._address = address
        self._documented = documented
        self._known = known
        self._chance = random.Random(number)
        self._session = requests.Session()
        self.figures = figures
        self.findings: list[Finding] = []

    def visit(self, times: int) -> None:
        """So many requests, a page and what its forms lead to after each other."""
        until = self.figures.requests + times
        while self.figures.requests < until:
            page = self._chance.choice(PAGES)
            answer = self._ask("GET", page)
            for _ in range(4):
                forms = forms_of(page, answer.text) if answer is not None else []
                if not forms or self.figures.requests >= until:
                    break
                form = self._chance.choice(forms)
                answer, page = self._send(form), form.action

    def _send(self, form: Form) -> requests.Response | None:
        filled: dict[str, Any] = {name: self._value(name, offered) for name, offered in form.fields.items()}
        files = [(name, self._file()) for name in form.files] or [("", ("", b"", ""))]
        return self._ask("POST", form.action, data=filled, files=files)

    def _value(self, name: str, offered: Sequence[str]) -> str:
        dice = self._chance.random()
        if dice < 0.15:
            return str(self._chance.choice(HOSTILE)).encode("utf-8", "replace").decode()
        if dice < 0.4 and (known := self._known.named(name)) is not None:
            return str(known)
        return self._chance.choice(offered) or ("垃圾桶满了没人清" if name in {"text", "reason"} else "")

    def _file(self) -> tuple[str, bytes, str]:
        content = self._chance.choice([b"", b"", from_telephone(), *(each for each, _ in REFUSED.values())])
        return self._chance.choice(["a.jpg", "", '"><svg>.jpg', "é" * 300]), content, "image/jpeg"

    def _ask(self, method: str, page: str, **sent: Any) -> requests.Response | None:
        self.figures.requests += 1
        path = urlsplit(page).path
        try:
            answer = self._session.request(
                method, self._address + page, timeout=TIMEOUT, allow_redirects=False, headers=self._headers(), **sent
            )
        except requests.exceptions.RequestException as error:
            self._found("server_error", f"{method} {path}", f"{type(error).__name__}: {error}", sent)
            return None
        self.figures.statuses[answer.status_code] += 1
        if answer.status_code >= 500 and answer.status_code != 503:
            self._found("server_error", f"{method} {path}", f"{answer.status_code}: {answer.text[:300]}", sent)
        elif str(answer.status_code) not in self._documented.get(f"{method} {path}", [str(answer.status_code)]):
            self._found("undocumented", f"{method} {path}", f"status {answer.status_code}", sent)
        return answer

    def _headers(self) -> dict[str, str]:
        return {"Origin": self._address} if self._chance.random() < 0.9 else {}

    def _found(self, kind: str, operation: str, text: str, sent: Mapping[str, Any]) -> None:
        if kind == "server_error":
            self.figures.server_errors += 1
        else:
            self.figures.undocumented += 1
        self.findings.append(Finding(kind, operation, self.figures.role, text, repr(sent.get("data"))[:2000]))


def documented(address: str) -> Documented:
    """The statuses that a service's document names, by method and path."""
    paths = requests.get(f"{address}/openapi.json", timeout=TIMEOUT).json()["paths"]
    return {
        f"{method.upper()} {path}": list(operation["responses"])
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
