"""A unit's own ledger, explained: its entries, and what pending appeals may change."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Request

from services.scoring.api.access import may, resources_of
from services.scoring.api.proposals import CODE_LIMIT
from services.scoring.api.rules import PERIOD
from services.scoring.domain.acts import Act
from services.scoring.views import entries as views
from services.scoring.views.entries import Outlook, RowPage
from shared.auth import Principal
from shared.errors import Forbidden, NotFound
from shared.http import Router
from shared.roles import OVERSIGHT
from shared.service import runtime_of

router = Router(tags=["appeals"])

UnitCode = Annotated[str, Path(max_length=CODE_LIMIT)]
Number = Annotated[int, Path(ge=1, le=10**9)]


@router.get("/units/{unit}/rows", response_model=RowPage)
async def rows(
    request: Request,
    unit: UnitCode,
    caller: Annotated[Principal, may(Act.READ_LEDGER)],
    period: Annotated[str | None, Query(pattern=PERIOD)] = None,
    after: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=views.PAGE_LIMIT)] = 50,
) -> RowPage:
    """本单位扣分明细 · A unit's rows with rule, evidence, until when to appeal, and what comes next."""
    require_own(request, unit, caller)
    return await views.rows(
        runtime_of(request).store, resources_of(request).district.appeals, unit, period, after, limit
    )


@router.get("/units/{unit}/outlook", response_model=Outlook)
async def outlook(
    request: Request,
    unit: UnitCode,
    caller: Annotated[Principal, may(Act.READ_LEDGER)],
    period: Annotated[str, Query(pattern=PERIOD)],
) -> Outlook:
    """申诉影响 · A unit's month, and what it would be were all its pending appeals upheld."""
    require_own(request, unit, caller)
    return await views.outlook(runtime_of(request).store, unit, period)


def require_own(request: Request, unit: str, caller: Principal) -> None:
    """Raises NotFound (units-not-found), Forbidden (appeal-of-another-unit) unless staff or of the unit."""
    if unit not in resources_of(request).district.units:
        raise NotFound("units-not-found", id=unit)
    if not (caller.has(*OVERSIGHT) or caller.unit == unit):
        raise Forbidden("appeal-of-another-unit")
