"""What a reporter answers to the questions of a category, checked by their kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from services.reports.domain.catalogue import AnswerKind, Category, Question
from services.reports.domain.writing import plain_text
from shared.errors import Invalid

ANSWER_LIMIT = 500
YES, NO = "yes", "no"
Answer = str | tuple[str, ...]
"""A text; a number in digits; `yes` or `no`; the code of an option; a date as `YYYY-MM-DD`; codes of options."""

_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FIELD_LIMIT = 60


def check_answers(category: Category, answers: Mapping[str, Answer], *, complete: bool) -> dict[str, Answer]:
    """The answers as they are kept, in the order of the questions; blank ones are left out.

    `complete`: what is required must be there. Raises Invalid, naming `answers.<code>`: answer-unknown (the category
    does not ask), answer-required, answer-of-another-kind (several for one, or one for several), answer-not-a-number,
    answer-not-yes-or-no, answer-not-a-date, answer-not-offered, listed-twice, and what `plain_text` raises.
    """
    asked = {question.code for question in category.questions}
    for code in answers:
        if code not in asked:
            raise Invalid("answer-unknown", field=f"answers.{code[:_FIELD_LIMIT]}", category=category.code)
    kept: dict[str, Answer] = {}
    for question in category.questions:
        field = f"answers.{question.code}"
        answer = _checked(question, answers.get(question.code, ""), field)
        if answer:
            kept[question.code] = answer
        elif question.required and complete:
            raise Invalid("answer-required", field=field)
    return kept


def _checked(question: Question, answer: Answer, field: str) -> Answer:
    if not answer:
        return ""
    several = question.kind is AnswerKind.CHOICES
    if isinstance(answer, str) is several:
        raise Invalid("answer-of-another-kind", field=field, kind=question.kind.value)
    if isinstance(answer, str):
        return _one(question, plain_text(answer, field, ANSWER_LIMIT), field)
    for code in answer:
        _offered(question, code, field)
    if len(set(answer)) < len(answer):
        raise Invalid("listed-twice", field=field, given=next(code for code in answer if answer.count(code) > 1))
    return answer


def _one(question: Question, answer: str, field: str) -> str:
    if not answer:
        return ""
    match question.kind:
        case AnswerKind.NUMBER if not _NUMBER.fullmatch(answer):
            raise Invalid("answer-not-a-number", field=field)
        case AnswerKind.YES_NO if answer not in {YES, NO}:
            raise Invalid("answer-not-yes-or-no", field=field)
        case AnswerKind.DATE if not _is_date(answer):
            raise Invalid("answer-not-a-date", field=field)
        case AnswerKind.CHOICE:
            _offered(question, answer, field)
    return answer


def _offered(question: Question, code: str, field: str) -> None:
    offered = [option.code for option in question.options]
    if code not in offered:
        raise Invalid("answer-not-offered", field=field, known=", ".join(offered))


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
