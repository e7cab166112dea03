"""Photos over HTTP on a real database: handed in, claimed, shown to whom they concern, swept when nobody wants them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from PIL import Image

from services.reports import photos
from services.reports.domain import Case, Place
from services.reports.photos import PHOTO_DEADLINE, PHOTOS, Desk, claim
from services.reports.repo import CASES
from shared.auth import KeySet, Principal, Verifier
from shared.clock import FixedClock, SystemClock
from shared.contracts.reports import CaseState, Channel
from shared.deadlines import Timekeeper
from shared.errors import Invalid, Refused, Unauthenticated
from shared.files import MOST_BYTES, UNCLAIMED_FOR
from shared.http import create_app
from shared.messages import Messages
from shared.service import Runtime, Service
from shared.settings import Settings
from shared.store import Store, UnitOfWork
from shared.store.mongo import MongoDriver
from shared.testing.memory_broker import MemoryBroker
from tests.photo_samples import REFUSED, colours_of, corners, encoded, from_telephone, markers_of

START = datetime(2026, 3, 2, 1, tzinfo=UTC)
MESSAGES = Path(photos.__file__).with_name("messages.json")
PER_MINUTE = 60
PEOPLE = {
    "office": Principal("wang", frozenset({"office"})),
    "verifier": Principal("liu", frozenset({"verifier"})),
    "officer": Principal("li", frozenset({"officer"}), "chengguan"),
    "other officer": Principal("zhao", frozenset({"officer"}), "water"),
    "citizen": Principal("chen", frozenset({"citizen"})),
}
STRANGER = None


class Known(Verifier):
    """Believes tokens that are the names of people."""

    async def verify(self, token: str) -> Principal:
        if token not in PEOPLE:
            raise Unauthenticated("token-invalid")
        return PEOPLE[token]


class Scene:
    """The photo routes of reports on a database of their own."""

    def __init__(self, mongodb_uri: str, namespace: str) -> None:
        self.clock = FixedClock(START)
        self.store = Store(MongoDriver(mongodb_uri, f"{namespace}reports"), self.clock, [CASES, PHOTOS])
        self.desk = Desk(self.store, PER_MINUTE)
        self._timekeeper = Timekeeper(self.store, PHOTO_DEADLINE)
        settings = Settings(
            mongodb_uri=mongodb_uri, kafka_bootstrap_servers="127.0.0.1:1", http_port=0, auth_jwks="", auth_issuer="x"
        )
        own = SimpleNamespace(photos=self.desk)
        runtime = Runtime(Service("reports"), settings, self.clock, self.store, MemoryBroker(), own)
        app = create_app(
            "reports",
            [photos.router],
            verifier=Known(KeySet(""), "x", "x", SystemClock()),
            messages=Messages.load(MESSAGES),
            state={"store": self.store, "runtime": runtime},
        )
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://reports")

    async def upload(self, content: bytes, who: str | None = STRANGER, **headers: str) -> httpx.Response:
        return await self.client.post("/photos", content=content, headers=_authorized(who) | headers)

    async def uploaded(self, content: bytes = b"") -> str:
        answer = await self.upload(content or from_telephone(), "citizen")
        assert answer.status_code == 201, answer.text
        photo: str = answer.json()["photo"]
        return photo

    async def see(self, photo: str, size: str, who: str | None = STRANGER, **headers: str) -> httpx.Response:
        return await self.client.get(f"/photos/{photo}/{size}", headers=_authorized(who) | headers)

    async def claim(self, *ids: str, case: str = "case-1", public: bool = True) -> None:
        async def command(uow: UnitOfWork) -> None:
            await claim(uow, ids, case, public)
            if await uow.find(CASES, case) is None:
                uow.insert(CASES, _case(case, ids, public))

        await self.store.run(command)

    async def later(self, step: timedelta = UNCLAIMED_FOR) -> None:
        self.clock.advance(step)
        await self._timekeeper.look()
        await self.desk.files.settle()

    async def kept(self) -> dict[str, int]:
        """How many documents there are, by collection."""
        names = ("photos", "cases", "outbox", "idempotency", "fs.files", "fs.chunks")
        return {name: count for name in names if (count := await self.store.driver.count(name, {}))}


def _authorized(who: str | None) -> dict[str, str]:
    return {"authorization": f"Bearer {who}"} if who else {}


def _case(id: str, photo_ids: Sequence[str], public: bool) -> Case:
    return Case(
        id=id,
        state=CaseState.DISPATCHED,
        category="exposed-garbage",
        category_version=1,
        channel=Channel.CITIZEN,
        place=Place(112.6, 26.89, ""),
        limit="4 work-hours",
        points=Decimal("0.5"),
        public=public,
        registered_at=START,
        photos=tuple(photo_ids),
        unit="chengguan",
    )


@pytest.fixture
async def scene(mongodb_uri: str, namespace: str) -> AsyncIterator[Scene]:
    scene = Scene(mongodb_uri, namespace)
    await scene.store.ensure_indexes()
    async with scene.client:
        yield scene
    await scene.store.close()


def refusal_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["detail"] != problem["code"], "the catalogue has no sentence for it"
    return answer.status_code, problem["code"]


# --- handing in ---------------------------------------------------------------------------------------------


async def test_a_photo_is_handed_in_by_anyone_whatever_its_header_says(scene: Scene) -> None:
    for told in ("image/jpeg", "image/png", "application/octet-stream", "text/html"):
        answer = await scene.upload(from_telephone(), **{"content-type": told})
        assert answer.status_code == 201
        assert (answer.json()["width"], answer.json()["height"]) == (640, 480)
    assert await scene.kept() == {"photos": 4, "fs.files": 3, "fs.chunks": 3}


async def test_what_is_no_photo_is_told_so_and_leaves_no_trace(scene: Scene) -> None:
    told = {name: refusal_of(await scene.upload(content)) for name, (content, _) in REFUSED.items()}
    assert told == {name: (415 if code.endswith("unsupported") else 422, code) for name, (_, code) in REFUSED.items()}
    assert await scene.kept() == {}


async def test_the_largest_photo_is_taken_and_a_larger_one_is_not(scene: Scene) -> None:
    photo = await scene.uploaded(from_telephone().ljust(MOST_BYTES, b"\0"))
    assert len((await scene.see(photo, "original", "office")).content) == MOST_BYTES
    before = await scene.kept()
    declared = await scene.upload(from_telephone().ljust(MOST_BYTES + 1, b"\0"))
    assert refusal_of(declared) == (413, "body-too-large")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b"\xff" * 1024 * 1024

    undeclared = await scene.client.post("/photos", content=pieces())
    assert refusal_of(undeclared) == (413, "body-too-large")
    assert await scene.kept() == before


async def test_strangers_hand_in_so_many_photos_a_minute(scene: Scene) -> None:
    answers = [await scene.upload(b"x") for _ in range(PER_MINUTE)]
    assert {answer.status_code for answer in answers} == {415}
    assert refusal_of(await scene.upload(b"x")) == (429, "rate-limited")
    assert (await scene.upload(from_telephone(), "citizen")).status_code == 201


async def test_photos_handed_in_at_once_are_all_there(scene: Scene) -> None:
    contents = [encoded(Image.new("RGB", (60, 40), (shade, 0, 0))) for shade in (10, 10, 10, 90, 90, 200)]
    taken = await asyncio.gather(*map(scene.uploaded, contents))
    assert len(set(taken)) == len(contents)
    for photo, content in zip(taken, contents, strict=True):
        assert (await scene.see(photo, "original", "office")).content == content
        assert (await scene.see(photo, "thumb", "office")).status_code == 200


# --- being seen ---------------------------------------------------------------------------------------------


async def test_everybody_sees_the_photos_of_a_public_case_without_their_notes(scene: Scene) -> None:
    photo = await scene.uploaded(from_telephone(6))
    await scene.claim(photo)
    for size, pixels in (("thumb", (320, 240)), ("large", (640, 480))):
        answer = await scene.see(photo, size)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "private, max-age=5"
        assert Image.open(BytesIO(answer.content)).size == pixels
        assert colours_of(answer.content) == ["red", "green", "blue", "white"]
        assert set(markers_of(answer.content)).isdisjoint({*range(0xE1, 0xF0), 0xFE})


async def test_an_unchanged_photo_is_not_sent_again(scene: Scene) -> None:
    photo = await scene.uploaded()
    await scene.claim(photo)
    tag = (await scene.see(photo, "thumb")).headers["etag"]
    again = await scene.see(photo, "thumb", **{"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert (await scene.see(photo, "large", **{"if-none-match": tag})).status_code == 200


async def test_a_photo_that_is_not_public_is_seen_by_those_who_handle_it(scene: Scene) -> None:
    hidden, unclaimed = await scene.uploaded(), await scene.uploaded()
    await scene.claim(hidden, public=False)
    seen: dict[str | None, tuple[int, int]] = {}
    for who in (*PEOPLE, STRANGER):
        first, second = await scene.see(hidden, "large", who), await scene.see(unclaimed, "large", who)
        seen[who] = (first.status_code, second.status_code)
    assert seen == {
        "office": (200, 200),
        "verifier": (200, 200),
        "officer": (200, 404),
        "other officer": (404, 404),
        "citizen": (404, 404),
        STRANGER: (404, 404),
    }
    answer = await scene.see(hidden, "large", "office", **{"if-none-match": "*"})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert "etag" not in answer.headers


async def test_a_hidden_photo_is_told_as_one_that_never_was(scene: Scene) -> None:
    hidden = await scene.uploaded()
    answers = [await scene.see(hidden, "large"), await scene.see("A" * 22, "large")]
    told = [answer.json() | {"request_id": "", "id": "", "title": "", "detail": ""} for answer in answers]
    assert [refusal_of(answer) for answer in answers] == [(404, "photos-not-found")] * 2
    assert told[0] == told[1]
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


async def test_only_the_office_gets_the_original(scene: Scene) -> None:
    content = from_telephone()
    photo = await scene.uploaded(content)
    await scene.claim(photo)
    answers = {who: await scene.see(photo, "original", who) for who in (*PEOPLE, STRANGER)}
    given = answers.pop("office")
    assert given.content == content
    assert given.headers["cache-control"] == "no-store"
    assert given.headers["content-disposition"] == f'attachment; filename="{photo}.jpeg"'
    assert given.headers["content-security-policy"].startswith("sandbox")
    assert {who: answer.status_code for who, answer in answers.items()} == {
        "verifier": 403,
        "officer": 403,
        "other officer": 403,
        "citizen": 403,
        STRANGER: 401,
    }


async def test_addresses_without_a_photo_are_not_found(scene: Scene) -> None:
    for path in ("nothing/large", "%00/thumb", "%ff/large", "../large", "$ne/thumb", "a" * 3000):
        answer = await scene.client.get(f"/photos/{path}", headers=_authorized("office"))
        assert answer.status_code == 404, path


async def test_there_is_no_other_size(scene: Scene) -> None:
    photo = await scene.uploaded()
    assert refusal_of(await scene.see(photo, "huge", "office")) == (422, "validation")


# --- being claimed ------------------------------------------------------------------------------------------


async def test_photos_are_claimed_with_their_case_or_not_at_all(scene: Scene) -> None:
    good, taken = await scene.uploaded(), await scene.uploaded()
    await scene.claim(taken, case="case-0")
    for bad, kind, code in ((taken, Refused, "photo-of-another-case"), ("unheard-of", Invalid, "photo-unknown")):
        with pytest.raises(kind) as refusal:
            await scene.claim(good, bad)
        assert (refusal.value.code, refusal.value.field) == (code, "photos.1")
    with pytest.raises(Invalid, match="photo-repeated"):
        await scene.claim(good, good)
    assert await scene.store.get(CASES, "case-1") is None
    assert (await scene.see(good, "large")).status_code == 404
    await scene.claim(good)
    await scene.claim(good)
    assert (await scene.see(good, "large")).status_code == 200


async def test_of_two_cases_that_claim_a_photo_at_once_one_gets_it(scene: Scene) -> None:
    photo = await scene.uploaded()
    outcomes = await asyncio.gather(
        *(scene.claim(photo, case=f"case-{number}") for number in range(4)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert len(refused) == 3
    claimed = await scene.store.get(PHOTOS, photo)
    assert claimed is not None
    assert [case.id for case in await scene.store.find(CASES, {})] == [claimed.claimed_by]


# --- being swept --------------------------------------------------------------------------------------------


async def test_a_photo_that_nobody_claims_goes_with_its_files(scene: Scene) -> None:
    claimed, forgotten = await scene.uploaded(), await scene.uploaded(encoded(corners(800, 600)))
    await scene.claim(claimed)
    await scene.later(UNCLAIMED_FOR - timedelta(milliseconds=1))
    assert (await scene.see(forgotten, "large", "office")).status_code == 200
    await scene.later(timedelta(milliseconds=1))
    assert (await scene.see(forgotten, "large", "office")).status_code == 404
    assert await scene.kept() == {"photos": 1, "cases": 1, "fs.files": 3, "fs.chunks": 3}
    assert (await scene.see(claimed, "original", "office")).content == from_telephone()
    with pytest.raises(Invalid, match="photo-unknown"):
        await scene.claim(forgotten, case="case-2")


async def test_a_photo_is_either_claimed_or_swept(scene: Scene) -> None:
    """Claims race with the sweeper for many photos; whoever wins, a claimed photo has its files."""
    ids = [await scene.uploaded(encoded(Image.new("RGB", (30, 20), (shade, 0, 0)))) for shade in range(0, 120, 10)]
    claims = (scene.claim(photo, case=f"case-{number}") for number, photo in enumerate(ids))
    outcomes = await asyncio.gather(scene.later(), *claims, return_exceptions=True)
    await scene.later(timedelta(hours=1))
    cases = {case.photos[0] for case in await scene.store.find(CASES, {})}
    refused = [outcome for outcome in outcomes[1:] if isinstance(outcome, Invalid)]
    assert len(cases) + len(refused) == len(ids)
    assert {photo.id for photo in await scene.store.find(PHOTOS, {})} == cases
    for photo in cases:
        assert (await scene.see(photo, "large")).status_code == 200
    assert await scene.store.driver.count("fs.files", {}) == 3 * len(cases)


# --- description --------------------------------------------------------------------------------------------


async def test_the_description_names_the_accepted_kinds(scene: Scene) -> None:
    document = (await scene.client.get("/openapi.json")).json()
    upload = document["paths"]["/photos"]["post"]
    assert list(upload["requestBody"]["content"]) == ["image/jpeg", "image/png", "image/webp"]
    assert {"201", "413", "415", "422", "429"} <= upload["responses"].keys()
    shown = document["paths"]["/photos/{id}/{size}"]["get"]["responses"]["200"]["content"]
    assert list(shown) == ["image/jpeg"]
