"""What may be said in a body, a query and a path: each thing in one way, and nothing that costs more than its bytes."""

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import Depends, FastAPI, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from shared.auth import Principal, Verifier, anyone
from shared.clock import FixedClock
from shared.errors import TooMany
from shared.http import Body, RateLimit, Router, client_address, create_app
from shared.http.body import MOST_DEPTH, MOST_MEMBERS, MOST_VALUES
from shared.messages import Messages

READ: list[Any] = []


class Colour(StrEnum):
    RED = "red"


class Inner(Body):
    points: Decimal = Decimal(0)


class Form(Body):
    day: date | None = None
    moment: AwareDatetime | None = None
    points: Decimal | None = None
    count: int | None = None
    share: float | None = None
    agreed: bool | None = None
    colour: Colour | None = None
    names: tuple[str, ...] = ()
    table: dict[str, Decimal] = Field(default={})
    days: list[date] = Field(default=[])
    inner: Inner | None = None
    anything: Any = None


class Range(BaseModel):
    since: AwareDatetime | None = None
    number: int = 0


def admit(request: Request, caller: Principal) -> None:
    request.app.state.rate.take(client_address(request))


def _router() -> Router:
    router = Router()

    @router.post("/direct")
    async def direct(request: Request, body: Form, caller: Annotated[Principal, Depends(anyone())]) -> Response:
        READ.append(body)
        return Response()

    @router.post("/solved")
    async def solved(body: Form, caller: Annotated[Principal, Depends(anyone())], page: int = 0) -> dict[str, int]:
        READ.append(body)
        return {"page": page}

    @router.post("/list")
    async def many(body: list[Inner], caller: Annotated[Principal, Depends(anyone())]) -> int:
        return len(body)

    @router.post("/counted")
    async def counted(
        request: Request, body: Form, caller: Annotated[Principal, Depends(anyone(admit=admit))]
    ) -> Response:
        return Response()

    @router.get("/asked")
    async def asked(
        caller: Annotated[Principal, Depends(anyone())],
        day: date | None = None,
        moment: datetime | None = None,
        count: Annotated[int, Query()] = 0,
        points: Decimal | None = None,
        share: float = 0,
        numbers: Annotated[list[int], Query()] = [],  # noqa: B006
        text: str = "",
    ) -> dict[str, int]:
        return {"count": count}

    @router.get("/range")
    async def ranged(caller: Annotated[Principal, Depends(anyone())], wanted: Annotated[Range, Query()]) -> int:
        return wanted.number

    @router.get("/things/{number}")
    async def thing(number: int, caller: Annotated[Principal, Depends(anyone())]) -> int:
        return number

    return router


@pytest.fixture
def app() -> FastAPI:
    clock = FixedClock(datetime(2026, 3, 2, tzinfo=UTC))
    return create_app(
        "input",
        [_router()],
        verifier=Verifier("unused", "issuer", "audience", clock),
        messages=Messages.load(),
        state={"rate": RateLimit(0.001, 3)},
    )


@pytest.fixture
def client(app: FastAPI) -> httpx2.AsyncClient:
    READ.clear()
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://input")


def faults(answer: httpx2.Response) -> list[tuple[str, str]]:
    return [(error["field"], error["code"]) for error in answer.json().get("errors", [])]


LAX: list[tuple[str, Any]] = [
    ("day", 1798761600),
    ("day", "1798761600"),
    ("day", "2026-12-01T00:00:00"),
    ("day", "20261201"),
    ("day", True),
    ("moment", 1798761600),
    ("moment", 1798761600000.0),
    ("moment", "1798761600000"),
    ("moment", "1798761600"),
    ("moment", "2026-12-01"),
    ("points", "1_0"),
    ("points", "１０"),
    ("points", "NaN"),
    ("points", "Infinity"),
    ("points", True),
    ("points", " 1 "),
    ("count", True),
    ("count", "1"),
    ("count", "1_0"),
    ("count", 1.0),
    ("share", "1_12.6"),
    ("share", True),
    ("share", "1"),
    ("agreed", 1),
    ("agreed", "true"),
    ("agreed", "yes"),
    ("colour", "RED"),
    ("names", "ab"),
    ("table", {"a": "1_0"}),
    ("days", [1798761600]),
]


@pytest.mark.parametrize("path", ["/direct", "/solved"])
@pytest.mark.parametrize(("field", "value"), LAX, ids=str)
async def test_what_only_looks_like_it_is_refused(
    client: httpx2.AsyncClient, path: str, field: str, value: Any
) -> None:
    answer = await client.post(path, json={field: value})
    assert answer.status_code == 422, READ
    [(named, _)] = faults(answer)
    assert named.partition(".")[0] == field


BEYOND: list[tuple[str, Any]] = [
    ("day", "0001-01-01"),
    ("day", "9999-12-31"),
    ("day", "1899-12-31"),
    ("moment", "0001-01-01T00:00:00+14:00"),
    ("moment", "9999-12-31T23:59:59-12:00"),
    ("count", 2**63),
    ("count", -(2**80)),
    ("anything", 2**64),
    ("anything", {"a": [2**64]}),
    ("days", ["2026-01-01", "9999-01-01"]),
]


@pytest.mark.parametrize("path", ["/direct", "/solved"])
@pytest.mark.parametrize(("field", "value"), BEYOND, ids=str)
async def test_what_nothing_can_keep_is_refused(client: httpx2.AsyncClient, path: str, field: str, value: Any) -> None:
    answer = await client.post(path, json={field: value})
    assert answer.status_code == 422, READ
    assert faults(answer)[0][0].partition(".")[0] == field


async def test_plain_values_are_taken(client: httpx2.AsyncClient) -> None:
    plain = {
        "day": "2026-12-01",
        "moment": "2026-12-01T09:00:00+08:00",
        "points": "1.5",
        "count": 2**63 - 1,
        "share": 1,
        "agreed": True,
        "colour": "red",
        "names": ["甲"],
        "table": {"a": 1, "b": "0.5"},
        "days": ["1900-01-01", "2200-12-31"],
        "inner": {"points": -0.5},
        "anything": {"a": [1, None, "x"]},
    }
    for path in ("/direct", "/solved"):
        assert (await client.post(path, json=plain)).status_code == 200
        assert READ[-1].model_dump(mode="json", exclude={"points", "table", "inner"}) == {
            name: value for name, value in plain.items() if name not in {"points", "table", "inner"}
        } | {"moment": "2026-12-01T09:00:00+08:00"}
        assert READ[-1].points == Decimal("1.5")
    for moment in ("2026-12-01T09:00Z", "2026-12-01T09:00:00.123456+08:00"):
        assert (await client.post("/direct", json={"moment": moment})).status_code == 200


async def test_what_a_body_does_not_know_is_named(client: httpx2.AsyncClient) -> None:
    for path, body, field in (
        ("/direct", {"surprise": 1}, "surprise"),
        ("/solved", {"inner": {"surprise": 1}}, "inner.surprise"),
        ("/list", [{}, {"surprise": 1}], "1.surprise"),
    ):
        assert faults(await client.post(path, json=body)) == [(field, "field-unknown")]


def nested(depth: int) -> dict[str, Any]:
    return {"anything": json.loads("[" * depth + "]" * depth)}


@pytest.mark.parametrize("path", ["/direct", "/solved", "/list"])
@pytest.mark.parametrize(
    "body",
    [
        {f"k{number}": 1 for number in range(75_000)},
        {"table": {f"k{number}": 1 for number in range(MOST_MEMBERS + 1)}},
        {"anything": [0] * (MOST_VALUES + 1)},
        {"anything": [[[]] * 30_000, [{}] * 30_000]},
        nested(MOST_DEPTH),
        nested(150),
    ],
    ids=["unknown keys", "members", "values", "values within", "depth", "deeper"],
)
async def test_no_body_costs_more_than_its_bytes(client: httpx2.AsyncClient, path: str, body: Any) -> None:
    content = json.dumps(body, separators=(",", ":"))
    began = time.process_time()
    answer = await client.post(path, content=content, headers={"content-type": "application/json"})
    assert time.process_time() - began < 0.6
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-complex")


async def test_what_is_within_the_bounds_is_read(client: httpx2.AsyncClient) -> None:
    for body in (
        {"table": {f"k{number}": 1 for number in range(MOST_MEMBERS)}},
        {"anything": [0] * (MOST_VALUES - 2)},
        nested(MOST_DEPTH - 1),
    ):
        assert (await client.post("/direct", json=body)).status_code == 200


async def test_callers_are_counted_before_anything_is_read(client: httpx2.AsyncClient) -> None:
    for body in (b"{", json.dumps({f"k{n}": 1 for n in range(2000)}).encode(), b'{"surprise": 1}'):
        answer = await client.post("/counted", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in {400, 413, 422}
    read: list[bytes] = []

    async def pieces() -> Any:
        read.append(b"{}")
        yield b"{}"

    answer = await client.post("/counted", content=pieces(), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (429, "rate-limited")


QUERIES = [
    ("count=1_0", "count"),
    ("count=１", "count"),
    ("count=1.0", "count"),
    ("count=%2B1", "count"),
    ("count=9999999999999999999", "count"),
    ("numbers=1&numbers=1_0", "numbers"),
    ("points=1_0", "points"),
    ("points=nan", "points"),
    ("share=1_1.5", "share"),
    ("share=inf", "share"),
    ("share=1e999", "share"),
    ("day=1767225600", "day"),
    ("day=2026-01-01T00:00:00", "day"),
    ("day=0001-01-01", "day"),
    ("day=9999-12-31", "day"),
    ("moment=1767225600", "moment"),
    ("moment=9999-12-31T23:59:59", "moment"),
    ("text=%EF%BF%BE", "text"),
    ("text=%EF%BF%BF", "text"),
    ("text=%00", "text"),
    ("text=" + "x" * 2001, "text"),
    ("unknown=%00", "unknown"),
]


@pytest.mark.parametrize(("query", "field"), QUERIES, ids=lambda each: each[:40])
async def test_a_query_says_each_thing_in_one_way(client: httpx2.AsyncClient, query: str, field: str) -> None:
    answer = await client.get(f"/asked?{query}")
    assert answer.status_code == 422
    assert [named for named, _ in faults(answer)] == [field]


async def test_plain_queries_are_taken(client: httpx2.AsyncClient) -> None:
    query = "count=-12&day=2026-12-01&moment=2026-12-01T09:00:00%2B08:00&points=1.5&share=.5&numbers=1&numbers=2"
    assert (await client.get(f"/asked?{query}&text=%E6%B1%9F%E4%B8%9C%E8%B7%AF%0A")).json() == {"count": -12}


async def test_a_plus_that_is_not_escaped_is_told_apart(client: httpx2.AsyncClient) -> None:
    for path in ("/asked?moment", "/range?since"):
        answer = await client.get(f"{path}=2026-11-01T00:00:00+08:00")
        assert (answer.status_code, [code for _, code in faults(answer)]) == (422, ["field-plus-unescaped"])
        assert "%2B" in answer.json()["detail"]


async def test_a_number_in_a_path_is_bounded(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/things/12")).json() == 12
    for path in ("1_2", "99999999999999999999", "x"):
        answer = await client.get(f"/things/{path}")
        assert faults(answer) == [("number", "field-invalid")]
    assert (await client.get("/range?number=1_0")).status_code == 422


def test_a_rate_that_is_used_up_is_told_as_such() -> None:
    rate = RateLimit(1, 1, monotonic=lambda: 0)
    rate.take("a")
    with pytest.raises(TooMany):
        rate.take("a")
