"""The identity provider of one machine: a key made once, its public half as a JWKS file, and tokens.

A district's own provider takes its place in production; services are only ever told where the JWKS is and whose
name the tokens carry.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.auth import refuse_contradiction
from shared.errors import Unauthenticated
from shared.roles import Role

NAME = "urn:chuangwen:local"
AUDIENCE = "chuangwen"
LIFE = timedelta(hours=12)


_CONTRADICTIONS = {
    "token-without-unit": "a head is the head of a unit: name it",
    "token-with-unit": "a leader is the whole district's: name no unit",
}


class Issuer:
    """Signs tokens with the key of a folder, making the key and `jwks.json` there on first use."""

    def __init__(self, folder: Path) -> None:
        self.jwks = folder / "jwks.json"
        self._key_file = folder / "key.pem"
        if not self.jwks.exists():
            self._create()
        self._key_id = json.loads(self.jwks.read_text())["keys"][0]["kid"]

    def token(self, subject: str, roles: Sequence[str], unit: str | None = None) -> str:
        """A token (JWT, EdDSA) for a person, valid for 12 hours of the machine's clock.

        Raises ValueError for what is no role, and for roles that contradict the unit.
        """
        try:
            refuse_contradiction(frozenset(map(Role, roles)), unit)
        except Unauthenticated as error:
            raise ValueError(_CONTRADICTIONS[error.code]) from None
        now = datetime.now(UTC)
        claims: dict[str, object] = {
            "iss": NAME,
            "aud": AUDIENCE,
            "sub": subject,
            "roles": list(roles),
            "iat": now,
            "exp": now + LIFE,
        }
        if unit is not None:
            claims["unit"] = unit
        return jwt.encode(claims, self._key_file.read_bytes(), "EdDSA", headers={"kid": self._key_id})

    def _create(self) -> None:
        self.jwks.parent.mkdir(parents=True, exist_ok=True)
        key = Ed25519PrivateKey.generate()
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with os.fdopen(os.open(self._key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(secret)
        public = jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
        entry = {**public, "kid": os.urandom(8).hex(), "use": "sig", "alg": "EdDSA"}
        self.jwks.write_text(json.dumps({"keys": [entry]}, indent=2))
