"""What can be reported: first as the district's file says, then as the reports service does, where the office edits it.

What is decided there is not ours: categories are shown and asked for, never judged.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from services.portal.district import Name, Named
from shared.errors import Unavailable
from shared.telemetry import logger

HOLD = 5.0
"""Seconds for which a catalogue is good enough."""
PATIENCE = 1.0
"""Seconds a page waits for a newer one before it takes the one at hand."""
SEVERAL = "choices"
"""The kind of question that takes several answers."""

log = logger(__name__)


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


class Category(Named):
    """A kind of problem that can be reported, unless it is `retired`: then old cases have it.

    Of one that is not `public` no page may tell the exact place.
    """

    guidance: Name
    photo_required: bool
    public: bool
    questions: tuple[Question, ...] = ()
    retired: bool = False


class _File(BaseModel):
    groups: list[Named]
    categories: list[Category]


class _Node(BaseModel):
    code: str
    name: str
    name_en: str


class _Told(BaseModel):
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


_ALL_TOLD = TypeAdapter(list[_Told])


@dataclass(frozen=True)
class Catalogue:
    """Categories and the groups they are listed under, by code, in the order they are shown. Immutable."""

    categories: Mapping[str, Category]
    groups: Mapping[str, Named]

    @classmethod
    def load(cls, folder: Path) -> Catalogue:
        """As the district's file has it. Raises OSError, ValueError."""
        file = _File.model_validate_json((folder / "categories.json").read_bytes())
        return cls._of(file.categories, file.groups)

    @classmethod
    def told(cls, body: bytes) -> Catalogue:
        """As the reports service tells it (`GET /categories?retired=true`). Raises ValueError."""
        told = _ALL_TOLD.validate_json(body)
        nodes = (node for each in told for node in each.path)
        groups = (Named(code=node.code, name=Name(zh=node.name, en=node.name_en)) for node in nodes)
        return cls._of((each.category() for each in told), groups)

    @classmethod
    def _of(cls, categories: Iterable[Category], groups: Iterable[Named]) -> Catalogue:
        return cls({each.code: each for each in categories}, {each.code: each for each in groups})

    def open(self, code: str) -> Category | None:
        """The category, if it takes new cases."""
        category = self.categories.get(code)
        return None if category is None or category.retired else category

    def grouped(self) -> Iterator[tuple[Named, list[Category]]]:
        """The categories that take new cases by group, groups without any left out."""
        for group in self.groups.values():
            members = [each for each in self.categories.values() if each.group == group.code and not each.retired]
            if members:
                yield group, members

    def asking(self) -> list[Category]:
        """The categories that take new cases and have questions."""
        return [each for each in self.categories.values() if each.questions and not each.retired]

    def hides_place(self, category: str) -> bool:
        """Whether pages tell no more than the community. Holds for a category nobody knows, too."""
        return category not in self.categories or not self.categories[category].public


Read = Callable[[str | None], Awaitable[tuple[str, bytes] | None]]
"""Tag and content of the catalogue; None when it is still the one of the tag that is given. Raises Unavailable."""


class LiveCatalogue:
    """The newest catalogue this process knows: one question at a time, and no page waits longer than a moment."""

    def __init__(self, first: Catalogue, read: Read, hold: float = HOLD) -> None:
        self._known = first
        self._read = read
        self._hold = hold
        self._tag: str | None = None
        self._looked: float | None = None
        self._looking: asyncio.Task[None] | None = None

    async def current(self) -> Catalogue:
        """The catalogue of now, or the last one known where it cannot be had."""
        if self._looked is None or time.monotonic() - self._looked > self._hold:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look())
            await asyncio.wait([self._looking], timeout=PATIENCE)
        return self._known

    async def _look(self) -> None:
        try:
            if (told := await self._read(self._tag)) is not None:
                tag, body = told
                self._known, self._tag = Catalogue.told(body), tag
        except (Unavailable, ValueError) as error:
            log.warning("the catalogue cannot be read; the last known one stands", reason=str(error)[:200])
        finally:
            self._looked = time.monotonic()
