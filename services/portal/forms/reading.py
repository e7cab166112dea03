"""What browsers send, read leniently: a form that is not ours becomes an empty one, never an error."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence

from starlette.datastructures import FormData, UploadFile

from shared.http.peer import Fault

PHOTO_LIMIT = 3
PHOTO_BYTES = 15 * 1024 * 1024
BODY_BYTES = 48 * 1024 * 1024
"""Three of the largest photos, and the text."""
FIELD_BYTES = 65_536
WORDS_BYTES = 65_536
"""A form without photos."""
FIELDS = 1_100
"""All boxes of 20 questions with 50 options each, and the other fields."""

PHOTO_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_KEY = re.compile(r"[0-9a-f]{32}")

Faults = dict[str, str]
"""The name of a text by the form's field; `""` stands for the form as a whole."""

ANSWER = "answer."
"""What the names of fields that answer a category's questions begin with."""

# The reports service names its own input; these are the fields where a person typed it.
_FIELDS = {
    "category": "category",
    "longitude": "place",
    "latitude": "place",
    "crs": "place",
    "place": "place",
    "address": "address",
    "text": "text",
    "reason": "text",
    "photos": "photos",
    "reporter.name": "name",
    "reporter.phone": "phone",
    "phone": "phone",
    "name": "name",
}


def new_key() -> str:
    """What makes a form one request, however often it is sent."""
    return secrets.token_hex(16)


def key_of(form: FormData) -> str:
    """The form's key; a new one in place of what is none of ours."""
    key = text_of(form, "key")
    return key if _KEY.fullmatch(key) else new_key()


def text_of(form: FormData, name: str) -> str:
    """What was typed, without blanks around it."""
    value = form.get(name)
    return whole(value).strip() if isinstance(value, str) else ""


def whole(text: str) -> str:
    """The text as it can be written down: half a character, which some encodings can name, becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def photos_of(form: FormData) -> list[UploadFile]:
    """The photos that were chosen; an empty file input sends a nameless nothing."""
    return [part for part in form.getlist("photos") if isinstance(part, UploadFile) and part.size]


def kept_of(form: FormData) -> tuple[str, ...]:
    """The photos that the reports service has already and that are to stay."""
    kept = (str(id) for id in form.getlist("kept") if PHOTO_ID.fullmatch(str(id)))
    return tuple(dict.fromkeys(kept))[:PHOTO_LIMIT]


def photo_fault(photos: Sequence[UploadFile], kept: Sequence[str]) -> str | None:
    """The text for photos that the reports service would not take."""
    if len(photos) + len(kept) > PHOTO_LIMIT:
        return "fault-photos-many"
    return "fault-photo-large" if any((photo.size or 0) > PHOTO_BYTES for photo in photos) else None


def at_fields(faults: Sequence[Fault]) -> Mapping[str, str]:
    """What the reports service said, by the field of the form."""
    found: dict[str, str] = {}
    for fault in faults:
        path = fault.field.removeprefix("body.")
        first, _, rest = path.partition(".")
        name = f"{ANSWER}{rest.partition('.')[0]}" if first == "answers" and rest else ""
        found.setdefault(name or _FIELDS.get(path) or _FIELDS.get(first, ""), fault.message)
    return found
