"""What the reports service is told by its environment."""

from __future__ import annotations

from pydantic import Field, field_validator

from shared.settings import DistrictSettings
from shared.settings import Settings as Shared
from shared.vault import Vault


class Settings(Shared, DistrictSettings):
    """Those of every service, and its own."""

    portal_url: str = Field(
        pattern=r"^https?://[!-~]+$",
        max_length=200,
        description="市民访问门户的网址，印在文书二维码中 · "
        "the portal's address as citizens reach it; the QR codes of papers lead there",
    )
    personal_keys: str = Field(
        repr=False,
        description="姓名、电话的加密密钥，新的在前，逗号分隔，旧的保留到保存期满 · "
        "keys for names and telephone numbers, the newest first, separated by commas; older ones stay as long as the "
        "data; "
        '`python -c "from shared.vault import new_key; print(new_key())"` makes one',
    )
    reports_per_minute: float = Field(
        default=30,
        gt=0,
        description="未登录的一个地址每分钟可上报几件 · cases one address without an account may file a minute",
    )
    reports_per_minute_overall: float = Field(
        default=3000,
        gt=0,
        description="所有未登录者每分钟在一个进程上可上报几件 · "
        "cases all strangers together may file at one process a minute",
    )
    wrong_codes_per_minute: float = Field(
        default=20,
        gt=0,
        description="一个地址每分钟可输错几次查询码 · wrong tracking codes one address may try a minute",
    )

    @field_validator("personal_keys")
    @classmethod
    def _are_keys(cls, value: str) -> str:
        Vault.of(value)
        return value
