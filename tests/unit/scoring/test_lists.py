"""Red and black lists: what may stand on one, and who may do what with it when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from deploy.local.stack import DISTRICT
from services.scoring.district import District
from services.scoring.domain.lists import Content, Item, ListState, RedBlackList, checked, paper, sentence
from shared.contracts.scoring import ListKind
from shared.documents import to_docx, to_pdf
from shared.errors import DomainError, Forbidden, Invalid, Refused
from shared.own_cause import Person

HENGYANG = District.load(DISTRICT)
TERMS = HENGYANG.lists
NOON = datetime(2026, 11, 30, 4, tzinfo=UTC)
MARKET = Item("摊位占道经营，过道堵塞。", "430476001007", "farmers-market", "祥光农贸市场", case="20261103-ABCDEFGHJK")
OTHER = replace(MARKET, venue="银光农贸市场")
UNIT = Item("交办问题逾期未回复。", unit="huanwei")
BLACK = Content(ListKind.BLACK, "2026-11", "first", (MARKET, UNIT))


def drafted(content: Content = BLACK) -> RedBlackList:
    return RedBlackList("4d8f02a7c1e9b356", content, NOON, ("drafter",))


LEADER = Person("leader")


def published(content: Content = BLACK) -> RedBlackList:
    listed = drafted(content)
    listed.approve(1, LEADER, NOON)
    listed.publish(2026, 1, LEADER, NOON)
    return listed


def test_an_item_says_district_street_venue_and_one_sentence_and_the_group_signs() -> None:
    events = paper(published(), TERMS, HENGYANG.name.zh, "https://chuangwen.example/lists/4d8f")
    assert events.title == "衡阳高新区创建全国文明城市\n2026年11月黑榜"
    assert events.number == "黑榜〔2026〕第0001号"
    assert events.opening[1:] == (
        "■ 衡阳高新区华兴街道祥光社区祥光农贸市场（农贸市场）：摊位占道经营，过道堵塞。",
        "■ 环境卫生服务中心：交办问题逾期未回复。",
    )
    assert events.signature == "创文督导一组"


def test_a_paper_is_the_same_every_time() -> None:
    events = paper(published(), TERMS, HENGYANG.name.zh, "https://chuangwen.example/lists/4d8f")
    assert to_pdf(events) == to_pdf(events)
    assert to_docx(events) == to_docx(events)


def test_a_list_that_is_not_published_has_no_paper() -> None:
    with pytest.raises(LookupError):
        paper(drafted(), TERMS, HENGYANG.name.zh, None)


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (replace(MARKET, unit="huanwei"), "list-item-subject"),
        (replace(MARKET, venue=None), "list-item-subject"),
        (replace(MARKET, venue_type=None), "list-item-subject"),
        (Item("很好。"), "list-item-subject"),
        (replace(MARKET, area="430476002"), "list-area-unknown"),
        (replace(MARKET, venue_type="casino"), "list-venue-type-unknown"),
        (replace(UNIT, unit="nobody"), "list-unit-unknown"),
        (replace(UNIT, case="<b>"), "list-basis-malformed"),
        (replace(UNIT, visit="x" * 65), "list-basis-malformed"),
        (replace(UNIT, reason=" "), "text-required"),
        (replace(UNIT, reason="。"), "list-reason-sentence"),
        (replace(UNIT, reason="一句。两句。"), "list-reason-sentence"),
        (replace(UNIT, reason="真的吗？是的"), "list-reason-sentence"),
        (replace(UNIT, reason="一行\n两行"), "text-has-control-characters"),
        (replace(UNIT, reason="<b>脏</b>"), "text-has-markup"),
        (replace(UNIT, reason="联系13812345678"), "text-has-telephone"),
        (replace(UNIT, reason="长" * 61), "text-too-long"),
        (replace(UNIT, reason="长" * 60), "text-too-long"),
        (replace(MARKET, venue="祥光<script>"), "text-has-markup"),
        (replace(OTHER, reason="脏。"), "list-item-twice"),
    ],
)
def test_what_may_not_stand_on_a_list(item: Item, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked(replace(BLACK, items=(OTHER, item)), TERMS)
    assert refused.value.code == code
    assert (refused.value.field or "").startswith("items.1")


@pytest.mark.parametrize(
    ("change", "code"),
    [({"issuer": "fourth"}, "list-issuer-unknown"), ({"items": ()}, "list-items-number")],
)
def test_what_a_list_may_not_be(change: dict[str, object], code: str) -> None:
    with pytest.raises(Invalid, match=code):
        checked(replace(BLACK, **change), TERMS)  # type: ignore[arg-type]  # one field at a time
    with pytest.raises(Invalid, match="list-kind-unknown"):
        checked(replace(BLACK, kind=ListKind.OTHER), TERMS)
    many = tuple(replace(MARKET, venue=f"市场{number}") for number in range(TERMS.items_limit + 1))
    with pytest.raises(Invalid, match="list-items-number"):
        checked(replace(BLACK, items=many), TERMS)
    assert len(checked(replace(BLACK, items=many[1:]), TERMS).items) == TERMS.items_limit


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (" 地面整洁 ", "地面整洁。"),
        ("地面整洁。", "地面整洁。"),
        ("宽度仅1.5米，通行不便", "宽度仅1.5米，通行不便。"),
        ("e\u0301", "é。"),
        ("长" * 59, "长" * 59 + "。"),
    ],
)
def test_a_reason_is_one_sentence_with_its_full_stop(written: str, kept: str) -> None:
    assert sentence(written, "reason", 60) == kept


def test_nobody_approves_what_they_had_a_hand_in() -> None:
    listed = drafted()
    listed.edit(BLACK, 1, "editor")
    for writer in ("drafter", "editor"):
        with pytest.raises(Forbidden, match="second-person-required"):
            listed.approve(2, Person(writer), NOON)
    listed.approve(2, LEADER, NOON)
    assert (listed.state, listed.approved_by) == (ListState.APPROVED, "leader")


def test_nobody_overwrites_or_approves_what_they_have_not_read() -> None:
    listed = drafted()
    listed.edit(replace(BLACK, items=(UNIT,)), 1, "editor")
    with pytest.raises(Refused, match="list-stale"):
        listed.edit(BLACK, 1, "drafter")
    with pytest.raises(Refused, match="list-stale"):
        listed.approve(1, LEADER, NOON)


STEPS = {
    "edit": lambda listed: listed.edit(BLACK, listed.version, "drafter"),
    "approve": lambda listed: listed.approve(listed.version, LEADER, NOON),
    "publish": lambda listed: listed.publish(2026, 1, LEADER, NOON),
    "withdraw": lambda listed: listed.withdraw("不属实", LEADER, NOON),
}
ALLOWED = {
    ListState.DRAFT: {"edit", "approve", "withdraw"},
    ListState.APPROVED: {"publish", "withdraw"},
    ListState.PUBLISHED: {"withdraw"},
    ListState.WITHDRAWN: set[str](),
}


@pytest.mark.parametrize("state", ListState)
@pytest.mark.parametrize("step", STEPS)
def test_every_step_is_possible_in_its_states_only_and_counts(state: ListState, step: str) -> None:
    listed = replace(drafted(), state=state)
    if step in ALLOWED[state]:
        STEPS[step](listed)
        assert listed.version == 2
        return
    before = replace(listed)
    with pytest.raises(DomainError, match="list-state"):
        STEPS[step](listed)
    assert listed == before


def test_what_is_told_of_a_list_when_it_is_public_and_when_it_is_not_any_more() -> None:
    listed = drafted()
    listed.approve(1, LEADER, NOON)
    events = listed.publish(2026, 7, LEADER, NOON)
    assert (events.number, events.kind, [item.venue or item.unit for item in events.items]) == (
        "〔2026〕第0007号",
        ListKind.BLACK,
        ["祥光农贸市场", "huanwei"],
    )
    withdrawn = listed.withdraw("经核实不属实", LEADER, NOON)
    assert withdrawn is not None
    assert "祥光" not in withdrawn.model_dump_json()
    assert "不属实" not in withdrawn.model_dump_json()


def test_nothing_is_told_of_a_list_that_never_was_public() -> None:
    assert drafted().withdraw("重复", LEADER, NOON) is None
