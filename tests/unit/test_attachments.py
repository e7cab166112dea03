"""Files of staff: what they are, by their bytes, and who may show them."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime

import pytest

from shared.attachments import GRACE, MOST_BYTES, Attachment, Kind, kind_of
from shared.errors import DomainError, Invalid, Refused, TooLarge, Unsupported

NOON = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)


def package(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name in names:
            packed.writestr(name, "x")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"%PDF-1.7\n", Kind.PDF),
        (b"\xff\xd8\xff\xe0", Kind.JPEG),
        (b"\x89PNG\r\n\x1a\n", Kind.PNG),
        (package("[Content_Types].xml", "word/document.xml"), Kind.DOCX),
        (package("[Content_Types].xml", "xl/workbook.xml"), Kind.XLSX),
        (package("OFD.xml", "Doc_0/Document.xml"), Kind.OFD),
    ],
)
def test_a_file_is_what_its_bytes_say(content: bytes, kind: Kind) -> None:
    assert kind_of(content) is kind


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", Invalid),
        (b"%PDF-" + b"0" * MOST_BYTES, TooLarge),
        (b"<html><script>", Unsupported),
        (b"MZ\x90\x00", Unsupported),
        (b"PK\x03\x04 cut off", Unsupported),
        (package("a.txt"), Unsupported),
        (package("word/document.xml", "word/vbaProject.bin"), Unsupported),
        (package("word/document.xml")[:-30], Unsupported),
    ],
)
def test_another_file_is_refused(content: bytes, error: type[DomainError]) -> None:
    with pytest.raises(error):
        kind_of(content)


def attachment() -> Attachment:
    return Attachment("a", Kind.PDF, 5, "0" * 64, NOON, "liaison", deadline_at=NOON)


def test_who_handed_it_in_lets_one_thing_show_it() -> None:
    kept = attachment()
    with pytest.raises(Refused, match="attachment-of-another"):
        kept.claim("matrix", "somebody", "attachment")
    kept.claim("matrix", "liaison", "attachment")
    assert (kept.claimed_by, kept.deadline_at) == ("matrix", None)
    with pytest.raises(Refused, match="attachment-taken"):
        kept.claim("negative-event", "liaison", "attachment")


def test_what_nobody_claims_is_given_up_before_it_goes() -> None:
    kept = attachment()
    assert kept.abandon(NOON) is False
    assert kept.deadline_at == NOON + GRACE
    with pytest.raises(Refused, match="attachment-taken"):
        kept.claim("matrix", "liaison", "attachment")
    assert kept.abandon(NOON + GRACE) is True
