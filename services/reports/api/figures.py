"""The route of the figures of a period."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import Query, Request

from services.reports.api.access import Reader, resources
from services.reports.api.lists import names_of
from services.reports.views.figures import Dimension, Figures, Period, figures
from shared.http import Router
from shared.service import runtime_of

router = Router(tags=["queries"])


@router.get("/figures", response_model=Figures)
async def figures_of(
    request: Request,
    caller: Reader,
    first: Annotated[date, Query(alias="from", examples=["2026-01-01"])],
    last: Annotated[date, Query(alias="to", examples=["2026-01-31"])],
    by: Dimension = Dimension.UNIT,
) -> Figures:
    """办理指标 · The figures of a period; both days are part of it."""
    names = await names_of(resources(request))
    return await figures(runtime_of(request).store, names, caller, Period(first, last), by)
