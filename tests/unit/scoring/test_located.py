"""Facts under the scheme in force when they happened, and what the points of a standard cap."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from services.scoring.app import SERVICE
from services.scoring.commands.rules import adopt
from services.scoring.commands.schemes import adopt_edition, located
from services.scoring.domain.facts import Fact
from services.scoring.domain.rules import Rule, RuleBook, Table
from services.scoring.domain.schemes import Edition, SchemeContent
from services.scoring.handlers.facts import load_facts, on_fact
from services.scoring.repo import CURRENT, FACTS, SCHEMES, TIMELINES
from shared.clock import FixedClock
from shared.contracts.inspections import FindingRecorded, Severity
from shared.contracts.reports import Place
from shared.contracts.scoring import ChargeMade, FactKind
from shared.errors import DomainError
from shared.event import Event
from shared.store import Document, Store
from shared.store.driver import Sort
from shared.testing.memory_store import MemoryDriver
from tests.unit.scoring.schemes import a_standard, a_tree

NOON = datetime(2026, 11, 20, 4, tzinfo=UTC)
FINDING = Rule("finding", 1, "2026-01-01", FactKind.FINDING, Table(Decimal(1)))


def an_edition(version: int, effective_from: str, points: str = "20", indicator: str = "c-1") -> Edition:
    tree = a_tree(a_standard(points=Decimal(points)), content=indicator)
    return Edition(version, effective_from, SchemeContent(f"第{version}版", "示例", tree))


class Counting(MemoryDriver):
    """A store's driver that counts how often it is asked."""

    asked = 0

    async def find(
        self,
        collection: str,
        filter: Document,
        sort: Sort = (),
        limit: int = 0,
        skip: int = 0,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        self.asked += 1
        return await super().find(collection, filter, sort, limit, skip, fields)


async def a_store(*editions: Edition, rules: Sequence[Rule] = (FINDING,)) -> tuple[Store, Counting]:
    clock = FixedClock(NOON)
    driver = Counting(clock)
    store = Store(driver, clock, SERVICE.collections)
    await store.run(lambda uow: adopt(uow, RuleBook(CURRENT, 1, list(rules))))
    for edition in editions:
        assert await store.run(lambda uow, edition=edition: adopt_edition(uow, edition))  # type: ignore[misc]  # bound
    return store, driver


def a_fact(**change: Any) -> Fact:
    content: dict[str, Any] = {
        "id": "inspections.visit/v/1",
        "kind": FactKind.FINDING,
        "unit": "huanwei",
        "matter": "v",
        "happened_at": NOON,
        "told_at": NOON,
        "indicator": "told",
        "standard": "s-1",
    }
    return Fact(**{**content, **change})


BEFORE = datetime(2026, 6, 30, 15, 59, tzinfo=UTC)
AFTER = datetime(2026, 6, 30, 16, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "indicator", "scheme", "points"),
    [
        ({"happened_at": BEFORE}, "old", 1, "20"),
        ({"happened_at": AFTER}, "new", 2, "5"),
        ({"happened_at": datetime(2025, 1, 1, tzinfo=UTC)}, "told", None, None),
        ({"standard": "gone"}, "told", None, None),
        ({"standard": None}, "told", None, None),
        ({"kind": FactKind.OVERDUE}, "told", None, None),
    ],
)
async def test_a_finding_falls_under_the_scheme_in_force_when_it_happened(
    change: dict[str, Any], indicator: str, scheme: int | None, points: str | None
) -> None:
    store, _ = await a_store(
        an_edition(1, "2026-01-01", indicator="old"), an_edition(2, "2026-07-01", "5", indicator="new")
    )
    fact = await located(store.unit(), a_fact(**change))
    found = None if points is None else Decimal(points)
    assert (fact.indicator, fact.scheme, fact.standard_points) == (indicator, scheme, found)


async def test_without_any_scheme_a_finding_stays_as_it_was_told() -> None:
    store, _ = await a_store()
    assert await located(store.unit(), a_fact()) == a_fact()


async def test_all_that_a_batch_needs_is_read_beforehand() -> None:
    store, driver = await a_store(an_edition(1, "2026-01-01"))
    found = FindingRecorded(
        visit="v",
        finding=1,
        site="s",
        place=Place(longitude=112.6, latitude=26.89, community="430476001007"),
        category="exposed-rubbish",
        severity=Severity.MINOR,
        found_at=NOON,
        standard="s-1",
        unit="huanwei",
    )
    event = Event.new(found, "v", 1, NOON)
    uow = store.unit()
    await load_facts(uow, [event], None)
    asked = driver.asked
    await on_fact(uow, event, None)
    assert driver.asked == asked
    [fact] = uow.changed(FACTS)
    assert (fact.scheme, fact.standard_points) == (1, Decimal(20))
    charge = uow.events[0].data
    assert isinstance(charge, ChargeMade)
    assert (charge.bucket, charge.cap) == ("standard:s-1@1", Decimal(20))


@pytest.mark.parametrize(
    ("cap", "worth", "bucket", "limit"),
    [
        (None, None, None, None),
        ("20", None, "rule:finding", "20"),
        (None, "5", "standard:s-1@3", "5"),
        ("20", "5", "standard:s-1@3", "5"),
        ("5", "5", "standard:s-1@3", "5"),
        ("2", "5", "rule:finding", "2"),
    ],
)
def test_a_charge_is_capped_by_the_smaller_of_the_rules_cap_and_the_standards_points(
    cap: str | None, worth: str | None, bucket: str | None, limit: str | None
) -> None:
    rule = Rule(
        "finding", 1, "2026-01-01", FactKind.FINDING, Table(Decimal(1)), cap=None if cap is None else Decimal(cap)
    )
    fact = a_fact(scheme=3, standard_points=None if worth is None else Decimal(worth))
    charge = rule.charge(fact)
    assert charge is not None
    assert (charge.bucket, charge.cap) == (bucket, None if limit is None else Decimal(limit))


async def test_an_edition_is_adopted_once_and_only_when_it_is_newer() -> None:
    store, _ = await a_store(an_edition(1, "2026-01-01"), an_edition(1, "2026-01-01"))
    assert await store.count(SCHEMES, {}) == 1
    assert await store.run(lambda uow: adopt_edition(uow, an_edition(5, "2026-07-01")))
    assert not await store.run(lambda uow: adopt_edition(uow, an_edition(3, "2026-08-01")))
    timeline = await store.get(TIMELINES, CURRENT)
    assert timeline is not None
    assert (timeline.newest, timeline.in_force(NOON)) == (5, 5)
    one = await store.get(SCHEMES, "1")
    assert one is not None
    assert one.deadline_at == AFTER
    with pytest.raises(DomainError, match="scheme-day-taken"):
        await store.run(lambda uow: adopt_edition(uow, an_edition(6, "2026-07-01")))
    assert await store.count(SCHEMES, {}) == 2
