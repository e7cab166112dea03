"""The assessment scheme (测评体系): categories, contents and standards, in versions of which one is in force.

The tree is that of the published manuals: 测评项目 (under a 测评类别) → 测评内容, the indicator that is assigned to
units → 测评标准 with its points. A version begins as a draft; once published it never changes again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum

from services.scoring.domain.marking import Marking, marking_faults, points_faults
from services.scoring.domain.writing import CODE_LIMIT, YEARS, is_code, is_day
from shared.clock import CHINA
from shared.errors import DomainError, Invalid, Refused, Several
from shared.writing import text_faults as faults_of_text
from shared.writing import tidy

STANDARDS_LIMIT = 1_000
"""Of a version: the manual of 2018-2020 has 328."""
NAME_LIMIT = 200
TEXT_LIMIT = 1_000
LIST_LIMIT = 50

# No table can hold the two that are no characters.
_NO_CHARACTER = re.compile(r"[\ufffe\uffff]")


class Method(StrEnum):
    """How a standard is looked at (测评方法)."""

    MATERIAL = "material"
    FIELD = "field"
    SURVEY = "survey"
    OBSERVATION = "observation"


@dataclass(frozen=True)
class Standard:
    """A criterion (测评标准) and what it is worth.

    `venues` are codes of the types of places at which it is looked at; the `lead` unit answers for it (None: whose
    area it is), `supporting` units help. `due` is the day (`YYYY-MM-DD`, Asia/Shanghai) by which it is to be met.
    `source` says who set it (示例: nobody did).
    """

    code: str
    text: str
    points: Decimal
    marking: Marking
    methods: tuple[Method, ...] = ()
    venues: tuple[str, ...] = ()
    lead: str | None = None
    supporting: tuple[str, ...] = ()
    due: str | None = None
    source: str = ""


@dataclass(frozen=True)
class Content:
    """What is assessed (测评内容), the indicator that is assigned to units."""

    code: str
    name: str
    standards: tuple[Standard, ...]


@dataclass(frozen=True)
class Category:
    """A chapter (测评项目); `part` names the one above it (测评类别), if the edition has such."""

    code: str
    name: str
    contents: tuple[Content, ...]
    part: str = ""


Tree = tuple[Category, ...]


@dataclass(frozen=True)
class DistrictCodes:
    """What a scheme may name: units and types of venues, by code."""

    units: Collection[str]
    venues: Collection[str]


@dataclass(frozen=True)
class SchemeContent:
    """All that a version says."""

    name: str
    source: str
    tree: Tree

    def faults(self, known: DistrictCodes) -> list[DomainError]:
        """Everything that is wrong with it."""
        return [
            *text_faults("name", self.name, NAME_LIMIT, required=True),
            *text_faults("source", self.source, NAME_LIMIT),
            *faults(self.tree, known),
        ]

    def checked(self, known: DistrictCodes) -> SchemeContent:
        """The content in the form in which it is kept. Raises Several (scheme-faulty) with all of its faults."""
        if found := self.faults(known):
            raise Several("scheme-faulty", found)
        return SchemeContent(tidy(self.name), tidy(self.source), tidied(self.tree))


@dataclass(frozen=True)
class Edition:
    """A version as the district's file has it."""

    version: int
    effective_from: str
    wanted: SchemeContent


class SchemeState(StrEnum):
    """Where a version stands."""

    DRAFT = "draft"
    PUBLISHED = "published"
    RETIRED = "retired"


@dataclass
class Scheme:
    """A version of the scheme, its tree apart; the identity is the version.

    `revision` counts the edits of the draft. `effective_from` is a day (`YYYY-MM-DD`, Asia/Shanghai). `deadline_at`
    is when the next version takes its place. Moments are UTC, persons the subjects of tokens, or the district's file.
    """

    id: str
    version: int
    name: str
    source: str
    standards: int
    points: Decimal
    made_at: datetime
    made_by: str
    revision: int = 1
    state: SchemeState = SchemeState.DRAFT
    changed_at: datetime | None = None
    changed_by: str | None = None
    effective_from: str | None = None
    published_at: datetime | None = None
    published_by: str | None = None
    retired_at: datetime | None = None
    deadline_at: datetime | None = None

    def write(self, name: str, source: str, tree: Tree, by: str, at: datetime) -> None:
        """Put this in the place of what the draft says."""
        self.require_draft()
        self.name, self.source = name, source
        self.standards, self.points = weight(tree)
        self.revision += 1
        self.changed_at, self.changed_by = at, by

    def publish(self, effective_from: str, by: str, at: datetime) -> None:
        """From now on it is as it is. Raises Refused: scheme-not-a-draft, scheme-empty."""
        self.require_draft()
        if self.standards == 0:
            raise Refused("scheme-empty", version=self.version)
        self.state = SchemeState.PUBLISHED
        self.effective_from = effective_from
        self.published_at, self.published_by = at, by

    def retire(self, at: datetime) -> None:
        """It is no longer in force. Raises Refused: scheme-not-published."""
        if self.state is not SchemeState.PUBLISHED:
            raise Refused("scheme-not-published", version=self.version, state=self.state.value)
        self.state = SchemeState.RETIRED
        self.retired_at, self.deadline_at = at, None

    def require_draft(self) -> None:
        """Raises Refused: scheme-not-a-draft."""
        if self.state is not SchemeState.DRAFT:
            raise Refused("scheme-not-a-draft", version=self.version, state=self.state.value)

    def require_revision(self, based_on: int) -> None:
        """Raises Refused (scheme-stale) where the draft was edited after it was read."""
        if based_on != self.revision:
            raise Refused("scheme-stale", field="based_on", current=self.revision)


@dataclass
class SchemeTree:
    """What a version says; the identity is the version."""

    id: str
    tree: Tree


@dataclass(frozen=True)
class StandardInForce:
    """A published standard where whoever has its code looks for it; the identity is `<version>:<code>`."""

    id: str
    version: int
    indicator: str
    standard: Standard


@dataclass(frozen=True)
class Term:
    """From which day (`YYYY-MM-DD`, Asia/Shanghai) a version is in force; `retired_at` (UTC) ends that early."""

    version: int
    effective_from: str
    retired_at: datetime | None = None

    @property
    def begins_at(self) -> datetime:
        """The first moment of its first day."""
        return datetime.combine(date.fromisoformat(self.effective_from), datetime.min.time(), CHINA).astimezone(UTC)

    @property
    def called_off(self) -> bool:
        """Whether it was retired before it began."""
        return self.retired_at is not None and self.retired_at < self.begins_at


@dataclass
class Timeline:
    """Which version is in force when. `newest` is the number of the newest version, drafts among them."""

    id: str
    newest: int = 0
    terms: list[Term] = field(default_factory=list)

    def in_force(self, moment: datetime) -> int | None:
        """The version in force at that moment: the last that began, unless it was retired and none has followed."""
        begun = [term for term in self._terms() if term.begins_at <= moment]
        if not begun or (begun[-1].retired_at is not None and begun[-1].retired_at <= moment):
            return None
        return begun[-1].version

    def ends_at(self, version: int) -> datetime | None:
        """When the next version takes the place of this one; None while none is to."""
        terms = self._terms()
        place = next((place for place, term in enumerate(terms) if term.version == version), len(terms))
        return terms[place + 1].begins_at if place + 1 < len(terms) else None

    def begin(self, version: int, effective_from: str) -> None:
        """Have a version begin on that day. Raises Refused (scheme-day-taken)."""
        for term in self._terms():
            if term.effective_from == effective_from:
                raise Refused("scheme-day-taken", field="effective_from", version=term.version)
        self.terms.append(Term(version, effective_from))

    def end(self, version: int, at: datetime) -> None:
        """Have it end there."""
        self.terms = [replace(term, retired_at=at) if term.version == version else term for term in self.terms]

    def _terms(self) -> list[Term]:
        return sorted((term for term in self.terms if not term.called_off), key=lambda term: term.effective_from)


def standard_id(version: int, code: str) -> str:
    """Identity of a published standard."""
    return f"{version}:{code}"


def standards_of(version: int, tree: Tree) -> Iterator[StandardInForce]:
    """The standards of a version one by one."""
    for category in tree:
        for content in category.contents:
            for each in content.standards:
                yield StandardInForce(standard_id(version, each.code), version, content.code, each)


def weight(tree: Tree) -> tuple[int, Decimal]:
    """How many standards a tree has, and their points together."""
    points = [each.standard.points for each in standards_of(0, tree)]
    return len(points), sum(points, Decimal(0))


def tidied(tree: Tree) -> Tree:
    """A sound tree in the one spelling that two of equal content share."""
    return tuple(
        replace(
            category,
            name=tidy(category.name),
            part=tidy(category.part),
            contents=tuple(
                replace(content, name=tidy(content.name), standards=tuple(map(_tidied, content.standards)))
                for content in category.contents
            ),
        )
        for category in tree
    )


def _tidied(standard: Standard) -> Standard:
    return replace(standard, text=tidy(standard.text), source=tidy(standard.source))


def text_faults(field: str, text: str, limit: int, *, required: bool = False) -> Iterator[DomainError]:
    """What keeps a text from being kept, also in a table."""
    found = list(faults_of_text(field, text, limit, required=required))
    yield from found
    hidden = "text-has-control-characters"
    if _NO_CHARACTER.search(tidy(text)) and hidden not in {fault.code for fault in found}:
        yield Invalid(hidden, field=field)


def faults(tree: Tree, known: DistrictCodes) -> Iterator[DomainError]:
    """Everything that keeps a tree from being used, each fault naming its field."""
    if (count := weight(tree)[0]) > STANDARDS_LIMIT:
        yield Invalid("scheme-too-large", field="categories", given=count, limit=STANDARDS_LIMIT)
    codes = _Codes()
    for place, category in enumerate(tree):
        where = f"categories.{place}"
        yield from codes.faults("category", category.code, f"{where}.code")
        yield from text_faults(f"{where}.name", category.name, NAME_LIMIT, required=True)
        yield from text_faults(f"{where}.part", category.part, NAME_LIMIT)
        if not category.contents:
            yield Invalid("list-empty", field=f"{where}.contents")
        for number, content in enumerate(category.contents):
            yield from _content_faults(content, f"{where}.contents.{number}", codes, known)


def _content_faults(content: Content, where: str, codes: _Codes, known: DistrictCodes) -> Iterator[DomainError]:
    yield from codes.faults("content", content.code, f"{where}.code")
    yield from text_faults(f"{where}.name", content.name, NAME_LIMIT, required=True)
    if not content.standards:
        yield Invalid("list-empty", field=f"{where}.standards")
    for place, standard in enumerate(content.standards):
        yield from codes.faults("standard", standard.code, f"{where}.standards.{place}.code")
        yield from _standard_faults(standard, f"{where}.standards.{place}", known)


def _standard_faults(standard: Standard, where: str, known: DistrictCodes) -> Iterator[DomainError]:
    yield from text_faults(f"{where}.text", standard.text, TEXT_LIMIT, required=True)
    yield from text_faults(f"{where}.source", standard.source, NAME_LIMIT)
    yield from points_faults(standard.points, f"{where}.points")
    yield from marking_faults(standard.marking, f"{where}.marking")
    if not standard.methods:
        yield Invalid("list-empty", field=f"{where}.methods")
    yield from _list_faults(f"{where}.methods", standard.methods)
    yield from _list_faults(f"{where}.venues", standard.venues)
    for place, venue in enumerate(standard.venues):
        if venue not in known.venues:
            yield Invalid("venue-type-unknown", field=f"{where}.venues.{place}", given=venue[:CODE_LIMIT])
    if standard.lead is not None and standard.lead not in known.units:
        yield Invalid("unit-unknown", field=f"{where}.lead", given=standard.lead[:CODE_LIMIT])
    yield from _list_faults(f"{where}.supporting", standard.supporting)
    for place, unit in enumerate(standard.supporting):
        if unit not in known.units:
            yield Invalid("unit-unknown", field=f"{where}.supporting.{place}", given=unit[:CODE_LIMIT])
    if standard.lead in standard.supporting:
        yield Invalid("lead-among-supporting", field=f"{where}.supporting", unit=standard.lead)
    if standard.due is not None and not is_day(standard.due):
        yield Invalid("day-unfit", field=f"{where}.due", least=YEARS.start, limit=YEARS.stop - 1)


class _Codes:
    """The codes that were seen, of each kind: within a version each stands for one thing."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()

    def faults(self, kind: str, code: str, field: str) -> Iterator[DomainError]:
        if not is_code(code) or code != tidy(code):
            yield Invalid("scheme-code-malformed", field=field, limit=CODE_LIMIT)
        elif (kind, code) in self._seen:
            yield Invalid("listed-twice", field=field, given=code)
        self._seen.add((kind, code))


def _list_faults(field: str, codes: Sequence[str]) -> Iterator[DomainError]:
    if len(codes) > LIST_LIMIT:
        yield Invalid("list-too-long", field=field, limit=LIST_LIMIT)
    for place, each in enumerate(codes):
        if each in codes[:place]:
            yield Invalid("listed-twice", field=f"{field}.{place}", given=each[:CODE_LIMIT])
