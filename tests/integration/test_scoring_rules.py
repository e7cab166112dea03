"""The rule book over HTTP on a real database: drafted, tried, put to use; and a trial writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from services.scoring.app import SERVICE
from services.scoring.commands.rules import record
from services.scoring.domain.facts import Fact
from services.scoring.views.what_if import IN_ORDER
from shared.audit import verify
from shared.audit.log import AUDIT
from shared.clock import FixedClock
from shared.contracts.scoring import FactKind
from shared.store import IDEMPOTENCY, OUTBOX
from tests.inprocess import Inside, inside
from tests.integration.scoring_world import answered, refusal
from tests.load.asking import plan_of

NOON = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)
DEARER: dict[str, Any] = {
    "code": "rework",
    "name": {"zh": "复查不合格", "en": "Recheck failed"},
    "when": "rework",
    "table": {"otherwise": "3"},
    "effective_from": "2026-12-01",
    "source": "示例",
}
DRAFT: dict[str, Any] = {"based_on": 1, "reason": "经会议研究", "rules": [DEARER]}


@pytest.fixture
async def scoring(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(SERVICE, FixedClock(NOON), tmp_path, mongodb_uri, namespace) as service:
        yield service


async def drafted(scoring: Inside, **change: object) -> dict[str, Any]:
    body = {**DRAFT, **change}
    made: dict[str, Any] = await answered(scoring.http, "POST", "/rule-drafts", scoring.token("office"), body)
    return made


async def use(scoring: Inside, id: str, revision: int = 1) -> Any:
    """By somebody of the office who did not write it."""
    address, body = f"/rule-drafts/{id}/use", {"revision": revision}
    return await scoring.http.post(address, json=body, headers=scoring.token("office", "leader"))


async def happened(scoring: Inside, *facts: Fact) -> None:
    for fact in facts:
        await scoring.runtime.store.run(lambda uow, fact=fact: record(uow, fact))  # type: ignore[misc]


def a_fact(number: int, unit: str = "huanwei", at: datetime = NOON) -> Fact:
    return Fact(f"f{number}", FactKind.REWORK, unit, f"C-{number}", at, at, case=f"C-{number}")


async def everything(scoring: Inside) -> dict[str, list[dict[str, Any]]]:
    """All documents of all collections of the service."""
    names = [each.name for each in (*SERVICE.collections, OUTBOX, IDEMPOTENCY)]
    driver = scoring.runtime.store.driver
    return {name: await driver.find(name, {}, [("_id", 1)]) for name in names}


async def test_everybody_reads_the_book_and_what_is_in_force_on_a_day(scoring: Inside) -> None:
    book = (await scoring.http.get("/rules")).json()
    assert (book["edition"], len(book["rules"])) == (1, 11)
    made = await drafted(scoring)
    assert (await scoring.http.get("/rules")).json() == book
    assert (await use(scoring, made["id"])).status_code == 200
    assert (await scoring.http.get("/rules")).json()["edition"] == 2
    for day, version in (("2026-11-30", 1), ("2026-12-01", 2)):
        there = (await scoring.http.get("/rules", params={"on": day})).json()["rules"]
        assert [rule["version"] for rule in there if rule["code"] == "rework"] == [version]
        assert len(there) == 11
    assert (await scoring.http.get("/rules", params={"on": "2025-12-31"})).json()["rules"] == []


async def test_an_edition_is_drafted_changed_put_to_use_and_told(scoring: Inside) -> None:
    made = await drafted(scoring)
    office = scoring.token("office")
    table = {"by": "standard", "rows": {"Ⅱ-3.1": "1.5", "$x": "1"}}
    changed = {**DRAFT, "revision": 1, "rules": [{**DEARER, "table": table}]}
    again = await answered(scoring.http, "PUT", f"/rule-drafts/{made['id']}", office, changed)
    assert (again["revision"], again["rules"][0]["table"]["rows"]) == (2, table["rows"])
    assert refusal(await use(scoring, made["id"])) == (409, "rule-draft-stale")
    used = (await use(scoring, made["id"], 2)).json()
    assert (used["state"], used["edition"]) == ("used", 2)
    assert refusal(await use(scoring, made["id"], 2)) == (409, "rule-draft-settled")
    history = await answered(scoring.http, "GET", "/rules/editions", scoring.token("officer", unit="huanwei"))
    assert [(each["number"], each["made_by"], each["reason"]) for each in history["editions"]] == [
        (2, "office-leader", "经会议研究"),
        (1, "scoring-rules.json", ""),
    ]
    rows = await scoring.runtime.store.find(AUDIT, {"chain": "rules"}, [("number", 1)])
    assert verify(rows, history["editions"][0]["hash"]) is None
    page = await answered(scoring.http, "GET", "/rules/editions?limit=1", office)
    rest = await answered(scoring.http, "GET", f"/rules/editions?before={page['before']}", office)
    assert [each["number"] for each in (*page["editions"], *rest["editions"])] == [2, 1]


async def test_two_who_edit_at_once_do_not_overwrite_each_other(scoring: Inside) -> None:
    drafts = [await drafted(scoring, reason=f"草案{number}") for number in range(4)]
    answers = await asyncio.gather(*(use(scoring, draft["id"]) for draft in drafts))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert {answer.json().get("code") for answer in answers} <= {None, "rules-stale", "conflict"}
    book = (await scoring.http.get("/rules")).json()
    assert [rule["version"] for rule in book["rules"] if rule["code"] == "rework"] == [1, 2]


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"effective_from": "2026-11-25"}, 422, "rule-retroactive", "rules.0.effective_from"),
        ({"effective_from": "2026-01-01"}, 422, "rule-retroactive", "rules.0.effective_from"),
        ({"match": {"colour": ["red"]}}, 422, "rule-field-unknown", "rules.0.match.colour"),
        ({"match": {"category": []}}, 422, "rule-match-empty", "rules.0.match.category"),
        ({"table": {"by": "level", "rows": {"purple": "1"}}}, 422, "rule-value-unknown", "rules.0.level"),
        ({"table": {"otherwise": "101"}}, 422, "validation", "rules.0.table.otherwise"),
        ({"when": "other"}, 422, "validation", "rules.0.when"),
        ({"table": {"by": "item", "rows": {"a\x00": "1"}}}, 422, "validation", "rules.0.table.rows.a\x00.[key]"),
        ({"colour": "red"}, 422, "validation", "rules.0.colour"),
    ],
)
async def test_a_slip_is_told_by_name_and_leaves_nothing(
    scoring: Inside, change: dict[str, Any], status: int, code: str, field: str
) -> None:
    before = await everything(scoring)
    body = {**DRAFT, "rules": [{**DEARER, **change}]}
    answer = await scoring.http.post("/rule-drafts", json=body, headers=scoring.token("office"))
    assert (*refusal(answer), answer.json()["field"]) == (status, code, field)
    assert await everything(scoring) == before


async def test_who_may_do_what(scoring: Inside) -> None:
    made = await drafted(scoring)
    officer, leader = scoring.token("officer", unit="huanwei"), scoring.token("leader")
    for caller in (officer, leader):
        assert refusal(await scoring.http.post("/rule-drafts", json=DRAFT, headers=caller)) == (403, "role-required")
        answer = await scoring.http.post(f"/rule-drafts/{made['id']}/use", json={"revision": 1}, headers=caller)
        assert refusal(answer) == (403, "role-required")
    assert (await scoring.http.post("/what-if", json={"rules": [DEARER]}, headers=officer)).status_code == 403
    assert (await scoring.http.get("/rules/editions")).status_code == 401
    assert (await scoring.http.get(f"/rule-drafts/{made['id']}", headers=leader)).status_code == 200


async def test_a_trial_tells_who_would_move_and_writes_nothing(scoring: Inside) -> None:
    october = NOON - timedelta(days=31)
    await happened(scoring, a_fact(1, at=october), a_fact(2, at=october), a_fact(3, "yuanlin", october), a_fact(4))
    made = await drafted(scoring)
    before = await everything(scoring)
    leader = scoring.token("leader")
    found = await answered(scoring.http, "POST", "/what-if", leader, {"rules": [{**DEARER, "match": {}}]})
    by_draft = await answered(scoring.http, "POST", "/what-if", leader, {"period": "2026-10", "draft": made["id"]})
    assert by_draft == found
    assert await everything(scoring) == before
    assert (found["period"], found["outcome"]["facts"], found["outcome"]["differing"]) == ("2026-10", 3, 3)
    moves = {move["unit"]: move for move in found["outcome"]["moves"]}
    assert len(moves) == 51
    huanwei = moves["huanwei"]
    assert (Decimal(huanwei["before"]["score"]), Decimal(huanwei["after"]["score"])) == (Decimal(99), Decimal(94))
    assert (huanwei["before"]["rank"], huanwei["after"]["rank"], huanwei["after"]["rank_in_group"]) == (51, 51, 6)
    assert moves["gongan"]["before"] == moves["gongan"]["after"]
    [rework] = [each for each in found["outcome"]["rules"] if each["rule"] == "rework"]
    assert (rework["before"]["times"], Decimal(rework["before"]["points"])) == (3, Decimal("1.5"))
    assert (rework["after"]["times"], Decimal(rework["after"]["points"])) == (3, Decimal(9))
    first = found["outcome"]["differences"][0]
    assert (first["case"], Decimal(first["before"]), Decimal(first["after"])) == ("C-1", Decimal("0.5"), Decimal(3))


async def test_a_trial_needs_either_rules_or_a_draft(scoring: Inside) -> None:
    office = scoring.token("office")
    for body in ({}, {"rules": [DEARER], "draft": "x"}):
        answer = await scoring.http.post("/what-if", json=body, headers=office)
        assert refusal(answer) == (422, "what-if-undecided")
    answer = await scoring.http.post("/what-if", json={"draft": "x"}, headers=office)
    assert refusal(answer) == (404, "rule-drafts-not-found")


async def test_what_is_asked_of_the_database_is_answered_by_an_index(
    scoring: Inside, mongodb_uri: str, namespace: str
) -> None:
    await happened(scoring, *(a_fact(number) for number in range(3)))
    span = {"happened_at": {"$gte": NOON, "$lt": NOON + timedelta(days=1)}}
    newest = {"proposed_at": -1, "_id": -1}
    asked: list[dict[str, Any]] = [
        {"find": "facts", "filter": span, "sort": dict(IN_ORDER)},
        {"find": "proposals", "filter": {}, "sort": newest},
        {"find": "proposals", "filter": {"state": "proposed"}, "sort": newest},
        {"find": "appeals", "filter": {"unit": "huanwei"}, "sort": {"submitted_at": -1, "_id": -1}},
        {"find": "rule-editions", "filter": {"number": {"$lt": 9}}, "sort": {"number": -1}},
    ]
    client: MongoClient[dict[str, Any]] = MongoClient(mongodb_uri)
    with client:
        for command in asked:
            plan = plan_of(client[f"{namespace}scoring"], command)
            assert {"COLLSCAN", "SORT"}.isdisjoint(plan.stages), command
