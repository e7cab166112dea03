"""The portal's public pages on a real database: cases, their photos, the ranking."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html import unescape
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.portal.district import Rung
from services.portal.rendering import Pages
from services.portal.repo import CASES, ENTRIES, STANDINGS
from services.portal.views.live import Live
from shared.contracts.reports import (
    CaseAcknowledged,
    CaseClosed,
    CaseOverdue,
    CaseRated,
    CaseReplied,
    CaseSplit,
    CaseState,
    Kind,
    Level,
    Stage,
)
from shared.contracts.scoring import FactKind, ListItem, ListKind
from shared.district import Name
from shared.http import Shares
from shared.store.unit import Change, Write
from tests.inprocess import Inside
from tests.integration.portal_world import FakeReports, a_portal, heard, hidden, served
from tests.unit.portal import categories
from tests.unit.portal.events import (
    CASE,
    NOON,
    case_event,
    entry_event,
    list_event,
    measure_event,
    standing_event,
    withdrawal_event,
)
from tests.waiting import eventually


@pytest.fixture
def reports() -> FakeReports:
    return FakeReports()


@pytest.fixture
async def portal(mongodb_uri: str, namespace: str, tmp_path: Path, reports: FakeReports) -> AsyncIterator[Inside]:
    async with a_portal(mongodb_uri, namespace, tmp_path, reports) as portal:
        yield portal


# ---- cases -------------------------------------------------------------------------------------------------


async def test_a_case_shows_what_is_public(portal: Inside) -> None:
    await heard(portal, case_event(photos=("one",)), entry_event("huanwei", 1))
    page = (await portal.http.get(f"/cases/{CASE}")).text
    for shown in (
        CASE,
        "暴露垃圾",
        "祥光社区北门",
        "还剩 4 小时 0 分",
        "/photos/one/thumb",
        "整改超期（蓝色）",
        "2026-11-03 12:00",
    ):
        assert shown in page
    assert 'class="pin"' in page


async def test_a_case_that_is_not_public_shows_its_community_and_no_more(portal: Inside) -> None:
    await heard(portal, case_event(category="noise", address=""))
    page = (await portal.http.get(f"/cases/{CASE}")).text
    assert "祥光社区" in page
    assert 'class="pin' not in page


async def test_an_overdue_case_says_so(portal: Inside) -> None:
    await heard(portal, case_event(due_at=NOON - timedelta(hours=1)))
    assert "整改超时 1 小时 0 分" in (await portal.http.get(f"/cases/{CASE}")).text
    assert CASE in (await portal.http.get("/cases?overdue=1")).text


async def test_a_case_that_has_not_come_yet_is_on_its_way(portal: Inside) -> None:
    page = await portal.http.get(f"/cases/{CASE}?sequence=1")
    assert page.status_code == 202
    assert 'http-equiv="refresh"' in page.text
    await heard(portal, case_event())
    page = await portal.http.get(f"/cases/{CASE}?sequence=1")
    assert page.status_code == 200
    assert "已派遣" in page.text


async def test_an_unknown_case_is_not_found_in_words(portal: Inside) -> None:
    for address in ("/cases/unknown", "/cases/unknown?sequence=1", f"/cases/{CASE}", "/units/unknown"):
        page = await portal.http.get(address)
        assert page.status_code == 404
        assert "text/html" in page.headers["content-type"]


async def test_the_list_is_filtered_and_paged(portal: Inside) -> None:
    ids = [f"20261103-AAAAAAAA{number:02d}" for number in range(35)]
    await heard(portal, *(case_event(case=id) for id in ids))
    await heard(portal, case_event(2, CaseAcknowledged, case=ids[0], state=CaseState.ACKNOWLEDGED))
    first = (await portal.http.get("/cases?unit=huanwei")).text
    after = re.search(r'rel="next" href="([^"]+)"', first)
    assert after is not None
    second = (await portal.http.get(after[1].replace("&amp;", "&"))).text
    shown = [set(re.findall(r"/cases/(20261103-\w+)", page)) for page in (first, second)]
    assert (len(shown[0]), len(shown[1]), shown[0] | shown[1]) == (30, 5, set(ids))
    acknowledged = (await portal.http.get("/cases?state=acknowledged")).text
    assert re.findall(r"/cases/(20261103-\w+)", acknowledged) == [ids[0]]
    assert "没有符合条件的案件" in (await portal.http.get("/cases?community=430476001208")).text
    assert (await portal.http.get("/cases?state=nonsense&after=nonsense")).status_code == 200


async def test_a_closed_case_is_signed_off_for_everybody(portal: Inside) -> None:
    await heard(portal, case_event())
    assert "已销号" not in (await portal.http.get(f"/cases/{CASE}")).text
    await heard(portal, case_event(2, CaseClosed, state=CaseState.CLOSED, due_at=None, closed_at=NOON))
    assert "已销号" in (await portal.http.get(f"/cases/{CASE}")).text


async def test_a_case_shows_who_helps_how_late_it_is_and_what_was_done(portal: Inside) -> None:
    late: dict[str, Any] = {
        "state": CaseState.REPLIED,
        "due_at": None,
        "stage": Stage.VERIFY,
        "stage_due_at": NOON - timedelta(hours=1),
        "level": Level.ORANGE,
        "supporting": ("chengguan", "jiaojing"),
    }
    await heard(portal, case_event(photos=("one",)), case_event(2, CaseReplied, reply_photos=("after",), **late))
    page = (await portal.http.get(f"/cases/{CASE}")).text
    for shown in ("/units/chengguan", "/units/jiaojing", "核查超时 1 小时 0 分", "整改后照片", "/photos/after/thumb"):
        assert shown in page
    assert '<span class="badge level-orange">核查超时</span>' in (await portal.http.get("/cases")).text


SLOW: dict[str, Any] = {
    "stage": Stage.ACKNOWLEDGE,
    "stage_due_at": NOON - timedelta(hours=33),
    "due_at": NOON + timedelta(hours=17),
    "level": Level.ORANGE,
}


async def test_what_is_late_and_what_is_not_are_named_by_their_stage(portal: Inside) -> None:
    late = {"stage": Stage.ACKNOWLEDGE, "level": Level.ORANGE, "due_at": SLOW["stage_due_at"], "reached_at": NOON}
    await heard(portal, case_event(case="20261103-INTIMEINTI"), case_event(**SLOW))
    await heard(portal, case_event(2, CaseOverdue, more=late, **SLOW))
    for address in ("/", "/cases", f"/cases/{CASE}"):
        page = (await portal.http.get(address)).text
        assert '<span class="badge level-orange">签收超时</span>' in page
        assert "签收超时 1 天 9 小时" in page
        assert (
            re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page)).count("签收超时 1 天 9 小时 · 整改还剩 17 小时 0 分") == 1
        )
        assert "督办" not in page
    assert re.search(r"<dd class=\"late\">1</dd>", (await portal.http.get("/")).text)
    overdue = (await portal.http.get("/cases?overdue=1")).text
    assert set(re.findall(r'href="/cases/(20261103-\w+)"', overdue)) == {CASE}
    history = (await portal.http.get(f"/cases/{CASE}")).text.partition('<ol class="timeline">')[2]
    assert "签收超时" in history.partition("</ol>")[0]


async def test_cases_that_belong_together_lead_to_each_other(portal: Inside) -> None:
    whole, part, twin, earlier = CASE, f"{CASE}-1", "20261103-TWINTWINTW", "20261003-EARLIEREAR"
    split: dict[str, Any] = {"state": CaseState.SPLIT, "unit": None, "due_at": None, "children": (part, f"{CASE}-2")}
    await heard(portal, case_event(), case_event(2, CaseSplit, repeat_of=earlier, **split))
    await heard(portal, case_event(case=part, parent=whole))
    await heard(portal, case_event(case=twin, state=CaseState.MERGED, merged_into=whole, due_at=None))
    page = (await portal.http.get(f"/cases/{whole}")).text
    for linked in (part, f"{CASE}-2", earlier):
        assert f'href="/cases/{linked}"' in page
    assert 'class="progress"' not in page
    assert f'href="/cases/{whole}"' in (await portal.http.get(f"/cases/{part}")).text
    merged = (await portal.http.get(f"/cases/{twin}")).text
    assert f'href="/cases/{whole}"' in merged
    assert "与反映同一问题的案件合并办理" in merged


async def test_what_the_reporter_says_of_the_result_is_shown(portal: Inside) -> None:
    closed: dict[str, Any] = {"state": CaseState.CLOSED, "due_at": None, "closed_at": NOON}
    await heard(portal, case_event(), case_event(2, CaseClosed, **closed))
    assert "上报人评价" not in (await portal.http.get(f"/cases/{CASE}")).text
    await heard(portal, case_event(3, CaseRated, satisfied=False, **closed))
    assert "不满意" in (await portal.http.get(f"/cases/{CASE}")).text


async def test_praise_has_no_deadline_and_is_nothing_that_was_put_right(portal: Inside) -> None:
    praise: dict[str, Any] = {"kind": Kind.PRAISE, "state": CaseState.CLOSED, "due_at": None, "closed_at": NOON}
    await heard(portal, case_event(**praise), case_event(case="20261103-PROBLEMPRO"))
    page = (await portal.http.get(f"/cases/{CASE}")).text
    assert "点赞" in page
    for absent in ("整改时限", "已销号", 'class="progress"'):
        assert absent not in page
    assert re.search(r"<dd>0</dd><dt>本月办结", (await portal.http.get("/")).text)
    shown = (await portal.http.get("/cases?kind=praise")).text
    assert re.findall(r'href="/cases/(20261103-\w+)"', shown) == [CASE]
    assert re.findall(r'href="/cases/(20261103-\w+)"', (await portal.http.get("/cases?kind=problem")).text) == [
        "20261103-PROBLEMPRO"
    ]
    assert (await portal.http.get("/cases?kind=nonsense")).status_code == 200


async def test_a_category_that_the_office_has_made_since_has_its_name(portal: Inside, reports: FakeReports) -> None:
    reports.categories.append(categories.category("drones", name="无人机扰民", name_en="Drones"))
    await heard(portal, case_event(category="drones"))
    assert "无人机扰民" in (await portal.http.get(f"/cases/{CASE}")).text
    assert "Drones" in (await portal.http.get("/cases?lang=en")).text


async def test_who_may_not_know_the_spot_does_not_get_it_as_json_either(portal: Inside) -> None:
    await heard(portal, case_event(category="noise", address=""))
    case = (await portal.http.get(f"/api/cases/{CASE}")).json()
    assert (case["longitude"], case["latitude"], case["community"]) == (None, None, "430476001007")


async def test_the_middle_of_a_community_is_nobodys_place(portal: Inside) -> None:
    middle = portal.runtime.resources.district.map.spot_in("430476001007")
    place = {"longitude": middle.longitude, "latitude": middle.latitude}
    await heard(portal, case_event(address="", spot=place), case_event(case="20261103-AAAAAAAAAA"))
    case = (await portal.http.get(f"/api/cases/{CASE}")).json()
    assert (case["longitude"], case["latitude"], case["community"]) == (None, None, "430476001007")
    assert 'class="pin' not in (await portal.http.get(f"/cases/{CASE}")).text
    assert 'class="pin' in (await portal.http.get("/cases/20261103-AAAAAAAAAA")).text


@pytest.mark.parametrize("address", ["/", "/cases", f"/cases/{CASE}", f"/api/cases/{CASE}"])
async def test_a_category_that_the_office_hides_later_is_hidden_everywhere(
    portal: Inside, reports: FakeReports, address: str
) -> None:
    await heard(portal, case_event(address="3 栋 201"))
    assert "3 栋 201" in (await portal.http.get(address)).text
    kept = [each for each in reports.categories if each["code"] != "exposed-rubbish"]
    reports.categories[:] = [*kept, categories.category("exposed-rubbish", public=False), categories.category("new")]
    portal.runtime.resources.catalogue._looked = None
    answer = (await portal.http.get(address)).text
    assert "3 栋 201" not in answer
    assert "112.6" not in answer
    assert 'class="pin' not in answer


async def test_a_document_of_before_is_still_shown(portal: Inside) -> None:
    await heard(portal, case_event())
    driver = portal.runtime.store.driver
    [document] = await driver.find(f"{CASES.name}_g1", {})
    new = ["kind", "stage", "stage_due_at", "level", "supporting", "reply_photos", "parent", "children"]
    new += ["merged_into", "repeat_of", "reopens", "satisfied"]
    before = {name: value for name, value in document.items() if name not in new}
    assert len(before) == len(document) - len(new)
    await driver.transact([Write(f"{CASES.name}_g1", CASE, Change.REPLACE, before, document["v"])])
    page = await portal.http.get(f"/cases/{CASE}")
    assert (page.status_code, "暴露垃圾" in page.text) == (200, True)


async def test_the_same_case_as_json(portal: Inside) -> None:
    await heard(portal, case_event())
    case = (await portal.http.get(f"/api/cases/{CASE}")).json()
    assert (case["id"], case["state"], case["sequence"]) == (CASE, "dispatched", 1)
    assert case["timeline"][0]["kind"] == "case-registered"
    missing = await portal.http.get("/api/cases/unknown")
    assert (missing.status_code, missing.json()["code"]) == (404, "case-not-shown")


async def test_photos_come_through_the_portal_as_pictures_only(portal: Inside, reports: FakeReports) -> None:
    answer = await portal.http.get("/photos/one/thumb")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.headers["x-content-type-options"] == "nosniff"
    known = {"if-none-match": answer.headers["etag"]}
    assert (await portal.http.get("/photos/one/thumb", headers=known)).status_code == 304
    asked = len(reports.seen)
    for address in ("/photos/hidden/large", "/photos/one/original", "/photos/..%2Fcases/thumb"):
        assert (await portal.http.get(address)).status_code == 404
    assert len(reports.seen) == asked + 1


# ---- ranking -----------------------------------------------------------------------------------------------


async def test_the_ranking_of_a_month(portal: Inside) -> None:
    await heard(portal, standing_event("huanwei", "97.5"), standing_event("huanwei", "50", period="2026-10"))
    ranking = (await portal.http.get("/api/ranking")).json()
    assert ranking["period"] == "2026-11"
    assert ranking["standings"][-1]["unit"] == "huanwei"
    assert ranking["standings"][-1]["score"] == "97.5"
    before = (await portal.http.get("/api/ranking?period=2026-10")).json()
    assert before["standings"][-1]["points_lost"] == "50"
    page = (await portal.http.get("/ranking?period=2026-10&group=services")).text
    assert re.search(r'data-unit="huanwei".*?<td class="num score">50</td>', page, re.DOTALL)
    assert 'data-unit="chengguan"' not in page
    assert (await portal.http.get("/ranking?period=nonsense&group=nonsense")).status_code == 200
    assert (await portal.http.get("/api/ranking?period=2026-13")).status_code == 422


async def test_a_units_ledger_with_reasons_and_hashes(portal: Inside) -> None:
    await heard(portal, standing_event("huanwei", "80"), *(entry_event("huanwei", number) for number in range(1, 33)))
    first = (await portal.http.get("/units/huanwei")).text
    assert re.findall(r'id="row-(\d+)"', first)[:2] == ["32", "31"]
    for shown in (f"{32:064x}", "整改超期（蓝色）", f"/cases/{CASE}", "暴露垃圾", f"reports.case/{CASE}/2"):
        assert shown in first
    after = re.search(r'rel="next" href="([^"]+)"', first)
    assert after is not None
    assert re.findall(r'id="row-(\d+)"', (await portal.http.get(unescape(after[1]))).text) == ["2", "1"]


def row_of(page: str, number: int) -> str:
    """What a page says of a row, without tags."""
    found = re.search(rf'<li class="[^"]*" id="row-{number}">(.*?)</li>', page, re.DOTALL)
    assert found is not None, page
    return " ".join(re.sub(r"<[^>]*>", " ", unescape(found[1])).split())


async def test_every_kind_of_row_has_its_words(portal: Inside) -> None:
    rows = [entry_event("huanwei", number, kind=kind) for number, kind in enumerate(FactKind, 1)]
    await heard(portal, *rows)
    page = (await portal.http.get("/units/huanwei")).text
    words = [row_of(page, number) for number in range(1, len(rows) + 1)]
    for said, row in zip(("超期", "返工", "重新立案", "退单", "虚假整改", "检查发现"), words, strict=False):
        assert said in row
    kinds = re.findall(r'<span class="badge">(.*?)</span>', page)
    assert len(set(kinds)) == len(kinds) == len(FactKind)


async def test_a_row_says_what_was_claimed_and_what_it_came_to(portal: Inside) -> None:
    capped: dict[str, Any] = {"bucket": "rule:finding", "cap": Decimal(20), "claimed": Decimal("1.00")}
    whole = {**capped, "claimed": Decimal("0.5")}
    await heard(portal, entry_event("huanwei", 1, **capped), entry_event("huanwei", 2, **whole))
    page = (await portal.http.get("/units/huanwei")).text
    assert "按规则应扣 1 分，本月同类上限 20 分，实扣 0.5 分" in row_of(page, 1)
    assert "上限" not in row_of(page, 2)


async def test_a_bonus_is_shown_as_gained(portal: Inside) -> None:
    gain: dict[str, Any] = {"kind": FactKind.BONUS, "rule": "bonus", "cap": Decimal(5), "bucket": "rule:bonus"}
    more = {**gain, "claimed": Decimal(-6)}
    await heard(portal, entry_event("huanwei", 1, case="", points="-5", **more), standing_event("huanwei", "105"))
    page = (await portal.http.get("/units/huanwei")).text
    assert "+5" in row_of(page, 1)
    assert "按规则应加（退）6 分，本月同类上限 5 分，实加（退）5 分" in row_of(page, 1)
    assert "−5" not in page
    assert 'href="/cases/"' not in page
    assert re.search(
        r'data-unit="huanwei".*?<td class="num lost">\+5</td>', (await portal.http.get("/ranking")).text, re.S
    )


async def test_a_late_row_says_which_month_it_belongs_to(portal: Inside) -> None:
    await heard(portal, entry_event("huanwei", 1, belongs_to="2026-10"))
    assert "属于 2026-10，该月已封账，计入 2026-11" in row_of((await portal.http.get("/units/huanwei")).text, 1)


async def test_a_row_that_was_taken_back_is_struck_through_and_both_lead_to_each_other(portal: Inside) -> None:
    await heard(portal, case_event(), entry_event("huanwei", 1, period="2026-10"), entry_event("huanwei", 2))
    await heard(portal, entry_event("huanwei", 3, points="-0.5", reverses=1, belongs_to="2026-10"))
    october = (await portal.http.get("/units/huanwei?period=2026-10")).text
    assert re.search(r'<li class="panel taken-back" id="row-1">\s*<div class="card-head"><s>', october)
    assert "已更正撤销 见第 3 笔" in row_of(october, 1)
    november = (await portal.http.get("/units/huanwei")).text
    assert re.findall(r'id="row-(\d+)"', november) == ["3", "2"]
    assert "更正：撤销原记录 见第 1 笔" in row_of(november, 3)
    assert "taken-back" not in november
    for page, linked in ((october, 3), (november, 1)):
        assert f'href="/units/huanwei?row={linked}#row-{linked}"' in page
        there = (await portal.http.get(f"/units/huanwei?row={linked}")).text
        assert re.findall(r'id="row-(\d+)"', there)[0] == str(linked)
    case = (await portal.http.get(f"/cases/{CASE}")).text
    assert len(re.findall(r"<s><span", case)) == 1
    assert "已更正撤销" in case


async def test_a_row_tells_inspection_and_standard(portal: Inside) -> None:
    basis: dict[str, Any] = {"indicator": "2.3", "standard": "2.3.1", "scheme": 4, "visit": "20261103-0001"}
    await heard(portal, entry_event("huanwei", 1, case="", kind=FactKind.FINDING, finding=2, **basis))
    row = row_of((await portal.http.get("/units/huanwei")).text, 1)
    for said in ("测评内容 2.3", "测评标准 2.3.1", "测评体系第 4 版", "实地检查 20261103-0001", "第 2 项问题"):
        assert said in row


async def test_a_units_month_by_kind(portal: Inside) -> None:
    await heard(
        portal,
        entry_event("huanwei", 1, kind=FactKind.OVERDUE, points="0.5"),
        entry_event("huanwei", 2, kind=FactKind.OVERDUE, points="1.00"),
        entry_event("huanwei", 3, kind=FactKind.BONUS, points="-0.2", case=""),
        entry_event("huanwei", 4, points="0.1"),  # from before rows had a kind
        entry_event("huanwei", 5, kind=FactKind.FINDING, points="7", period="2026-10"),
        entry_event("chengguan", 1, kind=FactKind.FINDING, points="9"),
    )
    page = (await portal.http.get("/units/huanwei?period=2026-11")).text
    table = re.search(r'<table class="shares">(.*?)</table>', page, re.DOTALL)
    assert table is not None
    words = " ".join(re.sub(r"<[^>]*>", " ", table[1]).split())
    assert words.endswith("超期 2 −1.5 其他 1 −0.1 加分 1 +0.2")
    assert 'class="shares"' not in (await portal.http.get("/units/huanwei?period=2026-09")).text


async def test_a_month_that_is_sealed_says_so(portal: Inside) -> None:
    await heard(
        portal,
        standing_event("huanwei", "99", period="2026-10", frozen=True),
        standing_event("chengguan", "98", period="2026-10", frozen=True),
        standing_event("huanwei", "99"),
    )
    sealed = '<span class="badge frozen" data-frozen>已封账</span>'
    assert sealed in (await portal.http.get("/ranking?period=2026-10")).text
    assert sealed not in (await portal.http.get("/ranking?period=2026-11")).text
    assert sealed in (await portal.http.get("/units/huanwei?period=2026-10")).text
    november = (await portal.http.get("/units/huanwei")).text
    assert sealed not in november
    assert re.search(r"2026-10　99 <small>已封账</small>", november)
    assert (await portal.http.get("/api/ranking?period=2026-10")).json()["frozen"] is True


async def test_any_month_can_be_picked_and_what_is_no_month_or_row_is_this_month(portal: Inside) -> None:
    await heard(portal, entry_event("huanwei", 1, period="2026-08"))
    page = (await portal.http.get("/units/huanwei?period=2026-08")).text
    assert "<option selected>2026-08</option>" in page
    assert 'id="row-1"' in page
    for address in ("?row=99", "?row=x", "?row=-1", f"?row={'9' * 40}", "?row=²", "?before=²", "?period=2026-13"):
        answer = await portal.http.get(f"/units/huanwei{address}")
        assert (answer.status_code, "本月没有扣分记录" in answer.text) == (200, True), address


async def test_only_how_many_measures_go_on_is_public_and_nothing_of_a_referral(portal: Inside) -> None:
    rungs = [
        Rung(code="reminder", name=Name(zh="提醒函", en="Reminder"), public=True),
        Rung(code="referral", name=Name(zh="问责移交", en="Referral to discipline")),
    ]
    await heard(portal, measure_event("1", "reminder"), measure_event("2", "referral"), standing_event("huanwei", "99"))
    assert "督办措施" not in (await portal.http.get("/units/huanwei")).text
    own = portal.runtime.resources
    own.district = replace(own.district, rungs={rung.code: rung for rung in rungs})
    own.pages = Pages(own.district, secure=False)
    page = (await portal.http.get("/units/huanwei")).text
    assert re.search(r"提醒函　<strong>1 件</strong>", page)
    for hidden_word in ("移交", "referral", "〔2026〕第1号"):
        assert hidden_word not in page
    assert "measures" not in (await portal.http.get("/api/ranking")).text


async def test_rows_and_standings_of_before_are_still_shown(portal: Inside) -> None:
    await heard(portal, entry_event("huanwei", 1), standing_event("huanwei", "99"))
    driver = portal.runtime.store.driver
    new = {"kind", "indicator", "standard", "scheme", "visit", "finding", "bucket", "cap", "claimed", "belongs_to"}
    new |= {"reverses", "frozen"}
    for name in (f"{ENTRIES.name}_g1", f"{STANDINGS.name}_g1"):
        [document] = await driver.find(name, {})
        before = {field: value for field, value in document.items() if field not in new}
        assert len(before) < len(document)
        await driver.transact([Write(name, document["_id"], Change.REPLACE, before, document["v"])])
    page = (await portal.http.get("/units/huanwei")).text
    assert "整改超期（蓝色）" in row_of(page, 1)
    assert re.search(r"其他</th>\s*<td", page)


# ---- red and black lists -----------------------------------------------------------------------------------


async def test_lists_show_district_street_venue_and_one_sentence(portal: Inside) -> None:
    await heard(portal, list_event(), list_event("9a3c", ListKind.RED, at=NOON + timedelta(minutes=1)))
    page = (await portal.http.get("/lists")).text
    words = " ".join(re.sub(r"<[^>]*>", " ", unescape(page)).split())
    assert "衡阳高新区华兴街道祥光社区 祥光农贸市场 (农贸市场) 摊位占道经营，过道堵塞。" in words
    assert "环境卫生服务中心 交办问题逾期未回复。" in words
    assert "创文督导一组 发布" in words
    assert re.findall(r'<a href="/lists/(\w+)">', page) == ["9a3c", "4d8f"]
    assert f'href="/cases/{CASE}"' in page
    assert re.findall(r'<a href="/lists/(\w+)">', (await portal.http.get("/lists?kind=black")).text) == ["4d8f"]
    whole = (await portal.http.get("/lists/4d8f")).text
    assert "祥光农贸市场" in whole
    assert (await portal.http.get("/lists?kind=grey&after=nonsense")).status_code == 200
    assert (await portal.http.get("/lists/unknown")).status_code == 404


async def test_a_withdrawn_list_says_that_it_was_there_and_no_more(portal: Inside) -> None:
    await heard(portal, list_event())
    await heard(portal, withdrawal_event())
    for address in ("/lists", "/lists/4d8f"):
        page = (await portal.http.get(address)).text
        assert "已撤下" in page
        assert "〔2026〕第0001号" in page
        for gone in ("祥光", "环境卫生", "占道"):
            assert gone not in page


async def test_a_long_list_is_whole_on_its_own_page_and_lists_are_paged(portal: Inside) -> None:
    items = [ListItem(reason="很好。", area="430476001", venue_type="hotel", venue=f"宾馆{n:02}") for n in range(9)]
    await heard(portal, *(list_event(f"{n:04x}", ListKind.RED, items, NOON + timedelta(days=n)) for n in range(12)))
    first = (await portal.http.get("/lists")).text
    assert "全部 9 条" in first
    assert "宾馆04" in first
    assert "宾馆05" not in first
    assert "宾馆08" in (await portal.http.get("/lists/0003")).text
    after = re.search(r'rel="next" href="([^"]+)"', first)
    assert after is not None
    second = (await portal.http.get(unescape(after[1]))).text
    assert re.findall(r'<h2[^>]*>.*?<a href="/lists/(\w+)">', second, re.DOTALL) == ["0001", "0000"]


async def test_the_ranking_is_streamed_resumed_and_has_an_end_to_its_seats(portal: Inside) -> None:
    portal.runtime.resources.live = Live(portal.runtime.resources.board.standings.ranking, Shares(1, 1))
    await heard(portal, standing_event("huanwei", "99"))
    async with served(portal) as address, httpx2.AsyncClient(base_url=address, timeout=20) as http:
        async with http.stream("GET", "/ranking/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.aiter_lines()
            first = await message(lines)
            assert json.loads(first["data"])["standings"][-1]["score"] == "99"
            refused = await http.get("/ranking/events")
            assert (refused.status_code, refused.json()["code"]) == (429, "rate-limited")
            assert int(refused.headers["retry-after"]) >= 1
            await heard(portal, standing_event("huanwei", "98", sequence=2))
            second = await message(lines)
            assert json.loads(second["data"])["standings"][-1]["score"] == "98"

        async def seat() -> dict[str, str] | None:
            async with http.stream("GET", "/ranking/events", headers={"last-event-id": first["id"]}) as again:
                return await message(again.aiter_lines()) if again.status_code == 200 else None

        # Whoever comes back with an older identity is told the newest at once.
        assert (await eventually(seat))["id"] == second["id"]


@pytest.mark.parametrize("month", ["2001-01", "2025-11", "2027-01", "2099-12"])
async def test_only_months_that_still_move_can_be_followed(portal: Inside, month: str) -> None:
    refused = await portal.http.get(f"/ranking/events?period={month}")
    assert (refused.status_code, refused.json()["code"]) == (404, "ranking-not-live")
    page = (await portal.http.get(f"/ranking?period={month}")).text
    assert "data-live=" not in page
    assert "<tbody>" in page


async def message(lines: AsyncIterator[str]) -> dict[str, str]:
    """The next event of a stream; comments are none."""
    fields: dict[str, str] = {}
    async for line in lines:
        name, colon, value = line.partition(": ")
        if colon and name:
            fields[name] = value
        elif not line and fields:
            break
    return fields


# ---- all pages ---------------------------------------------------------------------------------------------

PAGES = ["/", "/report", f"/report/done?case={CASE}", "/track", "/cases", f"/cases/{CASE}", "/ranking"]
PAGES += ["/units/huanwei", "/lists", "/lists/4d8f", "/cases/unknown"]


@pytest.mark.parametrize("address", PAGES)
async def test_pages_let_nothing_run_but_our_own_files(portal: Inside, address: str) -> None:
    await heard(portal, case_event(), standing_event("huanwei", "99"), entry_event("huanwei", 1))
    page = await portal.http.get(address)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["referrer-policy"] == "same-origin"
    for source in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
        assert (await portal.http.get(source)).headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("address", PAGES)
async def test_pages_speak_english_where_asked(portal: Inside, reports: FakeReports, address: str) -> None:
    await heard(portal, case_event(address=""), standing_event("huanwei", "99"), entry_event("huanwei", 1))
    reports.away = True  # its catalogue has no English in this test
    asked = await portal.http.get(address, headers={"accept-language": "en-GB,en;q=0.9"})
    assert '<html lang="en">' in asked.text
    english = re.sub(r'<(\w+)[^>]* lang="(?:zh|zh-CN)"[^>]*>.*?</\1>', "", asked.text, flags=re.DOTALL)
    words = re.sub(r"<[^>]*>", "", english)
    assert re.findall(r"[一-鿿]+", words) == []


@pytest.mark.parametrize("after", ["999999999999999-x", "99999999999999-x", "١٢٣-x", "1-\u2028", "-", "WyJuZXdlc3QiXQ"])
@pytest.mark.parametrize("address", ["/cases", "/lists"])
async def test_any_cursor_shows_a_page(portal: Inside, address: str, after: str) -> None:
    assert (await portal.http.get(address, params={"after": after})).status_code == 200


@pytest.mark.parametrize("header", ["if-none-match", "x-forwarded-for", "last-event-id", "accept-language", "cookie"])
async def test_what_is_no_text_in_a_header_harms_nothing(portal: Inside, header: str) -> None:
    portal.app.state.limits = replace(portal.app.state.limits, trusted_proxies=(ip_network("0.0.0.0/0"),))
    for address in ("/photos/shown/thumb", "/track", "/cases", "/api/ranking"):
        answer = await portal.http.get(address, headers=[(header.encode(), "“é”".encode())])
        assert answer.status_code == 200


@pytest.mark.parametrize("address", ["/nothing", "/nothing/at/all", "/units/", "/api/nothing"])
async def test_where_nothing_is_people_get_a_page_and_programs_a_problem(portal: Inside, address: str) -> None:
    page = await portal.http.get(address, headers={"accept": "text/html,*/*;q=0.8"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "没有这个页面" in page.text
    problem = await portal.http.get(address, headers={"accept": "application/json"})
    assert (problem.status_code, problem.json()["code"]) == (404, "route-not-found")


async def test_a_wrong_method_is_told_from_a_wrong_address(portal: Inside) -> None:
    assert (await portal.http.delete("/cases")).json()["code"] == "method-not-allowed"
    page = await portal.http.get("/track/leave", headers={"accept": "text/html"})
    assert page.status_code == 405
    assert page.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("address", "status", "to"),
    [
        ("/cases/", 308, "/cases"),
        ("/report/", 308, "/report"),
        ("//elsewhere.example/", 404, None),
        ("//cases/", 404, None),
        ("/nothing/", 404, None),
    ],
)
async def test_a_slash_too_many_leads_to_the_page_and_never_elsewhere(
    portal: Inside, address: str, status: int, to: str | None
) -> None:
    answer = await portal.http.get(f"http://reports{address}")
    assert (answer.status_code, answer.headers.get("location")) == (status, to)


@pytest.mark.parametrize("address", ["/", "/report", "/cases", "/ranking", "/static/portal.css"])
async def test_pages_and_files_come_packed_to_browsers_that_take_them_so(portal: Inside, address: str) -> None:
    packed = await portal.http.get(address, headers={"accept-encoding": "gzip"})
    plain = await portal.http.get(address, headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert "accept-encoding" in packed.headers["vary"].lower()
    assert int(packed.headers.get("content-length") or packed.num_bytes_downloaded) * 2 < len(plain.content)
    if address not in {"/report"}:  # its key and its proof are others each time
        assert packed.text == plain.text


async def test_files_by_the_name_of_their_release_are_kept_for_ever_and_others_for_an_hour(portal: Inside) -> None:
    page = (await portal.http.get("/")).text
    names = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert names
    for name in names:
        assert "immutable" in (await portal.http.get(name)).headers["cache-control"]
        assert "immutable" not in (await portal.http.get(name.partition("?")[0])).headers["cache-control"]
    assert "immutable" not in (await portal.http.get("/static/portal.css?v=old")).headers["cache-control"]


@pytest.mark.parametrize("address", ["/", "/report", "/about", "/nothing"])
async def test_every_page_says_who_runs_it_and_leads_to_its_statements(portal: Inside, address: str) -> None:
    page = (await portal.http.get(address, headers={"accept": "text/html"})).text
    footer = page.partition("<footer>")[2]
    for part in ("主办：衡阳高新区", "湘ICP备00000000号-1", "网站标识码", "/about#privacy", "/about#accessibility"):
        assert part in footer
    about = (await portal.http.get("/about")).text
    assert "0734-0000000" in about
    assert 'id="privacy"' in about
    assert 'id="accessibility"' in about


async def test_no_two_pages_prove_the_same_way_where_a_form_comes_from(portal: Inside) -> None:
    proofs = {hidden(await portal.http.get("/report"))["csrf"] for _ in range(3)}
    assert len(proofs) == 3


async def test_a_chosen_language_stays(portal: Inside) -> None:
    assert '<html lang="zh-CN">' in (await portal.http.get("/")).text
    assert '<html lang="en">' in (await portal.http.get("/?lang=en")).text
    assert '<html lang="en">' in (await portal.http.get("/cases")).text
    assert '<html lang="zh-CN">' in (await portal.http.get("/cases?lang=zh")).text


async def test_what_strangers_write_moves_nothing_beside_it_and_reads_as_written(portal: Inside) -> None:
    item = ListItem(
        reason="\u2067摊位\u202e占道。", area="430476001007", venue_type="farmers-market", venue="\u061c祥光"
    )
    await heard(portal, case_event(address="\u202e12\u200f-3号楼<A3"), list_event(items=[item]))
    for address in ("/", "/cases", f"/cases/{CASE}"):
        assert "<bdi>12-3号楼&lt;A3</bdi>" in (await portal.http.get(address)).text
    lists = (await portal.http.get("/lists")).text
    assert "<bdi>摊位占道。</bdi>" in lists
    assert "<bdi>祥光</bdi>" in lists


async def test_what_strangers_write_is_shown_as_text(portal: Inside) -> None:
    await heard(portal, case_event(address="<script>alert(1)</script>", unit='"><img>', category="<b>"))
    evil, quote = "<script>alert(1)</script>", '"><img>'
    bad = ListItem(reason=evil, area=quote, venue_type="<b>", venue=quote, case=quote)
    await heard(portal, list_event(items=[bad]), entry_event("huanwei", 1, rule=quote, visit=evil))
    pages = [f"/cases/{CASE}", "/cases", "/", "/lists", "/lists/4d8f", "/units/huanwei", "/lists?kind=<script>"]
    for address in (*pages, '/cases?unit="><script>', "/cases?after=<script>"):
        page = (await portal.http.get(address)).text
        assert "<script>alert" not in page
        assert "<script>" not in page
        assert '"><img>' not in page


async def test_the_view_of_a_case_is_named_as_observers_expect(portal: Inside) -> None:
    await heard(portal, case_event())
    [document] = await portal.runtime.store.driver.find(f"{CASES.name}_g1", {})
    assert document["_id"] == CASE
