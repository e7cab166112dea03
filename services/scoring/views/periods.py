"""What readers see of months: how far each is, and its seal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel

from services.scoring.domain.periods import Period, PeriodState, Seal
from services.scoring.repo import CALENDARS, CURRENT, PERIODS, SEALS, STANDINGS
from shared.errors import NotFound
from shared.months import month_of, next_month
from shared.store import Store

PAGE_LIMIT = 120
"""Months of one answer: ten years."""


@dataclass(frozen=True)
class Progress:
    """How far a month is: `confirmed` of the ledgers of its `units` have frozen."""

    state: PeriodState
    units: int
    confirmed: int


class PeriodView(BaseModel):
    """A month: `freezing` until all `units` have `confirmed`. The seal is named when it is published.

    Who did it is told to staff only.
    """

    period: str
    state: PeriodState
    units: int = 0
    confirmed: int = 0
    frozen_at: datetime | None = None
    proposed_at: datetime | None = None
    published_at: datetime | None = None
    seal: str | None = None
    frozen_by: str | None = None
    proposed_by: str | None = None
    published_by: str | None = None


class PeriodList(BaseModel):
    """Months, the newest first."""

    periods: list[PeriodView]


class SealedPlace(BaseModel):
    """Where a unit stood for good; `rows` and `ledger_head` are its whole ledger's when the month was frozen."""

    unit: str
    group: str
    points_lost: Decimal
    score: Decimal
    entries: int
    head: str
    rows: int
    ledger_head: str
    rank: int
    group_rank: int


class SealView(BaseModel):
    """The seal of a month; what it covers, and how to check it, is said in domain/periods.py and domain/archive.py."""

    period: str
    number: int
    sealed_at: datetime
    units: int
    standings: str
    edition: int
    rules: str
    scheme: int | None
    scheme_text: str | None
    key: str
    previous: str
    hash: str
    signature: str


class SealWithPlaces(SealView):
    """A seal and the standings it covers."""

    places: list[SealedPlace]


class SealList(BaseModel):
    """Seals in their chain, oldest first."""

    seals: list[SealView]


async def progress(store: Store, period: Period) -> Progress:
    """How far a month is that is no longer open."""
    if period.published_at:
        return Progress(PeriodState.PUBLISHED, len(period.units), len(period.units))
    frozen = {"period": period.id, "unit": {"$in": period.units}, "frozen_at": {"$ne": None}}
    confirmed = await store.count(STANDINGS, frozen)
    state = PeriodState.FROZEN if confirmed == len(period.units) else PeriodState.FREEZING
    return Progress(state, len(period.units), confirmed)


async def first_month(store: Store) -> str | None:
    """The earliest month in which anything was ever counted."""
    found = await store.find(STANDINGS, {}, [("period", 1), ("unit", 1)], 1)
    return found[0].period if found else None


async def period_view(store: Store, period: str, *, inside: bool) -> PeriodView:
    """A month as it stands; `inside` tells who did what."""
    found = await store.get(PERIODS, period)
    if found is None:
        return PeriodView(period=period, state=PeriodState.OPEN)
    return await _view(store, found, inside=inside)


async def _view(store: Store, period: Period, *, inside: bool) -> PeriodView:
    far = await progress(store, period)
    seal = await store.get(SEALS, period.id) if period.published_at else None
    who = {"frozen_by": period.frozen_by, "proposed_by": period.proposed_by, "published_by": period.published_by}
    return PeriodView(
        period=period.id,
        state=far.state,
        units=far.units,
        confirmed=far.confirmed,
        frozen_at=period.frozen_at,
        proposed_at=period.proposed_at,
        published_at=period.published_at,
        seal=seal.hash if seal else None,
        **(who if inside else {}),
    )


async def periods(store: Store, *, inside: bool) -> PeriodList:
    """The months that are frozen or published, and those open until the present one."""
    closed = await store.find(PERIODS, {}, [("_id", -1)], PAGE_LIMIT)
    calendar, present = await store.get(CALENDARS, CURRENT), month_of(store.clock.now())
    month = next_month(calendar.frozen_through) if calendar else await first_month(store) or present
    still_open: list[PeriodView] = []
    while month <= present and len(still_open) < PAGE_LIMIT:
        still_open.append(PeriodView(period=month, state=PeriodState.OPEN))
        month = next_month(month)
    found = [*reversed(still_open), *[await _view(store, each, inside=inside) for each in closed]]
    return PeriodList(periods=found[:PAGE_LIMIT])


def seal_view(seal: Seal) -> SealWithPlaces:
    """A seal as it is shown."""
    found = {name: getattr(seal, name) for name in SealView.model_fields if name != "period"}
    places = [SealedPlace.model_validate(place, from_attributes=True) for place in seal.places]
    return SealWithPlaces(period=seal.id, places=places, **found)


async def seal_of(store: Store, period: str) -> SealWithPlaces:
    """The seal of a month. Raises NotFound (`seals-not-found`)."""
    seal = await store.get(SEALS, period)
    if seal is None:
        raise NotFound("seals-not-found", id=period)
    return seal_view(seal)


async def seals(store: Store, after: str) -> SealList:
    """The seals of the months behind `after`, oldest first."""
    found = await store.find(SEALS, {"_id": {"$gt": after}}, [("_id", 1)], PAGE_LIMIT)
    return SealList(seals=[SealView.model_validate(seal_view(seal), from_attributes=True) for seal in found])
