"""The routes of what the caller has to act on."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request

from services.reports.api.access import Handler
from services.reports.views.lists import PAGE_LIMIT
from services.reports.views.queue import Queue, Task, queue, queue_of
from shared.http import Router
from shared.service import runtime_of

QUEUE_LIMIT = 50

router = Router(tags=["queries"])


@router.get("/queue", response_model=Queue)
async def my_queue(request: Request, caller: Handler, limit: Annotated[int, Query(ge=0, le=QUEUE_LIMIT)] = 10) -> Queue:
    """我的待办 · What the caller has to act on now, by kind, each with its count and its first cases by deadline."""
    return await queue(runtime_of(request).store, caller, limit)


@router.get("/queue/{kind}", response_model=Task)
async def my_queue_of(
    request: Request,
    kind: str,
    caller: Handler,
    after: Annotated[str, Query(max_length=300)] = "",
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 50,
) -> Task:
    """待办明细 · One kind of what the caller has to act on, page by page."""
    return await queue_of(runtime_of(request).store, caller, kind, after or None, limit)
