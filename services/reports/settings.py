"""What the reports service is told by its environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from shared.settings import Settings as Shared
from shared.vault import Vault


class Settings(Shared):
    """Those of every service, and its own."""

    district: Path = Field(description="the folder of the district's data, like deploy/sample/hengyang")
    portal_url: str = Field(
        pattern=r"^https?://[!-~]+$", max_length=200, description="the portal's address, for the QR codes of papers"
    )
    personal_keys: str = Field(
        repr=False,
        description="keys for names and telephone numbers, the newest first, separated by commas; "
        'python -c "from shared.vault import new_key; print(new_key())" makes one',
    )
    reports_per_minute: float = Field(default=30, gt=0, description="cases one address without an account may file")
    reports_per_minute_overall: float = Field(
        default=3000, gt=0, description="cases all strangers together may file at one process"
    )
    wrong_codes_per_minute: float = Field(default=20, gt=0, description="wrong tracking codes one address may try")

    @field_validator("personal_keys")
    @classmethod
    def _are_keys(cls, value: str) -> str:
        Vault.of(value)
        return value
