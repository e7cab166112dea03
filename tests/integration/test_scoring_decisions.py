"""Entries by hand, corrections and appeals over HTTP: in process, and with the ledger's worker on real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.scoring.app import POSTING, SERVICE
from shared.clock import FixedClock
from shared.contracts.scoring import EntryPosted, ReversalOrdered
from shared.event import Event
from shared.store import OUTBOX, UnitOfWork
from tests.inprocess import Inside, inside
from tests.integration.scoring_world import answered, refusal
from tests.processes import Platform
from tests.servers import Servers
from tests.waiting import eventually

MONDAY = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
ENTRY: dict[str, Any] = {
    "unit": "huanwei",
    "kind": "manual",
    "points": "2",
    "happened_at": "2026-11-20T09:00:00+08:00",
    "reason": "市级暗访通报",
    "evidence": "见通报第3条",
    "references": ["督〔2026〕12号"],
}
APPEAL = {"reason": "所述点位不属本单位", "evidence": "附权属说明", "references": ["权属函1号"]}


@pytest.fixture
async def scoring(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(SERVICE, FixedClock(MONDAY), tmp_path, mongodb_uri, namespace) as service:
        yield service


def person(scoring: Inside, name: str, role: str, unit: str | None = None) -> dict[str, str]:
    return {"Authorization": f"Bearer {scoring.issuer.token(name, [role], unit)}"}


class People:
    """Who acts in these tests, as headers."""

    def __init__(self, scoring: Inside) -> None:
        self.zhang = person(scoring, "zhang", "office")
        self.li = person(scoring, "li", "office")
        self.chen = person(scoring, "chen", "discipline")
        self.wang = person(scoring, "wang", "liaison", "huanwei")
        self.sun = person(scoring, "sun", "liaison", "yuanlin")


async def posted(scoring: Inside) -> None:
    """Do what the ledger's worker does with all that is told."""
    store = scoring.runtime.store
    waiting = sorted(await store.find(OUTBOX, {"topic": "scoring.charge"}), key=lambda row: (row.time, row.created_at))

    async def command(uow: UnitOfWork) -> None:
        for row in waiting:
            event: Event = row.event
            await POSTING.handle(uow, event, None)

    await store.run(command)
    await store.driver.delete(OUTBOX.name, {"topic": "scoring.charge"})


async def entered(scoring: Inside, people: People, **change: object) -> dict[str, Any]:
    """A row that zhang proposed and li approved."""
    made = await answered(scoring.http, "POST", "/proposals/entries", people.zhang, {**ENTRY, **change})
    done: dict[str, Any] = await answered(scoring.http, "POST", f"/proposals/{made['id']}/approve", people.li, {})
    await posted(scoring)
    return done


async def rows(scoring: Inside, caller: dict[str, str], unit: str = "huanwei") -> list[dict[str, Any]]:
    page = await answered(scoring.http, "GET", f"/units/{unit}/rows", caller)
    there: list[dict[str, Any]] = page["rows"]
    return there


async def test_an_entry_needs_two_persons_and_both_are_recorded(scoring: Inside) -> None:
    people = People(scoring)
    made = await answered(scoring.http, "POST", "/proposals/entries", people.zhang, ENTRY)
    assert [(price["rule"], price["points"]) for price in made["prices"]] == [("manual", "2")]
    alone = await scoring.http.post(f"/proposals/{made['id']}/approve", json={}, headers=people.zhang)
    assert refusal(alone) == (403, "second-person-required")
    await posted(scoring)
    assert await rows(scoring, people.wang) == []
    await answered(scoring.http, "POST", f"/proposals/{made['id']}/approve", people.chen, {"note": "属实"})
    kept = await answered(scoring.http, "GET", f"/proposals/{made['id']}", people.li)
    assert (kept["state"], kept["proposed_by"], kept["decided_by"], kept["decision"]) == (
        "approved",
        "zhang",
        "chen",
        "属实",
    )
    await posted(scoring)
    [row] = await rows(scoring, people.wang)
    assert (Decimal(row["points"]), row["rule_name"]["zh"], row["period"]) == (
        Decimal(2),
        "人工扣分（双人审批）",
        "2026-11",
    )
    assert (row["evidence"]["reason"], row["evidence"]["references"]) == ("市级暗访通报", ["督〔2026〕12号"])
    assert "zhang" not in str(row)


async def test_an_approval_sent_twice_or_by_two_at_once_costs_once(scoring: Inside) -> None:
    people = People(scoring)
    made = await answered(scoring.http, "POST", "/proposals/entries", people.zhang, ENTRY)
    address = f"/proposals/{made['id']}/approve"
    keyed = {**people.li, "Idempotency-Key": "k1"}
    answers = await asyncio.gather(
        *(scoring.http.post(address, json={}, headers=caller) for caller in (keyed, keyed, people.chen))
    )
    assert {answer.status_code for answer in answers} <= {200, 409}
    await posted(scoring)
    assert len(await rows(scoring, people.wang)) == 1


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"unit": "nobody"}, 422, "unit-unknown", "unit"),
        ({"points": "0"}, 422, "proposal-costs-nothing", "points"),
        ({"kind": "false-reply"}, 422, "proposal-case-missing", "case"),
        ({"kind": "false-reply", "case": "C-1"}, 422, "proposal-points-unused", "points"),
        ({"happened_at": "2026-11-24T09:00:00+08:00"}, 422, "happened-in-future", "happened_at"),
        ({"happened_at": "2026-11-24T09:00:00"}, 422, "validation", "happened_at"),
        ({"kind": "finding"}, 422, "validation", "kind"),
        ({"points": "101"}, 422, "validation", "points"),
        ({"reason": " "}, 422, "validation", "reason"),
    ],
)
async def test_a_proposal_that_makes_no_sense_is_refused_by_name(
    scoring: Inside, change: dict[str, Any], status: int, code: str, field: str
) -> None:
    people = People(scoring)
    answer = await scoring.http.post("/proposals/entries", json={**ENTRY, **change}, headers=people.zhang)
    assert (*refusal(answer), answer.json()["field"]) == (status, code, field)
    assert (await answered(scoring.http, "GET", "/proposals", people.zhang))["proposals"] == []


async def test_the_office_pages_through_proposals(scoring: Inside) -> None:
    people = People(scoring)
    made = []
    for _ in range(5):
        made.append((await answered(scoring.http, "POST", "/proposals/entries", people.zhang, ENTRY))["id"])
        scoring.clock.advance(timedelta(seconds=1))
    await answered(scoring.http, "POST", f"/proposals/{made[0]}/withdraw", people.zhang)
    await answered(scoring.http, "POST", f"/proposals/{made[1]}/refuse", people.li, {"note": "不实"})
    found, next = [], ""
    while next is not None:
        after = f"&after={next}" if next else ""
        page = await answered(scoring.http, "GET", f"/proposals?state=proposed&limit=2{after}", people.chen)
        found += [each["id"] for each in page["proposals"]]
        next = page["next"]
    assert found == made[:1:-1]
    answer = await scoring.http.get("/proposals?after=nothing", headers=people.chen)
    assert refusal(answer) == (422, "cursor-malformed")
    assert (await scoring.http.get("/proposals", headers=people.wang)).status_code == 403


async def test_an_appeal_from_the_row_to_its_end(scoring: Inside) -> None:
    people = People(scoring)
    await entered(scoring, people)
    [row] = await rows(scoring, people.wang)
    assert (row["next"], row["appeal_until"]) == ("may-appeal", "2026-11-30T10:00:00Z")
    made = await answered(scoring.http, "POST", "/units/huanwei/rows/1/appeal", people.wang, APPEAL)
    assert (made["state"], made["due_at"], made["rule"]) == ("submitted", "2026-12-07T10:00:00Z", "manual")
    [row] = await rows(scoring, people.wang)
    assert (row["next"], row["appeal"]["state"], Decimal(row["points"])) == ("to-be-decided", "submitted", Decimal(2))
    outlook = await answered(scoring.http, "GET", "/units/huanwei/outlook?period=2026-11", people.wang)
    assert (outlook["pending"], Decimal(outlook["score"]), Decimal(outlook["score_if_upheld"])) == (
        1,
        Decimal(98),
        Decimal(100),
    )
    for who in (people.zhang, people.li):
        answer = await scoring.http.post(f"/appeals/{made['id']}/uphold", json={"reason": "是"}, headers=who)
        assert refusal(answer) == (403, "second-person-required")
    await answered(scoring.http, "POST", f"/appeals/{made['id']}/uphold", people.chen, {"reason": "权属不符"})
    [row] = await rows(scoring, people.wang)
    assert (row["next"], row["next_in_words"]["zh"]) == ("to-be-taken-back", "已决定撤销，即将冲回")
    await posted(scoring)
    one, back = await rows(scoring, people.wang)
    assert (one["next"], one["taken_back_by"], one["appeal"]["decision"]) == ("taken-back", 2, "权属不符")
    assert (back["reverses"], Decimal(back["points"]), back["evidence"]["basis"]) == (
        1,
        Decimal(-2),
        f"appeals/{made['id']}",
    )
    seen = await answered(scoring.http, "GET", f"/appeals/{made['id']}", people.wang)
    assert (seen["submitted_by"], seen["decided_by"]) == ("wang", None)


async def test_units_see_and_appeal_against_their_own_rows_only(scoring: Inside) -> None:
    people = People(scoring)
    await entered(scoring, people)
    for address in ("/units/huanwei/rows", "/units/huanwei/outlook?period=2026-11", "/appeals?unit=huanwei"):
        assert refusal(await scoring.http.get(address, headers=people.sun)) == (403, "appeal-of-another-unit")
    answer = await scoring.http.post("/units/huanwei/rows/1/appeal", json=APPEAL, headers=people.sun)
    assert refusal(answer) == (403, "appeal-of-another-unit")
    answer = await scoring.http.post("/units/huanwei/rows/1/appeal", json=APPEAL, headers=people.zhang)
    assert refusal(answer) == (403, "role-required")
    made = await answered(scoring.http, "POST", "/units/huanwei/rows/1/appeal", people.wang, APPEAL)
    assert refusal(await scoring.http.get(f"/appeals/{made['id']}", headers=people.sun)) == (404, "appeals-not-found")
    assert (await answered(scoring.http, "GET", "/appeals", people.sun))["appeals"] == []
    assert len((await answered(scoring.http, "GET", "/appeals", people.wang))["appeals"]) == 1
    answer = await scoring.http.post("/units/huanwei/rows/9/appeal", json=APPEAL, headers=people.wang)
    assert refusal(answer) == (404, "entries-not-found")
    assert refusal(await scoring.http.get("/units/nobody/rows", headers=people.zhang)) == (404, "units-not-found")


async def test_two_appeals_at_once_are_one(scoring: Inside) -> None:
    people = People(scoring)
    await entered(scoring, people)
    address = "/units/huanwei/rows/1/appeal"
    answers = await asyncio.gather(*(scoring.http.post(address, json=APPEAL, headers=people.wang) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    assert {answer.json().get("code") for answer in answers} <= {None, "conflict", "appealed-before"}


async def test_an_appeal_and_a_correction_of_one_row_do_not_both_take_effect(scoring: Inside) -> None:
    people = People(scoring)
    await entered(scoring, people)
    body = {"unit": "huanwei", "number": 1, "reason": "重复记分"}
    proposal = await answered(scoring.http, "POST", "/proposals/corrections", people.zhang, body)
    appeal, approval = await asyncio.gather(
        scoring.http.post("/units/huanwei/rows/1/appeal", json=APPEAL, headers=people.wang),
        scoring.http.post(f"/proposals/{proposal['id']}/approve", json={}, headers=people.li),
    )
    assert {appeal.status_code, approval.status_code} in ({201, 409}, {409, 200})
    await posted(scoring)
    taken = [row["reverses"] for row in await rows(scoring, people.zhang)]
    assert taken == ([None, 1] if approval.status_code == 200 else [None])


async def test_overdue_appeals_are_listed_and_appeals_are_counted_by_rule(scoring: Inside) -> None:
    people = People(scoring)
    for number in range(1, 4):
        await entered(scoring, people)
        await answered(scoring.http, "POST", f"/units/huanwei/rows/{number}/appeal", people.wang, APPEAL)
    listed = (await answered(scoring.http, "GET", "/appeals?state=submitted", people.chen))["appeals"]
    assert len(listed) == 3
    for appeal, verdict in zip(listed, ("uphold", "reject"), strict=False):
        await answered(scoring.http, "POST", f"/appeals/{appeal['id']}/{verdict}", people.chen, {"reason": "裁定"})
    assert (await answered(scoring.http, "GET", "/appeals?overdue=true", people.chen))["appeals"] == []
    scoring.clock.advance(timedelta(days=15))
    [late] = (await answered(scoring.http, "GET", "/appeals?overdue=true", people.chen))["appeals"]
    assert (late["id"], late["overdue"]) == (listed[2]["id"], True)
    figures = await answered(scoring.http, "GET", "/appeal-figures?period=2026-11", people.chen)
    assert figures["overdue"] == 1
    assert figures["rules"] == [
        {"rule": "manual", "appealed": 3, "submitted": 1, "upheld": 1, "rejected": 1, "withdrawn": 0}
    ]
    assert (await answered(scoring.http, "GET", "/appeal-figures?period=2026-10", people.chen))["rules"] == []


async def test_what_people_write_is_in_no_event(scoring: Inside) -> None:
    people = People(scoring)
    await entered(scoring, people)
    appeal = await answered(scoring.http, "POST", "/units/huanwei/rows/1/appeal", people.wang, APPEAL)
    await answered(scoring.http, "POST", f"/appeals/{appeal['id']}/uphold", people.chen, {"reason": "权属不符"})
    events = await scoring.runtime.store.find(OUTBOX, {})
    assert {row.type for row in events} >= {EntryPosted.TYPE, ReversalOrdered.TYPE}
    for row in events:
        for secret in ("暗访", "权属", "zhang", "wang", "chen"):
            assert secret not in row.value.decode()


# --- with the worker, on real servers --------------------------------------------------------------------------------


@pytest.fixture
def platform(servers: Servers, namespace: str, tmp_path: Path) -> Iterator[Platform]:
    platform = Platform(tmp_path, servers.mongodb_uri(), servers.kafka_bootstrap(), namespace)
    try:
        platform.start("scoring")
        yield platform
    finally:
        platform.close()


async def test_what_is_approved_reaches_the_public_ledger_and_what_is_upheld_restores_the_score(
    platform: Platform,
) -> None:
    base = platform.url("scoring")
    office, chief, discipline = (platform.token(role) for role in ("office", "leader", "discipline"))
    unit = platform.token("liaison", unit="huanwei")
    now = datetime.now(UTC)
    entry = {**ENTRY, "happened_at": now.isoformat()}
    async with httpx2.AsyncClient(base_url=base, timeout=20) as http:

        async def ledger(rows: int) -> dict[str, Any] | None:
            found: dict[str, Any] = (await http.get("/units/huanwei/ledger")).json()
            return found if found["rows"] == rows else None

        async def score() -> Decimal:
            period = f"{now + timedelta(hours=8):%Y-%m}"
            standings = (await http.get("/standings", params={"period": period})).json()["standings"]
            return Decimal(next(each["score"] for each in standings if each["unit"] == "huanwei"))

        made = await answered(http, "POST", "/proposals/entries", office, entry)
        await answered(http, "POST", f"/proposals/{made['id']}/approve", chief, {})
        found = await eventually(lambda: ledger(1))
        assert found["entries"][0]["basis"] == f"proposals/{made['id']}"
        assert await score() == 98
        appeal = await answered(http, "POST", "/units/huanwei/rows/1/appeal", unit, APPEAL)
        await answered(http, "POST", f"/appeals/{appeal['id']}/uphold", discipline, {"reason": "成立"})
        found = await eventually(lambda: ledger(2))
        assert (found["entries"][1]["reverses"], found["entries"][1]["points"]) == (1, "-2")
        assert await score() == 100
        correction = {"unit": "huanwei", "number": 2, "reason": "再更正"}
        answer = await http.post("/proposals/corrections", json=correction, headers=office)
        assert refusal(answer) == (409, "entry-is-correction")
