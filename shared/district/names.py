"""What the district calls things: names, units and areas, as every service knows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar


@dataclass(frozen=True)
class Name:
    """What users read: Chinese first, English beside."""

    zh: str
    en: str = ""

    def text(self, language: str) -> str:
        """The name in a language, `zh` or `en`; Chinese where there is no English."""
        return self.zh if language == "zh" else self.en or self.zh


@dataclass(frozen=True)
class Named:
    """Anything that has a code and a name."""

    code: str
    name: Name


@dataclass(frozen=True)
class Unit:
    """A responsible unit (责任单位).

    `kind` is department, bureau, subdistrict, community or enterprise; `group` names the units it is ranked
    among.
    """

    code: str
    name: Name
    kind: str
    group: str


@dataclass(frozen=True)
class Group:
    """A node above the categories, or a set of units ranked together; `parent` is None at the top."""

    code: str
    name: Name
    parent: str | None = None


@dataclass(frozen=True)
class Subdistrict:
    """A subdistrict (街道), and the unit that answers for it; its communities' statistical codes begin with its own."""

    code: str
    name: Name
    unit: str


@dataclass(frozen=True)
class Community:
    """A community or village (社区、村) by its statistical code, and the unit that answers for it (属地)."""

    code: str
    name: Name
    unit: str


@dataclass(frozen=True)
class GridCell:
    """A grid (网格): a part of a community that a grid worker looks after."""

    code: str
    name: Name
    community: str


class Coded(Protocol):
    """Whatever is looked up by its code."""

    @property
    def code(self) -> str: ...


CodedT = TypeVar("CodedT", bound=Coded)


def by_code(rows: Iterable[CodedT]) -> dict[str, CodedT]:
    """The rows by their codes, in the order of the file."""
    return {row.code: row for row in rows}
