"""The reports service as the portal sees it: what it answers, what it refuses, and what makes no sense."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx2
import pytest

from services.portal.clients.reports import Reports
from shared.contracts.reports import CaseState, Kind
from shared.errors import Unavailable
from shared.http.peer import Fault, Rejected
from tests.unit.portal.events import CASE, NOON

CODE = "7Q3-KX0-M4T-ZA9-2RC-5NE"
NOBODY: Mapping[str, str] = {}
Ask = Callable[[Reports], Awaitable[object]]
ASKS: dict[str, Ask] = {
    "file": lambda reports: reports.file({}, "key", NOBODY),
    "similar": lambda reports: reports.similar({}, NOBODY),
    "follow": lambda reports: reports.follow(CASE, "key", NOBODY),
    "tracked": lambda reports: reports.tracked(CODE, NOBODY),
    "say": lambda reports: reports.give_feedback("update", {}, "key", NOBODY),
    "catalogue": lambda reports: reports.catalogue(None),
}


class Service:
    """Answers everything the same, and remembers what it was asked."""

    def __init__(self, status: int = 200, body: object = None, **headers: str) -> None:
        self.answer = httpx2.Response(status, json=body, headers=headers)
        self.seen: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request)
        return self.answer

    @property
    def reports(self) -> Reports:
        return Reports("http://reports", httpx2.MockTransport(self))


async def test_a_case_on_file_comes_with_its_code_which_no_log_shows() -> None:
    service = Service(201, {"case": CASE, "state": "dispatched", "sequence": 1, "tracking": CODE})
    receipt = await service.reports.file({"category": "bins"}, "key", {"accept-language": "en"})
    assert (receipt.case, receipt.sequence, receipt.tracking) == (CASE, 1, CODE)
    assert CODE not in repr(receipt)
    [request] = service.seen
    assert (request.headers["idempotency-key"], request.headers["accept-language"]) == ("key", "en")


async def test_a_service_that_has_no_codes_yet_gives_none() -> None:
    assert (await Service(201, {"case": CASE, "sequence": 1}).reports.file({}, "key", NOBODY)).tracking == ""


async def test_one_form_may_follow_several_cases() -> None:
    service = Service(201, {"case": CASE, "tracking": CODE})
    await service.reports.follow(CASE, "key", NOBODY)
    [request] = service.seen
    assert (request.url.path, request.headers["idempotency-key"]) == (f"/cases/{CASE}/follow", f"key-{CASE}")


async def test_a_code_goes_in_the_body_and_never_in_the_address() -> None:
    content = {
        "case": CASE,
        "state": "closed",
        "words": "已办结",
        "category": "暴露垃圾",
        "registered_at": NOON.isoformat(),
    }
    service = Service(200, content)
    tracked = await service.reports.tracked(CODE, NOBODY)
    await service.reports.give_feedback("rate", {"code": CODE, "resolved": True, "satisfied": True}, "key", NOBODY)
    assert (tracked.state, tracked.kind, tracked.part, tracked.may) == (CaseState.CLOSED, Kind.PROBLEM, "reporter", ())
    for request in service.seen:
        assert json.loads(request.content)["code"] == CODE
        assert CODE not in str(request.url)


async def test_what_is_not_known_yet_is_something_else_and_no_fault() -> None:
    case: dict[str, Any] = {"case": CASE, "state": "dreamt", "metres": 3, "registered_at": NOON.isoformat(), "why": "x"}
    [similar] = await Service(200, [case]).reports.similar({}, NOBODY)
    assert (similar.state, similar.photos) == (CaseState.OTHER, ())


async def test_a_catalogue_that_is_known_is_not_read_again() -> None:
    service = Service(304, etag='"1"')
    assert await service.reports.catalogue('"1"') is None
    assert service.seen[0].headers["if-none-match"] == '"1"'
    tag, body = await Service(200, [], etag='"2"').reports.catalogue('"1"') or ("", b"")
    assert (tag, body) == ('"2"', b"[]")


@pytest.mark.parametrize("name", [name for name in ASKS if name != "catalogue"])
async def test_a_refusal_is_told_with_its_fields(name: str) -> None:
    errors = [{"field": "text", "message": "太长"}, {"field": "answers.since", "message": "不是日期"}]
    service = Service(422, {"code": "validation", "errors": errors})
    with pytest.raises(Rejected) as refused:
        await ASKS[name](service.reports)
    assert refused.value.faults == (Fault("text", "太长"), Fault("answers.since", "不是日期"))
    assert refused.value.retry_after is None


@pytest.mark.parametrize("name", [name for name in ASKS if name != "catalogue"])
async def test_a_refusal_for_now_says_when_to_come_back(name: str) -> None:
    service = Service(429, {"code": "rate-limited", "detail": "请稍后再试"}, **{"retry-after": "7"})
    with pytest.raises(Rejected) as refused:
        await ASKS[name](service.reports)
    assert (refused.value.code, refused.value.retry_after) == ("rate-limited", 7)
    assert refused.value.faults == (Fault("", "请稍后再试"),)


@pytest.mark.parametrize("name", ASKS)
async def test_a_fault_of_the_service_is_nobodys_refusal(name: str) -> None:
    with pytest.raises(Unavailable):
        await ASKS[name](Service(503, {"code": "unavailable"}).reports)


@pytest.mark.parametrize("name", [name for name in ASKS if name not in {"catalogue", "say"}])
async def test_an_answer_in_another_form_makes_no_sense(name: str) -> None:
    with pytest.raises(Unavailable):
        await ASKS[name](Service(200, {"case": None}).reports)


async def test_a_catalogue_that_is_refused_is_not_taken_for_one() -> None:
    with pytest.raises(Unavailable):
        await Service(404, {"code": "route-not-found"}).reports.catalogue(None)
