"""Whatever is sent, each service answers as its OpenAPI document says, and never with a fault of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, openapi, serializer
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.processes import Platform

EXAMPLES = 12
"""Requests per operation; a longer search is a matter of this number."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
serializer.alias("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/octet-stream")
EVERYBODY = ("office", "head", "operator", "discipline", "service", "officer", "verifier")
LEADER = ("leader", "office", "discipline")
"""The district's, who have no unit; each of the two asks every other time."""


def operations(address: str) -> Iterator[APIOperation[Any, Any, Any, Any]]:
    schema = openapi.from_dict(httpx2.get(f"{address}/openapi.json", timeout=20).json())
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        yield found.ok()


def filed(platform: Platform) -> str:
    """A case that requests about some case can be about."""
    report = {"category": "exposed-rubbish", "longitude": 112.6, "latitude": 26.885, "text": "待清理"}
    answer = httpx2.post(f"{platform.url('reports')}/cases", json=report, headers=platform.token("service"))
    return str(answer.raise_for_status().json()["case"])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("service", ["reports", "scoring"])
def test_every_answer_is_one_that_the_document_promises(platform: Platform, service: str) -> None:
    address = platform.url(service)
    callers = platform.token(*EVERYBODY, unit="huanwei"), platform.token(*LEADER)
    known = filed(platform)
    asked = 0
    for operation in operations(address):

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Case[Any]) -> None:
            nonlocal asked
            asked += 1
            if "id" in case.path_parameters and asked % 2:
                case.path_parameters["id"] = known
            case.call_and_validate(base_url=address, headers=callers[asked // 2 % 2], checks=CHECKS, timeout=20)

        ask()
    assert asked >= EXAMPLES
