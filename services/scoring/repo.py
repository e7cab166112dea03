"""Where charges, ledgers and standings are kept."""

from __future__ import annotations

from services.scoring.domain import Charges, Entry, Ledger, RuleBook, Standing
from shared.store import Collection, Index

RULE_BOOKS = Collection("rule-books", RuleBook)
CURRENT = "current"
"""Identity of the rule book in use."""
CHARGES = Collection("charges", Charges)
LEDGERS = Collection("ledgers", Ledger)
ENTRIES = Collection("entries", Entry, [Index((("case", 1),)), Index((("unit", 1), ("number", 1)), unique=True)])
STANDINGS = Collection("standings", Standing, [Index((("period", 1), ("unit", 1)), unique=True)])
