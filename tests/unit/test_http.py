"""The edge as a caller meets it: one form of refusal, one effect per key, and no input that breaks it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from hashlib import sha256
from ipaddress import ip_network
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import APIRouter, Depends, FastAPI, File, Request, Response, UploadFile
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from shared import telemetry
from shared.auth import ANONYMOUS, Principal, Verifier, anyone, require
from shared.clock import FixedClock
from shared.errors import Conflict, NotFound, Refused, TooMany, Unauthenticated, Unavailable
from shared.http import (
    BODY_LIMIT,
    IDEMPOTENT,
    Limits,
    RateLimit,
    Router,
    UndeclaredRoute,
    answer,
    client_address,
    create_app,
    operations_app,
    subscriber,
)
from shared.messages import Messages
from shared.roles import Role
from shared.store import IDEMPOTENCY, Collection, Store, UnitOfWork
from shared.testing.memory_store import MemoryDriver
from shared.vault import Vault, new_key

START = datetime(2026, 3, 2, 1, tzinfo=UTC)
KEYS = (new_key(), new_key())
PEOPLE = {
    "citizen": Principal("zhao", frozenset({Role.CITIZEN})),
    "officer": Principal("li", frozenset({Role.OFFICER}), "U01"),
    "other-officer": Principal("wang", frozenset({Role.OFFICER}), "U02"),
}


class Tokens(Verifier):
    """Tokens that are the names of people."""

    def __init__(self) -> None:
        super().__init__("unused", "issuer", "audience", FixedClock(START))

    async def verify(self, token: str) -> Principal:
        if token not in PEOPLE:
            raise Unauthenticated("token-invalid")
        return PEOPLE[token]


class Kind(StrEnum):
    WASTE = "waste"
    NOISE = "noise"


class Note(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=10)
    kind: Kind = Kind.WASTE
    weight: float = Field(default=1, ge=0, le=9)
    tags: list[str] = Field(default=[], max_length=2)
    extra: Any = None


class NoteView(BaseModel):
    id: str
    text: str


@dataclass
class StoredNote:
    id: str
    text: str


NOTES = Collection("notes", StoredNote)
FAILURES: dict[str, Exception] = {
    "missing": NotFound("note-not-found", id="n1"),
    "refused": Refused("note-closed", field="state", limit=3),
    "conflict": Conflict("lost"),
    "outage": Unavailable("mongodb 10.0.0.7 is away"),
    "busy": TooMany("rate-limited", retry_after=7),
    "bug": RuntimeError("password=hunter2"),
}


def _routes() -> Router:
    router = Router(prefix="/notes", tags=["notes"])

    @router.post("", status_code=201, response_model=NoteView, openapi_extra=IDEMPOTENT)
    async def write(
        request: Request, body: Note, caller: Annotated[Principal, Depends(require(Role.OFFICER))]
    ) -> Response:
        async def command(uow: UnitOfWork) -> NoteView:
            number = sum([1 async for _ in _numbers(uow)])
            note = StoredNote(f"n{number}", body.text)
            if body.text == "refuse":
                raise Refused("note-closed", limit=3)
            uow.insert(NOTES, note)
            return NoteView(id=note.id, text=f"{body.text} by {caller.subject}")

        return await answer(request, command, location="/notes/{id}")

    @router.post("/{id}/close", status_code=200, response_model=NoteView, openapi_extra=IDEMPOTENT)
    async def close(
        request: Request, id: str, caller: Annotated[Principal, Depends(require(Role.OFFICER))]
    ) -> Response:
        async def command(uow: UnitOfWork) -> NoteView:
            note = await uow.get(NOTES, id)
            if note.text == "closed":
                raise Refused("note-closed", limit=1)
            note.text = "closed"
            uow.save(NOTES, note)
            return NoteView(id=id, text=caller.subject)

        return await answer(request, command, status=200)

    @router.post("/secret", status_code=201, response_model=NoteView, openapi_extra=IDEMPOTENT)
    async def confide(request: Request, body: Note, caller: Annotated[Principal, Depends(anyone())]) -> Response:
        async def command(uow: UnitOfWork) -> NoteView:
            if await uow.find(NOTES, "secret"):
                raise Refused("note-closed", limit=1)
            uow.insert(NOTES, StoredNote("secret", "kept"))
            return NoteView(id="secret", text=f"about {body.text}")

        return await answer(request, command, vault=request.app.state.vault)

    @router.post("/echo")
    async def echo(body: Note, caller: Annotated[Principal, Depends(anyone())]) -> Note:
        return body

    @router.get("/fail/{how}")
    async def fail(how: str, caller: Annotated[Principal, Depends(anyone())]) -> NoteView:
        raise FAILURES[how]

    @router.get("/mine")
    async def mine(request: Request, caller: Annotated[Principal, Depends(require())], page: int = 1) -> dict[str, Any]:
        return {"subject": caller.subject, "page": page, "trace": telemetry.current_traceparent()}

    @router.get("/address")
    async def address(request: Request, caller: Annotated[Principal, Depends(anyone())]) -> str:
        return client_address(request)

    @router.post("/photos", openapi_extra={BODY_LIMIT: 5000})
    async def upload(photo: Annotated[UploadFile, File()], caller: Annotated[Principal, Depends(anyone())]) -> int:
        return len(await photo.read())

    @router.get("/broken-stream")
    async def broken(caller: Annotated[Principal, Depends(anyone())]) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("the other half is lost")

        return StreamingResponse(pieces(), headers={"cache-control": "max-age=60"})

    return router


async def _numbers(uow: UnitOfWork) -> AsyncIterator[int]:
    number = 0
    while number == 0 or await uow.find(NOTES, f"n{number}"):
        number += 1
        yield number


class Edge:
    """The application, its store and a client."""

    def __init__(self, limits: Limits | None = None) -> None:
        clock = FixedClock(START)
        self.driver = MemoryDriver(clock)
        self.store = Store(self.driver, clock, [NOTES])
        self.healthy = {"mongodb": True, "kafka": True}
        self.app = create_app(
            "notes",
            [_routes()],
            verifier=Tokens(),
            messages=Messages.load(),
            limits=limits or Limits(body_bytes=1000),
            state={"store": self.store, "vault": Vault.of(KEYS[0])},
            ready=self._ready,
        )
        self.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.app, raise_app_exceptions=False, client=("10.0.0.9", 1)),
            base_url="http://edge",
        )

    async def _ready(self) -> dict[str, bool]:
        return self.healthy

    async def write(
        self, text: str = "hello", key: str | None = None, who: str = "officer", **more: Any
    ) -> httpx2.Response:
        headers = {"authorization": f"Bearer {who}"} | ({"idempotency-key": key} if key else {})
        return await self.client.post("/notes", json={"text": text}, headers=headers, **more)

    async def count(self) -> int:
        return await self.store.count(NOTES, {})


@pytest.fixture
def edge() -> Edge:
    return Edge()


def _problem(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["code"] == code
    assert body["type"] == f"urn:chuangwen:problem:{code}"
    assert body["status"] == status
    assert body["title"]
    assert body["request_id"] == response.headers["x-request-id"]
    return body


# --- refusals -----------------------------------------------------------------------------------------------
async def test_a_domain_error_is_told_with_its_field_and_parameters(edge: Edge) -> None:
    body = _problem(await edge.client.get("/notes/fail/refused"), 409, "note-closed")
    assert (body["field"], body["limit"]) == ("state", 3)


async def test_a_missing_thing_is_404(edge: Edge) -> None:
    _problem(await edge.client.get("/notes/fail/missing"), 404, "note-not-found")


async def test_a_lost_race_is_409(edge: Edge) -> None:
    _problem(await edge.client.get("/notes/fail/conflict"), 409, "conflict")


async def test_an_outage_is_503_and_says_when_to_come_back(edge: Edge) -> None:
    response = await edge.client.get("/notes/fail/outage")
    _problem(response, 503, "unavailable")
    assert int(response.headers["retry-after"]) > 0
    assert "10.0.0.7" not in response.text


async def test_a_used_up_rate_says_when_to_come_back(edge: Edge) -> None:
    response = await edge.client.get("/notes/fail/busy")
    assert _problem(response, 429, "rate-limited")["retry_after"] == 7
    assert response.headers["retry-after"] == "7"


async def test_a_bug_is_500_and_tells_nothing(edge: Edge) -> None:
    response = await edge.client.get("/notes/fail/bug")
    _problem(response, 500, "internal")
    assert "hunter2" not in response.text


async def test_what_breaks_after_the_response_began_is_not_passed_off_as_whole(edge: Edge) -> None:
    transport = httpx2.ASGITransport(edge.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://edge") as client:
        with pytest.raises(RuntimeError, match="lost"):
            await client.get("/notes/broken-stream")


async def test_an_unknown_address_is_404_and_a_wrong_method_405(edge: Edge) -> None:
    _problem(await edge.client.get("/nowhere"), 404, "route-not-found")
    response = await edge.client.delete("/notes/mine")
    _problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "GET"


async def test_the_language_follows_the_caller(edge: Edge) -> None:
    chinese = await edge.client.get("/nowhere")
    english = await edge.client.get("/nowhere", headers={"accept-language": "en-GB"})
    assert chinese.json()["title"] == "没有这个地址"
    assert english.json()["title"] == "There is nothing at this address"
    assert (chinese.headers["content-language"], english.headers["content-language"]) == ("zh", "en")


@pytest.mark.parametrize(
    ("body", "field", "code", "limit"),
    [
        ({}, "text", "field-missing", None),
        ({"text": "x" * 11}, "text", "field-too-long", 10),
        ({"text": 5}, "text", "field-invalid", None),
        ({"text": "x", "kind": "smell"}, "kind", "field-not-offered", "'waste', 'noise'"),
        ({"text": "x", "weight": -1}, "weight", "field-below", 0),
        ({"text": "x", "weight": 10}, "weight", "field-above", 9),
        ({"text": "x", "tags": ["a", "b", "c"]}, "tags", "field-too-many", 2),
        ({"text": "x", "tags": ["a", 5]}, "tags.1", "field-invalid", None),
        ({"text": "x", "unknown": 1}, "unknown", "field-unknown", None),
        ([], "body", "field-invalid", None),
    ],
    ids=str,
)
async def test_input_that_does_not_fit_names_field_and_limit(
    edge: Edge, body: Any, field: str, code: str, limit: object
) -> None:
    answer = _problem(await edge.client.post("/notes/echo", json=body), 422, "validation")
    (error,) = answer["errors"]
    assert answer["field"] == error["field"] == field
    assert error["code"] == code
    assert error.get("limit") == limit
    assert field in answer["detail"]


async def test_a_query_that_does_not_fit_names_its_parameter(edge: Edge) -> None:
    response = await edge.client.get("/notes/mine?page=x", headers={"authorization": "Bearer citizen"})
    assert _problem(response, 422, "validation")["field"] == "page"


async def test_refused_input_is_not_repeated(edge: Edge) -> None:
    response = await edge.client.post("/notes/echo", json={"text": "13812345678 is my number"})
    _problem(response, 422, "validation")
    assert "13812345678" not in response.text


# --- bodies -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"\xff\xfe",
        b'{"text": "\xff"}',
        b'{"text": "\\ud800"}',
        b'{"text": "x", "\\ud800": 1}',
        b'{"text": "x", "weight": NaN}',
        b'{"text": "x", "weight": Infinity}',
        b'{"text": "x", "extra": NaN}',
        b'{"text": "x", "extra": ' + b"[" * 400 + b"]" * 400 + b"}",
        b"[" * 900,
        b'{"text": "x", "weight": ' + b"9" * 900 + b"}",
        b"null",
        b"\x00",
        b'"text"',
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(edge: Edge, body: bytes) -> None:
    response = await edge.client.post("/notes/echo", content=body, headers={"content-type": "application/json"})
    _problem(response, response.status_code, response.json()["code"])
    assert response.status_code in {400, 422}


@pytest.mark.parametrize(
    "body", [b'{"text": "a", "text": "b"}', b'{"text": "\\u0000"}', b'{"text": "a", "extra": 1e400}']
)
async def test_odd_bodies_never_break_the_service(edge: Edge, body: bytes) -> None:
    response = await edge.client.post("/notes/echo", content=body, headers={"content-type": "application/json"})
    assert response.status_code in {200, 400, 422}


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


_BODIES = st.dictionaries(st.sampled_from(list(Note.model_fields)) | st.text(), _JSON).map(json.dumps)


@cache
def _standing() -> Edge:
    """One application for many inputs: what one of them breaks, the next would meet."""
    return Edge()


@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=60) | _BODIES.map(str.encode), language=st.binary(max_size=8))
async def test_no_input_breaks_the_service(body: bytes, language: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"accept-language", language)]
    response = await _standing().client.post("/notes/echo", content=body, headers=headers)
    assert response.status_code < 500
    json.loads(response.content)


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/xml", "application/x-www-form-urlencoded", "json", ";"]
)
async def test_another_content_type_is_415(edge: Edge, content_type: str | None) -> None:
    headers = {"content-type": content_type} if content_type else {}
    response = await edge.client.post("/notes/echo", content=b'{"text": "x"}', headers=headers)
    assert _problem(response, 415, "content-type-unsupported")["expected"] == "application/json"


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"]
)
async def test_json_by_any_name_is_read(edge: Edge, content_type: str) -> None:
    response = await edge.client.post("/notes/echo", content=b'{"text": "x"}', headers={"content-type": content_type})
    assert response.status_code == 200


async def test_json_where_a_form_is_read_is_415(edge: Edge) -> None:
    response = await edge.client.post("/notes/photos", json={"photo": "x"})
    assert _problem(response, 415, "content-type-unsupported")["expected"] == "multipart/form-data"


async def _pieces(total: int, piece: int = 100) -> AsyncIterator[bytes]:
    for _ in range(total // piece):
        yield b"x" * piece


async def test_a_body_above_the_limit_is_413_whether_declared_or_chunked(edge: Edge) -> None:
    headers = {"content-type": "application/json"}
    declared = await edge.client.post("/notes/echo", content=b"x" * 1001, headers=headers)
    chunked = await edge.client.post("/notes/echo", content=_pieces(1100), headers=headers)
    for response in (declared, chunked):
        assert _problem(response, 413, "body-too-large")["limit"] == 1000


async def test_a_body_that_is_declared_too_large_is_not_read(edge: Edge) -> None:
    read: list[bytes] = []

    async def watched() -> AsyncIterator[bytes]:
        async for piece in _pieces(1100):
            read.append(piece)
            yield piece

    headers = {"content-type": "application/json", "content-length": "1100"}
    response = await edge.client.post("/notes/echo", content=watched(), headers=headers)
    _problem(response, 413, "body-too-large")
    assert read == []


async def test_a_false_small_length_does_not_help(edge: Edge) -> None:
    headers = {"content-type": "application/json", "content-length": "10"}
    response = await edge.client.post("/notes/echo", content=_pieces(1100), headers=headers)
    _problem(response, 413, "body-too-large")


async def test_a_route_may_have_a_limit_of_its_own(edge: Edge) -> None:
    fits = await edge.client.post("/notes/photos", files={"photo": b"x" * 4000})
    assert (fits.status_code, fits.json()) == (200, 4000)
    above = await edge.client.post("/notes/photos", files={"photo": b"x" * 5000})
    assert _problem(above, 413, "body-too-large")["limit"] == 5000


# --- who may ------------------------------------------------------------------------------------------------
async def test_no_token_a_bad_token_and_a_wrong_role_are_told_apart(edge: Edge) -> None:
    missing = await edge.client.post("/notes", json={"text": "x"})
    _problem(missing, 401, "token-missing")
    assert missing.headers["www-authenticate"] == "Bearer"
    bad = await edge.write(who="nobody")
    _problem(bad, 401, "token-invalid")
    assert "invalid_token" in bad.headers["www-authenticate"]
    found = _problem(await edge.write(who="citizen"), 403, "role-required")
    assert found["roles"] == "officer"
    assert await edge.count() == 0


async def test_a_caller_who_may_not_learns_nothing_about_the_input(edge: Edge) -> None:
    headers = {"content-type": "application/json", "authorization": "Bearer citizen"}
    assert (await edge.client.post("/notes", content=b"{", headers=headers)).status_code == 403
    assert (await edge.client.post("/notes", content=b"x" * 2000, headers=headers)).status_code == 403


async def test_a_bad_token_is_refused_even_where_none_is_needed(edge: Edge) -> None:
    response = await edge.client.get("/notes/address", headers={"authorization": "Bearer nobody"})
    _problem(response, 401, "token-invalid")


@pytest.mark.parametrize("header", ["Basic b2ZmaWNlcg==", "Bearer", "Bearer  ", "officer", ""])
async def test_other_schemes_are_refused(edge: Edge, header: str) -> None:
    response = await edge.client.get("/notes/mine", headers={"authorization": header})
    _problem(response, 401, "token-invalid")


async def test_any_known_caller_is_enough_where_no_role_is_named(edge: Edge) -> None:
    response = await edge.client.get("/notes/mine", headers={"authorization": "bearer citizen"})
    assert response.json()["subject"] == "zhao"


def test_nobody_is_anonymous_and_anonymous_has_no_rights() -> None:
    assert ANONYMOUS.anonymous
    assert not ANONYMOUS.roles
    assert not ANONYMOUS.works_for("", None)


def _app_with(router: APIRouter) -> FastAPI:
    return create_app("x", [router], verifier=Tokens(), messages=Messages.load())  # type: ignore[list-item]  # on purpose


def test_a_route_that_does_not_say_who_it_is_for_stops_the_start() -> None:
    router = Router(prefix="/secrets")

    @router.get("/open")
    async def open_to_all() -> int:
        return 1

    with pytest.raises(UndeclaredRoute, match="/secrets/open"):
        _app_with(router)


def test_a_plain_router_stops_the_start() -> None:
    router = APIRouter()

    @router.get("/lenient")
    async def lenient(caller: Annotated[Principal, Depends(anyone())]) -> int:
        return 1

    with pytest.raises(UndeclaredRoute, match="/lenient"):
        _app_with(router)


# --- idempotency --------------------------------------------------------------------------------------------
async def test_a_command_is_answered_as_its_model_with_its_address(edge: Edge) -> None:
    response = await edge.write()
    assert response.status_code == 201
    assert response.headers["content-type"] == "application/json"
    assert response.headers["location"] == "/notes/n1"
    assert response.json() == {"id": "n1", "text": "hello by li"}
    assert "idempotency-replayed" not in response.headers


async def test_without_a_key_each_request_counts(edge: Edge) -> None:
    assert [(await edge.write()).json()["id"] for _ in range(2)] == ["n1", "n2"]


async def test_the_same_request_takes_effect_once_and_is_answered_the_same(edge: Edge) -> None:
    first, second = await edge.write(key="k"), await edge.write(key="k")
    assert await edge.count() == 1
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second.headers["location"] == first.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"


async def test_a_command_that_its_own_success_forbids_is_replayed_too(edge: Edge) -> None:
    await edge.write()
    headers = {"authorization": "Bearer officer", "idempotency-key": "k"}
    first = await edge.client.post("/notes/n1/close", headers=headers)
    second = await edge.client.post("/notes/n1/close", headers=headers)
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.content == first.content
    other = await edge.client.post("/notes/n1/close", headers={"authorization": "Bearer officer"})
    _problem(other, 409, "note-closed")


async def test_racing_copies_take_effect_once(edge: Edge) -> None:
    responses = await asyncio.gather(*(edge.write(key="k") for _ in range(8)))
    assert {response.status_code for response in responses} == {201}
    assert len({response.content for response in responses}) == 1
    assert await edge.count() == 1


async def test_a_key_is_not_for_another_request(edge: Edge) -> None:
    await edge.write(key="k")
    _problem(await edge.write("other", key="k"), 422, "idempotency-key-reused")
    _problem(await edge.write(key="k", params={"a": "b"}), 422, "idempotency-key-reused")
    assert await edge.count() == 1


async def test_a_secret_is_remembered_sealed_and_told_again_also_under_the_next_key(edge: Edge) -> None:
    key = {"idempotency-key": "k"}
    first = await edge.client.post("/notes/secret", json={"text": "wang"}, headers=key)
    [row] = await edge.store.find(IDEMPOTENCY, {})
    assert b"wang" not in row.body
    edge.app.state.vault = Vault.of(f"{KEYS[1]},{KEYS[0]}")
    again = await edge.client.post("/notes/secret", json={"text": "wang"}, headers=key)
    assert (again.status_code, again.content, again.headers["idempotency-replayed"]) == (201, first.content, "true")
    _problem(await edge.client.post("/notes/secret", json={"text": "li"}, headers=key), 422, "idempotency-key-reused")


async def test_who_knows_the_rest_of_a_sealed_request_cannot_guess_it_from_what_is_kept(edge: Edge) -> None:
    body = b'{"text":"8888888"}'
    for path in ("/notes", "/notes/secret"):
        headers = {"authorization": "Bearer officer", "idempotency-key": path, "content-type": "application/json"}
        answer = await edge.client.post(path, content=body, headers=headers)
        assert answer.status_code == 201
    fingerprints = [row.fingerprint for row in await edge.store.find(IDEMPOTENCY, {})]
    guesses = [sha256(f"POST\n{path}?\n".encode() + body).hexdigest() for path in ("/notes", "/notes/secret")]
    assert len(fingerprints) == 2
    assert [guess in fingerprints for guess in guesses] == [True, False]


async def test_a_key_belongs_to_its_caller(edge: Edge) -> None:
    mine, theirs = await edge.write(key="k"), await edge.write(key="k", who="other-officer")
    assert (mine.json()["text"], theirs.json()["text"]) == ("hello by li", "hello by wang")


@pytest.mark.parametrize(("key", "shared"), [("1", False), ("k" * 21, False), ("k" * 22, True)])
async def test_a_key_that_can_be_guessed_gives_a_stranger_nothing(key: str, shared: bool) -> None:
    edge = Edge(Limits(trusted_proxies=(ip_network("10.0.0.0/8"),)))
    answers = [
        await edge.client.post(
            "/notes/secret", json={"text": "x"}, headers={"idempotency-key": key, "x-forwarded-for": address}
        )
        for address in ("2001:db8:0:1::5", "2001:db8:0:1::6", "198.51.100.9")
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 201 if shared else 409]


async def test_two_tokens_are_none(edge: Edge) -> None:
    for second in ("Bearer officer", "Bearer citizen", ""):
        headers = [("authorization", "Bearer officer"), ("authorization", second)]
        _problem(await edge.client.get("/notes/mine", headers=headers), 401, "token-invalid")


async def test_a_refusal_is_not_remembered(edge: Edge) -> None:
    for _ in range(2):
        _problem(await edge.write("refuse", key="k"), 409, "note-closed")
    assert (await edge.write(key="k")).status_code == 201


async def test_an_answer_lost_on_its_way_is_given_again(edge: Edge) -> None:
    def lose(point: str) -> None:
        if point == "after-commit":
            raise Unavailable("the connection broke")

    edge.driver.fault = lose
    _problem(await edge.write(key="k"), 503, "unavailable")
    edge.driver.fault = lambda point: None
    again = await edge.write(key="k")
    assert again.json()["id"] == "n1"
    assert again.headers["idempotency-replayed"] == "true"
    assert await edge.count() == 1


@pytest.mark.parametrize("key", ["a b", "x" * 201, "键".encode(), "\x7f"])
async def test_a_malformed_key_is_refused(edge: Edge, key: str | bytes) -> None:
    headers: list[tuple[bytes, bytes]] = [
        (b"authorization", b"Bearer officer"),
        (b"idempotency-key", key if isinstance(key, bytes) else key.encode()),
    ]
    response = await edge.client.post("/notes", json={"text": "x"}, headers=headers)
    assert _problem(response, 422, "idempotency-key-malformed")["field"] == "Idempotency-Key"
    assert await edge.count() == 0


# --- headers, traces, metrics -------------------------------------------------------------------------------
async def test_a_sane_request_id_is_kept_and_an_odd_one_replaced(edge: Edge) -> None:
    kept = await edge.client.get("/livez", headers={"x-request-id": "abc-1.2:3_4"})
    assert kept.headers["x-request-id"] == "abc-1.2:3_4"
    for odd in ("", "x" * 65, 'a"b', "a b", "a\tb"):
        replaced = await edge.client.get("/livez", headers={"x-request-id": odd})
        assert replaced.headers["x-request-id"] not in {"", odd}


async def test_every_answer_is_protected(edge: Edge) -> None:
    for path in ("/livez", "/nowhere", "/notes/fail/bug"):
        response = await edge.client.get(path)
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
    stream = await edge.client.get("/notes/broken-stream")
    assert stream.headers["cache-control"] == "max-age=60"


async def test_the_trace_of_the_caller_is_continued(edge: Edge) -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = {"authorization": "Bearer citizen", "traceparent": parent}
    trace = (await edge.client.get("/notes/mine", headers=headers)).json()["trace"]
    assert trace.startswith(parent[:36])
    assert trace != parent


@contextmanager
def _counting(**labels: str) -> Iterator[list[float]]:
    def seen() -> float:
        wanted = {"service": "notes", **labels}
        (family,) = telemetry.HTTP_SERVER_REQUEST_DURATION_SECONDS.collect()
        return sum(s.value for s in family.samples if s.name.endswith("_count") and s.labels == wanted)

    counted = [seen()]
    yield counted
    counted[0] = seen() - counted[0]


async def test_requests_are_counted_by_template_and_status(edge: Edge) -> None:
    with _counting(method="GET", route="/notes/fail/{how}", status="409") as failed:
        await edge.client.get("/notes/fail/refused")
    with _counting(method="GET", route="unmatched", status="404") as unmatched:
        await edge.client.get("/notes-of-someone/17")
    with _counting(method="other", route="unmatched", status="404") as odd:
        await edge.client.request("BREW", "/teapot")
    assert failed == unmatched == odd == [1]


async def test_no_request_stays_in_flight(edge: Edge) -> None:
    for path in ("/livez", "/notes/fail/bug", "/notes/broken-stream"):
        await edge.client.get(path)
    (family,) = telemetry.HTTP_SERVER_IN_FLIGHT_REQUESTS.collect()
    assert [s.value for s in family.samples if s.labels["service"] == "notes"] == [0]


async def test_metrics_are_served_beside_and_not_to_everybody(edge: Edge) -> None:
    _problem(await edge.client.get("/metrics"), 404, "route-not-found")
    beside = httpx2.AsyncClient(transport=httpx2.ASGITransport(operations_app()), base_url="http://beside")
    response = await beside.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    assert "# HELP http_server_request_duration_seconds" in response.text
    assert (await beside.get("/livez")).status_code == 200


async def test_probes_tell_the_parts(edge: Edge) -> None:
    assert (await edge.client.get("/livez")).status_code == 200
    assert (await edge.client.get("/readyz")).json() == {"mongodb": True, "kafka": True}
    edge.healthy["kafka"] = False
    response = await edge.client.get("/readyz")
    assert (response.status_code, response.json()["kafka"]) == (503, False)


# --- limits -------------------------------------------------------------------------------------------------
class Watch:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_a_rate_allows_a_burst_and_then_its_pace() -> None:
    watch = Watch()
    limit = RateLimit(per_second=0.5, burst=2, monotonic=watch)
    limit.take("a")
    limit.take("a")
    with pytest.raises(TooMany) as caught:
        limit.take("a")
    assert caught.value.retry_after == 2
    limit.take("b")
    watch.seconds += 2
    limit.take("a")
    with pytest.raises(TooMany):
        limit.take("a")


def test_a_rest_does_not_save_up_more_than_the_burst() -> None:
    watch = Watch()
    limit = RateLimit(per_second=1, burst=2, monotonic=watch)
    watch.seconds += timedelta(days=1).total_seconds()
    limit.take("a")
    limit.take("a")
    with pytest.raises(TooMany):
        limit.take("a")


def test_what_is_given_back_can_be_taken_again_and_no_more() -> None:
    limit = RateLimit(per_second=1, burst=2, monotonic=Watch())
    limit.take("a")
    for _ in range(5):
        limit.give_back("a")
        limit.give_back("b")
    for key in ("a", "b"):
        limit.take(key)
        limit.take(key)
        with pytest.raises(TooMany):
            limit.take(key)


@pytest.mark.parametrize(
    ("addresses", "alone"),
    [
        (["2408:8456:1:2::3", "2408:8456:1:2:ffff::1"], "2408:8456:1:3::3"),
        (["203.0.113.7", "::ffff:203.0.113.7"], "203.0.113.8"),
        (["unknown"], ""),
    ],
)
def test_a_subscriber_is_one_whatever_address_of_their_own_they_use(addresses: list[str], alone: str) -> None:
    [same] = {subscriber(address) for address in addresses}
    assert subscriber(alone) != same


def test_the_memory_of_callers_is_bounded() -> None:
    limit = RateLimit(per_second=1, burst=1, keys=3, monotonic=Watch())
    for number in range(10):
        limit.take(str(number))
    assert len(limit._buckets) == 3


@pytest.mark.parametrize(
    ("trusted", "forwarded", "expected"),
    [
        ((), "1.2.3.4", "10.0.0.9"),
        (("10.0.0.0/8",), None, "10.0.0.9"),
        (("10.0.0.0/8",), "1.2.3.4", "1.2.3.4"),
        (("10.0.0.0/8",), "6.6.6.6, 1.2.3.4, 10.0.0.8", "1.2.3.4"),
        (("10.0.0.0/8",), "6.6.6.6, nonsense, 10.0.0.8", "nonsense"),
        (("192.168.0.0/16",), "1.2.3.4", "10.0.0.9"),
        (("10.0.0.0/8",), "1.2.3.4, é", "10.0.0.9"),
        (("10.0.0.0/8",), "1.2.3.4, " + "9" * 65, "10.0.0.9"),
        (("10.0.0.0/8",), ", 10.0.0.8", "10.0.0.8"),
    ],
)
async def test_forwarded_addresses_are_believed_from_trusted_proxies_only(
    trusted: tuple[str, ...], forwarded: str | None, expected: str
) -> None:
    edge = Edge(Limits(trusted_proxies=tuple(ip_network(network) for network in trusted)))
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    assert (await edge.client.get("/notes/address", headers=headers)).json() == expected


# --- the published description ------------------------------------------------------------------------------
async def test_the_description_tells_roles_refusals_and_keys(edge: Edge) -> None:
    document = (await edge.client.get("/openapi.json")).json()
    write = document["paths"]["/notes"]["post"]
    assert write["x-roles"] == ["officer"]
    assert write["security"] == [{"bearer": ["officer"]}]
    assert "officer" in write["description"]
    assert {"201", "400", "401", "403", "409", "413", "415", "422", "429", "500", "503"} == set(write["responses"])
    assert [parameter["name"] for parameter in write["parameters"]] == ["Idempotency-Key"]
    assert write["responses"]["201"]["content"]["application/json"]["schema"]["$ref"].endswith("/NoteView")
    assert document["paths"]["/notes/echo"]["post"]["security"] == [{}, {"bearer": []}]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert "HTTPValidationError" not in json.dumps(document)


async def test_every_reference_of_the_description_resolves(edge: Edge) -> None:
    document = (await edge.client.get("/openapi.json")).json()
    for reference in _references(document):
        found = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        assert found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for inner in node.values():
            yield from _references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _references(inner)


async def test_operations_are_not_published(edge: Edge) -> None:
    document = (await edge.client.get("/openapi.json")).json()
    assert all(path.startswith("/notes") for path in document["paths"])
