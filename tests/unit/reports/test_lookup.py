"""What a case is looked up by follows from the case, whatever is done to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.reports.domain import SYSTEM, Case, Place
from services.reports.domain import lookup as by
from services.reports.domain.transitions import TABLE
from services.reports.domain.words import Command, Side
from shared.contracts.reports import CaseState, Channel, Kind, Level, Stage
from shared.errors import Invalid
from tests.unit.reports.cases import (
    ACTORS,
    CENTRE,
    DEEDS,
    DUE,
    HELPING_UNIT,
    LAMP,
    MINUTE,
    MONDAY_NINE,
    OFFICER,
    RUBBISH,
    STATES,
    TO_OFFICE,
    UNIT,
    act,
    china,
    in_state,
    registered,
)

MOVES = [
    (state, row.command, side)
    for row in TABLE
    for state in STATES
    for side in sorted(row.sides)
    if state in row.sources and row.command in DEEDS and row.command is not Command.UNMERGE
    if side is not Side.UNIT or in_state(state).unit == UNIT
]


@pytest.mark.parametrize(("state", "command", "side"), MOVES, ids=lambda each: str(each.value))
def test_after_every_command_a_case_is_found_where_it_stands(state: CaseState, command: Command, side: Side) -> None:
    case = in_state(state)
    if command in {Command.GRANT_EXTENSION, Command.REFUSE_EXTENSION}:
        case.ask_extension(act(OFFICER, MONDAY_NINE + 10 * MINUTE), "需要配件")
    DEEDS[command](case, act(ACTORS[side], MONDAY_NINE + 20 * MINUTE))
    assert [each for each in by.lists_of(case) if each.startswith("all/state/")] == [by.in_state(None, case.state)]


def test_a_case_stands_in_the_lists_of_those_in_charge_and_of_all() -> None:
    case = registered(LAMP, TO_OFFICE)
    case.dispatch(act(CENTRE), UNIT, supporting=[HELPING_UNIT])
    for unit in (None, UNIT, HELPING_UNIT):
        assert by.in_state(unit, CaseState.DISPATCHED) in by.lists_of(case)
        assert by.duty(unit, Stage.ACKNOWLEDGE) in by.duties_of(case)
        assert by.duty(unit) in by.duties_of(case)
    assert by.leading_duty(UNIT, Stage.ACKNOWLEDGE) in by.duties_of(case)
    assert by.leading_duty(HELPING_UNIT, Stage.ACKNOWLEDGE) not in by.duties_of(case)
    assert by.duty_about(LAMP.code) in by.duties_of(case)
    assert {
        by.of_category(None, LAMP.code),
        by.of_category(HELPING_UNIT, LAMP.code),
        by.of_community("430476001004"),
        by.through(Channel.CITIZEN),
    } <= {*by.lists_of(case)}
    assert by.of_kind(Kind.PRAISE) not in by.lists_of(case)
    assert by.REPEATS not in by.lists_of(case)


def test_time_that_runs_short_and_out_shows_in_the_lists() -> None:
    case = registered(RUBBISH)
    assert not case.due_soon
    case.mark_overdue(act(SYSTEM, china("03-02 14:30")))
    assert case.due_soon
    assert by.due_soon(UNIT) in by.lists_of(case)
    assert by.due_soon(UNIT) in by.duties_of(case)
    case.mark_overdue(act(SYSTEM, DUE))
    assert by.due_soon(UNIT) not in by.lists_of(case)
    assert by.at_level(UNIT, Level.BLUE) in by.lists_of(case)
    assert by.at_level(UNIT, Level.BLUE) in by.duties_of(case)
    case.mark_overdue(act(SYSTEM, china("03-03 15:00")))
    assert by.at_level(None, Level.ORANGE) in by.lists_of(case)
    assert by.at_level(None, Level.BLUE) not in by.lists_of(case)


def test_what_is_to_be_decided_is_a_duty_of_whoever_decides() -> None:
    case = in_state(CaseState.RECTIFYING)
    case.ask_extension(act(OFFICER, MONDAY_NINE + 9 * MINUTE), "需要配件")
    assert by.EXTENSION in by.duties_of(case)
    case.decide_extension(act(CENTRE, MONDAY_NINE + 10 * MINUTE), True)
    assert by.EXTENSION not in by.duties_of(case)
    case.ask_extension(act(OFFICER, MONDAY_NINE + 11 * MINUTE), "仍需配件")
    assert by.FURTHER_EXTENSION in by.duties_of(case)
    assert by.RETURNED in by.duties_of(in_state(CaseState.RETURNED))
    assert by.UNDISPATCHED in by.duties_of(in_state(CaseState.REGISTERED))


def test_a_case_that_has_ended_is_nobodys_duty() -> None:
    for state in (CaseState.CLOSED, CaseState.REJECTED, CaseState.MERGED):
        assert by.duties_of(in_state(state)) == ()


def test_the_day_it_was_due_stays_with_a_case() -> None:
    case = registered(RUBBISH)
    assert case.target_at == DUE
    assert case.filed_at == MONDAY_NINE
    closed = in_state(CaseState.CLOSED)
    assert closed.due_at is None
    assert closed.target_at is not None
    assert in_state(CaseState.RETURNED).target_at is None
    assert in_state(CaseState.REJECTED).filed_at is None


def written(text: str, address: str = "") -> Case:
    case = registered(text=text)
    case.place = Place(112.6, 26.88, "430476001004", address)
    return case


def found(text: str, asked: str, address: str = "") -> bool:
    return set(by.sought_words(asked)) <= set(by.words_of(written(text, address)))


@pytest.mark.parametrize(
    "asked",
    [
        "垃圾",
        "垃圾桶",
        "垃圾桶满了没人清",
        "没人清 垃圾",
        "135号",
        "街135号",
        "135",
        "WiFi",
        "ｗｉｆｉ",
        "华兴街",
        "20260302-0000000000",
        "0000000000",
        "20260302-0000000000 垃圾",
    ],
)
def test_words_of_text_address_and_number_are_found(asked: str) -> None:
    assert found("垃圾桶满了没人清，WiFi 杆旁边。", asked, "华兴街135号")


@pytest.mark.parametrize("asked", ["路灯", "垃圾车", "13号", "35", "垃圾 路灯", "20260302-1111111111"])
def test_what_a_case_does_not_say_does_not_find_it(asked: str) -> None:
    assert not found("垃圾桶满了没人清", asked, "华兴街135号")


@pytest.mark.parametrize(
    ("asked", "code"),
    [("井", "word-too-short"), ("井 盖", "word-too-short"), ("，。", "word-too-short"), ("字" * 18, "too-many-words")],
)
def test_questions_that_would_find_everything_are_refused(asked: str, code: str) -> None:
    with pytest.raises(Invalid) as refusal:
        by.sought_words(asked)
    assert (refusal.value.code, refusal.value.field) == (code, "text")


def test_a_very_long_text_has_a_bounded_number_of_words() -> None:
    long = "".join(chr(0x4E00 + number) for number in range(2_000))
    assert len(by.words_of(written(long))) == by.WORDS_LIMIT


def test_a_part_is_found_by_the_number_of_the_whole() -> None:
    whole = in_state(CaseState.FILED)
    parts, _ = whole.split(act(CENTRE, MONDAY_NINE + 5 * MINUTE), [UNIT, HELPING_UNIT])
    for part in (whole, *parts):
        assert set(by.sought_words(whole.id)) <= set(by.words_of(part))
    assert set(by.sought_words(parts[0].id)) <= set(by.words_of(parts[0]))


def test_words_leave_with_the_text() -> None:
    case = in_state(CaseState.CLOSED)
    assert "垃圾" in by.words_of(case)
    case.text, case.place = "", replace(case.place, address="")
    case.rate(act(ACTORS[Side.REPORTER], MONDAY_NINE + 9 * MINUTE), True, True)
    assert by.words_of(case) == (case.id.lower(), case.id.lower().partition("-")[2])
    assert "words" not in repr(case)


@pytest.mark.parametrize(("longitude", "latitude"), [(112.6012, 26.8901), (-180.0, -90.0), (0.0, 0.0), (179.99, 89.99)])
def test_a_spot_lies_in_its_square(longitude: float, latitude: float) -> None:
    east, north = by.middle_of(by.cell_of(longitude, latitude))
    assert abs(east - longitude) <= by.CELL / 2 + 1e-9
    assert abs(north - latitude) <= by.CELL / 2 + 1e-9
    assert by.cell_of(east, north) == by.cell_of(longitude, latitude)


def test_a_case_keeps_its_square() -> None:
    case = registered()
    assert by.derived(case)["map"]["cell"] == by.cell_of(112.6, 26.88)
