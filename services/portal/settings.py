"""What the portal is told by its environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from shared.settings import Settings as Shared


class Settings(Shared):
    """Those of every service, and its own."""

    district: Path = Field(description="the folder of the district's data, like deploy/sample/hengyang")
    reports_url: str = Field(pattern=r"^https?://", description="base address of the reports service")
    scoring_url: str = Field(pattern=r"^https?://", description="base address of the scoring service")
    portal_url: str = Field(default="", description="the address that citizens see; https makes cookies secure")
    reports_per_minute: float = Field(default=30, gt=0, description="reports one address may file through this portal")
    forms_at_once: int = Field(default=64, ge=1, description="report forms being read by one process (48 MB each)")
    live_clients: int = Field(default=500, ge=1, description="browsers that one process keeps up to date")
