"""What readers see of the assessment scheme."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel

from services.scoring.domain.differences import Difference
from services.scoring.domain.schemes import Category, Scheme, SchemeState, Tree
from services.scoring.repo import CURRENT, SCHEME_TREES, SCHEMES, TIMELINES
from shared.errors import NotFound
from shared.store import Store
from shared.store.collection import Filter


class SchemeSummary(BaseModel):
    """A version of the scheme, without what it says. `effective_from` is a day in Asia/Shanghai, moments are UTC."""

    version: int
    name: str
    source: str
    state: SchemeState
    revision: int
    standards: int
    points: Decimal
    effective_from: str | None
    made_at: datetime
    changed_at: datetime | None
    published_at: datetime | None
    retired_at: datetime | None
    ends_at: datetime | None
    """When the next version takes its place."""


class SchemeView(SchemeSummary):
    """A version of the scheme."""

    categories: tuple[Category, ...]


class SchemeDifferences(BaseModel):
    """What a later version has otherwise than an earlier one."""

    before: int
    after: int
    differences: list[Difference]


def summary(scheme: Scheme) -> SchemeSummary:
    """A version without what it says."""
    return SchemeSummary.model_validate(_fields_of(scheme))


def whole(scheme: Scheme, tree: Tree) -> SchemeView:
    """A version with all that it says."""
    return SchemeView.model_validate({**_fields_of(scheme), "categories": tree})


async def scheme_list(store: Store, *, drafts: bool) -> list[SchemeSummary]:
    """All versions, newest first; drafts only for those who may see them."""
    filter: Filter = {} if drafts else _PUBLIC
    return [summary(scheme) for scheme in await store.find(SCHEMES, filter, [("version", -1)])]


async def scheme_of(store: Store, version: int, *, drafts: bool) -> tuple[Scheme, Tree]:
    """A version and what it says. Raises NotFound (schemes-not-found)."""
    scheme, tree = await store.get(SCHEMES, str(version)), await store.get(SCHEME_TREES, str(version))
    if scheme is None or tree is None or (scheme.state is SchemeState.DRAFT and not drafts):
        raise NotFound("schemes-not-found", id=version)
    return scheme, tree.tree


async def version_in_force(store: Store, moment: datetime) -> int:
    """The version in force at a moment. Raises NotFound (scheme-not-in-force)."""
    timeline = await store.get(TIMELINES, CURRENT)
    version = timeline.in_force(moment) if timeline else None
    if version is None:
        raise NotFound("scheme-not-in-force", at=moment.isoformat(" ", "minutes"))
    return version


_PUBLIC: Filter = {"state": {"$in": [SchemeState.PUBLISHED.value, SchemeState.RETIRED.value]}}


def _fields_of(scheme: Scheme) -> dict[str, object]:
    fields = {name: getattr(scheme, name) for name in SchemeSummary.model_fields if name != "ends_at"}
    return {**fields, "ends_at": scheme.deadline_at}
