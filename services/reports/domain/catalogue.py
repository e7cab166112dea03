"""What can be reported and who answers for it: categories and units, as the office decides them.

A category is kept in every version it ever had. `faults` says what the office must not write, in its file as in its
edits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from services.reports.domain.writing import plain_text
from shared.contracts.reports import Stage
from shared.district.names import Name
from shared.errors import DomainError, Invalid
from shared.workdays import Limit, LimitUnit

POINTS_LIMIT = 100
"""A unit's score starts at 100, so no single case can cost more."""
POINTS_DECIMALS = 2
SUPPORTING_LIMIT = 10
INDICATORS_LIMIT = 20
QUESTIONS_LIMIT = 20
OPTIONS_LIMIT = 50
CODE_LIMIT = 60
NAME_LIMIT = 50
GUIDANCE_LIMIT = 300
QUESTION_LIMIT = 100
SOURCE_LIMIT = 200
LONGEST = {LimitUnit.WORK_HOURS: 1_750, LimitUnit.WORKING_DAYS: 250}
"""A year's working time: the work calendar does not reach much further."""
TIMED = frozenset(Stage) - {Stage.RECTIFY, Stage.REVIEW, Stage.OTHER}
"""Stages that may have a limit beside rectification's: a review has its own day."""

NO_GUIDANCE = Name("")
_CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class AnswerKind(StrEnum):
    """What kind of answer a question takes."""

    TEXT = "text"
    NUMBER = "number"
    YES_NO = "yes-no"
    CHOICE = "choice"
    CHOICES = "choices"
    DATE = "date"


@dataclass(frozen=True)
class Option:
    """One of the answers to choose from."""

    code: str
    name: Name


@dataclass(frozen=True)
class Question:
    """What reporters of a category are asked besides the text; answers are seen where the text is."""

    code: str
    name: Name
    kind: AnswerKind
    required: bool = False
    options: tuple[Option, ...] = ()


@dataclass(frozen=True)
class Category:
    """A kind of problem (问题类别) in one version; a case keeps the version it was filed under.

    `limit` is a time limit as the office writes it ("4 work-hours", "2 working days") and `limit_source` says
    who set it (示例: nobody did). `points` is what an overdue case costs its unit. `unit` answers for the
    category wherever no closer rule exists, None leaves it to the community. With `triage` the office decides
    first. Cases of a category that is not `public` show neither address nor photos outside the service.

    `limit` is that of rectification; `limits` has those of the other stages, which else are the terms'. With
    `site_check`, what a citizen reports is looked at on the spot before it is filed (立案). `indicators` are codes of
    the assessment scheme. `supporting` units help wherever no closer rule names others. A `retired` category takes no
    new cases.
    """

    code: str
    version: int
    name: Name
    group: str
    limit: str
    limit_source: str
    points: Decimal
    unit: str | None = None
    triage: bool = False
    photo_required: bool = False
    public: bool = True
    guidance: Name = NO_GUIDANCE
    limits: Mapping[Stage, str] = field(default_factory=dict)
    site_check: bool = False
    indicators: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()
    supporting: tuple[str, ...] = ()
    retired: bool = False

    def limit_of(self, stage: Stage) -> str | None:
        """The limit of a stage as written; None where the stage has none."""
        return self.limit if stage is Stage.RECTIFY else self.limits.get(stage)


@dataclass(frozen=True)
class CategoryVersion:
    """One version of a category as it was put to use: when (UTC) and by whom, the subject of a token or the file."""

    id: str
    category: Category
    made_at: datetime
    made_by: str


def version_id(code: str, version: int) -> str:
    """Identity of a version."""
    return f"{code}:{version}"


@dataclass
class CatalogueHead:
    """Which version of each category is in use, in the order they are shown; `edition` counts the changes."""

    id: str
    edition: int = 0
    versions: dict[str, int] = field(default_factory=dict)

    def id_of(self, code: str) -> str | None:
        """Identity of the version in use; None for a category that never was."""
        return version_id(code, self.versions[code]) if code in self.versions else None


@dataclass(frozen=True)
class Catalogue:
    """All categories in the version in use, retired ones among them. Immutable; an edit makes another."""

    edition: int
    categories: Mapping[str, Category]

    def open(self, code: str) -> Category:
        """The category, if it takes new cases. Raises Invalid: category-unknown, category-retired."""
        category = self.categories.get(code)
        if category is None:
            raise Invalid("category-unknown", field="category", given=code[:CODE_LIMIT])
        if category.retired:
            raise Invalid("category-retired", field="category", given=code)
        return category


def checked(category: Category, groups: Collection[str], units: Collection[str]) -> Category:
    """The category with texts and limits in the form in which they are kept. Raises the first of its `faults`."""
    for fault in faults(category, groups, units):
        raise fault
    return tidied(category)


def tidied(category: Category) -> Category:
    """A sound category in the one spelling that two of equal content share."""
    return replace(
        category,
        name=_tidy(category.name),
        guidance=_tidy(category.guidance),
        limit=str(Limit.parse(category.limit)),
        limits={stage: str(Limit.parse(limit)) for stage in Stage if (limit := category.limits.get(stage))},
        limit_source=plain_text(category.limit_source, "limit_source"),
        questions=tuple(
            replace(
                question,
                name=_tidy(question.name),
                options=tuple(replace(option, name=_tidy(option.name)) for option in question.options),
            )
            for question in category.questions
        ),
    )


def changed(one: Category, other: Category) -> list[str]:
    """The fields in which two versions differ, but for their number."""
    names = (field.name for field in fields(Category) if field.name != "version")
    return [name for name in names if getattr(one, name) != getattr(other, name)]


def faults(category: Category, groups: Collection[str], units: Collection[str]) -> Iterator[DomainError]:
    """What keeps the category from being used, each fault naming its field; `groups` and `units` are those known."""
    yield from _code_faults("code", category.code)
    yield from _name_faults("name", category.name, NAME_LIMIT, required=True)
    yield from _name_faults("guidance", category.guidance, GUIDANCE_LIMIT)
    yield from _text_faults("limit_source", category.limit_source, SOURCE_LIMIT)
    if category.group not in groups:
        yield Invalid("group-unknown", field="group", given=category.group[:CODE_LIMIT])
    points, exponent = category.points, category.points.as_tuple().exponent
    if not (points.is_finite() and 0 <= points <= POINTS_LIMIT and int(exponent) >= -POINTS_DECIMALS):
        yield Invalid("points-unfit", field="points", limit=POINTS_LIMIT, decimals=POINTS_DECIMALS)
    yield from _limit_faults(category)
    yield from _unit_faults(category, units)
    yield from _list_faults("indicators", category.indicators, INDICATORS_LIMIT)
    for place, indicator in enumerate(category.indicators):
        yield from _text_faults(f"indicators.{place}", indicator, CODE_LIMIT, required=True)
    yield from _list_faults("questions", [question.code for question in category.questions], QUESTIONS_LIMIT)
    for place, question in enumerate(category.questions):
        yield from _question_faults(f"questions.{place}", question)


def _limit_faults(category: Category) -> Iterator[DomainError]:
    yield from _readable("limit", category.limit)
    for stage, limit in category.limits.items():
        if stage not in TIMED:
            yield Invalid("stage-without-limit", field=f"limits.{stage}", known=", ".join(sorted(TIMED)))
        yield from _readable(f"limits.{stage}", limit)


def _readable(field: str, limit: str) -> Iterator[DomainError]:
    try:
        parsed = Limit.parse(limit)
    except Invalid as error:
        yield Invalid(error.code, field=field, given=limit[:CODE_LIMIT])
    else:
        if parsed.amount > LONGEST[parsed.unit]:
            yield Invalid("limit-too-long", field=field, limit=LONGEST[parsed.unit])


def _unit_faults(category: Category, units: Collection[str]) -> Iterator[DomainError]:
    if category.unit is not None and category.unit not in units:
        yield Invalid("unit-unknown", field="unit", given=category.unit[:CODE_LIMIT])
    if category.triage and category.unit is not None:
        yield Invalid("triage-with-unit", field="triage", unit=category.unit)
    yield from supporting_faults(category.unit, category.supporting, units)


def supporting_faults(unit: str | None, supporting: Sequence[str], units: Collection[str]) -> Iterator[DomainError]:
    """What is wrong with the units that are to help a lead unit."""
    yield from _list_faults("supporting", supporting, SUPPORTING_LIMIT)
    for place, helper in enumerate(supporting):
        if helper not in units:
            yield Invalid("unit-unknown", field=f"supporting.{place}", given=helper[:CODE_LIMIT])
    if unit in supporting:
        yield Invalid("lead-among-supporting", field="supporting", unit=unit)


def _question_faults(field: str, question: Question) -> Iterator[DomainError]:
    yield from _code_faults(f"{field}.code", question.code)
    yield from _name_faults(f"{field}.name", question.name, QUESTION_LIMIT, required=True)
    if bool(question.options) is not (question.kind in {AnswerKind.CHOICE, AnswerKind.CHOICES}):
        yield Invalid("options-unfit", field=f"{field}.options", kind=question.kind.value)
    yield from _list_faults(f"{field}.options", [option.code for option in question.options], OPTIONS_LIMIT)
    for place, option in enumerate(question.options):
        yield from _code_faults(f"{field}.options.{place}.code", option.code)
        yield from _name_faults(f"{field}.options.{place}.name", option.name, QUESTION_LIMIT, required=True)


def _list_faults(field: str, codes: Sequence[str], limit: int) -> Iterator[DomainError]:
    if len(codes) > limit:
        yield Invalid("list-too-long", field=field, limit=limit)
    for code, times in Counter(codes).items():
        if times > 1:
            yield Invalid("listed-twice", field=field, given=code[:CODE_LIMIT])


def _code_faults(field: str, code: str) -> Iterator[DomainError]:
    if len(code) > CODE_LIMIT or not _CODE.fullmatch(code):
        yield Invalid("code-malformed", field=field, given=code[:CODE_LIMIT], limit=CODE_LIMIT)


def _name_faults(field: str, name: Name, limit: int, *, required: bool = False) -> Iterator[DomainError]:
    yield from _text_faults(f"{field}.zh", name.zh, limit, required=required)
    yield from _text_faults(f"{field}.en", name.en, 2 * limit)


def _text_faults(field: str, text: str, limit: int, *, required: bool = False) -> Iterator[DomainError]:
    try:
        plain_text(text, field, limit, required=required)
    except Invalid as error:
        yield error


def _tidy(name: Name) -> Name:
    return Name(plain_text(name.zh, "zh"), plain_text(name.en, "en"))
