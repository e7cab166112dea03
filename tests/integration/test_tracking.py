"""Following a case and having a say about it by a code alone, over HTTP on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.reports.commands.handling import mark_overdue
from services.reports.domain.tracking import CODE_RANDOM_BYTES, new_tracking_code
from services.reports.repo import CASES, FOLLOWERS
from shared.store import IDEMPOTENCY, OUTBOX
from tests.inprocess import Inside
from tests.reporting import REPORT, WANG, case_of, closed, done, filed, kept, mongodb, pictured, reports_with


@pytest.fixture
async def reports(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with reports_with(tmp_path, mongodb_uri, namespace) as service:
        yield service


def account(reports: Inside, subject: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {reports.issuer.token(subject, ['citizen'])}"}


async def tracked(reports: Inside, code: str, **headers: str) -> dict[str, Any]:
    answer = await reports.http.post("/tracking", json={"code": code}, headers=headers)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def give_feedback(reports: Inside, what: str, code: str, **more: Any) -> httpx2.Response:
    return await reports.http.post(f"/tracking/{what}", json={"code": code, **more})


def refusal_of(answer: httpx2.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["detail"] != body["code"], "the catalogue has no sentence for it"
    return answer.status_code, body["code"]


def unknown_code() -> str:
    return new_tracking_code(bytes(CODE_RANDOM_BYTES))


async def events_of(reports: Inside, case: str) -> list[str]:
    rows = await reports.runtime.store.find(OUTBOX, {"subject": case}, [("sequence", 1)])
    return [row.type.split(".")[2] for row in rows]


# --- the code -----------------------------------------------------------------------------------------------
async def test_a_code_shows_how_the_case_goes(reports: Inside) -> None:
    case = await filed(reports, reporter=WANG)
    view = await tracked(reports, case["tracking"])
    assert (view["case"], view["part"], view["state"]) == (case["case"], "reporter", "dispatched")
    assert view["words"] == "已派遣责任单位，等待签收"
    assert (view["category"], view["due_at"], view["may"]) == ("暴露垃圾", case["due_at"], ["update"])
    assert [(line["words"], line["mine"]) for line in view["timeline"]] == [("已受理", True), ("已派遣责任单位", False)]
    english = await tracked(reports, case["tracking"].lower().replace("-", " "), **{"accept-language": "en"})
    assert english["words"] == "Given to a unit, which has yet to take it on"
    assert english["category"] == "Exposed rubbish"


async def test_the_view_says_who_when_and_what_and_nothing_from_inside(reports: Inside) -> None:
    made = await filed(reports, reporter=WANG)
    case, office = made["case"], reports.token("office")
    await done(reports, case, "comment", {"text": "内部意见"}, by=office)
    await done(reports, case, "comment", {"text": "今晚清运", "public": True}, by=office)
    await closed(reports, case)
    view = await tracked(reports, made["tracking"])
    notes = [line["note"] for line in view["timeline"] if line["note"]]
    assert notes == ["今晚清运", "已清运"]
    assert view["may"] == ["update", "rate", "object"]
    assert view["object_until"] == "2026-12-02T10:00:00Z"  # 18:00 of the seventh working day
    answer = await reports.http.post("/tracking", json={"code": made["tracking"]})
    assert "王" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_the_code_is_answered_again_for_the_same_key_and_kept_nowhere(reports: Inside) -> None:
    key = {"Idempotency-Key": "k"}
    first, again = [await reports.http.post("/cases", json=REPORT, headers=key) for _ in range(2)]
    assert (again.status_code, again.content) == (201, first.content)
    code = first.json()["tracking"]
    assert await reports.runtime.store.count(IDEMPOTENCY, {}) == 1
    everything = await kept(reports)
    assert code not in everything
    assert code.replace("-", "") not in everything


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"code": unknown_code()}, 404, "tracking-code-unknown"),
        ({"code": "7Q3-KX0"}, 422, "tracking-code-mistyped"),
        ({"code": {"$ne": ""}}, 422, "validation"),
        ({"code": "0" * 65}, 422, "validation"),
        ({}, 422, "tracking-code-required"),
        ({"code": unknown_code(), "case": "x"}, 422, "tracking-code-required"),
        ({"case": "20260302-0000000000"}, 401, "token-missing"),
    ],
)
async def test_what_is_no_code_shows_nothing(reports: Inside, body: dict[str, Any], status: int, code: str) -> None:
    await filed(reports)
    answer = await reports.http.post("/tracking", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_wrong_codes_are_limited_and_right_ones_are_not(mongodb_uri: str, namespace: str, tmp_path: Path) -> None:
    async with reports_with(tmp_path, mongodb_uri, namespace, wrong_codes_per_minute=6) as reports:
        code = (await filed(reports))["tracking"]
        for _ in range(20):
            await tracked(reports, code)
        wrong = [give_feedback(reports, "update", unknown_code(), text="x") for _ in range(10)]
        wrong += [reports.http.post("/tracking", json={"code": unknown_code()}) for _ in range(10)]
        statuses = [answer.status_code for answer in await asyncio.gather(*wrong)]
        assert sorted(statuses) == [404] * 6 + [429] * 14
        answer = await reports.http.post("/tracking", json={"code": code})
        assert refusal_of(answer) == (429, "rate-limited")
        assert int(answer.headers["retry-after"]) > 0


async def test_a_forged_address_does_not_walk_round_the_limit(mongodb_uri: str, namespace: str, tmp_path: Path) -> None:
    async with reports_with(tmp_path, mongodb_uri, namespace, wrong_codes_per_minute=5) as reports:
        statuses = []
        for number in range(8):
            headers = {"X-Forwarded-For": f"203.0.113.{number}", "Forwarded": f"for=203.0.113.{number}"}
            answer = await reports.http.post("/tracking", json={"code": unknown_code()}, headers=headers)
            statuses.append(answer.status_code)
        assert statuses == [404] * 5 + [429] * 3


# --- the say ------------------------------------------------------------------------------------------------
async def test_an_answer_lets_a_waiting_case_go_on(reports: Inside) -> None:
    made = await filed(reports, category="other-matter")
    case, office = made["case"], reports.token("office")
    await done(reports, case, "ask-reporter", {"question": "具体在几号楼？"}, by=office)
    view = await tracked(reports, made["tracking"])
    assert (view["question"], view["state"], view["may"]) == ("具体在几号楼？", "waiting", ["update", "answer"])
    assert view["answer_until"] == "2026-11-26T10:00:00Z"  # 18:00 of the third working day
    answer = await give_feedback(
        reports, "update", made["tracking"], text="3 号楼北侧", photos=[await pictured(reports)]
    )
    assert (answer.status_code, answer.json()["state"]) == (200, "registered")
    assert await events_of(reports, case) == ["case-registered", "case-waiting", "case-resumed"]
    inside = (await reports.http.get(f"/cases/{case}", headers=office)).json()
    assert "3 号楼北侧" in [fact["note"] for fact in inside["timeline"]]
    assert "3 号楼" not in (await reports.http.get(f"/cases/{case}")).text


async def test_a_question_nobody_answers_ends_by_itself(reports: Inside) -> None:
    case = await filed(reports, category="other-matter")
    await done(reports, case["case"], "ask-reporter", {"question": "几号楼？"}, by=reports.token("office"))
    reports.clock.advance(timedelta(days=4))
    await reports.runtime.store.run(lambda uow: mark_overdue(uow, reports.runtime.resources.district, case["case"]))
    view = await tracked(reports, case["tracking"])
    assert (view["state"], view["question"], view["may"]) == ("registered", None, ["update", "withdraw"])


async def test_not_in_order_reopens_once_without_question_and_then_the_centre_decides(reports: Inside) -> None:
    made = await filed(reports)
    case, code = made["case"], made["tracking"]
    await closed(reports, case)
    bare = await give_feedback(reports, "object", code, text="没清完")
    assert (bare.status_code, bare.json()["code"]) == (422, "objection-needs-photo")
    answer = await give_feedback(reports, "object", code, text="没清完", photos=[await pictured(reports)])
    assert (answer.status_code, answer.json()["state"]) == (200, "dispatched")
    await closed(reports, case)
    answer = await give_feedback(reports, "object", code, photos=[await pictured(reports)])
    assert (answer.status_code, answer.json()["state"]) == (200, "closed")
    assert (await events_of(reports, case))[-1] == "case-changed"
    reports.clock.advance(timedelta(days=20))
    late = await give_feedback(reports, "object", code, photos=[await pictured(reports)])
    assert (late.status_code, late.json()["code"]) == (409, "objection-too-late")


async def test_the_last_word_about_the_result_counts(reports: Inside) -> None:
    case = await filed(reports)
    answer = await give_feedback(reports, "rate", case["tracking"], resolved=True, satisfied=False)
    assert answer.status_code == 409
    await closed(reports, case["case"])
    for satisfied in (False, True):
        answer = await give_feedback(reports, "rate", case["tracking"], resolved=True, satisfied=satisfied)
        assert answer.status_code == 200, answer.text
    view = await tracked(reports, case["tracking"])
    assert (view["resolved"], view["satisfied"]) == (True, True)
    assert (await reports.http.get(f"/cases/{case['case']}")).json()["snapshot"]["satisfied"] is True


async def test_a_report_is_withdrawn_as_long_as_no_unit_has_it(reports: Inside) -> None:
    case = await filed(reports, category="other-matter")
    answer = await give_feedback(reports, "withdraw", case["tracking"], reason="已经好了")
    assert (answer.status_code, answer.json()["state"]) == (200, "rejected")
    assert await events_of(reports, case["case"]) == ["case-registered", "case-rejected"]
    given = await filed(reports)
    answer = await give_feedback(reports, "withdraw", given["tracking"])
    assert refusal_of(answer) == (409, "transition-not-allowed")


async def test_a_withdrawal_of_a_filed_report_is_for_the_centre(reports: Inside) -> None:
    case = await filed(reports, category="other-matter")
    await done(reports, case["case"], "file", by=reports.token("office"))
    answer = await give_feedback(reports, "withdraw", case["tracking"], reason="已经好了")
    assert (answer.status_code, answer.json()["state"]) == (200, "filed")
    assert refusal_of(await give_feedback(reports, "withdraw", case["tracking"])) == (409, "withdrawn-already")
    inside = (await reports.http.get(f"/cases/{case['case']}", headers=reports.token("office"))).json()
    assert (inside["timeline"][-1]["command"], inside["timeline"][-1]["note"]) == ("withdraw", "已经好了")


async def test_a_say_sent_twice_counts_once(reports: Inside) -> None:
    case = await filed(reports)
    body = {"code": case["tracking"], "text": "补充"}
    answers = [
        await reports.http.post("/tracking/update", json=body, headers={"Idempotency-Key": "u1"}) for _ in range(2)
    ]
    assert answers[0].content == answers[1].content
    assert [fact.note for fact in (await case_of(reports, case["case"])).timeline].count("补充") == 1


async def test_words_of_reporters_are_limited_in_length_kind_and_number(
    mongodb_uri: str, namespace: str, tmp_path: Path
) -> None:
    async with reports_with(tmp_path, mongodb_uri, namespace, {"updates_per_day": 3}) as reports:
        code = (await filed(reports))["tracking"]
        for text, refused in (("<b>", "text-has-markup"), ("长" * 2001, "validation"), ("", "text-required")):
            assert refusal_of(await give_feedback(reports, "update", code, text=text)) == (422, refused)
        answers = [await give_feedback(reports, "update", code, text="补充") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert refusal_of(answers[-1])[1] == "updates-per-day"
        assert int(answers[-1].headers["retry-after"]) == 15 * 3600
        reports.clock.advance(timedelta(hours=15))
        assert (await give_feedback(reports, "update", code, text="补充")).status_code == 200


async def test_many_speak_at_once_and_nothing_is_lost(reports: Inside) -> None:
    case = await filed(reports)
    answers = await asyncio.gather(
        *(give_feedback(reports, "update", case["tracking"], text=f"补充 {number}") for number in range(8))
    )
    taken = sum(answer.status_code == 200 for answer in answers)
    assert {answer.status_code for answer in answers} <= {200, 409}
    timeline = (await case_of(reports, case["case"])).timeline
    assert sum(fact.note.startswith("补充") for fact in timeline) == taken >= 4


# --- followers and merged reports -------------------------------------------------------------------------
async def test_a_follower_sees_how_it_goes_and_has_no_say(reports: Inside) -> None:
    case = await filed(reports, reporter=WANG)
    code = (await reports.http.post(f"/cases/{case['case']}/follow")).json()["tracking"]
    await give_feedback(reports, "update", case["tracking"], text="我住三楼")
    view = await tracked(reports, code)
    assert (view["part"], view["case"], view["may"]) == ("follower", case["case"], [])
    assert not any(line["mine"] or line["note"] for line in view["timeline"])
    for what, more in (
        ("update", {"text": "x"}),
        ("rate", {"resolved": True, "satisfied": True}),
        ("object", {"photos": ["p"]}),
        ("withdraw", {}),
    ):
        assert refusal_of(await give_feedback(reports, what, code, **more)) == (403, "say-of-reporters")


async def test_followers_are_counted_for_staff_and_an_account_counts_once(reports: Inside) -> None:
    case = (await filed(reports))["case"]
    me = account(reports, "li")
    first = (await reports.http.post(f"/cases/{case}/follow", headers=me)).json()["tracking"]
    second = (await reports.http.post(f"/cases/{case}/follow", headers=me)).json()["tracking"]
    await reports.http.post(f"/cases/{case}/follow")
    assert (await reports.http.post("/tracking", json={"code": first})).status_code == 404
    assert (await tracked(reports, second))["part"] == "follower"
    by_account = await reports.http.post("/tracking", json={"case": case}, headers=me)
    assert by_account.json()["part"] == "follower"
    view = (await reports.http.get(f"/cases/{case}", headers=reports.token("office"))).json()
    assert view["followers"] == 2
    assert "li" not in {row.id for row in await reports.runtime.store.find(FOLLOWERS, {})}


async def test_what_is_over_or_unknown_is_not_followed(reports: Inside) -> None:
    case = (await filed(reports))["case"]
    await closed(reports, case)
    assert refusal_of(await reports.http.post(f"/cases/{case}/follow")) == (409, "follow-ended")
    assert refusal_of(await reports.http.post("/cases/20260101-0000000000/follow")) == (404, "cases-not-found")


async def test_codes_of_a_merged_report_show_the_other_case_until_the_merge_is_undone(reports: Inside) -> None:
    mine, other = await filed(reports), await filed(reports)
    follower = (await reports.http.post(f"/cases/{mine['case']}/follow")).json()["tracking"]
    office = reports.token("office")
    await give_feedback(reports, "update", mine["tracking"], text="我先说")
    await done(reports, mine["case"], "merge", {"into": other["case"]}, by=office)
    view = await tracked(reports, mine["tracking"])
    assert (view["case"], view["merged"], view["part"]) == (other["case"], mine["case"], "merged")
    assert [line["note"] for line in view["timeline"] if line["mine"] and line["note"]] == ["我先说"]
    assert (await tracked(reports, follower))["case"] == other["case"]
    assert (await give_feedback(reports, "update", mine["tracking"], text="合并后再说")).status_code == 200
    theirs = await tracked(reports, other["tracking"])
    assert not [line for line in theirs["timeline"] if "说" in line["note"]]
    staff = (await reports.http.get(f"/cases/{other['case']}", headers=office)).json()
    assert staff["followers"] == 2
    await closed(reports, other["case"])
    assert (await tracked(reports, mine["tracking"]))["may"] == ["update", "rate", "object"]
    assert (await give_feedback(reports, "withdraw", mine["tracking"])).json()["code"] == "say-of-reporters"


async def test_after_an_unmerge_a_code_shows_its_own_case_again(reports: Inside) -> None:
    mine, other = await filed(reports), await filed(reports)
    office = reports.token("office")
    await done(reports, mine["case"], "merge", {"into": other["case"]}, by=office)
    await done(reports, mine["case"], "unmerge", by=office)
    view = await tracked(reports, mine["tracking"])
    assert (view["case"], view["merged"], view["part"], view["may"]) == (mine["case"], None, "reporter", ["update"])


# --- with an account ----------------------------------------------------------------------------------------
async def test_an_account_lists_its_own_reports_and_speaks_about_them(reports: Inside) -> None:
    me = account(reports, "li")
    mine = [(await filed(reports, me))["case"] for _ in range(3)]
    theirs = (await filed(reports, account(reports, "zhao")))["case"]
    page = (await reports.http.get("/my/cases?limit=2", headers=me)).json()
    rest = (await reports.http.get("/my/cases", params={"after": page["next"]}, headers=me)).json()
    assert [case["case"] for case in (*page["cases"], *rest["cases"])] == sorted(mine, reverse=True)
    assert rest["next"] is None
    answer = await reports.http.post("/tracking/update", json={"case": mine[0], "text": "补充"}, headers=me)
    assert answer.status_code == 200
    for case in (theirs, "20260101-0000000000"):
        answer = await reports.http.post("/tracking", json={"case": case}, headers=me)
        assert refusal_of(answer) == (404, "cases-not-found")
    assert refusal_of(await reports.http.get("/my/cases")) == (401, "token-missing")


async def test_who_files_what_others_told_is_not_their_reporter(reports: Inside) -> None:
    operator = {"Authorization": f"Bearer {reports.issuer.token('operator', ['dispatcher'])}"}
    case = (await filed(reports, operator, channel="hotline", reporter=WANG))["case"]
    assert (await reports.http.get("/my/cases", headers=operator)).json()["cases"] == []
    patrol = (await filed(reports, operator, channel="patrol"))["case"]
    page = (await reports.http.get("/my/cases", headers=operator)).json()
    assert [each["case"] for each in page["cases"]] == [patrol]
    assert (await case_of(reports, case)).timeline[0].who == "operator"


async def test_look_ups_use_an_index(reports: Inside) -> None:
    me = account(reports, "li")
    made = await filed(reports, me, reporter=WANG)
    its = reports.runtime.resources.reporters
    case = await case_of(reports, made["case"])
    assert case.reporter is not None
    queries: list[dict[str, Any]] = [
        {"tracking": {"$in": [case.tracking, "x"]}},
        its.of_account("li"),
        {"reporter.phone": {"$in": [case.reporter.phone]}, "_id": {"$gte": "20261123-"}},
        {"moderation": "pending", "parent": None},
        {"erased_at": None, "ended_at": {"$lte": reports.clock.now()}, "state": {"$in": ["closed"]}},
    ]
    for query in queries:
        plan = await mongodb(reports)._database.command("explain", {"find": CASES.name, "filter": query})
        assert "COLLSCAN" not in str(plan["queryPlanner"]["winningPlan"]), query
