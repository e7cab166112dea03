"""What may be handed in, read from the bytes of a file, never from a name. Pure."""

from __future__ import annotations

import io
import zipfile
from enum import StrEnum

from shared.errors import Invalid, TooLarge, Unsupported

MOST_BYTES = 20 * 1024 * 1024
"""Bytes of a file: a scanned plan of some fifty pages, with room to spare."""


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
