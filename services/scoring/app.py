"""The scoring service put together."""

from __future__ import annotations

from pathlib import Path

from services.scoring.api import ROUTERS
from services.scoring.commands.ladder import CALLING, ENDING
from services.scoring.commands.schemes import give_way
from services.scoring.handlers import (
    load_facts,
    load_ladder,
    load_ledgers,
    on_attachment_due,
    on_case,
    on_charge,
    on_fact,
    on_freeze,
    on_matter_due,
    on_reversal,
    on_rows_due,
    on_standing,
)
from services.scoring.repo import (
    APPEALS,
    CALENDARS,
    CHARGES,
    CONTESTS,
    ENTRIES,
    FACTS,
    LEDGERS,
    LISTS,
    MATRIX,
    MATTERS,
    MEASUREMENTS,
    MEASURES,
    NEGATIVE_EVENTS,
    NEGATIVE_LISTS,
    OVERDUE_CASES,
    PERIODS,
    PROPOSALS,
    RESULTS,
    REVERSALS,
    ROLLS,
    RULE_BOOKS,
    RULE_DRAFTS,
    RULE_EDITIONS,
    SCHEME_TREES,
    SCHEMES,
    SEALS,
    STANDARDS,
    STANDINGS,
    TEXTS,
    TIMELINES,
)
from services.scoring.resources import prepare
from services.scoring.settings import Settings
from shared.attachments import ATTACHMENTS
from shared.audit.log import AUDIT
from shared.consumer import Subscription, on
from shared.contracts import EventModel
from shared.contracts.inspections import FindingRecorded
from shared.contracts.reports import CaseOverdue, CaseReopened, CaseReturned, CaseReworkOrdered
from shared.contracts.scoring import ChargeMade, PeriodFrozen, ReversalOrdered, StandingChanged
from shared.deadlines import Deadline
from shared.serials import SERIALS
from shared.service import Service

_FACTS: tuple[type[EventModel], ...] = (CaseOverdue, CaseReopened, CaseReturned, CaseReworkOrdered, FindingRecorded)
_CASES = (*CALLING, *ENDING)

POSTING = Subscription(
    "scoring.ledger",
    ("scoring.charge",),
    [on(ChargeMade, on_charge), on(ReversalOrdered, on_reversal), on(PeriodFrozen, on_freeze)],
    prefetch=load_ledgers,
)
"""What writes the ledgers, and needs nothing but them."""

SERVICE = Service(
    name="scoring",
    routers=ROUTERS,
    collections=[
        RULE_BOOKS,
        FACTS,
        CHARGES,
        LEDGERS,
        ENTRIES,
        REVERSALS,
        STANDINGS,
        TIMELINES,
        SCHEMES,
        SCHEME_TREES,
        STANDARDS,
        MEASUREMENTS,
        PERIODS,
        CALENDARS,
        SEALS,
        TEXTS,
        RESULTS,
        RULE_EDITIONS,
        RULE_DRAFTS,
        PROPOSALS,
        CONTESTS,
        APPEALS,
        LISTS,
        MATTERS,
        MEASURES,
        ROLLS,
        OVERDUE_CASES,
        SERIALS,
        MATRIX,
        NEGATIVE_LISTS,
        NEGATIVE_EVENTS,
        ATTACHMENTS,
        AUDIT,
    ],
    subscriptions=[
        Subscription(
            "scoring.charges",
            ("inspections.visit", "reports.case"),
            [on(model, on_fact) for model in _FACTS],
            prefetch=load_facts,
        ),
        POSTING,
        Subscription(
            "scoring.ladder",
            ("reports.case", "scoring.standing"),
            [*(on(model, on_case) for model in _CASES), on(StandingChanged, on_standing)],
            prefetch=load_ladder,
        ),
    ],
    deadlines=[
        Deadline(MATTERS, on_matter_due),
        Deadline(SCHEMES, give_way),
        Deadline(NEGATIVE_EVENTS, on_rows_due),
        Deadline(ATTACHMENTS, on_attachment_due),
    ],
    settings=Settings,
    messages=[Path(__file__).with_name("messages.json")],
    prepare=prepare,
)
