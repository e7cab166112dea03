"""The papers of a case: what they say in which turn, and what they never say."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from services.reports.domain import Act, Case, Place, Reporter
from services.reports.domain.documents import (
    Document,
    DocumentKind,
    Heading,
    Names,
    assignment_order,
    rectification_receipt,
    turn_of,
)
from shared.contracts.reports import CaseState
from shared.documents import Paper
from shared.documents.paper import numbered
from shared.errors import Refused
from shared.serials import Serial
from tests.unit.reports.cases import MINUTE, MONDAY_NINE, OFFICER, RUBBISH, TIMETABLE, VERIFIER, in_state

NAMES = Names(district="衡阳高新区", unit="环境卫生管理所", category="暴露垃圾", community="银光社区")
HEADING = Heading("〔2026〕第0007号", datetime(2026, 3, 2, 2, 30, tzinfo=UTC), "https://chuangwen.example/cases/1")
ORDER, RECEIPT = DocumentKind


def facts(paper: Paper) -> dict[str, str]:
    return {row.label: row.value for row in paper.rows}


def order(case: Case) -> Paper:
    return assignment_order(case, NAMES, HEADING)


def test_an_order_tells_the_unit_what_to_do_and_until_when() -> None:
    paper = order(in_state(CaseState.DISPATCHED, RUBBISH))
    assert facts(paper) == {
        "案件编号": "20260302-0000000000",
        "问题类别": "暴露垃圾",
        "地点": "银光社区，银光路口",
        "情况说明": "垃圾无人清理",
        "现场照片": "0张",
        "交办时间": "2026年3月2日9时01分",
        "办理时限": "4个工作时",
        "整改期限": "2026年3月2日15时01分",
        "超期扣分": "0.5分",
    }
    assert (paper.title, paper.number) == ("衡阳高新区创建全国文明城市问题交办单", "〔2026〕第0007号")
    assert (paper.addressee, paper.issuer, paper.day) == ("环境卫生管理所", "衡阳高新区创建办", "2026年3月2日")
    assert "2026年3月2日15时01分前完成整改，并书面回复" in paper.opening[0]
    assert paper.link is not None
    assert paper.link.url == HEADING.url


def test_an_order_to_do_it_again_says_why() -> None:
    paper = order(reworked("地面仍有污渍"))
    assert facts(paper)["核查意见"] == "地面仍有污渍"
    assert facts(paper)["整改期限"] == "2026年3月2日15时04分"
    assert "退回你单位重新整改" in paper.opening[0]
    assert "核查意见" not in facts(order(reworked("")))


def test_a_receipt_tells_what_was_done_and_leaves_room_to_sign() -> None:
    case = in_state(CaseState.REPLIED, RUBBISH)
    paper = rectification_receipt(case, NAMES, HEADING, "〔2026〕第0003号")
    assert facts(paper) == {
        "案件编号": "20260302-0000000000",
        "问题类别": "暴露垃圾",
        "地点": "银光社区，银光路口",
        "交办时间": "2026年3月2日9时01分",
        "整改情况": "已清理",
        "回复时间": "2026年3月2日9时04分",
        "整改后照片": "0张",
        "承办人签字": "",
        "负责人签字": "",
    }
    assert all(row.room > 1 for row in paper.rows[-2:])
    assert paper.signature == "环境卫生管理所（盖章）"
    assert (paper.addressee, paper.issuer) == ("衡阳高新区创建办", "环境卫生管理所")
    assert "〔2026〕第0003号交办单" in paper.opening[0]
    assert "第" not in rectification_receipt(case, NAMES, HEADING, None).opening[0]


def test_a_receipt_tells_of_the_newest_reply() -> None:
    case = reworked("还有散落")
    case.reply(Act(OFFICER, MONDAY_NINE + 5 * MINUTE, TIMETABLE), "再次清理")
    assert facts(rectification_receipt(case, NAMES, HEADING, None))["整改情况"] == "再次清理"


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (Place(112.6, 26.88, "430476001004", ""), "银光社区，东经112.60000°，北纬26.88000°"),
        (Place(112.6, 26.88, "430476001004", "银光路口"), "银光社区，银光路口"),
    ],
)
def test_a_place_without_an_address_is_given_by_its_position(place: Place, expected: str) -> None:
    case = dataclasses.replace(in_state(CaseState.DISPATCHED, RUBBISH), place=place)
    assert facts(order(case))["地点"] == expected


@pytest.mark.parametrize(("points", "expected"), [("0.50", "0.5分"), ("10", "10分"), ("0", "0分"), ("2.25", "2.25分")])
def test_points_are_written_as_people_write_them(points: str, expected: str) -> None:
    case = dataclasses.replace(in_state(CaseState.DISPATCHED, RUBBISH), points=Decimal(points))
    assert facts(order(case))["超期扣分"] == expected


def test_an_order_without_a_text_says_so() -> None:
    assert facts(order(dataclasses.replace(in_state(CaseState.DISPATCHED, RUBBISH), text="")))["情况说明"] == "无"


def test_the_reporter_is_on_no_paper() -> None:
    case = dataclasses.replace(
        in_state(CaseState.REPLIED, RUBBISH), reporter=Reporter(sealed="王女士", phone="0734-8888888")
    )
    ordered = dataclasses.replace(in_state(CaseState.DISPATCHED, RUBBISH), reporter=case.reporter)
    for paper in (order(ordered), rectification_receipt(case, NAMES, HEADING, None)):
        assert "王女士" not in str(paper)
        assert "8888888" not in str(paper)


@pytest.mark.parametrize("state", [CaseState.DISPATCHED, CaseState.ACKNOWLEDGED, CaseState.REWORK])
def test_a_case_to_be_rectified_has_an_order_and_no_receipt(state: CaseState) -> None:
    case = in_state(state)
    assert order(case).number == HEADING.serial
    with pytest.raises(Refused, match="document-not-possible") as refusal:
        rectification_receipt(case, NAMES, HEADING, None)
    assert refusal.value.params == {"kind": "rectification-receipt", "state": state.value}


@pytest.mark.parametrize("state", [CaseState.REPLIED, CaseState.VERIFIED, CaseState.CLOSED])
def test_a_case_with_a_standing_reply_has_a_receipt_and_no_order(state: CaseState) -> None:
    case = in_state(state)
    assert rectification_receipt(case, NAMES, HEADING, None).number == HEADING.serial
    with pytest.raises(Refused, match="document-not-possible") as refusal:
        order(case)
    assert refusal.value.params == {"kind": "assignment-order", "state": state.value}


def test_a_case_without_a_unit_has_neither() -> None:
    case = in_state(CaseState.REGISTERED)
    with pytest.raises(Refused, match="document-not-possible"):
        order(case)
    with pytest.raises(Refused, match="document-not-possible"):
        rectification_receipt(case, NAMES, HEADING, None)


def test_a_turn_lasts_until_the_case_comes_back() -> None:
    turns = [
        (turn_of(in_state(state), ORDER), turn_of(in_state(state), RECEIPT))
        for state in (
            CaseState.REGISTERED,
            CaseState.DISPATCHED,
            CaseState.ACKNOWLEDGED,
            CaseState.REPLIED,
            CaseState.VERIFIED,
            CaseState.CLOSED,
            CaseState.REWORK,
        )
    ]
    assert turns == [(0, 0), (1, 0), (1, 0), (1, 1), (1, 1), (1, 1), (2, 1)]


def test_numbers_are_written_with_four_digits_at_least() -> None:
    assert numbered(2026, 1) == "〔2026〕第0001号"
    assert numbered(2026, 12345) == "〔2026〕第12345号"


def test_papers_and_numbers_are_told_apart() -> None:
    papers = {
        Document.id_of(kind, case, unit, turn)
        for kind in (ORDER, RECEIPT)
        for case in "ab"
        for unit in "cd"
        for turn in (1, 2)
    }
    rows = {Serial.id_of(kind, unit, year) for kind in (ORDER, RECEIPT) for unit in "cd" for year in (2026, 2027)}
    assert (len(papers), len(rows)) == (16, 8)


def reworked(note: str) -> Case:
    """A case whose first reply did not stand."""
    case = in_state(CaseState.REPLIED, RUBBISH)
    case.verify(Act(VERIFIER, MONDAY_NINE + 3 * MINUTE, TIMETABLE), False, note=note)
    return case
