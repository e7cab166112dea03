"""What the routes of reports share: who may call, and what the service holds besides its store."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from services.reports.domain import Actor, Side
from services.reports.resources import Resources
from services.reports.views import STAFF
from shared.auth import Principal, anyone, require
from shared.roles import CENTRE, UNIT, Role
from shared.service import resources_of

Anyone = Annotated[Principal, Depends(anyone())]
Unit = Annotated[Principal, Depends(require(*UNIT, *CENTRE))]
Checker = Annotated[Principal, Depends(require(Role.VERIFIER, *CENTRE))]
Centre = Annotated[Principal, Depends(require(*CENTRE))]
Leader = Annotated[Principal, Depends(require(Role.LEADER))]
Decider = Annotated[Principal, Depends(require(*CENTRE, Role.LEADER))]
Handler = Annotated[Principal, Depends(require(*UNIT, *CENTRE))]
Resumer = Annotated[Principal, Depends(require(*UNIT, *CENTRE, Role.LEADER))]
Insider = Annotated[Principal, Depends(require(*UNIT, Role.VERIFIER, *CENTRE, Role.LEADER))]
Editor = Annotated[Principal, Depends(require(Role.OFFICE))]
Known = Annotated[Principal, Depends(require(*UNIT, *STAFF))]
Somebody = Annotated[Principal, Depends(require())]
Opener = Annotated[Principal, Depends(require(*CENTRE, Role.LIAISON))]
Auditor = Annotated[Principal, Depends(require(Role.DISCIPLINE, Role.OPERATOR))]
Keeper = Annotated[Principal, Depends(require(Role.OFFICE, Role.DISCIPLINE, Role.OPERATOR))]
Admin = Annotated[Principal, Depends(require(Role.OPERATOR))]
FORBIDDEN: dict[int | str, dict[str, Any]] = {403: {"$ref": "#/components/responses/Forbidden"}}
"""What a route says that is for everybody, though not with everything."""
MISSING: dict[int | str, dict[str, Any]] = {404: {"$ref": "#/components/responses/NotFound"}}
"""What a route says that is told in its body, not in its path, what it is about."""


def actor_of(caller: Principal) -> Actor:
    """In which capacities the caller acts: the centre's people also for the unit they belong to, others as said.

    Whoever belongs to no unit acts for none: an officer without one can do nothing to a case. Who is nothing of all
    that is a reporter, whose account is nobody's business.
    """
    sides = {side for role, given in _SIDES.items() if caller.has(role) for side in given}
    if not sides:
        return Actor(frozenset({Side.REPORTER}))
    if caller.unit is None:
        sides.discard(Side.UNIT)
    return Actor(frozenset(sides), caller.unit, caller.subject)


_SIDES = {
    Role.OFFICER: (Side.UNIT,),
    Role.LIAISON: (Side.UNIT,),
    Role.VERIFIER: (Side.CHECKER,),
    Role.OFFICE: (Side.CENTRE, Side.CHECKER, Side.UNIT),
    Role.DISPATCHER: (Side.CENTRE, Side.CHECKER, Side.UNIT),
    Role.LEADER: (Side.LEADER,),
}


def own_of(request: Request) -> Resources:
    """What `prepare` made. Raises Unavailable until then."""
    return resources_of(request, Resources)
