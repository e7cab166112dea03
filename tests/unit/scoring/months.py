"""Months of a small district, kept in memory by the service's own handlers and commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from deploy.local.stack import DISTRICT
from services.scoring.app import POSTING, SERVICE
from services.scoring.commands.periods import freeze, propose, publish
from services.scoring.commands.rules import adopt, tell_ledger
from services.scoring.district import District
from services.scoring.domain.periods import Seal, SealedScheme
from services.scoring.views.archive import archive, contents
from shared.clock import FixedClock
from shared.contracts.event_model import EventModel
from shared.contracts.scoring import ChargeMade, FactKind, ReversalOrdered
from shared.event import Event
from shared.own_cause import Person
from shared.signing import Signer, new_key
from shared.store import Store, UnitOfWork
from shared.testing.memory_store import MemoryDriver

GROUPS = {"huaxing": "subdistricts", "jinshan": "communities", "yinguang": "communities"}
SIGNER = Signer.of(new_key())
SAMPLE = District.load(DISTRICT)
CAPS = {"acknowledged-late": Decimal(2), "finding": Decimal(20), "bonus": Decimal(5), "rework": None}
SCHEME = SealedScheme(
    3,
    [
        {"code": "I-1.1", "content": "I-1", "points": Decimal("1.5"), "text": "主干道无暴露垃圾"},
        {"code": "I-1.2", "content": "I-1", "points": Decimal(4), "text": "公益广告不少于10处"},
    ],
)


class Months:
    """The district's ledgers; what is told to one is handled at once."""

    def __init__(self) -> None:
        self.clock = FixedClock(datetime(2026, 10, 5, 2, tzinfo=UTC))
        self.store = Store(MemoryDriver(self.clock), self.clock, SERVICE.collections)
        self._orders = 0

    async def begin(self) -> Months:
        await self.store.ensure_indexes()
        await self.store.run(lambda uow: adopt(uow, SAMPLE.rule_book))
        return self

    async def charge(
        self,
        unit: str,
        points: str,
        rule: str = "rework",
        at: datetime | None = None,
        standard: str | None = None,
        worth: Decimal | None = None,
    ) -> None:
        """A charge by a rule of the sample; of a standard of the scheme, capped by what that is worth."""
        self._orders += 1
        cap = CAPS[rule] if worth is None else worth
        bucket = f"rule:{rule}" if worth is None else f"standard:{standard}@{SCHEME.version}"
        found = ChargeMade(
            unit=unit,
            case=f"c{self._orders}",
            category="exposed-rubbish",
            rule=rule,
            rule_version=1,
            points=Decimal(points),
            basis=f"reports.case/c{self._orders}/1",
            happened_at=at or self.clock.now(),
            kind=FactKind.BONUS if rule == "bonus" else FactKind.FINDING,
            standard=standard,
            scheme=SCHEME.version if standard else None,
            bucket=None if cap is None else bucket,
            cap=cap,
        )
        await self._tell(f"c{self._orders}:{unit}", found)

    async def take_back(self, unit: str, number: int) -> None:
        """An order to take a row back."""
        self._orders += 1
        basis, now = f"decision/{self._orders}", self.clock.now()
        found = ReversalOrdered(unit=unit, number=number, basis=basis, happened_at=now)
        await self._tell(f"d{self._orders}:{unit}", found)

    async def freeze(self, period: str) -> None:
        await self._run(lambda uow: freeze(uow, self.store, period, set(GROUPS), "office-1"))

    async def publish(self, period: str) -> Seal:
        await self.store.run(lambda uow: propose(uow, self.store, period, "office-1"))
        return await self.store.run(
            lambda uow: publish(uow, self.store, period, GROUPS, SIGNER, Person("leader-1"), SCHEME)
        )

    async def archive(self, period: str, *, unsealed: bool = False) -> bytes:
        found = await contents(self.store, period, unsealed=unsealed)
        async with aclosing(archive(self.store, found, GROUPS)) as pieces:
            return b"".join([piece async for piece in pieces])

    async def _tell(self, about: str, content: EventModel) -> None:
        await self._run(lambda uow: tell_ledger(uow, about, content))

    async def _run(self, command: Callable[[UnitOfWork], Awaitable[object]]) -> None:
        events: list[Event] = []

        async def run(uow: UnitOfWork) -> None:
            await command(uow)
            events[:] = uow.events

        await self.store.run(run)
        for event in events:
            uow = self.store.unit()
            await POSTING.handle(uow, event, None)
            await self.store.commit(uow)


async def two_months(months: Months | None = None) -> Months:
    """October and November 2026 published: caps, a bonus, rows taken back in and after their month, late rows."""
    found = months or await Months().begin()
    october = found.clock.now()
    await found.charge("huaxing", "0.5")
    for _ in range(3):
        await found.charge("huaxing", "0.9", "acknowledged-late")
    await found.charge("jinshan", "1", "finding")
    await found.charge("jinshan", "-3", "bonus")
    await found.charge("jinshan", "-4", "bonus")
    await found.take_back("huaxing", 2)
    found.clock.set(datetime(2026, 11, 3, 2, tzinfo=UTC))
    await found.charge("huaxing", "2", "finding")
    await found.freeze("2026-10")
    await found.charge("huaxing", "1", "finding", at=october)
    await found.charge("yinguang", "0.25", at=october)
    await found.take_back("jinshan", 1)
    await found.publish("2026-10")
    await found.charge("huaxing", "19.5", "finding")
    found.clock.set(datetime(2026, 12, 2, 2, tzinfo=UTC))
    await found.charge("jinshan", "7")
    for points in ("1", "0.75"):
        await found.charge("yinguang", points, "finding", standard="I-1.1", worth=Decimal("1.5"))
    await found.take_back("huaxing", 6)
    await found.freeze("2026-11")
    await found.charge("huaxing", "3", at=found.clock.now() - timedelta(days=3))
    await found.take_back("huaxing", 1)
    await found.publish("2026-11")
    return found
