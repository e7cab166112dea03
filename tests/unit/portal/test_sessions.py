"""A code typed once serves for an hour, and is told neither by the database nor by the cookie alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.portal.commands.sessions import Sessions
from services.portal.repo import SESSION_SECONDS, SESSIONS
from shared.clock import FixedClock
from shared.store import Store
from shared.testing.memory_store import MemoryDriver
from tests.unit.portal.events import NOON

CODE = "7Q3-KX0-M4T-ZA9-2RC-5NE"


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


@pytest.fixture
def store(clock: FixedClock) -> Store:
    return Store(MemoryDriver(clock), clock)


@pytest.fixture
def sessions(store: Store, clock: FixedClock) -> Sessions:
    return Sessions(store, clock)


async def test_the_key_leads_to_the_code_for_an_hour(sessions: Sessions, clock: FixedClock) -> None:
    key = await sessions.open(CODE)
    clock.advance(timedelta(seconds=SESSION_SECONDS - 1))
    assert await sessions.code_of(key) == CODE
    clock.advance(timedelta(seconds=1))
    assert await sessions.code_of(key) is None


async def test_neither_side_alone_tells_the_code(sessions: Sessions, store: Store) -> None:
    key = await sessions.open(CODE)
    [kept] = await store.find(SESSIONS, {})
    for secret in (CODE, CODE.replace("-", ""), key):
        assert secret not in str(kept)
    assert CODE not in key


async def test_a_session_that_is_ended_is_gone(sessions: Sessions, store: Store) -> None:
    one, other = await sessions.open(CODE), await sessions.open(CODE)
    await sessions.end(one)
    await sessions.end(one)
    assert await sessions.code_of(one) is None
    assert await sessions.code_of(other) == CODE
    assert await store.count(SESSIONS, {}) == 1


@pytest.mark.parametrize("key", ["", "nonsense", "不是", "A" * 44])
async def test_what_is_no_key_leads_nowhere(sessions: Sessions, key: str) -> None:
    await sessions.open(CODE)
    assert await sessions.code_of(key) is None
    await sessions.end(key)


async def test_a_session_under_another_seal_leads_nowhere(sessions: Sessions, store: Store) -> None:
    key, other = await sessions.open(CODE), await sessions.open(CODE)
    uow = store.unit()
    kept = await store.find(SESSIONS, {})
    for session in kept:
        loaded = await uow.get(SESSIONS, session.id)
        loaded.sealed = next(each.sealed for each in kept if each.id != session.id)
        uow.save(SESSIONS, loaded)
    await store.commit(uow)
    assert await sessions.code_of(key) is None
    assert await sessions.code_of(other) is None
