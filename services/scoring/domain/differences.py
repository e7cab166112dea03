"""What one version of the assessment scheme has that another has not, field by field.

Categories, contents and standards are the same when they have the same code; a content that went to another category
and a standard that went to another content has changed in that field. Their order is not told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum

from services.scoring.domain.marking import Marking
from services.scoring.domain.schemes import Category, Content, Standard, Tree

Value = str | int | Decimal | tuple[str, ...] | None


class How(StrEnum):
    """What became of something."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class What(StrEnum):
    """Of what."""

    CATEGORY = "category"
    CONTENT = "content"
    STANDARD = "standard"


@dataclass(frozen=True)
class FieldChange:
    """A field before and after; of what was added there is no before, of what was removed no after."""

    field: str
    before: Value = None
    after: Value = None


@dataclass(frozen=True)
class Difference:
    """What became of one thing."""

    what: What
    code: str
    how: How
    fields: tuple[FieldChange, ...]


def differences(before: Tree, after: Tree) -> list[Difference]:
    """All that is different in the later tree, from the top of the tree down, by code."""
    old, new = _flat(before), _flat(after)
    found = []
    for what, code in sorted(old.keys() | new.keys(), key=lambda key: (_ORDER[key[0]], key[1])):
        one, other = old.get((what, code), {}), new.get((what, code), {})
        changed = tuple(
            FieldChange(name, one.get(name), other.get(name))
            for name in (other or one)
            if one.get(name) != other.get(name)
        )
        if not one or not other or changed:
            how = How.ADDED if not one else How.REMOVED if not other else How.CHANGED
            found.append(Difference(what, code, how, changed))
    return found


_ORDER = {what: place for place, what in enumerate(What)}
Flat = dict[tuple[What, str], dict[str, Value]]


def _flat(tree: Tree) -> Flat:
    return dict(_rows(tree))


def _rows(tree: Tree) -> Iterator[tuple[tuple[What, str], dict[str, Value]]]:
    for category in tree:
        yield (What.CATEGORY, category.code), _fields_of(category)
        for content in category.contents:
            yield (What.CONTENT, content.code), {**_fields_of(content), "category": category.code}
            for standard in content.standards:
                content_fields = {**_fields_of(standard), **_fields_of(standard.marking), "content": content.code}
                yield (What.STANDARD, standard.code), content_fields


def _fields_of(thing: Category | Content | Standard | Marking) -> dict[str, Value]:
    """The fields of a thing itself, without its code and without what stands below it."""
    below = {"code", "contents", "standards", "marking"}
    return {each.name: getattr(thing, each.name) for each in fields(thing) if each.name not in below}
