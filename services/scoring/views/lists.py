"""What readers see of red and black lists: everybody what is public, staff also what is in hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from services.scoring.domain.lists import Item, ListState, RedBlackList
from services.scoring.repo import LISTS
from shared.contracts.scoring import ListKind
from shared.errors import Invalid
from shared.store import Store
from shared.store.collection import Filter

PAGE_LIMIT = 100
_EPOCH = datetime.fromtimestamp(0, UTC)
_CURSOR = re.compile(r"(\d{1,15})-([0-9a-f]{1,40})")


class ListView(BaseModel):
    """A list that is or was public; of one that was withdrawn, `items` are none. `period` is a month (`YYYY-MM`)."""

    id: str
    number: str
    kind: ListKind
    period: str
    issuer: str
    state: ListState
    published_at: datetime | None
    withdrawn_at: datetime | None
    items: Sequence[Item]


class ListInHand(ListView):
    """A list as staff see it: whoever wrote and approved it, by the subjects of their tokens, and why it was withdrawn.

    `version` is what an edit and an approval are based on.
    """

    version: int
    drafted_at: datetime
    written_by: tuple[str, ...]
    approved_by: str | None
    approved_at: datetime | None
    withdrawal: str


class ListPage(BaseModel):
    """Public lists, the last published first; `next` is the cursor of the following page, if there is one."""

    lists: list[ListView]
    next: str | None = None


class ListsInHand(BaseModel):
    """Lists in any state, the last drafted first; `next` is the cursor of the following page, if there is one."""

    lists: list[ListInHand]
    next: str | None = None


def public(list: RedBlackList) -> ListView:
    """What everybody sees of a list that is or was public."""
    items = list.content.items if list.state is ListState.PUBLISHED else ()
    return ListView(**_heading(list), items=items)


def in_hand(list: RedBlackList) -> ListInHand:
    """What staff see of a list."""
    return ListInHand(
        **_heading(list),
        items=list.content.items,
        version=list.version,
        drafted_at=list.drafted_at,
        written_by=list.written_by,
        approved_by=list.approved_by,
        approved_at=list.approved_at,
        withdrawal=list.withdrawal,
    )


async def published(store: Store, kind: ListKind | None, period: str | None, after: str | None, limit: int) -> ListPage:
    """Lists that are or were public. Raises Invalid (cursor-malformed)."""
    filter: Filter = {"published_at": {"$type": "date"}}
    if kind is not None:
        filter["content.kind"] = kind.value
    if period is not None:
        filter["content.period"] = period
    found, next = await _page(store, filter, "published_at", after, limit)
    return ListPage(lists=[public(each) for each in found], next=next)


async def all_lists(store: Store, state: ListState | None, after: str | None, limit: int) -> ListsInHand:
    """Lists in any state, or in one. Raises Invalid (cursor-malformed)."""
    filter: Filter = {} if state is None else {"state": state.value}
    found, next = await _page(store, filter, "drafted_at", after, limit)
    return ListsInHand(lists=[in_hand(each) for each in found], next=next)


async def _page(
    store: Store, filter: Filter, by: str, after: str | None, limit: int
) -> tuple[list[RedBlackList], str | None]:
    behind = _behind(by, after) if after else []
    found = await store.find(LISTS, {"$and": [filter, *behind]}, [(by, -1), ("_id", -1)], limit + 1)
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    return found[:limit], f"{(getattr(last, by) - _EPOCH) // timedelta(milliseconds=1)}-{last.id}"


def _behind(by: str, after: str) -> list[Filter]:
    if not (cursor := _CURSOR.fullmatch(after)):
        raise Invalid("cursor-malformed", field="after")
    try:
        moment = _EPOCH + timedelta(milliseconds=int(cursor[1]))
    except OverflowError:
        raise Invalid("cursor-malformed", field="after") from None
    return [{by: {"$lte": moment}}, {"$or": [{by: {"$lt": moment}}, {"_id": {"$lt": cursor[2]}}]}]


def _heading(list: RedBlackList) -> dict[str, Any]:
    content = list.content
    return {
        "id": list.id,
        "number": list.serial,
        "kind": content.kind,
        "period": content.period,
        "issuer": content.issuer,
        "state": list.state,
        "published_at": list.published_at,
        "withdrawn_at": list.withdrawn_at,
    }
