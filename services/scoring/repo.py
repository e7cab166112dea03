"""Where facts, rules, charges, ledgers, standings, and what people decide about them are kept."""

from __future__ import annotations

from typing import Any

from services.scoring.domain.appeals import Appeal, Contest
from services.scoring.domain.drafts import Draft, Edition
from services.scoring.domain.facts import Fact
from services.scoring.domain.ladder import CaseMatters, Matter, OverdueCases
from services.scoring.domain.ledger import ChargeCount, Entry, Ledger, Reversal, Standing
from services.scoring.domain.lists import RedBlackList
from services.scoring.domain.measurements import Measurement
from services.scoring.domain.measures import Measure
from services.scoring.domain.negative import NegativeEvent, NegativeList
from services.scoring.domain.periods import ClosedMonths, Period, Seal, Text
from services.scoring.domain.proposals import Proposal
from services.scoring.domain.responsibility import Row
from services.scoring.domain.results import Result
from services.scoring.domain.rules import RuleBook
from services.scoring.domain.schemes import Scheme, SchemeTree, StandardInForce, Timeline
from shared.attachments import ATTACHMENTS
from shared.audit.log import AUDIT
from shared.contracts.scoring import FactKind
from shared.serials import SERIALS
from shared.store import Collection, Index

CURRENT = "current"
"""Identity of what there is one of."""

RULE_BOOKS = Collection("rule-books", RuleBook)
FACTS = Collection(
    "facts",
    Fact,
    [
        Index((("happened_at", 1), ("_id", 1))),
        Index((("unit", 1), ("happened_at", -1))),
        # For which nobody answers yet.
        Index((("told_at", 1), ("_id", 1)), partial={"unit": ""}),
    ],
)
CHARGES = Collection("charges", ChargeCount)
LEDGERS = Collection("ledgers", Ledger)
ENTRIES = Collection(
    "entries",
    Entry,
    [
        Index((("case", 1),)),
        Index((("basis", 1),)),
        Index((("unit", 1), ("number", 1)), unique=True),
        Index((("unit", 1), ("period", 1), ("number", 1))),
        # What changed since a moment.
        Index((("unit", 1), ("posted_at", -1), ("number", -1))),
        # What a year's assessment loses by the negative list.
        Index((("kind", 1), ("period", 1), ("unit", 1)), partial={"kind": FactKind.NEGATIVE.value}),
    ],
)
REVERSALS = Collection("reversals", Reversal)
STANDINGS = Collection("standings", Standing, [Index((("period", 1), ("unit", 1)), unique=True)])
TIMELINES = Collection("timelines", Timeline)
SCHEMES = Collection("schemes", Scheme, [Index((("version", -1),), unique=True), Index((("deadline_at", 1),))])
SCHEME_TREES = Collection("scheme-trees", SchemeTree)
"""What the versions say, apart from where they stand: it may come to megabytes."""
STANDARDS = Collection("standards", StandardInForce)
MEASUREMENTS = Collection(
    "measurements",
    Measurement,
    [
        Index((("measured_at", -1), ("_id", -1))),
        Index((("unit", 1), ("measured_at", -1), ("_id", -1))),
        Index((("standard", 1), ("measured_at", -1), ("_id", -1))),
    ],
)
PERIODS = Collection("periods", Period)
CALENDARS = Collection("calendars", ClosedMonths)
SEALS = Collection("seals", Seal)
"""Only ever added to, as `TEXTS` are."""
TEXTS = Collection("texts", Text)
RESULTS = Collection("results", Result, [Index((("scheme", 1), ("period", 1), ("unit", 1)), unique=True)])
LISTS = Collection(
    "lists",
    RedBlackList,
    [
        # What is public, newest first.
        Index((("published_at", -1), ("_id", -1)), partial={"published_at": {"$type": "date"}}),
        # What the office has in hand.
        Index((("drafted_at", -1), ("_id", -1))),
    ],
)
RULE_EDITIONS = Collection("rule-editions", Edition, [Index((("number", -1),), unique=True)])
RULE_DRAFTS = Collection("rule-drafts", Draft, [Index((("made_at", -1), ("_id", -1)))])
PROPOSALS = Collection(
    "proposals",
    Proposal,
    [
        Index((("proposed_at", -1), ("_id", -1))),
        Index((("state", 1), ("proposed_at", -1), ("_id", -1))),
        Index((("unit", 1), ("proposed_at", -1), ("_id", -1))),
    ],
)
CONTESTS = Collection("contests", Contest)
APPEALS = Collection(
    "appeals",
    Appeal,
    [
        Index((("submitted_at", -1), ("_id", -1))),
        Index((("state", 1), ("submitted_at", -1), ("_id", -1))),
        Index((("unit", 1), ("submitted_at", -1), ("_id", -1))),
        Index((("state", 1), ("due_at", 1))),
        Index((("period", 1), ("rule", 1), ("state", 1))),
    ],
)
MATTERS = Collection("matters", Matter, [Index((("deadline_at", 1),))])
NEWEST_MEASURES = (("issued_at", -1), ("_id", -1))
MEASURES = Collection(
    "measures",
    Measure,
    [
        Index(NEWEST_MEASURES),
        Index((("unit", 1), *NEWEST_MEASURES)),
        Index((("cause.case", 1), *NEWEST_MEASURES)),
        Index((("matter", 1), ("rung", 1)), unique=True),
    ],
)
ROLLS = Collection("case-rolls", CaseMatters)
OVERDUE_CASES = Collection("tallies", OverdueCases)
MATRIX = Collection("matrix", Row)
NEGATIVE_LISTS = Collection("negative-lists", NegativeList)
NEGATIVE_EVENTS = Collection(
    "negative-events", NegativeEvent, [Index((("state", 1), ("_id", -1))), Index((("deadline_at", 1),))]
)

COLLECTIONS: tuple[Collection[Any], ...] = (
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
)
"""All that the service keeps."""
