"""Who is believed to be whom: every way to forge, outlive or outrun a token."""

from __future__ import annotations

import asyncio
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from shared.auth import LEEWAY, REMEMBERED_SECONDS, KeySet, Principal, Verifier
from shared.clock import FixedClock
from shared.errors import Unauthenticated, Unavailable
from shared.roles import Role

START = datetime(2026, 3, 2, 1, tzinfo=UTC)
ISSUER, AUDIENCE = "https://id.example", "chuangwen"
SIGNERS: dict[str, Callable[[], Any]] = {
    "EdDSA": Ed25519PrivateKey.generate,
    "ES256": lambda: generate_private_key(SECP256R1()),
    "RS256": lambda: generate_rsa_key(65537, 2048),
}
WRITERS: dict[str, Any] = {"EdDSA": OKPAlgorithm, "ES256": ECAlgorithm, "RS256": RSAAlgorithm}


class Issuer:
    """An identity provider: signs tokens and serves its keys over HTTP as long as it is up."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[str, Any]] = {}
        self.up = True
        self.requests = 0

    def add(self, kid: str, algorithm: str = "EdDSA") -> None:
        self.keys[kid] = (algorithm, SIGNERS[algorithm]())

    def document(self) -> dict[str, Any]:
        found = []
        for kid, (algorithm, key) in self.keys.items():
            found.append({**json.loads(WRITERS[algorithm].to_jwk(key.public_key())), "kid": kid, "use": "sig"})
        return {"keys": found}

    def serve(self, _: httpx2.Request) -> httpx2.Response:
        self.requests += 1
        return httpx2.Response(200, json=self.document()) if self.up else httpx2.Response(500)

    def token(self, kid: str = "first", **changes: Any) -> str:
        algorithm, key = self.keys[kid]
        return jwt.encode(_claims(changes), key, algorithm, {"kid": kid})


def _claims(changes: dict[str, Any]) -> dict[str, Any]:
    claims = {
        "sub": "li-ming",
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": START + timedelta(hours=1),
        "roles": ["officer"],
        "unit": "U01",
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


class Scene:
    """An issuer, a clock and a verifier that listens to both."""

    def __init__(self) -> None:
        self.issuer = Issuer()
        self.issuer.add("first")
        self.clock = FixedClock(START)
        keys = KeySet(
            "https://id.example/keys",
            monotonic=lambda: self.clock.now().timestamp(),
            transport=httpx2.MockTransport(self.issuer.serve),
        )
        self.verifier = Verifier(keys, ISSUER, AUDIENCE, self.clock)

    async def refused(self, token: str) -> str:
        with pytest.raises(Unauthenticated) as caught:
            await self.verifier.verify(token)
        return caught.value.code


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_good_token_gives_the_principal(scene: Scene) -> None:
    principal = await scene.verifier.verify(scene.issuer.token(team="T9"))
    assert principal == Principal("li-ming", frozenset({Role.OFFICER}), "U01", "T9")


@pytest.mark.parametrize("algorithm", sorted(SIGNERS))
async def test_each_allowed_algorithm_is_accepted(scene: Scene, algorithm: str) -> None:
    scene.issuer.add("other", algorithm)
    assert (await scene.verifier.verify(scene.issuer.token("other"))).subject == "li-ming"


async def test_a_token_lives_until_it_expires_plus_leeway(scene: Scene) -> None:
    token = scene.issuer.token()
    scene.clock.advance(timedelta(hours=1) + LEEWAY - timedelta(seconds=1))
    assert (await scene.verifier.verify(token)).subject == "li-ming"
    scene.clock.advance(timedelta(seconds=1))
    assert await scene.refused(token) == "token-expired"


async def test_leeway_is_at_most_thirty_seconds() -> None:
    assert timedelta() <= LEEWAY <= timedelta(seconds=30)


async def test_a_remembered_token_expires_too(scene: Scene) -> None:
    token = scene.issuer.token(exp=START + timedelta(seconds=10))
    await scene.verifier.verify(token)
    scene.clock.advance(timedelta(seconds=10) + LEEWAY)
    assert await scene.refused(token) == "token-expired"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "account"},
        {"aud": None},
        {"aud": ["account", "broker"]},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 10**400},
        {"nbf": START + timedelta(minutes=5)},
        {"roles": "office"},
        {"roles": [{"office": True}]},
        {"unit": ["U01", "U02"]},
    ],
    ids=str,
)
async def test_claims_that_do_not_fit_are_refused(scene: Scene, changes: dict[str, Any]) -> None:
    if changes.get("sub") == 7:  # PyJWT refuses to write what it also refuses to read
        algorithm, key = scene.issuer.keys["first"]
        payload = json.dumps({**_claims({"exp": START.timestamp() + 60}), "sub": 7}).encode()
        token = jwt.PyJWS().encode(payload, key, algorithm, {"kid": "first"})
    else:
        token = scene.issuer.token(**changes)
    assert await scene.refused(token) == "token-invalid"


async def test_a_name_that_is_no_role_gives_no_right(scene: Scene) -> None:
    principal = await scene.verifier.verify(scene.issuer.token(roles=["admin", "OFFICE", "offline_access", "liaison"]))
    assert principal.roles == {Role.LIAISON}


@pytest.mark.parametrize(
    ("roles", "unit", "code"),
    [
        (["head"], None, "token-without-unit"),
        (["head"], "", "token-without-unit"),
        (["officer", "head"], None, "token-without-unit"),
        (["leader"], "U01", "token-with-unit"),
        (["leader", "officer"], "U01", "token-with-unit"),
        (["head", "leader"], None, "token-without-unit"),
        (["head", "leader"], "U01", "token-with-unit"),
    ],
)
async def test_a_head_has_a_unit_and_a_leader_has_none(
    scene: Scene, roles: list[str], unit: str | None, code: str
) -> None:
    assert await scene.refused(scene.issuer.token(roles=roles, unit=unit)) == code


async def test_a_head_of_a_unit_and_a_leader_of_the_district_are_let_in(scene: Scene) -> None:
    assert (await scene.verifier.verify(scene.issuer.token(roles=["head"], unit="U01"))).has(Role.HEAD)
    assert (await scene.verifier.verify(scene.issuer.token(roles=["leader"], unit=None))).has(Role.LEADER)


async def test_an_audience_among_several_is_enough(scene: Scene) -> None:
    assert (await scene.verifier.verify(scene.issuer.token(aud=["account", AUDIENCE]))).subject == "li-ming"


@pytest.mark.parametrize(
    "garbage", ["", ".", "..", "a.b.c", "é", "x" * 10_000, "eyJhbGciOiJFZERTQSJ9..", "\ud800", "null.null.null"]
)
async def test_garbage_is_refused(scene: Scene, garbage: str) -> None:
    assert await scene.refused(garbage) == "token-invalid"


async def test_no_signature_is_refused(scene: Scene) -> None:
    token = jwt.encode(_claims({}), "", "none", {"kid": "first"})
    assert await scene.refused(token) == "token-invalid"


@pytest.mark.parametrize("kind", ["pem", "jwk", "der"])
async def test_the_public_key_as_a_shared_secret_is_refused(scene: Scene, kind: str) -> None:
    scene.issuer.add("rsa", "RS256")
    _, key = scene.issuer.keys["rsa"]
    assert isinstance(key, RSAPrivateKey)
    public, spki = key.public_key(), serialization.PublicFormat.SubjectPublicKeyInfo
    secret = {
        "pem": public.public_bytes(serialization.Encoding.PEM, spki),
        "der": public.public_bytes(serialization.Encoding.DER, spki),
        "jwk": RSAAlgorithm.to_jwk(public).encode(),
    }[kind]
    parts = [{"alg": "HS256", "typ": "JWT", "kid": "rsa"}, _claims({"exp": START.timestamp() + 3600})]
    signed = b".".join(urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signature = urlsafe_b64encode(hmac.new(secret, signed, sha256).digest()).rstrip(b"=")
    assert await scene.refused(b".".join([signed, signature]).decode()) == "token-invalid"


async def test_a_shared_secret_in_the_key_set_is_not_used(scene: Scene) -> None:
    secret = urlsafe_b64encode(b"s" * 32).rstrip(b"=").decode()
    document = {"keys": [{"kty": "oct", "k": secret, "kid": "oct"}, *scene.issuer.document()["keys"]]}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=document))
    verifier = Verifier(KeySet("https://id.example", transport=transport), ISSUER, AUDIENCE, scene.clock)
    token = jwt.encode(_claims({}), b"s" * 32, "HS256", {"kid": "oct"})
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)
    assert (await verifier.verify(scene.issuer.token())).subject == "li-ming"


async def test_another_key_of_the_same_name_is_refused(scene: Scene) -> None:
    forger = Issuer()
    forger.add("first")
    assert await scene.refused(forger.token()) == "token-invalid"


async def test_an_altered_payload_is_refused(scene: Scene) -> None:
    head, _, signature = scene.issuer.token().split(".")
    payload = urlsafe_b64encode(json.dumps(_claims({"exp": 2e9, "roles": ["office"]})).encode())
    assert await scene.refused(f"{head}.{payload.rstrip(b'=').decode()}.{signature}") == "token-invalid"


async def test_a_rotated_key_is_fetched_when_it_is_first_seen(scene: Scene) -> None:
    await scene.verifier.verify(scene.issuer.token())
    scene.clock.advance(timedelta(seconds=10))
    scene.issuer.add("second")
    assert (await scene.verifier.verify(scene.issuer.token("second"))).subject == "li-ming"
    assert scene.issuer.requests == 2


async def test_unknown_keys_do_not_make_us_flood_the_issuer(scene: Scene) -> None:
    scene.issuer.add("lost")
    tokens = [scene.issuer.token("lost", sub=str(number)) for number in range(20)]
    del scene.issuer.keys["lost"]
    refused = await asyncio.gather(*(scene.refused(token) for token in tokens))
    assert set(refused) == {"token-invalid"}
    assert scene.issuer.requests == 1


async def test_the_last_keys_stay_valid_while_the_issuer_is_down(scene: Scene) -> None:
    await scene.verifier.verify(scene.issuer.token())
    scene.issuer.up = False
    for _ in range(3):
        scene.clock.advance(timedelta(minutes=10))
        token = scene.issuer.token(sub=scene.clock.now().isoformat(), exp=START + timedelta(days=1))
        assert (await scene.verifier.verify(token)).has(Role.OFFICER)
    assert await scene.refused(_token_of_unknown_key()) == "token-invalid"


def _token_of_unknown_key() -> str:
    stranger = Issuer()
    stranger.add("stranger")
    return stranger.token("stranger")


async def test_without_any_keys_the_outcome_is_unavailable_and_then_recovers(scene: Scene) -> None:
    scene.issuer.up = False
    with pytest.raises(Unavailable):
        await scene.verifier.verify(scene.issuer.token())
    scene.issuer.up = True
    scene.clock.advance(timedelta(seconds=10))
    assert (await scene.verifier.verify(scene.issuer.token())).subject == "li-ming"


async def test_a_withdrawn_key_stops_working(scene: Scene) -> None:
    token = scene.issuer.token()
    await scene.verifier.verify(token)
    scene.issuer.keys.clear()
    scene.issuer.add("second")
    scene.clock.advance(timedelta(seconds=REMEMBERED_SECONDS + 1))
    await scene.verifier.verify(scene.issuer.token("second"))
    assert await scene.refused(token) == "token-invalid"


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"keys": [1, {}, {"kty": "RSA"}]}', b"\xff", b'{"keys": 3}'])
async def test_a_broken_key_set_does_not_replace_a_good_one(scene: Scene, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(scene.issuer.document()))
    keys = KeySet(str(file), monotonic=lambda: scene.clock.now().timestamp())
    verifier = Verifier(keys, ISSUER, AUDIENCE, scene.clock)
    await verifier.verify(scene.issuer.token())
    file.write_bytes(content)
    scene.clock.advance(timedelta(seconds=11))
    with pytest.raises(Unauthenticated):
        await verifier.verify(_token_of_unknown_key())
    assert (await verifier.verify(scene.issuer.token(sub="wang-fang"))).subject == "wang-fang"


async def test_the_memory_of_tokens_is_bounded(scene: Scene) -> None:
    keys = KeySet("https://id.example", transport=httpx2.MockTransport(scene.issuer.serve))
    verifier = Verifier(keys, ISSUER, AUDIENCE, scene.clock, remembered=2)
    for number in range(5):
        await verifier.verify(scene.issuer.token(sub=str(number)))
    assert len(verifier._known) == 2


@pytest.mark.parametrize("subject", ["\ud800", "li\udfff"])
async def test_half_a_character_is_no_name(scene: Scene, subject: str) -> None:
    assert await scene.refused(scene.issuer.token(sub=subject)) == "token-invalid"
    assert await scene.refused(scene.issuer.token(unit=subject)) == "token-invalid"


@pytest.mark.parametrize("rest", [301, 602, 86_400])
async def test_a_withdrawn_key_lets_nobody_in_after_five_minutes_however_idle_the_service_was(
    scene: Scene, rest: int
) -> None:
    token = scene.issuer.token(exp=START + timedelta(days=2))
    await scene.verifier.verify(token)
    scene.issuer.keys.clear()
    scene.issuer.add("second")
    scene.clock.advance(timedelta(seconds=rest))
    assert await scene.refused(token) == "token-invalid"


def test_people_work_for_their_own_unit_and_a_claim_alone_opens_nothing() -> None:
    for role in (Role.OFFICER, Role.LIAISON, Role.HEAD):
        assert Principal("o", frozenset({role}), "U01").works_for("U01", "U02")
        assert not Principal("o", frozenset({role}), "U01").works_for("U02")
        assert not Principal("o", frozenset({role})).works_for(None, "U01")
    for other in (Role.CITIZEN, Role.VOLUNTEER, Role.OFFICE, Role.VERIFIER, Role.INTEGRATOR):
        assert not Principal("c", frozenset({other}), "U01").works_for("U01")
    assert not Principal("c", frozenset(), "U01").works_for("U01")
