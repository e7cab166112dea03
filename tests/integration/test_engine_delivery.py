"""From a command to its effect in another process, on real servers, with processes that die in between."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace

import pytest

from shared.consumer import Inbox, Worker, on
from shared.dlq import Choice, DeadLetters, main
from shared.errors import Refused
from shared.event import Event
from shared.outbox import Relay
from shared.readmodel import LIVE, Projector, ReadModel, rebuild
from shared.service import Service
from shared.store import OUTBOX, UnitOfWork
from tests.engine import (
    ITEMS,
    ITEMS_TOPIC,
    VIEW_GROUP,
    VIEWS,
    Grown,
    Reader,
    View,
    grow,
    growth,
    mark_of,
    nothing,
    poisonous,
    records,
    set_aside,
)
from tests.integration.engine_world import DEAD, World, a_worker, a_world, first_arrivals, running
from tests.waiting import eventually

IDS = tuple("abcdefgh")


@pytest.fixture
async def world(mongodb_uri: str, kafka_bootstrap: str, namespace: str) -> AsyncIterator[World]:
    async with a_world(mongodb_uri, kafka_bootstrap, namespace) as world:
        yield world


async def grow_all(world: World, times: int, ids: tuple[str, ...] = IDS) -> None:
    for _ in range(times):
        await asyncio.gather(*(grow(world.store, id) for id in ids))


def everything(times: int) -> dict[str, list[int]]:
    return {id: list(range(1, times + 1)) for id in IDS}


async def test_every_command_has_its_effect_once_and_in_order(world: World) -> None:
    relay = Relay(world.store, world.broker.publisher())
    async with running(relay, a_worker(world)):
        await grow_all(world, 10)
        await world.views_hold(everything(10))
        await world.nothing_pending()
    found = await world.log(ITEMS_TOPIC.name, 80)
    assert all(first_arrivals(found, id) == list(range(1, 11)) for id in IDS)


async def test_a_worker_that_dies_between_transaction_and_offset_leaves_no_second_effect(world: World) -> None:
    async with running(Relay(world.store, world.broker.publisher())):
        await grow_all(world, 3)
        await world.nothing_pending()
    doomed = a_worker(world, commit_every=3600.0)
    doomed._last_commit = float("inf")

    async def never(places: object) -> None:
        return

    doomed._commit = never  # type: ignore[method-assign]  # it dies before it gets there
    async with running(doomed):
        await world.views_hold(everything(3))
    second = Reader()
    async with running(Relay(world.store, world.broker.publisher()), successor := a_worker(world, reader=second)):
        await grow_all(world, 1)
        await world.views_hold(everything(4))

        async def caught_up() -> bool:
            found = (await successor.positions()).values()
            return bool(found) and all(position.next == position.end for position in found)

        await eventually(caught_up)
    assert sorted(second.handled) == sorted(f"{ITEMS_TOPIC.name}/{id}/4" for id in IDS)


async def test_a_zombie_is_stopped_by_the_marks_alone(world: World) -> None:
    """It read, was paused for longer than its session, and goes on: its successor has done the work meanwhile."""
    async with running(Relay(world.store, world.broker.publisher())):
        await grow_all(world, 2, ("a",))
        found = await world.log(ITEMS_TOPIC.name, 2)
    store = world.new_store()
    successor = Inbox(store, Reader().subscription(), None)

    class Paused(Reader):
        async def on_grown(self, uow: UnitOfWork, event: Event[Grown], resources: object) -> None:
            await super().on_grown(uow, event, resources)
            if len(self.handled) == 1:
                await successor.apply(found)

    zombie = Inbox(world.store, Paused().subscription(), None, longest_pause=0.01)
    await zombie.apply_singly(found)
    await world.views_hold({"a": [1, 2]})
    assert await set_aside(world.store) == []
    await store.close()


async def test_workers_that_come_and_go_lose_nothing_and_do_nothing_twice(world: World) -> None:
    relay = Relay(world.store, world.broker.publisher())
    stores = [world.new_store() for _ in range(2)]
    async with running(relay, a_worker(world)):
        await grow_all(world, 5)
        async with running(a_worker(world, stores[0])):
            await grow_all(world, 5)
            async with running(a_worker(world, stores[1])):
                await grow_all(world, 5)
            await grow_all(world, 5)
        await grow_all(world, 5)
        await world.views_hold(everything(25))
    await asyncio.gather(*(store.close() for store in stores))


async def test_what_a_crashed_process_left_in_the_outbox_is_swept(world: World) -> None:
    await grow_all(world, 2)  # committed by a process that has no relay
    other = world.new_store()
    relays = [Relay(store, world.broker.publisher(), grace=0.0, sweep_every=0.05) for store in (world.store, other)]
    async with running(*relays, a_worker(world)):
        await world.views_hold(everything(2))
        await world.nothing_pending()
    await other.close()


async def test_poison_is_parked_told_and_replayed(world: World) -> None:
    reader = Reader(poisonous("b/2"))
    relay = Relay(world.store, world.broker.publisher())
    async with running(relay, a_worker(world, reader=reader)):
        await grow_all(world, 3)
        await world.views_hold(everything(3) | {"b": [1]})

        async def parked() -> bool:
            return await set_aside(world.store) == [("b", 2, "poison"), ("b", 3, "behind")]

        await eventually(parked)
        letters = await world.log(DEAD.name, 2)
        assert [letter.event().subject for letter in letters] == ["tests.item/b"] * 2
        reader.fault = lambda event: None
        desk = DeadLetters(world.store, [reader.subscription()])
        assert await desk.replay(Choice(), None, "stop", lambda row, error: None)
        await grow_all(world, 1)
        await world.views_hold(everything(4))
    assert await set_aside(world.store) == []
    assert (await mark_of(world.store, "b")).sequence == 4


def a_read_model(reader: Reader) -> ReadModel:
    def subscribe(generation):  # type: ignore[no-untyped-def]  # as ReadModel says
        views = generation(VIEWS)

        async def project(uow: UnitOfWork, event: Event[Grown], _: object) -> None:
            reader.fault(event)
            view = await uow.find(views, event.subject)
            if view is None:
                view = View(event.subject)
                uow.insert(views, view)
            view.seen.append(event.sequence)
            view.total += event.data.by
            uow.save(views, view)

        subscription = reader.subscription(generation.group(VIEW_GROUP), on_poison="stop")
        return replace(subscription, reactions=[on(Grown, project)])

    return ReadModel("view", (VIEWS,), subscribe)


async def test_a_read_model_rebuilt_beside_the_live_one_equals_it_and_takes_its_place(world: World) -> None:
    model = a_read_model(Reader())
    projector = Projector(world.store, world.broker, model, every=0.05)
    relay = Relay(world.store, world.broker.publisher())
    running_projector = asyncio.create_task(projector.feed(None))
    async with running(relay):
        await grow_all(world, 4)
        await world.nothing_pending()
        await model_holds(world, 1, everything(4))
        fresh = await rebuild(world.store, world.broker, model, None, patience=60)
        assert fresh.number == 2
        assert await world.store.find(fresh(VIEWS), {}, [("_id", 1)]) == await world.store.find(
            VIEWS.renamed("views_g1"), {}, [("_id", 1)]
        )

        async def changed_over() -> bool:
            return projector.generation.number == 2 and projector.worker is not None and projector.worker.assigned

        await eventually(changed_over)
        await grow_all(world, 1)
        await model_holds(world, 2, everything(5))
    projector.stop()
    await running_projector
    assert await world.store.find(VIEWS.renamed("views_g1"), {"seen": 5}) == []


async def model_holds(world: World, generation: int, expected: dict[str, list[int]]) -> None:
    async def look() -> bool:
        views = await world.store.find(VIEWS.renamed(f"views_g{generation}"), {})
        return {view.id: view.seen for view in views} == expected

    await eventually(look)


async def test_a_rebuild_that_failed_leaves_nothing_that_the_next_one_would_stand_on(world: World) -> None:
    reader = Reader()
    model = a_read_model(reader)
    async with running(Relay(world.store, world.broker.publisher())):
        await grow_all(world, 2)
        await world.nothing_pending()
    reader.fault = poisonous("c/2")
    with pytest.raises(RuntimeError, match="stopped"):
        await rebuild(world.store, world.broker, model, None, patience=60)
    assert await world.store.get(LIVE, "view") is not None
    reader.fault = lambda event: None
    fresh = await rebuild(world.store, world.broker, model, None, patience=60)
    assert fresh.number == 3
    await model_holds(world, 3, everything(2))
    live = await world.store.get(LIVE, "view")
    assert live is not None
    assert (live.number, live.former) == (3, 1)
    assert await world.store.count(VIEWS.renamed("views_g2"), {}) == 0


async def test_one_rebuild_at_a_time(world: World) -> None:
    assert await world.store.driver.lease("rebuild-view", "somebody", 60)
    with pytest.raises(Refused, match="rebuild-running"):
        await rebuild(world.store, world.broker, a_read_model(Reader()), None)


async def test_the_command_line_tells_and_does_what_it_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {
        "NAMESPACE": world.namespace,
        "MONGODB_URI": world.mongodb_uri,
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "HTTP_PORT": "0",
        "AUTH_JWKS": "unused.json",
        "AUTH_ISSUER": "unused",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    reader = Reader(poisonous("a/1"))
    service = Service("engine", nothing, subscriptions=[reader.subscription()])
    monkeypatch.setitem(sys.modules, "services.engine.app", SimpleNamespace(SERVICE=service))
    inbox = Inbox(world.store, reader.subscription(), None)
    await inbox.apply_singly(records(growth("a", 1), growth("a", 2)))

    async def dlq(*arguments: str) -> tuple[int, str]:
        code = await asyncio.to_thread(main, [*arguments, "--service", "engine"])
        return code, capsys.readouterr().out

    listed = (await dlq("list"))[1].splitlines()[-1].split()
    assert listed[1:4] == ["a", "1–2", "2"]
    assert '{"by":1}' in (await dlq("show", "--key", "a"))[1]
    code, found = await dlq("replay")
    assert (code, "--yes" in found) == (0, True)
    code, found = await dlq("replay", "--yes")
    assert (code, "failed: Refused" in found) == (1, True)
    assert (await dlq("drop", "--key", "a", "--max", "1"))[0] == 0
    assert len(await set_aside(world.store)) == 2
    assert await dlq("drop", "--key", "a", "--max", "1", "--yes") == (0, f"{VIEW_GROUP}  a  #1  完成 done\n")
    assert await dlq("replay", "--yes", "--on-error", "repark") == (0, f"{VIEW_GROUP}  a  #2  完成 done\n")
    await world.views_hold({"a": [2]})
    assert "没有搁置的记录" in (await dlq("list"))[1]


async def test_a_cancelled_command_either_happened_or_did_not_and_its_event_with_it(world: World) -> None:
    tasks = [asyncio.create_task(grow(world.store, f"i{n}")) for n in range(20)]
    for turns, task in enumerate(tasks):
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await world.store.drain()
    items = {item.id for item in await world.store.find(ITEMS, {})}
    assert {row.subject for row in await world.store.find(OUTBOX, {})} == items


async def test_a_stopped_worker_leaves_its_partitions_at_once(world: World) -> None:
    first, second = a_worker(world), Worker(world.store, world.broker, Reader().subscription(), None)
    async with running(second):
        async with running(first):

            async def shared() -> bool:
                return first.assigned and second.assigned

            await eventually(shared)

        async def has_all() -> bool:
            return len(second._feed.assignment()) == ITEMS_TOPIC.partitions

        await eventually(has_all, 5)  # sooner than the session of a member that is gone runs out
