"""The scoring service put together."""

from __future__ import annotations

from pathlib import Path

from services.scoring.api import ROUTERS, prepare
from services.scoring.commands.ladder import CALLING, ENDING, climb, hear_case, hear_standing, load_heard
from services.scoring.commands.negative import look_for_rows
from services.scoring.commands.schemes import give_way
from services.scoring.handlers import load_facts, load_ledgers, on_charge, on_fact, on_freeze, on_reversal
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
    TALLIES,
    TEXTS,
    TIMELINES,
)
from services.scoring.settings import Settings
from shared.attachments import ATTACHMENTS, Attachments
from shared.audit.log import AUDIT
from shared.consumer import Subscription
from shared.contracts import EventModel
from shared.contracts.inspections import FindingRecorded
from shared.contracts.reports import CaseOverdue, CaseReopened, CaseReturned, CaseReworkOrdered
from shared.contracts.scoring import ChargeMade, PeriodFrozen, ReversalOrdered, StandingChanged
from shared.deadlines import Deadline
from shared.serials import SERIALS
from shared.service import Service
from shared.store import UnitOfWork

_FACTS = (CaseOverdue, CaseReopened, CaseReturned, CaseReworkOrdered, FindingRecorded)
_LADDER_FACTS: tuple[type[EventModel], ...] = (*CALLING, *ENDING)


async def _expire(uow: UnitOfWork, id: str) -> None:
    attachments: Attachments = uow.own.attachments
    await attachments.expire(uow, id)


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
        TALLIES,
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
            {model: on_fact for model in _FACTS},
            prefetch=load_facts,
        ),
        Subscription(
            "scoring.ledger",
            ("scoring.charge",),
            {ChargeMade: on_charge, ReversalOrdered: on_reversal, PeriodFrozen: on_freeze},
            prefetch=load_ledgers,
        ),
        Subscription(
            "scoring.ladder",
            ("reports.case", "scoring.standing"),
            {**dict.fromkeys(_LADDER_FACTS, hear_case), StandingChanged: hear_standing},
            prefetch=load_heard,
        ),
    ],
    deadlines=[
        Deadline(MATTERS, climb),
        Deadline(SCHEMES, give_way),
        Deadline(NEGATIVE_EVENTS, look_for_rows),
        Deadline(ATTACHMENTS, _expire),
    ],
    settings=Settings,
    messages=[Path(__file__).with_name("messages.json")],
    prepare=prepare,
)
