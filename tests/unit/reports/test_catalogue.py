"""What the office must not write into a category, by field; and which differences make a version."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from services.reports.domain import AnswerKind, Catalogue, Category, Name, Option, Question
from services.reports.domain.catalogue import changed, checked, faults, tidied
from shared.contracts.reports import Stage
from shared.errors import Invalid

GROUPS, UNITS = ("appearance",), ("huanwei", "chengguan", "shizheng")
OPTION = Option("road", Name("路面", "road"))
CHOICE = Question("where", Name("在哪里？", "Where?"), AnswerKind.CHOICE, options=(OPTION,))
SOUND = Category(
    code="exposed-rubbish",
    version=1,
    name=Name("暴露垃圾", "Exposed rubbish"),
    group="appearance",
    limit="4 work-hours",
    limit_source="示例",
    points=Decimal("0.25"),
    unit="huanwei",
    limits={Stage.ACKNOWLEDGE: "1 work-hour"},
    supporting=("chengguan",),
    indicators=("示例-01",),
    questions=(CHOICE,),
)


def answered(category: Category) -> list[tuple[str, str | None]]:
    return [(fault.code, fault.field) for fault in faults(category, GROUPS, UNITS)]


def test_a_sound_category_has_no_fault() -> None:
    assert answered(SOUND) == []
    assert answered(replace(SOUND, points=Decimal(100), limit="0 work-hours", unit=None, triage=True)) == []


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"code": "Exposed Rubbish"}, "code-malformed", "code"),
        ({"code": "a:b"}, "code-malformed", "code"),
        ({"code": "x" * 61}, "code-malformed", "code"),
        ({"name": Name("", "Rubbish")}, "text-required", "name.zh"),
        ({"name": Name("长" * 51, "")}, "text-too-long", "name.zh"),
        ({"name": Name("垃圾", "x" * 101)}, "text-too-long", "name.en"),
        ({"guidance": Name("<b>", "")}, "text-has-markup", "guidance.zh"),
        ({"limit_source": "a\u202eb"}, "text-has-control-characters", "limit_source"),
        ({"group": "nothing"}, "group-unknown", "group"),
        ({"points": Decimal("-0.1")}, "points-unfit", "points"),
        ({"points": Decimal("100.01")}, "points-unfit", "points"),
        ({"points": Decimal("0.125")}, "points-unfit", "points"),
        ({"points": Decimal("NaN")}, "points-unfit", "points"),
        ({"limit": "2 hours"}, "limit-unreadable", "limit"),
        ({"limit": "0 working days"}, "limit-too-small", "limit"),
        ({"limit": "251 working days"}, "limit-too-long", "limit"),
        ({"limits": {Stage.CLOSE: "1751 work-hours"}}, "limit-too-long", "limits.close"),
        ({"limits": {Stage.VERIFY: "soon"}}, "limit-unreadable", "limits.verify"),
        ({"limits": {Stage.REVIEW: "1 working day"}}, "stage-without-limit", "limits.review"),
        ({"limits": {Stage.RECTIFY: "1 working day"}}, "stage-without-limit", "limits.rectify"),
        ({"unit": "nobody"}, "unit-unknown", "unit"),
        ({"supporting": ("chengguan", "nobody")}, "unit-unknown", "supporting.1"),
        ({"supporting": ("huanwei",)}, "lead-among-supporting", "supporting"),
        ({"supporting": ("chengguan", "chengguan")}, "listed-twice", "supporting"),
        ({"triage": True}, "triage-with-unit", "triage"),
        ({"indicators": tuple(map(str, range(21)))}, "list-too-long", "indicators"),
        ({"indicators": ("a", "a")}, "listed-twice", "indicators"),
        ({"indicators": ("",)}, "text-required", "indicators.0"),
        ({"questions": (CHOICE, CHOICE)}, "listed-twice", "questions"),
        ({"questions": (replace(CHOICE, code="a.b"),)}, "code-malformed", "questions.0.code"),
        ({"questions": (replace(CHOICE, name=Name("", "")),)}, "text-required", "questions.0.name.zh"),
        ({"questions": (replace(CHOICE, options=()),)}, "options-unfit", "questions.0.options"),
        ({"questions": (replace(CHOICE, kind=AnswerKind.TEXT),)}, "options-unfit", "questions.0.options"),
        ({"questions": (replace(CHOICE, options=(OPTION, OPTION)),)}, "listed-twice", "questions.0.options"),
        (
            {"questions": (replace(CHOICE, options=(replace(OPTION, code=""),)),)},
            "code-malformed",
            "questions.0.options.0.code",
        ),
        (
            {"questions": (replace(CHOICE, options=(replace(OPTION, name=Name(" ", "")),)),)},
            "text-required",
            "questions.0.options.0.name.zh",
        ),
    ],
)
def test_each_fault_is_told_with_its_field(change: dict[str, Any], code: str, field: str) -> None:
    category = replace(SOUND, **change)
    assert answered(category) == [(code, field)]
    with pytest.raises(Invalid) as refused:
        checked(category, GROUPS, UNITS)
    assert (refused.value.code, refused.value.field) == (code, field)


@pytest.mark.parametrize(("many", "code"), [(20, None), (21, "list-too-long")])
def test_there_are_at_most_20_questions(many: int, code: str | None) -> None:
    questions = tuple(replace(CHOICE, code=f"q{number}") for number in range(many))
    assert [fault for fault, _ in answered(replace(SOUND, questions=questions))] == ([code] if code else [])


@pytest.mark.parametrize(("many", "code"), [(50, None), (51, "list-too-long")])
def test_there_are_at_most_50_options(many: int, code: str | None) -> None:
    options = tuple(replace(OPTION, code=f"o{number}") for number in range(many))
    found = answered(replace(SOUND, questions=(replace(CHOICE, options=options),)))
    assert [fault for fault, _ in found] == ([code] if code else [])


def test_all_faults_are_told_together() -> None:
    both = replace(SOUND, group="nothing", unit="nobody")
    assert answered(both) == [("group-unknown", "group"), ("unit-unknown", "unit")]


def test_only_content_makes_a_difference() -> None:
    rewritten = replace(
        SOUND,
        version=9,
        name=Name(" 暴露垃圾 ", "Exposed rubbish"),
        limit="4个工作时",
        limits={Stage.ACKNOWLEDGE: "1个工作时"},
        points=Decimal("0.250"),
    )
    assert changed(tidied(rewritten), tidied(SOUND)) == []
    assert changed(replace(SOUND, points=Decimal(1), retired=True), SOUND) == ["points", "retired"]


def test_only_a_category_in_use_takes_new_cases() -> None:
    catalogue = Catalogue(1, {"exposed-rubbish": SOUND, "old": replace(SOUND, code="old", retired=True)})
    assert catalogue.open("exposed-rubbish") is SOUND
    for code, fault in (("old", "category-retired"), ("none", "category-unknown")):
        with pytest.raises(Invalid) as refused:
            catalogue.open(code)
        assert (refused.value.code, refused.value.field) == (fault, "category")
