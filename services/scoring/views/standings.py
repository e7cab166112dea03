"""What readers see of standings and ledgers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel

from services.scoring.domain.ledger import FULL_SCORE
from services.scoring.domain.periods import PeriodState
from services.scoring.domain.results import DISTRICT, Result
from services.scoring.domain.standings import MONTHS, Composite, Formula, Span, counting, ranks
from services.scoring.repo import ENTRIES, LEDGERS, RESULTS, SEALS, STANDINGS
from services.scoring.views.periods import first_month, period_view
from shared.clock import CHINA
from shared.contracts.scoring import EntryPosted, FactKind
from shared.errors import Invalid
from shared.store import Store
from shared.store.collection import Filter

PAGE_LIMIT = 500
CYCLE = "cycle"


class StandingView(BaseModel):
    """A unit's place in a period, among all and in its group; `trend` is by how many ranks it went up.

    `passes` is whether the score reaches what the scheme asks for at least, where it asks for anything.
    """

    rank: int
    unit: str
    group: str
    score: Decimal
    points_lost: Decimal
    entries: int
    changed_at: datetime | None
    group_rank: int = 0
    rank_before: int | None = None
    trend: int | None = None
    passes: bool | None = None


class GroupMean(BaseModel):
    """The mean of a group, and how many of it stand above and below."""

    group: str
    units: int
    mean: Decimal
    above: int
    below: int


class Ranking(BaseModel):
    """All units of the district in a period, best first; a unit without deductions has 100.

    `months` are those that count, `years` those of a cycle; `complete` is whether none of them is still to come. Units
    of which a part of the assessment is not recorded yet are `missing`; `district` is the score of the whole.
    """

    period: str
    standings: list[StandingView]
    scheme: str = MONTHS
    state: PeriodState | None = None
    """Of a month."""
    complete: bool = True
    months: list[str] = []
    years: list[int] = []
    groups: list[GroupMean] = []
    missing: list[str] = []
    district: Decimal | None = None


class LedgerPage(BaseModel):
    """Rows of a unit's ledger in order, and the head that the whole ledger leads to."""

    unit: str
    rows: int
    head: str
    entries: list[EntryPosted]


@dataclass
class _Sum:
    """What a unit lost in some months, and its score in each."""

    scores: dict[str, Decimal] = field(default_factory=dict)
    points_lost: Decimal = Decimal(0)
    entries: int = 0
    changed_at: datetime | None = None

    def add(self, month: str, score: Decimal, points_lost: Decimal, entries: int, changed_at: datetime | None) -> None:
        self.scores[month] = score
        self.points_lost += points_lost
        self.entries += entries
        if changed_at and (self.changed_at is None or changed_at > self.changed_at):
            self.changed_at = changed_at


@dataclass(frozen=True)
class _Table:
    """The scores of a period, before they are ranked."""

    scores: Mapping[str, Decimal]
    sums: Mapping[str, _Sum]
    months: Sequence[str] = ()
    years: Sequence[int] = ()
    complete: bool = True
    missing: Sequence[str] = ()
    district: Decimal | None = None


class Standings:
    """Standings of any period and scheme, computed from what is recorded of months and of assessments."""

    def __init__(self, store: Store, formula: Formula, groups: Mapping[str, str]) -> None:
        self._store = store
        self._formula = formula
        self._groups = groups

    async def ranking(self, period: str, scheme: str = MONTHS) -> Ranking:
        """The ranking of a period by a scheme.

        Raises Invalid (`scheme-not-found`, `scheme-period-unfit`).
        """
        composite = self._composite(scheme, period)
        now = await self._table(period, composite)
        before = None if period == CYCLE else await self._before(Span.of(period), composite)
        state = None
        if period != CYCLE and composite is None and Span.of(period).kind == "month":
            state = (await period_view(self._store, period, inside=False)).state
        return Ranking(
            period=period,
            scheme=scheme,
            state=state,
            standings=self._standings(now, before, composite),
            complete=now.complete,
            months=list(now.months),
            years=list(now.years),
            groups=self._means(now.scores),
            missing=sorted(now.missing),
            district=now.district,
        )

    def _composite(self, scheme: str, period: str) -> Composite | None:
        if scheme == MONTHS:
            return None
        composite = self._formula.composite(scheme)
        if composite is None:
            raise Invalid("scheme-not-found", field="scheme", scheme=scheme)
        kind = "year" if period == CYCLE else Span.of(period).kind
        if kind != composite.per:
            raise Invalid("scheme-period-unfit", field="period", given=period, per=composite.per)
        return composite

    async def _table(self, period: str, composite: Composite | None) -> _Table:
        if period == CYCLE:
            return await self._of_cycle(composite)
        span = Span.of(period)
        return await (self._of_months(span) if composite is None else self._of_parts(span, composite))

    async def _before(self, span: Span, composite: Composite | None) -> Mapping[str, Decimal] | None:
        """The scores of the period before; None when nothing was counted in it."""
        first = await first_month(self._store)
        if composite is None and (first is None or span.before.last < first):
            return None
        return (await self._table(span.before.name, composite)).scores or None

    async def _of_months(self, span: Span) -> _Table:
        now = self._store.clock.now()
        months = [span.name] if span.kind == "month" else counting(span, await first_month(self._store), now)
        sums, sealed = await self._sums(months)
        if span.kind != "month" or not sealed:
            for unit in self._groups:
                sums.setdefault(unit, _Sum())
        # A unit that was not there yet when a month was sealed is not measured by that month.
        full = {month: FULL_SCORE for month in months if month not in sealed}
        scores = {unit: self._formula.of_months(span, {**full, **each.scores}) for unit, each in sums.items()}
        complete = f"{now.astimezone(CHINA):%Y-%m}" > span.last
        return _Table(scores, sums, months=months, complete=complete)

    async def _sums(self, months: Sequence[str]) -> tuple[dict[str, _Sum], set[str]]:
        """What each unit lost, published months as they were sealed; and which months those are."""
        sums: dict[str, _Sum] = {}
        sealed = set()
        for seal in await self._store.find(SEALS, {"_id": {"$in": list(months)}}):
            sealed.add(seal.id)
            for place in seal.places:
                of_unit = sums.setdefault(place.unit, _Sum())
                of_unit.add(seal.id, place.score, place.points_lost, place.entries, seal.sealed_at)
        rest = [month for month in months if month not in sealed]
        for each in await self._store.find(STANDINGS, {"period": {"$in": rest}}) if rest else ():
            of_unit = sums.setdefault(each.unit, _Sum())
            of_unit.add(each.period, each.score, each.points_lost, each.entries, each.changed_at)
        return sums, sealed

    async def _of_parts(self, span: Span, composite: Composite) -> _Table:
        results = await self._store.find(RESULTS, {"scheme": composite.code, "period": span.name})
        lost = await self._negative(span)
        scores: dict[str, Decimal] = {}
        district = None
        for result in results:
            negative = result.negative if result.unit == DISTRICT else lost.get(result.unit, Decimal(0))
            score = self._formula.of_parts(composite, result.rates, negative)
            if result.unit == DISTRICT:
                district = score
            elif score is not None:
                scores[result.unit] = score
        missing = [unit for unit in self._groups if unit not in scores]
        sums = {unit: _Sum(points_lost=lost.get(unit, Decimal(0)), changed_at=_last(results, unit)) for unit in scores}
        return _Table(scores, sums, complete=not missing, missing=missing, district=district)

    async def _negative(self, span: Span) -> dict[str, Decimal]:
        """Points each unit lost by the negative list in the months of the period."""
        wanted: Filter = {"kind": FactKind.NEGATIVE.value, "period": {"$gte": span.first, "$lte": span.last}}
        rows = [{"$match": wanted}, {"$group": {"_id": "$unit", "points": {"$sum": "$points"}}}]
        return {row["_id"]: row["points"] for row in await self._store.aggregate(ENTRIES, rows)}

    async def _of_cycle(self, composite: Composite | None) -> _Table:
        present = self._store.clock.now().astimezone(CHINA).year
        years = self._formula.cycle.years(present)
        tables: dict[int, _Table] = {}
        for year in years:
            table = await self._table(f"{year:04}", composite)
            if table.months or composite:
                tables[year] = table
        units = {unit for table in tables.values() for unit in table.scores} | (
            {*self._groups} if not composite else set()
        )
        scores: dict[str, Decimal] = {}
        sums = {}
        for unit in units:
            of_unit = {year: table.scores[unit] for year, table in tables.items() if unit in table.scores}
            score = self._formula.of_years(of_unit, years)
            if score is not None or composite is None:
                scores[unit] = FULL_SCORE if score is None else score
                sums[unit] = _together(table.sums[unit] for table in tables.values() if unit in table.sums)
        districts = {year: table.district for year, table in tables.items() if table.district is not None}
        complete = all(year in tables and tables[year].complete for year in years)
        return _Table(
            scores,
            sums,
            years=years,
            complete=complete,
            missing=[unit for unit in self._groups if unit not in scores],
            district=self._formula.of_years(districts, years),
        )

    def _standings(
        self, now: _Table, before: Mapping[str, Decimal] | None, composite: Composite | None
    ) -> list[StandingView]:
        least = composite.least if composite else None
        return [
            StandingView(
                rank=rank.rank,
                unit=rank.unit,
                group=self._groups.get(rank.unit, ""),
                score=now.scores[rank.unit],
                points_lost=now.sums[rank.unit].points_lost,
                entries=now.sums[rank.unit].entries,
                changed_at=now.sums[rank.unit].changed_at,
                group_rank=rank.group_rank,
                rank_before=rank.rank_before,
                trend=rank.trend,
                passes=None if least is None else now.scores[rank.unit] >= least,
            )
            for rank in ranks(now.scores, self._groups, before)
        ]

    def _means(self, scores: Mapping[str, Decimal]) -> list[GroupMean]:
        means = []
        for group in sorted({self._groups.get(unit, "") for unit in scores} - {""}):
            members = [score for unit, score in scores.items() if self._groups.get(unit) == group]
            mean = self._formula.mean(members)
            above, below = sum(score > mean for score in members), sum(score < mean for score in members)
            means.append(GroupMean(group=group, units=len(members), mean=mean, above=above, below=below))
        return means


def _last(results: Iterable[Result], unit: str) -> datetime | None:
    return next((result.marks[-1].at for result in results if result.unit == unit and result.marks), None)


def _together(sums: Iterable[_Sum]) -> _Sum:
    whole = _Sum()
    for each in sums:
        whole.points_lost += each.points_lost
        whole.entries += each.entries
        if each.changed_at and (whole.changed_at is None or each.changed_at > whole.changed_at):
            whole.changed_at = each.changed_at
    return whole


async def ledger_page(store: Store, unit: str, after: int, limit: int) -> LedgerPage:
    """Rows behind number `after`."""
    ledger = await store.get(LEDGERS, unit)
    filter: Filter = {"unit": unit, "number": {"$gt": after}}
    entries = await store.find(ENTRIES, filter, [("unit", 1), ("number", 1)], limit)
    return LedgerPage(
        unit=unit,
        rows=ledger.rows if ledger else 0,
        head=ledger.head if ledger else "",
        entries=[EntryPosted.model_validate(entry, from_attributes=True) for entry in entries],
    )
