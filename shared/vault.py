"""Personal data at rest: sealed, so that only the holders of the keys can read it, and known again without reading.

    vault = Vault.of("newest-key,older-key")
    kept = vault.seal("0734-8888888")
    vault.open(kept)
    vault.digest("phone", "+867348888888")

Of several keys the first seals and digests; all of them open and recognise. A key is replaced by putting a new one
before it, and may go when nothing is kept any more that was sealed or digested under it.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# Keeps the key of the digests from being that of the seals; the number changes with the rule.
_DIGESTS = b"chuangwen/digests/1"


class Unreadable(Exception):
    """Sealed under a key that is no longer given, or not sealed by us at all."""


class Vault:
    """Holds the keys, and shows them to nobody."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._seals = MultiFernet([Fernet(key) for key in keys])
        self._digests = [HKDF(SHA256(), 32, salt=None, info=_DIGESTS).derive(key) for key in keys]

    @classmethod
    def of(cls, keys: str) -> Vault:
        """The keys as a setting has them, separated by commas. Raises ValueError for anything but keys."""
        secrets = [key.strip().encode() for key in keys.split(",") if key.strip()]
        if not secrets:
            raise ValueError("at least one key is needed")
        return cls(secrets)

    def seal(self, plain: str) -> str:
        """What can be kept; different at every call."""
        return self._seals.encrypt(plain.encode()).decode()

    def open(self, sealed: str) -> str:
        """What was sealed. Raises Unreadable."""
        try:
            return self._seals.decrypt(sealed).decode()
        except InvalidToken:
            raise Unreadable("no key opens it") from None

    def digest(self, purpose: str, text: str) -> str:
        """What recognises the text (HMAC-SHA-256, lower-case hex): equal texts of equal purposes have equal digests.

        Whoever has no key learns nothing from it, however few texts there could be.
        """
        return _digest(self._digests[0], purpose, text)

    def digests(self, purpose: str, text: str) -> list[str]:
        """The digests the text may be kept under: one for each key, the newest first."""
        return [_digest(key, purpose, text) for key in self._digests]


def new_key() -> str:
    """A key: 32 random bytes in URL-safe base 64."""
    return Fernet.generate_key().decode()


def _digest(key: bytes, purpose: str, text: str) -> str:
    return hmac.digest(key, f"{purpose}\n{text}".encode(), "sha256").hex()
