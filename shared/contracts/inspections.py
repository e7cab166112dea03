"""Events of inspections: `inspections.visit`, one aggregate per visit of an inspector to a site (点位)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import AwareDatetime

from shared.contracts.event_model import EventModel, OpenEnum
from shared.contracts.reports import Place


class Severity(OpenEnum):
    """How bad it is."""

    MINOR = "minor"
    MODERATE = "moderate"
    SEVERE = "severe"
    OTHER = "other"


class FindingRecorded(EventModel):
    """An inspector found something that is to be put right; `finding` is its number within the visit, from 1.

    Reports opens exactly one case for it. `category` is one of the reports catalogue, `indicators` and `standard`
    are codes of the assessment scheme. `summary` is official text about the spot, a sentence or two that name no
    person. `photos` are identities in the inspections service, and `unit` is whom the inspector takes to be
    responsible: a hint, the district's routing decides.
    """

    TOPIC: ClassVar[str] = "inspections.visit"
    TYPE: ClassVar[str] = "chuangwen.inspections.visit-finding-recorded.v1"

    visit: str
    finding: int
    site: str
    place: Place
    category: str
    severity: Severity
    found_at: AwareDatetime
    standard: str | None = None
    indicators: tuple[str, ...] = ()
    summary: str = ""
    photos: tuple[str, ...] = ()
    unit: str | None = None
