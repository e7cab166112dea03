"""The life of a case: what is allowed when, to whom, and what is told about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest

from services.reports.domain import TRANSITIONS, Case, Command, Events, Place, Reporter, new_case_id
from shared.contracts.reports import (
    CaseAcknowledged,
    CaseClosed,
    CaseDispatched,
    CaseOverdue,
    CaseRegistered,
    CaseReplied,
    CaseReworkOrdered,
    CaseState,
    CaseVerified,
    Channel,
)
from shared.errors import Forbidden, Invalid, Refused
from tests.unit.reports.cases import (
    CALENDAR,
    MINUTE,
    MONDAY_NINE,
    OFFICE,
    OTHER_UNIT,
    RUBBISH,
    TO_OFFICE,
    TO_UNIT,
    UNIT,
    in_state,
    registered,
)

STATES = [state for state in CaseState if state is not CaseState.OTHER]
LATER = MONDAY_NINE + 5 * MINUTE
DUE = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
"""Four work-hours after Monday 09:00: 15:00, as the offices close from 12:00 to 14:00."""

COMMANDS: dict[Command, Callable[[Case, datetime], Events]] = {
    Command.DISPATCH: lambda case, now: case.dispatch(UNIT, by_unit=OFFICE, now=now, calendar=CALENDAR),
    Command.ACKNOWLEDGE: lambda case, now: case.acknowledge(by_unit=UNIT, now=now),
    Command.REPLY: lambda case, now: case.reply("已处理", by_unit=UNIT, now=now),
    Command.VERIFY_PASSED: lambda case, now: case.verify(True, by_unit=OFFICE, now=now, calendar=CALENDAR),
    Command.VERIFY_FAILED: lambda case, now: case.verify(False, by_unit=OFFICE, now=now, calendar=CALENDAR),
    Command.CLOSE: lambda case, now: case.close(by_unit=OFFICE, now=now),
    Command.MARK_OVERDUE: lambda case, now: case.mark_overdue(now),
}
EVENTS = {
    Command.DISPATCH: CaseDispatched,
    Command.ACKNOWLEDGE: CaseAcknowledged,
    Command.REPLY: CaseReplied,
    Command.VERIFY_PASSED: CaseVerified,
    Command.VERIFY_FAILED: CaseReworkOrdered,
    Command.CLOSE: CaseClosed,
    Command.MARK_OVERDUE: CaseOverdue,
}
# Written down apart from the code: what the office allows (see the drawing in the domain's docstring).
ALLOWED = {
    ("registered", "dispatch", "dispatched"),
    ("dispatched", "acknowledge", "acknowledged"),
    ("dispatched", "mark-overdue", "dispatched"),
    ("acknowledged", "reply", "replied"),
    ("acknowledged", "mark-overdue", "acknowledged"),
    ("replied", "verify-passed", "verified"),
    ("replied", "verify-failed", "rework"),
    ("rework", "reply", "replied"),
    ("rework", "mark-overdue", "rework"),
    ("verified", "close", "closed"),
}


def test_the_table_is_what_the_office_allows() -> None:
    assert {(before, command, after) for (before, command), after in TRANSITIONS.items()} == ALLOWED


@pytest.mark.parametrize(("state", "command"), list(product(STATES, COMMANDS)))
def test_every_command_in_every_state(state: CaseState, command: Command) -> None:
    case = in_state(state)
    # An hour past the longest limit that can be running, so that being overdue is never what refuses.
    now = DUE + timedelta(hours=1) if command is Command.MARK_OVERDUE else LATER
    after = TRANSITIONS.get((state, command))
    if after is None:
        before = replace(case, timeline=list(case.timeline))
        with pytest.raises(Refused) as refusal:
            COMMANDS[command](case, now)
        assert refusal.value.code == "transition-not-allowed"
        assert refusal.value.params == {"state": state.value, "command": command.value}
        assert case == before
    else:
        events = COMMANDS[command](case, now)
        assert case.state is after
        assert [type(event) for event in events] == [EVENTS[command]]
        assert events[-1].case == case.snapshot()


@pytest.mark.parametrize(
    ("state", "command", "stranger"),
    [
        (CaseState.DISPATCHED, lambda case: case.acknowledge(by_unit=OTHER_UNIT, now=LATER), OTHER_UNIT),
        (CaseState.ACKNOWLEDGED, lambda case: case.reply("好", by_unit=OTHER_UNIT, now=LATER), OTHER_UNIT),
        (CaseState.REWORK, lambda case: case.reply("好", by_unit=OFFICE, now=LATER), OFFICE),
    ],
)
def test_only_the_unit_works_on_its_case(state: CaseState, command: Callable[[Case], Events], stranger: str) -> None:
    case = in_state(state)
    before = replace(case, timeline=list(case.timeline))
    with pytest.raises(Forbidden) as refusal:
        command(case)
    assert (refusal.value.code, refusal.value.params) == ("case-of-another-unit", {"unit": stranger})
    assert case == before


@pytest.mark.parametrize("passed", [True, False])
def test_a_unit_cannot_verify_its_own_work(passed: bool) -> None:
    case = in_state(CaseState.REPLIED)
    with pytest.raises(Forbidden) as refusal:
        case.verify(passed, by_unit=UNIT, now=LATER, calendar=CALENDAR)
    assert refusal.value.code == "verifier-of-the-rectifying-unit"
    assert case.state is CaseState.REPLIED


def test_a_routed_case_is_dispatched_at_registration() -> None:
    case, events = Case.register(
        id="20260302-0000000000",
        category=RUBBISH,
        channel=Channel.PATROL,
        place=Place(112.6, 26.88, "430476001004"),
        routing=TO_UNIT,
        now=MONDAY_NINE,
        calendar=CALENDAR,
    )
    assert [type(event) for event in events] == [CaseRegistered]
    snapshot = events[0].case
    assert (snapshot.state, snapshot.unit) == (CaseState.DISPATCHED, UNIT)
    assert snapshot.dispatched_at == MONDAY_NINE
    assert snapshot.due_at == case.deadline_at == DUE
    assert (snapshot.category, snapshot.category_version) == ("exposed-rubbish", 3)
    assert snapshot.points == Decimal("0.5")


def test_without_a_unit_no_limit_runs_until_the_office_dispatches() -> None:
    case = registered(routing=TO_OFFICE)
    assert (case.state, case.unit, case.due_at, case.deadline_at) == (CaseState.REGISTERED, None, None, None)
    case.dispatch(UNIT, by_unit=OFFICE, now=MONDAY_NINE + timedelta(hours=1), calendar=CALENDAR)
    assert case.due_at == DUE + timedelta(hours=1)
    assert case.registered_at == MONDAY_NINE


def test_the_moment_the_limit_ends_is_too_late() -> None:
    case = in_state(CaseState.ACKNOWLEDGED)
    a_moment_before = DUE - timedelta(milliseconds=1)
    assert not case.is_due(a_moment_before)
    with pytest.raises(Refused) as refusal:
        case.mark_overdue(a_moment_before)
    assert refusal.value.code == "case-not-due"
    assert case.is_due(DUE)


def test_a_case_is_overdue_once_per_limit() -> None:
    case = in_state(CaseState.DISPATCHED)
    (event,) = case.mark_overdue(DUE + timedelta(hours=2))
    assert isinstance(event, CaseOverdue)
    assert event.case.overdue_at == event.case.due_at == DUE, "when it ran out, not when it was noticed"
    assert case.deadline_at is None
    with pytest.raises(Refused):
        case.mark_overdue(DUE + timedelta(hours=3))


def test_a_rework_sets_a_new_limit_that_can_run_out_too() -> None:
    case = in_state(CaseState.DISPATCHED)
    case.mark_overdue(DUE)
    case.acknowledge(by_unit=UNIT, now=DUE + MINUTE)
    case.reply("已清理", by_unit=UNIT, now=DUE + 2 * MINUTE)
    failed_at = datetime(2026, 3, 3, 1, 0, tzinfo=UTC)
    case.verify(False, by_unit=OFFICE, now=failed_at, calendar=CALENDAR, note="仍有垃圾")
    again = DUE + timedelta(days=1)
    assert (case.due_at, case.deadline_at, case.reworks) == (again, again, 1)
    assert case.replied_at is None
    assert case.overdue_at == DUE
    (event,) = case.mark_overdue(again)
    assert event.case.overdue_at == again


def test_a_reply_in_time_stops_the_clock() -> None:
    case = in_state(CaseState.REPLIED)
    assert (case.due_at, case.deadline_at) == (None, None)
    assert not case.is_due(DUE + timedelta(days=30))


@pytest.mark.parametrize(
    ("state", "command"),
    [(CaseState.DISPATCHED, Command.ACKNOWLEDGE), (CaseState.ACKNOWLEDGED, Command.REPLY)],
)
def test_a_late_answer_is_overdue_even_when_nobody_had_noticed(state: CaseState, command: Command) -> None:
    case = in_state(state)
    events = COMMANDS[command](case, DUE + MINUTE)
    assert [type(event) for event in events] == [CaseOverdue, EVENTS[command]]
    assert events[0].case.state is state
    assert case.overdue_at == DUE
    assert [fact.command for fact in case.timeline][-2:] == [Command.MARK_OVERDUE, command]


def test_a_late_answer_after_the_mark_is_not_overdue_again() -> None:
    case = in_state(CaseState.ACKNOWLEDGED)
    case.mark_overdue(DUE)
    assert [type(event) for event in case.reply("好", by_unit=UNIT, now=DUE + MINUTE)] == [CaseReplied]


def test_a_refused_late_reply_leaves_no_trace() -> None:
    case = in_state(CaseState.ACKNOWLEDGED)
    before = replace(case, timeline=list(case.timeline))
    with pytest.raises(Invalid):
        case.reply("  ", by_unit=UNIT, now=DUE + MINUTE)
    assert case == before


def test_the_reporter_and_the_words_stay_here() -> None:
    case, events = Case.register(
        id="20260302-0000000000",
        category=RUBBISH,
        channel=Channel.CITIZEN,
        place=Place(112.6, 26.88, "430476001004"),
        routing=TO_UNIT,
        now=MONDAY_NINE,
        calendar=CALENDAR,
        text="楼下垃圾三天没清",
        reporter=Reporter("王小明", "13800000000"),
    )
    events += case.acknowledge(by_unit=UNIT, now=LATER)
    events += case.reply("王小明反映的问题已处理", by_unit=UNIT, now=LATER)
    told = repr(case) + "".join(event.model_dump_json() for event in events)
    assert case.reporter == Reporter("王小明", "13800000000")
    assert case.text == "楼下垃圾三天没清"
    assert "13800000000" not in told
    assert "楼下垃圾" not in told
    assert "王小明" not in "".join(event.model_dump_json() for event in events)


@pytest.mark.parametrize(("public", "address", "photos"), [(True, "银光路口", ("a",)), (False, "", ())])
def test_a_category_may_keep_address_and_photos_inside(public: bool, address: str, photos: tuple[str, ...]) -> None:
    snapshot = registered(replace(RUBBISH, public=public), photos=("a",)).snapshot()
    assert (snapshot.place.address, snapshot.photos) == (address, photos)


def test_at_most_three_photos() -> None:
    assert registered(photos=("a", "b", "c")).photos == ("a", "b", "c")
    with pytest.raises(Invalid) as refusal:
        registered(photos=("a", "b", "c", "d"))
    assert (refusal.value.code, refusal.value.field, refusal.value.params) == (
        "too-many-photos",
        "photos",
        {"limit": 3},
    )


def test_citizens_must_show_what_the_category_wants_to_see() -> None:
    category = replace(RUBBISH, photo_required=True)
    with pytest.raises(Invalid) as refusal:
        registered(category)
    assert (refusal.value.code, refusal.value.field) == ("photo-required", "photos")
    assert registered(category, photos=("a",)).photos == ("a",)
    assert registered(category, channel=Channel.HOTLINE).photos == (), "a caller has no photo to give"


def test_the_timeline_tells_who_did_what_when() -> None:
    case = in_state(CaseState.CLOSED)
    assert [(fact.command.value, fact.by, fact.note) for fact in case.timeline] == [
        ("register", None, ""),
        ("dispatch", None, UNIT),
        ("acknowledge", UNIT, ""),
        ("reply", UNIT, "已清理"),
        ("verify-passed", OFFICE, ""),
        ("close", OFFICE, ""),
    ]


def test_a_case_number_has_the_local_date_and_fifty_random_bits() -> None:
    new_year_in_hengyang = datetime(2026, 12, 31, 16, 0, tzinfo=UTC)
    assert new_case_id(new_year_in_hengyang, bytes(7)) == "20270101-0000000000"
    assert new_case_id(new_year_in_hengyang, b"\xff" * 7) == "20270101-ZZZZZZZZZZ"
    numbers = {new_case_id(new_year_in_hengyang, bit.to_bytes(7, "big")) for bit in range(5_000)}
    assert len(numbers) == 5_000
    assert not set("".join(numbers)) & set("ILOU"), "letters that are mistaken for others"
