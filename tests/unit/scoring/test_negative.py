"""The negative list: G15 as it was published, windows, warnings, and an event from suspicion to clearing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.stack import DISTRICT
from services.scoring.district import District
from services.scoring.domain.negative import (
    Alarm,
    CityStatus,
    Date,
    Decision,
    Effect,
    EventState,
    Evidence,
    Item,
    NegativeEvent,
    NegativeList,
    Sanction,
    Situation,
    applied,
    checked,
    points_at_stake,
    require_dates,
    warnings_of,
)
from shared.errors import DomainError, Refused

HENGYANG = District.load(DISTRICT)
SAMPLE = HENGYANG.negative_list
NOON = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)
TEST, APPLICATION = date(2026, 12, 15), date(2027, 9, 1)
NOMINATED = Situation(1, "2024-01-01", CityStatus.NOMINATED, TEST.isoformat(), APPLICATION.isoformat())
TITLED = replace(NOMINATED, status=CityStatus.TITLED)


def g15() -> Item:
    item = SAMPLE.item_on("G15", "2026-11-25")
    assert item is not None
    return item


def effects(situation: Situation, occurred: date, decided: date = date(2027, 1, 4)) -> dict[Effect, date | None]:
    return {each.sanction.effect: each.until for each in applied(g15(), situation, occurred, decided)}


def lost(situation: Situation, occurred: date) -> Decimal:
    return points_at_stake(applied(g15(), situation, occurred, occurred))


def event(**fields: object) -> NegativeEvent:
    made = NegativeEvent("e", "G15", 1, "yingji", NOON, NOON, "reporter", [Evidence("通报", (), NOON, "reporter")])
    return replace(made, **fields)  # type: ignore[arg-type]


def decision(state: EventState, by: str = "leader", at: datetime = NOON) -> Decision:
    return Decision(state, "认定", at, by)


def test_a_title_is_suspended_for_one_year_whenever_it_happened() -> None:
    for occurred in (date(2020, 1, 1), date(2026, 11, 3), date(2027, 1, 3)):
        assert effects(TITLED, occurred) == {Effect.SUSPEND: date(2028, 1, 4)}
        assert lost(TITLED, occurred) == 0


@pytest.mark.parametrize(
    ("occurred", "points"),
    [
        (date(2025, 12, 14), "0"),
        (date(2025, 12, 15), "3"),
        (date(2026, 11, 3), "3"),
        (date(2026, 12, 14), "3"),
        (date(2026, 12, 15), "0"),
    ],
)
def test_a_nominated_city_loses_3_points_for_the_12_months_before_the_annual_test(occurred: date, points: str) -> None:
    assert lost(NOMINATED, occurred) == Decimal(points)
    assert (Effect.DEDUCT in effects(NOMINATED, occurred)) == (points != "0")


@pytest.mark.parametrize(
    ("occurred", "disqualified"),
    [
        (date(2026, 8, 31), False),
        (date(2026, 9, 1), True),
        (date(2027, 8, 31), True),
        (date(2027, 9, 1), False),
    ],
)
def test_a_nominated_city_may_not_apply_for_what_happened_in_the_12_months_before(
    occurred: date, disqualified: bool
) -> None:
    assert (Effect.DISQUALIFY in effects(NOMINATED, occurred)) is disqualified


def test_both_windows_may_hold_and_each_ends_with_its_date() -> None:
    assert effects(NOMINATED, date(2026, 11, 3)) == {Effect.DEDUCT: TEST, Effect.DISQUALIFY: APPLICATION}


@pytest.mark.parametrize("status", [CityStatus.SUSPENDED, CityStatus.NEITHER])
def test_nothing_follows_for_a_city_of_another_status(status: CityStatus) -> None:
    assert effects(replace(NOMINATED, status=status), date(2026, 11, 3)) == {}


@given(st.dates(date(2025, 12, 15), date(2028, 12, 14)))
def test_of_yearly_tests_every_day_counts_for_exactly_one(day: date) -> None:
    tests = [replace(NOMINATED, annual_test=f"{year}-12-15") for year in (2026, 2027, 2028)]
    assert sum(lost(situation, day) for situation in tests) == 3


def test_nothing_is_decided_by_a_date_that_was_over() -> None:
    require_dates(g15(), NOMINATED, TEST - timedelta(days=1))
    with pytest.raises(Refused, match="city-date-past"):
        require_dates(g15(), NOMINATED, TEST)
    require_dates(g15(), TITLED, APPLICATION)


def test_the_situation_is_that_of_the_day_and_a_higher_version_takes_the_place_of_a_lower() -> None:
    later = replace(NOMINATED, effective_from="2026-12-15", annual_test="2027-12-15")
    corrected = replace(NOMINATED, version=2, annual_test="2026-12-20")
    known = NegativeList("current", 1, 30, SAMPLE.items, [later, corrected, NOMINATED])
    assert known.situation_on("2023-12-31") is None
    assert known.situation_on("2026-12-14") == corrected
    assert known.situation_on("2026-12-15") == later


def test_a_later_edition_adds_and_changes_nothing_that_is_there() -> None:
    newer = replace(g15(), version=2, effective_from="2027-01-01", lead="gongan")
    forged = replace(g15(), sanctions=())
    after = SAMPLE.extended(NegativeList("current", 2, 60, [forged, newer], [TITLED]))
    assert (after.version, after.warn_days) == (2, 60)
    assert after.item_on("G15", "2026-12-31") == g15()
    assert after.item_on("G15", "2027-01-01") == newer
    assert after.situations == SAMPLE.situations


def answered(today: date, situation: Situation = NOMINATED, days: int = 30) -> list[tuple[Alarm, date, int]]:
    return [(each.alarm, each.day, each.days) for each in warnings_of([g15()], situation, [], today, days)]


def test_it_is_told_in_time_that_a_window_opens_and_that_it_closes() -> None:
    opens = TEST.replace(year=2025)
    assert answered(opens - timedelta(days=31)) == []
    assert answered(opens - timedelta(days=30)) == [(Alarm.OPENS, opens, 30)]
    assert answered(opens - timedelta(days=1)) == [(Alarm.OPENS, opens, 1)]
    assert answered(opens) == []
    assert answered(TEST - timedelta(days=31)) == []
    assert answered(TEST - timedelta(days=30)) == [(Alarm.CLOSES, TEST, 30)]
    assert answered(TEST - timedelta(days=1), days=0) == []
    assert answered(TEST) == [(Alarm.DATE_PAST, TEST, 0)]
    assert answered(TEST + timedelta(days=9)) == [(Alarm.DATE_PAST, TEST, -9)]


def test_items_with_one_window_are_told_together() -> None:
    today = TEST - timedelta(days=20)
    [closes] = warnings_of(SAMPLE.items, NOMINATED, [], today, 30)
    assert closes.before is Date.ANNUAL_TEST
    assert {"G15", "示例-02"} <= set(closes.items)
    assert "示例-01" not in closes.items


def test_it_is_told_that_a_suspension_is_about_to_end() -> None:
    [suspended] = applied(g15(), TITLED, date(2026, 11, 3), date(2026, 11, 25))
    standing = [("e", "G15", suspended)]
    [ends] = warnings_of([], replace(TITLED, annual_test=None, application=None), standing, date(2027, 11, 1), 30)
    assert (ends.alarm, ends.day, ends.event) == (Alarm.ENDS, date(2027, 11, 25), "e")
    assert suspended.in_effect(date(2027, 11, 24))
    assert not suspended.in_effect(date(2027, 11, 25))


@pytest.mark.parametrize("way", [(), (EventState.CONFIRMED,)])
def test_it_is_cleared_from_suspicion_or_after_it_was_confirmed_and_that_is_the_end(
    way: tuple[EventState, ...],
) -> None:
    events = event()
    for state in way:
        events.confirm(decision(state), Decimal(3))
    events.clear(decision(EventState.CLEARED))
    assert events.state is EventState.CLEARED
    with pytest.raises(Refused, match="negative-event-state"):
        events.clear(decision(EventState.CLEARED))
    with pytest.raises(Refused, match="negative-event-state"):
        events.confirm(decision(EventState.CONFIRMED), Decimal(3))
    with pytest.raises(Refused, match="negative-event-state"):
        events.add(Evidence("补充", (), NOON, "office"))


def test_it_is_confirmed_once() -> None:
    events = event()
    events.confirm(decision(EventState.CONFIRMED), Decimal(3))
    with pytest.raises(Refused, match="negative-event-state"):
        events.confirm(decision(EventState.CONFIRMED, by="office"), Decimal(3))


@pytest.mark.parametrize(
    ("sanction", "code", "field"),
    [
        (Sanction(CityStatus.NOMINATED, Effect.DEDUCT), "negative-number-unfit", "points"),
        (Sanction(CityStatus.TITLED, Effect.REVOKE, points=Decimal(1)), "negative-number-unfit", "points"),
        (Sanction(CityStatus.TITLED, Effect.SUSPEND), "negative-number-unfit", "months"),
        (Sanction(CityStatus.TITLED, Effect.REVOKE, window_months=12), "negative-number-unfit", "window_months"),
        (Sanction(CityStatus.TITLED, Effect.REVOKE, Date.APPLICATION, 0), "negative-number-unfit", "window_months"),
        (Sanction(CityStatus.NEITHER, Effect.DISQUALIFY, Date.APPLICATION, 12), "negative-date-missing", "before"),
    ],
)
def test_a_slip_in_a_sanction_is_named(sanction: Sanction, code: str, field: str) -> None:
    item = replace(g15(), sanctions=(sanction,))
    undated = Situation(1, "2020-01-01", CityStatus.NEITHER)
    with pytest.raises(DomainError) as refused:
        checked(NegativeList("current", 1, 30, [item], [NOMINATED, undated]), HENGYANG.units)
    assert (refused.value.code, refused.value.field) == (code, f"items.0.sanctions.0.{field}")


def test_a_slip_in_an_item_is_named() -> None:
    for item, code in (
        (replace(g15(), lead="nobody"), "unit-unknown"),
        (replace(g15(), effective_from="2026-2-1"), "negative-day-unfit"),
    ):
        with pytest.raises(DomainError) as refused:
            checked(NegativeList("current", 1, 30, [item], []), HENGYANG.units)
        assert refused.value.code == code
