"""Every rule that a field may break is told by its own code, with its limit."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import Depends, Query
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from shared.auth import Principal, Verifier, anyone
from shared.clock import SystemClock
from shared.errors import Invalid
from shared.geo import Point
from shared.http import Router, create_app
from shared.messages import Messages

Anyone = Annotated[Principal, Depends(anyone())]


class Form(BaseModel):
    """One field for each rule."""

    name: str = Field(default="ab", min_length=2, pattern="^[a-z]+$")
    above: int = Field(default=1, gt=0)
    under: int = Field(default=1, lt=9)
    items: list[int] = Field(default=[1], min_length=1)
    day: date = date(2026, 11, 3)


def _client() -> httpx2.AsyncClient:
    router = Router()

    @router.post("/forms", response_model=Form)
    async def form(body: Form, caller: Anyone) -> Form:
        return body

    @router.get("/weigh", response_model=float)
    async def weigh(caller: Anyone, weight: Annotated[float, Query(allow_inf_nan=False)]) -> float:
        return weight

    @router.get("/tea", response_model=str)
    async def tea(caller: Anyone) -> str:
        raise HTTPException(418)

    app = create_app(
        "forms", [router], verifier=Verifier("nowhere", "issuer", "audience", SystemClock()), messages=Messages.load()
    )
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://forms")


@pytest.mark.parametrize(
    ("body", "field", "code", "limit"),
    [
        ({"name": "a"}, "name", "field-too-short", 2),
        ({"name": "AB"}, "name", "field-malformed", None),
        ({"above": 0}, "above", "field-not-above", 0),
        ({"under": 9}, "under", "field-not-under", 9),
        ({"items": []}, "items", "field-too-few", 1),
        ({"day": "1800-01-01"}, "day", "field-out-of-calendar", "1900–2200"),
    ],
    ids=str,
)
async def test_a_rule_that_is_broken_is_told_with_its_limit(
    body: dict[str, Any], field: str, code: str, limit: object
) -> None:
    async with _client() as client:
        answer = await client.post("/forms", json=body)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["field"], error["code"], error.get("limit")) == (422, field, code, limit)


async def test_a_number_that_is_none_is_told() -> None:
    async with _client() as client:
        answer = await client.get("/weigh", params={"weight": "nan"})
    assert [error["code"] for error in answer.json()["errors"]] == ["field-not-finite"]


async def test_any_other_refusal_of_the_framework_has_the_form_of_all() -> None:
    async with _client() as client:
        answer = await client.get("/tea")
    assert (answer.status_code, answer.json()["code"]) == (418, "request-refused")


@pytest.mark.parametrize(
    ("longitude", "latitude", "code"),
    [(180.1, 0.0, "longitude-out-of-range"), (0.0, -90.1, "latitude-out-of-range")],
)
def test_a_spot_off_the_globe_is_refused(longitude: float, latitude: float, code: str) -> None:
    with pytest.raises(Invalid) as raised:
        Point(longitude, latitude)
    assert raised.value.code == code
