"""Who may call what, in which capacity: the roles of a command follow from the table of transitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Request

from services.reports.domain import TABLE, Actor, Command, Side
from services.reports.domain.documents import ISSUERS
from services.reports.resources import Resources
from shared.auth import Principal, anyone, require
from shared.roles import CENTRE, STAFF, UNIT, Role
from shared.service import resources_of

SIDES: Mapping[Role, frozenset[Side]] = {
    Role.OFFICER: frozenset({Side.UNIT}),
    Role.LIAISON: frozenset({Side.UNIT}),
    Role.VERIFIER: frozenset({Side.VERIFIER}),
    Role.OFFICE: frozenset({Side.CENTRE, Side.VERIFIER, Side.UNIT}),
    Role.DISPATCHER: frozenset({Side.CENTRE, Side.VERIFIER, Side.UNIT}),
    Role.LEADER: frozenset({Side.LEADER}),
}
"""In which capacities a role acts on cases."""


def roles_of(*commands: Command) -> frozenset[Role]:
    """The roles that may give any of the commands, in any state of a case."""
    sides = {side for row in TABLE if row.command in commands for side in row.sides}
    return frozenset(role for role, its in SIDES.items() if its & sides)


def may(*commands: Command, act: str = "") -> Any:
    """The route gives one of the commands: for whoever the table allows it."""
    impartial = any(row.impartial for row in TABLE if row.command in commands)
    return Depends(require(*roles_of(*commands), act=act or commands[0].value, impartial=impartial))


Anyone = Annotated[Principal, Depends(anyone())]
SignedIn = Annotated[Principal, Depends(require())]
Centre = Annotated[Principal, Depends(require(*CENTRE))]
Staff = Annotated[Principal, Depends(require(*STAFF))]
Reader = Annotated[Principal, Depends(require(*UNIT, Role.HEAD, *STAFF))]
"""Staff sees every case, a unit's people those of their unit."""
Handler = Annotated[Principal, may(Command.COMMENT, act="handle")]
"""Whoever has anything to do about cases."""
Judge = Annotated[Principal, Depends(require(*CENTRE, Role.VERIFIER))]
"""Who judges photos."""
Overseer = Annotated[Principal, Depends(require(*CENTRE, Role.LEADER, Role.DISCIPLINE))]
Editor = Annotated[Principal, Depends(require(Role.OFFICE))]
Opener = Annotated[Principal, Depends(require(*CENTRE, Role.LIAISON))]
Auditor = Annotated[Principal, Depends(require(Role.DISCIPLINE, Role.OPERATOR))]
RetentionReader = Annotated[Principal, Depends(require(Role.OFFICE, Role.DISCIPLINE, Role.OPERATOR))]
Operator = Annotated[Principal, Depends(require(Role.OPERATOR))]
Importer = Annotated[Principal, Depends(require(*CENTRE, Role.SERVICE))]
Issuer = Annotated[Principal, Depends(require(*(role for roles in ISSUERS.values() for role in roles)))]
FORBIDDEN: dict[int | str, dict[str, Any]] = {403: {"$ref": "#/components/responses/Forbidden"}}
"""What a route says that is for everybody, though not with everything."""
MISSING: dict[int | str, dict[str, Any]] = {404: {"$ref": "#/components/responses/NotFound"}}
"""What a route says that is told in its body, not in its path, what it is about."""


def actor_of(caller: Principal) -> Actor:
    """In which capacities the caller acts: the centre's people also for the unit they belong to, others as said.

    Whoever belongs to no unit acts for none: an officer without one can do nothing to a case. Who is nothing of all
    that is a reporter, whose account is nobody's business.
    """
    sides = {side for role, its in SIDES.items() if caller.has(role) for side in its}
    if not sides:
        return Actor(frozenset({Side.REPORTER}))
    if caller.unit is None:
        sides.discard(Side.UNIT)
    return Actor(frozenset(sides), caller.unit, caller.subject)


def resources(request: Request) -> Resources:
    """What `prepare` made. Raises Unavailable until then."""
    return resources_of(request, Resources)
