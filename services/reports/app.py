"""The reports service put together."""

from __future__ import annotations

from pathlib import Path

from services.reports import photos
from services.reports.api import prepare, router
from services.reports.commands import mark_overdue
from services.reports.repo import CASES
from services.reports.settings import Settings
from shared.deadlines import Deadline
from shared.service import Service

SERVICE = Service(
    name="reports",
    routers=[router, photos.router],
    collections=[CASES, photos.PHOTOS],
    deadlines=[Deadline(CASES, mark_overdue), photos.PHOTO_DEADLINE],
    settings=Settings,
    messages=[Path(__file__).with_name("messages.json")],
    prepare=prepare,
)
