"""The table of what may be done to a case, against what the office allows, written down apart from the code."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest

from services.reports.domain import (
    COMMANDS_ZH,
    SIDES_ZH,
    STAGES_ZH,
    STATES_ZH,
    SYSTEM,
    TABLE,
    TRANSITIONS,
    Actor,
    Command,
    Side,
    transition,
)
from services.reports.domain.transitions import STAGES, drawn
from shared.contracts.reports import CaseState, Stage
from shared.errors import Forbidden, Refused
from tests.unit.reports.cases import OTHER_UNIT, STATES, UNIT

ROOT = Path(__file__).parents[3]
# command: from which states → to which, by whom. "open" stands for all where no unit has the case yet.
ALLOWED = """
confirm: registered → site-verified, checker centre
file: registered site-verified → filed, centre
reject: open → rejected, centre
withdraw: registered → rejected, reporter
withdraw: site-verified filed returned → same, reporter
dispatch: open → dispatched, centre system
split: open dispatched → split, centre
acknowledge: dispatched → acknowledged, unit
start: acknowledged → rectifying, unit
return: dispatched acknowledged → returned, unit
ask-extension: dispatched acknowledged rectifying rework → same, unit
grant-extension: dispatched acknowledged rectifying rework → same, centre leader
refuse-extension: dispatched acknowledged rectifying rework → same, centre leader
suspend: open dispatched acknowledged rectifying rework → suspended, leader
ask-reporter: open acknowledged rectifying rework → waiting, unit centre
resume: suspended → earlier, leader
resume: waiting → earlier, unit centre reporter system
reply: acknowledged rectifying rework → replied, unit
verify-passed: replied → verified, checker centre
verify-failed: replied → rework, checker centre
close: verified → closed, centre
object: closed → same, reporter
rate: closed → same, reporter
reopen: closed → dispatched, centre system
merge: open dispatched acknowledged rectifying → merged, centre
unmerge: merged → earlier, centre
comment: all → same, unit checker centre leader reporter
withdraw: registered → rejected, reporter
withdraw: site-verified filed returned → same, reporter
child-ended: split → same, system
child-reopened: split closed → split, system
"""
OPEN = "registered site-verified filed returned"


def rows() -> set[tuple[str, str, str, frozenset[str]]]:
    """The text above as (state, command, target, sides)."""
    found = set()
    for line in ALLOWED.strip().splitlines():
        command, _, rest = line.partition(": ")
        way, _, sides = rest.partition(", ")
        sources, _, target = way.partition(" → ")
        states = sources.replace("open", OPEN).replace("all", " ".join(STATES)).split()
        found |= {(state, command, target, frozenset(sides.split())) for state in states}
    return found


def test_the_table_is_what_the_office_allows() -> None:
    table = {(state, command, row.target, row.sides) for (state, command), row in TRANSITIONS.items()}
    assert table == rows()


def test_no_state_and_command_has_two_rows() -> None:
    assert len(TRANSITIONS) == sum(len(row.sources) for row in TABLE)


def test_every_state_of_the_contract_can_be_come_to_and_is_tested() -> None:
    assert set(STATES) == set(CaseState) - {CaseState.OTHER}
    targets = {row.target for row in TABLE}
    assert set(STATES) - targets == {CaseState.REGISTERED}


def test_every_command_but_registering_and_the_clocks_own_has_its_row() -> None:
    assert {row.command for row in TABLE} == set(Command) - {Command.REGISTER, Command.MARK_OVERDUE}


@pytest.mark.parametrize(("state", "command"), list(product(STATES, sorted({row.command for row in TABLE}))))
def test_one_side_at_a_time(state: CaseState, command: Command) -> None:
    allowed = {side for row in rows() if row[:2] == (state, command) for side in row[3]}
    for side in Side:
        by = Actor(frozenset({side}), UNIT)
        if side in allowed:
            assert transition(state, command, {UNIT}, by) is TRANSITIONS[state, command]
        else:
            with pytest.raises(Forbidden if allowed else Refused) as refusal:
                transition(state, command, {UNIT}, by)
            code = "command-of-another-side" if allowed else "transition-not-allowed"
            assert (refusal.value.code, refusal.value.params["command"]) == (code, command)


def test_a_refusal_names_state_command_and_sides_in_both_languages() -> None:
    with pytest.raises(Refused) as refused:
        transition(CaseState.CLOSED, Command.REPLY, {UNIT}, Actor(frozenset({Side.UNIT}), UNIT))
    assert refused.value.params == {
        "state": "closed",
        "state_zh": "已销号",
        "command": "reply",
        "command_zh": "整改回执",
    }
    with pytest.raises(Forbidden) as forbidden:
        transition(CaseState.REPLIED, Command.VERIFY_PASSED, {UNIT}, Actor(frozenset({Side.UNIT}), UNIT))
    assert (forbidden.value.params["sides"], forbidden.value.params["sides_zh"]) == (
        "centre, checker",
        "创建办（值班长）、核查人",
    )


@pytest.mark.parametrize("unit", [OTHER_UNIT, None, ""])
def test_people_of_a_unit_act_on_the_cases_of_that_unit_only(unit: str | None) -> None:
    with pytest.raises(Forbidden) as refusal:
        transition(CaseState.DISPATCHED, Command.ACKNOWLEDGE, {UNIT, None}, Actor(frozenset({Side.UNIT}), unit))
    assert (refusal.value.code, refusal.value.params) == ("case-of-another-unit", {"unit": unit or ""})


def test_who_acts_in_several_capacities_is_stopped_by_none_of_them() -> None:
    office = Actor(frozenset({Side.CENTRE, Side.VERIFIER, Side.UNIT}), OTHER_UNIT)
    assert transition(CaseState.WAITING, Command.RESUME, {UNIT}, office)
    with pytest.raises(Forbidden):
        transition(CaseState.DISPATCHED, Command.ACKNOWLEDGE, {UNIT}, office)


@pytest.mark.parametrize(
    ("by", "name"),
    [
        (SYSTEM, None),
        (Actor(frozenset({Side.REPORTER})), "reporter"),
        (Actor(frozenset({Side.UNIT}), UNIT), UNIT),
        (Actor(frozenset({Side.CENTRE, Side.VERIFIER})), "centre"),
    ],
)
def test_what_history_calls_somebody(by: Actor, name: str | None) -> None:
    assert by.name == name


def test_every_word_has_its_chinese_name_and_states_the_one_that_the_portal_shows() -> None:
    assert (set(COMMANDS_ZH), set(SIDES_ZH)) == (set(Command), set(Side))
    assert set(STAGES_ZH) == set(Stage) - {Stage.OTHER}
    texts = json.loads((ROOT / "services/portal/rendering/texts.json").read_text(encoding="utf-8"))
    assert {state: texts[f"state-{state}"]["zh"] for state in STATES} == STATES_ZH


def test_whatever_is_waited_for_has_a_limit() -> None:
    ended_or_with_the_parts = {CaseState.CLOSED, CaseState.REJECTED, CaseState.MERGED, CaseState.SPLIT}
    assert set(STATES) - set(STAGES) == ended_or_with_the_parts


def test_the_page_of_states_is_drawn_from_the_table() -> None:
    page = (ROOT / "docs/case-states.md").read_text(encoding="utf-8")
    assert page == drawn(), "run: python -m services.reports.domain.transitions > docs/case-states.md"
    for row in TABLE:
        assert f"| {COMMANDS_ZH[row.command]} `{row.command}` |" in page
    for name in ("README.md", "README.zh-CN.md"):
        assert "(docs/case-states.md)" in (ROOT / name).read_text(encoding="utf-8")
