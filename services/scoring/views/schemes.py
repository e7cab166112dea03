"""What readers see of the assessment scheme and of measurements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel

from services.scoring.domain.differences import Difference
from services.scoring.domain.marking import Measured
from services.scoring.domain.measurements import Measurement
from services.scoring.domain.scheme import Category, Scheme, SchemeState, Tree
from services.scoring.repo import CURRENT, MEASUREMENTS, SCHEME_TREES, SCHEMES, TIMELINES
from shared.errors import NotFound
from shared.store import Store
from shared.store.collection import Filter

PAGE_LIMIT = 200


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


class MeasurementView(BaseModel):
    """What was measured, when (UTC), and what it came to before a rule made anything of it."""

    id: str
    unit: str
    standard: str
    indicator: str
    scheme: int
    measured: Measured
    measured_at: datetime
    points: Decimal
    lost: Decimal
    place: str
    recorded_at: datetime


class MeasurementPage(BaseModel):
    """Measurements, newest first; `after` goes on to older ones, if there are any."""

    measurements: list[MeasurementView]
    after: str | None


def summary(scheme: Scheme) -> SchemeSummary:
    """A version without what it says."""
    return SchemeSummary.model_validate(_told(scheme))


def whole(scheme: Scheme, tree: Tree) -> SchemeView:
    """A version with all that it says."""
    return SchemeView.model_validate({**_told(scheme), "categories": tree})


def measurement_view(made: Measurement) -> MeasurementView:
    """A measurement without who recorded it."""
    return MeasurementView.model_validate(made, from_attributes=True)


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


async def measurement_page(
    store: Store, unit: str | None, standard: str | None, after: str | None, limit: int
) -> MeasurementPage:
    """Measurements of a unit, of a standard, or all, newest first. Raises NotFound for an unknown `after`."""
    filter: Filter = {name: told for name, told in (("unit", unit), ("standard", standard)) if told is not None}
    if after is not None:
        last = await store.get(MEASUREMENTS, after)
        if last is None:
            raise NotFound("measurements-not-found", id=after)
        same = {"measured_at": last.measured_at, "_id": {"$lt": last.id}}
        filter["$or"] = [{"measured_at": {"$lt": last.measured_at}}, same]
    found = await store.find(MEASUREMENTS, filter, [("measured_at", -1), ("_id", -1)], limit + 1)
    shown, more = _cut(found, limit)
    return MeasurementPage(measurements=[measurement_view(each) for each in shown], after=more)


_PUBLIC: Filter = {"state": {"$in": [SchemeState.PUBLISHED.value, SchemeState.RETIRED.value]}}


def _cut(found: Sequence[Measurement], limit: int) -> tuple[Sequence[Measurement], str | None]:
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def _told(scheme: Scheme) -> dict[str, object]:
    told = {name: getattr(scheme, name) for name in SchemeSummary.model_fields if name != "ends_at"}
    return {**told, "ends_at": scheme.deadline_at}
