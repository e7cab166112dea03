"""Ranks, cursors, amounts and spans of time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from deploy.local.stack import DISTRICT
from services.portal.district import District, Rung
from services.portal.domain.cases import CaseView
from services.portal.handlers import feed
from services.portal.rendering import Pages, _span
from services.portal.repo import CASES
from services.portal.views import Board
from services.portal.views.cases import CaseFilter
from services.portal.views.standings import plain
from shared.clock import FixedClock
from shared.contracts.reports import CaseState, Stage
from shared.contracts.scoring import ListKind, MeasureState
from shared.district import Name
from shared.readmodel import Generation
from shared.store import Store
from shared.testing.memory_store import MemoryDriver
from tests.unit.portal.events import EVERYWHERE, NOON, case_event, list_event, measure_event, standing_event

FIRST = Generation(1)


@pytest.fixture(scope="module")
def district() -> District:
    return District.load(DISTRICT)


@pytest.fixture
async def store() -> Store:
    clock = FixedClock(NOON)
    store = Store(MemoryDriver(clock), clock)
    uow = store.unit()
    events = [standing_event("huanwei", "97.50"), standing_event("chengguan", "99"), standing_event("jiaojing", "99")]
    events += [standing_event("unheard-of", "98"), standing_event("huanwei", "50", period="2026-10")]
    for number in range(7):
        # Two at each moment: the identity decides among them.
        at = NOON - timedelta(minutes=number // 2)
        events.append(case_event(case=f"20261103-AAAAAAAAA{number}", registered_at=at))
    events.append(case_event(case="20261103-LATE000000", unit="gongshui", due_at=NOON - timedelta(minutes=1)))
    subscription = feed(FIRST)
    for event in events:
        await subscription.handle(uow, event, EVERYWHERE)
    await store.commit(uow)
    return store


@pytest.fixture
def board(store: Store, district: District) -> Board:
    return Board(store, FIRST, district)


async def test_units_without_deductions_are_ahead_and_equal_scores_share_a_rank(
    board: Board, district: District
) -> None:
    ranks = {rank.unit: rank for rank in (await board.standings.ranking("2026-11")).standings}
    assert len(ranks) == len(district.units) + 1
    untouched = len(district.units) - 3
    assert ranks["gongshui"].rank == 1
    assert ranks["chengguan"].rank == ranks["jiaojing"].rank == untouched + 1
    assert ranks["unheard-of"].rank == untouched + 3
    assert ranks["huanwei"].rank == untouched + 4
    assert (ranks["huanwei"].score, str(ranks["huanwei"].points_lost)) == (Decimal("97.5"), "2.5")


async def test_units_are_also_ranked_within_their_group(board: Board, district: District) -> None:
    ranks = [rank for rank in (await board.standings.ranking("2026-11")).standings if rank.group == "bureaus"]
    bureaus = sum(1 for unit in district.units.values() if unit.group == "bureaus")
    assert [rank.group_rank for rank in ranks[-2:]] == [bureaus - 1, bureaus - 1]
    assert {rank.unit for rank in ranks[-2:]} == {"chengguan", "jiaojing"}


async def test_a_month_is_sealed_when_all_its_standings_are(board: Board, store: Store) -> None:
    assert not (await board.standings.ranking("2026-11")).frozen
    assert not (await board.standings.ranking("2026-12")).frozen
    uow = store.unit()
    for event in (
        standing_event("huanwei", "97", sequence=2, frozen=True),
        standing_event("huanwei", "50", sequence=2, period="2026-10", frozen=True),
    ):
        await feed(FIRST).handle(uow, event, EVERYWHERE)
    await store.commit(uow)
    november = await board.standings.ranking("2026-11")
    assert [rank.unit for rank in november.standings if rank.frozen] == ["huanwei"]
    assert not november.frozen
    assert (await board.standings.ranking("2026-10")).frozen


async def test_only_public_rungs_are_told_and_only_measures_that_go_on(store: Store, district: District) -> None:
    rungs = [Rung(code=code, name=Name(zh=code), public=code != "referral") for code in ("urge", "talk", "referral")]
    events = [
        measure_event("1", "urge"),
        measure_event("2", "urge", MeasureState.REPLIED),
        measure_event("3", "urge", MeasureState.ENDED),
        measure_event("4", "talk", MeasureState.OTHER),
        measure_event("5", "referral"),
        measure_event("6", "unheard-of"),
    ]
    uow = store.unit()
    for event in events:
        await feed(FIRST).handle(uow, event, EVERYWHERE)
    await store.commit(uow)
    ladder = replace(district, rungs={rung.code: rung for rung in rungs})
    assert await Board(store, FIRST, ladder).measures.open("huanwei") == {"urge": 2}
    assert await Board(store, FIRST, replace(district, rungs={})).measures.open("huanwei") == {}


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_lists_follow_each_other_without_gap_or_repetition(board: Board, store: Store, limit: int) -> None:
    uow = store.unit()
    for number in range(7):
        kind = ListKind.RED if number % 2 else ListKind.BLACK
        event = list_event(f"list{number}", kind, at=NOON + timedelta(minutes=number // 3))
        await feed(FIRST).handle(uow, event, EVERYWHERE)
    await store.commit(uow)
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = await board.lists.page(None, after, limit)
        seen += [each.id for each in page.items]
        after = page.next
    assert seen == [f"list{number}" for number in (6, 5, 4, 3, 2, 1, 0)]
    assert {each.id for each in (await board.lists.page(ListKind.RED, "")).items} == {"list1", "list3", "list5"}


def test_an_area_is_named_as_addresses_are(district: District) -> None:
    assert district.where("430476001007", "zh") == "衡阳高新区华兴街道祥光社区"
    assert district.where("430476001", "en") == "Huaxing Subdistrict, Hengyang High-Tech Zone"
    assert district.where("99", "zh") == ""


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_pages_follow_each_other_without_gap_or_repetition(board: Board, limit: int) -> None:
    found: list[CaseView] = []
    after: str | None = ""
    while after is not None:
        page = await board.cases.page(CaseFilter(after=after), NOON, limit)
        found += page.items
        after = page.next
    assert len({case.id for case in found}) == len(found) == 8
    order = [(case.registered_at, case.id) for case in found]
    assert order == sorted(order, reverse=True)


async def test_cases_are_found_by_what_they_are(board: Board) -> None:
    async def count(**wanted: object) -> int:
        return len((await board.cases.page(CaseFilter(**wanted), NOON)).items)  # type: ignore[arg-type]  # as from an address

    assert await count(unit="huanwei") == 7
    assert await count(overdue=True) == 1
    assert await count(state=CaseState.DISPATCHED, community="430476001007", category="exposed-rubbish") == 8
    assert await count(state=CaseState.CLOSED) == 0


async def test_the_filter_and_the_figure_mean_by_overdue_what_the_badge_means(board: Board, store: Store) -> None:
    uow = store.unit()
    for number, stage in enumerate([*Stage, None]):
        for hours in (-1, 1):
            times: dict[str, Any] = {"stage_due_at": NOON + timedelta(hours=hours), "due_at": None}
            event = case_event(case=f"20261103-BBBBBBBB{number:02}-{hours + 1}", stage=stage, **times)
            await feed(FIRST).handle(uow, event, EVERYWHERE)
    await store.commit(uow)
    every = await store.find(FIRST(CASES), {})
    badged = {case.id for case in every if case.is_overdue(NOON)}
    assert {case.id for case in (await board.cases.page(CaseFilter(overdue=True), NOON, 100)).items} == badged
    assert (await board.cases.figures(NOON)).overdue == len(badged) == len(Stage) - 2 + 1


@pytest.mark.parametrize("after", ["nonsense", "-", "99999999999999999999-x", "-1-x"])
async def test_a_cursor_that_is_none_shows_the_first_page(board: Board, after: str) -> None:
    assert len((await board.cases.page(CaseFilter(after=after), NOON)).items) == 8


async def test_the_district_in_three_numbers(board: Board) -> None:
    figures = await board.cases.figures(NOON)
    assert (figures.today, figures.overdue, figures.closed) == (8, 1, 0)


@pytest.mark.parametrize(("amount", "shown"), [("1.50", "1.5"), ("100", "100"), ("1E+2", "100"), ("0.00", "0")])
def test_amounts_are_told_without_idle_zeros(amount: str, shown: str) -> None:
    assert str(plain(Decimal(amount))) == shown


def test_spans_of_time_name_their_two_largest_units(district: District) -> None:
    texts = Pages(district, secure=False).texts

    def text(key: str, **params: object) -> str:
        return texts.text(key, "zh", params)

    assert _span(text, timedelta(days=2, hours=3, minutes=59)) == "2 天 3 小时"
    assert _span(text, timedelta(hours=1, minutes=5, seconds=59)) == "1 小时 5 分"
    assert _span(text, -timedelta(seconds=30)) == "0 分钟"
