"""The ranking as a stream: one look at the database for all who follow it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal

import pytest

from services.portal.views.live import Live, Message
from services.portal.views.standings import Rank, Ranking
from shared.district import Name
from shared.errors import TooMany, Unavailable
from shared.http import Shares
from tests.waiting import eventually


class Board:
    """A ranking whose only score the test sets, and that counts how often it is read."""

    def __init__(self) -> None:
        self.score = 100
        self.reads = 0
        self.broken = False

    async def read(self, period: str) -> Ranking:
        self.reads += 1
        if self.broken:
            raise Unavailable("no database")
        rank = Rank(
            rank=1,
            group_rank=1,
            unit="huanwei",
            name=Name(zh="环卫", en="Sanitation"),
            group="services",
            score=Decimal(self.score),
            points_lost=Decimal(100 - self.score),
            entries=0,
            changed_at=None,
        )
        return Ranking(period=period, standings=[rank])


@pytest.fixture
def board() -> Board:
    return Board()


async def until(fact: Callable[[], bool]) -> None:
    async def look() -> bool:
        return fact()

    assert await eventually(look)


def score_of(message: Message) -> Decimal:
    return Ranking.model_validate_json(message.json).standings[0].score


async def test_a_follower_hears_the_ranking_now_and_after_each_change(board: Board) -> None:
    live = Live(board.read, Shares(5, 5), every=60)
    with live.following("2026-11", "a") as follower:
        messages = follower.messages(None)
        assert score_of(await anext(messages)) == 100
        board.score = 90
        live.stir()
        assert score_of(await anext(messages)) == 90


async def test_without_a_word_from_this_process_changes_are_found_by_looking(board: Board) -> None:
    live = Live(board.read, Shares(5, 5), every=0.01)
    with live.following("2026-11", "a") as follower:
        messages = follower.messages(None)
        await anext(messages)
        board.score = 80
        assert score_of(await anext(messages)) == 80


async def test_who_comes_back_gets_nothing_twice_and_misses_nothing(board: Board) -> None:
    live = Live(board.read, Shares(5, 5), every=0.01)
    with live.following("2026-11", "a") as follower:
        first = await anext(follower.messages(None))
    with live.following("2026-11", "a") as follower:
        again = asyncio.ensure_future(anext(follower.messages(first.id)))
        reads = board.reads
        await until(lambda: board.reads > reads + 1)
        assert not again.done()
        board.score = 70
        assert score_of(await again) == 70


async def test_all_followers_of_a_period_share_one_look(board: Board) -> None:
    live = Live(board.read, Shares(50, 50), every=60)
    with ExitStack() as stack:
        streams = [stack.enter_context(live.following("2026-11", "a")).messages(None) for _ in range(50)]
        messages = [await anext(stream) for stream in streams]
    assert board.reads == 1
    assert len({message.id for message in messages}) == 1


async def test_one_more_than_there_is_room_for_is_refused_until_somebody_leaves(board: Board) -> None:
    live = Live(board.read, Shares(1, 1), every=60)
    with live.following("2026-11", "a"), pytest.raises(Unavailable), live.following("2026-11", "b"):
        pass
    with live.following("2026-11", "a") as follower:
        assert score_of(await anext(follower.messages(None))) == 100


async def test_one_subscriber_does_not_take_all_seats(board: Board) -> None:
    live = Live(board.read, Shares(4, 2), every=60)
    with ExitStack() as stack:
        for month in ("2026-11", "2026-10"):
            stack.enter_context(live.following(month, "a"))
        with pytest.raises(TooMany):
            stack.enter_context(live.following("2026-09", "a"))
        stack.enter_context(live.following("2026-09", "b"))


async def test_a_database_that_is_away_is_waited_for(board: Board) -> None:
    board.broken = True
    live = Live(board.read, Shares(5, 5), every=0.01)
    with live.following("2026-11", "a") as follower:
        first = asyncio.ensure_future(anext(follower.messages(None)))
        await until(lambda: board.reads > 1)
        board.broken = False
        assert score_of(await first) == 100


async def test_nobody_looks_when_nobody_follows(board: Board) -> None:
    live = Live(board.read, Shares(5, 5), every=0.01)
    before = asyncio.all_tasks()
    with live.following("2026-11", "a") as follower:
        await anext(follower.messages(None))
        watching = asyncio.all_tasks() - before
        assert watching
    await asyncio.wait(watching)
    assert all(task.cancelled() for task in watching)
