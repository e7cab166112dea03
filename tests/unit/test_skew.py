"""Processes of two versions at once: what a newer one tells is no fault of an older one's groups."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.consumer import MARKS, PARKED, Inbox, Subscription
from shared.event import Event
from shared.readmodel import Generation
from shared.store import OUTBOX
from tests.engine import NOON, a_store, records

SERVICES = sorted(path.parent.name for path in Path("services").glob("*/app.py"))


def subscriptions() -> Iterator[Subscription[Any]]:
    """Every group of every service."""
    for name in SERVICES:
        service = importlib.import_module(f"services.{name}.app").SERVICE
        yield from service.subscriptions
        yield from (model.subscribe(Generation(1)) for model in service.read_models)


@pytest.mark.parametrize("subscription", list(subscriptions()), ids=lambda each: each.group)
async def test_events_of_types_that_a_group_does_not_know_are_passed_over_unread(
    subscription: Subscription[Any],
) -> None:
    store = a_store()
    newer = [
        Event(topic, f"chuangwen.{topic}-of-tomorrow.v9", "a", number, NOON, "a", b"\x00not even JSON")
        for topic in subscription.topics
        for number in (1, 2)
    ]
    await Inbox(store, subscription, None).apply(records(*newer))
    assert await store.count(PARKED, {}) == await store.count(OUTBOX, {}) == 0
    assert {mark.sequence for mark in await store.find(MARKS, {})} == {2}
    assert await store.count(MARKS, {}) == len(subscription.topics)


def test_every_service_has_a_group_to_be_tried() -> None:
    groups = [each.group for each in subscriptions()]
    assert len(groups) == len(set(groups)) >= len(SERVICES)
