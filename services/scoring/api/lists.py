"""Red and black lists: written and approved inside, read by everybody once they are published."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, Field

from services.scoring.api.access import Anyone, may, resources_of
from services.scoring.api.bodies import After
from services.scoring.commands import lists as commands
from services.scoring.domain.acts import Act
from services.scoring.domain.lists import (
    BASIS_LIMIT,
    CHINESE,
    CODE_LIMIT,
    VENUE_LIMIT,
    WITHDRAWAL_LIMIT,
    Content,
    Item,
    ListState,
    RedBlackList,
)
from services.scoring.repo import LISTS
from services.scoring.views.lists import (
    PAGE_LIMIT,
    ListInHand,
    ListPage,
    ListsInHand,
    ListView,
    all_lists,
    in_hand,
    public,
    published,
)
from shared.audit.log import AUDIT
from shared.auth import Principal
from shared.contracts.scoring import ListKind
from shared.documents import Format
from shared.errors import Duplicate, NotFound
from shared.http import IDEMPOTENT, Router, answer
from shared.http.body import Body
from shared.roles import OVERSIGHT
from shared.service import runtime_of
from shared.store import UnitOfWork

PERIOD = r"^20\d{2}-(0[1-9]|1[0-2])$"
WRITTEN_LIMIT = 400
ITEMS_LIMIT = 500
"""What is read at all; how long a sentence and a list may be, the district says."""

router = Router(tags=["lists"])

ListId = Annotated[str, Path(max_length=40)]
Limit = Annotated[int, Query(ge=1, le=PAGE_LIMIT)]
_FILE = {"schema": {"type": "string", "format": "binary"}}
_PRINTED: dict[int | str, dict[str, Any]] = {
    200: {"content": {format.media_type: _FILE for format in Format}, "description": "文件 · The paper"}
}


class ItemIn(Body):
    """A venue (area, type and name) or a unit, and one sentence that says why and names no person."""

    reason: str = Field(max_length=WRITTEN_LIMIT, examples=["摊位占道经营，过道堵塞。"])
    area: str | None = Field(default=None, max_length=CODE_LIMIT, examples=["430476001007"])
    venue_type: str | None = Field(default=None, max_length=CODE_LIMIT, examples=["farmers-market"])
    venue: str | None = Field(default=None, max_length=2 * VENUE_LIMIT, examples=["祥光农贸市场"])
    unit: str | None = Field(default=None, max_length=CODE_LIMIT)
    case: str | None = Field(default=None, max_length=BASIS_LIMIT, examples=["20261103-ABCDEFGHJK"])
    visit: str | None = Field(default=None, max_length=BASIS_LIMIT)


class NewList(Body):
    """All that a list says."""

    kind: Literal["red", "black"]
    period: str = Field(pattern=PERIOD, examples=["2026-11"])
    issuer: str = Field(max_length=CODE_LIMIT, examples=["first"])
    items: list[ItemIn] = Field(min_length=1, max_length=ITEMS_LIMIT)


class BasedOn(Body):
    """The version that was read: what anybody else wrote meanwhile is neither overwritten nor approved unread."""

    based_on: int = Field(ge=1, examples=[1])


class ChangedList(NewList, BasedOn):
    """The whole content of the draft."""


class Withdrawal(Body):
    """Why; seen by staff only."""

    reason: str = Field(min_length=1, max_length=WITHDRAWAL_LIMIT, examples=["经核实，所列问题不属实"])


class Step(BaseModel):
    """Something that was done to a list: a row of its audit chain."""

    number: int
    at: datetime
    who: str
    action: str
    reason: str
    previous: str
    hash: str


@router.get("/lists", response_model=ListPage)
async def page(
    request: Request,
    caller: Anyone,
    kind: Literal["red", "black"] | None = None,
    period: Annotated[str | None, Query(pattern=PERIOD)] = None,
    after: After = None,
    limit: Limit = 20,
) -> ListPage:
    """红黑榜 · Published lists, newest first; of withdrawn ones only that they were there."""
    return await published(runtime_of(request).store, ListKind(kind) if kind else None, period, after, limit)


@router.get("/lists/all", response_model=ListsInHand)
async def everything(
    request: Request,
    caller: Annotated[Principal, may(Act.READ_LISTS)],
    state: ListState | None = None,
    after: After = None,
    limit: Limit = 20,
) -> ListsInHand:
    """榜单办理 · Lists in any state, the last drafted first."""
    return await all_lists(runtime_of(request).store, state, after, limit)


@router.post("/lists", status_code=201, response_model=ListInHand, openapi_extra=IDEMPOTENT)
async def draft(request: Request, body: NewList, caller: Annotated[Principal, may(Act.DRAFT_LIST)]) -> Response:
    """起草榜单 · A new draft."""
    terms, content = resources_of(request).district.lists, _content(body)
    return await _done(request, lambda uow: commands.draft(uow, terms, content, caller.subject), 201)


@router.put("/lists/{id}", response_model=ListInHand, openapi_extra=IDEMPOTENT)
async def edit(
    request: Request, id: ListId, body: ChangedList, caller: Annotated[Principal, may(Act.DRAFT_LIST)]
) -> Response:
    """修改草稿 · Another content of a draft."""
    terms, content = resources_of(request).district.lists, _content(body)
    return await _done(request, lambda uow: commands.edit(uow, terms, id, content, body.based_on, caller.subject))


@router.post("/lists/{id}/approve", response_model=ListInHand, openapi_extra=IDEMPOTENT)
async def approve(
    request: Request, id: ListId, body: BasedOn, caller: Annotated[Principal, may(Act.APPROVE_LIST)]
) -> Response:
    """审批榜单 · By somebody who did not write it; from then on it cannot be changed."""
    return await _done(request, lambda uow: commands.approve(uow, id, body.based_on, caller))


@router.post("/lists/{id}/publish", response_model=ListInHand, openapi_extra=IDEMPOTENT)
async def publish(request: Request, id: ListId, caller: Annotated[Principal, may(Act.PUBLISH_LIST)]) -> Response:
    """公布榜单 · The approved list is public, under a number."""
    resources = resources_of(request)
    url = f"{resources.portal_url}/lists/{id}"

    async def command(uow: UnitOfWork) -> RedBlackList:
        return await commands.publish(uow, resources.district, id, url, caller)

    try:
        return await _done(request, command)
    except Duplicate:  # another process was faster with the first number of the year
        return await _done(request, command)


@router.post("/lists/{id}/withdraw", response_model=ListInHand, openapi_extra=IDEMPOTENT)
async def withdraw(
    request: Request, id: ListId, body: Withdrawal, caller: Annotated[Principal, may(Act.WITHDRAW_LIST)]
) -> Response:
    """撤下榜单 · The list does not stand any more; who stood on it is hidden."""
    return await _done(request, lambda uow: commands.withdraw(uow, id, body.reason, caller))


@router.get("/lists/{id}.{format}", response_class=Response, responses=_PRINTED)
async def show(request: Request, id: ListId, format: Format, caller: Anyone) -> Response:
    """下载榜单 · The list as the paper that was issued, as PDF or DOCX; of a withdrawn one for staff only."""
    found = await _found(request, id, caller)
    if found.paper is None or (found.state is not ListState.PUBLISHED and not caller.has(*OVERSIGHT)):
        raise NotFound("lists-not-found", id=id)
    content = await resources_of(request).press.print(found.paper, format)
    ascii = f"{found.content.kind.value}-list-{found.year}-{found.number:04}.{format.value}"
    chinese = quote(f"{CHINESE[found.content.kind]}{found.serial}.{format.value}", safe="")
    disposition = f"attachment; filename=\"{ascii}\"; filename*=UTF-8''{chinese}"
    return Response(content, headers={"content-disposition": disposition}, media_type=format.media_type)


@router.get("/lists/{id}", response_model=ListInHand | ListView)
async def one(request: Request, id: ListId, caller: Anyone) -> ListInHand | ListView:
    """榜单 · One list: what is public for everybody, all of it for staff."""
    found = await _found(request, id, caller)
    return in_hand(found) if caller.has(*OVERSIGHT) else public(found)


@router.get("/lists/{id}/history", response_model=list[Step])
async def history(request: Request, id: ListId, caller: Annotated[Principal, may(Act.READ_LISTS)]) -> list[Step]:
    """榜单留痕 · Who did what to a list, chained by hashes."""
    found = await _found(request, id, caller)
    rows = await runtime_of(request).store.find(AUDIT, {"chain": commands.chain_of(found.id)}, [("number", 1)])
    return [Step.model_validate(row, from_attributes=True) for row in rows]


async def _found(request: Request, id: str, caller: Principal) -> RedBlackList:
    """The list, if the caller may know that it is there. Raises NotFound (lists-not-found)."""
    found = await runtime_of(request).store.get(LISTS, id)
    if found is None or (found.published_at is None and not caller.has(*OVERSIGHT)):
        raise NotFound("lists-not-found", id=id)
    return found


async def _done(
    request: Request, command: Callable[[UnitOfWork], Awaitable[RedBlackList]], status: int = 200
) -> Response:
    async def viewed(uow: UnitOfWork) -> ListInHand:
        return in_hand(await command(uow))

    return await answer(request, viewed, status, "/lists/{id}" if status == 201 else None)


def _content(body: NewList) -> Content:
    items = tuple(Item(**item.model_dump()) for item in body.items)
    return Content(ListKind(body.kind), body.period, body.issuer, items)
