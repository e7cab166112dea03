"""The inbox: one effect per event, in order, and what cannot be handled set aside with everything behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from unittest.mock import patch

import pytest

from shared import telemetry
from shared.consumer import PARKED, UNREADABLE, Breaker, Broken, Inbox, Mark, Parked, Parking
from shared.consumer.parking import early, unresolved
from shared.contracts import MODELS
from shared.dlq import Choice, DeadLetters
from shared.errors import Conflict, Duplicate, NotFound, Refused, Unavailable
from shared.event import Event, Undecodable
from shared.kafka import Partition, Record
from shared.store import OUTBOX, Store, UnitOfWork
from shared.testing.memory_store import MemoryDriver
from tests.engine import (
    ITEMS,
    ITEMS_TOPIC,
    NOON,
    VIEW_GROUP,
    Grown,
    Item,
    Reader,
    a_store,
    growth,
    mark_of,
    poisonous,
    record,
    records,
    seen,
    set_aside,
)

GARBAGE = Record(Partition(ITEMS_TOPIC.name, 0), 7, 0.0, b"a", b"garbage", [("x", b"y")])


class Died(Exception):
    """Stands for the end of the process."""


def an_inbox(reader: Reader, store: Store | None = None, **policy: str) -> tuple[Store, Inbox]:
    store = store or a_store()
    return store, Inbox(store, reader.subscription(**policy), None, longest_pause=0.001)  # type: ignore[arg-type]


async def dead_letters(store: Store) -> list[tuple[str, int]]:
    rows = await store.find(OUTBOX, {"topic": f"{VIEW_GROUP}.dlq"}, [("subject", 1), ("sequence", 1)])
    return [(row.subject, row.sequence) for row in rows]


async def parked(store: Store, id: str, sequence: int) -> Parked:
    [row] = await store.find(PARKED, {"subject": id, "sequence": sequence})
    return row


# ---- once, in order ----


async def test_a_batch_takes_effect_once_however_often_it_is_delivered() -> None:
    reader = Reader()
    store, inbox = an_inbox(reader)
    batch = records(growth("a", 1), growth("b", 1), growth("a", 2), growth("a", 2))
    for _ in range(3):
        await inbox.apply(batch)
    assert await seen(store, "a") == [1, 2]
    assert await seen(store, "b") == [1]
    assert await mark_of(store, "a") == Mark(f"{VIEW_GROUP}|{ITEMS_TOPIC.name}|a", 2)
    assert len(reader.handled) == 3


async def test_an_old_event_between_new_ones_is_a_duplicate() -> None:
    store, inbox = an_inbox(Reader())
    await inbox.apply(records(growth("a", 1), growth("a", 2)))
    await inbox.apply(records(growth("a", 1), growth("a", 3), growth("a", 2)))
    assert await seen(store, "a") == [1, 2, 3]


async def test_nothing_is_written_when_a_handler_fails_in_the_middle_of_a_batch() -> None:
    store, inbox = an_inbox(Reader(poisonous("b/1")))
    with pytest.raises(Refused):
        await inbox.apply(records(growth("a", 1), growth("b", 1)))
    assert await seen(store, "a") == []
    assert (await mark_of(store, "a")).sequence == 0


async def test_groups_do_not_see_each_others_marks() -> None:
    store = a_store()
    _, first = an_inbox(Reader(), store)
    second_reader = Reader()
    _, second = an_inbox(second_reader, store, group="tests.other")
    await first.apply(records(growth("a", 1)))
    await second.apply(records(growth("a", 1)))
    assert second_reader.handled == ["tests.item/a/1"]


async def test_a_type_that_nobody_knows_or_handles_is_passed_over() -> None:
    store, inbox = an_inbox(Reader())
    unknown = Event(ITEMS_TOPIC.name, "chuangwen.tests.item-new.v9", "a", 1, growth("a", 1).time, "a", b"not json")
    assert unknown.type not in MODELS
    await inbox.apply(records(unknown, growth("a", 2)))
    assert await seen(store, "a") == [2]
    assert (await mark_of(store, "a")).sequence == 2


async def test_a_zombie_cannot_write_what_its_successor_has_written() -> None:
    """Two members believe that the partition is theirs: the guard of the mark lets one of them through."""
    driver = a_store().driver
    zombie_store, successor_store = a_store(driver), a_store(driver)
    _, successor = an_inbox(Reader(), successor_store)
    await successor.apply(records(growth("a", 1)))

    class Slow(Reader):
        async def on_grown(self, uow: UnitOfWork, event: Event[Grown], resources: object) -> None:
            await super().on_grown(uow, event, resources)
            if len(self.handled) == 1:  # paused between reading the mark and committing
                await successor.apply(records(growth("a", 2), growth("a", 3)))

    _, zombie = an_inbox(Slow(), zombie_store)
    with pytest.raises(Conflict):
        await zombie.apply(records(growth("a", 2)))
    await zombie.apply(records(growth("a", 2)))
    assert await seen(successor_store, "a") == [1, 2, 3]


async def test_a_zombie_with_the_first_event_of_an_aggregate_does_no_harm_either() -> None:
    driver = a_store().driver
    store = a_store(driver)
    _, successor = an_inbox(Reader(), a_store(driver))

    class Slow(Reader):
        async def on_grown(self, uow: UnitOfWork, event: Event[Grown], resources: object) -> None:
            await super().on_grown(uow, event, resources)
            if len(self.handled) == 1:
                await successor.apply(records(growth("a", 1)))

    _, zombie = an_inbox(Slow(), store)
    with pytest.raises(Duplicate):
        await zombie.apply(records(growth("a", 1)))
    await zombie.apply_singly(records(growth("a", 1)))
    assert await seen(store, "a") == [1]
    assert await set_aside(store) == []


# ---- gaps ----


async def test_a_gap_is_applied_and_counted() -> None:
    store, inbox = an_inbox(Reader(), on_gap="apply")
    gaps = telemetry.EVENTS_SEQUENCE_GAP.labels(VIEW_GROUP, ITEMS_TOPIC.name)._value
    before = gaps.get()
    await inbox.apply(records(growth("a", 1), growth("a", 3)))
    assert await seen(store, "a") == [1, 3]
    assert gaps.get() == before + 1


async def test_a_gap_stops_a_group_that_cannot_bear_one() -> None:
    store, inbox = an_inbox(Reader(), on_gap="stop")
    with pytest.raises(Broken, match="comes after 1"):
        await inbox.apply(records(growth("a", 1), growth("a", 3)))
    assert await seen(store, "a") == []
    with pytest.raises(Broken):
        await inbox.apply_singly(records(growth("a", 1), growth("a", 3)))
    assert await seen(store, "a") == [1]


@pytest.mark.parametrize("batches", [[[1, 3, 2]], [[1], [3], [2]], [[3, 1], [2]], [[3, 2, 1]], [[3], [2], [1]]])
async def test_what_comes_before_its_predecessor_is_held_back_until_that_has_come(batches: list[list[int]]) -> None:
    store, inbox = an_inbox(Reader())
    for batch in batches:
        await inbox.apply(records(*(growth("a", number) for number in batch)))
    assert await seen(store, "a") == [1, 2, 3]
    assert await set_aside(store) == []
    assert await mark_of(store, "a") == Mark(f"{VIEW_GROUP}|{ITEMS_TOPIC.name}|a", 3)
    await inbox.apply(records(*(growth("a", number) for number in (3, 2, 1, 4))))
    assert await seen(store, "a") == [1, 2, 3, 4]


async def test_what_is_held_back_is_kept_counted_and_no_dead_letter() -> None:
    store, inbox = an_inbox(Reader())
    await inbox.apply(records(growth("a", 1), growth("a", 3), growth("a", 4), growth("b", 1)))
    await inbox.apply(records(growth("a", 3), growth("a", 6)))
    assert await set_aside(store) == [("a", 3, "early"), ("a", 4, "early"), ("a", 6, "early")]
    assert (await early(store), await unresolved(store)) == (3, 0)
    assert await dead_letters(store) == []
    assert (await seen(store, "a"), await seen(store, "b")) == ([1], [1])
    await inbox.apply(records(growth("a", 2)))
    assert await seen(store, "a") == [1, 2, 3, 4]
    assert await set_aside(store) == [("a", 6, "early")]


async def test_what_was_held_back_and_is_poison_is_found_when_its_turn_comes() -> None:
    reader = Reader(poisonous("a/3"))
    store, inbox = an_inbox(reader)
    await inbox.apply(records(growth("a", 1), growth("a", 3), growth("a", 4)))
    await inbox.apply(records(growth("a", 2)))
    await inbox.apply(records(growth("a", 5)))
    assert await seen(store, "a") == [1, 2]
    assert await set_aside(store) == [("a", 3, "poison"), ("a", 4, "early"), ("a", 5, "behind")]
    reader.fault = lambda event: None
    for number in (3, 4, 5):
        await inbox.replay(await parked(store, "a", number))
    assert await seen(store, "a") == [1, 2, 3, 4, 5]


async def test_a_crash_before_what_waits_is_handled_loses_nothing() -> None:
    store, inbox = an_inbox(Reader())
    await inbox.apply(records(growth("a", 1), growth("a", 3)))
    with patch.object(Inbox, "_heal", side_effect=Died), pytest.raises(Died):
        await inbox.apply(records(growth("a", 2)))
    assert await seen(store, "a") == [1, 2]
    await inbox.apply(records(growth("a", 2)))  # its offset was not committed
    assert await seen(store, "a") == [1, 2, 3]


async def test_a_missing_event_is_given_up_by_replaying_what_waits_for_it() -> None:
    store, inbox = an_inbox(Reader())
    await inbox.apply(records(growth("a", 1), growth("a", 3)))
    await inbox.replay(await parked(store, "a", 3))
    await inbox.apply(records(growth("a", 2), growth("a", 4)))
    assert await seen(store, "a") == [1, 3, 4]


# ---- the order of a key ----


async def test_behind_a_parked_event_everything_of_its_key_waits_where_the_order_of_the_key_counts() -> None:
    reader = Reader(poisonous("a/1"))
    store, inbox = an_inbox(reader, order="key")
    of_one_unit = [replace(event, key="unit") for event in (growth("a", 1), growth("b", 1), growth("a", 2))]
    other = replace(growth("c", 1), key="other")
    await inbox.apply_singly(records(of_one_unit[0]))
    await inbox.apply(records(*of_one_unit[1:], other))
    await inbox.apply(records(*of_one_unit))  # once more
    assert await set_aside(store) == [("unit", 1, "poison"), ("unit", 2, "behind"), ("unit", 3, "behind")]
    assert [await seen(store, id) for id in "abc"] == [[], [], [1]]
    reader.fault, reader.handled = (lambda event: None), []
    letters = DeadLetters(store, [reader.subscription(order="key")])
    assert await letters.replay(Choice(), None, "stop", lambda row, error: None)
    assert reader.handled == ["tests.item/a/1", "tests.item/b/1", "tests.item/a/2"], "in the order of the log"
    await inbox.apply(records(replace(growth("b", 2), key="unit")))
    assert [await seen(store, id) for id in "ab"] == [[1, 2], [1, 2]]
    assert await set_aside(store) == []


async def test_what_was_early_waits_for_its_key_too_once_its_predecessor_has_come() -> None:
    reader = Reader(poisonous("b/1"))
    store, inbox = an_inbox(reader, order="key")

    def of_unit(id: str, number: int) -> list[Record]:
        return records(replace(growth(id, number), key="unit"))

    await inbox.apply(of_unit("a", 2))
    await inbox.apply_singly(of_unit("b", 1))
    await inbox.apply(of_unit("a", 1))
    assert await set_aside(store) == [("unit", 1, "poison"), ("unit", 2, "behind"), ("unit", 3, "behind")]
    reader.fault = lambda event: None
    for number in (1, 2, 3):
        await inbox.replay(await parked(store, "unit", number))
    assert (await seen(store, "a"), await seen(store, "b")) == ([1, 2], [1])


# ---- events of a newer version ----


async def test_an_event_of_a_type_that_nobody_knows_is_neither_read_nor_parked() -> None:
    asked: list[str] = []

    async def prefetch(uow: UnitOfWork, events: Sequence[Event], _: object) -> None:
        asked.extend(type(event.data).__name__ for event in events)

    store, reader = a_store(), Reader()
    inbox = Inbox(store, replace(reader.subscription(), prefetch=prefetch), None)
    newer = Event(ITEMS_TOPIC.name, "chuangwen.tests.item-painted.v9", "a", 2, growth("a", 2).time, "a", b"\x00new")
    await inbox.apply(records(growth("a", 1), newer, growth("a", 3)))
    assert (asked, await seen(store, "a"), await set_aside(store)) == (["Grown", "Grown"], [1, 3], [])


# ---- what is told and traced ----


async def test_what_a_handler_tells_belongs_to_the_trace_of_what_it_was_told() -> None:
    class Answering(Reader):
        async def on_grown(self, uow: UnitOfWork, event: Event[Grown], resources: object) -> None:
            uow.insert(ITEMS, Item(event.subject), Grown(by=1))

    store, inbox = an_inbox(Answering())
    trace, other = "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "00-" + "c" * 32 + "-" + "d" * 16 + "-01"
    await inbox.apply(records(replace(growth("a", 1), traceparent=trace), replace(growth("b", 1), traceparent=other)))
    spans = {row.subject: row.traceparent for row in await store.find(OUTBOX, {"topic": ITEMS_TOPIC.name})}
    assert {id: (span or "")[:36] for id, span in spans.items()} == {"a": trace[:36], "b": other[:36]}
    assert trace not in spans.values(), "a span of its own"


async def test_the_age_of_what_is_handled_is_told_and_what_comes_from_the_future() -> None:
    _, inbox = an_inbox(Reader())
    ages = telemetry.EVENT_E2E_SECONDS.labels(Grown.TYPE, VIEW_GROUP)
    before, skewed = ages._sum.get(), telemetry.EVENT_CLOCK_SKEW._value.get()
    await inbox.apply(records(replace(growth("a", 1), time=NOON - timedelta(seconds=7))))
    assert ages._sum.get() == before + 7
    await inbox.apply(records(replace(growth("a", 2), time=NOON + timedelta(seconds=7))))
    assert (ages._sum.get(), telemetry.EVENT_CLOCK_SKEW._value.get()) == (before + 7, skewed + 1)


# ---- poison ----


async def test_poison_is_found_and_set_aside_with_all_that_follows_of_its_aggregate() -> None:
    store, inbox = an_inbox(Reader(poisonous("a/2")))
    await inbox.apply_singly(records(growth("a", 1), growth("b", 1), growth("a", 2), growth("a", 3), growth("b", 2)))
    await inbox.apply(records(growth("a", 4), growth("c", 1)))
    assert (await seen(store, "a"), await seen(store, "b"), await seen(store, "c")) == ([1], [1, 2], [1])
    assert await set_aside(store) == [("a", 2, "poison"), ("a", 3, "behind"), ("a", 4, "behind")]
    mark = await mark_of(store, "a")
    assert (mark.sequence, mark.parked_to) == (1, 4)
    assert await dead_letters(store) == [(f"{ITEMS_TOPIC.name}/a", n) for n in (2, 3, 4)]


async def test_what_is_set_aside_is_raw_and_says_why() -> None:
    store, inbox = an_inbox(Reader(poisonous("a/1")))
    original = record(growth("a", 1, by=5), offset=42, partition=2)
    await inbox.apply_singly([original])
    row = await parked(store, "a", 1)
    back = row.record()
    assert (back.partition, back.offset, back.key, back.value) == (original.partition, 42, b"a", b'{"by":5}')
    assert back.event() == growth("a", 1, by=5)
    assert (row.error, row.text) == ("Refused", "poisonous(id=tests.item/a/1)")


async def test_redelivery_of_what_is_set_aside_changes_nothing() -> None:
    reader = Reader(poisonous("a/1"))
    store, inbox = an_inbox(reader)
    batch = [*records(growth("a", 1), growth("a", 2)), GARBAGE]
    await inbox.apply_singly(batch)
    before = await store.find(PARKED, {}, [("_id", 1)])
    await inbox.apply_singly(batch)
    assert await store.find(PARKED, {}, [("_id", 1)]) == before
    assert reader.handled == ["tests.item/a/1"]


async def test_a_record_that_is_no_event_is_set_aside_and_holds_nobody_up() -> None:
    store, inbox = an_inbox(Reader())
    with pytest.raises(Undecodable):
        await inbox.apply([GARBAGE, *records(growth("a", 1))])
    await inbox.apply_singly([GARBAGE, *records(growth("a", 1))])
    assert await seen(store, "a") == [1]
    [row] = await store.find(PARKED, {})
    assert (row.subject, row.mark, row.value, row.headers) == ("tests.item-0-7", "", b"garbage", [("x", b"y")])
    [letter] = await store.find(OUTBOX, {})
    assert (letter.type, letter.value) == (UNREADABLE, b"garbage")


async def test_data_that_does_not_fit_its_type_is_poison() -> None:
    store, inbox = an_inbox(Reader())
    bad = Event(ITEMS_TOPIC.name, Grown.TYPE, "a", 1, growth("a", 1).time, "a", b'{"by":"much"}')
    await inbox.apply_singly(records(bad))
    assert await set_aside(store) == [("a", 1, "poison")]
    assert (await parked(store, "a", 1)).error == "Undecodable"


async def test_a_prefetch_sees_only_what_the_handlers_will() -> None:
    asked: list[str] = []

    async def prefetch(uow: UnitOfWork, events: Sequence[Event], _: object) -> None:
        asked.extend(event.id.removeprefix("tests.item/") for event in events)
        assert all(event.data for event in events)

    reader = Reader(poisonous("a/1"))
    store = a_store()
    subscription = reader.subscription()
    object.__setattr__(subscription, "prefetch", prefetch)
    inbox = Inbox(store, subscription, None, longest_pause=0.001)
    await inbox.apply_singly(records(growth("a", 1)))
    bad = Event(ITEMS_TOPIC.name, Grown.TYPE, "a", 2, growth("a", 2).time, "a", b"{}")
    await inbox.apply(records(growth("a", 1), bad, growth("b", 1)))
    assert asked == ["a/1", "a/1", "a/2", "b/1", "b/1"], "what cannot be read and is for no handler spoils nothing"
    assert await set_aside(store) == [("a", 1, "poison"), ("a", 2, "behind")]


async def test_a_group_that_skips_goes_on_with_the_aggregate() -> None:
    store, inbox = an_inbox(Reader(poisonous("a/2")), on_poison="skip")
    await inbox.apply_singly(records(growth("a", 1), growth("a", 2), growth("a", 3)))
    assert await seen(store, "a") == [1, 3]
    assert await set_aside(store) == [("a", 2, "skipped")]


async def test_a_group_that_stops_sets_nothing_aside() -> None:
    store, inbox = an_inbox(Reader(poisonous("a/1")), on_poison="stop")
    with pytest.raises(Broken, match="poisonous"):
        await inbox.apply_singly(records(growth("a", 1)))
    assert await set_aside(store) == []


async def test_a_fault_nobody_knows_is_tried_again_before_it_is_poison() -> None:
    times = 0

    def sometimes(event: Event) -> None:
        nonlocal times
        times += 1
        if times < 5:
            raise RuntimeError("perhaps it passes")

    store, inbox = an_inbox(Reader(sometimes))
    await inbox.apply_singly(records(growth("a", 1)))
    assert (times, await seen(store, "a")) == (5, [1])
    times = 0
    await inbox.apply_singly(records(growth("a", 2)), tries=4)
    assert (times, await set_aside(store)) == (4, [("a", 2, "poison")])


async def test_an_identity_that_stays_taken_is_poison_and_not_tried_for_ever() -> None:
    class Inserting(Reader):
        async def on_grown(self, uow: UnitOfWork, event: Event[Grown], resources: object) -> None:
            self.handled.append(event.id)
            uow.insert(ITEMS, Item("taken"))

    reader = Inserting()
    store, inbox = an_inbox(reader)
    uow = store.unit()
    uow.insert(ITEMS, Item("taken"))
    await store.commit(uow)
    await inbox.apply_singly(records(growth("a", 1)))
    assert len(reader.handled) == 5
    assert (await parked(store, "a", 1)).error == "Duplicate"


@pytest.mark.parametrize("fault", [Unavailable("away"), Conflict("a race")])
async def test_a_fault_that_passes_is_tried_for_as_long_as_it_lasts(fault: Exception) -> None:
    times = 0

    def away(event: Event) -> None:
        nonlocal times
        times += 1
        if times <= 30:
            raise fault

    store, inbox = an_inbox(Reader(away))
    await inbox.apply_singly(records(growth("a", 1)))
    assert (times, await seen(store, "a"), await set_aside(store)) == (31, [1], [])


@pytest.mark.parametrize("point", ["before-commit", "after-commit"])
async def test_setting_aside_survives_an_absent_database(point: str) -> None:
    store, inbox = an_inbox(Reader(poisonous("a/1")))
    assert isinstance(store.driver, MemoryDriver)
    times = 0

    def fault(here: str) -> None:
        nonlocal times
        times += here == point
        if here == point and times == 1:
            raise Unavailable("whether it was written nobody knows")

    store.driver.fault = fault
    await inbox.apply_singly(records(growth("a", 1), growth("a", 2)))
    assert await set_aside(store) == [("a", 1, "poison"), ("a", 2, "behind")]
    assert len(await dead_letters(store)) == 2


# ---- the breaker ----


def test_too_many_in_a_row_trip_the_breaker() -> None:
    breaker = Breaker(in_a_row=3)
    for _ in range(3):
        breaker.handled(poison=True)
    breaker.passed(1)
    for _ in range(3):
        breaker.handled(poison=True)
    with pytest.raises(Broken, match="4 poisonous events in a row"):
        breaker.handled(poison=True)


def test_too_large_a_share_trips_the_breaker_once_the_window_is_full() -> None:
    breaker = Breaker(in_a_row=100, share=0.05, window=100)
    for _ in range(6):
        breaker.handled(poison=True)
    breaker.passed(93)
    with pytest.raises(Broken, match="6 of the last 100"):
        breaker.passed(1)


def test_a_bearable_share_trips_nothing_and_old_events_are_forgotten() -> None:
    breaker = Breaker(in_a_row=100, share=0.05, window=100)
    for _ in range(20):
        for _ in range(5):
            breaker.handled(poison=True)
        breaker.passed(95)
    assert sum(breaker._recent) == 5


async def test_a_topic_full_of_poison_stops_the_worker_instead_of_emptying_into_the_dead_letters() -> None:
    store, inbox = an_inbox(Reader(poisonous(*(f"i{n}/1" for n in range(30)))))
    with pytest.raises(Broken):
        await inbox.apply_singly(records(*(growth(f"i{n}", 1) for n in range(30))))
    assert len(await set_aside(store)) == 20


# ---- replay ----


async def test_replay_runs_the_handlers_in_order_and_frees_the_aggregate() -> None:
    reader = Reader(poisonous("a/2"))
    store, inbox = an_inbox(reader)
    await inbox.apply_singly(records(*(growth("a", n) for n in range(1, 5))))
    reader.fault = lambda event: None
    for number in (2, 3):
        await inbox.replay(await parked(store, "a", number))
        await inbox.apply(records(growth("a", 5)))  # still held up, and parked once
    await inbox.replay(await parked(store, "a", 4))
    assert (await mark_of(store, "a")).parked_to == 5
    await inbox.replay(await parked(store, "a", 5))
    await inbox.apply(records(growth("a", 4), growth("a", 6)))
    assert await seen(store, "a") == [1, 2, 3, 4, 5, 6]
    assert await set_aside(store) == []
    assert (await mark_of(store, "a")).parked_to == 0


async def test_a_replay_that_fails_again_writes_nothing() -> None:
    store, inbox = an_inbox(Reader(poisonous("a/1")))
    await inbox.apply_singly(records(growth("a", 1), growth("a", 2)))
    with pytest.raises(Refused):
        await inbox.replay(await parked(store, "a", 1))
    assert await set_aside(store) == [("a", 1, "poison"), ("a", 2, "behind")]
    assert await seen(store, "a") == []


async def test_a_record_is_replayed_once_by_however_many() -> None:
    reader = Reader(poisonous("a/1"))
    store, inbox = an_inbox(reader)
    await inbox.apply_singly(records(growth("a", 1)))
    reader.fault = lambda event: None
    row = await parked(store, "a", 1)
    outcomes = await asyncio.gather(*(inbox.replay(row) for _ in range(3)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "NotFound", "NotFound"]
    assert await seen(store, "a") == [1]


async def test_a_worker_that_parks_while_the_last_record_is_replayed_loses_no_order() -> None:
    reader = Reader(poisonous("a/1"))
    store, inbox = an_inbox(reader)
    await inbox.apply_singly(records(growth("a", 1)))
    worker_store = a_store(store.driver)
    _, worker = an_inbox(Reader(), worker_store)

    class Racing(Reader):
        async def on_grown(self, uow: UnitOfWork, event: Event[Grown], resources: object) -> None:
            if not self.handled:
                await worker.apply(records(growth("a", 2)))  # the worker still sees the aggregate held up
            await super().on_grown(uow, event, resources)

    _, replaying = an_inbox(Racing(), store)
    await replaying.replay(await parked(store, "a", 1))
    assert await set_aside(store) == [("a", 2, "behind")]
    await worker.apply(records(growth("a", 3)))
    assert await seen(store, "a") == [1]
    for number in (2, 3):
        await replaying.replay(await parked(store, "a", number))
    assert await seen(store, "a") == [1, 2, 3]


async def test_dropping_from_the_end_keeps_the_aggregate_held_up() -> None:
    reader = Reader(poisonous("a/1"))
    store, inbox = an_inbox(reader)
    await inbox.apply_singly(records(*(growth("a", n) for n in range(1, 4))))
    await Parking(store, VIEW_GROUP).drop(await parked(store, "a", 3))
    await inbox.apply(records(growth("a", 4)))
    assert await set_aside(store) == [("a", 1, "poison"), ("a", 2, "behind"), ("a", 4, "behind")]
    assert await seen(store, "a") == []


async def test_dropping_the_last_one_frees_the_aggregate_and_counts_as_handled() -> None:
    store, inbox = an_inbox(Reader(poisonous("a/1")))
    await inbox.apply_singly(records(growth("a", 1)))
    await Parking(store, VIEW_GROUP).drop(await parked(store, "a", 1))
    await inbox.apply(records(growth("a", 1), growth("a", 2)))
    assert await seen(store, "a") == [2]
    with pytest.raises(NotFound, match="parked-not-found"):
        await Parking(store, VIEW_GROUP).drop(
            Parked("x", "g", "", "t", 0, 0, b"", b"", [], "s", 1, "poison", "", "", growth("a", 1).time)
        )


async def test_an_unreadable_record_can_only_be_dropped() -> None:
    store, inbox = an_inbox(Reader())
    await inbox.apply_singly([GARBAGE])
    [row] = await store.find(PARKED, {})
    with pytest.raises(Undecodable):
        await inbox.replay(row)
    await Parking(store, VIEW_GROUP).drop(row)
    assert await set_aside(store) == []


async def test_a_skipped_record_is_handled_again_only_while_nothing_newer_is() -> None:
    reader = Reader(poisonous("a/2", "a/4"))
    store, inbox = an_inbox(reader, on_poison="skip")
    await inbox.apply_singly(records(*(growth("a", n) for n in range(1, 5))))
    reader.fault = lambda event: None
    await inbox.replay(await parked(store, "a", 2))
    await inbox.replay(await parked(store, "a", 4))
    assert await seen(store, "a") == [1, 3, 4]
    assert await set_aside(store) == []
    await inbox.apply(records(growth("a", 5)))
    assert await seen(store, "a") == [1, 3, 4, 5]


async def test_how_many_are_unresolved_is_known() -> None:
    store, inbox = an_inbox(Reader(poisonous("a/1")))
    await inbox.apply_singly([*records(growth("a", 1), growth("a", 2)), GARBAGE])
    assert await unresolved(store) == 3
