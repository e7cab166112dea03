"""Pages: no gap and no repeat along any order, and cursors that nothing breaks."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import FixedClock
from shared.errors import Invalid
from shared.paging import MOST_CURSOR, Key, Order
from shared.store import Change, Document, Write
from shared.testing.memory_store import MemoryDriver

START = datetime(2026, 3, 2, 1, tzinfo=UTC)
NEWEST = Order("newest", Key("at", datetime, descending=True), Key("_id", descending=True))
DUE = Order("due", Key("at", datetime, nullable=True), Key("_id"))
NUMBERED = Order("numbered", Key("number", int))
ORDERS = (NEWEST, DUE, NUMBERED)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.name)
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_a_walk_meets_everything_once_in_order(order: Order, limit: int) -> None:
    driver = MemoryDriver(FixedClock(START))
    documents: list[Document] = [
        {"_id": f"n{number:02}", "at": START + timedelta(minutes=number // 3), "number": number} for number in range(14)
    ]
    if order is DUE:
        documents[3]["at"] = documents[4]["at"] = None
    await driver.transact([Write("notes", each["_id"], Change.INSERT, each, 0) for each in documents])
    seen: list[Document] = []
    after: str | None = None
    while True:
        found = await driver.find("notes", {"$and": [{}, *order.behind(after)]}, order.sort, limit + 1)
        page = order.page(found, limit)
        assert len(page.items) <= limit
        seen += page.items
        if (after := page.next) is None:
            break
    assert seen == await driver.find("notes", {}, order.sort)
    assert len(seen) == len(documents)


def forged(*content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


ODD = [
    "x",
    "999999999999999-x",
    "é",
    "a" * 5000,
    "=" * 4,
    "W10",
    forged(),
    forged("newest"),
    forged("newest", 1),
    forged("newest", 1, 2),
    forged("newest", "1", "n1"),
    forged("newest", None, "n1"),
    forged("newest", True, "n1"),
    forged("newest", 1.5, "n1"),
    forged("newest", 10**18, "n1"),
    forged("newest", -(10**30), "n1"),
    forged("newest", 2**53, "n1"),
    forged("newest", 1, "\ud800"),
    forged("newest", 1, "n" * MOST_CURSOR),
    forged("newest", 1, {"$ne": ""}),
    forged("due", 1, "n1"),
    base64.urlsafe_b64encode(b"[" * 300).decode(),
    base64.urlsafe_b64encode(b'{"a":1}').decode(),
    base64.urlsafe_b64encode(b"\xff\xfe").decode(),
]


@pytest.mark.parametrize("cursor", ODD, ids=lambda cursor: cursor[:30])
def test_what_is_no_cursor_of_the_order_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid) as refusal:
        NEWEST.behind(cursor)
    assert (refusal.value.code, refusal.value.field) == ("cursor-malformed", "after")


@given(cursor=st.text(max_size=80) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_no_cursor_breaks_a_list(cursor: str) -> None:
    for order in ORDERS:
        with suppress(Invalid):
            order.behind(cursor)


@given(at=st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), id=st.text(max_size=40))  # noqa: DTZ001
def test_a_cursor_says_the_place_it_was_made_of(at: datetime, id: str) -> None:
    moment = at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=UTC)
    assert NEWEST.read(NEWEST.cursor(moment, id)) == (moment, id)


def test_a_place_may_be_told_by_other_things_than_documents() -> None:
    items: list[dict[str, Any]] = [{"n": 1}, {"n": 2}, {"n": 3}]
    page = NUMBERED.page_by(items, 2, lambda item: (item["n"],))
    assert (page.items, NUMBERED.read(page.next or "")) == (items[:2], (2,))
    assert NUMBERED.page_by(items, 3, lambda item: (item["n"],)).next is None
