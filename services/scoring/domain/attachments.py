"""Files that staff hands in: plans, and evidence. What a file is, is read from its bytes, never from a name."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.errors import Invalid, Refused, TooLarge, Unsupported

MOST_BYTES = 20 * 1024 * 1024
"""Bytes of a file: a scanned plan of some fifty pages, with room to spare."""
UNCLAIMED_FOR = timedelta(hours=24)
"""How long a file is kept that nothing shows."""
GRACE = timedelta(minutes=1)


class Kind(StrEnum):
    """What may be handed in: what offices exchange, without macros."""

    PDF = "pdf"
    OFD = "ofd"
    DOCX = "docx"
    XLSX = "xlsx"
    JPEG = "jpg"
    PNG = "png"

    @property
    def media_type(self) -> str:
        """For HTTP."""
        return _MEDIA_TYPES[self]


_OFFICE = "application/vnd.openxmlformats-officedocument"
_MEDIA_TYPES = {
    Kind.PDF: "application/pdf",
    Kind.OFD: "application/ofd",
    Kind.DOCX: f"{_OFFICE}.wordprocessingml.document",
    Kind.XLSX: f"{_OFFICE}.spreadsheetml.sheet",
    Kind.JPEG: "image/jpeg",
    Kind.PNG: "image/png",
}
_BEGINNINGS = {b"%PDF-": Kind.PDF, b"\xff\xd8\xff": Kind.JPEG, b"\x89PNG\r\n\x1a\n": Kind.PNG}
# Packages (GB/T 33190, ECMA-376) are told apart by the part that each must have.
_PARTS = {"OFD.xml": Kind.OFD, "word/document.xml": Kind.DOCX, "xl/workbook.xml": Kind.XLSX}


def kind_of(content: bytes) -> Kind:
    """What kind of file the bytes are.

    Raises Invalid (attachment-empty), TooLarge (attachment-too-large), Unsupported (attachment-kind-unsupported).
    """
    if not content:
        raise Invalid("attachment-empty")
    if len(content) > MOST_BYTES:
        raise TooLarge("attachment-too-large", limit=MOST_BYTES)
    kind = next((kind for start, kind in _BEGINNINGS.items() if content.startswith(start)), None) or _packed(content)
    if kind is None:
        raise Unsupported("attachment-kind-unsupported", known=", ".join(each.value for each in Kind))
    return kind


def _packed(content: bytes) -> Kind | None:
    if not content.startswith(b"PK\x03\x04"):
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            names = set(package.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return None
    if any(name.lower().endswith("vbaproject.bin") for name in names):
        return None
    return next((kind for part, kind in _PARTS.items() if part in names), None)


@dataclass
class Attachment:
    """A file that was handed in; what shows it claims it, or it goes a day after `uploaded_at` (UTC).

    `uploaded_by` is the subject of a token. `deadline_at` is when something has to happen to a file nobody claimed.
    """

    id: str
    kind: Kind
    byte_count: int
    sha256: str
    uploaded_at: datetime
    uploaded_by: str
    claimed_by: str | None = None
    abandoned: bool = False
    deadline_at: datetime | None = None

    def claim(self, owner: str, by: str, field: str) -> None:
        """Let `owner` show it from now on; only who handed it in may say so, and only once.

        Raises Refused (attachment-taken, attachment-of-another).
        """
        if self.uploaded_by != by:
            raise Refused("attachment-of-another", field=field)
        if self.abandoned or self.claimed_by is not None:
            raise Refused("attachment-taken", field=field)
        self.claimed_by, self.deadline_at = owner, None

    def abandon(self, now: datetime) -> bool:
        """Nothing claims it any more. Whether it was so before: then the file may go, and what was begun has ended."""
        before = self.abandoned
        self.abandoned, self.deadline_at = True, now + GRACE
        return before
