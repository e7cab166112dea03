"""The rules of reports, without I/O: the case and its life, its clocks, categories and units, routing."""

from services.reports.domain.answers import Answer, check_answers
from services.reports.domain.areas import Areas
from services.reports.domain.cases import (
    FACTS_LIMIT,
    ID_RANDOM_BYTES,
    PHOTO_LIMIT,
    Act,
    Case,
    Events,
    new_case_id,
)
from services.reports.domain.catalogue import (
    AnswerKind,
    Catalogue,
    CatalogueHead,
    Category,
    CategoryVersion,
    Option,
    Question,
)
from services.reports.domain.clocks import Clock, Moment, Terms, Timetable
from services.reports.domain.facts import ExtensionRequest, Fact, Moderation, Place
from services.reports.domain.person import Person
from services.reports.domain.reporter import Reporter, ReportingTerms
from services.reports.domain.routing import ANY, Route, Router, Routing, Why
from services.reports.domain.transitions import SYSTEM, TABLE, TRANSITIONS, Actor, Transition, transition
from services.reports.domain.words import COMMANDS_ZH, SIDES_ZH, STAGES_ZH, STATES_ZH, Command, Side
from services.reports.domain.writing import TEXT_LIMIT, phone_number, plain_text
from shared.district.names import Group, Name, Unit

__all__ = [
    "ANY",
    "COMMANDS_ZH",
    "FACTS_LIMIT",
    "ID_RANDOM_BYTES",
    "PHOTO_LIMIT",
    "SIDES_ZH",
    "STAGES_ZH",
    "STATES_ZH",
    "SYSTEM",
    "TABLE",
    "TEXT_LIMIT",
    "TRANSITIONS",
    "Act",
    "Actor",
    "Answer",
    "AnswerKind",
    "Areas",
    "Case",
    "Catalogue",
    "CatalogueHead",
    "Category",
    "CategoryVersion",
    "Clock",
    "Command",
    "Events",
    "ExtensionRequest",
    "Fact",
    "Group",
    "Moderation",
    "Moment",
    "Name",
    "Option",
    "Person",
    "Place",
    "Question",
    "Reporter",
    "ReportingTerms",
    "Route",
    "Router",
    "Routing",
    "Side",
    "Terms",
    "Timetable",
    "Transition",
    "Unit",
    "Why",
    "check_answers",
    "new_case_id",
    "phone_number",
    "plain_text",
    "transition",
]
