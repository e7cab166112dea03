"""What readers see of red and black lists: everybody what is public, staff also what is in hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from services.scoring.domain.lists import Item, ListState, RedBlackList
from services.scoring.repo import LISTS
from shared.contracts.scoring import ListKind
from shared.paging import Key, Order
from shared.store import Store
from shared.store.collection import Filter

PAGE_LIMIT = 100
_PUBLISHED = Order("lists", Key("published_at", datetime, descending=True), Key("_id", str, descending=True))
_DRAFTED = Order("drafts", Key("drafted_at", datetime, descending=True), Key("_id", str, descending=True))


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
    page = await _PUBLISHED.walk(store, LISTS, filter, after, limit)
    return ListPage(lists=[public(each) for each in page.items], next=page.next)


async def all_lists(store: Store, state: ListState | None, after: str | None, limit: int) -> ListsInHand:
    """Lists in any state, or in one. Raises Invalid (cursor-malformed)."""
    filter: Filter = {} if state is None else {"state": state.value}
    page = await _DRAFTED.walk(store, LISTS, filter, after, limit)
    return ListsInHand(lists=[in_hand(each) for each in page.items], next=page.next)


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
