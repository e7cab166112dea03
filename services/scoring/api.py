"""The routes of scoring: standings and ledgers are public, so that anyone can recompute them."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

from fastapi import Depends, Path, Query, Request

from services.scoring import views
from services.scoring.commands import adopt
from services.scoring.district import District
from services.scoring.settings import Settings
from services.scoring.views import LedgerPage, Ranking
from shared.auth import Principal, anyone
from shared.errors import Duplicate, NotFound
from shared.http import Router
from shared.service import Runtime, runtime_of

router = Router(tags=["scoring"])

Anyone = Annotated[Principal, Depends(anyone())]


async def prepare(runtime: Runtime) -> District:
    """Read the district's data and put its rule book to use, if it is newer. Raises OSError, ValueError."""
    settings = runtime.settings
    assert isinstance(settings, Settings)  # noqa: S101  (narrows what app.py has put together)
    district = District.load(settings.district)
    with suppress(Duplicate):  # another process of ours was faster
        await runtime.store.run(lambda uow: adopt(uow, district.rule_book))
    return district


@router.get("/standings", response_model=Ranking)
async def standings(
    request: Request, caller: Anyone, period: Annotated[str, Query(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
) -> Ranking:
    """排名 · The ranking of a month."""
    runtime = runtime_of(request)
    district: District = runtime.own
    return await views.ranking(runtime.store, district.groups, period)


@router.get("/units/{unit}/ledger", response_model=LedgerPage)
async def ledger(
    request: Request,
    caller: Anyone,
    unit: Annotated[str, Path(max_length=100)],
    after: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=views.PAGE_LIMIT)] = 100,
) -> LedgerPage:
    """扣分台账 · A unit's deductions, each with its basis and the hash that chains it to the one before."""
    runtime = runtime_of(request)
    district: District = runtime.own
    if unit not in district.groups:
        raise NotFound("units-not-found", id=unit)
    return await views.ledger_page(runtime.store, unit, after, limit)
