"""From an inspector's finding on Kafka to one case: whatever is delivered twice, whatever is wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.reports.app import SERVICE
from services.reports.domain import Case, Moderation
from services.reports.repo import CASES, ORIGINS
from shared import dlq
from shared.clock import FixedClock
from shared.consumer import MARKS, PARKED, Inbox, Worker
from shared.contracts.inspections import FindingRecorded, Severity
from shared.contracts.reports import CaseState, Channel, Place, ReporterKind
from shared.event import Event
from shared.kafka import Connection, KafkaBroker, KafkaPublisher, Partition, Record
from shared.store import OUTBOX
from tests.inprocess import Inside, inside
from tests.integration.engine_world import running
from tests.integration.reports_world import MONDAY, signed_off
from tests.waiting import eventually

[FINDINGS] = SERVICE.subscriptions


@dataclass
class World:
    """The service, and somebody who tells findings and says when all are handled."""

    reports: Inside
    broker: KafkaBroker
    publisher: KafkaPublisher

    def worker(self) -> Worker:
        return Worker(
            self.reports.runtime.store,
            self.broker,
            FINDINGS,
            self.reports.runtime.resources,
            commit_every=0.05,
            longest_pause=0.1,
        )

    async def tell(self, *events: Event) -> None:
        await self.publisher.publish(events)

    async def handled(self, **sequences: int) -> None:
        """Returns when the group has come so far with each visit."""

        async def look() -> bool:
            ids = {f"{FINDINGS.group}|{FindingRecorded.TOPIC}|{visit}": number for visit, number in sequences.items()}
            marks = await self.reports.runtime.store.find(MARKS, {"_id": {"$in": list(ids)}})
            return {mark.id: mark.sequence for mark in marks} == ids

        await eventually(look)

    async def cases(self) -> list[Case]:
        return await self.reports.runtime.store.find(CASES, {}, [("_id", 1)])

    async def apply(self, *events: Event) -> None:
        """Have the events handled as the worker does, without a broker."""
        records = [
            Record(Partition(event.topic, 0), place, 0.0, event.key.encode(), event.value, event.headers())
            for place, event in enumerate(events)
        ]
        await Inbox(
            self.reports.runtime.store, FINDINGS, self.reports.runtime.resources, longest_pause=0.01
        ).apply_singly(records)


@pytest.fixture
async def world(mongodb_uri: str, kafka_bootstrap: str, namespace: str, tmp_path: Path) -> AsyncIterator[World]:
    broker = KafkaBroker(Connection(kafka_bootstrap, namespace, session_timeout=6.0, heartbeat_interval=0.3), 4)
    await broker.ensure_topics(SERVICE.topics())
    publisher = broker.publisher()
    async with inside(SERVICE, FixedClock(MONDAY), tmp_path, mongodb_uri, namespace) as reports:
        try:
            yield World(reports, broker, publisher)
        finally:
            await publisher.stop()


@pytest.fixture
async def desk(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[World]:
    """The same without a broker."""
    broker = KafkaBroker(Connection("127.0.0.1:1", namespace))
    async with inside(SERVICE, FixedClock(MONDAY), tmp_path, mongodb_uri, namespace) as reports:
        yield World(reports, broker, broker.publisher())


def finding(visit: str = "V1", number: int = 1, sequence: int | None = None, **change: Any) -> Event:
    content: dict[str, Any] = {
        "visit": visit,
        "finding": number,
        "site": "farmers-market-0007",
        "place": Place(longitude=112.6, latitude=26.885, community="", address="祥光社区菜市场东门"),
        "category": "exposed-rubbish",
        "severity": Severity.SEVERE,
        "found_at": MONDAY - timedelta(hours=1),
        "standard": "farmers-market-03",
        "indicators": ("II-3-1",),
        "summary": "市场东门垃圾桶满溢。",
        "photos": ("a" * 32,),
        "unit": "nongmao",
    }
    return Event.new(FindingRecorded(**{**content, **change}), visit, sequence or number, MONDAY)


async def test_a_finding_becomes_a_case_of_its_unit_linked_to_its_visit(world: World) -> None:
    async with running(world.worker()):
        await world.tell(finding())
        await world.handled(V1=1)
    [case] = await world.cases()
    assert (case.channel, case.reporter_kind, case.reporter) == (Channel.INSPECTION, ReporterKind.INSPECTOR, None)
    assert (case.state, case.unit, case.category) == (CaseState.DISPATCHED, "huanwei", "exposed-rubbish")
    assert (case.text, case.place.address) == ("市场东门垃圾桶满溢。", "祥光社区菜市场东门")
    assert (case.moderation, case.site_check, case.photos) == (Moderation.APPROVED, False, ())
    assert "II-3-1" in case.indicators
    origin = await world.reports.runtime.store.get(ORIGINS, "inspections.visit/V1/1")
    assert origin is not None
    assert (origin.case, origin.photos, origin.at) == (case.id, ("a" * 32,), MONDAY - timedelta(hours=1))
    note = case.timeline[0].note
    for fact in ("督查 V1 第 1 项", "2026-11-23 08:00", "severe", "farmers-market-0007", "建议单位 nongmao"):
        assert fact in note
    rows = await world.reports.runtime.store.find(OUTBOX, {})
    assert [row.type for row in rows] == ["chuangwen.reports.case-registered.v1"]


async def test_each_finding_opens_one_case_whatever_is_delivered_again(world: World) -> None:
    events = [finding(visit, number) for visit in ("V1", "V2", "V3") for number in (1, 2, 3)]
    async with running(world.worker()):
        await world.tell(*events)
        await world.tell(*events)
        await world.handled(V1=3, V2=3, V3=3)
    async with running(world.worker()):  # another process, which does not know how far the first one came
        await world.tell(*events, finding("V1", 4))
        await world.handled(V1=4, V2=3, V3=3)
    assert len(await world.cases()) == 10
    assert await world.reports.runtime.store.count(PARKED, {}) == 0


async def test_the_same_finding_told_anew_opens_no_second_case(desk: World) -> None:
    await desk.apply(finding(), finding(sequence=2, summary="又说一遍"), finding(sequence=3))
    [case] = await desk.cases()
    assert case.text == "市场东门垃圾桶满溢。"


async def test_two_workers_at_once_open_one_case(desk: World) -> None:
    await asyncio.gather(*(desk.apply(finding("V1", 1), finding("V1", 2)) for _ in range(4)))
    assert len(await desk.cases()) == 2
    assert await desk.reports.runtime.store.count(PARKED, {}) == 0


FAULTY: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown category": ({"category": "no-such"}, "类别 no-such 不在目录中"),
    "a place elsewhere": ({"place": Place(longitude=116.39, latitude=39.9, community="x")}, "地点不在衡阳高新区范围内"),
    "the end of the world": ({"place": Place(longitude=-180, latitude=90, community="")}, "地点不在"),
    "a category that is markup": ({"category": "<script>alert(1)</script>"}, "不在目录中"),
}


@pytest.mark.parametrize("name", FAULTY)
async def test_what_the_district_does_not_know_waits_for_the_office_with_the_fault_noted(
    desk: World, name: str
) -> None:
    change, noted = FAULTY[name]
    await desk.apply(finding("V1", 1, **change), finding("V1", 2))
    faulty, sound = sorted(await desk.cases(), key=lambda case: case.state, reverse=True)
    assert (faulty.state, faulty.unit, faulty.stage) == (CaseState.REGISTERED, None, "dispatch")
    assert faulty.category == ("other-matter" if "category" in change else "exposed-rubbish")
    assert noted in faulty.timeline[0].note
    assert "<" not in faulty.timeline[0].note
    assert sound.unit == "huanwei", "what follows it is not held up"
    assert await desk.reports.runtime.store.count(PARKED, {}) == 0
    queue = await desk.reports.http.get("/cases?state=registered", headers=desk.reports.token("office"))
    assert [each["case"] for each in queue.json()["cases"]] == [faulty.id]


@pytest.mark.parametrize(
    "change",
    [
        {"summary": "<b>市场</b>\u202e\x00脏乱"},
        {"summary": "长" * 5_000},
        {"summary": "\u0958" * 2_000},  # grows when it is composed
        {"place": Place(longitude=112.6, latitude=26.885, community="", address="<i>东门" + "长" * 300)},
        {"visit": "V" * 3_000, "site": "\ud7ff" * 900, "standard": "<x", "unit": "<y>"},
        {"found_at": MONDAY.replace(year=9999)},
        {"found_at": MONDAY.replace(year=1)},
        {"finding": -1, "photos": tuple("abc") * 100, "indicators": ("x",) * 50},
    ],
    ids=["hidden", "long", "growing", "address", "identities", "far future", "far past", "many"],
)
async def test_nothing_that_a_finding_tells_can_poison_the_topic(desk: World, change: dict[str, Any]) -> None:
    await desk.apply(finding(**{"visit": "V1", **change}))
    [case] = await desk.cases()
    assert case.unit == "huanwei"
    assert await desk.reports.runtime.store.count(PARKED, {}) == 0


@pytest.mark.parametrize(
    ("category", "hint", "unit"),
    [
        ("exposed-rubbish", "nongmao", "huanwei"),  # the category has its unit
        ("estate-dirty", "nongmao", "nongmao"),  # only the community would be left
        ("estate-dirty", None, "yangliu"),
        ("estate-dirty", "no-such-unit", "yangliu"),
        ("other-matter", "nongmao", None),  # the office decides first
    ],
)
async def test_the_inspectors_hint_counts_where_no_rule_knows_the_category(
    desk: World, category: str, hint: str | None, unit: str | None
) -> None:
    await desk.apply(finding(category=category, unit=hint))
    [case] = await desk.cases()
    assert case.unit == unit


async def test_a_finding_at_a_spot_just_signed_off_is_a_repeat(desk: World) -> None:
    await desk.apply(finding("V1", 1))
    [first] = await desk.cases()
    await signed_off(desk.reports, first.id)
    await desk.apply(finding("V2", 1))
    [again] = [case for case in await desk.cases() if case.id != first.id]
    assert again.repeat_of == first.id


async def test_what_was_set_aside_is_replayed_outside_the_service(
    desk: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = desk.reports.runtime
    reference, runtime.resources.reference = runtime.resources.reference, None  # the handler cannot work
    await desk.apply(finding())
    runtime.resources.reference = reference
    assert await runtime.store.count(PARKED, {}) == 1

    monkeypatch.setattr(SERVICE.settings, "read", lambda: runtime.settings)
    arguments = ["replay", "--service", "reports", "--key", "V1", "--yes"]
    assert await asyncio.to_thread(dlq.main, arguments) == 0, capsys.readouterr()
    [case] = await desk.cases()
    assert case.unit == "huanwei"
    assert await runtime.store.count(PARKED, {}) == 0
