"""What the scoring service is told by its environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from shared.settings import Settings as Shared


class Settings(Shared):
    """Those of every service, and its own."""

    district: Path = Field(description="the folder of the district's data, like deploy/sample/hengyang")
