"""The routes of templates: what the office has written for a step, filled in for a case."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from pydantic import BaseModel

from services.reports.api.access import Handler, resources
from services.reports.api.lists import names_of
from services.reports.domain import Command, Name
from services.reports.repo import CASES
from services.reports.views.cases import sees_inside
from services.reports.views.templates import placeholders
from shared.errors import Forbidden, NotFound
from shared.http import Router
from shared.service import runtime_of

router = Router(tags=["queries"])


class TemplateView(BaseModel):
    """A template; of a case, with everything filled in."""

    code: str
    step: Command
    name: Name
    text: str
    categories: tuple[str, ...]


@router.get("/templates", response_model=list[TemplateView])
async def templates(
    request: Request,
    caller: Handler,
    step: Command | None = None,
    category: Annotated[str | None, Query(max_length=100)] = None,
) -> list[TemplateView]:
    """回复模板 · What the office has written for a step and a category."""
    found = resources(request).templates.of(step, category)
    return [TemplateView.model_validate(template, from_attributes=True) for template in found]


@router.get("/cases/{id}/templates", response_model=list[TemplateView])
async def templates_for(request: Request, id: str, caller: Handler, step: Command | None = None) -> list[TemplateView]:
    """套用模板 · The templates for a case, filled in; whoever uses one may still change the text."""
    runtime, held = runtime_of(request), resources(request)
    case = await runtime.store.get(CASES, id)
    if case is None:
        raise NotFound("cases-not-found", id=id)
    if not sees_inside(case, caller):
        raise Forbidden("case-of-another-unit", unit=caller.unit or "")
    filled = placeholders(case, await names_of(held), runtime.clock.now())
    return [
        TemplateView(code=each.code, step=each.step, name=each.name, text=each.fill(filled), categories=each.categories)
        for each in held.templates.of(step, case.category)
    ]
