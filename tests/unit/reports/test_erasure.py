"""What goes of a case in the end and what stays."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from services.reports.domain import Case, Fact, Moderation, Person, Reporter
from services.reports.domain.erasure import PERSONAL, Redaction, erase, forget_merged, forget_reporter
from services.reports.domain.words import Command
from services.reports.repo import CASES
from shared.contracts.reports import CaseChanged
from tests.unit.reports.test_feedback import MONDAY, OFFICE, REPORTER, UNIT, act, closed, filed

OF_WANG = Redaction((Person("王女士", "0734-8888888"),))
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
    erase(case, OF_WANG, LATER, {"floor", "kinds"})
    assert [case.reporter, case.tracking, case.text] == [None, None, ""]
    assert case.erased_at == LATER
    assert case.answers == {"floor": "3", "kinds": ("a", "b")}
    assert [(fact.at, fact.command, fact.by) for fact in case.timeline] == before
    found = "".join(fact.note for fact in case.timeline)
    assert found == "已电联*** ***"
    assert case.place.address == "银光路口"


def test_an_address_nobody_outside_saw_goes_too() -> None:
    case = filed()
    case.moderation = Moderation.WITHHELD
    erase(case, OF_WANG, LATER, ())
    assert case.place.address == ""
    assert (case.place.longitude, case.place.community) == (112.6, "430476001004")


def test_what_the_public_sees_of_an_erased_case_stays_as_it_was() -> None:
    case = closed(filed())
    before = case.snapshot()
    erase(case, OF_WANG, LATER, ())
    assert case.snapshot() == before


def test_a_reporter_may_be_forgotten_while_the_case_goes_on() -> None:
    case = filed()
    case.text = "垃圾无人清理，王女士 0734 8888888"
    case.reporter, case.tracking = Reporter(sealed="sealed", account="a"), "t"
    case.acknowledge(act(UNIT, 1))
    forget_reporter(case, OF_WANG)
    assert [case.reporter, case.tracking, case.erased_at] == [None, None, None]
    assert case.text == "垃圾无人清理，*** ***"
    case.reply(act(UNIT, 2), "已清运")


def test_erasing_twice_changes_nothing_more() -> None:
    case = closed(filed())
    erase(case, OF_WANG, LATER, ())
    once = replace(case, timeline=list(case.timeline))
    erase(case, OF_WANG, LATER, ())
    assert case == once


# ---- a canary in everything that can hold a person ----

CANARY = Person("阿依古丽·买买提", "13800138000")
SUNG = "找阿依古丽•买买提 １３８ ００１３ ８０００ aygul@example.invalid"
TRACES = ("买买提", "0013", "００１３", "aygul")
CODES = frozenset(
    {"id", "state", "category", "channel", "limits", "kind", "reporter_kind", "photos", "hidden_photos", "moderation"}
    | {
        "indicators",
        "routing",
        "proposed",
        "unit",
        "supporting",
        "stage",
        "level",
        "clocks",
        "reply_photos",
        "extension",
    }
    | {"earlier", "parent", "children", "open_children", "merged_into", "merged", "repeat_of"}
)
"""Fields with codes, numbers of cases and of photos, limits and words of the office: nobody's own words."""


def test_every_field_that_can_hold_words_is_gone_through_or_holds_none() -> None:
    wordless = {each.name for each in fields(Case) if "str" not in str(each.type) and each.type in _WORDLESS}
    assert {each.name for each in fields(Case)} == PERSONAL | CODES | wordless


_WORDLESS = {"int", "bool", "Decimal", "datetime", "datetime | None", "bool | None", "tuple[float, float] | None"}


def canary() -> Case:
    """A case with the canary wherever somebody can write, of a kind that everybody sees."""
    case = closed(filed())
    case.text = SUNG
    case.answers = {"where": SUNG, "floor": "3"}
    case.place = replace(case.place, address=f"银光路口 {SUNG}")
    case.reporter, case.tracking = Reporter(sealed=SUNG, account="a", phone="p"), SUNG
    case.timeline = [Fact(fact.at, fact.command, fact.by, SUNG, fact.who, True) for fact in case.timeline]
    case.timeline.append(Fact(case.timeline[-1].at, Command.COMMENT, "reporter", SUNG, "own-case"))
    return case


@pytest.mark.parametrize("whole", [True, False], ids=["over", "going on"])
def test_the_canary_is_nowhere_when_it_was_erased(whole: bool) -> None:
    case, redaction = canary(), Redaction((CANARY,))
    found = erase(case, redaction, LATER, {"floor"}) if whole else forget_reporter(case, redaction)
    stored = repr(CASES.to_document(case, 1, 1)) + repr(case.snapshot())
    assert [trace for trace in TRACES if trace in stored] == []
    assert [type(event) for event in found] == [CaseChanged], "whoever keeps what was told has to hear of it"
    assert case.place.address.startswith("银光路口")


def test_of_a_merged_case_what_its_reporter_wrote_later_goes_and_the_other_reporter_stays() -> None:
    case = canary()
    case.timeline[-1] = replace(case.timeline[-1], note="三号楼", who="20260302-1111111111")
    forget_merged(case, Redaction((CANARY,)), "20260302-1111111111")
    assert case.timeline[-1].note == ""
    assert case.reporter is not None
    assert "买买提" not in repr(case.timeline)
