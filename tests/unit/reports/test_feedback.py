"""The reporter's side of a case: what they see, what they may do, and what they may not see of one another."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from services.reports.domain import (
    Act,
    Actor,
    Case,
    Category,
    Command,
    Name,
    Place,
    Routing,
    Side,
    Terms,
    Timetable,
    Why,
)
from services.reports.domain.cases import FACTS_LIMIT
from services.reports.domain.facts import Fact
from services.reports.domain.feedback import Feedback, Part, Tracker
from shared.contracts.reports import CaseState, Channel, Kind, Stage
from shared.errors import Forbidden, Refused
from shared.workdays import WorkCalendar

MONDAY = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
TIMETABLE = Timetable(
    WorkCalendar(),
    Terms(
        version=1,
        due_soon=Decimal("0.75"),
        orange="7 work-hours",
        red="21 work-hours",
        limits={stage: "1 working day" for stage in Stage if stage is not Stage.OTHER},
        return_within="1 working day",
        reopen_within="7 working days",
        repeat_days=30,
        repeat_metres=50,
        duplicate_metres=100,
    ),
)
RUBBISH = Category(
    code="exposed-rubbish",
    version=1,
    name=Name("暴露垃圾", "Exposed rubbish"),
    group="appearance",
    limit="4 work-hours",
    limit_source="示例",
    points=Decimal("0.5"),
)
REPORTER = Actor(frozenset({Side.REPORTER}))
UNIT = Actor(frozenset({Side.UNIT}), "huanwei", "officer-1")
OFFICE = Actor(frozenset({Side.CENTRE, Side.VERIFIER}), "chuangwenban", "office-1")


def act(by: Actor, minutes: int = 0) -> Act:
    return Act(by, MONDAY + timedelta(minutes=minutes), TIMETABLE)


def filed(id: str = "20260302-A", unit: str | None = "huanwei", kind: Kind = Kind.PROBLEM) -> Case:
    """A citizen's report of Monday, 09:00."""
    case, _ = Case.register(
        id=id,
        category=RUBBISH,
        channel=Channel.CITIZEN,
        place=Place(112.6, 26.88, "430476001004", "银光路口"),
        routing=Routing(unit, Why.CATEGORY),
        act=act(REPORTER),
        kind=kind,
        text="垃圾无人清理",
    )
    return case


def closed(case: Case) -> Case:
    """Through all hands."""
    case.acknowledge(act(UNIT, 1))
    case.reply(act(UNIT, 2), "已清运", photos=["p1"])
    case.verify(act(OFFICE, 3), True, note="现场看过")
    case.close(act(OFFICE, 4))
    return case


def reporter_of(case: Case) -> Tracker:
    return Tracker(Part.REPORTER, case, case)


def may(tracker: Tracker, minutes: int = 10) -> list[Feedback]:
    return tracker.may(MONDAY + timedelta(minutes=minutes), TIMETABLE)


def merged() -> tuple[Case, Case]:
    """Two reports of one problem: the first goes on."""
    other, case = filed("20260302-B"), filed("20260302-A")
    case.comment(act(REPORTER, 1), "我的补充")
    other.comment(act(REPORTER, 2), "别人的补充")
    case.merge_into(act(OFFICE, 3), other)
    return case, other


def test_what_a_reporter_may_do_follows_the_case() -> None:
    assert may(reporter_of(filed(unit=None))) == [Feedback.UPDATE, Feedback.WITHDRAW]
    case = filed()
    assert may(reporter_of(case)) == [Feedback.UPDATE]
    assert may(reporter_of(closed(case))) == [Feedback.UPDATE, Feedback.RATE, Feedback.OBJECT]


def test_a_question_waits_for_an_answer() -> None:
    case = filed(unit=None)
    case.ask_reporter(act(OFFICE, 1), "具体在几号楼？")
    assert may(reporter_of(case)) == [Feedback.UPDATE, Feedback.ANSWER]
    [asked] = [line for line in reporter_of(case).lines() if line.command is Command.ASK_REPORTER]
    assert asked.note == "具体在几号楼？"


def test_the_time_to_object_ends() -> None:
    tracker = reporter_of(closed(filed()))
    until = tracker.object_until(TIMETABLE)
    assert until is not None
    assert Feedback.OBJECT in tracker.may(until, TIMETABLE)
    assert Feedback.OBJECT not in tracker.may(until + timedelta(minutes=1), TIMETABLE)


def test_praise_is_not_rated() -> None:
    assert may(reporter_of(filed(kind=Kind.PRAISE))) == [Feedback.UPDATE]


def test_a_full_history_takes_no_more() -> None:
    case = filed()
    case.timeline += [Fact(MONDAY, Command.COMMENT)] * (FACTS_LIMIT - len(case.timeline))
    assert may(reporter_of(case)) == []


def test_the_reporter_reads_replies_and_public_notes_but_not_what_is_said_inside() -> None:
    case = closed(filed())
    case.comment(act(OFFICE, 5), "内部意见")
    case.comment(act(OFFICE, 6), "已列入夜间巡查", public=True)
    case.comment(act(REPORTER, 7), "谢谢")
    lines = [(line.command, line.note, line.mine) for line in reporter_of(case).lines()]
    assert (Command.REPLY, "已清运", False) in lines
    assert (Command.COMMENT, "已列入夜间巡查", False) in lines
    assert (Command.COMMENT, "谢谢", True) in lines
    assert not {"内部意见", "现场看过"} & {note for _, note, _ in lines}


def test_photos_are_told_as_far_as_everybody_may_see_them() -> None:
    case = closed(filed())

    def shown() -> tuple[str, ...]:
        return next(line.photos for line in reporter_of(case).lines() if line.command is Command.REPLY)

    assert shown() == ("p1",)
    case.show_photos(["p1"])
    assert shown() == ()
    case.show_photos([])
    case.public = False
    assert shown() == ()


def test_a_follower_sees_how_it_goes_and_nothing_of_the_reporter() -> None:
    case = filed(unit=None)
    case.comment(act(REPORTER, 1), "我住三楼")
    case.ask_reporter(act(OFFICE, 2), "您方便时几点在家？")
    follower = Tracker(Part.FOLLOWER, case, case)
    notes = " ".join(line.note for line in follower.lines())
    assert "三楼" not in notes
    assert "在家" not in notes
    assert may(follower) == []
    assert not any(line.mine for line in follower.lines())


def test_a_merged_report_shows_the_other_case_and_its_own_words() -> None:
    case, other = merged()
    tracker = Tracker(Part.MERGED, case, other)
    notes = [line.note for line in tracker.lines() if line.note]
    assert notes == ["我的补充"]
    assert [line.at for line in tracker.lines()] == sorted(line.at for line in tracker.lines())
    assert may(tracker) == [Feedback.UPDATE]
    closed(other)
    assert may(tracker) == [Feedback.UPDATE, Feedback.RATE, Feedback.OBJECT]


def test_reporters_of_one_problem_do_not_read_each_other() -> None:
    case, other = merged()
    first, second = Tracker(Part.MERGED, case, other), reporter_of(other)
    other.comment(act(first.actor, 4), "甲说")
    other.comment(act(second.actor, 5), "乙说")
    assert [line.note for line in first.lines() if line.mine and line.note] == ["我的补充", "甲说"]
    assert [line.note for line in second.lines() if line.mine and line.note] == ["别人的补充", "乙说"]


def test_after_the_merge_is_undone_everybody_has_their_own_case_again() -> None:
    case, other = merged()
    case.unmerge(act(OFFICE, 4), other)
    assert [line.note for line in reporter_of(case).lines() if line.note] == ["我的补充"]
    assert may(reporter_of(case)) == [Feedback.UPDATE]


def test_what_somebody_said_is_counted_apart() -> None:
    case, other = merged()
    first, second = Tracker(Part.MERGED, case, other), reporter_of(other)
    for minute in range(4, 7):
        other.comment(act(first.actor, minute), "补充")
    assert (first.said_since(MONDAY), second.said_since(MONDAY)) == (3, 1)
    assert first.said_since(MONDAY + timedelta(minutes=6)) == 1


def test_a_report_nobody_has_looked_at_ends_when_it_is_withdrawn() -> None:
    case = filed(unit=None)
    [event] = case.withdraw(act(REPORTER, 1), "已经有人清了")
    assert (case.state, event.TYPE.split(".")[2], case.ended_at) == (
        CaseState.REJECTED,
        "case-rejected",
        MONDAY + timedelta(minutes=1),
    )
    assert case.clocks == []
    assert case.deadline_at is None


def test_a_report_somebody_works_on_is_for_the_centre_to_end() -> None:
    case = filed(unit=None)
    case.proposed = None
    case.file(act(OFFICE, 1))
    assert case.withdraw(act(REPORTER, 2), "已经有人清了") == ()
    assert case.state is CaseState.FILED
    assert (case.timeline[-1].command, case.timeline[-1].note) == (Command.WITHDRAW, "已经有人清了")
    with pytest.raises(Refused, match="withdrawn-already"):
        case.withdraw(act(REPORTER, 3))
    assert may(reporter_of(case)) == [Feedback.UPDATE]


def test_only_the_reporter_withdraws_and_only_before_a_unit_has_it() -> None:
    with pytest.raises(Forbidden, match="command-of-another-side"):
        filed(unit=None).withdraw(act(OFFICE, 1))
    with pytest.raises(Refused, match="transition-not-allowed"):
        filed().withdraw(act(REPORTER, 1))


def test_a_case_knows_when_it_ended_and_forgets_it_when_it_goes_on() -> None:
    case = closed(filed())
    assert case.ended_at == MONDAY + timedelta(minutes=4)
    case.rate(act(REPORTER, 5), True, True)
    assert case.ended_at == MONDAY + timedelta(minutes=4)
    case.reopen(act(OFFICE, 6), reason="又有了")
    assert case.ended_at is None
    one, other = merged()
    assert one.ended_at == MONDAY + timedelta(minutes=3)
    one.unmerge(act(OFFICE, 9), other)
    assert one.ended_at is None


def test_every_say_of_the_reporter_is_what_the_table_allows() -> None:
    for case in (filed(), filed(unit=None), closed(filed())):
        for kind in may(reporter_of(case)):
            again = replace(case, timeline=list(case.timeline), clocks=list(case.clocks))
            {
                Feedback.UPDATE: lambda it: it.comment(act(REPORTER, 10), "补充"),
                Feedback.RATE: lambda it: it.rate(act(REPORTER, 10), True, False),
                Feedback.OBJECT: lambda it: it.object(act(REPORTER, 10), "没清完", ["p2"]),
                Feedback.WITHDRAW: lambda it: it.withdraw(act(REPORTER, 10)),
            }[kind](again)
