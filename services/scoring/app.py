"""The scoring service put together."""

from __future__ import annotations

from pathlib import Path

from services.scoring.api import prepare, router
from services.scoring.handlers import load_charges, load_ledgers, on_charge, on_overdue
from services.scoring.repo import CHARGES, ENTRIES, LEDGERS, RULE_BOOKS, STANDINGS
from services.scoring.settings import Settings
from shared.consumer import Subscription
from shared.contracts.reports import CaseOverdue
from shared.contracts.scoring import ChargeMade
from shared.service import Service

SERVICE = Service(
    name="scoring",
    routers=[router],
    collections=[RULE_BOOKS, CHARGES, LEDGERS, ENTRIES, STANDINGS],
    subscriptions=[
        Subscription("scoring.charges", ("reports.case",), {CaseOverdue: on_overdue}, prefetch=load_charges),
        Subscription("scoring.ledger", ("scoring.charge",), {ChargeMade: on_charge}, prefetch=load_ledgers),
    ],
    settings=Settings,
    messages=[Path(__file__).with_name("messages.json")],
    prepare=prepare,
)
