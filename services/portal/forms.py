"""The report form: what was typed, what is missing in it, and how it goes to the reports service."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.datastructures import FormData, UploadFile

from services.portal.district import District
from services.portal.reporting import Fault

PHOTO_LIMIT = 3
PHOTO_BYTES = 15 * 1024 * 1024
BODY_BYTES = 48 * 1024 * 1024
"""Three of the largest photos, and the text."""
FIELD_BYTES = 65_536
FIELDS = 40

_KEY = re.compile(r"[0-9a-f]{32}")
PHOTO_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")

Faults = dict[str, str]
"""The name of a text by the form's field; `""` stands for the form as a whole."""

# The reports service names its own input; these are the fields where a person typed it.
_FIELDS = {
    "category": "category",
    "longitude": "place",
    "latitude": "place",
    "crs": "place",
    "place": "place",
    "address": "address",
    "text": "text",
    "photos": "photos",
    "reporter.name": "name",
    "reporter.phone": "phone",
    "phone": "phone",
    "name": "name",
}


def new_key() -> str:
    """What makes a form one report, however often it is sent."""
    return secrets.token_hex(16)


@dataclass(frozen=True)
class Report:
    """The form as typed. `kept` are photos that the reports service has already."""

    key: str = field(default_factory=new_key)
    category: str = ""
    community: str = ""
    longitude: str = ""
    latitude: str = ""
    address: str = ""
    text: str = ""
    name: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    kept: tuple[str, ...] = ()

    @classmethod
    def read(cls, form: FormData) -> Report:
        """What was typed; a malformed key or photo identity is not taken over."""
        typed = {name: _text(form, name) for name in cls.__dataclass_fields__ if name not in {"key", "kept"}}
        key, kept = _text(form, "key"), form.getlist("kept")
        return cls(
            key=key if _KEY.fullmatch(key) else new_key(),
            kept=tuple(dict.fromkeys(str(id) for id in kept if PHOTO_ID.fullmatch(str(id))))[:PHOTO_LIMIT],
            **typed,
        )

    def again(self, kept: Sequence[str]) -> Report:
        """The form to be corrected: what was refused is not on file, so the next try is a new report."""
        return replace(self, key=new_key(), kept=tuple(kept))

    def faults(self, photos: Sequence[UploadFile], district: District) -> Faults:
        """What can be seen here already; everything else is the reports service's to say."""
        found: Faults = {}
        category = district.categories.get(self.category)
        if category is None:
            found["category"] = "fault-category"
        if self.spot(district) is None:
            found["place"] = "fault-place"
        if len(photos) + len(self.kept) > PHOTO_LIMIT:
            found["photos"] = "fault-photos-many"
        elif any((photo.size or 0) > PHOTO_BYTES for photo in photos):
            found["photos"] = "fault-photo-large"
        elif category is not None and category.photo_required and not (photos or self.kept):
            found["photos"] = "fault-photo-required"
        return found

    def spot(self, district: District) -> tuple[float, float] | None:
        """Longitude and latitude (WGS-84): as located, else somewhere in the community that was chosen."""
        longitude, latitude = _degrees(self.longitude), _degrees(self.latitude)
        if longitude is not None and latitude is not None:
            return longitude, latitude
        inside = district.map.spot_in(self.community)
        return (inside.longitude, inside.latitude) if inside else None

    def case(self, district: District, photos: Sequence[str]) -> dict[str, Any]:
        """The body of `POST /cases`. Only for a report without faults."""
        spot = self.spot(district)
        if spot is None:
            raise ValueError("a report without a place")
        reporter = {"name": self.name or None, "phone": self.phone or None}
        return {
            "category": self.category,
            "longitude": spot[0],
            "latitude": spot[1],
            "crs": "wgs84",
            "address": self.address,
            "text": self.text,
            "channel": "citizen",
            "photos": list(photos),
            "reporter": reporter if any(reporter.values()) else None,
        }


def photos_of(form: FormData) -> list[UploadFile]:
    """The photos that were chosen; an empty file input sends a nameless nothing."""
    return [part for part in form.getlist("photos") if isinstance(part, UploadFile) and part.size]


def at_fields(faults: Sequence[Fault]) -> Mapping[str, str]:
    """What the reports service said, by the field of the form."""
    told: dict[str, str] = {}
    for fault in faults:
        path = fault.field.removeprefix("body.")
        name = _FIELDS.get(path) or _FIELDS.get(path.split(".")[0], "")
        told.setdefault(name, fault.message)
    return told


def _degrees(typed: str) -> float | None:
    try:
        degrees = float(typed)
    except ValueError:
        return None
    return degrees if -180 <= degrees <= 180 else None


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""
