"""What the routes of scoring share: who may call, and what the service holds besides its store."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from services.scoring.resources import Resources
from shared.auth import Principal, anyone, require
from shared.roles import OVERSIGHT, UNIT, Role
from shared.own_cause import Person
from shared.service import resources_of

Anyone = Annotated[Principal, Depends(anyone())]
Office = Annotated[Principal, Depends(require(Role.OFFICE))]
Editor = Annotated[Principal, Depends(require(Role.OFFICE))]
Leader = Annotated[Principal, Depends(require(Role.LEADER))]
Decider = Annotated[Principal, Depends(require(Role.OFFICE, Role.LEADER))]
Watcher = Annotated[Principal, Depends(require(*OVERSIGHT))]
Proposer = Annotated[Principal, Depends(require(Role.OFFICE, Role.DISCIPLINE))]
Trier = Annotated[Principal, Depends(require(*OVERSIGHT))]
Reader = Annotated[Principal, Depends(require(*UNIT, *OVERSIGHT))]
Unit = Annotated[Principal, Depends(require(*UNIT))]
Assessor = Annotated[Principal, Depends(require(Role.OFFICE, Role.INSPECTOR))]
Insider = Annotated[Principal, Depends(require(*UNIT, Role.VERIFIER, *OVERSIGHT))]
Keeper = Annotated[Principal, Depends(require(Role.OFFICE, Role.LIAISON))]
MISSING: dict[int | str, dict[str, Any]] = {404: {"$ref": "#/components/responses/NotFound"}}
"""What a route says that is told in its body, not in its path, what it is about."""
STAFF = (Role.OFFICE, Role.LEADER, Role.DISCIPLINE)
"""Who sees what concerns any unit; others see what concerns their own."""


def person_of(caller: Principal) -> Person:
    """Who decides."""
    return Person(caller.subject, caller.unit)


def own_of(request: Request) -> Resources:
    """What `prepare` made. Raises Unavailable until then."""
    return resources_of(request, Resources)
