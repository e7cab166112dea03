"""What is stored of a case: documents that an earlier version wrote still load, and are written again the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_jsonable_python

from services.reports.domain.lookup import derived
from services.reports.repo import CASES

STORED: list[dict[str, Any]] = json.loads(Path(__file__).with_name("stored_cases.json").read_text(encoding="utf-8"))
"""Written when a case still knew itself what it is looked up by."""
MOVED = {"cell", "location", "clocks"}
"""Places are stored as squares now, and clocks say what they rest on."""


@pytest.mark.parametrize("document", STORED, ids=[each["state"] for each in STORED])
def test_documents_of_an_earlier_version_are_read_and_written_the_same(document: dict[str, Any]) -> None:
    case = CASES.to_entity(document)
    again = to_jsonable_python(CASES.to_document(case, document["v"], document["s"]))
    for name in document.keys() - MOVED:
        assert again[name] == document[name], name
    assert again["map"]["cell"] == document["cell"]
    assert CASES.to_entity(again) == case


def test_what_the_database_needs_is_no_part_of_a_case() -> None:
    case = CASES.to_entity(STORED[0])
    assert not derived(case).keys() & vars(case).keys()
