"""Answers are checked by the kind of their question, and every refusal names the answer."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from services.reports.domain import Answer, AnswerKind, Category, Name, Option, Question, check_answers
from shared.errors import Invalid

OPTIONS = (Option("road", Name("路面", "road")), Option("estate", Name("小区", "estate")))


def question(code: str, kind: AnswerKind, required: bool = False) -> Question:
    options = OPTIONS if kind in {AnswerKind.CHOICE, AnswerKind.CHOICES} else ()
    return Question(code, Name(code, code), kind, required, options)


ASKING = Category(
    code="water-pipe",
    version=1,
    name=Name("漏水", "Leak"),
    group="public-utilities",
    limit="4 work-hours",
    limit_source="示例",
    points=Decimal(1),
    questions=(
        question("place", AnswerKind.TEXT, required=True),
        question("depth", AnswerKind.NUMBER),
        question("passable", AnswerKind.YES_NO),
        question("where", AnswerKind.CHOICE),
        question("faults", AnswerKind.CHOICES),
        question("since", AnswerKind.DATE),
    ),
)
PLACE = {"place": "北门"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, {}),
        ({"depth": " 20 "}, {"depth": "20"}),
        ({"depth": "-0.5"}, {"depth": "-0.5"}),
        ({"passable": "no", "since": "2026-02-28"}, {"passable": "no", "since": "2026-02-28"}),
        ({"where": "road", "faults": ("estate", "road")}, {"where": "road", "faults": ("estate", "road")}),
        ({"since": "", "depth": "  ", "faults": ()}, {}),
    ],
)
def test_answers_are_kept_in_the_order_of_the_questions_and_blank_ones_left_out(
    given: dict[str, Answer], kept: dict[str, Answer]
) -> None:
    found = check_answers(ASKING, {**given, **PLACE}, complete=True)
    assert list(found.items()) == list({**PLACE, **kept}.items())


@pytest.mark.parametrize(
    ("code", "answer", "fault"),
    [
        ("depth", "deep", "answer-not-a-number"),
        ("depth", "NaN", "answer-not-a-number"),
        ("depth", "1e9", "answer-not-a-number"),
        ("depth", "٣", "answer-not-a-number"),
        ("depth", "1" * 13, "answer-not-a-number"),
        ("passable", "true", "answer-not-yes-or-no"),
        ("where", "river", "answer-not-offered"),
        ("where", ("road",), "answer-of-another-kind"),
        ("faults", "road", "answer-of-another-kind"),
        ("faults", ("road", "river"), "answer-not-offered"),
        ("faults", ("road", "road"), "listed-twice"),
        ("since", "2026-02-30", "answer-not-a-date"),
        ("since", "20260228", "answer-not-a-date"),
        ("since", "2026-W09-1", "answer-not-a-date"),
        ("place", "<b>北门</b>", "text-has-markup"),
        ("place", "长" * 501, "text-too-long"),
        ("colour", "red", "answer-unknown"),
        ("colour", "", "answer-unknown"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(code: str, answer: Answer, fault: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_answers(ASKING, {**PLACE, code: answer}, complete=True)
    assert (refused.value.code, refused.value.field) == (fault, f"answers.{code}")


@pytest.mark.parametrize("given", [{}, {"place": " \n"}])
def test_what_is_required_may_only_be_left_out_on_behalf_of_a_caller(given: dict[str, Answer]) -> None:
    assert check_answers(ASKING, given, complete=False) == {}
    with pytest.raises(Invalid) as refused:
        check_answers(ASKING, given, complete=True)
    assert (refused.value.code, refused.value.field) == ("answer-required", "answers.place")


def test_a_name_that_nobody_asked_for_is_not_repeated_at_length() -> None:
    with pytest.raises(Invalid) as refused:
        check_answers(replace(ASKING, questions=()), {"x" * 10_000: "y"}, complete=True)
    assert len(refused.value.field or "") < 100
