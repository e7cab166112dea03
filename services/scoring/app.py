"""The scoring service put together."""

from __future__ import annotations

from pathlib import Path

from services.scoring.api import ROUTERS
from services.scoring.commands.schemes import retire_succeeded
from services.scoring.handlers import deadlines, facts, ledger, measures
from services.scoring.repo import COLLECTIONS, MATTERS, NEGATIVE_EVENTS, SCHEMES
from services.scoring.resources import prepare
from services.scoring.settings import Settings
from shared.attachments import ATTACHMENTS
from shared.consumer import Subscription, on
from shared.contracts.scoring import ChargeMade, PeriodFrozen, ReversalOrdered, StandingChanged
from shared.deadlines import Deadline
from shared.service import Service

CHARGING = Subscription(
    "scoring.charges",
    ("inspections.visit", "reports.case"),
    [on(model, facts.on_fact) for model in facts.MODELS],
    prefetch=facts.load_facts,
)
POSTING = Subscription(
    "scoring.ledger",
    ("scoring.charge",),
    [on(ChargeMade, ledger.on_charge), on(ReversalOrdered, ledger.on_reversal), on(PeriodFrozen, ledger.on_freeze)],
    prefetch=ledger.load_ledgers,
    order="key",  # an entry stands behind the one before it in its unit's ledger, whatever matter that was about
)
"""What writes the ledgers, and needs nothing but them."""
CLIMBING = Subscription(
    "scoring.ladder",
    ("reports.case", "scoring.standing"),
    [*(on(model, measures.on_case) for model in measures.MODELS), on(StandingChanged, measures.on_standing)],
    prefetch=measures.load_measures,
    gather=0.1,  # nobody waits for a paper, and all of a batch are numbered from one roll
)

SERVICE = Service(
    name="scoring",
    routers=ROUTERS,
    collections=COLLECTIONS,
    subscriptions=[CHARGING, POSTING, CLIMBING],
    deadlines=[
        Deadline(MATTERS, deadlines.on_matter_due, at_once=1),
        Deadline(SCHEMES, retire_succeeded),
        Deadline(NEGATIVE_EVENTS, deadlines.on_entries_due),
        Deadline(ATTACHMENTS, deadlines.on_attachment_due),
    ],
    settings=Settings,
    messages=[Path(__file__).with_name("messages.json")],
    prepare=prepare,
)
