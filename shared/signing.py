"""Signatures of seals: Ed25519, so that who holds the public key can tell a seal of the office from any other."""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw
_KEY_BYTES = 32


class Signer:
    """A private key; `public` is its public key as base64 of the 32 bytes (RFC 8032)."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = _base64(key.public_key())

    @classmethod
    def of(cls, encoded: str) -> Signer:
        """The key in PEM (PKCS #8, not encrypted) or base64 of its 32 bytes. Raises ValueError for anything else."""
        if "PRIVATE KEY" not in encoded:
            return cls(Ed25519PrivateKey.from_private_bytes(_bytes_of(encoded)))
        try:
            key = serialization.load_pem_private_key(encoded.encode(), password=None)
        except (TypeError, UnsupportedAlgorithm) as error:
            raise ValueError("not a private key without a password") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("not an Ed25519 key")
        return cls(key)

    def sign(self, message: bytes) -> str:
        """The signature in base64."""
        return base64.b64encode(self._key.sign(message)).decode()

    def pem(self) -> str:
        """The public key in PEM, as openssl reads it."""
        key = self._key.public_key()
        return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def new_key() -> str:
    """A private key in base64, for `SEAL_KEY`."""
    return base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()


def public_key(encoded: str) -> str:
    """A public key given in PEM or base64, as base64 of its 32 bytes. Raises ValueError for anything else."""
    if "PUBLIC KEY" not in encoded:
        return _base64(Ed25519PublicKey.from_public_bytes(_bytes_of(encoded)))
    try:
        key = serialization.load_pem_public_key(encoded.encode())
    except UnsupportedAlgorithm as error:
        raise ValueError("not an Ed25519 key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not an Ed25519 key")
    return _base64(key)


def signed(key: str, message: bytes, signature: str) -> bool:
    """Whether the signature of the message fits the public key, both in base64; also False for what is neither."""
    try:
        proof = base64.b64decode(signature, validate=True)
        Ed25519PublicKey.from_public_bytes(_bytes_of(key)).verify(proof, message)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _bytes_of(encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if len(key) != _KEY_BYTES:
        raise ValueError(f"not {_KEY_BYTES} bytes")
    return key


def _base64(key: Ed25519PublicKey) -> str:
    return base64.b64encode(key.public_bytes(*_RAW)).decode()
