"""Limits in the life of a case: more time, rests, and what is told when time runs out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.reports.domain import SYSTEM, Act, Actor, Case, Command, Reporter, Timetable
from shared.clock import CHINA
from shared.contracts import reports as contracts
from shared.contracts.reports import CaseDueSoon, CaseOverdue, CaseState, Channel, Level, Stage
from shared.errors import Invalid
from shared.workdays import WorkCalendar
from tests.unit.reports.cases import (
    CALENDAR,
    CENTRE,
    DEEDS,
    DUE,
    EVENTS,
    LAMP,
    LEADER,
    MILLISECOND,
    MINUTE,
    OFFICER,
    OTHER_UNIT,
    PLACE,
    REPORTER,
    RUBBISH,
    TERMS,
    TO_UNIT,
    UNIT,
    act,
    china,
    in_state,
    kinds,
    overdue,
    refused,
    registered,
)

S, C = CaseState, Command
LATER = china("03-02 09:30")

# ---- more time ----


def asked(limit: str | None = None) -> Case:
    """A case whose unit has asked for more time, an hour before the end."""
    case = registered(LAMP)
    case.acknowledge(act(OFFICER, LATER))
    case.ask_extension(act(OFFICER, china("03-04 17:00")), "配件未到", limit=limit)
    return case


def test_the_office_grants_as_much_time_again_once() -> None:
    case = asked()
    events = case.decide_extension(act(CENTRE, china("03-04 17:30")), True)
    assert kinds(events)[-1] is contracts.CaseExtended
    assert (case.due_at, case.extensions, case.extension) == (china("03-06 18:00"), 1, None)
    case.ask_extension(act(OFFICER, china("03-06 17:00")), "还差一点")
    refused(
        case,
        "extension-needs-leader",
        lambda: case.decide_extension(act(CENTRE, china("03-06 17:30")), True, reason="可"),
    )
    refused(case, "text-required", lambda: case.decide_extension(act(LEADER, china("03-06 17:30")), True))
    case.decide_extension(act(LEADER, china("03-06 17:30")), True, reason="确有困难")
    assert (case.due_at, case.extensions) == (china("03-10 18:00"), 2)


def test_the_units_own_estimate_needs_the_leader_and_a_reason() -> None:
    case = asked(limit="5个工作日")
    decided = china("03-04 17:30")
    refused(case, "extension-needs-leader", lambda: case.decide_extension(act(CENTRE, decided), True, reason="同意"))
    refused(case, "text-required", lambda: case.decide_extension(act(LEADER, decided), True))
    case.decide_extension(act(LEADER, decided), True, reason="需开挖")
    assert case.due_at == china("03-11 18:00")


def test_time_is_asked_for_before_the_limit_ends() -> None:
    case = registered(RUBBISH)
    refused(case, "extension-too-late", lambda: case.ask_extension(act(OFFICER, DUE), "来不及"))
    refused(case, "text-required", lambda: case.ask_extension(act(OFFICER, LATER), " "))
    case.ask_extension(act(OFFICER, DUE - MILLISECOND), "来不及")
    refused(case, "extension-asked-already", lambda: case.ask_extension(act(OFFICER, DUE - MILLISECOND), "再问"))


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ("soon", "limit-unreadable"),
        ("2 hours", "limit-unreadable"),
        ("0 working days", "limit-too-small"),
        ("0 work-hours", "limit-too-small"),
        ("9999 working days", "limit-too-far"),
    ],
)
def test_an_estimate_has_to_be_one(limit: str, code: str) -> None:
    case = registered(RUBBISH)
    refusal = refused(case, code, lambda: case.ask_extension(act(OFFICER, LATER), "来不及", limit=limit))
    assert isinstance(refusal, Invalid)
    assert refusal.field == "limit" or code == "limit-too-small"


def test_nothing_runs_out_until_somebody_decides_but_deciding_has_a_limit_too() -> None:
    case = asked()
    assert (case.due_at, case.deadline_at) == (china("03-04 18:00"), china("03-05 11:00"))
    assert kinds(case.mark_overdue(act(SYSTEM, china("03-05 11:00")))) == [CaseDueSoon]
    assert overdue(case.mark_overdue(act(SYSTEM, china("03-05 12:00")))) == [(Stage.DECIDE, Level.BLUE)]
    events = case.decide_extension(act(CENTRE, china("03-05 16:00")), False, reason="未说明原因")
    [late] = [event for event in events if isinstance(event, CaseOverdue)]
    assert (late.stage, late.level, late.reached_at) == (Stage.RECTIFY, Level.BLUE, china("03-04 18:00"))
    assert kinds(events)[-1] is contracts.CaseChanged
    assert (case.overdue_at, case.level, case.extensions) == (china("03-04 18:00"), Level.BLUE, 0)
    refused(case, "extension-too-late", lambda: case.ask_extension(act(OFFICER, china("03-05 16:01")), "再试"))


def test_time_that_was_granted_late_but_is_over_is_told_as_over() -> None:
    case = asked()
    events = case.decide_extension(act(CENTRE, china("03-09 09:00")), True)
    assert overdue(events)[-1:] == [(Stage.RECTIFY, Level.BLUE)]
    assert case.overdue_at == china("03-06 18:00")


def test_a_reply_while_nobody_has_decided_is_not_late() -> None:
    case = registered(LAMP)
    case.acknowledge(act(OFFICER, LATER))
    case.ask_extension(act(OFFICER, china("03-04 17:00")), "配件未到")
    events = case.reply(act(OFFICER, china("03-05 10:00")), "已更换")
    assert kinds(events) == [contracts.CaseReplied]
    assert (case.overdue_at, case.extension, [clock.stage for clock in case.clocks]) == (None, None, [Stage.VERIFY])


def test_who_was_not_asked_cannot_decide() -> None:
    case = in_state(S.ACKNOWLEDGED)
    refused(case, "extension-not-asked", lambda: case.decide_extension(act(LEADER, LATER), True, reason="同意"))


@pytest.mark.parametrize(
    "leave",
    [
        lambda case: case.give_back(act(OFFICER, china("03-03 10:00")), "不归我们"),
        lambda case: case.split(act(CENTRE, china("03-03 10:00")), [UNIT, OTHER_UNIT]),
    ],
    ids=["given back", "split"],
)
def test_a_request_goes_with_the_unit_that_made_it(leave: Callable[[Case], object]) -> None:
    case = registered(LAMP)
    case.ask_extension(act(OFFICER, LATER), "配件未到")
    leave(case)
    assert case.extension is None
    assert Stage.DECIDE not in {clock.stage for clock in case.clocks}


# ---- rests ----


@pytest.mark.parametrize("state", [S.REGISTERED, S.DISPATCHED, S.ACKNOWLEDGED, S.RECTIFYING, S.REWORK, S.RETURNED])
def test_a_suspended_case_rests_until_a_leader_looks_again(state: CaseState) -> None:
    case = in_state(state)
    due_at, clocks = case.due_at, {clock.stage for clock in case.clocks}
    review_at = china("03-16 09:00")
    events = case.suspend(act(LEADER, LATER), "冬季不能植树", review_at)
    assert isinstance(events[-1], contracts.CaseSuspended)
    assert events[-1].review_at == case.review_at == case.stage_due_at == review_at
    assert (case.due_at, case.stage) == (None, Stage.REVIEW)
    assert overdue(case.mark_overdue(act(SYSTEM, china("03-16 08:59")))) == []
    assert overdue(case.mark_overdue(act(SYSTEM, review_at))) == [(Stage.REVIEW, Level.BLUE)]
    assert case.state is S.SUSPENDED, "a review that is due ends no rest"
    case.resume(act(LEADER, china("03-16 09:30")), note="可以开工")
    assert (case.state, case.review_at, case.level) == (state, None, None)
    assert {clock.stage for clock in case.clocks} == clocks
    # Ten working days, Monday half past nine to the Monday after next.
    assert (case.due_at is None) == (due_at is None)
    if due_at is not None:
        assert case.due_at == due_at + timedelta(days=14)


@pytest.mark.parametrize(
    ("review_at", "code"),
    [
        (LATER, "review-past"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), "review-past"),
        (datetime(2028, 1, 3, tzinfo=UTC), "review-too-far"),
        (datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-11))), "review-too-far"),
    ],
)
def test_a_review_lies_ahead_and_within_the_calendar(review_at: datetime, code: str) -> None:
    case = in_state(S.ACKNOWLEDGED)
    refusal = refused(case, code, lambda: case.suspend(act(LEADER, LATER), "等待", review_at))
    assert refusal.field == "review_at"
    if code == "review-too-far":
        assert refusal.params == {"limit": CALENDAR.last_known_year}


def test_a_leader_says_why_a_case_rests() -> None:
    case = in_state(S.ACKNOWLEDGED)
    refused(case, "text-required", lambda: case.suspend(act(LEADER, LATER), "", china("03-16 09:00")))


def test_limits_stand_still_while_the_reporter_is_asked() -> None:
    case = registered(RUBBISH)
    case.acknowledge(act(OFFICER, LATER))
    case.ask_reporter(act(OFFICER, china("03-02 10:00")), "几号楼？")
    assert (case.state, case.stage, case.due_at) == (S.WAITING, Stage.ANSWER, None)
    assert (case.stage_due_at, case.deadline_at) == (china("03-05 18:00"), china("03-05 18:00"))
    events = case.resume(act(REPORTER, china("03-02 11:00")), note="3号楼")
    assert kinds(events) == [contracts.CaseResumed]
    assert (case.state, case.due_at) == (S.ACKNOWLEDGED, DUE + timedelta(hours=1))
    assert [(fact.command, fact.by, fact.note) for fact in case.timeline][-2:] == [
        (C.ASK_REPORTER, UNIT, "几号楼？"),
        (C.RESUME, "reporter", "3号楼"),
    ]


@pytest.mark.parametrize("looked", ["03-05 18:00", "03-06 11:00"])
def test_a_question_that_nobody_answers_ends_with_its_limit_whenever_somebody_looks(looked: str) -> None:
    case = registered(RUBBISH)
    case.acknowledge(act(OFFICER, LATER))
    case.ask_reporter(act(OFFICER, china("03-02 10:00")), "几号楼？")
    assert case.mark_overdue(act(SYSTEM, china("03-05 18:00") - MILLISECOND)) == ()
    events = case.mark_overdue(act(SYSTEM, china(looked)))
    assert kinds(events)[:2] == [CaseOverdue, contracts.CaseResumed]
    assert (case.state, case.due_at) == (S.ACKNOWLEDGED, china("03-06 12:00")), "an hour of four was over, at ten"
    assert case.timeline[-1].by is None


def test_an_answer_after_the_limit_of_the_question_does_not_lengthen_the_rest() -> None:
    case = registered(RUBBISH)
    case.acknowledge(act(OFFICER, LATER))
    case.ask_reporter(act(OFFICER, china("03-02 10:00")), "几号楼？")
    events = case.resume(act(REPORTER, china("03-06 16:00")), note="3号楼")
    assert kinds(events) == [CaseOverdue, contracts.CaseResumed, CaseOverdue]
    assert overdue(events) == [(Stage.ANSWER, Level.BLUE), (Stage.RECTIFY, Level.BLUE)]


def test_nobody_is_asked_where_nobody_reported() -> None:
    case = registered(channel=Channel.PATROL)
    case.acknowledge(act(OFFICER, LATER))
    refused(case, "no-reporter-to-ask", lambda: case.ask_reporter(act(OFFICER, LATER), "几号楼？"))
    hotline = registered(channel=Channel.HOTLINE, reporter=Reporter(sealed="王女士", phone="0734-8888888"))
    hotline.acknowledge(act(OFFICER, LATER))
    hotline.ask_reporter(act(OFFICER, LATER), "几号楼？")
    assert hotline.state is S.WAITING


def test_a_limit_that_ran_out_before_a_rest_is_not_excused_by_it() -> None:
    case = registered(RUBBISH)
    events = case.suspend(act(LEADER, china("03-02 16:00")), "等设备", china("03-20 09:00"))
    assert overdue(events) == [(Stage.RECTIFY, Level.BLUE)]
    assert case.level is None, "nothing of the unit's runs"
    case.resume(act(LEADER, china("03-04 16:00")))
    assert (case.due_at, case.overdue_at, str(case.level)) == (DUE, DUE, "blue")
    [orange] = case.mark_overdue(act(SYSTEM, china("03-05 15:00")))
    assert isinstance(orange, CaseOverdue)
    assert (orange.level, orange.elapsed_minutes) == (Level.ORANGE, 420)


# ---- what is late ----


@pytest.mark.parametrize(
    ("state", "command", "by"),
    [
        (S.DISPATCHED, C.ACKNOWLEDGE, OFFICER),
        (S.ACKNOWLEDGED, C.START, OFFICER),
        (S.RECTIFYING, C.REPLY, OFFICER),
        (S.REWORK, C.REPLY, OFFICER),
    ],
)
def test_a_late_act_tells_first_what_is_late_even_when_nobody_had_noticed(
    state: CaseState, command: Command, by: Actor
) -> None:
    case = in_state(state, RUBBISH)
    assert case.due_at is not None
    due_at = case.due_at
    events = DEEDS[command](case, act(by, due_at + MINUTE))
    assert kinds(events) == [CaseOverdue, EVENTS[command][0]]
    assert events[0].case.state is state
    assert case.overdue_at == due_at
    assert [fact.command for fact in case.timeline][-2:] == [C.MARK_OVERDUE, command]


def test_a_late_answer_after_the_mark_is_not_overdue_again() -> None:
    case = in_state(S.ACKNOWLEDGED, RUBBISH)
    assert case.due_at is not None
    case.mark_overdue(act(SYSTEM, case.due_at))
    assert kinds(case.reply(act(OFFICER, case.due_at + MINUTE), "好")) == [contracts.CaseReplied]


@pytest.mark.parametrize("late", ["", " \n", "<b>好</b>", "长" * 2001, "a\u202eb"])
def test_a_refused_late_reply_leaves_no_trace(late: str) -> None:
    case = in_state(S.ACKNOWLEDGED, RUBBISH)
    codes = {"text-required", "text-has-markup", "text-too-long", "text-has-control-characters"}
    before = copy.deepcopy(case)
    with pytest.raises(Invalid) as refusal:
        case.reply(act(OFFICER, DUE + timedelta(hours=1)), late)
    assert refusal.value.code in codes
    assert case == before


def test_the_moment_the_limit_ends_is_too_late() -> None:
    case = in_state(S.ACKNOWLEDGED, RUBBISH)
    assert case.due_at is not None
    case.mark_overdue(act(SYSTEM, case.due_at - MILLISECOND))
    assert not case.is_due(case.due_at - MILLISECOND)
    assert case.mark_overdue(act(SYSTEM, case.due_at - MILLISECOND)) == ()
    assert case.is_due(case.due_at)


def test_the_ladder_is_told_level_by_level() -> None:
    case = registered(RUBBISH)
    moments = ["03-02 12:00", "03-02 15:00", "03-03 15:00", "03-05 15:00"]
    events: list[contracts.CaseEvent] = []
    for moment in moments:
        assert case.deadline_at == china(moment)
        events += case.mark_overdue(act(SYSTEM, china(moment)))
        assert case.mark_overdue(act(SYSTEM, china(moment))) == ()
    assert case.deadline_at is None
    soon, *ladder = events
    assert isinstance(soon, CaseDueSoon)
    assert (soon.stage, soon.due_at, soon.elapsed_minutes) == (Stage.RECTIFY, DUE, 180)
    levels = [event for event in ladder if isinstance(event, CaseOverdue)]
    assert [(event.level, event.reached_at, event.elapsed_minutes) for event in levels] == [
        (Level.BLUE, china("03-02 15:00"), 0),
        (Level.ORANGE, china("03-03 15:00"), 420),
        (Level.RED, china("03-05 15:00"), 1260),
    ]
    assert {event.due_at for event in levels} == {DUE}
    assert [event.case.level for event in levels] == [Level.BLUE, Level.ORANGE, Level.RED]
    assert case.overdue_at == DUE, "when it ran out, not when a level was reached"


def test_who_looks_late_tells_every_level_as_it_was_reached() -> None:
    case = registered(RUBBISH)
    events = case.mark_overdue(act(SYSTEM, china("04-01 09:00")))
    assert [event.case.level for event in events] == [Level.BLUE, Level.ORANGE, Level.RED]
    assert [fact.at for fact in case.timeline][-3:] == [DUE, china("03-03 15:00"), china("03-05 15:00")]


def _calendar(*years: int, holidays: tuple[str, ...] = ()) -> WorkCalendar:
    """The office's calendar with these years described beyond what is published."""
    described = [
        {"year": year, "holidays": [day for day in holidays if day.startswith(str(year))], "make_up_days": []}
        | {"provisional": False}
        for year in years
    ]
    return WorkCalendar.from_json({"years": described})


def _on(calendar: WorkCalendar, at: str) -> Act:
    return Act(SYSTEM, datetime.fromisoformat(at).replace(tzinfo=CHINA), Timetable(calendar, TERMS))


def _filed(calendar: WorkCalendar, at: str) -> Case:
    """A street light of two working days, in the hands of its unit."""
    case, _ = Case.register(
        id="20261230-0000000000",
        category=LAMP,
        channel=Channel.CITIZEN,
        place=PLACE,
        routing=TO_UNIT,
        act=_on(calendar, at),
    )
    return case


def test_a_report_whose_limit_ends_in_a_year_nobody_knows_is_filed_by_weekdays_and_marked() -> None:
    case = _filed(_calendar(), "2026-12-30T17:00")
    assert case.due_at == datetime(2027, 1, 1, 18, tzinfo=CHINA)
    assert case.provisional
    assert _filed(_calendar(), "2028-02-29T10:00").provisional
    assert not _filed(_calendar(2027), "2026-12-21T10:00").provisional


def test_when_the_year_is_known_its_limits_are_counted_again_and_told() -> None:
    case = _filed(_calendar(), "2026-12-30T17:00")
    known = _calendar(2027, 2028, holidays=("2027-01-01",))
    again = case.recount(_on(known, "2026-12-31T09:00"))
    assert kinds(again) == [contracts.CaseChanged]
    assert case.due_at == datetime(2027, 1, 4, 18, tzinfo=CHINA)
    assert not case.provisional
    assert case.recount(_on(known, "2026-12-31T09:00")) == ()
    assert case.clocks == _filed(known, "2026-12-30T17:00").clocks


def test_a_limit_that_has_run_out_does_not_run_again_when_its_year_is_known() -> None:
    case = _filed(_calendar(), "2026-12-30T17:00")
    case.mark_overdue(_on(_calendar(), "2027-01-02T00:00"))
    assert case.overdue_at is not None
    case.recount(_on(_calendar(2027, holidays=("2027-01-01",)), "2027-01-02T00:00"))
    assert case.overdue_at == case.due_at == datetime(2027, 1, 1, 18, tzinfo=CHINA)
