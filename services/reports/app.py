"""The reports service put together."""

from __future__ import annotations

from pathlib import Path

from services.reports.api import ROUTERS
from services.reports.handlers import load_origins, on_case_due, on_finding, on_retention_due, on_upkeep_due
from services.reports.repo import (
    BANS,
    CASES,
    CATALOGUES,
    CATEGORY_VERSIONS,
    DOCUMENTS,
    ERASURES,
    FOLLOWERS,
    HEADS,
    ORIGINS,
    RETENTION,
    UPKEEP,
)
from services.reports.resources import prepare
from services.reports.settings import Settings
from shared.audit.log import AUDIT
from shared.consumer import Subscription, on
from shared.contracts.inspections import FindingRecorded
from shared.deadlines import Deadline
from shared.files import PHOTO_DEADLINE, PHOTOS
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
        DOCUMENTS,
        SERIALS,
        ORIGINS,
        PHOTOS,
        FOLLOWERS,
        BANS,
        HEADS,
        ERASURES,
        RETENTION,
        UPKEEP,
    ],
    subscriptions=[
        Subscription(
            "reports.findings", (FindingRecorded.TOPIC,), [on(FindingRecorded, on_finding)], prefetch=load_origins
        ),
    ],
    deadlines=[
        Deadline(CASES, on_case_due),
        PHOTO_DEADLINE,
        Deadline(RETENTION, on_retention_due),
        Deadline(UPKEEP, on_upkeep_due),
    ],
    settings=Settings,
    messages=[Path(__file__).with_name("messages.json")],
    prepare=prepare,
)
