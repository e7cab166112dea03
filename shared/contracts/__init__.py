"""What services say to each other: topics, event models by type, and the documents generated from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shared.contracts import inspections, reports, scoring
from shared.contracts.event_model import MODELS, EventModel, EventPart, OpenEnum

__all__ = [
    "MODELS",
    "PUBLISHED",
    "SUBSCRIPTIONS",
    "TOPICS",
    "EventModel",
    "EventPart",
    "OpenEnum",
    "Topic",
    "inspections",
    "reports",
    "scoring",
]


@dataclass(frozen=True)
class Topic:
    """A Kafka topic: who writes it, what a key is, and how many partitions it is created with (for good)."""

    name: str
    owner: str
    aggregate: str
    partitions: int = 24
    internal: bool = False


TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        Topic("inspections.visit", owner="inspections", aggregate="a visit"),
        Topic("reports.case", owner="reports", aggregate="a case"),
        Topic("scoring.charge", owner="scoring", aggregate="a fact's matter and a unit; keyed by unit", internal=True),
        Topic("scoring.entry", owner="scoring", aggregate="a unit's ledger"),
        Topic("scoring.list", owner="scoring", aggregate="a red or black list"),
        Topic("scoring.measure", owner="scoring", aggregate="a measure"),
        Topic("scoring.scheme", owner="scoring", aggregate="a version of the assessment scheme"),
        Topic("scoring.standing", owner="scoring", aggregate="a unit in a period"),
    )
}

# MODELS also takes up what tests define; this is what we promise to the outside.
PUBLISHED: Mapping[str, type[EventModel]] = MappingProxyType(dict(MODELS))

# Who listens: consumer group, `<service>.<purpose>` -> topics; a generation of a read model adds `.g<number>`.
# It stands here because the document of all listeners is generated where no service can be imported.
SUBSCRIPTIONS: dict[str, tuple[str, ...]] = {
    "reports.findings": ("inspections.visit",),
    "scoring.charges": ("inspections.visit", "reports.case"),
    "scoring.ladder": ("reports.case", "scoring.standing"),
    "scoring.ledger": ("scoring.charge",),
    "portal.board": ("reports.case", "scoring.entry", "scoring.list", "scoring.measure", "scoring.standing"),
}
