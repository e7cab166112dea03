"""What can be reported: from the file, from the reports service, and while that is away."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from deploy.local.stack import DISTRICT
from services.portal.clients.catalogue import LiveCatalogue
from services.portal.district import District
from services.portal.district.catalogue import Catalogue
from shared.errors import Unavailable
from tests.unit.portal.categories import asked, category

FIRST = District.load(DISTRICT).catalogue


class Office:
    """A reports service whose catalogue the test edits, and that counts how often it is asked."""

    def __init__(self, *categories: dict[str, Any]) -> None:
        self.categories = list(categories)
        self.asked: list[str | None] = []
        self.fault: Exception | None = None
        self.silent = False

    async def read(self, tag: str | None) -> tuple[str, bytes] | None:
        self.asked.append(tag)
        if self.silent:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault
        body = json.dumps(self.categories).encode()
        current = f'"{hash(body)}"'
        return None if tag == current else (current, body)


def test_every_category_of_the_file_is_offered_once_and_known() -> None:
    offered = [category.code for _, members in FIRST.grouped() for category in members]
    assert sorted(offered) == sorted(FIRST.categories)
    assert FIRST.categories["exposed-rubbish"].name.zh == "暴露垃圾"


def test_places_of_cases_that_are_not_public_are_hidden() -> None:
    assert FIRST.hides_place("noise")
    assert FIRST.hides_place("a category of tomorrow")
    assert not FIRST.hides_place("exposed-rubbish")


def test_what_the_office_has_retired_is_known_but_not_offered() -> None:
    catalogue = Catalogue.parse(json.dumps([category("bins"), category("stalls", retired=True, public=False)]).encode())
    assert catalogue.open("stalls") is None
    assert catalogue.categories["stalls"].name.zh == "类别 stalls"
    assert catalogue.hides_place("stalls")
    assert [(group.code, [each.code for each in members]) for group, members in catalogue.grouped()] == [
        ("appearance", ["bins"])
    ]


def test_questions_come_with_their_options_in_both_languages() -> None:
    catalogue = Catalogue.parse(
        json.dumps([category("bins"), category("toilets", questions=[asked("faults", "choices")])]).encode()
    )
    [toilets] = catalogue.asking()
    [question] = toilets.questions
    assert (question.kind, question.required, [each.name.en for each in question.options]) == (
        "choices",
        False,
        ["one", "two"],
    )


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'[{"code": "x", "name": "x"}]'])
async def test_an_answer_in_another_form_changes_nothing(body: bytes) -> None:
    async def read(tag: str | None) -> tuple[str, bytes]:
        return "", body

    assert await LiveCatalogue(FIRST, read).current() is FIRST


async def test_an_edit_is_seen_and_the_same_catalogue_is_not_sent_twice() -> None:
    office = Office(category("bins"))
    live = LiveCatalogue(FIRST, office.read, hold=0)
    before = await live.current()
    assert set(before.categories) == {"bins"}
    assert await live.current() is before
    office.categories.append(category("stalls"))
    assert set((await live.current()).categories) == {"bins", "stalls"}
    assert office.asked[0] is None
    assert office.asked[1] == office.asked[2] is not None


async def test_a_catalogue_is_good_for_a_moment() -> None:
    office = Office(category("bins"))
    live = LiveCatalogue(FIRST, office.read, hold=60)
    assert await live.current() is await live.current()
    assert len(office.asked) == 1


async def test_while_reports_is_away_the_last_known_catalogue_stands() -> None:
    office = Office(category("bins"))
    office.fault = Unavailable("nobody is there")
    live = LiveCatalogue(FIRST, office.read, hold=0)
    assert await live.current() is FIRST
    office.fault = None
    assert set((await live.current()).categories) == {"bins"}
    office.fault = Unavailable("gone again")
    assert set((await live.current()).categories) == {"bins"}


async def test_no_page_waits_for_a_silent_service_and_it_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.portal.clients.catalogue.PATIENCE", 0.01)
    office = Office()
    office.silent = True
    live = LiveCatalogue(FIRST, office.read, hold=0)
    found = await asyncio.gather(*(live.current() for _ in range(10)))
    assert all(catalogue is FIRST for catalogue in found)
    assert len(office.asked) == 1
