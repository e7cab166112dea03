"""What the scoring service is told by its environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from services.scoring.signing import Signer
from shared.settings import Settings as Shared


class Settings(Shared):
    """Those of every service, and its own."""

    district: Path = Field(description="the folder of the district's data, like deploy/sample/hengyang")
    seal_key: str = Field(
        repr=False,
        description="the Ed25519 private key that seals of published months are signed with, as PEM or base64; "
        'python -c "from services.scoring.signing import new_key; print(new_key())" makes one',
    )
    portal_url: str = Field(
        pattern=r"^https?://[!-~]+$", max_length=200, description="the portal's address, for the QR codes of papers"
    )

    @field_validator("seal_key")
    @classmethod
    def _is_a_key(cls, value: str) -> str:
        Signer.of(value)
        return value
