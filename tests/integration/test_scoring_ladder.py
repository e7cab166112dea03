"""The ladder on real servers: from an overdue case on Kafka to the referral, and what people do about it over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from docx import Document as WordFile

from services.scoring.app import SERVICE
from services.scoring.repo import MEASURES
from services.scoring.resources import Resources
from shared.clock import FixedClock
from shared.consumer import MARKS, Worker
from shared.contracts.reports import CaseEvent, Level
from shared.contracts.scoring import MeasureChanged
from shared.deadlines import Timekeeper
from shared.event import Event
from shared.kafka import Connection, KafkaBroker, KafkaPublisher
from shared.store import OUTBOX
from tests.inprocess import Inside, inside
from tests.integration.engine_world import running
from tests.pdf_reader import Pdf
from tests.unit.scoring.ladders import CASE, LADDER, MONDAY, SAMPLE, UNIT, closed, overdue
from tests.waiting import eventually

RUNGS = [rung.code for rung in SAMPLE.ladder.rungs]
WEEKS = timedelta(days=14)
"""Longer than any limit of the sample."""


@dataclass
class World:
    """The service with its ladder's group, and somebody who tells of cases."""

    scoring: Inside
    broker: KafkaBroker
    publisher: KafkaPublisher
    sequences: dict[str, int] = field(default_factory=dict)

    def worker(self) -> Worker[Resources]:
        return Worker(
            self.scoring.runtime.store,
            self.broker,
            LADDER,
            self.scoring.runtime.resources,
            commit_every=0.05,
            longest_pause=0.1,
        )

    def clock(self) -> Timekeeper[Resources]:
        [deadline] = [each for each in SERVICE.deadlines if each.collection.name == "matters"]
        return Timekeeper(self.scoring.runtime.store, deadline, self.scoring.runtime.resources)

    async def tell(self, *models: CaseEvent) -> None:
        """Returns when the group has handled them, each delivered twice."""
        for model in models:
            case = model.case.case
            number = self.sequences[case] = self.sequences.get(case, 0) + 1
            event = Event.new(model, case, number, self.scoring.clock.now())
            await self.publisher.publish([event])
            await self.publisher.publish([event])
        await eventually(self._handled)

    async def _handled(self) -> bool:
        ids = {f"{LADDER.group}|{CaseEvent.TOPIC}|{case}": number for case, number in self.sequences.items()}
        marks = await self.scoring.runtime.store.find(MARKS, {"_id": {"$in": list(ids)}})
        return {mark.id: mark.sequence for mark in marks} == ids

    async def issued(self, *models: CaseEvent) -> None:
        """Tell of cases, and have the clock look."""
        async with running(self.worker()):
            await self.tell(*models)
        await self.clock().look()

    async def page(self, caller: dict[str, str], **asked: str | int) -> dict[str, Any]:
        answer = await self.scoring.http.get("/measures", params=asked, headers=caller)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def post(self, path: str, caller: dict[str, str], body: object = None, status: int = 200) -> dict[str, Any]:
        answer = await self.scoring.http.post(f"/measures/{path}", json=body, headers=caller)
        assert answer.status_code == status, answer.text
        content: dict[str, Any] = answer.json()
        return content

    @property
    def office(self) -> dict[str, str]:
        return self.scoring.token("office")

    @property
    def officer(self) -> dict[str, str]:
        return self.scoring.token("officer", unit=UNIT)


@pytest.fixture
async def world(mongodb_uri: str, kafka_bootstrap: str, namespace: str, tmp_path: Path) -> AsyncIterator[World]:
    broker = KafkaBroker(Connection(kafka_bootstrap, namespace, session_timeout=6.0, heartbeat_interval=0.3), 4)
    await broker.ensure_topics(SERVICE.topics())
    publisher = broker.publisher()
    async with inside(SERVICE, FixedClock(MONDAY), tmp_path, mongodb_uri, namespace) as scoring:
        try:
            yield World(scoring, broker, publisher)
        finally:
            await publisher.stop()


async def test_an_overdue_case_climbs_the_whole_ladder_in_simulated_time(world: World) -> None:
    await world.issued(overdue())
    for taken in range(1, len(RUNGS) + 1):
        rungs = [each["rung"] for each in (await world.page(world.office, case=CASE))["measures"]]
        assert rungs == list(reversed(RUNGS[:taken]))
        world.scoring.clock.advance(WEEKS)
        # Two processes look at once, and once more after a restart.
        await asyncio.gather(world.clock().look(), world.clock().look())
        await world.clock().look()
    rows = await world.scoring.runtime.store.find(OUTBOX, {"topic": MeasureChanged.TOPIC})
    assert sorted(row.subject for row in rows) == sorted(f"{rung}-{_year(rung)}-0001" for rung in RUNGS)
    [referral] = (await world.page(world.scoring.token("discipline"), rung="referral"))["measures"]
    assert referral["basis"].endswith("逾期未回复")


def _year(rung: str) -> int:
    return (MONDAY + RUNGS.index(rung) * WEEKS).year


async def test_a_closed_case_ends_it(world: World) -> None:
    await world.issued(overdue())
    world.scoring.clock.advance(WEEKS)
    await world.clock().look()
    await world.issued(closed())
    for _ in range(3):
        world.scoring.clock.advance(WEEKS)
        assert await world.clock().look() == 0
    measures = (await world.page(world.office, state="ended"))["measures"]
    assert [(each["rung"], each["end_reason"]) for each in measures] == [
        ("supervision-blue", "案件已销号"),
        ("reminder", "案件已销号"),
    ]
    refused = await world.post(f"{measures[0]['measure']}/reply", world.officer, {"text": "已清运"}, status=409)
    assert refused["code"] == "measure-ended"


async def test_a_hundred_cases_at_once_get_numbers_without_a_gap(world: World) -> None:
    cases = [f"20261123-N{number:03}" for number in range(120)]
    await world.issued(*(overdue(case=case, category=case) for case in cases))
    while await world.clock().look():
        pass
    found = await world.scoring.runtime.store.find(MEASURES, {"rung": "reminder"})
    assert sorted(each.id for each in found) == [f"reminder-2026-{number:04}" for number in range(1, 121)]
    assert {each.cause.case for each in found} == set(cases)


async def test_receipt_and_reply_are_the_units_own(world: World) -> None:
    await world.issued(overdue())
    [measure] = (await world.page(world.officer))["measures"]
    assert (measure["number"], measure["state"], measure["unit"]) == ("〔2026〕第0001号", "issued", UNIT)
    id, stranger = measure["measure"], world.scoring.token("officer", unit="chengguan")
    assert (await world.page(stranger, unit=UNIT))["measures"] == []
    assert (await world.scoring.http.get(f"/measures/{id}", headers=stranger)).status_code == 404
    assert (await world.scoring.http.get(f"/measures/{id}/paper.pdf", headers=stranger)).status_code == 404
    await world.post(f"{id}/receipt", stranger, status=404)
    await world.post(f"{id}/receipt", world.scoring.token("officer"), status=404)
    await world.post(f"{id}/receipt", world.office, status=403)
    assert (await world.post(f"{id}/receipt", world.officer))["state"] == "received"
    key = world.officer | {"Idempotency-Key": "one"}
    replied = await world.post(f"{id}/reply", key, {"text": " 已清运，增加巡查 "})
    assert (replied["state"], replied["reply"]) == ("replied", "已清运，增加巡查")
    assert await world.post(f"{id}/reply", key, {"text": " 已清运，增加巡查 "}) == replied
    assert (await world.post(f"{id}/reply", world.officer, {"text": "再答"}, status=409))["code"] == "measure-replied"
    world.scoring.clock.advance(WEEKS)
    assert await world.clock().look() == 0


async def test_the_office_holds_back_releases_and_ends_with_a_reason(world: World) -> None:
    await world.issued(overdue())
    [measure] = (await world.page(world.office))["measures"]
    id, office = measure["measure"], world.office
    await world.post(f"{id}/hold", office, {"until": "2026-12-01", "reason": " "}, status=422)
    late = await world.post(f"{id}/hold", office, {"until": "2027-12-01", "reason": "设备待修"}, status=422)
    assert late["code"] == "hold-unfit"
    await world.post(f"{id}/hold", world.officer, {"until": "2026-12-01", "reason": "设备待修"}, status=403)
    held = await world.post(f"{id}/hold", office, {"until": "2026-12-01", "reason": "设备待修"})
    assert (held["state"], held["held_until"]) == ("held", "2026-11-30T16:00:00Z")
    world.scoring.clock.advance(timedelta(days=3))
    assert await world.clock().look() == 0
    released = await world.post(f"{id}/release", office)
    assert (released["state"], released["due_at"]) == ("issued", "2026-11-27T10:00:00Z")
    ended = await world.post(f"{id}/end", office, {"reason": "责任不在该单位"})
    assert (ended["state"], ended["end_reason"]) == ("ended", "责任不在该单位")
    await world.issued(overdue(Level.RED))
    assert len((await world.page(office))["measures"]) == 1


async def test_the_paper_is_printed_as_it_was_issued(world: World) -> None:
    await world.issued(overdue())
    [measure] = (await world.page(world.office))["measures"]
    url = f"/measures/{measure['measure']}/paper"
    first = await world.scoring.http.get(f"{url}.pdf", headers=world.officer)
    assert first.headers["content-type"] == "application/pdf"
    assert "reminder-2026-0001.pdf" in first.headers["content-disposition"]
    read = Pdf(first.content).text
    for item in ("提醒函", "〔2026〕第0001号", CASE, SAMPLE.name_of(UNIT), "2026-11-24"):
        assert item in read
    word = await world.scoring.http.get(f"{url}.docx", headers=world.office)
    assert "提醒函" in "\n".join(each.text for each in WordFile(BytesIO(word.content)).paragraphs)
    await world.post(f"{measure['measure']}/reply", world.officer, {"text": "已清运"})
    assert (await world.scoring.http.get(f"{url}.pdf", headers=world.officer)).content == first.content


async def test_pages_have_no_gap_and_no_repeat(world: World) -> None:
    await world.issued(*(overdue(case=f"20261123-P{number}", category=f"p{number}") for number in range(5)))
    seen, after = [], ""
    while True:
        page = await world.page(world.office, limit=2, **({"after": after} if after else {}))
        seen += [each["measure"] for each in page["measures"]]
        after = page["next"]
        if after is None:
            break
    assert seen == [f"reminder-2026-{number:04}" for number in range(5, 0, -1)]
    malformed = await world.scoring.http.get("/measures", params={"after": "x"}, headers=world.office)
    assert (malformed.status_code, malformed.json()["code"]) == (422, "cursor-malformed")


async def test_the_figures_tell_what_is_unanswered_and_what_climbed(world: World) -> None:
    cases = [f"20261123-S{number}" for number in range(4)]
    await world.issued(*(overdue(case=case, category=case) for case in cases))
    await world.post("reminder-2026-0001/receipt", world.officer)
    await world.post("reminder-2026-0002/reply", world.officer, {"text": "已清运"})
    await world.post("reminder-2026-0003/hold", world.office, {"until": "2026-12-20", "reason": "设备待修"})
    world.scoring.clock.advance(timedelta(days=2))
    reminders = {"rung": "reminder", "issued": 4, "received": 2, "replied": 1, "held": 1, "ended": 0}
    url = "/measures/figures"
    before = await world.scoring.http.get(url, headers=world.office)
    assert before.json() == {"rungs": [reminders | {"open": 3, "late": 2, "climbed": 0}]}
    await world.clock().look()
    after = (await world.scoring.http.get(url, params={"unit": UNIT, "year": 2026}, headers=world.officer)).json()
    assert after["rungs"][0] == reminders | {"open": 3, "late": 2, "climbed": 2}
    assert [(each["rung"], each["issued"], each["late"]) for each in after["rungs"]] == [
        ("reminder", 4, 2),
        ("supervision-blue", 2, 0),
    ]
    stranger = world.scoring.token("officer", unit="chengguan")
    for params in ({}, {"unit": UNIT}):
        assert (await world.scoring.http.get(url, params=params, headers=stranger)).json() == {"rungs": []}
    assert (await world.scoring.http.get(url, params={"year": 2027}, headers=world.office)).json() == {"rungs": []}
    assert (await world.scoring.http.get(url, headers=world.scoring.token("citizen"))).status_code == 403
