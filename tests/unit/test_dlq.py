"""The operator's tool for what was set aside: order kept, nothing done without being told to, honest exit codes."""

from __future__ import annotations

import pytest

from shared import dlq
from shared.consumer import PARKED, Inbox, Parked
from shared.dlq import Choice, DeadLetters, main, subscriptions
from shared.errors import Unavailable
from shared.kafka import Partition, Record
from shared.readmodel import LIVE, Live, ReadModel
from shared.service import Service
from shared.store import Store
from shared.testing.memory_store import MemoryDriver
from tests.engine import (
    ITEMS_TOPIC,
    VIEW_GROUP,
    VIEWS,
    Reader,
    a_store,
    growth,
    nothing,
    poisonous,
    records,
    seen,
    set_aside,
)

GARBAGE = Record(Partition(ITEMS_TOPIC.name, 0), 9, 0.0, b"a", b"garbage", [])


class Office:
    """Two aggregates held up, an unreadable record, and a reader that may be mended."""

    def __init__(self) -> None:
        self.store: Store = a_store()
        self.reader = Reader(poisonous("a/2", "b/1"))
        self.inbox = Inbox(self.store, self.reader.subscription(), None, longest_pause=0.001)
        self.letters = DeadLetters(self.store, [self.reader.subscription()])
        self.outcomes: list[tuple[str, int, str]] = []

    async def filled(self) -> Office:
        events = [growth("a", 1), growth("a", 2), growth("b", 1), growth("a", 3), growth("b", 2)]
        await self.inbox.apply_singly([*records(*events), GARBAGE])
        return self

    def mend(self, *still_poisonous: str) -> None:
        self.reader.fault = poisonous(*still_poisonous)

    def tell(self, row: Parked, error: Exception | None) -> None:
        self.outcomes.append((row.subject, row.sequence, type(error).__name__ if error else "done"))


async def test_headings_are_told_by_aggregate_in_order_without_content() -> None:
    desk = await Office().filled()
    headings = await desk.letters.headings(Choice())
    assert [(h.subject, h.sequence, h.reason) for h in headings] == [
        ("a", 2, "poison"),
        ("a", 3, "behind"),
        ("b", 1, "poison"),
        ("b", 2, "behind"),
        ("tests.item-0-9", 1, "poison"),
    ]
    assert [h.sequence for h in await desk.letters.headings(Choice(key="b"))] == [1, 2]
    assert await desk.letters.headings(Choice(group="nobody")) == []
    assert len(await desk.letters.headings(Choice(most=3))) == 3


async def test_replay_runs_everything_that_can_be_run() -> None:
    desk = await Office().filled()
    desk.mend()
    assert not await desk.letters.replay(Choice(), None, "stop", desk.tell)
    assert desk.outcomes == [
        ("a", 2, "done"),
        ("a", 3, "done"),
        ("b", 1, "done"),
        ("b", 2, "done"),
        ("tests.item-0-9", 1, "Undecodable"),
    ]
    assert (await seen(desk.store, "a"), await seen(desk.store, "b")) == ([1, 2, 3], [1, 2])
    assert [subject for subject, _, _ in await set_aside(desk.store)] == ["tests.item-0-9"]


async def test_a_replay_that_fails_stops_or_leaves_that_aggregate_and_goes_on() -> None:
    desk = await Office().filled()
    desk.mend("a/2")
    assert not await desk.letters.replay(Choice(), None, "stop", desk.tell)
    assert desk.outcomes == [("a", 2, "Refused")]
    assert not await desk.letters.replay(Choice(), None, "repark", desk.tell)
    assert desk.outcomes[1:4] == [("a", 2, "Refused"), ("b", 1, "done"), ("b", 2, "done")]
    assert [(s, n) for s, n, _ in await set_aside(desk.store)][:2] == [("a", 2), ("a", 3)]


async def test_a_failure_in_the_middle_of_an_aggregate_keeps_what_follows() -> None:
    desk = await Office().filled()
    desk.mend("a/3")
    assert not await desk.letters.replay(Choice(key="a"), None, "repark", desk.tell)
    assert await seen(desk.store, "a") == [1, 2]
    await desk.inbox.apply(records(growth("a", 4)))
    assert [(s, n) for s, n, _ in await set_aside(desk.store)][:2] == [("a", 3), ("a", 4)]


async def test_at_most_so_many_are_replayed() -> None:
    desk = await Office().filled()
    desk.mend()
    assert await desk.letters.replay(Choice(key="a", most=1), None, "stop", desk.tell)
    assert desk.outcomes == [("a", 2, "done")]
    assert await seen(desk.store, "a") == [1, 2]


async def test_what_a_worker_parks_meanwhile_is_taken_along() -> None:
    desk = await Office().filled()

    class Live(Reader):
        async def on_grown(self, uow, event, resources):  # type: ignore[no-untyped-def]  # as in Reader
            if event.id == "tests.item/a/3":
                await Inbox(a_store(desk.store.driver), desk.reader.subscription(), None).apply(records(growth("a", 4)))
            await super().on_grown(uow, event, resources)

    letters = DeadLetters(desk.store, [Live().subscription()])
    assert await letters.replay(Choice(key="a"), None, "stop", desk.tell)
    assert await seen(desk.store, "a") == [1, 2, 3, 4]
    assert [number for _, number, _ in desk.outcomes] == [2, 3, 4]


async def test_drop_gives_up_the_first_and_replay_goes_on_behind_it() -> None:
    desk = await Office().filled()
    await desk.letters.drop(Choice(key="a", most=1), desk.tell)
    assert desk.outcomes == [("a", 2, "done")]
    assert await desk.letters.replay(Choice(key="a"), None, "stop", desk.tell)
    assert await seen(desk.store, "a") == [1, 3]
    await desk.letters.drop(Choice(key="tests.item-0-9"), desk.tell)
    assert [subject for subject, _, _ in await set_aside(desk.store)] == ["b", "b"]


async def test_records_of_a_group_that_is_gone_can_only_be_dropped() -> None:
    desk = await Office().filled()
    letters: DeadLetters[object] = DeadLetters(desk.store, [])
    assert not await letters.replay(Choice(key="a"), None, "stop", desk.tell)
    assert desk.outcomes == [("a", 2, "Gone")]
    await letters.drop(Choice(key="a"), desk.tell)
    assert [subject for subject, _, _ in await set_aside(desk.store)] == ["b", "b", "tests.item-0-9"]


async def test_what_waits_for_its_predecessor_is_handled_only_when_somebody_names_it() -> None:
    store, reader = a_store(), Reader()
    inbox = Inbox(store, reader.subscription(), None)
    await inbox.apply(records(growth("a", 1), growth("a", 3)))
    letters = DeadLetters(store, [reader.subscription()])
    assert await letters.replay(Choice(), None, "stop", lambda row, error: None)
    assert await set_aside(store) == [("a", 3, "early")]
    assert await letters.replay(Choice(key="a"), None, "stop", lambda row, error: None)
    assert (await set_aside(store), await seen(store, "a")) == ([], [1, 3])


async def test_an_absent_database_ends_a_replay() -> None:
    desk = await Office().filled()
    desk.mend()
    assert isinstance(desk.store.driver, MemoryDriver)

    def away(point: str) -> None:
        raise Unavailable("away")

    desk.store.driver.fault = away
    with pytest.raises(Unavailable):
        await desk.letters.replay(Choice(), None, "repark", desk.tell)
    assert desk.outcomes == []


async def test_a_read_model_is_replayed_in_the_generation_that_is_live() -> None:
    store = a_store()
    model = ReadModel("view", (VIEWS,), lambda generation: Reader().subscription(generation.group(VIEW_GROUP)))
    service = Service("tests", nothing, subscriptions=[Reader().subscription("tests.own")], read_models=[model])
    assert [each.group for each in await subscriptions(service, store)] == ["tests.own", f"{VIEW_GROUP}.g1"]
    uow = store.unit()
    uow.insert(LIVE, Live("view", 7))
    await store.commit(uow)
    assert (await subscriptions(service, store))[1].group == f"{VIEW_GROUP}.g7"


async def test_what_the_operator_sees() -> None:
    desk = await Office().filled()
    table = dlq._table(await desk.letters.headings(Choice()))
    lines = table.splitlines()
    assert len(lines) == 4
    assert lines[1].split()[:4] == [VIEW_GROUP, "a", "2–3", "2"]
    assert "Refused poisonous(id=tests.item/a/2)" in lines[1]
    [row] = await desk.store.find(PARKED, {"subject": "a", "sequence": 2})
    assert '内容 data: {"by":1}' in dlq._shown(row)
    [unreadable] = await desk.store.find(PARKED, {"subject": "tests.item-0-9"})
    assert "不可读 unreadable" in dlq._shown(unreadable)
    assert "nothing is set aside" in dlq._table([])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["list", "--service", "nobody"], "no service nobody"),
        (["list", "--service", "../etc"], "no service"),
        (["replay", "--service", "reports"], "set MONGODB_URI"),
    ],
)
def test_a_wrong_command_line_or_environment_is_code_2(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MONGODB_URI", raising=False)
    assert main(arguments) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["drop", "--service", "reports", "--yes"], ["list", "--service", "reports", "--max", "0"]]
)
def test_what_the_parser_refuses(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2


@pytest.mark.parametrize("arguments", [["list"], ["show"], ["drop", "--key", "huanwei"], ["replay"]])
def test_looking_asks_for_the_database_alone(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MONGODB_URI", raising=False)
    assert main([*arguments, "--service", "reports"]) == 2
    faults = capsys.readouterr().err.splitlines()
    assert [fault.split()[1] for fault in faults] == ["MONGODB_URI"]
