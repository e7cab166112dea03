"""One caller's requests to one service, each answer held against the service's own document."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import requests
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode, openapi, serializer
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fuzz.values import Identities, Spice

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
STREAM, JSON = "text/event-stream", "application/json"
TIMEOUT = 20
"""Seconds; what takes longer counts as a fault of the service."""
REPORTED = 3
"""Examples told of one finding."""
Operation = APIOperation[Any, Any, Any, Any]
serializer.alias("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/octet-stream")
serializer.alias("text/csv", "application/octet-stream")


@dataclass
class Figures:
    """What came of a role's requests to a service."""

    service: str
    role: str
    requests: int = 0
    server_errors: int = 0
    undocumented: int = 0
    statuses: Counter[int] = field(default_factory=Counter)

    def row(self) -> dict[str, Any]:
        """As it is written down."""
        found = asdict(self)
        del found["statuses"]
        return found | {"ok": not self.server_errors and not self.undocumented}


@dataclass(frozen=True)
class Finding:
    """An answer that should not have been: of which operation, and how to ask for it again."""

    kind: str
    operation: str
    role: str
    text: str
    curl: str


def operations(address: str) -> list[Operation]:
    """What a service's document describes, but for streams without an end."""
    schema = openapi.from_dict(requests.get(f"{address}/openapi.json", timeout=TIMEOUT).json())
    found = []
    for each in schema.get_all_operations():
        assert isinstance(each, Ok), each
        found.append(each.ok())
    return [each for each in found if STREAM not in str(each.definition.raw.get("responses"))]


class Caller:
    """Somebody with a role who asks a service for anything."""

    def __init__(self, address: str, headers: dict[str, str], figures: Figures, known: Identities, number: int) -> None:
        self._address = address
        self._headers = headers
        self._known = known
        self._chance = random.Random(number)
        self._spice = Spice(self._chance, known)
        self._session = requests.Session()
        self.figures = figures
        self.findings: list[Finding] = []

    def ask(self, operation: Operation, times: int) -> None:
        """So many requests, half of them made to fit the document and half not to."""
        for mode, share in ((GenerationMode.POSITIVE, times - times // 2), (GenerationMode.NEGATIVE, times // 2)):
            if share:
                self._ask(operation, mode, share)

    def _ask(self, operation: Operation, mode: GenerationMode, times: int) -> None:
        left = times

        @seed(self._chance.getrandbits(32))
        @settings(
            max_examples=times,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def once(case: Case[Any]) -> None:
            nonlocal left
            if left > 0:
                left -= 1
                self._once(case)

        try:
            once()
        except Exception as error:  # an operation that nothing can be made up for, like a negative one without input
            if type(error).__name__ not in {"Unsatisfiable", "SkipTest", "Flaky"}:
                raise

    def _once(self, case: Case[Any]) -> None:
        self._spice.address(case.path, case.path_parameters)
        names = [each.name for each in case.operation.query]
        case.query = self._spice.query(dict(case.query or {}), names)
        if isinstance(case.body, dict | list):
            case.body = self._spice.fields(case.body)
        self.figures.requests += 1
        try:
            answer = self._session.request(**self._written(case))
        except requests.exceptions.RequestException as error:
            if not isinstance(error, ValueError):
                self._found("server_error", case, f"{type(error).__name__}: {error}")
            return
        except (UnicodeError, ValueError):
            return  # what cannot be written into a request is none
        self.figures.statuses[answer.status_code] += 1
        if answer.status_code >= 500 and answer.status_code != 503:
            self._found("server_error", case, f"{answer.status_code}: {answer.text[:300]}")
            return
        self._hold_against_document(case, answer)
        if answer.status_code < 300 and answer.headers.get("content-type") == JSON:
            self._known.learn(case.path, answer.json())

    def _written(self, case: Case[Any]) -> dict[str, Any]:
        """The request; JSON as Python writes it, so that it may hold what no JSON may."""
        found = case.as_transport_kwargs(base_url=self._address)
        found["headers"].update(self._headers | self._spice.headers())
        if "json" in found:
            found["data"] = json.dumps(found.pop("json")).encode()
            found["headers"].setdefault("Content-Type", JSON)
        return found | {"timeout": TIMEOUT, "allow_redirects": False}

    def _hold_against_document(self, case: Case[Any], answer: Any) -> None:
        try:
            case.validate_response(answer, checks=CHECKS, excluded_checks=[not_a_server_error])
        except FailureGroup as group:
            self._found(
                "undocumented", case, "; ".join(f"{each.title}: {each.message}"[:300] for each in group.exceptions)
            )

    def _found(self, kind: str, case: Case[Any], text: str) -> None:
        if kind == "server_error":
            self.figures.server_errors += 1
        else:
            self.figures.undocumented += 1
        operation = f"{case.method} {case.path}"
        if sum(each.operation == operation and each.kind == kind for each in self.findings) < REPORTED:
            self.findings.append(Finding(kind, operation, self.figures.role, text, _curl(case)))


def _curl(case: Case[Any]) -> str:
    try:
        return case.as_curl_command()[:2000]
    except Exception as error:  # telling must not end the search
        return f"{case.method} {case.path} {error}"


def spread(found: Sequence[Operation], times: int, chance: random.Random) -> Iterator[tuple[Operation, int]]:
    """So many requests over all operations, in any order: each as often, or if there are too few, some of them."""
    each, rest = divmod(times, len(found))
    mixed = chance.sample(found, len(found))
    for number, operation in enumerate(mixed):
        if share := each + (number < rest):
            yield operation, share
