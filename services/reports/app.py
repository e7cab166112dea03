"""The reports service put together."""

from __future__ import annotations

from pathlib import Path

from services.reports import documents, photos
from services.reports.api import ROUTERS, prepare
from services.reports.commands.handling import mark_overdue
from services.reports.commands.retention import sweep
from services.reports.handlers import load_origins, on_finding
from services.reports.repo import (
    AUDIT,
    BANS,
    CASES,
    CATALOGUES,
    CATEGORY_VERSIONS,
    ERASURES,
    FOLLOWERS,
    HEADS,
    ORIGINS,
    RETENTION,
)
from services.reports.settings import Settings
from shared.consumer import Subscription
from shared.contracts.inspections import FindingRecorded
from shared.deadlines import Deadline
from shared.serials import SERIALS
from shared.service import Service

SERVICE = Service(
    name="reports",
    routers=ROUTERS,
    collections=[
        CASES,
        CATALOGUES,
        CATEGORY_VERSIONS,
        AUDIT,
        documents.DOCUMENTS,
        SERIALS,
        ORIGINS,
        photos.PHOTOS,
        FOLLOWERS,
        BANS,
        HEADS,
        ERASURES,
        RETENTION,
    ],
    subscriptions=[
        Subscription(
            "reports.findings", (FindingRecorded.TOPIC,), {FindingRecorded: on_finding}, prefetch=load_origins
        ),
    ],
    deadlines=[Deadline(CASES, mark_overdue), photos.PHOTO_DEADLINE, Deadline(RETENTION, sweep)],
    settings=Settings,
    messages=[Path(__file__).with_name("messages.json")],
    prepare=prepare,
)
