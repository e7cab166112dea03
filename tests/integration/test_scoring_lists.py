"""Red and black lists over HTTP on a real database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.scoring.app import SERVICE
from shared.audit import verify
from shared.audit.log import AUDIT
from shared.clock import FixedClock
from shared.store import OUTBOX
from tests.inprocess import Inside, inside
from tests.pdf_reader import Pdf

NOON = datetime(2026, 11, 30, 4, tzinfo=UTC)
MARKET = {
    "reason": "摊位占道经营，过道堵塞",
    "area": "430476001007",
    "venue_type": "farmers-market",
    "venue": "祥光农贸市场",
    "case": "20261103-ABCDEFGHJK",
}
UNIT = {"reason": "交办问题逾期未回复。", "unit": "huanwei"}
BLACK: dict[str, Any] = {"kind": "black", "period": "2026-11", "issuer": "first", "items": [MARKET, UNIT]}


@pytest.fixture
async def scoring(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(SERVICE, FixedClock(NOON), tmp_path, mongodb_uri, namespace) as scoring:
        yield scoring


async def done(scoring: Inside, method: str, address: str, role: str, body: object = None) -> dict[str, Any]:
    """The answer to a command that is allowed."""
    answer = await scoring.http.request(method, address, json=body, headers=scoring.token(role))
    assert answer.is_success, answer.text
    listed: dict[str, Any] = answer.json()
    return listed


async def published(scoring: Inside, **change: object) -> str:
    """The identity of a list that has become public."""
    id = str((await done(scoring, "POST", "/lists", "office", {**BLACK, **change}))["id"])
    await done(scoring, "POST", f"/lists/{id}/approve", "leader", {"based_on": 1})
    await done(scoring, "POST", f"/lists/{id}/publish", "office")
    return id


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def published_events(scoring: Inside) -> list[tuple[str, dict[str, Any]]]:
    rows = await scoring.runtime.store.find(OUTBOX, {"topic": "scoring.list"}, [("_id", 1)])
    return [(row.type, json.loads(row.value)) for row in rows]


async def test_a_list_from_draft_to_withdrawal(scoring: Inside) -> None:
    draft = await done(scoring, "POST", "/lists", "office", BLACK)
    id = draft["id"]
    assert (draft["state"], draft["version"], draft["items"][0]["reason"]) == ("draft", 1, "摊位占道经营，过道堵塞。")
    changed = await done(scoring, "PUT", f"/lists/{id}", "office", {**BLACK, "issuer": "second", "based_on": 1})
    assert (changed["issuer"], changed["version"]) == ("second", 2)
    approved = await done(scoring, "POST", f"/lists/{id}/approve", "leader", {"based_on": 2})
    assert (approved["state"], approved["approved_by"]) == ("approved", "leader")
    assert (await scoring.http.get("/lists")).json()["lists"] == []
    assert await published_events(scoring) == []
    await done(scoring, "POST", f"/lists/{id}/publish", "office")
    [shown] = (await scoring.http.get("/lists")).json()["lists"]
    assert (shown["number"], shown["state"], [item["venue"] for item in shown["items"]]) == (
        "〔2026〕第0001号",
        "published",
        ["祥光农贸市场", None],
    )
    assert not {"written_by", "approved_by", "version", "withdrawal"} & set(shown)
    await done(scoring, "POST", f"/lists/{id}/withdraw", "office", {"reason": "经核实，第一条不属实"})
    [withdrawn] = (await scoring.http.get("/lists")).json()["lists"]
    assert (withdrawn["state"], withdrawn["items"]) == ("withdrawn", [])
    public = (await scoring.http.get(f"/lists/{id}")).text
    assert "祥光" not in public
    assert "不属实" not in public
    inside = await done(scoring, "GET", f"/lists/{id}", "discipline")
    assert (inside["withdrawal"], len(inside["items"])) == ("经核实，第一条不属实", 2)
    [first, second] = await published_events(scoring)
    assert first[0] == "chuangwen.scoring.list-published.v1"
    assert [item["unit"] for item in first[1]["items"]] == [None, "huanwei"]
    assert second[0] == "chuangwen.scoring.list-withdrawn.v1"
    assert not {"items", "reason"} & set(second[1])


async def test_every_step_is_in_a_chain_that_shows_whether_it_was_edited(scoring: Inside) -> None:
    id = await published(scoring)
    await done(scoring, "POST", f"/lists/{id}/withdraw", "leader", {"reason": "不属实"})
    steps = (await scoring.http.get(f"/lists/{id}/history", headers=scoring.token("discipline"))).json()
    assert [(step["action"], step["who"], step["reason"]) for step in steps] == [
        ("draft", "office", ""),
        ("approve", "leader", ""),
        ("publish", "office", ""),
        ("withdraw", "leader", "不属实"),
    ]
    rows = await scoring.runtime.store.find(AUDIT, {"chain": f"list:{id}"}, [("number", 1)])
    assert verify(rows, steps[-1]["hash"]) is None
    assert verify([rows[0], rows[2]]) is not None
    assert (await scoring.http.get(f"/lists/{id}/history")).status_code == 401


async def test_who_wrote_a_list_does_not_approve_it(scoring: Inside) -> None:
    id = (await done(scoring, "POST", "/lists", "office", BLACK))["id"]
    both = scoring.token("office", "leader")  # somebody of the office who is somebody else
    answer = await scoring.http.post(f"/lists/{id}/approve", json={"based_on": 1}, headers=scoring.token("office"))
    assert refusal(answer) == (403, "second-person-required")
    assert (await done(scoring, "GET", f"/lists/{id}", "office"))["state"] == "draft"
    assert (await scoring.http.post(f"/lists/{id}/approve", json={"based_on": 1}, headers=both)).status_code == 200


async def test_an_approved_list_does_not_change(scoring: Inside) -> None:
    id = (await done(scoring, "POST", "/lists", "office", BLACK))["id"]
    approved = await done(scoring, "POST", f"/lists/{id}/approve", "leader", {"based_on": 1})
    office = scoring.token("office")
    answer = await scoring.http.put(f"/lists/{id}", json={**BLACK, "based_on": 2}, headers=office)
    assert refusal(answer) == (409, "list-state")
    assert await done(scoring, "GET", f"/lists/{id}", "office") == approved
    published = await scoring.http.post(f"/lists/{id}/publish", headers=office)
    assert published.status_code == 200
    assert refusal(await scoring.http.post(f"/lists/{id}/publish", headers=office)) == (409, "list-state")


async def test_what_was_read_before_somebody_else_wrote_is_not_written_over(scoring: Inside) -> None:
    id = (await done(scoring, "POST", "/lists", "office", BLACK))["id"]
    await done(scoring, "PUT", f"/lists/{id}", "office", {**BLACK, "items": [UNIT], "based_on": 1})
    stale = await scoring.http.put(f"/lists/{id}", json={**BLACK, "based_on": 1}, headers=scoring.token("office"))
    unread = await scoring.http.post(f"/lists/{id}/approve", json={"based_on": 1}, headers=scoring.token("leader"))
    assert refusal(stale) == refusal(unread) == (409, "list-stale")


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"kind": "grey"}, "field-invalid", "kind"),
        ({"issuer": "nobody"}, "list-issuer-unknown", "issuer"),
        ({"items": [{**UNIT, "reason": "一句。两句。"}]}, "list-reason-sentence", "items.0.reason"),
        ({"items": [UNIT, {**MARKET, "reason": "<img src=x>"}]}, "text-has-markup", "items.1.reason"),
        ({"items": [{**MARKET, "venue_type": "casino"}]}, "list-venue-type-unknown", "items.0.venue_type"),
        ({"items": [{**MARKET, **UNIT}]}, "list-item-subject", "items.0"),
    ],
)
async def test_a_bad_list_is_refused_by_name_and_leaves_no_trace(
    scoring: Inside, change: dict[str, object], code: str, field: str
) -> None:
    answer = await scoring.http.post("/lists", json={**BLACK, **change}, headers=scoring.token("office"))
    assert answer.status_code == 422
    listed = answer.json()
    if code != "field-invalid":
        assert (listed["code"], listed["field"]) == (code, field)
    assert (await done(scoring, "GET", "/lists/all", "office"))["lists"] == []
    assert await scoring.runtime.store.find(AUDIT, {"chain": {"$regex": "^list:"}}) == []


async def test_who_may_do_what(scoring: Inside) -> None:
    id = (await done(scoring, "POST", "/lists", "office", BLACK))["id"]
    for method, address, body, allowed in (
        ("POST", "/lists", BLACK, {"office"}),
        ("PUT", f"/lists/{id}", {**BLACK, "based_on": 9}, {"office"}),
        ("POST", f"/lists/{id}/approve", {"based_on": 9}, {"office", "leader"}),
        ("POST", f"/lists/{id}/publish", None, {"office"}),
        ("POST", f"/lists/{id}/withdraw", {}, {"office", "leader"}),
        ("GET", "/lists/all", None, {"office", "leader", "discipline"}),
        ("GET", f"/lists/{id}/history", None, {"office", "leader", "discipline"}),
    ):
        for role in ("office", "leader", "discipline", "officer", "liaison", "verifier"):
            answer = await scoring.http.request(method, address, json=body, headers=scoring.token(role))
            assert (answer.status_code != 403) == (role in allowed), (method, address, role, answer.text)
        assert (await scoring.http.request(method, address, json=body)).status_code == 401
    for address in (f"/lists/{id}", f"/lists/{id}.pdf", "/lists/unknown", "/lists/unknown.docx"):
        assert refusal(await scoring.http.get(address)) == (404, "lists-not-found")
    assert refusal(await scoring.http.get(f"/lists/{id}", headers=scoring.token("officer", unit="huanwei")))[0] == 404


async def test_the_paper_of_a_public_list_is_the_same_every_time(scoring: Inside) -> None:
    id = await published(scoring)
    first = await scoring.http.get(f"/lists/{id}.pdf")
    scoring.clock.advance(timedelta(days=400))
    again = await scoring.http.get(f"/lists/{id}.pdf")
    assert first.content == again.content
    listed = Pdf(first.content).text
    for said in ("2026年11月黑榜", "黑榜〔2026〕第0001号", "■ 衡阳高新区华兴街道祥光社区祥光农贸市场", "创文督导一组"):
        assert said in listed
    word = await scoring.http.get(f"/lists/{id}.docx")
    assert word.content == (await scoring.http.get(f"/lists/{id}.docx")).content
    assert 'filename="black-list-2026-0001.docx"' in word.headers["content-disposition"]
    await done(scoring, "POST", f"/lists/{id}/withdraw", "office", {"reason": "不属实"})
    assert refusal(await scoring.http.get(f"/lists/{id}.pdf")) == (404, "lists-not-found")
    kept = await scoring.http.get(f"/lists/{id}.pdf", headers=scoring.token("discipline"))
    assert kept.content == first.content


async def test_numbers_have_no_gap_however_many_are_published_at_once(scoring: Inside) -> None:
    ids = []
    for kind in ("red", "black") * 4:
        id = (await done(scoring, "POST", "/lists", "office", {**BLACK, "kind": kind}))["id"]
        await done(scoring, "POST", f"/lists/{id}/approve", "leader", {"based_on": 1})
        ids.append(id)
    answers = await asyncio.gather(*(done(scoring, "POST", f"/lists/{id}/publish", "office") for id in ids))
    for kind in ("red", "black"):
        numbers = sorted(each["number"] for each in answers if each["kind"] == kind)
        assert numbers == [f"〔2026〕第{number:04}号" for number in range(1, 5)]


async def test_pages_have_no_gap_and_no_repeat_and_keep_to_what_was_asked(scoring: Inside) -> None:
    ids = []
    for number in range(7):
        ids.append(await published(scoring, kind="red" if number % 2 else "black"))
        if number % 3 == 0:  # otherwise several at one moment
            scoring.clock.advance(timedelta(minutes=1))
    seen: list[tuple[str, str]] = []
    after = None
    while True:
        page = (await scoring.http.get("/lists", params={"limit": 2, **({"after": after} if after else {})})).json()
        seen += [(each["published_at"], each["id"]) for each in page["lists"]]
        if (after := page["next"]) is None:
            break
    assert seen == sorted(seen, reverse=True)
    assert sorted(id for _, id in seen) == sorted(ids)
    red = (await scoring.http.get("/lists?kind=red&period=2026-11")).json()["lists"]
    assert {each["kind"] for each in red} == {"red"}
    assert len(red) == 3
    assert (await scoring.http.get("/lists?period=2026-10")).json()["lists"] == []
    assert refusal(await scoring.http.get("/lists?after=nonsense")) == (422, "cursor-malformed")
    assert refusal(await scoring.http.get("/lists?after=999999999999999-ab")) == (422, "cursor-malformed")
    drafts = await done(scoring, "GET", "/lists/all?state=draft", "office")
    assert drafts["lists"] == []
    assert len((await done(scoring, "GET", "/lists/all?limit=3", "office"))["lists"]) == 3


async def test_the_same_key_publishes_once(scoring: Inside) -> None:
    id = (await done(scoring, "POST", "/lists", "office", BLACK))["id"]
    await done(scoring, "POST", f"/lists/{id}/approve", "leader", {"based_on": 1})
    headers = {**scoring.token("office"), "idempotency-key": "once"}
    answers = await asyncio.gather(*(scoring.http.post(f"/lists/{id}/publish", headers=headers) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert len(await published_events(scoring)) == 1
