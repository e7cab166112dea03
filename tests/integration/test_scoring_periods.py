"""Standings of any period, and months from open to published: over HTTP, on real servers."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openpyxl import load_workbook
from pymongo import MongoClient

from deploy.local import tools
from deploy.local.stack import DISTRICT
from services.scoring.app import SERVICE
from services.scoring.district import District
from services.scoring.domain.archive import Differs
from services.scoring.domain.ledger import find_flaw, recompute
from services.scoring.repo import ENTRIES, SEALS, STANDINGS
from shared.clock import FixedClock
from shared.contracts.scoring import ChargeMade, EntryPosted, FactKind
from shared.event import Event
from shared.kafka import Connection, KafkaBroker, KafkaPublisher
from tests.inprocess import Inside, inside
from tests.integration.scoring_world import NOVEMBER, charged, settled
from tests.processes import Platform
from tests.unit.scoring.test_archive import verified
from tests.waiting import eventually

UNITS = District.load(DISTRICT).units
COMMUNITIES = sum(unit.group == "communities" for unit in UNITS.values())


@pytest.fixture
async def scoring(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(SERVICE, FixedClock(NOVEMBER), tmp_path, mongodb_uri, namespace) as scoring:
        yield scoring


async def get(scoring: Inside, path: str, *roles: str, status: int = 200) -> Any:
    answer = await scoring.http.get(path, headers=scoring.token(*roles) if roles else None)
    assert answer.status_code == status, answer.text
    return answer.json()


async def post(scoring: Inside, path: str, *roles: str, body: object = None, status: int = 200) -> Any:
    answer = await scoring.http.post(path, json=body, headers=scoring.token(*roles) if roles else None)
    assert answer.status_code == status, answer.text
    return answer.json()


async def published(scoring: Inside, period: str) -> Any:
    await post(scoring, f"/periods/{period}/freeze", "office")
    await settled(scoring)
    await post(scoring, f"/periods/{period}/proposal", "office")
    return await post(scoring, f"/periods/{period}/publication", "leader")


def place_of(ranking: Any, unit: str) -> Any:
    return next(place for place in ranking["standings"] if place["unit"] == unit)


async def test_a_month_is_ranked_among_all_and_in_groups_with_the_trend(scoring: Inside) -> None:
    await charged(scoring, "huaxing", "2", "c1")
    await charged(scoring, "yinguang", "0.5", "c2")
    await charged(scoring, "jinshan", "0.25", "c3")
    await settled(scoring)
    scoring.clock.set(datetime(2026, 12, 1, 2, tzinfo=UTC))
    await charged(scoring, "yinguang", "0.1", "c4")
    await settled(scoring)
    november = await get(scoring, "/standings?period=2026-11")
    assert len(november["standings"]) == len(UNITS)
    assert place_of(november, "huaxing") | {"changed_at": None} == {
        "rank": len(UNITS),
        "unit": "huaxing",
        "group": "subdistricts",
        "score": "98",
        "points_lost": "2",
        "entries": 1,
        "changed_at": None,
        "group_rank": 1,
        "rank_before": None,
        "trend": None,
        "passes": None,
    }
    assert place_of(november, "jinshan")["group_rank"] == COMMUNITIES - 1
    december = await get(scoring, "/standings?period=2026-12")
    found = place_of(december, "yinguang")
    assert (found["rank"], found["rank_before"], found["trend"]) == (len(UNITS), len(UNITS) - 1, -1)
    [communities] = [each for each in december["groups"] if each["group"] == "communities"]
    assert (communities["units"], communities["mean"], communities["below"]) == (COMMUNITIES, "99.99", 1)


async def test_longer_periods_are_made_of_their_months_and_of_assessments(scoring: Inside) -> None:
    await charged(scoring, "huaxing", "9.32", "c1")
    await charged(scoring, "jinshan", "3", "c2", kind=FactKind.NEGATIVE)
    await settled(scoring)
    scoring.clock.set(datetime(2026, 12, 5, 2, tzinfo=UTC))
    await charged(scoring, "huaxing", "10.53", "c3")
    await settled(scoring)
    for period in ("2026-Q4", "2026", "cycle"):
        ranking = await get(scoring, f"/standings?period={period}")
        found = place_of(ranking, "huaxing")
        assert (found["score"], found["points_lost"], found["entries"]) == ("90.08", "19.85", 2), period
        assert ranking["complete"] is False
    assert (await get(scoring, "/standings?period=2026"))["months"] == ["2026-11", "2026-12"]
    for unit in ("jinshan", "huaxing", "district"):
        for part, value in (("material", "0.95"), ("field", "0.701"), ("survey", "0.985")):
            body = {"scheme": "annual", "period": "2026", "unit": unit, "part": part, "value": value, "source": "通报"}
            await post(scoring, "/results", "office", body=body)
    annual = await get(scoring, "/standings?period=2026&scheme=annual")
    assert [(place["unit"], place["score"]) for place in annual["standings"]] == [
        ("huaxing", "85.74"),
        ("jinshan", "82.74"),
    ]
    assert (annual["district"], len(annual["missing"]), annual["complete"]) == ("85.74", len(UNITS) - 2, False)
    cycle = await get(scoring, "/standings?period=cycle&scheme=annual")
    assert (cycle["years"], cycle["district"]) == ([2024, 2025, 2026], "85.74")
    for unit, value, passes in (("huaxing", "0.85", True), ("jinshan", "0.8499", False)):
        body = {"scheme": "minors", "period": "2026", "unit": unit, "part": "index", "value": value, "source": "通报"}
        await post(scoring, "/results", "office", body=body)
        minors = await get(scoring, "/standings?period=2026&scheme=minors")
        assert place_of(minors, unit)["passes"] is passes


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"scheme": "another"}, 422, "scheme-not-found"),
        ({"period": "2026-11"}, 422, "result-period-unfit"),
        ({"period": "soon"}, 422, "result-period-unfit"),
        ({"unit": "nobody"}, 422, "units-not-found"),
        ({"part": "luck"}, 422, "result-part-not-found"),
        ({"part": "negative-list"}, 422, "result-negative-of-ledger"),
        ({"value": "1.1"}, 422, "result-value-unfit"),
        ({"value": "-0.1"}, 422, "validation"),
        ({"value": "NaN"}, 422, "validation"),
        ({"source": ""}, 422, "validation"),
    ],
    ids=str,
)
async def test_a_result_that_does_not_fit_is_refused(
    scoring: Inside, change: dict[str, object], status: int, code: str
) -> None:
    body = {"scheme": "annual", "period": "2026", "unit": "huaxing", "part": "field", "value": "0.5", "source": "通报"}
    answer = await post(scoring, "/results", "office", body={**body, **change}, status=status)
    assert answer["code"] == code
    assert (await get(scoring, "/results?scheme=annual&period=2026", "leader"))["results"] == []


async def test_what_was_recorded_before_stays_to_be_seen(scoring: Inside) -> None:
    body = {"scheme": "annual", "period": "2026", "unit": "huaxing", "part": "field", "source": "通报"}
    for value in ("0.5", "0.6", "0.6"):
        await post(scoring, "/results", "office", body={**body, "value": value})
    [result] = (await get(scoring, "/results?scheme=annual&period=2026", "discipline"))["results"]
    assert [mark["value"] for mark in result["marks"]] == ["0.5", "0.6"]
    await post(scoring, "/results", "officer", body={**body, "value": "0.7"}, status=403)
    await get(scoring, "/results?scheme=annual&period=2026", status=401)


async def test_what_changed_since_yesterday_is_told_with_its_rule_and_basis(scoring: Inside) -> None:
    await charged(scoring, "huaxing", "2", "c0")
    await settled(scoring)
    scoring.clock.advance(timedelta(days=2))
    for number in range(25):
        await charged(scoring, "huaxing", "0.1", f"c{number + 1}")
    await charged(scoring, "jinshan", "0.2", "c99", at=scoring.clock.now() - timedelta(days=9))
    await settled(scoring)
    body = await get(scoring, "/standings/changes")
    huaxing, jinshan = body["units"]
    assert (huaxing["unit"], huaxing["changes"], huaxing["more"]) == (
        "huaxing",
        [{"period": "2026-11", "points": "2.5", "rows": 25}],
        5,
    )
    assert len(huaxing["why"]) == 20
    [reason] = jinshan["why"]
    assert (reason["rule_zh"], reason["entry"]["basis"]) == ("复查不合格", "reports.case/c99/1")
    [alone] = (await get(scoring, "/standings/changes?unit=huaxing"))["units"]
    assert (len(alone["why"]), alone["more"]) == (25, 0)
    too_early = await get(scoring, "/standings/changes?since=2026-01-01T00:00:00Z", status=422)
    assert too_early["code"] == "since-too-early"
    await get(scoring, "/standings/changes?unit=nobody", status=422)


async def test_months_are_frozen_and_published_in_order_by_two_persons(scoring: Inside) -> None:
    await charged(scoring, "huaxing", "2", "c1")
    await settled(scoring)
    assert (await post(scoring, "/periods/2026-11/freeze", "office", status=409))["code"] == "period-not-over"
    scoring.clock.set(datetime(2026, 11, 30, 15, 59, 59, tzinfo=UTC))
    assert (await post(scoring, "/periods/2026-11/freeze", "office", status=409))["code"] == "period-not-over"
    scoring.clock.set(datetime(2027, 1, 1, 2, tzinfo=UTC))
    out_of_order = await post(scoring, "/periods/2026-12/freeze", "office", status=409)
    assert (out_of_order["code"], out_of_order["expected"]) == ("period-out-of-order", "2026-11")
    await post(scoring, "/periods/2026-11/freeze", "leader", status=403)
    await post(scoring, "/periods/2026-11/freeze", status=401)
    assert (await post(scoring, "/periods/2026-11/freeze", "office"))["state"] == "freezing"
    freezing = await get(scoring, "/periods/2026-11")
    assert (freezing["state"], freezing["confirmed"], freezing["units"]) == ("freezing", 0, len(UNITS))
    assert (await post(scoring, "/periods/2026-11/proposal", "office", status=409))["code"] == "period-freezing"
    assert (await post(scoring, "/periods/2026-12/freeze", "office", status=409))["code"] == "period-freezing"
    assert await settled(scoring) == len(UNITS)
    assert (await get(scoring, "/periods/2026-11"))["state"] == "frozen"
    assert (await post(scoring, "/periods/2026-11/freeze", "office"))["units"] == len(UNITS)
    assert await settled(scoring) == 0
    not_yet = await post(scoring, "/periods/2026-11/publication", "leader", status=409)
    assert not_yet["code"] == "period-not-proposed"
    await post(scoring, "/periods/2026-11/proposal", "office")
    same = await post(scoring, "/periods/2026-11/publication", "office", status=403)
    assert same["code"] == "second-person-required"
    seal = await post(scoring, "/periods/2026-11/publication", "leader")
    assert await post(scoring, "/periods/2026-11/publication", "leader") == seal
    assert await post(scoring, "/periods/2026-11/publication", "office") == seal
    assert await get(scoring, "/periods/2026-11/seal") == seal
    december = await published(scoring, "2026-12")
    assert (december["number"], december["previous"]) == (2, seal["hash"])
    chain = (await get(scoring, "/seals"))["seals"]
    assert [each["hash"] for each in chain] == [seal["hash"], december["hash"]]
    listed = (await get(scoring, "/periods"))["periods"]
    assert [(each["period"], each["state"]) for each in listed] == [
        ("2027-01", "open"),
        ("2026-12", "published"),
        ("2026-11", "published"),
    ]
    assert all(each["frozen_by"] is None for each in listed)
    assert (await get(scoring, "/periods/2026-11", "discipline"))["published_by"] == "leader"
    for path in ("/periods/2026-13", "/periods/2026", "/periods/x/seal", "/periods/2027-01/seal"):
        await get(scoring, path, status=404)


async def test_a_unit_that_comes_late_to_a_frozen_month_is_frozen_too_before_it_is_published(scoring: Inside) -> None:
    await charged(scoring, "huaxing", "2", "c1")
    await settled(scoring)
    scoring.clock.set(datetime(2026, 12, 1, 2, tzinfo=UTC))
    await post(scoring, "/periods/2026-11/freeze", "office")
    await settled(scoring)
    await post(scoring, "/periods/2026-11/proposal", "office")
    await charged(scoring, "newcomer", "1", "c2", at=NOVEMBER)
    await settled(scoring)
    refused = await post(scoring, "/periods/2026-11/publication", "leader", status=409)
    assert refused["code"] == "period-units-new"
    assert (await post(scoring, "/periods/2026-11/freeze", "office"))["units"] == len(UNITS) + 1
    await settled(scoring)
    seal = await post(scoring, "/periods/2026-11/publication", "leader")
    assert "newcomer" in {place["unit"] for place in seal["places"]}


async def test_a_late_unit_hears_of_frozen_months_in_their_order(scoring: Inside) -> None:
    await charged(scoring, "huaxing", "2", "c1")
    await settled(scoring)
    scoring.clock.set(datetime(2027, 2, 1, 2, tzinfo=UTC))
    for period in ("2026-11", "2026-12"):
        await post(scoring, f"/periods/{period}/freeze", "office")
        await settled(scoring)
    await charged(scoring, "newcomer", "1", "c2", at=NOVEMBER)
    await settled(scoring)
    for period in ("2027-01", "2026-12"):
        refused = await post(scoring, f"/periods/{period}/freeze", "office", status=409)
        assert refused["code"] == "period-units-new"
    for period in ("2026-11", "2026-12", "2027-01"):
        await post(scoring, f"/periods/{period}/freeze", "office")
        await settled(scoring)
    for period in ("2026-11", "2026-12", "2027-01"):
        await published(scoring, period)
    key = (await get(scoring, "/seal-key"))["key"]
    assert verified((await scoring.http.get("/periods/2027-01/export")).content, key).months == 3


async def test_published_standings_stay_whatever_comes_after(scoring: Inside) -> None:
    await charged(scoring, "huaxing", "2", "c1")
    await settled(scoring)
    scoring.clock.set(datetime(2026, 12, 1, 2, tzinfo=UTC))
    await published(scoring, "2026-11")
    before = await get(scoring, "/standings?period=2026-11")
    await charged(scoring, "huaxing", "3", "c2", at=NOVEMBER)
    await settled(scoring)
    assert await get(scoring, "/standings?period=2026-11") == before
    assert before["state"] == "published"
    rows = await scoring.runtime.store.find(ENTRIES, {"unit": "huaxing"}, [("number", 1)])
    assert [(row.period, row.belongs_to) for row in rows] == [("2026-11", None), ("2026-12", "2026-11")]
    standings = await scoring.runtime.store.find(STANDINGS, {"unit": "huaxing"})
    assert {each.id: each.points_lost for each in standings} == recompute(rows)


async def test_tables_and_archives_come_as_files(scoring: Inside) -> None:
    await charged(scoring, "huaxing", "2", "c1")
    await charged(scoring, "jinshan", "0.5", "c2")
    await settled(scoring)
    scoring.clock.set(datetime(2026, 12, 1, 2, tzinfo=UTC))
    table = (await scoring.http.get("/standings/export?period=2026-11")).content
    rows = list(csv.reader(io.StringIO(table.decode("utf-8-sig"))))
    assert rows[0][:5] == ["名次", "组内名次", "单位", "组别", "得分"]
    assert rows[-1][:6] == [str(len(UNITS)), "1", "华兴街道办事处", "街道", "98", "2"]
    sheet = load_workbook(io.BytesIO((await scoring.http.get("/standings/export?period=2026-Q4&format=xlsx")).content))
    assert len([*sheet["2026-Q4"].rows]) == len(UNITS) + 1
    lines = (await scoring.http.get("/ledgers/export")).text.splitlines()
    assert [json.loads(line)["unit"] for line in lines] == ["huaxing", "jinshan"]
    alone = [EntryPosted.model_validate_json(line) for line in
             (await scoring.http.get("/units/huaxing/ledger/export")).text.splitlines()]  # fmt: skip
    assert find_flaw("huaxing", alone) is None
    assert (await get(scoring, "/periods/2026-11/export", status=404))["code"] == "periods-not-found"
    await post(scoring, "/periods/2026-11/freeze", "office")
    await settled(scoring)
    assert (await get(scoring, "/periods/2026-11/export", status=409))["code"] == "period-not-published"
    await post(scoring, "/periods/2026-11/proposal", "office")
    await post(scoring, "/periods/2026-11/publication", "leader")
    key = (await get(scoring, "/seal-key"))["key"]
    archive = (await scoring.http.get("/periods/2026-11/export")).content
    assert verified(archive, key).units == len(UNITS)


async def test_rules_changed_after_a_month_was_published_do_not_change_its_archive(scoring: Inside) -> None:
    await charged(scoring, "huaxing", "2", "c1")
    await settled(scoring)
    scoring.clock.set(datetime(2026, 12, 1, 2, tzinfo=UTC))
    seal = await published(scoring, "2026-11")
    before = (await scoring.http.get("/periods/2026-11/export")).content
    store = scoring.runtime.store
    await store.driver.delete("rule-books", {})
    assert (await scoring.http.get("/periods/2026-11/export")).content == before
    kept = await store.get(SEALS, "2026-11")
    assert kept is not None
    with pytest.raises(Differs):
        verified(before.replace(seal["rules"].encode(), b"0" * 64))


@dataclass
class Live:
    """The service as a real process, on the 4th of January 2027, and somebody who tells its ledgers of December."""

    platform: Platform
    publisher: KafkaPublisher
    http: httpx2.AsyncClient

    async def tell(self, first: int, last: int) -> None:
        """Late acknowledgements on the days of December, of each unit in turn, a tenth of a point each."""
        for number in range(first, last):
            found = ChargeMade(
                unit=LATE[number % len(LATE)],
                case=f"c{number}",
                category="exposed-rubbish",
                rule="acknowledged-late",
                rule_version=1,
                points=Decimal("0.1"),
                basis=f"reports.case/c{number}/1",
                happened_at=datetime(2026, 12, 1 + number % 28, 4, tzinfo=UTC),
                kind=FactKind.OVERDUE,
                bucket="rule:acknowledged-late",
                cap=Decimal(2),
            )
            event = Event.new(found, f"c{number}:{found.unit}", 1, datetime(2027, 1, 4, tzinfo=UTC))
            await self.publisher.publish([event])

    async def posted(self, at_least: int) -> None:
        """Returns when the ledgers have so many rows."""

        async def look() -> bool:
            pages = [(await self.http.get(f"/units/{unit}/ledger")).json()["rows"] for unit in LATE]
            return bool(sum(pages) >= at_least)

        await eventually(look)

    async def rows(self) -> list[EntryPosted]:
        lines = (await self.http.get("/ledgers/export")).text.splitlines()
        return [EntryPosted.model_validate_json(line) for line in lines]

    async def decide(self, step: str, role: str) -> Any:
        answer = await self.http.post(f"/periods/2026-12/{step}", headers=self.platform.token(role))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def frozen(self) -> None:
        async def look() -> bool:
            return bool((await self.http.get("/periods/2026-12")).json()["state"] == "frozen")

        await eventually(look)

    def run(self, *arguments: str, offline: bool = False) -> subprocess.CompletedProcess[str]:
        """A command of the service; offline with nothing in its environment."""
        environment = {} if offline else {**self.platform._environment(), "HTTP_PORT": "0"}
        program = [sys.executable, "-m", "services.scoring", *arguments]
        return subprocess.run(
            program, check=False, cwd=tools.ROOT, env=environment, capture_output=True, text=True, timeout=60
        )

    def export(self, file: Path) -> subprocess.CompletedProcess[str]:
        return self.run("export", "--period", "2026-12", "--out", str(file))


LATE = ("huaxing", "jinshan", "yinguang", "chengguan")


@pytest.fixture
async def live(mongodb_uri: str, kafka_bootstrap: str, namespace: str, tmp_path: Path) -> AsyncIterator[Live]:
    platform = Platform(tmp_path, mongodb_uri, kafka_bootstrap, namespace)
    setting = {"real": time.time(), "shown": datetime(2027, 1, 4, 2, tzinfo=UTC).timestamp(), "speed": 1.0}
    (tmp_path / "clock.json").write_text(json.dumps(setting))
    publisher = KafkaBroker(Connection(kafka_bootstrap, namespace), 6).publisher()
    try:
        await asyncio.to_thread(platform.start, "scoring")
        async with httpx2.AsyncClient(base_url=platform.url("scoring"), timeout=30) as http:
            yield Live(platform, publisher, http)
    finally:
        await publisher.stop()
        platform.close()


async def test_charges_behind_the_freezing_of_their_month_count_in_the_next_and_say_so(live: Live) -> None:
    await live.tell(0, 40)
    await live.posted(20)
    arriving = asyncio.create_task(live.tell(40, 160))
    await asyncio.sleep(0.05)
    await live.decide("freeze", "office")
    await arriving
    await live.frozen()
    await live.tell(160, 180)
    await live.posted(180)
    rows = await live.rows()
    assert {(row.period, row.belongs_to) for row in rows} == {("2026-12", None), ("2027-01", "2026-12")}
    assert {unit: sum(row.points for row in rows if row.unit == unit) for unit in LATE} == dict.fromkeys(LATE, 2)
    await live.decide("proposal", "office")
    seal = await live.decide("publication", "leader")
    content = {place["unit"]: Decimal(place["points_lost"]) for place in seal["places"]}
    assert {f"{unit}:2026-12": content[unit] for unit in LATE} == recompute(row for row in rows if not row.belongs_to)


async def test_a_published_month_is_exported_and_verified_offline_and_a_planted_change_is_named(
    live: Live, mongodb_uri: str, namespace: str, tmp_path: Path
) -> None:
    await live.tell(0, 40)
    await live.posted(40)
    await live.decide("freeze", "office")
    await live.frozen()
    early = live.export(tmp_path / "early")
    assert (early.returncode, early.stdout) == (1, "")
    assert "2026-12 尚未发布" in early.stderr
    assert "early" not in " ".join(os.listdir(tmp_path))
    await live.decide("proposal", "office")
    seal = await live.decide("publication", "leader")
    key = (await live.http.get("/seal-key")).json()["key"]
    for file in (tmp_path / "2026-12.jsonl", tmp_path / "2026-12.jsonl.gz"):
        done = live.export(file)
        assert done.returncode == 0, done.stderr
        done = live.run("verify", str(file), "--key", key, offline=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("一致：2026-12")
        assert seal["hash"][:16] in done.stdout
    with MongoClient[dict[str, Any]](mongodb_uri, w="majority") as client:
        entries = client[f"{namespace}scoring"].entries
        change = {"$set": {"basis": "reports.case/another/1"}}
        assert entries.update_one({"_id": "jinshan:0000000002"}, change).modified_count == 1
    assert live.export(tmp_path / "planted").returncode == 0
    done = live.run("verify", str(tmp_path / "planted"), offline=True)
    assert done.returncode == 1
    assert "单位 jinshan，台账第 2 号" in done.stderr
