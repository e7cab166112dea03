"""Photos over HTTP on a real database: handed in, claimed, shown to whom they concern, swept when nobody wants them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.fernet import Fernet
from PIL import Image

from services.reports.api import photos
from services.reports.app import SERVICE
from services.reports.commands.photos import claim, redact
from services.reports.domain import Case, Place
from services.reports.repo import BANS, CASES
from services.reports.repo.reporters import Reporters
from services.reports.resources import Limits, Resources
from services.reports.settings import Settings as ReportsSettings
from shared import audit
from shared.audit.log import AUDIT
from shared.auth import KeySet, Principal, Verifier
from shared.clock import FixedClock, SystemClock
from shared.contracts.reports import CaseChanged, CaseState, Channel
from shared.deadlines import Timekeeper
from shared.errors import Invalid, NotFound, Refused, Unauthenticated
from shared.files import AGAIN_AFTER, MOST_BYTES, PHOTO_DEADLINE, PHOTOS, UNCLAIMED_FOR, Files, Photo, Region, Size
from shared.http import create_app
from shared.messages import Messages
from shared.roles import Role
from shared.service import Runtime
from shared.settings import Settings
from shared.store import OUTBOX, Store, UnitOfWork
from shared.store.mongo import MongoDriver
from shared.testing.memory_broker import MemoryBroker
from shared.vault import Vault
from tests.photo_samples import REFUSED, colours_of, corners, encoded, from_telephone, markers_of, picture

START = datetime(2026, 3, 2, 1, tzinfo=UTC)
MESSAGES = Path(photos.__file__).parents[1] / "messages.json"
PER_MINUTE = 60
ALIKE_BITS = 6
SIZES = ("thumb", "large")
WHY = {"reason": "可见无关人员面部"}
MIDDLE = {"left": 0.4, "top": 0.4, "right": 0.6, "bottom": 0.6}
PEOPLE = {
    "dispatcher": Principal("zhou", frozenset({Role.DISPATCHER})),
    "office": Principal("wang", frozenset({Role.OFFICE})),
    "verifier": Principal("liu", frozenset({Role.VERIFIER})),
    "officer": Principal("li", frozenset({Role.OFFICER}), "chengguan"),
    "other officer": Principal("zhao", frozenset({Role.OFFICER}), "water"),
    "citizen": Principal("chen", frozenset({Role.CITIZEN})),
}
STRANGER = None


class Recorded(Verifier):
    """Believes tokens that are the names of people."""

    async def verify(self, token: str) -> Principal:
        if token not in PEOPLE:
            raise Unauthenticated("token-invalid")
        return PEOPLE[token]


class Scene:
    """The photo routes of reports on a database of their own."""

    def __init__(self, mongodb_uri: str, namespace: str) -> None:
        self.clock = FixedClock(START)
        self.store = Store(MongoDriver(mongodb_uri, f"{namespace}reports"), self.clock, [CASES, PHOTOS, AUDIT, BANS])
        self.files = Files(self.store, ALIKE_BITS)
        self._timekeeper = Timekeeper(self.store, PHOTO_DEADLINE, None)
        settings = Settings(
            mongodb_uri=mongodb_uri, kafka_bootstrap_servers="127.0.0.1:1", http_port=0, auth_jwks="", auth_issuer="x"
        )
        held = Resources.__new__(Resources)  # what the routes of photos need of it
        held.files, held.reporters = self.files, Reporters(self.store, Vault([Fernet.generate_key()]))
        allowed = ReportsSettings.model_construct(
            reports_per_minute=PER_MINUTE / 3, reports_per_minute_overall=3000, wrong_codes_per_minute=20
        )
        held.limits = Limits(allowed)
        runtime = Runtime(SERVICE, settings, self.clock, self.store, MemoryBroker(), prepared=held)
        app = create_app(
            "reports",
            [photos.router],
            verifier=Recorded(KeySet(""), "x", "x", SystemClock()),
            messages=Messages.load(MESSAGES),
            state={"store": self.store, "runtime": runtime},
        )
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://reports")

    async def upload(self, content: bytes, who: str | None = STRANGER, **headers: str) -> httpx2.Response:
        return await self.client.post("/photos", content=content, headers=_authorized(who) | headers)

    async def uploaded(self, content: bytes = b"") -> str:
        answer = await self.upload(content or from_telephone(), "citizen")
        assert answer.status_code == 201, answer.text
        photo: str = answer.json()["photo"]
        return photo

    async def see(self, photo: str, size: str, who: str | None = STRANGER, **headers: str) -> httpx2.Response:
        return await self.client.get(f"/photos/{photo}/{size}", headers=_authorized(who) | headers)

    async def claim(self, *ids: str, case: str = "case-1", public: bool = True) -> None:
        async def command(uow: UnitOfWork) -> None:
            await claim(uow, ids, case, public)
            if await uow.find(CASES, case) is None:
                uow.insert(CASES, _case(case, ids, public))

        await self.store.run(command)
        await self.files.settle()

    async def decide(
        self, photo: str, what: str, who: str | None = "office", *regions: dict[str, float], **headers: str
    ) -> httpx2.Response:
        """What staff does about a photo."""
        body = WHY | ({"regions": list(regions)} if regions else {})
        return await self.client.post(f"/photos/{photo}/{what}", json=body, headers=_authorized(who) | headers)

    async def view(self, photo: str, who: str | None = "office") -> dict[str, Any]:
        answer = await self.client.get(f"/photos/{photo}", headers=_authorized(who))
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def document(self, photo: str) -> Photo:
        found = await self.store.get(PHOTOS, photo)
        assert found is not None
        return found

    async def later(self, step: timedelta = UNCLAIMED_FOR) -> None:
        self.clock.advance(step)
        await self._timekeeper.look()
        await self.files.settle()

    async def kept(self) -> dict[str, int]:
        """How many documents there are, by collection."""
        names = ("photos", "cases", "outbox", "idempotency", "audit", "fs.files", "fs.chunks")
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
        limits={},
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


def refusal_of(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["detail"] != problem["code"], "the catalogue has no sentence for it"
    return answer.status_code, problem["code"]


# --- handing in ---------------------------------------------------------------------------------------------


async def test_a_photo_is_handed_in_by_anyone_whatever_its_header_says(scene: Scene) -> None:
    for each in ("image/jpeg", "image/png", "application/octet-stream", "text/html"):
        answer = await scene.upload(from_telephone(), **{"content-type": each})
        assert answer.status_code == 201
        assert (answer.json()["width"], answer.json()["height"]) == (640, 480)
    assert await scene.kept() == {"photos": 4, "fs.files": 3, "fs.chunks": 3}


async def test_what_is_no_photo_is_told_so_and_leaves_no_trace(scene: Scene) -> None:
    found = {name: refusal_of(await scene.upload(content)) for name, (content, _) in REFUSED.items()}
    assert found == {name: (415 if code.endswith("unsupported") else 422, code) for name, (_, code) in REFUSED.items()}
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
    answers = [refusal_of(await scene.upload(b"x")) for _ in range(3 * PER_MINUTE)]
    assert {status for status, _ in answers[:PER_MINUTE]} == {415}
    # A slow machine gives some more meanwhile.
    assert (429, "rate-limited") in answers[PER_MINUTE:]
    assert (await scene.upload(from_telephone(), "citizen")).status_code == 201
    signed_in = [refusal_of(await scene.upload(b"x", "citizen")) for _ in range(3 * PER_MINUTE)]
    assert (429, "rate-limited") in signed_in[PER_MINUTE:], "an account has a limit, too"


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
        assert answer.headers["cache-control"] == "private, no-cache"
        assert Image.open(BytesIO(answer.content)).size == pixels
        assert colours_of(answer.content) == ["red", "green", "blue", "white"]
        assert set(markers_of(answer.content)).isdisjoint({*range(0xE1, 0xF0), 0xFE})


async def test_an_unchanged_photo_is_not_sent_again(scene: Scene) -> None:
    photo = await scene.uploaded()
    await scene.claim(photo)
    tag = (await scene.see(photo, "thumb")).headers["etag"]
    for known in (tag, f"W/{tag}", f'"another", {tag}'):
        again = await scene.see(photo, "thumb", **{"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await scene.see(photo, "large", **{"if-none-match": tag})).status_code == 200


async def test_a_photo_that_is_not_public_is_seen_by_those_who_handle_it(scene: Scene) -> None:
    hidden, unclaimed = await scene.uploaded(), await scene.uploaded()
    await scene.claim(hidden, public=False)
    seen: dict[str | None, tuple[int, int]] = {}
    for who in (*PEOPLE, STRANGER):
        first, second = await scene.see(hidden, "large", who), await scene.see(unclaimed, "large", who)
        seen[who] = (first.status_code, second.status_code)
    assert seen == {
        "dispatcher": (200, 200),
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
    body = [answer.json() | {"request_id": "", "id": "", "title": "", "detail": ""} for answer in answers]
    assert [refusal_of(answer) for answer in answers] == [(404, "photos-not-found")] * 2
    assert body[0] == body[1]
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


async def test_only_the_office_gets_the_original(scene: Scene) -> None:
    content = from_telephone()
    photo = await scene.uploaded(content)
    await scene.claim(photo)
    answers = {who: await scene.see(photo, "original", who) for who in (*PEOPLE, STRANGER)}
    assert answers.pop("dispatcher").content == content
    given = answers.pop("office")
    assert given.content == content
    assert given.headers["cache-control"] == "no-store"
    assert given.headers["content-disposition"] == f'attachment; filename="{photo}.jpeg"'
    assert given.headers["content-security-policy"].startswith("sandbox")
    handed_out = [row for row in (await scene.view(photo))["decisions"] if row["what"] == "photo.original"]
    assert sorted(row["who"] for row in handed_out) == ["wang", "zhou"], "whoever got it stands in the log"
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
    assert (await scene.see(good, "large")).status_code == 200


async def test_a_photo_that_a_case_has_proves_nothing_else_and_stays_as_visible_as_it_is(scene: Scene) -> None:
    shown, private = await scene.uploaded(), await scene.uploaded()
    await scene.claim(shown)
    await scene.claim(private, public=False)
    for photo, public in ((shown, False), (private, True)):
        with pytest.raises(Refused) as refusal:
            await scene.claim(photo, public=public)
        assert (refusal.value.code, refusal.value.field) == ("photo-used-already", "photos.0")
    assert (await scene.see(shown, "large")).status_code == 200
    assert (await scene.see(private, "large")).status_code == 404


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


# --- out of sight -------------------------------------------------------------------------------------------


async def tags_of(scene: Scene, photo: str) -> dict[str, str]:
    """What a browser remembers of every size, having looked at it."""
    answers = {size: await scene.see(photo, size) for size in SIZES}
    assert {answer.status_code for answer in answers.values()} == {200}
    return {size: answer.headers["etag"] for size, answer in answers.items()}


async def statuses(scene: Scene, photo: str, tags: dict[str, str]) -> set[int]:
    """How every size is answered: to everybody, and to whoever asks whether what they know is still good."""
    answers = [await scene.see(photo, size, who) for size in SIZES for who in (*PEOPLE, STRANGER)]
    answers += [await scene.see(photo, size, **{"if-none-match": tag}) for size, tag in tags.items()]
    answers += [await scene.see(photo, size, **{"if-none-match": "*"}) for size in SIZES]
    assert all(answer.headers["cache-control"] != "public" for answer in answers)
    return {answer.status_code for answer in answers}


async def test_a_hidden_photo_is_gone_with_the_next_request(scene: Scene) -> None:
    photo = await scene.uploaded()
    await scene.claim(photo)
    tags = await tags_of(scene, photo)
    answer = await scene.decide(photo, "hide")
    assert (answer.status_code, answer.json()) == (
        200,
        {"photo": photo, "case": "case-1", "hidden": True, "regions": 0},
    )
    assert await statuses(scene, photo, tags) == {404}
    assert (await scene.see(photo, "original", "dispatcher")).content == from_telephone()
    assert (await scene.decide(photo, "unhide", "dispatcher")).json()["hidden"] is False
    assert await statuses(scene, photo, tags) == {200, 304}


async def test_what_was_blacked_out_is_gone_with_the_next_request(scene: Scene) -> None:
    photo = await scene.uploaded()
    await scene.claim(photo)
    tags, before = await tags_of(scene, photo), await scene.document(photo)
    answer = await scene.decide(photo, "redact", "dispatcher", MIDDLE)
    assert (answer.status_code, answer.json()["regions"]) == (200, 1)
    for size, tag in tags.items():
        fresh = await scene.see(photo, size, **{"if-none-match": tag})
        assert (fresh.status_code, fresh.headers["cache-control"]) == (200, "private, no-cache")
        assert fresh.headers["etag"] not in tags.values()
        image = Image.open(BytesIO(fresh.content)).convert("L")
        assert image.getpixel((image.width // 2, image.height // 2)) == 0
    with pytest.raises(NotFound):
        await scene.files.copy(before, Size.LARGE)
    assert (await scene.see(photo, "original", "office")).content == from_telephone()
    assert (await scene.view(photo))["sha256"] == sha256(from_telephone()).hexdigest()
    assert (await scene.kept())["fs.files"] == 3
    assert (await scene.decide(photo, "uncover")).json()["regions"] == 0
    assert colours_of((await scene.see(photo, "large")).content) == ["red", "green", "blue", "white"]


async def test_a_photo_is_out_of_sight_while_it_is_redrawn(scene: Scene) -> None:
    """The process that decided died before it drew anything; another one finds the work."""
    photo = await scene.uploaded()
    await scene.claim(photo)
    tags = await tags_of(scene, photo)
    dying = Store(scene.store.driver, scene.clock, [PHOTOS, AUDIT])
    regions = [Region(**MIDDLE)]
    await dying.run(lambda uow: redact(uow, photo, regions, "wang", "可见车牌"))
    assert await statuses(scene, photo, tags) == {404}
    assert (await scene.view(photo))["redrawing"] is True
    assert (await scene.see(photo, "original", "office")).status_code == 200
    await scene.later(AGAIN_AFTER)
    assert await statuses(scene, photo, tags) == {200}
    assert (await scene.view(photo))["redrawing"] is False


async def test_requests_that_race_with_hiding_never_see_the_photo_after_its_answer(scene: Scene) -> None:
    ids = [await scene.uploaded(encoded(picture(seed))) for seed in range(6)]
    await scene.claim(*ids)
    hidden: set[str] = set()
    late: list[tuple[str, int]] = []

    async def look(photo: str) -> None:
        for _ in range(20):
            gone = photo in hidden
            answer = await scene.see(photo, "large")
            if gone:
                late.append((photo, answer.status_code))

    async def hide(photo: str) -> None:
        assert (await scene.decide(photo, "hide")).status_code == 200
        hidden.add(photo)

    await asyncio.gather(*map(look, ids), *map(hide, ids))
    assert late
    assert {status for _, status in late} == {404}


async def test_only_office_and_dispatcher_decide(scene: Scene) -> None:
    photo = await scene.uploaded()
    await scene.claim(photo)
    for what, regions in (("hide", []), ("unhide", []), ("redact", [MIDDLE]), ("uncover", [])):
        answers = {who: (await scene.decide(photo, what, who, *regions)).status_code for who in (*PEOPLE, STRANGER)}
        allowed = {who for who, status in answers.items() if status not in {401, 403}}
        assert allowed == {"office", "dispatcher"}


async def test_decisions_are_refused_by_name_and_leave_no_trace(scene: Scene) -> None:
    photo, loose = await scene.uploaded(), await scene.uploaded()
    await scene.claim(photo)
    before = await scene.kept()
    many = [MIDDLE | {"left": n / 100} for n in range(21)]
    text = {
        "unknown": refusal_of(await scene.decide("A" * 22, "hide")),
        "unclaimed": refusal_of(await scene.decide(loose, "hide")),
        "not hidden": refusal_of(await scene.decide(photo, "unhide")),
        "not black": refusal_of(await scene.decide(photo, "uncover")),
        "outside": refusal_of(await scene.decide(photo, "redact", "office", MIDDLE | {"right": 1.1})),
        "inside out": refusal_of(await scene.decide(photo, "redact", "office", MIDDLE | {"right": 0.3})),
        "21": refusal_of(await scene.decide(photo, "redact", "office", *many)),
        "none": refusal_of(await scene.decide(photo, "redact", "office")),
    }
    assert text == {
        "unknown": (404, "photos-not-found"),
        "unclaimed": (409, "photo-unclaimed"),
        "not hidden": (409, "photo-not-hidden"),
        "not black": (409, "photo-not-blackened"),
        "outside": (422, "validation"),
        "inside out": (422, "photo-region-empty"),
        "21": (422, "validation"),
        "none": (422, "validation"),
    }
    for reason, code in (("", "text-required"), ("<b>", "text-has-markup"), ("长" * 201, "validation")):
        answer = await scene.client.post(
            f"/photos/{photo}/hide", json={"reason": reason}, headers=_authorized("office")
        )
        assert refusal_of(answer) == (422, code)
        assert answer.json()["field"] == "reason"
    assert await scene.kept() == before


async def test_a_decision_sent_again_takes_effect_once(scene: Scene) -> None:
    photo = await scene.uploaded()
    await scene.claim(photo)
    key = {"idempotency-key": "one"}
    answers = [await scene.decide(photo, "hide", "office", **key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert refusal_of(await scene.decide(photo, "hide")) == (409, "photo-hidden")
    assert (await scene.kept())["audit"] == 1


async def test_every_decision_is_written_down_with_what_it_changed(scene: Scene) -> None:
    photo = await scene.uploaded()
    await scene.claim(photo)
    await scene.decide(photo, "hide")
    await scene.decide(photo, "redact", "dispatcher", MIDDLE, MIDDLE | {"left": 0.1})
    await scene.decide(photo, "unhide")
    rows = await scene.store.find(AUDIT, {}, [("number", 1)])
    assert audit.verify(rows) is None
    found = [(row.who, row.action, row.subject, row.reason, row.detail["regions"]) for row in rows]
    black = "400,400,600,600; 100,400,600,600"
    assert found == [
        ("wang", "photo.hide", photo, WHY["reason"], ""),
        ("zhou", "photo.redact", photo, WHY["reason"], black),
        ("wang", "photo.unhide", photo, WHY["reason"], black),
    ]
    seen = (await scene.view(photo, "verifier"))["decisions"]
    assert [(row["who"], row["what"], row["why"]) for row in seen] == [
        (who, what, why) for who, what, _, why, _ in found
    ]


async def test_decisions_at_once_are_all_written_down(scene: Scene) -> None:
    photo = await scene.uploaded()
    await scene.claim(photo)
    regions = [{"left": n / 10, "top": 0.0, "right": n / 10 + 0.05, "bottom": 1.0} for n in range(4)]
    answers = await asyncio.gather(*(scene.decide(photo, "redact", "office", each) for each in regions))
    assert {answer.status_code for answer in answers} == {200}
    rows = await scene.store.find(AUDIT, {}, [("number", 1)])
    assert (len(rows), audit.verify(rows)) == (4, None)
    assert len((await scene.view(photo))["regions"]) == 4
    image = Image.open(BytesIO((await scene.see(photo, "large")).content)).convert("L")
    assert [image.getpixel((int((n / 10 + 0.025) * 640), 240)) for n in range(4)] == [0, 0, 0, 0]
    assert (await scene.kept())["fs.files"] == 3


# --- what staff knows ---------------------------------------------------------------------------------------


async def test_staff_reads_what_the_camera_noted_and_how_far_it_is_from_the_case(scene: Scene) -> None:
    photo = await scene.uploaded(from_telephone(6, "HEIC"))
    assert (await scene.view(photo))["noted"]["metres_from_case"] is None
    await scene.claim(photo)
    found = await scene.view(photo, "office")
    assert found["noted"] == {
        "longitude": 112.601111,
        "latitude": 26.89,
        "metres_from_case": 110,
        "taken_at": "2026-03-01T08:20:30Z",
    }
    verifier = (await scene.view(photo, "verifier"))["noted"]
    assert (verifier["longitude"], verifier["latitude"], verifier["metres_from_case"]) == (None, None, 110)
    assert (found["kind"], found["width"], found["height"], found["case"]) == ("heic", 640, 480, "case-1")
    assert found["sha256"] == sha256(from_telephone(6, "HEIC")).hexdigest()
    plain = await scene.uploaded(encoded(corners()))
    assert (await scene.view(plain))["noted"] is None


async def test_what_staff_knows_is_for_those_who_judge(scene: Scene) -> None:
    photo = await scene.uploaded()
    await scene.claim(photo)
    path = f"/photos/{photo}"
    answers = {who: (await scene.client.get(path, headers=_authorized(who))).status_code for who in (*PEOPLE, STRANGER)}
    assert {who for who, status in answers.items() if status == 200} == {"office", "dispatcher", "verifier"}


async def test_a_picture_that_another_case_showed_is_told_to_staff(scene: Scene) -> None:
    whole = picture(1)
    first, equal = await scene.uploaded(encoded(whole)), await scene.uploaded(encoded(whole))
    near = await scene.uploaded(encoded(whole.resize((400, 300)), quality=60))
    other = await scene.uploaded(encoded(picture(2)))
    for number, photo in enumerate((first, equal, near, other), start=1):
        await scene.claim(photo, case=f"case-{number}")
    seen = {photo: (await scene.view(photo))["seen_before"] for photo in (first, equal, near, other)}
    assert seen == {first: [], equal: ["case-1"], near: ["case-1", "case-2"], other: []}
    assert (await scene.view(first))["equal"] == [equal]


async def test_walls_are_not_taken_for_one_another(scene: Scene) -> None:
    walls = [await scene.uploaded(encoded(Image.new("RGB", (600, 400), (shade, 90, 90)))) for shade in (90, 120, 150)]
    for number, photo in enumerate(walls):
        await scene.claim(photo, case=f"case-{number}")
    assert [(await scene.view(photo))["seen_before"] for photo in walls] == [[], [], []]


async def test_pictures_are_looked_up_by_an_index(scene: Scene) -> None:
    async def uses() -> int:
        stats = await scene.store.aggregate(PHOTOS, [{"$indexStats": {}}])
        [bands] = [each for each in stats if each["key"] == {"content.likeness.bands": 1}]
        return int(bands["accesses"]["ops"])

    photo = await scene.uploaded(encoded(picture(1)))
    before = await uses()
    await scene.claim(photo)
    assert await uses() == before + 1


# --- description --------------------------------------------------------------------------------------------


async def test_the_description_names_the_accepted_kinds(scene: Scene) -> None:
    document = (await scene.client.get("/openapi.json")).json()
    upload = document["paths"]["/photos"]["post"]
    assert list(upload["requestBody"]["content"]) == ["image/jpeg", "image/png", "image/webp", "image/heic"]
    assert {"201", "413", "415", "422", "429"} <= upload["responses"].keys()
    shown = document["paths"]["/photos/{id}/{size}"]["get"]["responses"]["200"]["content"]
    assert list(shown) == ["image/jpeg"]


async def test_a_case_no_longer_lists_a_photo_that_is_hidden_and_says_so(scene: Scene) -> None:
    shown, hidden = await scene.uploaded(), await scene.uploaded(from_telephone(8))
    await scene.claim(shown, hidden)
    await scene.decide(hidden, "hide")
    case = await scene.store.get(CASES, "case-1")
    assert case is not None
    assert case.snapshot().photos == (shown,)
    [found] = await scene.store.find(OUTBOX, {"subject": "case-1"})
    assert found.type == CaseChanged.TYPE
    await scene.decide(hidden, "unhide")
    case = await scene.store.get(CASES, "case-1")
    assert case is not None
    assert case.snapshot().photos == (shown, hidden)
