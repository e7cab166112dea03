"""What the environment sets for the portal."""

from __future__ import annotations

from pydantic import Field

from shared.settings import DistrictSettings
from shared.settings import Settings as Shared


class Settings(Shared, DistrictSettings):
    """Those of every service, and its own."""

    reports_url: str = Field(
        pattern=r"^https?://", description="reports 服务的网址 · base address of the reports service"
    )
    scoring_url: str = Field(
        pattern=r"^https?://", description="scoring 服务的网址 · base address of the scoring service"
    )
    portal_url: str = Field(
        default="",
        description="市民访问门户的网址；https 时 cookie 仅经加密传输 · "
        "the portal's address as citizens reach it; https makes cookies secure",
    )
    reports_per_minute: float = Field(
        default=30,
        gt=0,
        description="一个地址每分钟可上报几件 · reports one address may file through this portal a minute",
    )
    forms_at_once: int = Field(
        default=64,
        ge=1,
        description="一个进程同时读取的表单数，每个地址至多占八分之一；带照片的（每份至多 48 MB）与其他的分别计算 · "
        "forms that one process reads at once, an eighth of them from one address; those with photos (48 MB each) "
        "and others are counted apart",
    )
    live_clients: int = Field(
        default=500,
        ge=1,
        description="一个进程实时更新的浏览器数，每个地址至多占八分之一 · "
        "browsers that one process keeps up to date, an eighth of them at one address",
    )
