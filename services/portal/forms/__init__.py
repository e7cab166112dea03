"""The forms: what was typed, what is missing in it, and how it goes to the reports service."""

from services.portal.forms.feedback import ACTIONS, Feedback
from services.portal.forms.reading import (
    BODY_BYTES,
    FIELD_BYTES,
    FIELDS,
    PHOTO_BYTES,
    PHOTO_ID,
    PHOTO_LIMIT,
    WORDS_BYTES,
    Faults,
    at_fields,
    new_key,
    photos_of,
    text_of,
)
from services.portal.forms.report import Report

__all__ = [
    "ACTIONS",
    "BODY_BYTES",
    "FIELDS",
    "FIELD_BYTES",
    "PHOTO_BYTES",
    "PHOTO_ID",
    "PHOTO_LIMIT",
    "WORDS_BYTES",
    "Faults",
    "Feedback",
    "Report",
    "at_fields",
    "new_key",
    "photos_of",
    "text_of",
]
