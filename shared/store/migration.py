"""Indexes that are not as they are declared: what a start leaves alone, told first and changed when somebody says so.

A process creates what is missing. It never drops an index, nor builds one anew: on a large collection that is a matter
of hours and of disk space, and a database is shared with processes of the version before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from shared.store.collection import Collection, Index
from shared.store.driver import Driver


class Step(Enum):
    """What is to happen to an index."""

    CREATE = "create"
    REPLACE = "replace"
    DROP = "drop"


@dataclass(frozen=True)
class IndexChange:
    """One index that is not as it is declared; `index` is None of one that is not declared any more."""

    collection: str
    name: str
    step: Step
    index: Index | None


async def plan(driver: Driver, collections: Iterable[Collection[Any]]) -> list[IndexChange]:
    """What would bring the database to what is declared. Raises Unavailable."""
    changes: list[IndexChange] = []
    for collection in collections:
        there = await driver.indexes(collection.name)
        declared = {index.name: index for index in collection.indexes}
        for name, index in declared.items():
            if name not in there:
                changes.append(IndexChange(collection.name, name, Step.CREATE, index))
            elif there[name] != index:
                changes.append(IndexChange(collection.name, name, Step.REPLACE, index))
        changes += [IndexChange(collection.name, name, Step.DROP, None) for name in sorted(there.keys() - declared)]
    return changes


async def carry_out(driver: Driver, changes: Iterable[IndexChange]) -> None:
    """Do it, one after the other. A unique index that the documents do not allow raises Duplicate."""
    for change in changes:
        if change.step is not Step.CREATE:
            await driver.drop_index(change.collection, change.name)
        if change.index is not None:
            await driver.ensure_indexes(change.collection, [change.index])
