"""Who reported: recognised however the number is written, masked by role, never told by accident."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.reports.domain.reporter import (
    SIGHTS,
    Moderated,
    ReportingTerms,
    Sight,
    next_day,
    sight_of,
)
from shared.contracts.reports import Channel

TERMS = ReportingTerms(
    version=1,
    area_code="0734",
    reports_per_day=20,
    updates_per_day=10,
    moderated_channels=(Channel.CITIZEN,),
    moderated=Moderated.PHOTOS,
    retention_days=365,
)


def test_only_who_has_to_call_may_open_a_reporter() -> None:
    openers = {role for role in SIGHTS if sight_of([role], in_charge=True, may_call=True).opens}
    assert openers == {"office", "dispatcher", "liaison"}
    openers = {role for role in SIGHTS if sight_of([role], in_charge=False, may_call=True).opens}
    assert openers == {"office", "dispatcher"}
    openers = {role for role in SIGHTS if sight_of([role], in_charge=True, may_call=False).opens}
    assert openers == {"office", "dispatcher"}


@pytest.mark.parametrize("role", ["citizen", "leader", "discipline", "operator", "service", "nobody"])
def test_who_has_nothing_to_do_with_reporters_sees_nothing(role: str) -> None:
    assert sight_of([role], in_charge=True, may_call=True) == Sight()


def test_a_unit_sees_the_reporters_of_its_own_cases_only() -> None:
    assert sight_of(["officer", "liaison"], in_charge=False, may_call=True) == Sight()
    assert sight_of(["officer"], in_charge=True, may_call=True) == Sight(name=True)
    assert sight_of(["liaison"], in_charge=True, may_call=False) == Sight(name=True)


def test_what_newcomers_hand_in_waits_as_the_terms_say() -> None:
    assert TERMS.waits(Channel.CITIZEN, with_photos=True)
    assert not TERMS.waits(Channel.CITIZEN, with_photos=False)
    assert not TERMS.waits(Channel.HOTLINE, with_photos=True)
    assert replace(TERMS, moderated=Moderated.ALL).waits(Channel.CITIZEN, with_photos=False)
    assert not replace(TERMS, moderated=Moderated.NONE).waits(Channel.CITIZEN, with_photos=True)


def test_days_begin_in_shanghai() -> None:
    assert next_day(datetime(2026, 3, 2, 15, 59, 59, tzinfo=UTC)) == datetime(2026, 3, 2, 16, tzinfo=UTC)
    assert next_day(datetime(2026, 3, 2, 16, tzinfo=UTC)) == datetime(2026, 3, 3, 16, tzinfo=UTC)
