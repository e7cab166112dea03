"""What the portal refuses is said on a page, with the status and the words of its code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.portal.app import SERVICE
from services.portal.forms import BODY_BYTES, FIELDS
from shared.messages import Messages
from tests.inprocess import Inside
from tests.integration.portal_world import FakeReports, a_portal

MANY_FIELDS = b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n' * (FIELDS + 1) + b"--x--\r\n"
MESSAGES = Messages.load(*SERVICE.messages)


@pytest.fixture
async def portal(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with a_portal(mongodb_uri, namespace, tmp_path, FakeReports()) as portal:
        yield portal


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/lists/nobody", "list-not-shown"),
        ("/units/nobody", "unit-not-shown"),
        ("/cases/nobody", "case-not-shown"),
        ("/photos/no.body/large", "photo-not-shown"),
    ],
)
async def test_what_is_not_there_is_said_in_its_own_words(portal: Inside, path: str, code: str) -> None:
    answer = await portal.http.get(path)
    assert answer.status_code == 404
    assert _opening(code) in answer.text


@pytest.mark.parametrize(
    ("path", "sent", "status", "code"),
    [
        ("/track/nothing", b"", 404, "page-unknown"),
        ("/report", MANY_FIELDS, 422, "report-unreadable"),
        ("/report", b"x" * (BODY_BYTES + 1), 413, "report-too-large"),
    ],
    ids=["page-unknown", "report-unreadable", "report-too-large"],
)
async def test_what_cannot_be_taken_is_said_in_its_own_words(
    portal: Inside, path: str, sent: bytes, status: int, code: str
) -> None:
    kind = {"content-type": "multipart/form-data; boundary=x"}
    answer = await portal.http.post(path, content=sent, headers=kind)
    assert answer.status_code == status
    assert _opening(code) in answer.text


async def test_a_form_of_another_site_is_refused_in_its_own_words(portal: Inside) -> None:
    answer = await portal.http.post("/report", data={}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert _opening("form-foreign") in answer.text


def _opening(code: str) -> str:
    """The sentence as far as it is the same for all."""
    assert code in MESSAGES
    return MESSAGES.text(code).partition("…")[0].strip(" “")
