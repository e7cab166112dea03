"""The rules of reports, without I/O: the case and its life, categories and units, routing."""

from services.reports.domain.case import (
    ID_RANDOM_BYTES,
    PHOTO_LIMIT,
    TRANSITIONS,
    Case,
    Command,
    Events,
    Fact,
    Place,
    Reporter,
    new_case_id,
)
from services.reports.domain.catalogue import Category, Group, Name, Unit
from services.reports.domain.routing import ANY, Route, Router, Routing, Why
from services.reports.domain.writing import TEXT_LIMIT, phone_number, plain_text

__all__ = [
    "ANY",
    "ID_RANDOM_BYTES",
    "PHOTO_LIMIT",
    "TEXT_LIMIT",
    "TRANSITIONS",
    "Case",
    "Category",
    "Command",
    "Events",
    "Fact",
    "Group",
    "Name",
    "Place",
    "Reporter",
    "Route",
    "Router",
    "Routing",
    "Unit",
    "Why",
    "new_case_id",
    "phone_number",
    "plain_text",
]
