"""What ledgers are told over a season: charges of all units, late ones among them, reversals and frozen months."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count, islice

from deploy.local.stack import DISTRICT
from services.scoring.app import POSTING
from services.scoring.district import District
from shared.consumer import Worker
from shared.contracts.scoring import ChargeMade, FactKind, PeriodFrozen, ReversalOrdered
from shared.event import Event
from shared.kafka import Broker
from shared.months import month_of
from shared.readmodel import catch_up
from shared.service import Runtime

START = datetime(2026, 7, 1, 1, 0, tzinfo=UTC)
SEASON = timedelta(days=120)
LATEST = timedelta(days=20)
"""By how much a charge may come after what happened."""
FROZEN_AFTER = timedelta(days=5)
"""A month is frozen so long after its end."""
TOGETHER = 2000
UNITS: tuple[str, ...] = tuple(sorted(District.load(DISTRICT).units))


def season(entries: int, seed: int = 1) -> Iterator[Event]:
    """Events that make so many rows: each is a charge or takes back one that stands, in about one case of fifty."""
    chance, numbers = random.Random(seed), count(1)
    standing: dict[str, list[int]] = {unit: [] for unit in UNITS}
    rows = dict.fromkeys(UNITS, 0)
    frozen = month_of(START - SEASON)
    for number in range(entries):
        now = START + SEASON * number / entries
        if month_of(now - FROZEN_AFTER) > month_of(START) and (last := _month_before(now - FROZEN_AFTER)) > frozen:
            frozen = last
            for unit in UNITS:
                found = PeriodFrozen(unit=unit, period=last, frozen_at=now)
                yield Event.new(found, f"{last}:{unit}", 1, now)
        unit = chance.choice(UNITS)
        rows[unit] += 1
        if standing[unit] and chance.random() < 0.02:
            taken = standing[unit].pop(chance.randrange(len(standing[unit])))
            order = ReversalOrdered(unit=unit, number=taken, basis=f"corrections/{number}", happened_at=now)
            yield Event.new(order, f"R{next(numbers)}:{unit}", 1, now)
        else:
            standing[unit].append(rows[unit])
            matter = f"20260701-{next(numbers):010d}"
            yield Event.new(charge(chance, matter, unit, now - LATEST * chance.random()), f"{matter}:{unit}", 1, now)


def charge(chance: random.Random, matter: str, unit: str, happened_at: datetime) -> ChargeMade:
    """A charge for a case, as the sample's rules make them: half of them under a cap."""
    capped = chance.random() < 0.5
    return ChargeMade(
        unit=unit,
        case=matter,
        category="exposed-rubbish",
        rule="acknowledged-late" if capped else "case-overdue",
        rule_version=1,
        points=Decimal("0.1") if capped else chance.choice([Decimal("0.5"), Decimal("0.20"), Decimal(1)]),
        basis=f"reports.case/{matter}/2",
        happened_at=happened_at.replace(microsecond=0),
        kind=FactKind.OVERDUE,
        indicator="I-7",
        bucket="rule:acknowledged-late" if capped else None,
        cap=Decimal(2) if capped else None,
    )


async def publish(broker: Broker, events: Iterator[Event]) -> None:
    """Into the log, in order, some thousand at a time."""
    publisher = broker.publisher()
    try:
        while batch := list(islice(events, TOGETHER)):
            await publisher.publish(batch)
    finally:
        await publisher.stop()


async def post(runtime: Runtime) -> None:
    """Have a worker of the service post all that is in the log."""
    await catch_up(Worker(runtime.store, runtime.broker, POSTING, None))


def _month_before(moment: datetime) -> str:
    first = moment.replace(day=1)
    return month_of(first - timedelta(days=2))
