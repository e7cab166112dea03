"""What the scoring service is told by its environment."""

from __future__ import annotations

from pydantic import Field, field_validator

from shared.settings import DistrictSettings
from shared.settings import Settings as Shared
from shared.signing import Signer


class Settings(Shared, DistrictSettings):
    """Those of every service, and its own."""

    seal_key: str = Field(
        repr=False,
        description="为公布月份封存签名的 Ed25519 私钥，PEM 或 base64 · "
        "the Ed25519 private key that seals of published months are signed with, as PEM or base64; "
        '`python -c "from shared.signing import new_key; print(new_key())"` makes one',
    )
    portal_url: str = Field(
        pattern=r"^https?://[!-~]+$",
        max_length=200,
        description="市民访问门户的网址，印在文书二维码中 · "
        "the portal's address as citizens reach it; the QR codes of papers lead there",
    )

    @field_validator("seal_key")
    @classmethod
    def _is_a_key(cls, value: str) -> str:
        Signer.of(value)
        return value
