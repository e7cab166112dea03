"""What the routes of scoring share: who may call, by act, and what the process holds besides its store."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from services.scoring.domain.acts import DECISIONS, ROLES, Act
from services.scoring.resources import Resources
from shared import service
from shared.auth import Principal, anyone, require

Anyone = Annotated[Principal, Depends(anyone())]
MISSING: dict[int | str, dict[str, Any]] = {404: {"$ref": "#/components/responses/NotFound"}}
"""For a route that is told in its body, not in its path, what it is about."""


def may(act: Act) -> Any:
    """The caller's declaration on a route: `caller: Annotated[Principal, may(Act.FREEZE_MONTH)]`."""
    return Depends(require(*ROLES[act], act=act, impartial=act in DECISIONS))


def resources_of(request: Request) -> Resources:
    """What `prepare` made. Raises Unavailable until then."""
    return service.resources_of(request, Resources)
