"""What goes of a case in the end and what stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from services.reports.domain import Moderation, Person, Reporter
from services.reports.domain.erasure import erase, forget_reporter
from tests.unit.reports.test_say import MONDAY, OFFICE, REPORTER, UNIT, act, closed, filed

WANG = Person("王女士", "0734-8888888")
LATER = MONDAY + timedelta(days=400)


def test_nothing_personal_is_left_and_facts_and_figures_are() -> None:
    case = filed(unit=None)
    case.reporter = Reporter(sealed="sealed", account="a", phone="p")
    case.tracking = "t"
    case.answers = {"floor": "3", "which": "我家门口", "kinds": ("a", "b")}
    case.ask_reporter(act(OFFICE, 1), "王女士，请问几号楼？")
    case.comment(act(REPORTER, 2), "三号楼，我叫小王")
    case.resume(act(REPORTER, 2))
    case.comment(act(OFFICE, 3), "已电联王女士 07348888888")
    before = [(fact.at, fact.command, fact.by) for fact in case.timeline]
    erase(case, WANG, LATER, {"floor", "kinds"})
    assert [case.reporter, case.tracking, case.text] == [None, None, ""]
    assert case.erased_at == LATER
    assert case.answers == {"floor": "3", "kinds": ("a", "b")}
    assert [(fact.at, fact.command, fact.by) for fact in case.timeline] == before
    told = "".join(fact.note for fact in case.timeline)
    assert told == "已电联*** ***"
    assert case.place.address == "银光路口"


def test_an_address_nobody_outside_saw_goes_too() -> None:
    case = filed()
    case.moderation = Moderation.WITHHELD
    erase(case, WANG, LATER, ())
    assert case.place.address == ""
    assert (case.place.longitude, case.place.community) == (112.6, "430476001004")


def test_what_the_public_sees_of_an_erased_case_stays_as_it_was() -> None:
    case = closed(filed())
    before = case.snapshot()
    erase(case, WANG, LATER, ())
    assert case.snapshot() == before


def test_a_reporter_may_be_forgotten_while_the_case_goes_on() -> None:
    case = filed()
    case.text = "垃圾无人清理，王女士 0734 8888888"
    case.reporter, case.tracking = Reporter(sealed="sealed", account="a"), "t"
    case.acknowledge(act(UNIT, 1))
    forget_reporter(case, WANG)
    assert [case.reporter, case.tracking, case.erased_at] == [None, None, None]
    assert case.text == "垃圾无人清理，*** ***"
    case.reply(act(UNIT, 2), "已清运")


def test_erasing_twice_changes_nothing_more() -> None:
    case = closed(filed())
    erase(case, WANG, LATER, ())
    once = replace(case, timeline=list(case.timeline))
    erase(case, WANG, LATER, ())
    assert case == once
