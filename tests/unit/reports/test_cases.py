"""The life of a case: what is allowed when, to whom, what is told about it, and what never is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest

from services.reports.domain import (
    FACTS_LIMIT,
    SYSTEM,
    TRANSITIONS,
    Act,
    Actor,
    Case,
    Category,
    Command,
    Moderation,
    Place,
    Reporter,
    Routing,
    Side,
    Why,
    new_case_id,
)
from services.reports.domain.cases import TALK_LIMIT
from services.reports.domain.transitions import EARLIER, SAME
from services.reports.repo import CASES
from shared.contracts import reports as contracts
from shared.contracts.reports import (
    CaseOverdue,
    CaseSnapshot,
    CaseState,
    Channel,
    Kind,
    Level,
    Stage,
)
from shared.errors import Invalid
from tests.unit.reports.cases import (
    ACTORS,
    ALLEY,
    CENTRE,
    DEEDS,
    DUE,
    EVENTS,
    HELPING_UNIT,
    LAMP,
    LEADER,
    MILLISECOND,
    MINUTE,
    MONDAY_NINE,
    OFFICER,
    OTHER_UNIT,
    PLACE,
    REPORTER,
    RUBBISH,
    STATES,
    STRANGER,
    TERMS,
    TO_OFFICE,
    TO_UNIT,
    UNIT,
    VERIFIER,
    act,
    another,
    china,
    in_state,
    kinds,
    overdue,
    refused,
    registered,
)

S, C = CaseState, Command
LATER = china("03-02 09:30")
ENDS = {(S.CLOSED, C.CHILD_REOPENED): [contracts.CaseReopened], (S.REGISTERED, C.WITHDRAW): [contracts.CaseRejected]}
"""Where a command that tells nothing elsewhere ends or opens the case."""
DEPENDENT = {C.CHILD_ENDED, C.CHILD_REOPENED}
"""What cases do to each other; whoever acted on the other case."""


def prepared(state: CaseState, command: Command) -> Case:
    """A case in the state; for a decision about more time, one that has been asked for where it can be."""
    case = in_state(state)
    if command in {C.GRANT_EXTENSION, C.REFUSE_EXTENSION} and (state, command) in TRANSITIONS:
        case.ask_extension(act(OFFICER, LATER), "需要配件")
    return case


@pytest.mark.parametrize("state", STATES)
def test_a_case_comes_to_every_state_by_the_ordinary_way(state: CaseState) -> None:
    assert in_state(state).state is state


@pytest.mark.parametrize(("state", "command"), list(product(STATES, DEEDS)))
def test_every_command_in_every_state_by_every_side(state: CaseState, command: Command) -> None:
    row = TRANSITIONS.get((state, command))
    for side, by in ACTORS.items():
        case = prepared(state, command)
        before = case.state
        if row is None:
            refused(case, "transition-not-allowed", DEEDS[command], case, act(by, LATER))
        elif side not in row.sides and command not in DEPENDENT:
            refused(case, "command-of-another-side", DEEDS[command], case, act(by, LATER))
        elif side is Side.UNIT and case.unit is None and not case.supporting:
            refused(case, "case-of-another-unit", DEEDS[command], case, act(by, LATER))
        else:
            events = DEEDS[command](case, act(by, LATER))
            target = {SAME: before, EARLIER: case.state}.get(row.target, row.target)
            assert case.state is (S.DISPATCHED if command is C.OBJECT else target)
            assert kinds(events) == ENDS.get((state, command), list(EVENTS[command]))
            assert all(event.case == case.snapshot() for event in events[-1:])
            assert command in {fact.command for fact in case.timeline}


@pytest.mark.parametrize(
    ("state", "command"), sorted(key for key, row in TRANSITIONS.items() if Side.UNIT in row.sides), ids=str
)
def test_only_the_unit_in_charge_works_on_its_case(state: CaseState, command: Command) -> None:
    case = prepared(state, command)
    refusal = refused(case, "case-of-another-unit", DEEDS[command], case, act(STRANGER, LATER))
    assert refusal.params == {"unit": STRANGER.unit}


# ---- registration ----


def test_a_routed_case_is_dispatched_at_registration() -> None:
    case, events = Case.register(
        id="20260302-0000000000",
        category=RUBBISH,
        channel=Channel.PATROL,
        place=PLACE,
        routing=Routing(UNIT, Why.CATEGORY, (HELPING_UNIT,)),
        act=act(CENTRE),
    )
    assert kinds(events) == [contracts.CaseRegistered]
    snapshot = events[0].case
    assert (snapshot.state, snapshot.unit, snapshot.supporting) == (S.DISPATCHED, UNIT, (HELPING_UNIT,))
    assert snapshot.dispatched_at == MONDAY_NINE
    assert (snapshot.due_at, snapshot.stage_due_at) == (DUE, DUE)
    assert (snapshot.category, snapshot.category_version, snapshot.points) == ("exposed-rubbish", 3, Decimal("0.5"))
    assert [(fact.command, fact.by) for fact in case.timeline] == [(C.REGISTER, "chuangwenban"), (C.DISPATCH, None)]


def test_without_a_unit_the_office_has_a_limit_for_dispatching_and_the_unit_none() -> None:
    case = registered(routing=TO_OFFICE)
    assert (case.state, case.unit, case.due_at) == (S.REGISTERED, None, None)
    assert (case.stage, case.stage_due_at) == (Stage.DISPATCH, DUE)
    assert overdue(case.mark_overdue(act(SYSTEM, DUE))) == [(Stage.DISPATCH, Level.BLUE)]
    assert case.overdue_at is None, "that is for the unit's limit"
    case.dispatch(act(CENTRE, china("03-03 09:00")), UNIT)
    assert (case.due_at, case.level) == (china("03-03 15:00"), None)


def test_a_limit_for_acknowledging_runs_where_the_unit_has_longer_to_rectify() -> None:
    case = registered(LAMP)
    assert (case.stage, case.stage_due_at, case.due_at) == (Stage.ACKNOWLEDGE, DUE, china("03-04 18:00"))
    assert overdue(case.mark_overdue(act(SYSTEM, DUE))) == [(Stage.ACKNOWLEDGE, Level.BLUE)]
    assert (case.overdue_at, case.level) == (None, Level.BLUE)
    case.acknowledge(act(OFFICER, china("03-02 16:00")))
    assert (case.stage, case.stage_due_at, case.level) == (Stage.RECTIFY, china("03-04 18:00"), None)


def test_what_has_to_be_done_by_then_need_not_be_acknowledged_by_then() -> None:
    assert [clock.stage for clock in registered(RUBBISH).clocks] == [Stage.RECTIFY]


def test_the_category_says_what_it_says_and_the_terms_the_rest() -> None:
    case = registered(replace(LAMP, limits={Stage.ACKNOWLEDGE: "1 work-hours"}))
    assert case.limits[Stage.ACKNOWLEDGE] == "1 work-hours"
    assert (case.limits[Stage.RECTIFY], case.limits[Stage.VERIFY]) == ("2 working days", "2 working days")
    assert case.stage_due_at == china("03-02 10:00")


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
    assert registered(category, kind=Kind.PRAISE).photos == (), "praise needs no proof"


def test_praise_is_on_file_for_its_unit_and_nothing_more_happens() -> None:
    praise = registered(replace(LAMP, site_check=True), kind=Kind.PRAISE)
    assert (praise.state, praise.unit, praise.closed_at) == (S.CLOSED, UNIT, MONDAY_NINE)
    assert (praise.deadline_at, praise.due_at, praise.clocks, praise.site_check) == (None, None, [], False)
    refused(praise, "not-a-problem", lambda: praise.object(act(REPORTER, LATER), "", ["a"]))
    refused(praise, "not-a-problem", lambda: praise.reopen(act(CENTRE, LATER), reason="误报"))
    refused(praise, "not-a-problem", lambda: praise.rate(act(REPORTER, LATER), True, True))


# ---- before a unit has it ----


def test_a_citizens_report_is_looked_at_before_it_is_filed_where_the_category_says_so() -> None:
    case = registered(ALLEY)
    assert (case.state, case.unit, case.proposed) == (S.REGISTERED, None, UNIT)
    assert (case.stage, case.stage_due_at) == (Stage.SITE_CHECK, DUE)
    refused(case, "site-check-owed", lambda: case.file(act(CENTRE, LATER)))
    refused(case, "site-check-owed", lambda: case.dispatch(act(CENTRE, LATER), UNIT))
    refused(case, "site-check-owed", lambda: case.split(act(CENTRE, LATER), [UNIT, OTHER_UNIT]))
    case.confirm(act(VERIFIER, china("03-02 10:00")), note="属实")
    assert (case.stage, case.stage_due_at) == (Stage.DISPATCH, china("03-02 16:00"))
    assert [clock.stage for clock in case.clocks] == [Stage.DISPATCH]
    events = case.file(act(CENTRE, china("03-02 10:30")))
    assert kinds(events) == [contracts.CaseFiled, contracts.CaseDispatched]
    assert [event.case.state for event in events] == [S.FILED, S.DISPATCHED]
    assert (case.unit, case.due_at) == (UNIT, china("03-03 18:00"))
    assert [(fact.command, fact.by) for fact in case.timeline][-2:] == [(C.FILE, CENTRE.unit), (C.DISPATCH, None)]


def test_what_was_not_found_can_be_turned_down_at_once() -> None:
    case = registered(ALLEY)
    case.reject(act(CENTRE, LATER), "现场未发现")
    assert (case.state, case.stage, case.deadline_at) == (S.REJECTED, None, None)


@pytest.mark.parametrize("channel", [channel for channel in Channel if channel is not Channel.CITIZEN])
def test_who_saw_it_on_duty_need_not_be_checked(channel: Channel) -> None:
    assert registered(ALLEY, channel=channel).state is S.DISPATCHED


def test_looking_on_the_spot_gives_the_office_no_second_limit_for_dispatching() -> None:
    case = registered(LAMP, TO_OFFICE)
    case.confirm(act(VERIFIER, china("03-02 11:00")))
    assert [(clock.stage, clock.due_at) for clock in case.clocks] == [(Stage.DISPATCH, DUE)]
    case.file(act(CENTRE, china("03-02 11:30")))
    assert [(clock.stage, clock.due_at) for clock in case.clocks] == [(Stage.DISPATCH, DUE)]
    assert overdue(case.mark_overdue(act(SYSTEM, DUE))) == [(Stage.DISPATCH, Level.BLUE)]


def test_a_case_is_turned_down_with_a_reason_for_everybody_to_read() -> None:
    case = in_state(S.FILED)
    refused(case, "text-required", lambda: case.reject(act(CENTRE, LATER), " \n"))
    case.reject(act(CENTRE, LATER), "重复上报")
    assert (case.timeline[-1].note, case.timeline[-1].public) == ("重复上报", True)
    assert case.clocks == []


def test_dispatching_files_what_was_not_filed() -> None:
    case = in_state(S.REGISTERED)
    case.dispatch(act(CENTRE, LATER), UNIT, supporting=[HELPING_UNIT, HELPING_UNIT])
    assert [fact.command for fact in case.timeline] == [C.REGISTER, C.FILE, C.DISPATCH]
    assert (case.unit, case.supporting) == (UNIT, (HELPING_UNIT,))


def test_a_unit_does_not_help_itself() -> None:
    case = in_state(S.REGISTERED)
    refused(
        case, "lead-among-supporting", lambda: case.dispatch(act(CENTRE, LATER), UNIT, supporting=[HELPING_UNIT, UNIT])
    )


# ---- given back ----


@pytest.mark.parametrize("state", [S.DISPATCHED, S.ACKNOWLEDGED])
def test_a_case_of_the_wrong_unit_goes_back_to_the_office(state: CaseState) -> None:
    case = in_state(state)
    events = case.give_back(act(OFFICER, LATER), "道路归市政")
    assert isinstance(events[-1], contracts.CaseReturned)
    assert (events[-1].returned_by, case.unit, case.returns, case.proposed) == (UNIT, None, 1, None)
    assert (case.stage, case.stage_due_at) == (Stage.DISPATCH, china("03-02 15:30"))
    assert (case.due_at, case.dispatched_at, case.acknowledged_at) == (None, None, None)
    case.dispatch(act(CENTRE, china("03-02 10:00")), OTHER_UNIT)
    assert (case.unit, case.due_at) == (OTHER_UNIT, china("03-04 18:00"))


def test_the_reason_for_giving_back_is_needed() -> None:
    case = in_state(S.DISPATCHED)
    refused(case, "text-required", lambda: case.give_back(act(OFFICER, LATER), ""))


def test_after_a_working_day_it_is_too_late_to_give_back() -> None:
    case, late = in_state(S.DISPATCHED), in_state(S.DISPATCHED)
    case.give_back(act(OFFICER, china("03-03 18:00")), "不归我们")
    after = act(OFFICER, china("03-03 18:00") + MILLISECOND)
    assert refused(late, "return-too-late", lambda: late.give_back(after, "不归我们")).params == {
        "limit": "1 working day"
    }


def test_a_weekend_is_no_working_day_for_giving_back() -> None:
    case = registered(LAMP, now=china("03-06 17:00"))
    case.give_back(act(OFFICER, china("03-09 17:59")), "不归我们")
    assert case.state is S.RETURNED


# ---- reply, verification, sign-off ----


@pytest.mark.parametrize("passed", [True, False])
@pytest.mark.parametrize("unit", [UNIT, HELPING_UNIT])
@pytest.mark.parametrize("side", [Side.VERIFIER, Side.CENTRE])
def test_nobody_verifies_the_work_of_the_own_unit(passed: bool, unit: str, side: Side) -> None:
    case = in_state(S.REGISTERED)
    case.dispatch(act(CENTRE, LATER), UNIT, supporting=[HELPING_UNIT])
    case.acknowledge(act(OFFICER, LATER))
    case.reply(act(OFFICER, LATER), "已处理")
    own = Actor(frozenset({side, Side.UNIT}), unit)
    refused(case, "decision-on-own-unit", lambda: case.verify(act(own, LATER), passed))


def test_a_reply_never_closes_a_case() -> None:
    case = in_state(S.REPLIED)
    refused(case, "transition-not-allowed", lambda: case.close(act(CENTRE, LATER)))
    assert (case.stage, case.closed_at, case.due_at) == (Stage.VERIFY, None, None)


def test_a_rework_sets_a_new_limit_that_can_run_out_too() -> None:
    case = registered(RUBBISH)
    case.acknowledge(act(OFFICER, DUE + MINUTE))
    case.reply(act(OFFICER, DUE + 2 * MINUTE), "已清理", photos=["after"])
    case.verify(act(VERIFIER, china("03-03 09:00")), False, note="仍有垃圾")
    again = china("03-03 15:00")
    assert (case.due_at, case.reworks, case.replied_at, case.reply_photos) == (again, 1, None, ())
    assert (case.overdue_at, case.level) == (DUE, None)
    assert overdue(case.mark_overdue(act(SYSTEM, again))) == [(Stage.RECTIFY, Level.BLUE)]
    assert case.overdue_at == again


def test_every_stage_after_the_reply_has_its_limit() -> None:
    case = in_state(S.REPLIED)
    assert (case.stage, case.stage_due_at) == (Stage.VERIFY, china("03-04 18:00"))
    case.verify(act(VERIFIER, china("03-05 09:00")), True)
    assert (case.stage, case.stage_due_at) == (Stage.CLOSE, china("03-09 18:00"))
    assert overdue(case.mark_overdue(act(SYSTEM, china("03-09 18:00")))) == [(Stage.CLOSE, Level.BLUE)]
    case.close(act(CENTRE, china("03-10 09:00")))
    assert (case.stage, case.stage_due_at, case.deadline_at, case.level) == (None, None, None, None)


# ---- the reporter's say ----


def closed() -> Case:
    return in_state(S.CLOSED)


def test_the_first_objection_reopens_the_case_with_new_limits() -> None:
    case = closed()
    case.rate(act(REPORTER, LATER), True, True)
    events = case.object(act(REPORTER, china("03-03 09:00")), "又满了", ["after"])
    assert kinds(events) == [contracts.CaseReopened]
    assert (case.state, case.unit, case.due_at) == (S.DISPATCHED, UNIT, china("03-05 18:00"))
    assert (case.reopens, case.objections, case.objected_at) == (1, 1, None)
    assert (case.closed_at, case.verified_at, case.replied_at, case.resolved, case.satisfied) == (None,) * 5
    assert [(fact.command, fact.by) for fact in case.timeline][-3:] == [
        (C.OBJECT, "reporter"),
        (C.REOPEN, None),
        (C.DISPATCH, None),
    ]


def test_after_the_first_objection_the_office_decides() -> None:
    case = closed()
    case.object(act(REPORTER, LATER), "又满了", ["after"])
    for command, by in ((C.ACKNOWLEDGE, OFFICER), (C.REPLY, OFFICER), (C.VERIFY_PASSED, VERIFIER), (C.CLOSE, CENTRE)):
        DEEDS[command](case, act(by, china("03-02 10:00")))
    again = china("03-02 11:00")
    assert kinds(case.object(act(REPORTER, again), "还是满的", ["after"])) == [contracts.CaseChanged]
    assert (case.state, case.objections, case.objected_at) == (S.CLOSED, 2, again)
    refused(case, "text-required", lambda: case.reopen(act(CENTRE, again)))
    case.reopen(act(CENTRE, again), reason="属实")
    assert (case.state, case.reopens, case.objected_at) == (S.DISPATCHED, 2, None)


@pytest.mark.parametrize(("photos", "code"), [([], "objection-needs-photo"), (["a", "b", "c", "d"], "too-many-photos")])
def test_an_objection_shows_what_is_wrong(photos: Sequence[str], code: str) -> None:
    case = closed()
    refused(case, code, lambda: case.object(act(REPORTER, LATER), "又满了", photos))


def test_an_objection_comes_within_seven_working_days() -> None:
    case, late = closed(), closed()
    last = china("03-11 18:00")
    case.object(act(REPORTER, last), "", ["a"])
    refused(late, "objection-too-late", lambda: late.object(act(REPORTER, last + MILLISECOND), "", ["a"]))


def test_the_last_word_of_a_rating_counts() -> None:
    case = closed()
    case.rate(act(REPORTER, LATER), False, False)
    case.rate(act(REPORTER, LATER), True, False)
    assert (case.resolved, case.satisfied, case.snapshot().satisfied) == (True, False, False)


# ---- two cases of one problem ----


def test_merged_cases_are_linked_both_ways_and_both_keep_their_history() -> None:
    case, other = in_state(S.RECTIFYING), another()
    before = [list(each.timeline) for each in (case, other)]
    events = case.merge_into(act(CENTRE, LATER), other)
    assert (events[-1].case.merged_into, other.merged) == (other.id, (case.id,))
    assert (case.deadline_at, case.due_at, case.stage, case.level) == (None, None, None, None)
    assert [each.timeline[: len(old)] for each, old in zip((case, other), before, strict=True)] == before
    assert (case.timeline[-1].note, other.timeline[-1].note) == (other.id, case.id)


def test_an_unmerged_case_goes_on_with_its_limits_put_off() -> None:
    case, other = in_state(S.RECTIFYING), another()
    case.merge_into(act(CENTRE, china("03-02 10:00")), other)
    case.unmerge(act(CENTRE, china("03-03 10:00")), other)
    assert (case.state, case.merged_into, other.merged) == (S.RECTIFYING, None, ())
    assert case.due_at == china("03-05 18:00"), "a working day later"


def test_a_limit_that_had_run_out_is_told_before_the_merge() -> None:
    case, other = in_state(S.RECTIFYING, RUBBISH), another()
    assert kinds(case.merge_into(act(CENTRE, china("03-02 16:00")), other)) == [CaseOverdue, contracts.CaseMerged]


def test_what_cannot_be_merged() -> None:
    case, other, third = in_state(S.DISPATCHED), another(), registered(id="20260302-2222222222")
    now = act(CENTRE, LATER)
    refused(case, "merge-into-itself", lambda: case.merge_into(now, case))
    for state in (S.CLOSED, S.REJECTED, S.MERGED):
        ended = replace(in_state(state), id="20260302-3333333333")
        assert refused(case, "merge-into-ended", case.merge_into, now, ended).params == {
            "state": state,
            "state_zh": {S.CLOSED: "已销号", S.REJECTED: "不予立案", S.MERGED: "已合并"}[state],
        }
    other.merge_into(now, case)
    refused(case, "merged-has-merged", lambda: case.merge_into(now, third))
    parts, _ = in_state(S.REGISTERED).split(now, [UNIT, OTHER_UNIT])
    refused(parts[0], "part-of-a-case", lambda: parts[0].merge_into(now, third))


# ---- several units ----


def test_each_unit_has_a_part_with_limits_of_its_own() -> None:
    case = in_state(S.DISPATCHED)
    parts, events = case.split(act(CENTRE, china("03-03 09:00")), [UNIT, OTHER_UNIT, UNIT])
    assert [part.id for part in parts] == [f"{case.id}-1", f"{case.id}-2"]
    assert [(part.state, part.unit, part.parent) for part in parts] == [
        (S.DISPATCHED, UNIT, case.id),
        (S.DISPATCHED, OTHER_UNIT, case.id),
    ]
    assert {part.due_at for part in parts} == {china("03-05 18:00")}
    assert kinds(events)[-1] is contracts.CaseSplit
    assert (case.state, case.unit, case.supporting) == (S.SPLIT, None, (UNIT, OTHER_UNIT))
    assert (case.children, case.clocks, case.deadline_at) == (tuple(part.id for part in parts), [], None)
    assert type(parts[0].registered()) is contracts.CaseRegistered
    assert parts[0].registered().case == parts[0].snapshot()


def test_the_whole_closes_when_all_parts_have_ended_and_opens_with_one() -> None:
    case = in_state(S.REGISTERED)
    [one, two], _ = case.split(act(CENTRE, LATER), [UNIT, OTHER_UNIT])
    assert case.child_ended(act(CENTRE, LATER), one.id) == ()
    assert case.child_ended(act(CENTRE, LATER), one.id) == (), "told twice, counted once"
    assert kinds(case.child_ended(act(CENTRE, china("03-03 09:00")), two.id)) == [contracts.CaseClosed]
    assert (case.state, case.closed_at) == (S.CLOSED, china("03-03 09:00"))
    assert case.object(act(REPORTER, china("03-03 10:00")), "没好", ["a"]), "the office decides which part"
    refused(case, "reopen-the-parts", lambda: case.reopen(act(CENTRE, china("03-03 10:00")), reason="没好"))
    opened = act(CENTRE, china("03-03 11:00"))
    assert kinds(case.child_reopened(opened, one.id)) == [contracts.CaseReopened]
    assert (case.state, case.closed_at, case.open_children, case.objected_at) == (S.SPLIT, None, (one.id,), None)
    assert case.child_reopened(opened, two.id) == (), "it is open already"
    assert (case.open_children, case.reopens) == ((one.id, two.id), 1)


@pytest.mark.parametrize("units", [[], [UNIT], [UNIT, UNIT], [f"unit-{number}" for number in range(11)]])
def test_a_case_is_split_between_two_to_ten_units(units: list[str]) -> None:
    case = in_state(S.REGISTERED)
    refused(case, "split-needs-units", lambda: case.split(act(CENTRE, LATER), units))


def test_a_part_is_not_split_again() -> None:
    [part, _], _ = in_state(S.REGISTERED).split(act(CENTRE, LATER), [UNIT, OTHER_UNIT])
    refused(part, "part-of-a-case", lambda: part.split(act(CENTRE, LATER), [UNIT, OTHER_UNIT]))


def test_a_part_knows_the_problem_and_not_who_reported_it() -> None:
    case = registered(routing=TO_OFFICE, reporter=Reporter(sealed="王女士", phone="0734-8888888"), photos=("before",))
    case.moderation = Moderation.PENDING
    parts, _ = case.split(act(CENTRE, LATER), [UNIT, OTHER_UNIT])
    for part in parts:
        assert (part.text, part.photos, part.moderation, part.reporter) == (case.text, ("before",), "pending", None)


# ---- notes ----


def test_who_may_write_into_a_case() -> None:
    case = in_state(S.REGISTERED)
    case.dispatch(act(CENTRE, LATER), UNIT, supporting=[HELPING_UNIT])
    helper = Actor(frozenset({Side.UNIT}), HELPING_UNIT)
    for by in (OFFICER, helper, VERIFIER, CENTRE, LEADER, REPORTER):
        case.comment(act(by, LATER), "已到现场", public=True)
    assert [(fact.by, fact.public) for fact in case.timeline[-6:]] == [
        (UNIT, True),
        (HELPING_UNIT, True),
        ("checker", True),
        (CENTRE.unit, True),
        (LEADER.unit, True),
        ("reporter", False),
    ]
    refused(case, "case-of-another-unit", lambda: case.comment(act(STRANGER, LATER), "看看"))
    refused(case, "text-required", lambda: case.comment(act(OFFICER, LATER), " "))
    refused(case, "too-many-photos", lambda: case.comment(act(OFFICER, LATER), "", photos=["a", "b", "c", "d"]))
    case.comment(act(OFFICER, LATER), "", photos=["a"])
    assert case.timeline[-1].photos == ("a",)


def test_talk_ends_before_work_has_no_room_left() -> None:
    case = in_state(S.VERIFIED)
    while len(case.timeline) < TALK_LIMIT:
        case.comment(act(REPORTER, LATER), "催")
    assert refused(case, "history-too-long", lambda: case.comment(act(OFFICER, LATER), "在办")).params == {
        "limit": TALK_LIMIT
    }
    twin = another()
    refused(case, "transition-not-allowed", lambda: case.merge_into(act(CENTRE, LATER), twin))
    refused(twin, "history-too-long", lambda: twin.merge_into(act(CENTRE, LATER), case))
    case.close(act(CENTRE, LATER))
    refused(case, "history-too-long", lambda: case.rate(act(REPORTER, LATER), True, True))
    refused(case, "history-too-long", lambda: case.object(act(REPORTER, LATER), "", ["a"]))


def test_a_history_without_end_is_refused_but_the_clock_goes_on_telling() -> None:
    case = registered(RUBBISH)
    case.timeline += [case.timeline[-1]] * FACTS_LIMIT
    refused(case, "history-too-long", lambda: case.acknowledge(act(OFFICER, LATER)))
    assert overdue(case.mark_overdue(act(SYSTEM, DUE))) == [(Stage.RECTIFY, Level.BLUE)]


def test_the_timeline_tells_who_did_what_when() -> None:
    case = in_state(S.CLOSED)
    assert [(fact.command.value, fact.by, fact.note, fact.who) for fact in case.timeline] == [
        ("register", "reporter", "", ""),
        ("file", CENTRE.unit, "", "wang"),
        ("dispatch", CENTRE.unit, UNIT, "wang"),
        ("acknowledge", UNIT, "", "li"),
        ("start", UNIT, "", "li"),
        ("reply", UNIT, "已清理", "li"),
        ("verify-passed", "checker", "", "liu"),
        ("close", CENTRE.unit, "", "wang"),
    ]


@pytest.mark.parametrize("back", [MILLISECOND, timedelta(hours=3)])
def test_a_clock_set_back_does_not_turn_history_round(back: timedelta) -> None:
    case = in_state(S.RECTIFYING, RUBBISH)
    case.reply(act(OFFICER, china("03-02 14:00")), "已清理")
    case.verify(act(VERIFIER, china("03-02 14:00") - back), True)
    assert (case.replied_at, case.verified_at) == (china("03-02 14:00"), china("03-02 14:00"))
    other = registered(id="20260302-1111111111", now=china("03-02 14:00"))
    twin = in_state(S.DISPATCHED)
    twin.merge_into(act(CENTRE, china("03-02 14:00") - back), other)
    for each in (case, other, twin):
        moments = [fact.at for fact in each.timeline]
        assert moments == sorted(moments)


# ---- what the public sees ----


def test_the_reporter_and_the_words_stay_here() -> None:
    case, events = Case.register(
        id="20260302-0000000000",
        category=RUBBISH,
        channel=Channel.CITIZEN,
        place=PLACE,
        routing=TO_UNIT,
        act=Act(Actor(frozenset({Side.REPORTER}), None, "subject-of-wang"), MONDAY_NINE, act(SYSTEM).timetable),
        text="楼下垃圾三天没清",
        answers={"building": "王小明家楼下", "kinds": ("厨余", "塑料")},
        reporter=Reporter(sealed="王小明", phone="13800000000"),
    )
    private = ["王小明", "13800000000", "楼下垃圾", "厨余", "subject-of-wang", "内部", "来电"]
    steps: list[tuple[Actor, Callable[[Act], object]]] = [
        (CENTRE, lambda now: case.comment(now, "内部备注", public=True)),
        (OFFICER, case.acknowledge),
        (OFFICER, lambda now: case.ask_reporter(now, "内部：王小明来电几号？")),
        (REPORTER, lambda now: case.resume(now, note="王小明来电：3号楼")),
        (OFFICER, lambda now: case.ask_extension(now, "内部：王小明不在家")),
        (CENTRE, lambda now: case.decide_extension(now, True, reason="内部同意")),
        (LEADER, lambda now: case.suspend(now, "内部原因", china("03-09 09:00"))),
        (LEADER, lambda now: case.resume(now, note="内部恢复")),
        (OFFICER, lambda now: case.reply(now, "王小明反映的问题已处理")),
        (VERIFIER, lambda now: case.verify(now, False, note="王小明说没有")),
        (OFFICER, lambda now: case.reply(now, "再次处理，王小明来电确认")),
        (VERIFIER, lambda now: case.verify(now, True, note="内部核实")),
        (CENTRE, case.close),
        (REPORTER, lambda now: case.object(now, "王小明：还没好", ["a"])),
        (OFFICER, lambda now: case.give_back(now, "内部：不归我们")),
        (CENTRE, lambda now: case.reject(now, "重复")),
    ]
    for step, (by, deed) in enumerate(steps, 1):
        made = deed(act(by, MONDAY_NINE + step * MINUTE))
        events += made if isinstance(made, tuple) else ()
    published = "".join(event.model_dump_json() for event in events)
    assert len(events) > len(steps) - 2
    assert [word for word in private if word in published] == []
    assert [word for word in private[:4] if word in repr(case)] == [], "nor do they come into logs"
    assert case.reporter == Reporter(sealed="王小明", phone="13800000000")


def shown(case: Case) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    snapshot = case.snapshot()
    return snapshot.place.address, snapshot.photos, snapshot.reply_photos


def test_a_category_may_keep_address_and_photos_inside() -> None:
    for public in (True, False):
        case = registered(replace(RUBBISH, public=public), photos=("a",))
        case.acknowledge(act(OFFICER, LATER))
        case.reply(act(OFFICER, LATER), "好", photos=["b"])
        assert shown(case) == (("银光路口", ("a",), ("b",)) if public else ("", (), ()))


@pytest.mark.parametrize("moderation", [Moderation.PENDING, Moderation.WITHHELD])
def test_what_is_not_approved_is_not_shown_and_does_not_hold_up_the_work(moderation: Moderation) -> None:
    case = registered(photos=("a",))
    [event] = case.moderate(moderation)
    assert type(event) is contracts.CaseChanged
    assert shown(case) == ("", (), ())
    assert case.moderate(moderation) == ()
    assert case.state is S.DISPATCHED
    case.moderate(Moderation.APPROVED)
    assert shown(case) == ("银光路口", ("a",), ())


@pytest.mark.parametrize(
    ("category", "moderation"),
    [
        (replace(RUBBISH, public=False), Moderation.APPROVED),
        (RUBBISH, Moderation.PENDING),
        (RUBBISH, Moderation.WITHHELD),
    ],
    ids=["of a kind nobody sees", "not looked at yet", "withheld"],
)
def test_what_is_not_shown_has_no_exact_place_outside(category: Category, moderation: Moderation) -> None:
    case, [event] = Case.register(
        id="20260302-0000000000",
        category=category,
        channel=Channel.CITIZEN,
        place=Place(112.601234, 26.881234, "430476001004", "3 栋 201"),
        routing=TO_UNIT,
        act=act(REPORTER),
        moderation=moderation,
        middle=(112.6, 26.88),
    )
    for place in (event.case.place, case.snapshot().place):
        assert (place.longitude, place.latitude, place.community) == (112.6, 26.88, "430476001004")
    stored = CASES.to_document(case, 1, 1)
    assert (stored["map"]["longitude"], stored["map"]["latitude"]) == (112.6, 26.88)
    case.middle = None  # as earlier versions stored it
    assert (case.snapshot().place.longitude, case.snapshot().place.latitude) == (112.6, 26.88)


def test_single_photos_can_be_hidden() -> None:
    case = registered(photos=("a", "b"))
    case.acknowledge(act(OFFICER, LATER))
    case.reply(act(OFFICER, LATER), "好", photos=["c"])
    [event] = case.show_photos({"b", "c"})
    assert (event.case.photos, event.case.reply_photos) == (("a",), ())
    assert case.show_photos(["c", "b"]) == ()
    case.show_photos(())
    assert shown(case)[1:] == (("a", "b"), ("c",))


def test_the_snapshot_is_what_the_contract_says_and_nothing_is_forgotten() -> None:
    case = registered()
    fields = {"case": case.id, "place": ..., "photos": ..., "reply_photos": ...}
    snapshot = case.snapshot()
    for name in CaseSnapshot.model_fields.keys() - fields.keys():
        assert getattr(snapshot, name) == getattr(case, name), name


def test_a_case_number_has_the_local_date_and_fifty_random_bits() -> None:
    new_year_in_hengyang = datetime(2026, 12, 31, 16, 0, tzinfo=UTC)
    assert new_case_id(new_year_in_hengyang, bytes(7)) == "20270101-0000000000"
    assert new_case_id(new_year_in_hengyang, b"\xff" * 7) == "20270101-ZZZZZZZZZZ"
    numbers = {new_case_id(new_year_in_hengyang, bit.to_bytes(7, "big")) for bit in range(5_000)}
    assert len(numbers) == 5_000
    assert not set("".join(numbers)) & set("ILOU"), "letters that are mistaken for others"


# ---- own cause ----


def both(unit: str | None, subject: str) -> Actor:
    """Somebody with every role there is: what matters is whose matter it is."""
    return Actor(frozenset(Side) - {Side.SYSTEM, Side.REPORTER}, unit, subject)


DECISIONS: dict[str, tuple[CaseState, Callable[[Case, Act], object]]] = {
    "verify": (S.REPLIED, lambda case, on: case.verify(on, True)),
    "find wanting": (S.REPLIED, lambda case, on: case.verify(on, False)),
    "suspend": (S.RECTIFYING, lambda case, on: case.suspend(on, "需大修", on.now + timedelta(days=10))),
    "merge": (S.RECTIFYING, lambda case, on: case.merge_into(on, another())),
    "grant": (S.RECTIFYING, lambda case, on: case.decide_extension(on, True, reason="情况属实")),
    "refuse": (S.RECTIFYING, lambda case, on: case.decide_extension(on, False, reason="时间充足")),
}


def to_be_decided(decision: str) -> Case:
    case = in_state(DECISIONS[decision][0])
    if decision in {"grant", "refuse"}:
        case.ask_extension(act(OFFICER, MONDAY_NINE + 10 * MINUTE), "需要配件")
    return case


@pytest.mark.parametrize("decision", DECISIONS)
def test_nobody_decides_in_their_own_units_matter_or_in_their_own(decision: str) -> None:
    case, decide = to_be_decided(decision), DECISIONS[decision][1]
    case.supporting = (HELPING_UNIT,)
    later = MONDAY_NINE + 20 * MINUTE
    for unit in (UNIT, HELPING_UNIT):
        refused(case, "decision-on-own-unit", decide, case, act(both(unit, "another"), later))
    refused(case, "second-person-required", decide, case, act(both(None, OFFICER.subject), later))
    decide(case, act(both(OTHER_UNIT, "another"), later))


def test_a_leader_of_the_unit_does_not_end_its_rest() -> None:
    case = in_state(S.SUSPENDED)
    refused(case, "decision-on-own-unit", case.resume, act(both(UNIT, "another"), LATER))
    case.resume(act(both(None, "another"), LATER))


def test_a_reporter_is_asked_so_often_and_no_more() -> None:
    case = in_state(S.RECTIFYING)
    for asked in range(TERMS.questions):
        case.ask_reporter(act(OFFICER, MONDAY_NINE + (20 + 2 * asked) * MINUTE), "具体在几号楼？")
        case.resume(act(REPORTER, MONDAY_NINE + (21 + 2 * asked) * MINUTE))
    refusal = refused(case, "questions-used-up", case.ask_reporter, act(OFFICER, MONDAY_NINE + 40 * MINUTE), "还有呢？")
    assert refusal.params == {"limit": TERMS.questions}
