"""Duplicates and repeats over HTTP on real data: what is offered to whom, merging and undoing it, sharp edges."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.reports.app import SERVICE
from services.reports.domain import Moderation
from services.reports.repo import CASES
from shared.clock import FixedClock
from shared.contracts.reports import CaseState
from shared.store import OUTBOX, UnitOfWork
from shared.store.mongo import MongoDriver
from tests.inprocess import Inside, inside
from tests.integration.reports_world import MONDAY, REPORT, case_of, filed, signed_off, step
from tests.unit.reports.spots import a_case

ASKED = {name: REPORT[name] for name in ("category", "longitude", "latitude", "text")}
METRE_EAST = 1 / 99_190
"""Degrees of longitude at Hengyang's latitude."""
METRE_NORTH = 1 / 111_195


@pytest.fixture
async def reports(mongodb_uri: str, namespace: str, tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(SERVICE, FixedClock(MONDAY), tmp_path, mongodb_uri, namespace) as service:
        yield service


async def offered(reports: Inside, *roles: str, **change: object) -> list[dict[str, Any]]:
    headers = reports.token(*roles) if roles else {}
    answer = await reports.http.post("/cases/similar", json={**ASKED, **change}, headers=headers)
    assert answer.status_code == 200, answer.text
    body: list[dict[str, Any]] = answer.json()
    return body


async def changed(reports: Inside, id: str, **values: object) -> None:
    """What other parts of the service would have done to a case."""

    async def change(uow: UnitOfWork) -> None:
        case = await uow.get(CASES, id)
        for name, value in values.items():
            setattr(case, name, value)
        uow.save(CASES, case)

    await reports.runtime.store.run(change)


async def test_open_cases_nearby_are_offered_with_what_tells_them_apart(reports: Inside) -> None:
    near = await filed(reports, longitude=112.6 + 30 * METRE_EAST, address="祥光社区北门")
    reports.clock.advance(timedelta(minutes=90))
    [found] = await offered(reports)
    assert found == {
        "case": near,
        "state": "dispatched",
        "unit": "huanwei",
        "metres": 30,
        "registered_at": "2026-11-23T01:00:00Z",
        "age_minutes": 90,
        "address": "祥光社区北门",
        "photos": [],
        "similarity": 1.0,
        "why": "near-and-alike",
    }


@pytest.mark.parametrize(
    ("east", "north", "found"),
    [(99.5, 0, True), (100.5, 0, False), (0, 99.5, True), (0, -100.5, False), (70, 70, True), (72, 72, False)],
)
async def test_the_radius_is_in_metres_at_hengyangs_latitude(
    reports: Inside, east: float, north: float, found: bool
) -> None:
    await filed(reports, longitude=112.6 + east * METRE_EAST, latitude=26.885 + north * METRE_NORTH)
    assert bool(await offered(reports)) is found


async def test_a_pin_in_gcj02_finds_what_was_reported_in_wgs84(reports: Inside) -> None:
    id = await filed(reports, crs="gcj02")
    assert await offered(reports) == [], "the same numbers in another datum are another place"
    assert [each["case"] for each in await offered(reports, crs="gcj02")] == [id]


async def test_other_categories_and_cases_that_have_ended_are_not_offered(reports: Inside) -> None:
    await filed(reports, category="street-vending")
    await signed_off(reports, await filed(reports))
    rejected = await filed(reports, category="other-matter")
    await step(reports, rejected, "reject", reports.token("office"), {"reason": "不属实"})
    assert await offered(reports) == []
    assert await offered(reports, category="other-matter") == []


async def test_the_best_ten_are_offered_best_first(reports: Inside) -> None:
    for metres in range(12):
        await filed(reports, longitude=112.6 + (metres + 1) * METRE_EAST, text="路灯坏了，晚上看不见路")
    alike = await filed(reports, longitude=112.6 + 40 * METRE_EAST, text="垃圾桶满了没人清理，气味很大")
    found = await offered(reports)
    assert [each["metres"] for each in found] == [40, *range(1, 10)]
    assert (found[0]["case"], found[0]["why"]) == (alike, "near-and-alike")
    assert {each["why"] for each in found[1:]} == {"near"}


async def test_what_a_reporter_wrote_is_never_told_and_cannot_be_asked_for(reports: Inside) -> None:
    await filed(reports, text="王女士住三栋，垃圾没人清", address="祥光社区三栋", reporter={"name": "王女士"})
    for guess in ("王女士", "王女士住", "三栋", "垃圾"):
        [found] = await offered(reports, text=guess)
        assert found["similarity"] == 0.0
        assert not any(secret in json.dumps(found, ensure_ascii=False) for secret in ("王女士", "没人清"))
        [staff] = await offered(reports, "dispatcher", text=guess)
        assert staff["similarity"] > 0


@pytest.mark.parametrize(
    ("values", "to_public", "address"),
    [
        ({"moderation": Moderation.PENDING}, False, ""),
        ({"moderation": Moderation.WITHHELD}, False, ""),
        ({"public": False}, False, ""),
        ({"photos": ("p1", "p2"), "hidden_photos": ("p2",)}, True, "祥光社区北门"),
    ],
    ids=["not looked at yet", "withheld", "of a kind nobody sees", "with a hidden photo"],
)
async def test_strangers_are_offered_what_they_may_see_and_staff_everything(
    reports: Inside, values: dict[str, Any], to_public: bool, address: str
) -> None:
    id = await filed(reports, address="祥光社区北门")
    await changed(reports, id, **values)
    found = await offered(reports)
    assert [(each["case"], each["address"], each["photos"]) for each in found] == (
        [(id, address, ["p1"] if "photos" in values else [])] if to_public else []
    )
    [staff] = await offered(reports, "office")
    assert (staff["address"], staff["photos"]) == ("祥光社区北门", list(values.get("photos", ())))


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"category": "no-such"}, "category-unknown", "category"),
        ({"longitude": 116.39}, "place-outside-district", "longitude"),
        ({"latitude": 91}, "validation", "latitude"),
        ({"text": "长" * 2001}, "validation", "text"),
        ({"radius": 5000}, "validation", "radius"),
    ],
)
async def test_bad_questions_are_refused_by_name(
    reports: Inside, change: dict[str, Any], code: str, field: str
) -> None:
    answer = await reports.http.post("/cases/similar", json={**ASKED, **change})
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, code, field)


async def test_strangers_may_ask_so_often(reports: Inside) -> None:
    reports.runtime.resources.limits.__init__(reports.runtime.settings.model_copy(update={"reports_per_minute": 1}))
    answers = [await reports.http.post("/cases/similar", json=ASKED) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    assert await offered(reports, "dispatcher") == []
    assert (await reports.http.post("/cases", json=REPORT)).status_code == 201, "reporting has a limit of its own"


async def test_staff_sees_possible_duplicates_of_a_case(reports: Inside) -> None:
    one = await filed(reports)
    other = await filed(reports, longitude=112.6 + 20 * METRE_EAST, text="垃圾桶满了没人清，很臭")
    await changed(reports, other, moderation=Moderation.WITHHELD)
    answer = await reports.http.get(f"/cases/{one}/similar", headers=reports.token("dispatcher"))
    [found] = answer.json()
    assert (found["case"], found["metres"], found["why"]) == (other, 20, "near-and-alike")
    assert 0.5 < found["similarity"] < 1
    for headers, status in ((reports.token("officer", unit="huanwei"), 403), ({}, 401)):
        assert (await reports.http.get(f"/cases/{one}/similar", headers=headers)).status_code == status
    missing = await reports.http.get("/cases/no-such/similar", headers=reports.token("office"))
    assert (missing.status_code, missing.json()["code"]) == (404, "cases-not-found")


async def test_a_merge_links_both_ways_keeps_both_histories_and_is_undone_cleanly(reports: Inside) -> None:
    one, other = await filed(reports), await filed(reports, text="垃圾没人收")
    office, officer = reports.token("office"), reports.token("officer", unit="huanwei")
    await step(reports, one, "acknowledge", officer)
    before = await case_of(reports, one)
    reports.clock.advance(timedelta(hours=1))
    found = await step(reports, one, "merge", office, {"into": other})
    assert (found["state"], found["due_at"], found["sequence"]) == ("merged", None, 3)
    merged, target = await case_of(reports, one), await case_of(reports, other)
    assert (merged.merged_into, target.merged) == (other, (one,))
    assert [fact.command for fact in merged.timeline] == [*(fact.command for fact in before.timeline), "merge"]
    assert (merged.timeline[-1].note, target.timeline[-1].note) == (other, one)
    assert [each["case"] for each in await offered(reports)] == [other], "it is followed there"
    refused = await reports.http.post(f"/cases/{one}/acknowledge", headers=officer)
    assert refused.json()["code"] == "transition-not-allowed"
    reports.clock.advance(timedelta(hours=1))
    found = await step(reports, one, "unmerge", office)
    again, target = await case_of(reports, one), await case_of(reports, other)
    assert (again.state, again.unit, again.merged_into, target.merged) == (before.state, before.unit, None, ())
    assert before.due_at is not None
    assert again.due_at == before.due_at + timedelta(hours=1), "later by the time it rested"
    assert again.deadline_at is not None
    assert [fact.command for fact in target.timeline][-2:] == ["merge", "unmerge"]
    rows = await reports.runtime.store.find(OUTBOX, {"subject": one}, [("sequence", 1)])
    assert [row.type.split(".")[2] for row in rows][-2:] == ["case-merged", "case-unmerged"]
    assert [row.event.data.case.merged_into for row in rows][-2:] == [other, None]  # type: ignore[attr-defined]
    assert {each["case"] for each in await offered(reports)} == {one, other}
    await step(reports, one, "reply", officer, {"text": "已清运"})


async def test_a_merge_that_would_hide_a_case_is_refused_and_changes_nothing(reports: Inside) -> None:
    one, other, third = [await filed(reports) for _ in range(3)]
    closed = await filed(reports)
    await signed_off(reports, closed)
    office = reports.token("office")
    await step(reports, one, "merge", office, {"into": other})
    for id, into, status, code in (
        (third, third, 409, "merge-into-itself"),
        (third, closed, 409, "merge-into-ended"),
        (third, one, 409, "merge-into-ended"),
        (other, third, 409, "merged-has-merged"),
        (third, "no-such", 422, "case-unknown"),
        (one, third, 409, "transition-not-allowed"),
    ):
        answer = await reports.http.post(f"/cases/{id}/merge", json={"into": into}, headers=office)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    answer = await reports.http.post(f"/cases/{third}/unmerge", headers=office)
    assert answer.json()["code"] == "transition-not-allowed"
    assert (await case_of(reports, third)).state == "dispatched"


DAYS = timedelta(days=30)


@pytest.mark.parametrize(
    ("later", "east", "is_repeat"),
    [
        (timedelta(), 0, True),
        (DAYS, 0, True),
        (DAYS + timedelta(milliseconds=1), 0, False),
        (timedelta(days=1), 49.5, True),
        (timedelta(days=1), 50.5, False),
    ],
)
async def test_the_window_of_a_repeat_has_sharp_edges(
    reports: Inside, later: timedelta, east: float, is_repeat: bool
) -> None:
    first = await filed(reports)
    await signed_off(reports, first, after=timedelta(hours=2))
    reports.clock.advance(later)
    again = await filed(reports, longitude=112.6 + east * METRE_EAST)
    case = await case_of(reports, again)
    assert case.repeat_of == (first if is_repeat else None)
    snapshot = (await reports.http.get(f"/cases/{again}", headers=reports.token("office"))).json()["snapshot"]
    assert snapshot["repeat_of"] == case.repeat_of
    [row] = await reports.runtime.store.find(OUTBOX, {"subject": again})
    assert row.event.data.case.repeat_of == case.repeat_of  # type: ignore[attr-defined]


async def test_a_repeat_is_of_the_newest_that_was_signed_off_in_its_category(reports: Inside) -> None:
    first, second = await filed(reports), await filed(reports)
    await signed_off(reports, second, after=timedelta(hours=1))
    await signed_off(reports, first, after=timedelta(hours=1))
    other = await filed(reports, category="street-vending")
    await signed_off(reports, other, after=timedelta(hours=1))
    await filed(reports)  # open: a duplicate perhaps, but nothing that came back
    assert (await case_of(reports, await filed(reports))).repeat_of == first
    assert (await case_of(reports, await filed(reports, category="street-vending"))).repeat_of == other
    assert (await case_of(reports, await filed(reports, exact=False))).repeat_of is None


async def test_those_who_report_at_once_are_each_told_their_own_predecessor(reports: Inside) -> None:
    async def fill(uow: UnitOfWork) -> None:
        for number in range(120):
            case = a_case(f"{number:04}", east=number % 12 / 1_000, north=number // 12 / 1_000)
            case.state, case.closed_at = CaseState.CLOSED, MONDAY
            uow.insert(CASES, case)

    await reports.runtime.store.run(fill)
    spots = [(112.6 + number % 12 / 1_000, 26.885 + number // 12 / 1_000) for number in range(120)]
    staff = reports.token("service")
    answers = await asyncio.gather(
        *(
            reports.http.post("/cases", json={**REPORT, "longitude": east, "latitude": north}, headers=staff)
            for east, north in spots
        )
    )
    found = [(await case_of(reports, answer.json()["case"])).repeat_of for answer in answers]
    assert found == [f"{number:04}" for number in range(120)]


async def repeats(reports: Inside, **asked: str | int) -> list[dict[str, Any]]:
    period = {"since": "2026-11-01", "until": "2026-12-31"} | asked
    answer = await reports.http.get("/repeats", params=period, headers=reports.token("leader"))
    assert answer.status_code == 200, answer.text
    body: list[dict[str, Any]] = answer.json()
    return body


async def coming_back(reports: Inside, times: int, **change: object) -> list[str]:
    """So many cases at one spot, each a day after the one before was signed off; the last is open."""
    ids: list[str] = []
    for _ in range(times):
        if ids:
            await signed_off(reports, ids[-1])
            reports.clock.advance(timedelta(days=1))
        ids.append(await filed(reports, **change))
    return ids


async def test_spots_where_a_problem_comes_back_are_listed_the_worst_first(reports: Inside) -> None:
    thrice = await coming_back(reports, 3, address="祥光社区北门")
    twice = await coming_back(reports, 2, category="street-vending", longitude=112.61)
    await filed(reports, latitude=26.87)
    worst, other = await repeats(reports)
    assert (worst["cases"], worst["count"], worst["category"], worst["unit"]) == (
        thrice[::-1],
        3,
        "exposed-rubbish",
        "huanwei",
    )
    assert (worst["first_registered_at"], worst["last_registered_at"]) == (
        "2026-11-23T01:00:00Z",
        "2026-11-25T01:00:00Z",
    )
    assert (worst["longitude"], worst["community"], worst["address"], worst["open"]) == (
        112.6,
        (await case_of(reports, thrice[0])).place.community,
        "祥光社区北门",
        True,
    )
    assert other["cases"] == twice[::-1]
    assert [each["count"] for each in await repeats(reports, least=3)] == [3]
    assert [each["category"] for each in await repeats(reports, category="street-vending")] == ["street-vending"]
    assert [each["unit"] for each in await repeats(reports, unit="chengguan")] == ["chengguan"]
    assert len(await repeats(reports, limit=1)) == 1


async def test_only_cases_of_the_periods_days_count_in_asia_shanghai(reports: Inside) -> None:
    await coming_back(reports, 4)  # registered at 09:00 on the 23rd to the 26th
    assert [each["count"] for each in await repeats(reports, since="2026-11-24", until="2026-11-26")] == [3]
    assert [each["count"] for each in await repeats(reports, since="2026-11-23", until="2026-11-24")] == [2]
    assert await repeats(reports, since="2026-11-26", until="2026-12-31") == []
    reports.clock.advance(timedelta(hours=14, minutes=59))  # 23:59 on the 26th
    await coming_back(reports, 2, longitude=112.61)  # and 23:59 on the 27th
    assert [each["count"] for each in await repeats(reports, since="2026-11-26", until="2026-11-27")] == [2]
    assert await repeats(reports, since="2026-11-26", until="2026-11-26") == []


async def test_cases_merged_or_rejected_do_not_count(reports: Inside) -> None:
    first = await filed(reports)
    await signed_off(reports, first, after=timedelta(hours=1))
    again, twin = await filed(reports), await filed(reports)
    office = reports.token("office")
    assert [each["count"] for each in await repeats(reports)] == [3]
    await step(reports, twin, "merge", office, {"into": again})
    assert [each["cases"] for each in await repeats(reports)] == [[again, first]]


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"since": "2026-12-01", "until": "2026-11-01"}, 422, "period-unfit"),
        ({"since": "2025-01-01", "until": "2026-12-31"}, 422, "period-unfit"),
        ({"since": "0001-01-01", "until": "9999-12-31"}, 422, "validation"),
        ({"since": "2026-11-31", "until": "2026-12-31"}, 422, "validation"),
        ({"since": "2026-11-01"}, 422, "validation"),
        ({"since": "2026-11-01", "until": "2026-11-30", "least": 1}, 422, "validation"),
        ({"since": "2026-11-01", "until": "2026-11-30", "limit": 10_000}, 422, "validation"),
    ],
)
async def test_a_period_that_cannot_be_is_refused(
    reports: Inside, asked: dict[str, Any], status: int, code: str
) -> None:
    answer = await reports.http.get("/repeats", params=asked, headers=reports.token("office"))
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_only_those_who_oversee_the_district_see_its_repeats(reports: Inside) -> None:
    period = {"since": "2026-11-01", "until": "2026-11-30"}
    for headers, status in (
        (reports.token("officer", unit="huanwei"), 403),
        (reports.token("citizen"), 403),
        ({}, 401),
    ):
        assert (await reports.http.get("/repeats", params=period, headers=headers)).status_code == status


async def test_of_many_cases_only_those_around_are_read(reports: Inside) -> None:
    async def fill(uow: UnitOfWork) -> None:
        for number in range(500):
            case = a_case(f"{number:04}", east=number // 25 / 1_000, north=number % 25 / 1_000)
            case.state, case.closed_at = CaseState.CLOSED, MONDAY
            uow.insert(CASES, case)

    await reports.runtime.store.run(fill)
    driver = reports.runtime.store.driver
    assert isinstance(driver, MongoDriver)
    await driver._database.command({"profile": 2})
    assert (await case_of(reports, await filed(reports))).repeat_of == "0000"
    await driver._database.command({"profile": 0})
    [search] = await driver.find("system.profile", {"op": "query", "command.filter.square": {"$exists": True}})
    assert search["docsExamined"] < 5
    assert "square" in search["planSummary"]
