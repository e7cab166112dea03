"""What can be reported, as the district's file says or the reports service does, where the office edits it.

What is decided there is not ours: categories are shown and asked for, never judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, TypeAdapter

from services.portal.domain.cases import CaseView
from shared.district import DatedFile, Group, Name, by_code

SEVERAL = "choices"
"""The kind of question that takes several answers."""


class Option(BaseModel):
    """One of the answers to choose from."""

    code: str
    name: Name


class Question(BaseModel):
    """What reporters of a category are asked besides the text.

    `kind` is text, number, yes-no, choice, choices or date; one we do not know is asked as a text.
    """

    code: str
    name: Name
    kind: str
    required: bool = False
    options: tuple[Option, ...] = ()


class Category(BaseModel):
    """A kind of problem that can be reported, unless it is `retired`: then old cases have it.

    Of one that is not `public` no page may tell the exact place.
    """

    code: str
    name: Name
    group: str
    guidance: Name
    photo_required: bool
    public: bool
    questions: tuple[Question, ...] = ()
    retired: bool = False


class CategoriesFile(DatedFile):
    """`categories.json`, as far as it says what can be reported."""

    groups: list[Group]
    categories: list[Category]

    def catalogue(self) -> Catalogue:
        return Catalogue(by_code(self.categories), by_code(self.groups))


class _Node(BaseModel):
    code: str
    name: str
    name_en: str


class _Listed(BaseModel):
    """A category as the reports service tells it; the last node of `path` is the group it is listed under."""

    code: str
    name: str
    name_en: str
    path: list[_Node]
    guidance: str
    guidance_en: str
    photo_required: bool
    public: bool
    questions: tuple[Question, ...]
    retired: bool

    def category(self) -> Category:
        return Category(
            code=self.code,
            name=Name(zh=self.name, en=self.name_en),
            group=self.path[-1].code if self.path else "",
            guidance=Name(zh=self.guidance, en=self.guidance_en),
            photo_required=self.photo_required,
            public=self.public,
            questions=self.questions,
            retired=self.retired,
        )


_ALL_LISTED = TypeAdapter(list[_Listed])


@dataclass(frozen=True)
class Catalogue:
    """Categories and the groups they are listed under, by code, in the order they are shown. Immutable."""

    categories: Mapping[str, Category]
    groups: Mapping[str, Group]

    @classmethod
    def parse(cls, body: bytes) -> Catalogue:
        """As the reports service tells it (`GET /categories?retired=true`). Raises ValueError."""
        listed = _ALL_LISTED.validate_json(body)
        nodes = (node for each in listed for node in each.path)
        groups = (Group(code=node.code, name=Name(zh=node.name, en=node.name_en)) for node in nodes)
        return cls(by_code(each.category() for each in listed), by_code(groups))

    def open(self, code: str) -> Category | None:
        """The category, if it takes new cases."""
        category = self.categories.get(code)
        return None if category is None or category.retired else category

    def grouped(self) -> Iterator[tuple[Group, list[Category]]]:
        """The categories that take new cases by group, groups without any left out."""
        for group in self.groups.values():
            members = [each for each in self.categories.values() if each.group == group.code and not each.retired]
            if members:
                yield group, members

    def asking(self) -> list[Category]:
        """The categories that take new cases and have questions."""
        return [each for each in self.categories.values() if each.questions and not each.retired]

    def shown(self, case: CaseView) -> CaseView:
        """The case as everybody may see it now, whatever was to be shown of its category when it was taken in."""
        return case.without_place() if self.hides_place(case.category) else case

    def hides_place(self, category: str) -> bool:
        """Whether pages tell no more than the community. Holds for a category nobody knows, too."""
        return category not in self.categories or not self.categories[category].public
